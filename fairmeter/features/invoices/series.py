"""Invoices in a definite order, and the series that the features are statistics of.

In:  canonical tables clients and invoices (fairmeter/data/tables.py), invoices sorted by client.
Out: `Rows`: the invoices sorted by client, energy and date, with their segments and their series; missing stays NaN.

A *pair* is one client's electricity or one client's gas: pair 2i is client i's electricity, pair 2i + 1 its gas.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.segments import Segments
from fairmeter.core.types import Table

LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))
YEAR_DAYS = (335, 395)  # between an invoice and that of the same season: a route is read up to a month early or late
LAGS = (1, 2, 3, 4, 6)  # invoices before: with monthly to half-yearly ones a year ago is among the last four or six
MIN_GAP = 5.0  # days: two invoices of one visit must not become a daily rate of thousands
# What settles the order of invoices of one client, energy and day, the last first: else a feature would depend on the
# file's order. The meter and its index come last, where all else is equal: a view that may not see them must not see
# them in the order either.
METER_COLUMNS = ("meter_id", "old_index", "new_index", "meter_code", "meter_status", "coefficient")
INVOICE_COLUMNS = ("remark", "tariff", "months", *reversed(LEVELS))
TIE_BREAKS = (*METER_COLUMNS, *INVOICE_COLUMNS)


def _days(dates: np.ndarray) -> np.ndarray:
    return dates.astype("datetime64[D]").astype(np.int64)


def as_float_days(dates: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 as float64, NaN for a missing date."""
    days = _days(dates).astype(np.float64)
    days[np.isnat(dates)] = np.nan
    return days


def fill_missing(values: np.ndarray, otherwise: float) -> np.ndarray:
    """The values, with a number in place of NaN."""
    return np.where(np.isnan(values), otherwise, values)


def row_order(invoices: Table) -> np.ndarray:
    """The order by client, energy, day, then by every other column. [row numbers]"""
    day = _days(invoices["invoice_on"])
    key = (invoices["client"] << 22) | (invoices["energy"].astype(np.int64) << 21) | (day + (1 << 20))
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_repeated = ordered[1:] == ordered[:-1]
    if is_repeated.any():
        is_tie = np.append(is_repeated, False)
        is_tie[1:] |= is_repeated
        tied = np.flatnonzero(is_tie)
        among = {name: invoices[name][order[tied]] for name in TIE_BREAKS}
        moved = among["new_index"] - among["old_index"]
        columns = (*(among[name] for name in METER_COLUMNS), moved, *(among[name] for name in INVOICE_COLUMNS))
        order[tied] = order[tied][np.lexsort([*columns, ordered[tied]])]
    return order


@dataclass(frozen=True)
class InvoiceSeries:
    """Ordered invoices of some clients, with what several features need of them. Series are one value a row.

    `pairs` are the numbers of the pairs that have invoices, ascending; `by_pair` has their rows, and no empty segment.
    `by_client` has a segment for every client.
    """

    clients: Table
    columns: Table
    pairs: np.ndarray
    by_pair: Segments
    by_client: Segments

    @classmethod
    def from_tables(cls, clients: Table, invoices: Table) -> "InvoiceSeries":
        order = row_order(invoices)
        columns = {name: column[order] for name, column in invoices.items()}
        n_pairs = 2 * len(clients["client_id"])
        counts = np.bincount(columns["client"] * 2 + columns["energy"], minlength=n_pairs)
        pairs = np.flatnonzero(counts)
        by_client = Segments(counts.reshape(-1, 2).sum(axis=1))
        return cls(clients, columns, pairs, Segments(counts[pairs]), by_client)

    @classmethod
    def without_invoices(cls) -> "InvoiceSeries":
        """A single pair that has no invoice."""
        columns = {name: np.empty(0) for name in TIE_BREAKS} | {"invoice_on": np.empty(0, dtype="datetime64[D]")}
        return cls({}, columns, np.zeros(1, dtype=np.int64), Segments(np.zeros(1)), Segments(np.zeros(1)))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    @cached_property
    def day(self) -> np.ndarray:
        """Date of the invoice. [days since 1970-01-01, float64]"""
        return _days(self["invoice_on"]).astype(np.float64)

    @cached_property
    def month_of_year(self) -> np.ndarray:
        """0 (January) .. 11."""
        return self["invoice_on"].astype("datetime64[M]").astype(np.int64) % 12

    @cached_property
    def first_day(self) -> np.ndarray:
        """Each pair's first invoice. [days since 1970-01-01]"""
        return self.by_pair.first(self.day)

    @cached_property
    def last_day(self) -> np.ndarray:
        """Each pair's last invoice. [days since 1970-01-01]"""
        return self.by_pair.last(self.day)

    @cached_property
    def days_before_last(self) -> np.ndarray:
        """Days from the row to the same energy's last invoice."""
        return self.by_pair.spread(self.last_day) - self.day

    @cached_property
    def levels(self) -> np.ndarray:
        """Consumption at each price level [kWh, or m3 of gas as billed], shape (4, rows)."""
        return np.array([self[name] for name in LEVELS])

    @cached_property
    def consumption(self) -> np.ndarray:
        """What the invoice bills: the sum of its known levels. [kWh]"""
        unknown = np.isnan(self.levels)
        return np.where(unknown.all(axis=0), np.nan, np.where(unknown, 0.0, self.levels).sum(axis=0))

    @cached_property
    def gap(self) -> np.ndarray:
        """Days since the same energy's previous invoice."""
        return self.day - self._days_back[0]

    @cached_property
    def gap_excess(self) -> np.ndarray:
        """Days since the previous invoice beyond the months billed."""
        return self.gap - DAYS_PER_MONTH * self["months"]

    @cached_property
    def months(self) -> np.ndarray:
        """Months the invoice covers; where the file does not say, what the gap suggests."""
        guess = np.clip(np.rint(self.gap / DAYS_PER_MONTH), 1, 24)
        return np.where(self["months"] >= 1, self["months"], guess)

    @cached_property
    def monthly(self) -> np.ndarray:
        """Consumption over the months billed. [kWh a month]"""
        return self.consumption / self.months

    @cached_property
    def level(self) -> np.ndarray:
        """log(1 + kWh a month): the scale on which falls compare between small and large clients."""
        return np.log1p(self.monthly)

    @cached_property
    def level_2_monthly(self) -> np.ndarray:
        """As `level`, of the second price level alone. [log kWh a month]"""
        return np.log1p(self.levels[1] / self.months)

    @cached_property
    def level_1_share(self) -> np.ndarray:
        """Share of the consumption that the first price level bills; 0 of an invoice for nothing."""
        return self.levels[0] / np.maximum(self.consumption, 1.0)

    @cached_property
    def daily(self) -> np.ndarray:
        """As `level`, over the days since the previous invoice. [log kWh a month]"""
        return np.log1p(self.consumption / np.maximum(self.gap, MIN_GAP) * DAYS_PER_MONTH)

    @cached_property
    def change(self) -> np.ndarray:
        """Level less that of the invoice before. [log ratio]"""
        return self.level - self._levels_back[0]

    @cached_property
    def off_average(self) -> np.ndarray:
        """Level less the mean of the three before it. [log ratio]"""
        one, two, three = self._levels_back[:3]
        return self.level - (one + two + three) / 3

    @cached_property
    def year_on_year(self) -> np.ndarray:
        """Level less that of the invoice 11 to 13 months earlier, the nearest row first. [log ratio]"""
        days = self.day - self._days_back
        change = self.level - self._levels_back
        is_year = (days >= YEAR_DAYS[0]) & (days <= YEAR_DAYS[1]) & ~np.isnan(change)
        nearest = change[is_year.argmax(axis=0), np.arange(len(self.level))]
        return np.where(is_year.any(axis=0), nearest, np.nan)

    @cached_property
    def mismatch(self) -> np.ndarray:
        """Index difference less what was billed: not zero where the invoice contradicts itself. [units of the index]"""
        return self["new_index"] - self["old_index"] - self.consumption

    @cached_property
    def _days_back(self) -> np.ndarray:
        """Dates of the invoices `BACK` before, shape (len(BACK), rows)."""
        return self.by_pair.lags(self.day, LAGS)

    @cached_property
    def _levels_back(self) -> np.ndarray:
        return self.by_pair.lags(self.level, LAGS)
