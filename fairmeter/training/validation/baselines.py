"""Baseline models that the ensemble is compared with, fitted on the same clients. Training only.

In:  features of training and test clients, labels of the training clients.
Out: scores of the test clients by the name of each baseline.
"""

import numpy as np

from fairmeter.models.detectors.classical import IsolationForest, ZScore
from fairmeter.training.ensemble_fitting import DETECTOR_FEATURES

LEVEL_STATISTICS = tuple(
    f"consumption_level_{i}_{statistic}" for i in (1, 2, 3, 4) for statistic in ("mean", "std", "min", "max")
)
BASELINE_FEATURES = (
    *LEVEL_STATISTICS,
    "category",
    "region",
    "district",
    "age_months",
)  # the inputs of the best-known tutorial's tree


def scores(
    train: np.ndarray, label: np.ndarray, test: np.ndarray, names: tuple[str, ...], seed: int
) -> dict[str, np.ndarray]:
    """Majority, z-score, isolation forest, logistic regression and a decision tree. [float64, one a test client]

    train, test: [float32, (clients, len(names))]; label: 1 or 0. The last two use BASELINE_FEATURES only.
    """

    def of(features: np.ndarray, wanted: tuple[str, ...]) -> np.ndarray:
        return features[:, [names.index(name) for name in wanted]]

    base_train, base_test = of(train, BASELINE_FEATURES), of(test, BASELINE_FEATURES)
    z_score = ZScore.fit(of(train, DETECTOR_FEATURES["z_score"]))
    forest = IsolationForest.fit(of(train, DETECTOR_FEATURES["isolation_forest"]), seed)
    return {
        "majority": np.full(len(test), label.mean()),
        "z-score": z_score.score(of(test, DETECTOR_FEATURES["z_score"])),
        "isolation forest": forest.score(of(test, DETECTOR_FEATURES["isolation_forest"])),
        "logistic regression": _logistic_regression(base_train, label, base_test),
        "decision tree on level statistics": _decision_tree(base_train, label, base_test, seed),
    }


def _logistic_regression(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler

    # A feature that no training client has stays, as zeros: dropping it would warn and shift the columns.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    model = make_pipeline(imputer, RobustScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return model.fit(_signed_log(train), label).predict_proba(_signed_log(test))[:, 1]


def _signed_log(features: np.ndarray) -> np.ndarray:
    """Signed logarithms, so that one large user does not set the scale."""
    features = features.astype(np.float64)
    return np.sign(features) * np.log1p(np.abs(features))


def _decision_tree(train: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(max_depth=20, min_samples_leaf=5, random_state=seed)
    return model.fit(train, label).predict_proba(test)[:, 1]
