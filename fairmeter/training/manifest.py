"""What a model says of itself: whom it learnt from, how it was measured, where it suspects, what it was made with.

In:  a study, what was fitted on its clients, what was measured.
Out: the manifest, but for its view, version and time.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from fairmeter.evaluation import model_evaluation
from fairmeter.evaluation.conformal_selection import calibration_table
from fairmeter.models import model_file
from fairmeter.models.model_file import ModelError
from fairmeter.training.dataset import Dataset
from fairmeter.training.ensemble_fitting import STACK_FOLDS, Fitted

LIBRARIES = ("numpy", "xgboost", "xgboost-cpu", "catboost", "scikit-learn", "onnx", "onnxruntime")
MEASURED = ("roc_auc", "pr_auc", "at_top", "at_threshold", "brier", "calibration_error")
KEPT_SILENT = ("features", "promise")  # too long for the report
HOW = (
    "Members XGBoost, CatBoost and a random forest, stacked by a logistic regression on scores out of "
    f"{STACK_FOLDS} folds, then calibrated; neighbours' rates, peers and detectors are fitted inside each fold.",
    "No client was resampled; frauds weigh more in the members, and the stacking takes the shift out again.",
)


def manifest_of(
    study: Dataset, clients: np.ndarray, fitted: Fitted, result: Mapping, promises: Mapping[str, float]
) -> dict:
    """Of a model fitted on some clients of a study. [clients: row numbers, result: as measured on others]"""
    label, weight = study.label[clients], study.weight_of(clients)
    cuts = model_evaluation.severity_thresholds(label, fitted.probability, promises, weight=weight)
    # The promise asks for training clients like those that will be listed: of visits that were chosen none can be made.
    promise = {"promise": calibration_table(label, fitted.probability)} if weight is None else {}
    return {
        "active_from": study.active_from,
        "threshold": float(model_evaluation.best_threshold(label, fitted.probability, weight=weight)),
        "severities": [{"severity": name} | cut for name, cut in cuts.items()],
        **promise,
        "n_clients": len(clients),
        "fraud_rate": float(label.mean() if weight is None else np.average(label, weights=weight)),
        "data": study.name,
        "data_fingerprint": study.fingerprint(),
        "metrics": {name: result[name] for name in MEASURED},
        "libraries": dict(installed(LIBRARIES)),
        "features": list(study.feature_names),
    }


def manifest_without_invoices(view: str, theft_share: float, features: tuple[str, ...]) -> dict:
    """Of a model on readings alone. [features: names of those of invoices, which every model says it expects]"""
    return {
        "view": view,
        "active_from": -np.inf,
        "threshold": 1.0,
        "severities": [],
        "fraud_rate": theft_share,
        "libraries": dict(installed(LIBRARIES)),
        "features": list(features),
    }


def installed(libraries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Those that are there, with their versions."""
    for name in libraries:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def next_version(out: Path) -> str:
    """Year, month, and a number that counts up from the model that is there."""
    today = datetime.now(UTC)
    month = f"{today.year}.{today.month}"
    try:
        head, _, number = model_file.load(out).manifest["version"].rpartition(".")
        return f"{month}.{int(number) + 1 if head == month else 1}"
    except (ModelError, KeyError, ValueError):
        return f"{month}.1"
