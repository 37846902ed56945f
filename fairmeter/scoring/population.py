"""A whole client base and its model: tables and daily consumption -> scores, a chunk at a time, with reasons for some.

In:  FraudModel, canonical tables (docs/data-dictionary.md), and daily consumption where the model scores readings.
Out: a Score for each client, in the order of the table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import Score, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous
from fairmeter.data.tables import Tables, select_clients
from fairmeter.explanation.explain import ScoringContext, explain
from fairmeter.features.invoices.matrix import client_features
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.inspection_list import add_recovery, estimate_recoveries, recommendation
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.scoring.predictor import add_anomalies

CHUNK = 8192  # clients at a time; their features stay under 0.1 GB, and more are not faster
CHUNK_DAYS = (
    2**18
)  # of hours at a time, of a client at least; they take 50 MB, and the figures made of them ten times that


@dataclass(frozen=True)
class ClientBase:
    """The clients of a run. [covariates: only where the model scores readings]"""

    model: FraudModel
    tables: Tables
    days: DailyConsumption | None = None
    covariates: Covariates | None = None

    @classmethod
    def from_tables(
        cls,
        model: FraudModel,
        tables: Tables,
        days: DailyConsumption | None = None,
        exogenous: Exogenous = NO_EXOGENOUS,
        losses: TransformerLosses | None = None,
    ) -> "ClientBase":
        """A base whose readings are compared with those of their region, and with their transformers' losses."""
        if days is None or model.readings is None:
            return cls(model, tables, days)
        covariates = model.readings.covariates_for(days, region_codes(tables.clients), exogenous)
        return cls(model, tables, days, replace(covariates, losses=losses))

    def scored(
        self, billable_months: int = BILLABLE_MONTHS, on_chunk: Callable[[ScoringContext], None] = lambda _: None
    ) -> Iterator[list[Score]]:
        """The scores of a chunk of clients at a time, each with what a visit may bring.

        on_chunk: called with the tables and features of each chunk.
        """
        for rows in self._chunks(np.arange(len(self.tables.quality))):
            context = self.context(rows)
            invoices, readings = self.model.judge(context.invoice_features, context.reading_features)
            context = replace(context, invoice_features=invoices, reading_features=readings)
            on_chunk(context)
            ids, quality = context.clients["client_id"], [self.tables.quality[row] for row in rows]
            scores = self.model.score_clients(context.invoice_features, ids, quality, context.reading_features)
            recoveries = estimate_recoveries(
                self.model,
                context.clients,
                context.invoices,
                context.daily_consumption,
                context.reading_features,
                billable_months,
            )
            scores = add_recovery(scores, recoveries)
            covariates = None if self.covariates is None else self.covariates.for_clients(rows)
            yield add_anomalies(scores, self.model, context, covariates)

    def invoice_scores(self, scores: list[Score]) -> np.ndarray:
        """The value of each client's score by its invoices only, NaN without one; later readings add to it.

        scores: of all clients. [float64, (clients,)]
        """
        found = np.array([np.nan if s.model_value is None else s.model_value for s in scores], dtype=np.float64)
        with_readings = np.flatnonzero(self.days.segments.counts) if self.days is not None else np.empty(0, np.int64)
        for start in range(0, len(with_readings), CHUNK):
            rows = with_readings[start : start + CHUNK]
            clients, invoices = select_clients(rows, self.tables.clients, self.tables.invoices)
            found[rows] = self.model.values(client_features(clients, invoices, self.model.group_key_names))
        return found

    def context(self, rows: np.ndarray) -> ScoringContext:
        """Tables and features of some clients. [row numbers, ascending]"""
        clients, invoices = select_clients(rows, self.tables.clients, self.tables.invoices)
        invoice_features = client_features(clients, invoices, self.model.group_key_names)
        if self.days is None:
            return ScoringContext(clients, invoices, invoice_features, code_names=self.tables.code_names)
        is_selected = np.zeros(len(self.tables.quality), dtype=bool)
        is_selected[rows] = True
        days = self.days.for_clients(is_selected)
        readings = self.model.readings
        reading_features = None if readings is None else readings.features(days, self.covariates.for_clients(rows))
        evidence = clients, invoices, invoice_features, days, reading_features
        return ScoringContext(*evidence, code_names=self.tables.code_names)

    def _chunks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Clients that are looked at together, which changes no value. [rows: row numbers, ascending]"""
        n_chunk = np.arange(len(rows)) // CHUNK
        if self.days is not None and self.days.hours is not None:
            n_days = np.cumsum(self.days.segments.counts[rows])
            n_chunk = n_chunk + n_days // CHUNK_DAYS
        yield from np.split(rows, 1 + np.flatnonzero(np.diff(n_chunk))) if len(rows) else ()

    def with_reasons(self, scores: list[Score], rows: np.ndarray) -> list[Score]:
        """The scores, those of some rows with reasons, harmless causes and the recommendation that follows.

        rows: row numbers, ascending.
        """
        scores = list(scores)
        for part in self._chunks(rows):
            with_reasons = explain(self.model, [scores[row] for row in part], self.context(part))
            for row, score in zip(part, with_reasons, strict=True):
                scores[row] = replace(score, recommendation=recommendation(score))
        return scores


def region_codes(clients: Table) -> np.ndarray:
    """A number for each region; clients without a region share one of their own. [int64, (clients,)]"""
    return np.unique(np.nan_to_num(clients["region"], nan=-1.0), return_inverse=True)[1]
