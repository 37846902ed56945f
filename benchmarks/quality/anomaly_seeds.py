"""Patterns of clear size, put into honest series: what benchmarks/quality/anomalies.py looks for.

In:  kWh by day (homes, days) or canonical invoices; the column or the day at which each pattern begins.
Out: copies of them with the pattern.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.consumption import LEVELS
from fairmeter.core.types import (
    GRADUAL_CHANGE,
    LOW_USE,
    NEIGHBOUR_DEVIATION,
    OWN_HISTORY,
    SUDDEN_SPIKE,
    TAMPERING,
    Table,
)

SATURDAY, WEEK = 5, 7


class Seed(NamedTuple):
    """A pattern put into one home's days from a column on. [ago: range of days from the onset to the last day]"""

    pattern: str
    put: Callable[[np.ndarray, int, int], None]  # (kwh of the home, column, weekday of column 0)
    ago: tuple[int, int]


def _times(kwh: np.ndarray, start: int, days: int, factor: float) -> None:
    kwh[start : start + days] *= factor


def _spike(kwh: np.ndarray, start: int, _: int) -> None:
    _times(kwh, start, 20, 3.0)


def _peak(kwh: np.ndarray, start: int, _: int) -> None:
    _times(kwh, start, 5, 4.5)


def _stopped(kwh: np.ndarray, start: int, _: int) -> None:
    for first in (start, start + 25):
        _times(kwh, first, 12, 0.0)


def _zero(kwh: np.ndarray, start: int, _: int) -> None:
    _times(kwh, start, 30, 0.0)


def _gradual(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start:] *= 1.0 - 0.7 * np.minimum(np.arange(len(kwh) - start) / 120, 1.0)


def _flat(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start : start + 60] = round(0.4 * float(np.nanmean(kwh[:start])), 1)


def _scale(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start:] *= 0.35


def _copied(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start : start + 28] = kwh[start - 28 : start]


def _rounded(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start : start + 30] = np.ceil(0.5 * kwh[start : start + 30])


def _stalled(kwh: np.ndarray, start: int, _: int) -> None:
    missed = np.nansum(kwh[start : start + 10])
    kwh[start : start + 10] = 0.0
    kwh[start + 10] += 0.7 * missed


def _phase(kwh: np.ndarray, start: int, _: int) -> None:
    kwh[start:] /= 3.0


def _weekends(kwh: np.ndarray, start: int, weekday: int) -> None:
    place = np.arange(len(kwh))
    kwh[(place >= start) & ((place + weekday) % WEEK >= SATURDAY)] *= 0.2


SEEDS = {
    "times 3 for 20 days": Seed(SUDDEN_SPIKE, _spike, (30, 86)),
    "zero for 30 days": Seed(LOW_USE, _zero, (32, 86)),
    "down 70 % over 120 days": Seed(GRADUAL_CHANGE, _gradual, (150, 211)),
    "flat for 60 days": Seed(TAMPERING, _flat, (61, 86)),
    "35 % of itself": Seed(OWN_HISTORY, _scale, (70, 120)),
    "35 % beside its neighbours": Seed(NEIGHBOUR_DEVIATION, _scale, (95, 150)),
    "times 4.5 for 5 days": Seed(SUDDEN_SPIKE, _peak, (8, 86)),
    "four weeks copied": Seed(TAMPERING, _copied, (30, 86)),
    "rounded up to whole kWh for 30 days": Seed(TAMPERING, _rounded, (31, 86)),
    "a stall of 10 days and a catch-up": Seed(TAMPERING, _stalled, (12, 86)),
    "two standstills of 12 days": Seed(TAMPERING, _stopped, (45, 86)),
    "two phases of three lost": Seed(TAMPERING, _phase, (40, 86)),
    "weekends at a fifth": Seed(TAMPERING, _weekends, (60, 86)),
}


def planted(kwh: np.ndarray, last: np.ndarray, seed: Seed, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(a copy of the homes' days with the pattern, the day on which it begins in each). [last: day since 1970]"""
    out, n = kwh.copy(), kwh.shape[1]
    start = n - rng.integers(*seed.ago, len(kwh))
    first = last - (n - 1)
    for home, column, weekday in zip(out, start.tolist(), ((first + 3) % WEEK).tolist(), strict=True):
        seed.put(home, column, weekday)
    return out, first + start


# --- invoices ---------------------------------------------------------------------------------------------------------

YEAR = 366  # days


def scaled_invoices(invoices: Table, share: np.ndarray) -> Table:
    """The invoices with their consumption scaled, and the indexes left as they are. [share: (rows,)]"""
    return invoices | {name: invoices[name] * share for name in LEVELS}


def days_to_newest(invoices: Table, n_clients: int) -> np.ndarray:
    """Days from each electricity invoice to the client's newest one; a large number for gas. [(rows,)]"""
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    newest = np.full(n_clients, np.iinfo(np.int64).min)
    is_own = invoices["energy"] == 0
    np.maximum.at(newest, invoices["client"][is_own], day[is_own])
    return np.where(is_own, newest[invoices["client"]] - day, 10 * YEAR)


INVOICE_SEEDS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "last invoice times 4": (SUDDEN_SPIKE, lambda ago: np.where(ago == 0, 4.0, 1.0)),
    "zero for three years": (LOW_USE, lambda ago: np.where(ago < 3 * YEAR - 60, 0.0, 1.0)),
    "down 45 % in each of two years": (
        GRADUAL_CHANGE, lambda ago: np.select([ago < YEAR - 16, ago < 2 * YEAR - 16], [0.3, 0.55], 1.0)
    ),
    "last year at a fifth": (OWN_HISTORY, lambda ago: np.where(ago < YEAR - 16, 0.2, 1.0)),
    "last year at three times": (OWN_HISTORY, lambda ago: np.where(ago < YEAR - 16, 3.0, 1.0)),
}  # fmt: skip
