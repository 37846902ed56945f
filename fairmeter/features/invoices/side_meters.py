"""Several invoices of one day and energy -> one, so that a series is that of the whole supply.

In:  invoices by client, energy and day.
Out: the same table, the invoices of a day summed: first of meters side by side, which share many days, then of all
     others. Those are mostly of a meter that was exchanged: features of meters need them apart, a series does not.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.types import Table

SERVICE = ("client", "energy")
MIN_SHARED_DAYS = 3  # of a meter with another invoice of its energy
MIN_SHARED_SHARE = 0.5  # of the meter's days


def sum_side_by_side(invoices: Table) -> Table:
    """Sum invoices of one client, energy and day where meters are read side by side. [invoices: in definite order]

    A sum has the codes of the meter that uses most. Its index is the sum of all where their coefficients agree.
    """
    rows = _rows_with_shared_days(invoices)
    if not len(rows):
        return invoices
    some = {name: column[rows] for name, column in invoices.items()}
    starts = _starts_of_days(some)
    sizes = np.diff(np.append(starts, len(rows)))
    meters = _Meters.of(some)
    is_side = np.logical_or.reduceat(meters.is_side(np.repeat(sizes > 1, sizes)), starts) & (sizes > 1)
    if not is_side.any():
        return invoices
    is_new = np.repeat(~is_side, sizes)
    is_new[starts] = True
    summed, main = _summed(some, np.flatnonzero(is_new), meters.total(billed_consumption(some)))
    return _replaced(invoices, rows, rows[main], summed)


def sum_each_day(invoices: Table) -> Table:
    """Sum all invoices of one client, energy and day, as when a meter was exchanged. [invoices: in definite order]

    Such a sum covers the months of all, but no more than the time since the day before.
    """
    starts = _starts_of_days(invoices)
    sizes = np.diff(np.append(starts, len(invoices["client"])))
    if (sizes <= 1).all():
        return invoices
    first = starts[sizes > 1]
    rows = np.flatnonzero(np.repeat(sizes > 1, sizes))
    some = {name: column[rows] for name, column in invoices.items()}
    starts_of_some = np.searchsorted(rows, first)
    summed, main = _summed(some, starts_of_some, _Meters.of(some).total(billed_consumption(some)))
    months = _known_sum(some["months"], starts_of_some)
    summed["months"] = np.fmin(months, np.fmax(summed["months"], _months_since_before(invoices, first)))
    return _replaced(invoices, rows, rows[main], summed)


def _months_since_before(invoices: Table, rows: np.ndarray) -> np.ndarray:
    """Months since the invoice before of the same client and energy; NaN for the first. [rows: first of their day]"""
    before = np.maximum(rows - 1, 0)
    is_same = (rows > 0) & np.all([invoices[name][rows] == invoices[name][before] for name in SERVICE], axis=0)
    days = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    return np.where(is_same, np.rint((days[rows] - days[before]) / DAYS_PER_MONTH), np.nan)


def _rows_with_shared_days(invoices: Table) -> np.ndarray:
    """Rows of each client and energy with so many shared days that a meter may be side by side. [ascending]"""
    client, energy, day = invoices["client"], invoices["energy"], invoices["invoice_on"]
    is_same_day = (day[1:] == day[:-1]) & (client[1:] == client[:-1]) & (energy[1:] == energy[:-1])
    at = np.flatnonzero(is_same_day)
    if len(at) < MIN_SHARED_DAYS:
        return np.empty(0, np.int64)
    service = client * 2 + energy
    n_shared = np.bincount(service[at], minlength=service[-1] + 1)
    return np.flatnonzero(n_shared[service] >= MIN_SHARED_DAYS)


def _replaced(invoices: Table, rows: np.ndarray, main: np.ndarray, summed: Table) -> Table:
    """The table with `summed` in the place of its rows `main`, and without the other ones of `rows`."""
    is_kept = np.ones(len(invoices["client"]), bool)
    is_kept[rows] = False
    is_kept[main] = True
    place = np.cumsum(is_kept)[main] - 1
    out = {}
    for name, column in invoices.items():
        out[name] = column[is_kept]
        out[name][place] = summed[name]
    return out


def _starts_of_days(invoices: Table) -> np.ndarray:
    """First rows of each client, energy and day."""
    client, energy, day = invoices["client"], invoices["energy"], invoices["invoice_on"]
    is_new = (client[1:] != client[:-1]) | (energy[1:] != energy[:-1]) | (day[1:] != day[:-1])
    return np.flatnonzero(np.append(True, is_new)) if len(client) else np.empty(0, np.int64)


class _Meters(NamedTuple):
    """The meters of each client and energy. All unknown ones of a client count as one.

    number: of the meter of each row; is_new_day: marks one row of each day of a meter.
    """

    number: np.ndarray
    is_new_day: np.ndarray

    @classmethod
    def of(cls, invoices: Table) -> "_Meters":
        meter = np.where(np.isnan(invoices["meter_id"]), np.inf, invoices["meter_id"])
        service = invoices["client"] * 2 + invoices["energy"]
        day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
        order = np.lexsort((day, meter, service))
        is_new = np.append(True, (np.diff(service[order]) != 0) | (meter[order][1:] != meter[order][:-1]))
        number, is_new_day = np.empty(len(order), np.int64), np.empty(len(order), bool)
        number[order] = np.cumsum(is_new) - 1
        is_new_day[order] = is_new | np.append(True, np.diff(day[order]) != 0)
        return cls(number, is_new_day)

    def is_side(self, is_shared: np.ndarray) -> np.ndarray:
        """Mark rows of meters that share many of their days with another invoice. [is_shared: of each row]"""
        n_days = np.bincount(self.number, self.is_new_day)
        n_shared = np.bincount(self.number, self.is_new_day & is_shared)
        return ((n_shared >= MIN_SHARED_DAYS) & (n_shared >= MIN_SHARED_SHARE * n_days))[self.number]

    def total(self, kwh: np.ndarray) -> np.ndarray:
        """The consumption of each row's meter."""
        return np.bincount(self.number, np.nan_to_num(kwh))[self.number]


def _summed(invoices: Table, starts: np.ndarray, total: np.ndarray) -> tuple[Table, np.ndarray]:
    """One invoice a group of consecutive rows, and the row of its main meter. [starts: first rows; total: of meters]"""
    sizes = np.diff(np.append(starts, len(invoices["client"])))
    group = np.repeat(np.arange(len(starts)), sizes)
    main = np.lexsort((-np.arange(len(group)), total, group))[np.cumsum(sizes) - 1]
    out = {name: column[main] for name, column in invoices.items()}
    for name in (*LEVELS, "consumption"):
        if name in invoices:
            out[name] = _known_sum(invoices[name], starts)
    out["months"] = np.fmax.reduceat(invoices["months"], starts)
    factor = np.where(np.isnan(invoices["coefficient"]), 1.0, invoices["coefficient"])
    is_alike = np.maximum.reduceat(factor, starts) == np.minimum.reduceat(factor, starts)
    for name in ("old_index", "new_index"):
        index = np.add.reduceat(invoices[name], starts)
        out[name] = np.where(sizes == 1, out[name], np.where(is_alike, index, np.nan))
    return out, main


def _known_sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of the known values of each group; NaN where none is known."""
    is_known = ~np.isnan(values)
    total = np.add.reduceat(np.where(is_known, values, 0.0), starts)
    return np.where(np.logical_or.reduceat(is_known, starts), total, np.nan)
