"""Invoices and days of readings -> what a person would want to see of a client: plain facts, and its consumption.

In:  canonical tables of some clients, and their Days where they have readings; Balances.
Out: facts by name, as data/alerts.toml says what each means (one that cannot be told is left out); a Course a client:
     daily where there are readings, else the invoices' monthly average.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption

RECENT, YEAR, MONTH = 90, 365, 30  # days
LEAST_SHARE = 2 / 3  # of a span's days: known, or nothing is said of it
NIGHT = slice(0, 5)  # hours
MOST_DAYS, MOST_MONTHS = 2 * YEAR, 240  # that a course goes back
LEAST_MONTHS = 6  # before the last twelve: with fewer there is no usual month
ELECTRICITY, GAS = 0, 1
CLIENT_BITS = 22  # above the days since 1970 of any invoice
NOTHING = 1.0  # kWh or m3 a month: what rounding leaves
OLD_MONTHS = 12  # without an invoice, others going on: the account is closed, and its home tells nothing of now
LEAST_ALIKE = 10  # other clients of a region and category, whose median says something


class ConsumptionSeries(NamedTuple):
    """Consumption from a first day on. [step: day or month; first_on: datetime64[D]; kwh: of each, NaN missing]"""

    step: str
    first_on: np.datetime64
    kwh: np.ndarray


Facts = dict[str, float]
OF_TRANSFORMER = ("transformer_loss_share", "transformer_loss_fit")
BESIDE_OTHERS = ("neighbour_share", *OF_TRANSFORMER)  # of a whole base: one client that is sent alone has none


def facts_of(invoices: Table, days: DailyConsumption | None, n_clients: int) -> list[Facts]:
    """The facts of each client."""
    found: list[Facts] = [{"n_index_rollbacks": float(n)} if n >= 0 else {} for n in rollbacks(invoices, n_clients)]
    for client, n in zero_months(invoices, days).items():
        found[client]["zero_months_occupied"] = float(n)
    if days is not None:
        for client, facts in enumerate(found):
            part = slice(*_bounds(days, client))
            hours = None if days.hours is None else days.hours[part]
            told = {"fall_90_days_share": fall(days.kwh[part]), "spike_ratio": spike(days.kwh[part])}
            told["night_share_rise"] = night_rise(hours)
            facts.update({name: value for name, value in told.items() if value is not None})
    return found


def facts_beside_others(clients: Table, days: DailyConsumption | None, balances: EnergyBalances | None) -> list[Facts]:
    """The facts of each client for which others are needed, or its transformer: BESIDE_OTHERS."""
    told: dict[str, np.ndarray] = {}
    if days is not None:
        told["neighbour_share"] = neighbour_shares(clients, days)
    if balances is not None:
        told |= zip(OF_TRANSFORMER, (balances.share, balances.fit), strict=True)
    columns = [column.tolist() for column in told.values()]
    rows = zip(*columns, strict=True) if columns else [()] * len(clients["client_id"])
    return [{name: value for name, value in zip(told, row, strict=True) if value == value} for row in rows]


def courses_of(invoices: Table, days: DailyConsumption | None, n_clients: int) -> list[ConsumptionSeries | None]:
    """The consumption of each client, None where nothing is known."""
    billed = MonthlyInvoices.of(invoices)
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


def _bounds(days: DailyConsumption, client: int) -> tuple[int, int]:
    return int(days.segments.starts[client]), int(days.segments.ends[client])


def _daily(days: DailyConsumption | None, client: int) -> ConsumptionSeries | None:
    start, end = _bounds(days, client) if days is not None else (0, 0)
    start = max(start, end - MOST_DAYS)
    return (
        ConsumptionSeries("day", np.datetime64(int(days.day[start]), "D"), days.kwh[start:end]) if start < end else None
    )


# --- beside others ----------------------------------------------------------------------------------------------------


def neighbour_shares(clients: Table, days: DailyConsumption) -> np.ndarray:
    """The base's last 90 days against the median of the other clients of the region and category. [ratio, NaN]"""
    use = _recent_use(days)
    key = np.column_stack([np.nan_to_num(clients[name], nan=-1.0) for name in ("region", "category")])
    cell = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((use, cell))
    order = order[~np.isnan(use[order])]
    counts = np.bincount(cell[order], minlength=len(key))
    n, first = counts[cell[order]], (np.cumsum(counts) - counts)[cell[order]]
    place, others = np.arange(len(order)) - first, n - 1
    # The middle ones of the others, by their places: who stands before them moves them on by one.
    middle = [(others - 1) // 2, others // 2]
    ends = np.minimum(first + n - 1, len(order) - 1)
    of_others = [use[order[np.minimum(first + at + (at >= place), ends)]] for at in middle]
    median = (of_others[0] + of_others[1]) / 2.0
    share = np.full(len(use), np.nan)
    is_told = (others >= LEAST_ALIKE) & (median > 0)
    share[order[is_told]] = use[order[is_told]] / median[is_told]
    return share


def _recent_use(days: DailyConsumption) -> np.ndarray:
    """Mean of the last 90 days of the base, NaN where too few are known. [kWh a day, a client]"""
    if not len(days.day):
        return np.full(len(days.segments), np.nan)
    known = (days.day > days.day.max() - RECENT) & ~np.isnan(days.kwh)
    client, n_clients = days.segments.index[known], len(days.segments)
    n, total = np.bincount(client, minlength=n_clients), np.bincount(client, days.kwh[known], n_clients)
    return np.where(n >= RECENT * LEAST_SHARE, total / np.maximum(n, 1), np.nan)


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


def zero_months(invoices: Table, days: DailyConsumption | None) -> dict[int, int]:
    """Latest months in a row without electricity while the client's gas went on: somebody lives there. By client.

    Of clients with both energies, whose account is open. Months of which the gas is not invoiced yet are left out.
    """
    electricity, gas = MonthlyInvoices.of(invoices), MonthlyInvoices.of(invoices, GAS)
    newest = max((int(billed.last.max()) for billed in (electricity, gas) if len(billed.last)), default=0)
    found = {}
    for client in np.unique(gas.client).tolist():
        daily, last_on, rate = _daily(days, client), *electricity.newest(client)
        if daily is None and (rate is None or rate >= NOTHING):  # nearly everybody: their months need not be looked at
            found |= {} if rate is None or last_on <= newest - OLD_MONTHS else {client: 0}
            continue
        own = _months_of(daily or electricity.course(client))
        if own and max(own) >= newest - OLD_MONTHS:
            found[client] = _empty_months(own, _months_of(gas.course(client)))
    return found


def _months_of(course: ConsumptionSeries | None) -> dict[int, float]:
    """Consumption by month since 1970; of days those months of which enough are known, made whole."""
    if course is None:
        return {}
    if course.step == "month":
        first = int(course.first_on.astype("datetime64[M]").astype(np.int64))
        return {first + i: kwh for i, kwh in enumerate(course.kwh.tolist()) if kwh == kwh}
    day = course.first_on + np.arange(len(course.kwh))
    month = day.astype("datetime64[M]").astype(np.int64)
    parts = {m: course.kwh[month == m] for m in np.unique(month).tolist()}
    means = {m: _mean(kwh, MONTH) for m, kwh in parts.items()}
    return {m: mean * MONTH for m, mean in means.items() if mean is not None}


def _empty_months(electricity: dict[int, float], gas: dict[int, float]) -> int:
    n = 0
    for month in sorted(electricity, reverse=True):
        if electricity[month] >= NOTHING or gas.get(month, NOTHING) < NOTHING:
            break
        n += month in gas
    return n


class MonthlyInvoices(NamedTuple):
    """One energy's invoices by client and date. [last: month of the date, since 1970; kwh: of gas m3]"""

    client: np.ndarray
    last: np.ndarray
    months: np.ndarray
    kwh: np.ndarray

    @classmethod
    def of(cls, invoices: Table, energy: int = ELECTRICITY) -> "MonthlyInvoices":
        own = np.flatnonzero(invoices["energy"] == energy)
        client, day = invoices["client"][own], invoices["invoice_on"][own].astype(np.int64)
        order = own[np.argsort((client << CLIENT_BITS) + day, kind="stable")]  # in a third of lexsort's time
        levels = np.array([invoices[f"consumption_level_{i}"][order] for i in (1, 2, 3, 4)])
        last = invoices["invoice_on"][order].astype("datetime64[M]").astype(np.int64)
        months = np.clip(np.nan_to_num(invoices["months"][order], nan=1.0), 1, 24).astype(np.int64)
        return cls(invoices["client"][order], last, months, np.nansum(levels, axis=0))

    def newest(self, client: int) -> tuple[int, float | None]:
        """The month of the last invoice and what it billed a month; None without any."""
        stop = int(np.searchsorted(self.client, client, side="right"))
        if not stop or self.client[stop - 1] != client:
            return 0, None
        return int(self.last[stop - 1]), float(self.kwh[stop - 1] / self.months[stop - 1])

    def course(self, client: int) -> ConsumptionSeries | None:
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
        return ConsumptionSeries("month", np.datetime64(first, "M").astype("datetime64[D]"), kwh[:-1])
