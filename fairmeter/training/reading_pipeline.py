"""The ensemble on readings as train.py fits it: alone, onto a model of invoices, or beside one that is fitted with it.

In:  ReadingTables, with labels of their own, of the invoices' clients, of visits, or with none.
Out: the metrics with the readings' part, and the FraudModel with the ensemble.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from fairmeter.analysis.energy_balance import balances_of
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.readings import ReadingTables
from fairmeter.data.transformers import has_transformers, read_transformers
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.features.readings.matrix import FEATURE_NAMES as READING_FEATURES
from fairmeter.models.fraud_model import FraudModel
from fairmeter.training.attacks import HonestHouseholds
from fairmeter.training.dataset import Dataset, TrainingError
from fairmeter.training.inspection_labels import AS_OF, InspectionLabels, labelled
from fairmeter.training.manifest import manifest_without_invoices
from fairmeter.training.reading_fitting import Tell
from fairmeter.training.validation.readings import FOLDS, ReadingTrainingResult, of_attacked, of_labelled, of_unlabelled

THEFT_SHARE = 0.065  # of clients, where no label tells: as labelled among active clients of the public invoices


def with_labels(
    tables: ReadingTables, study: Dataset | None, options: argparse.Namespace, visits: InspectionLabels | None
) -> tuple[ReadingTables, np.ndarray | None]:
    """With the labels of the study's clients, and of these alone, where there is a study and no label of their own.

    And the day of the visit where the label is a visit's. They are not weighted: what readings add is how much likelier
    they are of a thief than of others, whatever the share of thieves.
    """
    if tables.label is not None or options.attack or study is None:
        return labelled(visits, tables, options.only_visits) if visits else (tables, None)
    tables = replace(tables.for_clients(study.tables.clients["client_id"]), label=study.label)
    return tables, study.tables.clients.get(AS_OF)


def days_of(tables: ReadingTables, name: str, almanac: Exogenous, options: argparse.Namespace) -> DailyConsumption:
    """Raises TrainingError where there is nothing to learn from. [name: of the readings]"""
    days = DailyConsumption.of(tables.readings, len(tables.client_ids))
    if not days.segments.filled.any():
        raise TrainingError(f"{name} has no reading of any client, so there is nothing to learn from.")
    check_weather(almanac, days, options)
    return days


def fitted(
    days: DailyConsumption,
    labels: np.ndarray | None,
    theft_share: float,
    options: argparse.Namespace,
    promises: dict[str, float],
    seed: int,
    tell: Tell,
    almanac: Exogenous,
    losses: TransformerLosses | None = None,
) -> ReadingTrainingResult:
    """By attacked households, by labels, or by rank. [labels: None, or all missing, where none tells]"""
    how = seed, options.quick, tell, almanac
    if options.attack:
        return of_attacked(HonestHouseholds.of(days), theft_share, promises, *how, options.validate)
    if not has_labels(labels):
        return of_unlabelled(days, theft_share, *how)
    folds = FOLDS if options.validate else 1
    return of_labelled(days, labels, theft_share, promises, folds, *how, options.validate, losses)


def joined(
    metrics: dict,
    base: FraudModel | None,
    outcome: ReadingTrainingResult,
    known: dict,
    options: argparse.Namespace,
    stamp: dict,
) -> tuple[dict, FraudModel | None]:
    """The metrics and, where not --validate, the model with the readings' parts. [base: on invoices; known: of data]"""
    beside = {"weather": options.weather, "holidays": options.holidays}
    known = known | {"made": outcome.metrics["made"]} | {what: Path(f).name for what, f in beside.items() if f}
    metrics = metrics | {"readings": outcome.metrics, "run": metrics["run"] | {"readings": known}}
    if options.validate:
        return metrics, None
    share = outcome.cuts["theft_share"]
    of_base = base.manifest if base else manifest_without_invoices(options.view, share, FEATURE_NAMES)
    manifest = of_base | stamp | {"readings": known | outcome.cuts, "reading_features": list(READING_FEATURES)}
    parts = (base.invoices, base.aggregates) if base else (None, None)
    return metrics, FraudModel(*parts, outcome.model, manifest)


def has_labels(labels: np.ndarray | None) -> bool:
    return labels is not None and not np.isnan(labels).all()


def theft_share_of(labels: np.ndarray | None, base: FraudModel | None, options: argparse.Namespace) -> float:
    """Of the clients: by the invoices' labels, else by these; a half, where none tells, leaves ranks as they are."""
    if base is not None:
        return base.manifest["fraud_rate"]
    if options.attack:
        return THEFT_SHARE
    return float(np.nanmean(labels)) if has_labels(labels) else 0.5


def losses_beside(data: list[Path], study: Dataset | None, tables: ReadingTables) -> TransformerLosses | None:
    """What the clients' transformers lost, where their totals are among the data. Raises TableError."""
    if study is None or not has_transformers(*data):
        return None
    clients = study.tables.clients
    if "transformer_id" not in clients or not np.array_equal(tables.client_ids, clients["client_id"]):
        return None
    days = DailyConsumption.of(tables.readings, len(tables.client_ids))
    return balances_of(read_transformers(*data), clients["transformer_id"], days, study.tables.invoices).losses


def check_weather(almanac: Exogenous, days: DailyConsumption, options: argparse.Namespace) -> None:
    """Raises TrainingError where no day of the readings has a temperature."""
    first, last = days.day.min(), days.day.max()
    if almanac.weather is not None and not ((almanac.weather[0] >= first) & (almanac.weather[0] <= last)).any():
        begins, ends = np.array([first, last]).astype("datetime64[D]")
        raise TrainingError(
            f"{options.weather} has no temperature from {begins} to {ends}, the days of the readings; "
            "give that of their place and time, or leave --weather out."
        )
