"""Invoices and days of readings -> what a person would want to see of a client: plain facts, and its consumption.

In:  canonical tables of some clients, and their Days where they have readings.
Out: facts by name, as data/alerts.toml says what each means (one that cannot be told is left out); a Course a client:
     daily where there are readings, else the invoices' monthly average.
"""

from typing import NamedTuple

import numpy as np

from fraud.days import Days
from fraud.records import Table

RECENT, YEAR, MONTH = 90, 365, 30  # days
LEAST_SHARE = 2 / 3  # of a span's days: known, or nothing is said of it
NIGHT = slice(0, 5)  # hours
MOST_DAYS, MOST_MONTHS = 2 * YEAR, 240  # that a course goes back
LEAST_MONTHS = 6  # before the last twelve: with fewer there is no usual month


class Course(NamedTuple):
    """Consumption from a first day on. [step: day or month; first_on: datetime64[D]; kwh: of each, NaN missing]"""

    step: str
    first_on: np.datetime64
    kwh: np.ndarray


Facts = dict[str, float]


def facts_of(invoices: Table, days: Days | None, n_clients: int) -> list[Facts]:
    """The facts of each client."""
    found: list[Facts] = [{"n_index_rollbacks": float(n)} if n >= 0 else {} for n in rollbacks(invoices, n_clients)]
    if days is not None:
        for client, facts in enumerate(found):
            part = slice(*_bounds(days, client))
            hours = None if days.hours is None else days.hours[part]
            told = {"fall_90_days_share": fall(days.kwh[part]), "spike_ratio": spike(days.kwh[part])}
            told["night_share_rise"] = night_rise(hours)
            facts.update({name: value for name, value in told.items() if value is not None})
    return found


def courses_of(invoices: Table, days: Days | None, n_clients: int) -> list[Course | None]:
    """The consumption of each client, None where nothing is known."""
    billed = _Billed.of(invoices)
    return [_daily(days, client) or billed.course(client) for client in range(n_clients)]


# --- one client's days ------------------------------------------------------------------------------------------------


def fall(kwh: np.ndarray) -> float | None:
    """Fall of the last 90 days against the same ones a year before, else against the 90 before. [share, < 0: a rise]"""
    recent = _mean(kwh[-RECENT:], RECENT)
    before = _mean(kwh[-RECENT - YEAR : -YEAR], RECENT)
    if before is None:
        before = _mean(kwh[-2 * RECENT : -RECENT], RECENT)
    return None if recent is None or not before else 1.0 - recent / before


def spike(kwh: np.ndarray) -> float | None:
    """The highest 30 days of the last year against the median 30 days before it. [times]"""
    months = [_mean(kwh[end - MONTH : end], MONTH) for end in range(len(kwh), MONTH - 1, -MONTH)]
    recent, before = [m for m in months[:12] if m is not None], [m for m in months[12:] if m is not None]
    usual = float(np.median(before)) if len(before) >= LEAST_MONTHS else 0.0
    return max(recent) / usual if recent and usual > 0 else None


def night_rise(hours: np.ndarray | None) -> float | None:
    """Rise of the share used from 0 to 5 o'clock: the last 90 days against those before. [share]"""
    if hours is None:
        return None
    recent, before = _night_share(hours[-RECENT:]), _night_share(hours[:-RECENT])
    return None if recent is None or before is None else recent - before


def _night_share(hours: np.ndarray) -> float | None:
    known = hours[~np.isnan(hours).any(axis=1)]
    total = known.sum()
    return float(known[:, NIGHT].sum() / total) if len(known) >= RECENT * LEAST_SHARE and total > 0 else None


def _mean(kwh: np.ndarray, n_days: int) -> float | None:
    known = kwh[~np.isnan(kwh)]
    return float(known.mean()) if len(known) >= n_days * LEAST_SHARE else None


def _bounds(days: Days, client: int) -> tuple[int, int]:
    return int(days.segments.starts[client]), int(days.segments.ends[client])


def _daily(days: Days | None, client: int) -> Course | None:
    start, end = _bounds(days, client) if days is not None else (0, 0)
    start = max(start, end - MOST_DAYS)
    return Course("day", np.datetime64(int(days.day[start]), "D"), days.kwh[start:end]) if start < end else None


# --- invoices ---------------------------------------------------------------------------------------------------------


def rollbacks(invoices: Table, n_clients: int) -> np.ndarray:
    """Electricity invoices whose old index is below the new one of the invoice before, same meter; -1 without any."""
    order = np.lexsort((invoices["invoice_on"], invoices["meter_id"], invoices["client"]))
    order = order[invoices["energy"][order] == 0]
    client, meter = invoices["client"][order], invoices["meter_id"][order]
    is_same = (client[1:] == client[:-1]) & (meter[1:] == meter[:-1])
    is_back = is_same & (invoices["old_index"][order][1:] < invoices["new_index"][order][:-1])
    n = np.bincount(client[1:][is_back], minlength=n_clients)
    return np.where(np.bincount(client, minlength=n_clients) > 0, n, -1)


class _Billed(NamedTuple):
    """Electricity invoices by client and date. [last: month of the date, since 1970]"""

    client: np.ndarray
    last: np.ndarray
    months: np.ndarray
    kwh: np.ndarray

    @classmethod
    def of(cls, invoices: Table) -> "_Billed":
        order = np.lexsort((invoices["invoice_on"], invoices["client"]))
        order = order[invoices["energy"][order] == 0]
        levels = np.array([invoices[f"consumption_level_{i}"][order] for i in (1, 2, 3, 4)])
        last = invoices["invoice_on"][order].astype("datetime64[M]").astype(np.int64)
        months = np.clip(np.nan_to_num(invoices["months"][order], nan=1.0), 1, 24).astype(np.int64)
        return cls(invoices["client"][order], last, months, np.nansum(levels, axis=0))

    def course(self, client: int) -> Course | None:
        """Each month has the average of the invoice that covers it, the newest where several do."""
        first, last = np.searchsorted(self.client, (client, client + 1))
        rows = np.arange(first, last)
        if not len(rows):
            return None
        end = int(self.last[rows].max()) + 1
        first = max(int((self.last[rows] - self.months[rows]).min()), end - MOST_MONTHS)
        kwh = np.full(end - first, np.nan)
        for row in rows:
            at = int(self.last[row]) - first
            kwh[max(at - int(self.months[row]), 0) : max(at, 0)] = self.kwh[row] / self.months[row]
        return Course("month", np.datetime64(first, "M").astype("datetime64[D]"), kwh[:-1])
