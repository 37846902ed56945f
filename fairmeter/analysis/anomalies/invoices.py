"""Patterns in a client's electricity invoices: spikes, low use, falls, changes, stalls, rollbacks, equal invoices.

In:  canonical invoices, sorted by client; how far each client lies from its peers, where the model knows them.
Out: Evidence of each pattern, of clients with electricity. Only what reaches into the last RECENT days before a
     client's newest invoice counts.
"""

from functools import cached_property

import numpy as np

from fairmeter.analysis.anomalies.evidence import (
    Evidence,
    Occurrence,
    above_zero,
    largest,
    last_largest,
    or_else,
    quantile,
    row_sums,
)
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.consumption import billed_consumption
from fairmeter.core.types import Table

N_INVOICES = 24  # the newest of each client: eight years of invoices of four months
N_RECENT = 7  # invoices, at least those of a year in which they come every two months
RECENT = 366  # days
YEAR_DAYS, HALF_MONTH = 365, 15
ELECTRICITY = 0
CLIENT_BITS = 22  # a sort key holds the client above the days since 1970, which need fewer bits
SMALL = 20.0  # kWh per month, added before ratios: a small consumption varies by multiples
MAX_MONTHS = 24.0


class RecentInvoices:
    """The newest electricity invoices of clients that have any. Matrices are (clients, N_INVOICES), NaN before them.

    client: row of each in the table of clients.
    """

    def __init__(self, invoices: Table) -> None:
        own = np.flatnonzero(invoices["energy"] == ELECTRICITY)
        client, day = invoices["client"][own], invoices["invoice_on"][own].astype("datetime64[D]").astype(np.int64)
        order = np.lexsort((invoices["new_index"][own], (client << CLIENT_BITS) + day))
        self._invoices, self._rows, client = invoices, own[order], client[order]
        is_last = np.append(client[1:] != client[:-1], True)
        self.client, ends = client[is_last], np.flatnonzero(is_last) + 1
        counts, back = np.diff(ends, prepend=0), np.arange(N_INVOICES)[::-1]
        self._place = np.where(back < counts[:, None], ends[:, None] - 1 - back, len(client))
        self.day = self._matrix(day[order].astype(np.float64))
        self.kwh = self._matrix(billed_consumption(invoices, self._rows))
        self.months = np.minimum(np.maximum(or_else(self.column("months"), 1.0), 1.0), MAX_MONTHS)
        self.monthly = self.kwh / self.months  # kWh
        self.ago = self.day[:, -1:] - self.day  # days from each invoice to the newest
        self.is_recent = self.ago[:, -N_RECENT:] <= RECENT  # (clients, N_RECENT)

    def _matrix(self, column: np.ndarray) -> np.ndarray:
        return np.append(column, np.nan)[self._place]

    def column(self, name: str) -> np.ndarray:
        """A column of the invoices as a matrix."""
        return self._matrix(self._invoices[name][self._rows])

    @cached_property
    def usual(self) -> np.ndarray:
        """Upper quartile of all months. [kWh per month, (clients,)]"""
        return or_else(quantile(self.monthly, 0.75), 0.0)

    def from_day(self, client: int, column: int) -> int:
        """First day that an invoice covers."""
        return int(self.day[client, column] - DAYS_PER_MONTH * self.months[client, column])

    def until_day(self, client: int, column: int = -1) -> int:
        """Date of an invoice, by default of the newest."""
        return int(self.day[client, column])


def invoice_evidence(invoices: Table, peer_gap: np.ndarray | None = None) -> tuple[np.ndarray, list[Evidence]]:
    """(rows of the clients with electricity, evidence of all patterns for these clients).

    peer_gap: log ratio of each client's last year to its peers, NaN where unknown. [(all clients,)]
    """
    if not (invoices["energy"] == ELECTRICITY).any():
        return np.empty(0, np.int64), []
    with np.errstate(invalid="ignore", divide="ignore"):
        own = RecentInvoices(invoices)
        found = [spikes(own), low_use(own), *yearly_changes(own), stalls(own), rollbacks(own), equal_invoices(own)]
        return own.client, found + ([] if peer_gap is None else peer_deviations(own, peer_gap[own.client]))


# --- spikes and low use -----------------------------------------------------------------------------------------------

SPIKE_PAST, MIN_PAST, PAST_SHARE = 6, 4, 0.7  # invoices before a spike, and their quantile
SEASON = (320.0, 410.0)  # days back to an invoice of the same season
HIGHEST_SHARE = 0.5  # of the highest month ever: a home that is used again is no spike
SMALL_SPIKE = 50.0  # kWh per month, as SMALL
FIRST_RECENT = N_INVOICES - N_RECENT
PAST_COLUMNS = np.arange(FIRST_RECENT, N_INVOICES)[:, None] - SPIKE_PAST + np.arange(SPIKE_PAST)


def spikes(own: RecentInvoices) -> Evidence:
    """A recent invoice against those before it, that of the season a year before, and half the highest ever. [times]"""
    usual = quantile(own.monthly[:, PAST_COLUMNS], PAST_SHARE, MIN_PAST)
    highest = np.maximum.accumulate(or_else(own.monthly, 0.0), axis=1)[:, FIRST_RECENT - 1 : -1]
    gap = own.ago[:, None, :] - own.ago[:, FIRST_RECENT:, None]
    same = np.where((gap >= SEASON[0]) & (gap <= SEASON[1]), own.monthly[:, None, :], -np.inf).max(axis=2)
    most = np.maximum(np.maximum(usual, same), HIGHEST_SHARE * highest)
    times = (own.monthly[:, FIRST_RECENT:] + SMALL_SPIKE) / (most + SMALL_SPIKE)
    value, best = largest(np.where(own.is_recent, times, np.nan))

    def occurrence(client: int) -> Occurrence:
        at = FIRST_RECENT + int(best[client])
        figures = {"during": float(own.monthly[client, at]), "before": float(usual[client, best[client]])}
        return Occurrence(own.from_day(client, at), own.until_day(client, at), figures)

    return Evidence("invoice_spike", value, occurrence)


LOW_SHARE, LOW_KWH = 0.1, 1.0  # of the usual month; kWh per month


def low_use(own: RecentInvoices) -> Evidence:
    """Months on end under a tenth of the usual. [months]"""
    first, months = _months_on_end(own.monthly <= np.maximum(LOW_SHARE * own.usual, LOW_KWH)[:, None], own.months)
    most, at = last_largest(np.where(own.is_recent, months[:, FIRST_RECENT:], 0.0))

    def occurrence(client: int) -> Occurrence:
        stop = FIRST_RECENT + int(at[client])
        start = int(first[client, stop])
        during = float(own.kwh[client, start : stop + 1].sum() / most[client])
        figures = {"during": during, "before": float(own.usual[client]), "n_months": float(most[client])}
        return Occurrence(own.from_day(client, start), own.until_day(client, stop), figures)

    return Evidence("invoice_low_use", most, occurrence)


def _months_on_end(mask: np.ndarray, months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first column of the run of True that ends at each column, its months); 0 months where it is False."""
    place = np.arange(N_INVOICES)
    first = np.minimum(np.maximum.accumulate(np.where(mask, -1, place), axis=1) + 1, N_INVOICES - 1)
    total = np.zeros((len(mask), N_INVOICES + 1))
    months.cumsum(axis=1, out=total[:, 1:])
    return first, np.where(mask, total[:, 1:] - total[np.arange(len(mask))[:, None], first], 0.0)


# --- years ------------------------------------------------------------------------------------------------------------

YEARS = np.array([(-1.0, 350.0), (350.0, 715.0), (715.0, 1081.0), (1081.0, 1800.0)])  # days before the newest invoice
HALF_YEAR = 6.0  # months of a year that must be billed
ONE_STEP = 0.3  # of a fall of two years: with a smaller part in either year it is one step


def yearly_changes(own: RecentInvoices) -> list[Evidence]:
    """A fall two years running, and the last year against all before. [log ratio]"""
    last, before, second, earlier = years = _mean_levels(own)
    gradual = np.fmin(second - before, before - last)
    gradual = np.where(gradual >= ONE_STEP * (second - last), gradual, np.nan)
    has_two = ~np.isnan(before + second)
    lowest, highest = np.fmin(np.fmin(before, second), earlier), np.fmax(np.fmax(before, second), earlier)
    return [
        _of_years("invoice_gradual_fall", own, above_zero(gradual), years[2], last, 2),
        _of_years("invoice_own_fall", own, above_zero(np.where(has_two, lowest - last, np.nan)), before, last, 1),
        _of_years("invoice_own_rise", own, above_zero(np.where(has_two, last - highest, np.nan)), before, last, 1),
    ]


def _mean_levels(own: RecentInvoices) -> np.ndarray:
    """Logarithm of the mean month of each of YEARS; NaN with under half a year. [(YEARS, clients)]"""
    ago, bounds = own.ago[None], YEARS[:, :, None, None]
    inside = (ago > bounds[:, 0]) & (ago <= bounds[:, 1]) & ~np.isnan(own.kwh)
    kwh, months = (row_sums(np.where(inside, each, 0.0)) for each in (own.kwh, own.months))
    return np.where(months >= HALF_YEAR, np.log(kwh / np.maximum(months, 1.0) + SMALL), np.nan)


def _of_years(
    kind: str, own: RecentInvoices, value: np.ndarray, then: np.ndarray, now: np.ndarray, years: int
) -> Evidence:
    """Evidence that lasts some years until the newest invoice. [then, now: levels]"""

    def occurrence(client: int) -> Occurrence:
        until = own.until_day(client)
        figures = {"share": float(abs(np.expm1(now[client] - then[client])))}
        return Occurrence(until - years * YEAR_DAYS + HALF_MONTH, until, figures)

    return Evidence(kind, value, occurrence)


def peer_deviations(own: RecentInvoices, gap: np.ndarray) -> list[Evidence]:
    """The last year against clients of the same region and category. [gap: log ratio; value > 0]"""

    def occurrence(client: int) -> Occurrence:
        until = own.until_day(client)
        figures = {"share": float(abs(np.expm1(gap[client]))), "times": float(np.exp(gap[client]))}
        return Occurrence(until - YEAR_DAYS + HALF_MONTH, until, figures)

    return [
        Evidence(f"invoice_peer_{way}", above_zero(sign * gap), occurrence)
        for way, sign in (("fall", -1.0), ("rise", 1.0))
    ]


# --- tampering --------------------------------------------------------------------------------------------------------

CATCH_UP, STILL = 1.5, 0.02  # times, and share of the usual month


def stalls(own: RecentInvoices) -> Evidence:
    """Months of standstill before a recent invoice far above the usual. [months]"""
    usual = own.usual[:, None]
    first, months = _months_on_end(own.monthly <= np.minimum(STILL * usual, LOW_KWH), own.months)
    caught = own.is_recent & (own.monthly[:, FIRST_RECENT:] >= CATCH_UP * usual) & (usual > SMALL)
    most, at = last_largest(np.where(caught, months[:, FIRST_RECENT - 1 : -1], 0.0))

    def occurrence(client: int) -> Occurrence:
        stop = FIRST_RECENT + int(at[client])
        figures = {"kwh": float(own.monthly[client, stop]), "n_months": float(most[client])}
        return Occurrence(own.from_day(client, int(first[client, stop - 1])), own.until_day(client, stop), figures)

    return Evidence("invoice_stall", above_zero(most), occurrence)


def rollbacks(own: RecentInvoices) -> Evidence:
    """Largest recent step back of the index between two invoices of one meter, in usual months. [months]"""
    meter, old, new = (own.column(name) for name in ("meter_id", "old_index", "new_index"))
    now, then = slice(FIRST_RECENT, None), slice(FIRST_RECENT - 1, -1)
    is_same = own.is_recent & (meter[:, now] == meter[:, then])
    back = np.where(is_same, new[:, then] - old[:, now], np.nan)
    most, at = largest(back)

    def occurrence(client: int) -> Occurrence:
        stop = FIRST_RECENT + int(at[client])
        days = own.until_day(client, stop - 1), own.until_day(client, stop)
        return Occurrence(*days, {"index": float(most[client])})

    return Evidence("invoice_rollback", above_zero(most / (own.usual + SMALL)), occurrence)


def equal_invoices(own: RecentInvoices) -> Evidence:
    """Recent invoices in a row with the same consumption above zero. [invoices]"""
    same = np.zeros(own.kwh.shape, bool)
    same[:, 1:] = (own.kwh[:, 1:] == own.kwh[:, :-1]) & (own.monthly[:, 1:] > LOW_KWH)
    same[:, 1:] &= own.ago[:, :-1] > own.ago[:, 1:]
    first, n = _months_on_end(same, np.ones(own.kwh.shape))
    most, at = last_largest(np.where(own.is_recent, n[:, FIRST_RECENT:], 0.0))

    def occurrence(client: int) -> Occurrence:
        stop = FIRST_RECENT + int(at[client])
        start = max(int(first[client, stop]) - 1, 0)
        figures = {"kwh": float(own.kwh[client, stop]), "n": float(most[client] + 1)}
        return Occurrence(own.from_day(client, start), own.until_day(client, stop), figures)

    return Evidence("invoice_equal", np.where(most > 0, most + 1.0, np.nan), occurrence)
