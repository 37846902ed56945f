"""What the ensemble is compared with, fitted on the same clients. Training only.

In:  features of the training and the test clients, labels of the training clients.
Out: a score a test client by each model's name.
"""

import numpy as np

from fairmeter.models.detectors.classical import IsolationForest, ZScore
from fairmeter.training.ensemble_fitting import LOOKS_AT

LEVEL_STATISTICS = tuple(
    f"consumption_level_{i}_{statistic}" for i in (1, 2, 3, 4) for statistic in ("mean", "std", "min", "max")
)
FEW = (*LEVEL_STATISTICS, "category", "region", "district", "age_months")  # what the best known tutorial gives its tree


def scores(
    train: np.ndarray, label: np.ndarray, test: np.ndarray, names: tuple[str, ...], seed: int
) -> dict[str, np.ndarray]:
    """Majority, z-score, isolation forest, logistic regression and a decision tree. [float64, one a test client]

    train and test are [float32, (clients, len(names))], label is 1 or 0. Those that see few features see FEW.
    """

    def of(features: np.ndarray, wanted: tuple[str, ...]) -> np.ndarray:
        return features[:, [names.index(name) for name in wanted]]

    few_train, few_test = of(train, FEW), of(test, FEW)
    z_score = ZScore.fit(of(train, LOOKS_AT["z_score"]))
    forest = IsolationForest.fit(of(train, LOOKS_AT["isolation_forest"]), seed)
    return {
        "majority": np.full(len(test), label.mean()),
        "z-score": z_score.score(of(test, LOOKS_AT["z_score"])),
        "isolation forest": forest.score(of(test, LOOKS_AT["isolation_forest"])),
        "logistic regression": _logistic_regression(few_train, label, few_test),
        "decision tree on level statistics": _decision_tree(few_train, label, few_test, seed),
    }


def _logistic_regression(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler

    # A feature that no training client has stays, as zeros: dropped, it would be a warning and shift the columns.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    model = make_pipeline(imputer, RobustScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return model.fit(_tamed(train), label).predict_proba(_tamed(test))[:, 1]


def _tamed(features: np.ndarray) -> np.ndarray:
    """Logarithms of what may be huge, so that one large user does not set the scale."""
    features = features.astype(np.float64)
    return np.sign(features) * np.log1p(np.abs(features))


def _decision_tree(train: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(max_depth=20, min_samples_leaf=5, random_state=seed)
    return model.fit(train, label).predict_proba(test)[:, 1]
