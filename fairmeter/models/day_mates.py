"""Invoices beside those of their mates: the clients of the same region whose same energy was read on the same day.

In:  InvoiceRows (fairmeter/core/types.py), with the values of COMPARED first.
Out: each value less the mates' mean, and columns per client of these differences [float32, (clients, columns)].

The means are fitted in training, and a later file does not change them: a client has the same columns alone and in any
batch. Days of which training had no mates give missing values.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import InvoiceRows
from fairmeter.features.base import ENERGIES
from fairmeter.features.invoices.invoice_rows import COMPARED, ROW_COLUMNS

MIN_MATES = 8  # clients in a stored mean: fewer say little, and could disclose a single client
RECENT_DAYS = 730
DAY, ENERGY = ROW_COLUMNS.index("day"), ROW_COLUMNS.index("energy")
STATISTICS = ("mean", "std", "max", "min")
OTHERS = COMPARED[1:]  # of electricity alone
COLUMN_NAMES = (
    *(f"mates_{energy}_level_{name}" for energy in ENERGIES for name in (*STATISTICS, "slope", "recent")),
    *(f"mates_{name}_{statistic}" for name in OTHERS for statistic in STATISTICS),
)


@dataclass(frozen=True)
class DayMates:
    """Mean values by key. keys: uint64, ascending; means: float32 (keys, len(COMPARED)), NaN of too few invoices."""

    keys: np.ndarray
    means: np.ndarray

    @classmethod
    def fit(cls, rows: InvoiceRows) -> "DayMates":
        """Means over at least MIN_MATES clients. A client has one invoice of an energy on a day."""
        keys, place = np.unique(rows.mates, return_inverse=True)
        total, n = _sums(rows, place, len(keys))
        means = np.where(n >= MIN_MATES, total / np.maximum(n, 1), np.nan)
        is_kept = (n >= MIN_MATES).any(axis=0)
        return cls(keys[is_kept], means[:, is_kept].T.astype(np.float32))

    def beside(self, rows: InvoiceRows) -> np.ndarray:
        """Values of COMPARED less those of the mates. [float32, (invoices, len(COMPARED))]"""
        values = rows.values[:, : len(COMPARED)]
        if not len(self.keys):
            return np.full_like(values, np.nan)
        at = np.minimum(np.searchsorted(self.keys, rows.mates), len(self.keys) - 1)
        is_known = (self.keys[at] == rows.mates)[:, None]
        return np.where(is_known, values - self.means[at], np.float32(np.nan))


def beside_others(rows: InvoiceRows) -> np.ndarray:
    """As `DayMates.beside` for the clients that it is fitted on: each one's own values stay out of its mates' mean."""
    keys, place = np.unique(rows.mates, return_inverse=True)
    total, n = _sums(rows, place, len(keys))
    values = rows.values[:, : len(COMPARED)].astype(np.float64)
    own, n = np.nan_to_num(values), n[:, place].T
    others = np.where(n >= MIN_MATES, (total[:, place].T - own) / np.maximum(n - 1, 1), np.nan)
    return (values - others).astype(np.float32)


def _sums(rows: InvoiceRows, place: np.ndarray, n_keys: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums and numbers of the known values by key. [place: the key's number of each invoice; (len(COMPARED), keys)]"""
    values = rows.values[:, : len(COMPARED)].T.astype(np.float64)
    total = [np.bincount(place, np.nan_to_num(value), n_keys) for value in values]
    n = [np.bincount(place, ~np.isnan(value), n_keys) for value in values]
    return np.array(total), np.array(n)


def mate_columns(rows: InvoiceRows, beside: np.ndarray) -> np.ndarray:
    """COLUMN_NAMES of each client. [beside: of its invoices; float32, (clients, columns)]"""
    clients, day, energy = Segments(rows.counts), rows.values[:, DAY].astype(np.float64), rows.values[:, ENERGY]
    off = beside.T.astype(np.float64)
    series = np.array([*(np.where(energy == i, off[0], np.nan) for i in range(len(ENERGIES))), *off[1:]])
    series[len(ENERGIES) :, energy > 0] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        n, mean, deviation = clients.moments(series)
        found = np.array([mean, deviation, clients.largest(series), clients.smallest(series)])
        level = series[: len(ENERGIES)]
        more = _slope(clients, level, day), _recent(clients, level, day) - mean[: len(ENERGIES)]
    found[:, n == 0] = np.nan
    of_level = np.concatenate([found[:, : len(ENERGIES)], more])
    columns = [*of_level.transpose(1, 0, 2), *found[:, len(ENERGIES) :].transpose(1, 0, 2)]
    return np.concatenate(columns).T.astype(np.float32)


def _slope(clients: Segments, level: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Trend of the difference in level, a year. [(2, rows) -> (2, clients)]"""
    known = ~np.isnan(level)
    since = np.where(known, day, np.nan)
    since = since - clients.spread(clients.mean(since))
    products = np.where(known, np.array([since * level, since * since]), 0.0)
    with_day, of_day = clients.total(products)
    return with_day / of_day * 365.0


def _recent(clients: Segments, level: np.ndarray, day: np.ndarray) -> np.ndarray:
    last = clients.spread(clients.largest(np.where(np.isnan(level), np.nan, day)))
    return clients.mean(np.where(last - day < RECENT_DAYS, level, np.nan))
