"""Open periods of accounts, daily readings, and estimates for days without readings.

In:  DailyConsumption, canonical invoices; the last day of the period.
Out: AccountPeriods: grids of clients and days. [kWh per day]

A missing day is estimated from the client's own data: by the mean of its readings in the weeks around, else by the
daily average of the electricity invoice that covers the day, else by its mean. Utilities fill gaps in readings the same
way, by comparable days of the same meter.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.consumption import billed_consumption
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption

AROUND = 14  # days on either side whose mean replaces a missing one
# Days without an invoice, while other clients get some, after which an account counts as closed: where its readings
# ended too, and where it never had any. At least LATE_TIMES the longest of its LAST invoices.
LATE, LATE_UNREAD, LATE_TIMES, LAST = 200, 400, 1.5, 6
FINAL = 31  # days from the last reading to the final invoice of a closed account, at most
YEAR = 365  # days
NEVER = np.iinfo(np.int64).max // 2
MAX_MONTHS = 24  # of one invoice


@dataclass(frozen=True)
class AccountPeriods:
    """First and last day of each client's account, its daily readings and its invoices. [days since 1970]"""

    days: DailyConsumption
    opened: np.ndarray
    closed: np.ndarray  # before `opened` for a client without readings and invoices
    is_doubtful: np.ndarray  # the invoice after the last reading may be a regular one, not the final one
    client: np.ndarray  # client, end, length and rate are per electricity invoice, by client and date
    end: np.ndarray
    length: np.ndarray  # days that the invoice covers
    rate: np.ndarray  # kWh per day

    @classmethod
    def from_tables(cls, days: DailyConsumption, invoices: Table, n_clients: int, last: int) -> "AccountPeriods":
        """Derive the periods from readings and invoices, up to the last day."""
        order = np.lexsort((invoices["invoice_on"], invoices["client"]))
        order = order[invoices["energy"][order] == 0]
        client, end = invoices["client"][order], invoices["invoice_on"][order].astype("datetime64[D]").astype(np.int64)
        months = np.clip(np.nan_to_num(invoices["months"][order], nan=1.0), 1.0, MAX_MONTHS)
        kwh = np.nan_to_num(billed_consumption(invoices, order))
        length = np.rint(months * DAYS_PER_MONTH).astype(np.int64)
        opened, closed, is_doubtful = _spans(days, client, end, length, n_clients, last)
        return cls(days, opened, closed, is_doubtful, client, end, length, kwh / (months * DAYS_PER_MONTH))

    def is_active(self, clients: np.ndarray, first: int, last: int) -> np.ndarray:
        """Whether the account of each client was open on any day from first to last."""
        return (self.opened[clients] <= last) & (self.closed[clients] >= first)

    def read(self, clients: np.ndarray, first: int, last: int) -> np.ndarray:
        """Daily readings of some clients, NaN where missing. [kWh, (client, day)]"""
        grid = np.full((len(clients), last - first + 1), np.nan)
        for series, client in zip(grid, clients.tolist(), strict=True):
            start, end = int(self.days.segments.starts[client]), int(self.days.segments.ends[client])
            day = self.days.day[start:end]
            part = slice(start + np.searchsorted(day, first), start + np.searchsorted(day, last, side="right"))
            series[self.days.day[part] - first] = self.days.kwh[part]
        return grid

    def estimated(self, clients: np.ndarray, read: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Estimated consumption on days without readings; NaN elsewhere. [kWh, two of (client, day)]

        The first is for open accounts. The second is for accounts that are probably closed, as if they were open.
        """
        day = first + np.arange(read.shape[1])
        open_, doubtful = np.full((2, *read.shape), np.nan)
        for row, (own, client) in enumerate(zip(read, clients.tolist(), strict=True)):
            is_missing = np.isnan(own) & (day >= self.opened[client])
            if not is_missing.any():
                continue
            use, is_open = self._estimate(client, day, own), day <= self.closed[client]
            open_[row, is_missing & is_open] = use[is_missing & is_open]
            if self.is_doubtful[client]:
                doubtful[row, is_missing & ~is_open] = use[is_missing & ~is_open]
        return open_, doubtful

    def _estimate(self, client: int, day: np.ndarray, read: np.ndarray) -> np.ndarray:
        """Estimate of every day of one client. [kWh per day]"""
        mean = float(np.nanmean(read)) if (~np.isnan(read)).any() else 0.0
        invoiced = self._invoiced(client, day)
        return _first_present(_mean_around(read), _first_present(invoiced, np.full(len(day), mean)))

    def _invoiced(self, client: int, day: np.ndarray) -> np.ndarray:
        """Rate of the invoice that covers each day; after the last invoice, the mean rate of the last year."""
        first, stop = np.searchsorted(self.client, (client, client + 1))
        if first == stop:
            return np.full(len(day), np.nan)
        end, length = self.end[first:stop], self.length[first:stop]
        is_late = end > end[-1] - YEAR
        yearly = (self.rate[first:stop] * length)[is_late].sum() / length[is_late].sum()
        return np.append(self.rate[first:stop], yearly)[np.searchsorted(end, day)]


def _spans(
    days: DailyConsumption, client: np.ndarray, end: np.ndarray, length: np.ndarray, n_clients: int, last: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last day of each account, and whether the last day is doubtful."""
    first_read, last_read = np.full(n_clients, NEVER), np.full(n_clients, -NEVER)
    with_readings = np.flatnonzero(days.segments.counts)
    first_read[with_readings] = days.day[days.segments.starts[with_readings]]
    last_read[with_readings] = days.day[days.segments.ends[with_readings] - 1]
    first_billed, last_billed, final = np.full(n_clients, NEVER), np.full(n_clients, -NEVER), np.zeros(n_clients)
    np.minimum.at(first_billed, client, end - length)
    np.maximum.at(last_billed, client, end)
    final[client] = length  # of the last invoice, since invoices are sorted by date
    latest = end.max() if len(end) else -NEVER
    late = np.maximum(np.where(last_read > -NEVER, LATE, LATE_UNREAD), LATE_TIMES * _longest(client, length, n_clients))
    is_ended = (last_billed > -NEVER) & (last_billed < latest - late)
    is_billed_after = (last_billed >= last_read) & (last_billed <= last_read + np.maximum(final, FINAL))
    # The final invoice of a closed account is dated some time after its last day.
    is_final = (last_read < last) & is_billed_after & (is_ended | (last_billed <= last_read + FINAL))
    # Without invoices a silent meter cannot be distinguished from a closed account: it stays open and adds no loss.
    closed = np.where(is_final, last_read, np.where(is_ended, np.maximum(last_billed, last_read), last))
    opened = np.minimum(first_read, first_billed)
    return opened, np.where(opened < NEVER, closed, -NEVER), is_final & ~is_ended


def _longest(client: np.ndarray, length: np.ndarray, n_clients: int) -> np.ndarray:
    """Length of the longest among the LAST invoices of each client, 0 without any. [days]"""
    ends = np.searchsorted(client, client, side="right")
    is_last = ends - np.arange(len(client)) <= LAST
    longest = np.zeros(n_clients)
    np.maximum.at(longest, client[is_last], length[is_last])
    return longest


def _mean_around(read: np.ndarray) -> np.ndarray:
    """Mean of the readings within AROUND days of each day, NaN without any."""
    is_present = ~np.isnan(read)
    sums = np.cumsum(np.insert(np.array([np.where(is_present, read, 0.0), is_present]), 0, 0.0, axis=1), axis=1)
    day = np.arange(len(read))
    total, n = sums[:, np.minimum(day + AROUND + 1, len(read))] - sums[:, np.maximum(day - AROUND, 0)]
    return np.where(n > 0, total / np.maximum(n, 1.0), np.nan)


def _first_present(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(one), other, one)
