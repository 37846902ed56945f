"""Invoices -> a fitted, calibrated and measured model: one held-out part, or five outer folds.

In:  a Dataset, TrainingOptions, the stamp (version and time) of the model.
Out: `TrainingResult`: the metrics that the report shows and, unless the run only validates, the FraudModel.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.data.tables import Tables, read_tables
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.explanation.topics import describe_column
from fairmeter.features.invoices.matrix import (
    AGGREGATES_BLOCK,
    FEATURE_NAMES,
    FEATURES,
    GROUP_KEYS,
    METER_GROUP_KEYS,
    client_features,
)
from fairmeter.models import model_file
from fairmeter.models.fraud_model import ACCOUNT_FEATURES, FraudModel
from fairmeter.training.dataset import PROSPECTIVE, VIEWS, Dataset, TrainingError, describe_selection
from fairmeter.training.ensemble_fitting import DETECTOR_FEATURES, STACK_FOLDS, EnsembleConfig, Fitted, fit_ensemble
from fairmeter.training.inspection_labels import InspectionLabels, describe_weights, merge_inspections
from fairmeter.training.manifest import METHOD, NOT_REPORTED, UNLABELLED_METHOD, build_manifest, unlabelled_manifest
from fairmeter.training.member_fitting import TREES
from fairmeter.training.options import MISSING_SHARE, PROMISED_PRECISION, SEED, TEST_PARTS, TrainingOptions
from fairmeter.training.unlabelled_invoices import fit_unlabelled_invoices
from fairmeter.training.validation import invoices
from fairmeter.training.validation.inspections import measure_inspections
from fairmeter.training.validation.invoices import TestSplit

# Fewer than half of the clients have gas: on one fold the members ranked no worse without these gas features.
OMITTED_GAS_STATISTICS = ("skew", "q10", "q25", "median", "q75", "q90", "longest", "lately", "upper", "n_zero")
AGGREGATE_NAMES = (*(feature.name for feature in AGGREGATES_BLOCK.features), *ACCOUNT_FEATURES)
HELD_OUT = (
    f"Split by client, frauds spread evenly: one part of {TEST_PARTS} was kept back from the fit and measured on. "
    "The model in model.bin was then fitted on all clients of the view."
)
OUTER_FOLDS = (
    f"Split by client, frauds spread evenly: {TEST_PARTS} outer folds, "
    "each client scored by a model that has not seen it."
)
OnStep = Callable[[str], None]


class TrainingResult(NamedTuple):
    """What a run gives: the metrics of the report, and the model unless it only validates."""

    metrics: dict
    model: FraudModel | None


def read_dataset(
    paths: Sequence[Path], inspections: InspectionLabels | None = None, only_inspections: bool = False
) -> Dataset:
    """Read the tables, and label them as `label_dataset` does. Raises TableError, TrainingError."""
    return label_dataset(read_tables(*paths), paths, inspections, only_inspections)


def label_dataset(
    tables: Tables,
    paths: Sequence[Path],
    inspections: InspectionLabels | None = None,
    only_inspections: bool = False,
) -> Dataset:
    """Label the clients of tables and compute their features.

    paths: of the tables, for the report; only_inspections: labels of the data are ignored. Raises TrainingError.
    """
    name, weight = ", ".join(path.name for path in paths), None
    if inspections:
        tables, weight = merge_inspections(inspections, tables, only_inspections)
        name += " and the desk's visits"
    evidence = client_features(tables.clients, tables.invoices)
    return replace(Dataset.from_tables(name, tables, evidence, FEATURE_NAMES), weight=weight)


def load_base_model(path: Path, key: bytes | None = None, keeps_readings: bool = False) -> FraudModel:
    """Load a model of which one half is kept, without the other half, whose features may be outdated.

    key: of signed models; keeps_readings: else the ensembles on invoices are kept. Raises ModelError, TrainingError.
    """
    model = model_file.load(path, key)
    if not keeps_readings:
        model = replace(model, readings=None)
        model_file.check_features(model, FEATURE_NAMES, path)
        return model
    if model.readings is None:
        raise TrainingError(f"{path} has no ensemble on readings to keep: leave --onto out.")
    model_file.check_reading_features(model, path)
    return replace(model, invoices=None, aggregates=None)


def count_steps(options: TrainingOptions, has_labels: bool) -> int:
    """Number of fits that `train_on_invoices` reports."""
    if not has_labels:
        return 1
    if options.validate:
        return (STACK_FOLDS + 1) * len(VIEWS) * TEST_PARTS * len(TREES)
    return 2 * (STACK_FOLDS + 1) * (len(TREES) + 1)


def train_on_invoices(dataset: Dataset, options: TrainingOptions, stamp: dict, on_step: OnStep) -> TrainingResult:
    """Validate on outer folds, or fit and measure a model; without labels rank clients. Raises TrainingError."""
    if not dataset.has_labels:
        return rank_clients(dataset, options, stamp, on_step)
    if options.validate:
        return TrainingResult(cross_validate(dataset, options, stamp, on_step), None)
    return fit_and_measure(dataset, options, stamp, on_step)


def fit_and_measure(dataset: Dataset, options: TrainingOptions, stamp: dict, on_step: OnStep) -> TrainingResult:
    """Measure a model fitted on all but the held-out part, then fit the model of all clients."""
    split = invoices.splits(dataset, options.view, TEST_PARTS, SEED)[0]
    clients = dataset.clients(options.view)
    fitted, from_aggregates = fit_invoice_ensembles(dataset, split.train, options, on_step)
    measured = measure_held_out(dataset, split, fitted, from_aggregates)
    final, final_from_aggregates = fit_invoice_ensembles(dataset, clients, options, on_step)
    final = with_drift_reference(dataset, clients, options.view, final)
    manifest = build_manifest(dataset, clients, final, measured["results"][0], PROMISED_PRECISION)
    manifest = manifest | {"view": options.view} | stamp
    run = describe_run(dataset) | {"view": options.view, "split": HELD_OUT} | stamp
    metrics = {"run": run, **measured, "manifest": {k: v for k, v in manifest.items() if k not in NOT_REPORTED}}
    return TrainingResult(metrics, FraudModel(final.ensemble, final_from_aggregates.ensemble, None, manifest))


def with_drift_reference(dataset: Dataset, clients: np.ndarray, view: str, fitted: Fitted) -> Fitted:
    """The ensemble with a drift reference of all clients that are scored, not of those alone that have a label.

    The inspected are not like the others; beside them alone, every run would report drift. [clients: fitted on]
    """
    others = np.setdiff1d(dataset.scored_clients(view), clients)
    if not len(others):
        return fitted
    ensemble = fitted.ensemble
    of_others = ensemble.inputs.matrix(dataset.evidence.of(others))
    matrix = np.concatenate([ensemble.inputs.matrix(dataset.evidence.of(clients)), of_others])
    log_odds = np.concatenate([fitted.log_odds, ensemble.log_odds(of_others)])
    reference = ReferenceDistribution.from_clients(matrix, log_odds)
    return replace(fitted, ensemble=replace(ensemble, fingerprint=reference))


def rank_clients(dataset: Dataset, options: TrainingOptions, stamp: dict, on_step: OnStep) -> TrainingResult:
    """Fit a model of ranks; without labels nothing can be measured. Raises TrainingError."""
    if options.validate:
        raise TrainingError(f"{dataset.name} has no labels (raw name: target) to measure on; leave --validate out.")
    clients = dataset.unlabelled_clients(options.view)
    on_step("detectors, all clients")
    ensemble, log_odds = fit_unlabelled_invoices(
        dataset.evidence.of(clients), ensemble_config(options.view, True), SEED
    )
    manifest = unlabelled_manifest(dataset, log_odds) | {"view": options.view} | stamp
    run = describe_run(dataset) | {"view": options.view} | stamp
    reported = {name: value for name, value in manifest.items() if name not in NOT_REPORTED}
    metrics = {"run": run, "results": [], "unlabelled": {"n": len(clients)}, "manifest": reported}
    metrics |= {"quality": dataset.tables.flags}
    return TrainingResult(metrics, FraudModel(ensemble, None, None, manifest))


def cross_validate(dataset: Dataset, options: TrainingOptions, stamp: dict, on_step: OnStep) -> dict:
    """Metrics of outer folds of each view: every client is scored once, by a model that has not seen it."""
    results, models = [], []
    for view in VIEWS:
        config = ensemble_config(view, options.quick)
        of_view, rows = invoices.outer_folds(dataset, view, config, TEST_PARTS, SEED, on_step)
        results += of_view
        models.append(rows)
    run = describe_run(dataset) | {"view": " and ".join(VIEWS), "split": OUTER_FOLDS} | stamp
    return {"run": run, "results": results, "models": models, "quality": dataset.tables.flags}


def measure_held_out(dataset: Dataset, split: TestSplit, fitted: Fitted, from_aggregates: Fitted) -> dict:
    """Results, importance, agreement of reasons and the value of visits on the clients of `split.test`."""
    report = invoices.held_out_report(dataset, split, fitted, from_aggregates, PROMISED_PRECISION, SEED)
    importance = invoices.importance(dataset, split, fitted, describe_column, SEED)
    visits = measure_inspections(dataset, split, fitted, PROMISED_PRECISION, SEED)
    agreement = invoices.agreement(dataset, split, fitted, SEED)
    explained = {"importance": importance, "agreement": agreement}
    return report | {"visits": visits, **explained, "quality": dataset.tables.flags}


def fit_invoice_ensembles(
    dataset: Dataset, clients: np.ndarray, options: TrainingOptions, on_step: OnStep
) -> tuple[Fitted, Fitted]:
    """Fit the ensemble on invoices, and the one on the aggregates that older scripts send. [clients: row numbers]"""
    evidence, label, weight = dataset.evidence.of(clients), dataset.label[clients], dataset.weight_of(clients)
    aggregates = EnsembleConfig(
        names=FEATURE_NAMES,
        used=AGGREGATE_NAMES,
        members=("xgboost",),
        quick=options.quick,
        missing_share=MISSING_SHARE,
    )
    configs = ensemble_config(options.view, options.quick), aggregates
    return tuple(fit_ensemble(evidence, label, config, SEED, on_step, weight=weight) for config in configs)


def ensemble_config(view: str, quick: bool) -> EnsembleConfig:
    """Inputs and members of the ensemble on invoices; `prospective` excludes what may follow a detection."""
    is_prospective = view == PROSPECTIVE
    used = tuple(
        feature.name
        for feature in FEATURES
        if not is_omitted_gas(feature.name) and not (is_prospective and feature.after_detection)
    )
    group_keys = tuple(name for name in GROUP_KEYS if not (is_prospective and name in METER_GROUP_KEYS))
    return EnsembleConfig(
        FEATURE_NAMES,
        used,
        group_keys,
        detector_features=DETECTOR_FEATURES,
        has_peers=True,
        has_invoice_rows=True,
        quick=quick,
    )


def is_omitted_gas(name: str) -> bool:
    return name.startswith("gas_") and name.endswith(OMITTED_GAS_STATISTICS)


def describe_run(dataset: Dataset) -> dict:
    """The report's facts on the data and the method."""
    active = f"Active: last invoice on or after {np.datetime64(int(dataset.active_from), 'D')}."
    data = {"data": dataset.name, "n_clients": len(dataset.label), "n_invoices": dataset.n_invoices}
    if not dataset.has_labels:
        return data | {"how": [UNLABELLED_METHOD, active]}
    weighed = [] if dataset.weight is None else [describe_weights(dataset.weight[~np.isnan(dataset.label)])]
    return data | {
        "fraud_rate": dataset.fraud_rate,
        "how": [*METHOD, *describe_selection(dataset.label), *weighed, active],
    }


def without_invoices(view: str, stamp: dict, base_model: FraudModel | None = None) -> TrainingResult:
    """The result that readings are added to where no invoices are learned."""
    return TrainingResult({"run": {"view": view, "how": []} | stamp, "results": []}, base_model)
