"""Readings -> the ensemble on readings: alone, added to a base model, or next to ensembles on invoices.

In:  ReadingTables, labelled by themselves, by the invoices' clients, by inspections, or not at all.
Out: the TrainingResult with the metrics of the readings and, unless the run only validates, with the ensemble.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fairmeter.analysis.energy_balance import energy_balances
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.readings import ReadingTables
from fairmeter.data.transformers import flags_of_join, has_transformers, read_transformers
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.features.readings.matrix import FEATURE_NAMES as READING_FEATURES
from fairmeter.models.fraud_model import FraudModel
from fairmeter.training.attacks import HonestHouseholds
from fairmeter.training.dataset import Dataset, TrainingError, describe_selection
from fairmeter.training.inspection_labels import AS_OF, InspectionLabels, label_readings, truncate_at_inspection
from fairmeter.training.invoice_pipeline import TrainingResult
from fairmeter.training.manifest import manifest_without_invoices, ranks_manifest
from fairmeter.training.options import PROMISED_PRECISION, SEED, TrainingOptions
from fairmeter.training.validation.readings import (
    FOLDS,
    ReadingTrainingResult,
    train_on_attacks,
    train_on_labels,
    train_without_labels,
)

REPORTED_FACTS = ("data", "n_clients")  # of the manifest's entry on readings
THEFT_SHARE = 0.065  # of clients, assumed without labels: that of active clients in the public invoices


@dataclass(frozen=True)
class ReadingTrainingSet:
    """Readings ready to be fitted on. [label: 1, 0, NaN unknown; None without labels]"""

    name: str
    days: DailyConsumption
    label: np.ndarray | None
    flags: list
    exogenous: Exogenous
    transformer_losses: TransformerLosses | None

    @property
    def n_clients(self) -> int:
        """Number of clients with any reading."""
        return int(self.days.segments.filled.sum())

    @property
    def flag_texts(self) -> list[str]:
        return [flag.text for flag in self.flags]


def prepare_readings(
    tables: ReadingTables,
    name: str,
    dataset: Dataset | None,
    inspections: InspectionLabels | None,
    exogenous: Exogenous,
    options: TrainingOptions,
) -> ReadingTrainingSet:
    """Label the readings, drop those after an inspection, and total them by day.

    name: of the readings, for the report. Raises TrainingError, TableError.
    """
    tables, as_of = with_labels(tables, dataset, options, inspections)
    transformer_losses = read_transformer_losses(options.sources, dataset, tables)
    tables = truncate_at_inspection(tables, as_of)
    days = daily_consumption(tables, name)
    check_weather(exogenous, days, options)
    return ReadingTrainingSet(name, days, tables.label, tables.flags, exogenous, transformer_losses)


def train_on_readings(
    result: TrainingResult,
    training_set: ReadingTrainingSet,
    options: TrainingOptions,
    stamp: dict,
    on_step: Callable[[str], None],
) -> TrainingResult:
    """Fit and measure the ensemble on readings, and add it to the result. Raises TrainingError."""
    theft_share = theft_share_of(training_set.label, result.model, options)
    fitted = fit_and_measure(training_set, theft_share, options, on_step)
    return add_readings(result, training_set, fitted, options, stamp)


def with_labels(
    tables: ReadingTables, dataset: Dataset | None, options: TrainingOptions, inspections: InspectionLabels | None
) -> tuple[ReadingTables, np.ndarray | None]:
    """Readings without labels of their own take those of the dataset's clients, and are restricted to these clients.

    Returns the day of the inspection too, where the label is an inspection's. Labels of readings have no weights: the
    ensemble on readings is a ratio of likelihoods, which the share of thieves does not change.
    """
    if tables.label is not None or options.attack or dataset is None:
        return label_readings(inspections, tables, options.only_inspections) if inspections else (tables, None)
    tables = replace(tables.for_clients(dataset.tables.clients["client_id"]), label=dataset.label)
    return tables, dataset.tables.clients.get(AS_OF)


def daily_consumption(tables: ReadingTables, name: str) -> DailyConsumption:
    """Raises TrainingError without any reading. [name: of the readings]"""
    days = DailyConsumption.from_readings(tables.readings, len(tables.client_ids))
    if not days.segments.filled.any():
        raise TrainingError(f"{name} has no reading of any client, so there is nothing to learn from.")
    return days


def fit_and_measure(
    training_set: ReadingTrainingSet, theft_share: float, options: TrainingOptions, on_step: Callable[[str], None]
) -> ReadingTrainingResult:
    """Fit on injected thefts (--attack), on labels, or on the ranks of detectors without labels."""
    days, label = training_set.days, training_set.label
    how = SEED, options.quick, on_step, training_set.exogenous
    if options.attack:
        base, only = HonestHouseholds.from_consumption(days), (options.validate, options.convolution)
        return train_on_attacks(base, theft_share, PROMISED_PRECISION, *how, *only)
    if not has_labels(label):
        return train_without_labels(days, *how)
    measured_folds = FOLDS if options.validate else 1
    measured = PROMISED_PRECISION, measured_folds, *how, options.validate
    return train_on_labels(days, label, theft_share, *measured, training_set.transformer_losses)


def add_readings(
    result: TrainingResult,
    training_set: ReadingTrainingSet,
    fitted: ReadingTrainingResult,
    options: TrainingOptions,
    stamp: dict,
) -> TrainingResult:
    """The result with the metrics of the readings and, unless the run only validates, with their ensemble."""
    exogenous_files = {"weather": options.weather, "holidays": options.holidays}
    facts = {"data": training_set.name, "n_clients": training_set.n_clients, "made": fitted.metrics["made"]}
    facts |= {what: Path(file).name for what, file in exogenous_files.items() if file}
    quality = [*result.metrics.get("quality", []), *training_set.flags]
    run = result.metrics["run"] | {"readings": facts}
    selection = [] if training_set.label is None else describe_selection(training_set.label)
    run |= {"how": [*run["how"], *(each for each in selection if each not in run["how"])]}
    metrics = result.metrics | {"quality": quality, "readings": fitted.metrics, "run": run}
    if options.validate:
        return TrainingResult(metrics, None)
    base = result.model
    manifest = base.manifest if base else manifest_without_invoices(options.view, FEATURE_NAMES)
    if base is None and fitted.ranks is None:
        manifest |= {"fraud_rate": fitted.thresholds["theft_share"]}
    manifest = manifest | stamp | {"readings": facts | fitted.thresholds, "reading_features": list(READING_FEATURES)}
    if fitted.ranks is not None:
        manifest = ranks_manifest(manifest, "readings", fitted.ranks)
    on_invoices = (base.invoices, base.aggregates) if base else (None, None)
    return TrainingResult(metrics, FraudModel(*on_invoices, fitted.model, manifest))


def keep_readings(result: TrainingResult, base: FraudModel) -> TrainingResult:
    """The result of a training on invoices with the ensemble on readings of another model, as it is.

    A run that only validates has no model and stays as it is.
    """
    if result.model is None:
        return result
    kept = {name: base.manifest[name] for name in ("readings", "reading_features")}
    manifest, run = result.model.manifest | kept, result.metrics["run"]
    ranks = (base.manifest.get("ranks") or {}).get("readings")
    if ranks is not None:
        manifest = ranks_manifest(manifest, "readings", ranks)
    facts = {name: kept["readings"][name] for name in REPORTED_FACTS}
    how = [*run["how"], f"The ensemble on readings is that of version {base.manifest['version']}, as it was."]
    metrics = result.metrics | {"run": run | {"readings": facts, "how": how}}
    return TrainingResult(metrics, replace(result.model, readings=base.readings, manifest=manifest))


def has_labels(label: np.ndarray | None) -> bool:
    return label is not None and not np.isnan(label).all()


def theft_share_of(label: np.ndarray | None, base: FraudModel | None, options: TrainingOptions) -> float:
    """Share of thieves among clients: by the labels of invoices, else of readings; 0.5 without any. [0..1]"""
    if base is not None:
        return base.prior
    if options.attack:
        return THEFT_SHARE
    return float(np.nanmean(label)) if has_labels(label) else 0.5


def read_transformer_losses(
    sources: Sequence[Path], dataset: Dataset | None, tables: ReadingTables
) -> TransformerLosses | None:
    """Daily losses of the clients' transformers, where the sources hold their totals. Raises TableError."""
    if dataset is None or not has_transformers(*sources):
        return None
    clients = dataset.tables.clients
    if "transformer_id" not in clients or not np.array_equal(tables.client_ids, clients["client_id"]):
        return None
    days = DailyConsumption.from_readings(tables.readings, len(tables.client_ids))
    measured = read_transformers(*sources)
    dataset.tables.flags.extend(flags_of_join(measured, clients["transformer_id"]))
    return energy_balances(measured, clients["transformer_id"], days, dataset.tables.invoices).losses


def check_weather(exogenous: Exogenous, days: DailyConsumption, options: TrainingOptions) -> None:
    """Raises TrainingError where no day of the readings has a temperature."""
    first, last = days.day.min(), days.day.max()
    weather = exogenous.weather
    if weather is not None and not ((weather[0] >= first) & (weather[0] <= last)).any():
        begins, ends = np.array([first, last]).astype("datetime64[D]")
        raise TrainingError(
            f"{options.weather} has no temperature from {begins} to {ends}, the days of the readings; "
            "give the weather of their place and time, or leave --weather out."
        )
