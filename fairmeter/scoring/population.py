"""A client base before its model: tables, and days of readings -> scores, reasons.

In:  FraudModel, canonical tables (data/README.md), where the model judges readings Days.
Out: a Score each client in the order of the table, a chunk at a time; some of them explained.
Here the features of features.py meet the rooms of fraud/, for whatever holds many clients at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import Score, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous
from fairmeter.data.tables import Tables, select_clients
from fairmeter.explanation.explain import ScoringContext, explained
from fairmeter.features.invoices.matrix import client_features
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning import inspection_list
from fairmeter.planning.recovery import BILLABLE_MONTHS

CHUNK = 8192  # clients at a time; their features stay under 0.1 GB, and more are not faster


@dataclass(frozen=True)
class ClientBase:
    """A client base before its model: the tables, and where the model judges readings, days and what surrounds them."""

    model: FraudModel
    tables: Tables
    days: DailyConsumption | None = None
    beside: Covariates | None = None

    @classmethod
    def of(
        cls,
        model: FraudModel,
        tables: Tables,
        days: DailyConsumption | None,
        almanac: Exogenous = NO_EXOGENOUS,
        losses: TransformerLosses | None = None,
    ) -> "ClientBase":
        """With readings beside those of their region, and beside what their transformers lost."""
        if days is None or model.readings is None:
            return cls(model, tables)
        beside = model.readings.surroundings_of(days, regions(tables.clients), almanac)
        return cls(model, tables, days, replace(beside, losses=losses))

    def scored(
        self, billable_months: int = BILLABLE_MONTHS, watch: Callable[[ScoringContext], None] = lambda _: None
    ) -> Iterator[list[Score]]:
        """The clients' scores in the order of the table, a chunk at a time, each with what a visit may bring.

        watch: is shown what is known of each chunk.
        """
        for start in range(0, len(self.tables.quality), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(self.tables.quality)))
            known = self.known(rows)
            watch(known)
            quality = [self.tables.quality[row] for row in rows]
            scores = self.model.judge(
                known.invoice_features, known.clients["client_id"], quality, known.reading_features
            )
            recoveries = inspection_list.recoveries_of(
                self.model,
                known.clients,
                known.invoices,
                known.daily_consumption,
                known.reading_features,
                billable_months,
            )
            yield inspection_list.with_worth(scores, recoveries)

    def billed(self, scores: list[Score]) -> np.ndarray:
        """Each client's score by invoices alone, NaN without any: what readings that come later add to."""
        found = np.array([np.nan if s.probability is None else s.probability for s in scores], dtype=np.float64)
        metered = np.flatnonzero(self.days.segments.counts) if self.days is not None else np.empty(0, np.int64)
        for start in range(0, len(metered), CHUNK):
            rows = metered[start : start + CHUNK]
            clients, invoices = select_clients(rows, self.tables.clients, self.tables.invoices)
            found[rows] = self.model.probability(client_features(clients, invoices, self.model.cells))
        return found

    def known(self, rows: np.ndarray) -> ScoringContext:
        """All that is known of some clients. [row numbers, ascending]"""
        clients, invoices = select_clients(rows, self.tables.clients, self.tables.invoices)
        billed = client_features(clients, invoices, self.model.cells)
        if self.days is None:
            return ScoringContext(clients, invoices, billed)
        chosen = np.zeros(len(self.tables.quality), dtype=bool)
        chosen[rows] = True
        days = self.days.for_clients(chosen)
        metered = self.model.readings.evidence(days, self.beside.for_clients(rows))
        return ScoringContext(clients, invoices, billed, days, metered)

    def with_reasons(self, scores: list[Score], rows: np.ndarray) -> list[Score]:
        """The scores, those of some clients explained; what was found harmless is heard. [row numbers, ascending]"""
        scores = list(scores)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            for row, score in zip(
                part, explained(self.model, [scores[row] for row in part], self.known(part)), strict=True
            ):
                scores[row] = replace(score, recommendation=inspection_list.recommendation(score))
        return scores


def regions(clients: Table) -> np.ndarray:
    """A number for each region; the clients without one share another. [int64, one a client]"""
    return np.unique(np.nan_to_num(clients["region"], nan=-1.0), return_inverse=True)[1]
