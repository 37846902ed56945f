"""When clients' accounts were open, what their meters sent on each day, and an estimate for the days they sent nothing.

In:  Days, canonical invoices; the last day of which anything is asked.
Out: Accounts: grids of clients and days. [kWh a day]

An estimate is the client's own: the mean of its readings of the weeks around, else the daily average of the electricity
invoice that covers the day, else its mean. Utilities fill gaps in readings the same way, by comparable days of the same
meter.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption

AROUND = 14  # days on either side whose mean stands in for a missing one
# Days without an invoice, those of others going on, after which an account is closed: where its readings ended too,
# where there never were any; and at least so many times the longest of its last invoices.
LATE, LATE_UNREAD, LATE_TIMES, LAST = 200, 400, 1.5, 6
FINAL = 31  # days after the last reading within which the invoice of a closed account comes
YEAR = 365  # days
NEVER = np.iinfo(np.int64).max // 2
MOST_MONTHS = 24  # of an invoice


@dataclass(frozen=True)
class Accounts:
    """Of each client the first and the last day of its account, its days and its invoices. [days since 1970]"""

    days: DailyConsumption
    opened: np.ndarray
    closed: np.ndarray  # before `opened` where nothing is known of the client
    is_doubtful: np.ndarray  # an invoice followed the last reading and none came since, which may be the usual one
    client: np.ndarray  # of electricity invoices, by client and date; the others likewise
    end: np.ndarray
    length: np.ndarray  # days that an invoice covers
    rate: np.ndarray  # kWh a day

    @classmethod
    def of(cls, days: DailyConsumption, invoices: Table, n_clients: int, last: int) -> "Accounts":
        order = np.lexsort((invoices["invoice_on"], invoices["client"]))
        order = order[invoices["energy"][order] == 0]
        client, end = invoices["client"][order], invoices["invoice_on"][order].astype("datetime64[D]").astype(np.int64)
        months = np.clip(np.nan_to_num(invoices["months"][order], nan=1.0), 1.0, MOST_MONTHS)
        kwh = np.nansum([invoices[f"consumption_level_{i}"][order] for i in (1, 2, 3, 4)], axis=0)
        length = np.rint(months * DAYS_PER_MONTH).astype(np.int64)
        opened, closed, is_doubtful = _spans(days, client, end, length, n_clients, last)
        return cls(days, opened, closed, is_doubtful, client, end, length, kwh / (months * DAYS_PER_MONTH))

    def is_active(self, clients: np.ndarray, first: int, last: int) -> np.ndarray:
        """Whether some clients' accounts were open on any day from first to last."""
        return (self.opened[clients] <= last) & (self.closed[clients] >= first)

    def read(self, clients: np.ndarray, first: int, last: int) -> np.ndarray:
        """What their meters sent, NaN where nothing. [(client, day)]"""
        grid = np.full((len(clients), last - first + 1), np.nan)
        for series, client in zip(grid, clients.tolist(), strict=True):
            start, end = int(self.days.segments.starts[client]), int(self.days.segments.ends[client])
            day = self.days.day[start:end]
            part = slice(start + np.searchsorted(day, first), start + np.searchsorted(day, last, side="right"))
            series[self.days.day[part] - first] = self.days.kwh[part]
        return grid

    def estimated(self, clients: np.ndarray, read: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """What was used on days of which nothing was read; NaN elsewhere. [(client, day)]

        Of open accounts; and of those that are taken for closed and may not be, as they would go on.
        """
        day = first + np.arange(read.shape[1])
        open_, doubtful = np.full((2, *read.shape), np.nan)
        for row, (known, client) in enumerate(zip(read, clients.tolist(), strict=True)):
            is_missing = np.isnan(known) & (day >= self.opened[client])
            if not is_missing.any():
                continue
            use, is_open = self._estimate(client, day, known), day <= self.closed[client]
            open_[row, is_missing & is_open] = use[is_missing & is_open]
            if self.is_doubtful[client]:
                doubtful[row, is_missing & ~is_open] = use[is_missing & ~is_open]
        return open_, doubtful

    def _estimate(self, client: int, day: np.ndarray, known: np.ndarray) -> np.ndarray:
        own = float(np.nanmean(known)) if (~np.isnan(known)).any() else 0.0
        billed = self._billed(client, day)
        return _or(_mean_around(known), _or(billed, np.full(len(day), own)))

    def _billed(self, client: int, day: np.ndarray) -> np.ndarray:
        """The rate of the invoice that covers each day; after the last one that of the last year."""
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
    """First and last day of each account, and whether the last one is in doubt."""
    first_read, last_read = np.full(n_clients, NEVER), np.full(n_clients, -NEVER)
    metered = np.flatnonzero(days.segments.counts)
    first_read[metered] = days.day[days.segments.starts[metered]]
    last_read[metered] = days.day[days.segments.ends[metered] - 1]
    first_billed, last_billed, final = np.full(n_clients, NEVER), np.full(n_clients, -NEVER), np.zeros(n_clients)
    np.minimum.at(first_billed, client, end - length)
    np.maximum.at(last_billed, client, end)
    final[client] = length  # of the last invoice: they come by date
    latest = end.max() if len(end) else -NEVER
    late = np.maximum(np.where(last_read > -NEVER, LATE, LATE_UNREAD), LATE_TIMES * _longest(client, length, n_clients))
    is_ended = (last_billed > -NEVER) & (last_billed < latest - late)
    is_billed_after = (last_billed >= last_read) & (last_billed <= last_read + np.maximum(final, FINAL))
    # The invoice of an account that was closed comes some time after its last day.
    is_final = (last_read < last) & is_billed_after & (is_ended | (last_billed <= last_read + FINAL))
    # Without invoices nothing tells a silent meter from a closed account: it stays open, which finds no loss.
    closed = np.where(is_final, last_read, np.where(is_ended, np.maximum(last_billed, last_read), last))
    opened = np.minimum(first_read, first_billed)
    return opened, np.where(opened < NEVER, closed, -NEVER), is_final & ~is_ended


def _longest(client: np.ndarray, length: np.ndarray, n_clients: int) -> np.ndarray:
    """The longest of each client's last invoices, 0 without any. [days]"""
    ends = np.searchsorted(client, client, side="right")
    is_last = ends - np.arange(len(client)) <= LAST
    longest = np.zeros(n_clients)
    np.maximum.at(longest, client[is_last], length[is_last])
    return longest


def _mean_around(known: np.ndarray) -> np.ndarray:
    """The mean of the known days around each day, NaN where there is none."""
    is_known = ~np.isnan(known)
    sums = np.cumsum(np.insert(np.array([np.where(is_known, known, 0.0), is_known]), 0, 0.0, axis=1), axis=1)
    day = np.arange(len(known))
    total, n = sums[:, np.minimum(day + AROUND + 1, len(known))] - sums[:, np.maximum(day - AROUND, 0)]
    return np.where(n > 0, total / np.maximum(n, 1.0), np.nan)


def _or(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(one), other, one)
