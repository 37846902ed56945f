"""The manifest in model.bin: training data, metrics, thresholds and versions of libraries.

In:  a Dataset, the ensemble fitted on its clients, the metrics measured on others.
Out: the manifest without its view, version and time.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fairmeter.evaluation import model_evaluation
from fairmeter.evaluation.conformal_selection import calibration_table
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import content_sha256
from fairmeter.models.ranks import RANK_THRESHOLDS, rank_reference
from fairmeter.training.dataset import Dataset
from fairmeter.training.ensemble_fitting import STACK_FOLDS, Fitted

LIBRARIES = ("numpy", "xgboost", "xgboost-cpu", "catboost", "scikit-learn", "onnx", "onnxruntime")
MANIFEST_METRICS = ("roc_auc", "pr_auc", "at_top", "at_threshold", "brier", "calibration_error")
METERS = {"meter_id"}  # many, and no sentence names one
PROBABILITY_ENTRIES = ("promise", "metrics", "fraud_rate")  # of a manifest whose model has labels
HASH_DIGITS = 7  # of a version: the trainings of one day are few
NOT_REPORTED = ("features", "promise", "ranks", "code_names")  # left out of the report: too long
METHOD = (
    "Members XGBoost, CatBoost and a random forest, stacked by a logistic regression on scores out of "
    f"{STACK_FOLDS} folds, then calibrated; neighbours' rates, peers and detectors are fitted inside each fold.",
    "No client was resampled; frauds weigh more in the members, and the stacking takes the shift out again.",
)

UNLABELLED_METHOD = (
    "No client has a label: clients are ranked by the mean rank of detectors that look for falls in consumption. "
    "A rank is no probability, and how well it finds thefts is known only after inspections."
)


def build_manifest(
    dataset: Dataset, clients: np.ndarray, fitted: Fitted, result: Mapping, promised_precision: Mapping[str, float]
) -> dict:
    """The manifest of a model fitted on some clients. [clients: row numbers; result: measured on other clients]"""
    label, weight = dataset.label[clients], dataset.weight_of(clients)
    threshold = model_evaluation.best_threshold(label, fitted.probability, weight=weight)
    severities = model_evaluation.severity_thresholds(
        label, fitted.probability, promised_precision, weight=weight, threshold=threshold
    )
    # Conformal selection needs training clients like those that will be listed; chosen inspections are not like them.
    promise = {"promise": calibration_table(label, fitted.probability)} if weight is None else {}
    return {
        "active_from": dataset.active_from,
        "threshold": float(threshold),
        "severities": [{"severity": name} | cut for name, cut in severities.items()],
        **promise,
        "n_clients": len(clients),
        "fraud_rate": float(label.mean() if weight is None else np.average(label, weights=weight)),
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint(),
        "metrics": {name: result[name] for name in MANIFEST_METRICS},
        "libraries": dict(installed_versions(LIBRARIES)),
        "features": list(dataset.feature_names),
        "missing_columns": list(dataset.tables.missing),
        "code_names": dataset.tables.code_names.without(METERS).to_json(),
    }


def unlabelled_manifest(dataset: Dataset, log_odds: np.ndarray) -> dict:
    """The manifest of a model on invoices without labels. [log_odds: of the clients that it was fitted on]"""
    manifest = {
        "active_from": dataset.active_from,
        "n_clients": len(log_odds),
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint(),
        "libraries": dict(installed_versions(LIBRARIES)),
        "code_names": dataset.tables.code_names.without(METERS).to_json(),
        "features": list(dataset.feature_names),
    }
    return ranks_manifest(manifest, "invoices", rank_reference(log_odds))


def ranks_manifest(manifest: Mapping, part: str, reference: dict) -> dict:
    """The manifest of a model, one part of which has no labels: ranks, and nothing that a probability is needed for."""
    kept = {name: value for name, value in manifest.items() if name not in PROBABILITY_ENTRIES}
    return kept | RANK_THRESHOLDS | {"ranks": (manifest.get("ranks") or {}) | {part: reference}}


def manifest_without_invoices(view: str, features: tuple[str, ...]) -> dict:
    """The manifest of a model on readings alone. [features: of invoices, which every manifest lists]"""
    return {
        "view": view,
        "active_from": -np.inf,
        "threshold": 1.0,
        "severities": [],
        "libraries": dict(installed_versions(LIBRARIES)),
        "features": list(features),
    }


def installed_versions(libraries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names and versions of the libraries that are installed."""
    for name in libraries:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def new_stamp() -> dict[str, str]:
    """The stamp of a training that begins: its time; the version follows from what it fits (`with_version`)."""
    return {"version": "", "trained_at": datetime.now(UTC).isoformat(timespec="seconds")}


def with_version(metrics: Mapping, model: FraudModel | None) -> tuple[dict, FraudModel | None]:
    """Metrics and model with their version: the day of the training, and a hash of what was fitted.

    No two trainings share a version, so that a report names the one model that it is of. A run that only validates
    has the hash of its metrics.
    """
    day = datetime.fromisoformat(metrics["run"]["trained_at"])
    digest = content_sha256(model) if model else hashlib.sha256(repr(metrics).encode()).hexdigest()
    version = {"version": f"{day:%Y.%m.%d}-{digest[:HASH_DIGITS]}"}
    reported = {"manifest": metrics["manifest"] | version} if "manifest" in metrics else {}
    metrics = {**metrics, "run": metrics["run"] | version, **reported}
    return metrics, model and replace(model, manifest=model.manifest | version)
