"""Invoices in a definite order, and the series that the features are statistics of.

In:  canonical tables clients and invoices (fraud/tables.py), invoices sorted by client.
Out: `Rows`: the invoices sorted by client, energy and date, with their segments and their series; missing stays NaN.

A *pair* is one client's electricity or one client's gas: pair 2i is client i's electricity, pair 2i + 1 its gas.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fraud.records import Table
from fraud.segments import Segments

ENERGIES = ("elec", "gas")
DAYS_PER_MONTH = 30.44
LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))
# What settles the order of invoices of one client, energy and day: without it a feature would depend on the file's order.
TIE_BREAKS = (
    "coefficient", "remark", "meter_code", "meter_status", "tariff", "months", *reversed(LEVELS), "new_index", "old_index", "meter_id",
)  # fmt: skip


def _days(dates: np.ndarray) -> np.ndarray:
    return dates.astype("datetime64[D]").astype(np.int64)


def as_float_days(dates: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 as float64, NaN for a missing date."""
    days = _days(dates).astype(np.float64)
    days[np.isnat(dates)] = np.nan
    return days


def row_order(invoices: Table) -> np.ndarray:
    """The order by client, energy, day, then by every other column. [row numbers]"""
    day = _days(invoices["invoice_on"])
    key = (invoices["client"] << 22) | (invoices["energy"].astype(np.int64) << 21) | (day + (1 << 20))
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_tie = np.zeros(len(key), dtype=bool)
    is_tie[1:] = ordered[1:] == ordered[:-1]
    if is_tie.any():
        is_tie[:-1] |= is_tie[1:]
        tied = np.flatnonzero(is_tie)
        among = order[tied]
        order[tied] = among[np.lexsort([*(invoices[name][among] for name in TIE_BREAKS), ordered[tied]])]
    return order


@dataclass(frozen=True)
class Rows:
    """Ordered invoices of some clients, with what several features need of them. Arrays are one value a row."""

    clients: Table
    columns: Table
    by_pair: Segments
    by_client: Segments

    @classmethod
    def of(cls, clients: Table, invoices: Table) -> "Rows":
        order = row_order(invoices)
        columns = {name: column[order] for name, column in invoices.items()}
        n_pairs = 2 * len(clients["client_id"])
        counts = np.bincount(columns["client"] * 2 + columns["energy"], minlength=n_pairs)
        return cls(clients, columns, Segments(counts), Segments(counts.reshape(-1, 2).sum(axis=1)))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @cached_property
    def day(self) -> np.ndarray:
        return _days(self["invoice_on"]).astype(np.float64)

    @cached_property
    def month_of_year(self) -> np.ndarray:
        """0 (January) .. 11."""
        return self["invoice_on"].astype("datetime64[M]").astype(np.int64) % 12

    @cached_property
    def levels(self) -> np.ndarray:
        """Consumption at each price level [kWh, or m3 of gas as billed], shape (4, rows)."""
        return np.stack([self[name] for name in LEVELS])

    @cached_property
    def consumption(self) -> np.ndarray:
        """What the invoice bills: the sum of its known levels."""
        known = ~np.isnan(self.levels)
        return np.where(known.any(axis=0), np.where(known, self.levels, 0.0).sum(axis=0), np.nan)

    @cached_property
    def gap(self) -> np.ndarray:
        """Days since the same energy's previous invoice."""
        return self.day - self.by_pair.lag(self.day)

    @cached_property
    def months(self) -> np.ndarray:
        """Months the invoice covers; where the file does not say, what the gap suggests."""
        guess = np.clip(np.rint(self.gap / DAYS_PER_MONTH), 1, 24)
        return np.where(self["months"] >= 1, self["months"], guess)

    @cached_property
    def level(self) -> np.ndarray:
        """log(1 + kWh a month): the scale on which falls compare between small and large clients."""
        return np.log1p(self.consumption / self.months)

    @cached_property
    def change(self) -> np.ndarray:
        return self.level - self.by_pair.lag(self.level)

    @cached_property
    def off_average(self) -> np.ndarray:
        """Level less the mean of the three before it."""
        lags = [self.by_pair.lag(self.level, steps) for steps in (1, 2, 3)]
        return self.level - (lags[0] + lags[1] + lags[2]) / 3

    @cached_property
    def year_on_year(self) -> np.ndarray:
        """Level less that of the invoice 11 to 13 months earlier, the nearest row first."""
        found = np.full(self.by_pair.n_rows, np.nan)
        for steps in (1, 2, 3, 4, 6):
            days = self.day - self.by_pair.lag(self.day, steps)
            is_year = (days >= 335) & (days <= 395) & np.isnan(found)
            if is_year.any():
                found = np.where(is_year, self.level - self.by_pair.lag(self.level, steps), found)
        return found

    @cached_property
    def days_before_last(self) -> np.ndarray:
        """Days from the row to the same energy's last invoice."""
        return self.by_pair.spread(self.by_pair.last(self.day)) - self.day

    @cached_property
    def mismatch(self) -> np.ndarray:
        """Index difference less what was billed: not zero where the invoice contradicts itself. [units of the index]"""
        return self["new_index"] - self["old_index"] - self.consumption
