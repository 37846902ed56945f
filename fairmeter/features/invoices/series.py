"""Invoices in a definite order, and the series from which features are computed.

In:  canonical tables clients and invoices (fairmeter/data/tables.py), invoices sorted by client.
Out: InvoiceSeries: the invoices sorted by client, energy and date, with segments and series; missing stays NaN.

A *pair* is one client's electricity or one client's gas: pair 2i is client i's electricity, pair 2i + 1 its gas.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.segments import Segments
from fairmeter.core.types import Table
from fairmeter.features.invoices.side_meters import sum_each_day, sum_side_by_side

YEAR_DAYS = (335, 395)  # between invoices of the same season: a route may be read a month early or late
LAGS = (1, 2, 3, 4, 6)  # invoices back, among which one is a year ago for two- to six-monthly invoices
MIN_GAP = 5.0  # days: two invoices of one visit must not give a daily rate of thousands
# Columns that break ties between invoices of one client, energy and day, the least significant first: otherwise
# features would depend on the order of the file. The meter and its index are the least significant, so that they do
# not affect the prospective view through the order either.
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
    """Replace NaN by a number."""
    return np.where(np.isnan(values), otherwise, values)


def row_order(invoices: Table) -> np.ndarray:
    """Row numbers in the order of client, energy, day, and then every other column."""
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
        columns = [*(among[name] for name in METER_COLUMNS), moved, *(among[name] for name in INVOICE_COLUMNS)]
        if "consumption" in invoices:
            columns.insert(0, invoices["consumption"][order[tied]])
        order[tied] = order[tied][np.lexsort([*columns, ordered[tied]])]
    return order


@dataclass(frozen=True)
class InvoiceSeries:
    """Ordered invoices of some clients, with the series that several features use. Series have one value per row.

    `pairs`: numbers of the pairs that have invoices, ascending; `by_pair`: their segments, none of them empty;
    `by_client`: a segment for every client, which may be empty. `apart`: the invoices before those of one day were
    summed, None where that changed nothing.
    """

    clients: Table
    columns: Table
    pairs: np.ndarray
    by_pair: Segments
    by_client: Segments
    apart: "InvoiceSeries | None" = None

    @classmethod
    def from_tables(cls, clients: Table, invoices: Table) -> "InvoiceSeries":
        """Sort canonical tables, and sum the invoices of each day and energy. [invoices["client"]: row in clients]"""
        order = row_order(invoices)
        apart = sum_side_by_side({name: column[order] for name, column in invoices.items()})
        columns = sum_each_day(apart)
        rows = cls._of_columns(clients, columns)
        return rows if columns is apart else replace(rows, apart=cls._of_columns(clients, apart))

    @property
    def of_meters(self) -> "InvoiceSeries":
        """The series in which an exchange of the meter shows: two invoices of one day are two rows."""
        return self.apart or self

    @classmethod
    def _of_columns(cls, clients: Table, columns: Table) -> "InvoiceSeries":
        n_pairs = 2 * len(clients["client_id"])
        counts = np.bincount(columns["client"] * 2 + columns["energy"], minlength=n_pairs)
        pairs = np.flatnonzero(counts)
        by_client = Segments(counts.reshape(-1, 2).sum(axis=1))
        return cls(clients, columns, pairs, Segments(counts[pairs]), by_client)

    @classmethod
    def without_invoices(cls) -> "InvoiceSeries":
        """A single pair without any invoice."""
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
        """Month of the invoice, 0 (January) .. 11."""
        return self["invoice_on"].astype("datetime64[M]").astype(np.int64) % 12

    @cached_property
    def first_day(self) -> np.ndarray:
        """Date of each pair's first invoice. [days since 1970-01-01, (pairs,)]"""
        return self.by_pair.first(self.day)

    @cached_property
    def last_day(self) -> np.ndarray:
        """Date of each pair's last invoice. [days since 1970-01-01, (pairs,)]"""
        return self.by_pair.last(self.day)

    @cached_property
    def days_before_last(self) -> np.ndarray:
        """Days from the row to the last invoice of the same energy."""
        return self.by_pair.spread(self.last_day) - self.day

    @cached_property
    def levels(self) -> np.ndarray:
        """Consumption at each price level [kWh, or m3 of gas as billed], shape (4, rows)."""
        return np.array([self[name] for name in LEVELS])

    @cached_property
    def consumption(self) -> np.ndarray:
        """Billed consumption: as given, else the sum of the known levels. [kWh, or m3 of gas]"""
        return billed_consumption(self.columns)

    @cached_property
    def gap(self) -> np.ndarray:
        """Days since the previous invoice of the same energy."""
        return self.day - self._days_back[0]

    @cached_property
    def gap_excess(self) -> np.ndarray:
        """Days since the previous invoice beyond the months billed."""
        return self.gap - DAYS_PER_MONTH * self["months"]

    @cached_property
    def months(self) -> np.ndarray:
        """Months the invoice covers; estimated from the gap where not given."""
        guess = np.clip(np.rint(self.gap / DAYS_PER_MONTH), 1, 24)
        return np.where(self["months"] >= 1, self["months"], guess)

    @cached_property
    def monthly(self) -> np.ndarray:
        """Consumption per billed month. [kWh per month]"""
        return self.consumption / self.months

    @cached_property
    def level(self) -> np.ndarray:
        """log(1 + kWh per month), a scale on which falls compare between small and large clients."""
        return np.log1p(self.monthly)

    @cached_property
    def level_2_monthly(self) -> np.ndarray:
        """As `level`, for the second price level alone. [log kWh per month]"""
        return np.log1p(self.levels[1] / self.months)

    @cached_property
    def level_1_share(self) -> np.ndarray:
        """Share of the consumption billed at the first price level; 0 for an invoice of 0 kWh."""
        return self.levels[0] / np.maximum(self.consumption, 1.0)

    @cached_property
    def daily(self) -> np.ndarray:
        """As `level`, over the days since the previous invoice. [log kWh per month]"""
        return np.log1p(self.consumption / np.maximum(self.gap, MIN_GAP) * DAYS_PER_MONTH)

    @cached_property
    def change(self) -> np.ndarray:
        """Level minus that of the invoice before. [log ratio]"""
        return self.level - self.levels_back[0]

    @cached_property
    def off_average(self) -> np.ndarray:
        """Level minus the mean of the three invoices before. [log ratio]"""
        one, two, three = self.levels_back[:3]
        return self.level - (one + two + three) / 3

    @cached_property
    def year_on_year(self) -> np.ndarray:
        """Level minus that of the latest invoice 11 to 13 months earlier. [log ratio]"""
        days = self.day - self._days_back
        change = self.level - self.levels_back
        is_year = (days >= YEAR_DAYS[0]) & (days <= YEAR_DAYS[1]) & ~np.isnan(change)
        nearest = change[is_year.argmax(axis=0), np.arange(len(self.level))]
        return np.where(is_year.any(axis=0), nearest, np.nan)

    @cached_property
    def mismatch(self) -> np.ndarray:
        """Index difference minus billed consumption, 0 for a consistent invoice. [units of the index]"""
        return self["new_index"] - self["old_index"] - self.consumption

    @cached_property
    def _days_back(self) -> np.ndarray:
        """Dates of the invoices LAGS back. [days since 1970-01-01, (len(LAGS), rows)]"""
        return self.by_pair.lags(self.day, LAGS)

    @cached_property
    def levels_back(self) -> np.ndarray:
        """Levels of the invoices LAGS back. [log kWh a month, (len(LAGS), rows)]"""
        return self.by_pair.lags(self.level, LAGS)
