"""A fitted model that scores clients one by one or in small batches, as the service does.

In:  ClientTables, or one flat object of aggregates a client.
Out: a Score for each client, with reasons where they are asked for, and with what a visit may bring.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairmeter.analysis.anomalies import find_anomalies
from fairmeter.core.types import Score, StoredInvoiceScore
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.parsing import NAT, parse_number
from fairmeter.data.tables import CLIENT_FIELDS, select_clients
from fairmeter.explanation.explain import ScoringContext, explain, explain_aggregates
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.inspection_list import add_recovery, estimate_recoveries
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.scoring.client_tables import ClientTables
from fairmeter.scoring.problems import InvalidRow

if TYPE_CHECKING:
    from fairmeter.scoring.population_drift import DriftMonitor

MAX_NUMBER = float(np.finfo(np.float32).max)  # features are float32
LAST_YEAR_LEVEL = FEATURE_NAMES.index("elec_year_0_level")
COLUMNS = {given: (field.name, field.convert) for field in CLIENT_FIELDS for given in field[:2]}


class Predictor:
    """A FraudModel behind the two forms of a client (batches.Scorer)."""

    def __init__(self, model: FraudModel, billable_months: int = BILLABLE_MONTHS) -> None:
        self._model, self._billable_months = model, billable_months
        self.manifest = model.manifest | ({"sha256": model.sha256} if model.sha256 else {})
        self._feature_names = frozenset(model.manifest["features"])
        columns = () if model.aggregates is None else model.aggregates.inputs.columns
        self.aggregates = tuple(model.manifest["features"][column] for column in columns)  # as /v2 names its tensors

    def score(
        self,
        tables: ClientTables,
        with_reasons: bool | Collection[str] = False,
        stored: Sequence[StoredInvoiceScore | None] | None = None,
        losses: TransformerLosses | None = None,
        on_context: Callable[[ScoringContext], None] | None = None,
    ) -> list[Score]:
        """A score for each client, with the recovery that a visit may bring.

        with_reasons: explain all clients, none, or those whose severity is in a collection.
        stored: the score by invoices that are not at hand; losses: what the clients' transformers lost.
        on_context: called with the tables and features, by which drift is measured.
        """
        context = self.context(tables, stored, losses)
        if on_context is not None:
            on_context(context)
        ids = context.clients["client_id"]
        scores = self._model.score_clients(
            context.invoice_features, ids, tables.quality, context.reading_features, stored
        )
        scores = self._explain(scores, context, with_reasons) if with_reasons else scores
        evidence = context.clients, context.invoices, context.daily_consumption, context.reading_features
        recoveries = estimate_recoveries(self._model, *evidence, self._billable_months, context.series)
        scores = add_recovery(scores, recoveries)
        readings = self._model.readings
        return add_anomalies(scores, self._model, context, readings and readings.surroundings)

    def context(
        self,
        tables: ClientTables,
        stored: Sequence[StoredInvoiceScore | None] | None = None,
        losses: TransformerLosses | None = None,
    ) -> ScoringContext:
        """The tables with the features made of them."""
        clients, invoices, readings, quality, names = tables
        series = InvoiceSeries.from_tables(clients, invoices)
        billed = client_features(clients, invoices, self._model.group_key_names, series)
        days = DailyConsumption.from_readings(readings, len(quality)) if len(readings["client"]) else None
        metered = None if days is None else self._model.features_from_days(days, losses)
        billed, metered = self._model.judge(billed, metered)
        return ScoringContext(clients, invoices, billed, days, metered, stored, names, series)

    def _explain(self, scores: list[Score], context: ScoringContext, severities: bool | Collection[str]) -> list[Score]:
        is_explained = np.array([severities is True or score.severity in severities for score in scores], bool)
        if not is_explained.any():
            return scores
        rows = np.flatnonzero(is_explained).tolist()
        part = context if is_explained.all() else _select(context, is_explained)
        found = dict(zip(rows, explain(self._model, [scores[row] for row in rows], part), strict=True))
        return [found.get(row, score) for row, score in enumerate(scores)]

    def drift_monitor(self) -> "DriftMonitor":
        """A monitor of how far clients are from those in the training data."""
        from fairmeter.scoring.population_drift import DriftMonitor  # the demonstration needs it; scoring does not

        return DriftMonitor(self._model)

    def anomaly_timeline(self, days: DailyConsumption) -> dict[str, np.ndarray]:
        """By detector, how unusual each day was. [float64, (rows,); 1 and more is unusual]"""
        from fairmeter.models.detectors.anomaly_timeline import timeline  # a page shows it; scoring does not need it

        readings = self._model.readings
        return timeline(days, *((readings.surroundings, readings.networks_of_days) if readings else ()))

    def score_aggregates(self, features: list[dict], client_ids: list[str], with_reasons: bool = False) -> list[Score]:
        """A score for each client by finished aggregates. Raises InvalidRow."""
        rows = [parse_aggregates(row, i, self._feature_names) for i, row in enumerate(features)]
        scores = self._model.score_aggregates(rows, client_ids)
        scores = explain_aggregates(self._model, scores, rows) if with_reasons else scores
        return add_recovery(scores, [None] * len(scores))


def _select(context: ScoringContext, chosen: np.ndarray) -> ScoringContext:
    """The context of some clients. [mask]"""
    rows = np.flatnonzero(chosen)
    clients, invoices = select_clients(rows, context.clients, context.invoices)
    days, readings, stored = context.daily_consumption, context.reading_features, context.stored_invoice_scores
    return replace(
        context,
        clients=clients,
        invoices=invoices,
        invoice_features=context.invoice_features.of(chosen),
        daily_consumption=days and days.for_clients(chosen),
        reading_features=readings and readings.of(chosen),
        stored_invoice_scores=stored and [stored[row] for row in rows.tolist()],
        series=None,
    )


def add_anomalies(
    scores: list[Score], model: FraudModel, context: ScoringContext, covariates: Covariates | None
) -> list[Score]:
    """The scores with what is unusual of their clients. [covariates: of the neighbours, where they are known]"""
    peers = None if model.invoices is None else model.invoices.inputs.peers
    gap = None if peers is None else peers.deviation_of(LAST_YEAR_LEVEL, context.invoice_features.features)
    found = find_anomalies(len(scores), context.invoices, context.daily_consumption, covariates, gap)
    return [replace(score, anomalies=one) if one else score for score, one in zip(scores, found, strict=True)]


def parse_aggregates(row: dict, index: int, feature_names: frozenset[str]) -> dict:
    """A flat client's features by name, as numbers or None; what is no feature stays as it is, and is flagged later.

    Raises InvalidRow. [index: of the row]
    """
    numbers = {}
    for given, value in row.items():
        name, convert = COLUMNS.get(given, (given, parse_number))
        if name in numbers:
            raise InvalidRow(index, given, f"given as {name} too; keep one")
        try:
            numbers[name] = _number_or_none(convert(value)) if name in feature_names else value
        except ValueError as error:
            raise InvalidRow(index, given, str(error)) from None
    return numbers


def _number_or_none(number: float) -> float | None:
    if np.isnan(number) or number == NAT:
        return None
    if abs(number) > MAX_NUMBER:
        raise ValueError("too large a number")
    return number
