"""What single invoices add to a client's features: differences from mates, and the scores of trees on invoices.

In:  InvoiceRows (fairmeter/core/types.py).
Out: COLUMN_NAMES of each client [float32, (clients, columns)]. A client's columns are the same alone and in a batch.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import InvoiceRows
from fairmeter.models import day_mates
from fairmeter.models.day_mates import DAY, ENERGY, RECENT_DAYS, DayMates, mate_columns
from fairmeter.models.runtime.onnx_trees import OnnxTrees

TREE_COLUMN_NAMES = tuple(
    f"invoice_trees_{name}"
    for name in (
        "mean", "std", "max", "q90", "median", "min", "last", "top_3", "odds", "recent", "recent_max", "peak_ago",
        "elec", "gas",
    )
)  # fmt: skip
COLUMN_NAMES = (*day_mates.COLUMN_NAMES, *TREE_COLUMN_NAMES)
SHARES = (1.0, 0.9, 0.5, 0.0)  # quantiles
TOP = 3  # invoices


@dataclass(frozen=True)
class InvoiceEvidence:
    """Mates' means, and trees that score each invoice by itself."""

    mates: DayMates
    trees: OnnxTrees

    def columns(self, rows: InvoiceRows) -> np.ndarray:
        """COLUMN_NAMES of each client; NaN without an invoice."""
        beside = self.mates.beside(rows)
        return client_columns(rows, beside, self.log_odds(rows, beside))

    def log_odds(self, rows: InvoiceRows, beside: np.ndarray) -> np.ndarray:
        """Score of each invoice. [float64, log-odds]"""
        if not len(rows.values):
            return np.empty(0)
        return self.trees.values(tree_inputs(rows, beside))


def tree_inputs(rows: InvoiceRows, beside: np.ndarray) -> np.ndarray:
    """What the trees see of each invoice. [float32, (invoices, len(ROW_COLUMNS) + len(COMPARED))]"""
    return np.concatenate([rows.values, beside], axis=1)


def client_columns(rows: InvoiceRows, beside: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """COLUMN_NAMES of each client. [beside, log_odds: of its invoices]"""
    return np.concatenate([mate_columns(rows, beside), tree_columns(rows, log_odds)], axis=1)


def tree_columns(rows: InvoiceRows, log_odds: np.ndarray) -> np.ndarray:
    """TREE_COLUMN_NAMES of each client. [float32, (clients, columns)]"""
    clients, day, energy = Segments(rows.counts), rows.values[:, DAY].astype(np.float64), rows.values[:, ENERGY]
    log_odds = np.where(np.isnan(day), np.nan, log_odds)
    with np.errstate(invalid="ignore", divide="ignore"):
        n, mean, deviation = clients.moments(log_odds[None])
        most, high, middle, least = clients.quantiles(log_odds[None], SHARES, n)[:, 0]
        last_day = clients.largest(day)
        of_last = np.where(day == clients.spread(last_day), log_odds, np.nan)
        recent = np.where(clients.spread(last_day) - day < RECENT_DAYS, log_odds, np.nan)
        peak_on = clients.largest(np.where(log_odds.astype(np.float32) >= clients.spread(most), day, np.nan))
        parts = np.array([of_last, recent, *(np.where(energy == i, log_odds, np.nan) for i in range(2))])
        last, lately, electricity, gas = clients.mean(parts)
        odds = np.log(clients.mean(np.exp(log_odds)))
    columns = [
        mean[0], deviation[0], most, high, middle, least, last, _top_mean(clients, log_odds), odds, lately,
        clients.largest(recent), last_day - peak_on, electricity, gas,
    ]  # fmt: skip
    return np.array(columns).T.astype(np.float32)


def _top_mean(clients: Segments, log_odds: np.ndarray) -> np.ndarray:
    """Mean of the TOP highest scores of each client."""
    order = np.lexsort((-log_odds, clients.index))
    return clients.mean(np.where(clients.position < TOP, log_odds[order], np.nan))
