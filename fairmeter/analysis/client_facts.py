"""Facts about a client for alerts and pages, and its consumption series.

In:  canonical tables of some clients, their DailyConsumption where they have readings; EnergyBalances.
Out: facts by name, defined in data/alerts.toml, without those that cannot be computed; a ConsumptionSeries per client:
     daily from readings, else the monthly average of the invoices.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.core.consumption import billed_consumption
from fairmeter.core.types import Table
from fairmeter.data.daily import DailyConsumption

RECENT, YEAR, MONTH = 90, 365, 30  # days
MIN_SHARE = 2 / 3  # of a period's days that must have readings
NIGHT = slice(0, 5)  # hours of the day
MAX_DAYS, MAX_MONTHS = 2 * YEAR, 240  # length of a series
MIN_MONTHS = 6  # before the last twelve, for a usual month
ELECTRICITY, GAS = 0, 1
CLIENT_BITS = 22  # a sort key holds the client above the days since 1970, which need fewer bits
MAX_EMPTY = 1.0  # kWh or m3 per month: less is a rounding residue
MAX_INVOICE_AGE = 12  # months without an invoice, while other clients get some, after which an account counts as closed
MIN_PEERS = 10  # other clients of the region and category, for a median


class ConsumptionSeries(NamedTuple):
    """Consumption from a first day on. [step: day or month; first_on: datetime64[D]; kwh: per step, NaN missing]"""

    step: str
    first_on: np.datetime64
    kwh: np.ndarray


Facts = dict[str, float]
TRANSFORMER_FACTS = ("transformer_loss_share", "transformer_loss_fit")
CONTEXT_FACTS = ("neighbour_share", *TRANSFORMER_FACTS)  # need the whole client base


def client_facts(invoices: Table, days: DailyConsumption | None, n_clients: int) -> list[Facts]:
    """Facts of each client from its own invoices and readings."""
    found: list[Facts] = [
        {"n_index_rollbacks": float(n)} if n >= 0 else {} for n in index_rollbacks(invoices, n_clients)
    ]
    for client, n in zero_months(invoices, days).items():
        found[client]["zero_months_occupied"] = float(n)
    if days is not None:
        for client, facts in enumerate(found):
            part = slice(*_bounds(days, client))
            hours = None if days.hours is None else days.hours[part]
            own = {"fall_90_days_share": consumption_fall(days.kwh[part])}
            own |= {"spike_ratio": consumption_spike(days.kwh[part]), "night_share_rise": night_rise(hours)}
            facts.update({name: value for name, value in own.items() if value is not None})
    return found


def context_facts(clients: Table, days: DailyConsumption | None, balances: EnergyBalances | None) -> list[Facts]:
    """CONTEXT_FACTS of each client, which depend on other clients or on its transformer."""
    columns: dict[str, np.ndarray] = {}
    if days is not None:
        columns["neighbour_share"] = neighbour_shares(clients, days)
    if balances is not None:
        columns |= zip(TRANSFORMER_FACTS, (balances.share, balances.fit), strict=True)
    values = [column.tolist() for column in columns.values()]
    rows = zip(*values, strict=True) if values else [()] * len(clients["client_id"])
    return [{name: value for name, value in zip(columns, row, strict=True) if value == value} for row in rows]


def consumption_series(
    invoices: Table, days: DailyConsumption | None, n_clients: int
) -> list[ConsumptionSeries | None]:
    """Consumption series of each client, None without readings and invoices."""
    monthly = MonthlyInvoices.from_table(invoices)
    return [_daily(days, client) or monthly.series(client) for client in range(n_clients)]


# --- one client's days ------------------------------------------------------------------------------------------------


def consumption_fall(kwh: np.ndarray) -> float | None:
    """Fall of the last 90 days from the same days a year before, else from the 90 days before. [share, < 0: a rise]"""
    recent = _mean(kwh[-RECENT:], RECENT)
    before = _mean(kwh[-RECENT - YEAR : -YEAR], RECENT)
    if before is None:
        before = _mean(kwh[-2 * RECENT : -RECENT], RECENT)
    return None if recent is None or not before else 1.0 - recent / before


def consumption_spike(kwh: np.ndarray) -> float | None:
    """Highest 30 days of the last year over the median 30 days before that year. [ratio]"""
    months = [_mean(kwh[end - MONTH : end], MONTH) for end in range(len(kwh), MONTH - 1, -MONTH)]
    recent, before = [m for m in months[:12] if m is not None], [m for m in months[12:] if m is not None]
    usual = float(np.median(before)) if len(before) >= MIN_MONTHS else 0.0
    return max(recent) / usual if recent and usual > 0 else None


def night_rise(hours: np.ndarray | None) -> float | None:
    """Rise of the share used from 0 to 5 o'clock, the last 90 days against all days before. [share]"""
    if hours is None:
        return None
    recent, before = _night_share(hours[-RECENT:]), _night_share(hours[:-RECENT])
    return None if recent is None or before is None else recent - before


def _night_share(hours: np.ndarray) -> float | None:
    complete = hours[~np.isnan(hours).any(axis=1)]
    total = complete.sum()
    return float(complete[:, NIGHT].sum() / total) if len(complete) >= RECENT * MIN_SHARE and total > 0 else None


def _mean(kwh: np.ndarray, n_days: int) -> float | None:
    present = kwh[~np.isnan(kwh)]
    return float(present.mean()) if len(present) >= n_days * MIN_SHARE else None


def _bounds(days: DailyConsumption, client: int) -> tuple[int, int]:
    return int(days.segments.starts[client]), int(days.segments.ends[client])


def _daily(days: DailyConsumption | None, client: int) -> ConsumptionSeries | None:
    start, end = _bounds(days, client) if days is not None else (0, 0)
    start = max(start, end - MAX_DAYS)
    return (
        ConsumptionSeries("day", np.datetime64(int(days.day[start]), "D"), days.kwh[start:end]) if start < end else None
    )


# --- against other clients --------------------------------------------------------------------------------------------


def neighbour_shares(clients: Table, days: DailyConsumption) -> np.ndarray:
    """Consumption in the last 90 days of the base over the median of the region and category. [ratio, NaN]"""
    use = _recent_use(days)
    key = np.column_stack([np.nan_to_num(clients[name], nan=-1.0) for name in ("region", "category")])
    cell = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((use, cell))
    order = order[~np.isnan(use[order])]
    counts = np.bincount(cell[order], minlength=len(key))
    n, first = counts[cell[order]], (np.cumsum(counts) - counts)[cell[order]]
    place, others = np.arange(len(order)) - first, n - 1
    # Ranks of the median among the others; the client itself, where it ranks before, shifts them by one.
    middle = [(others - 1) // 2, others // 2]
    ends = np.minimum(first + n - 1, len(order) - 1)
    of_others = [use[order[np.minimum(first + at + (at >= place), ends)]] for at in middle]
    median = (of_others[0] + of_others[1]) / 2.0
    share = np.full(len(use), np.nan)
    is_present = (others >= MIN_PEERS) & (median > 0)
    share[order[is_present]] = use[order[is_present]] / median[is_present]
    return share


def _recent_use(days: DailyConsumption) -> np.ndarray:
    """Mean of each client in the last 90 days of the base, NaN with too few readings. [kWh per day]"""
    if not len(days.day):
        return np.full(len(days.segments), np.nan)
    is_recent = (days.day > days.day.max() - RECENT) & ~np.isnan(days.kwh)
    client, n_clients = days.segments.index[is_recent], len(days.segments)
    n, total = np.bincount(client, minlength=n_clients), np.bincount(client, days.kwh[is_recent], n_clients)
    return np.where(n >= RECENT * MIN_SHARE, total / np.maximum(n, 1), np.nan)


# --- invoices ---------------------------------------------------------------------------------------------------------


def index_rollbacks(invoices: Table, n_clients: int) -> np.ndarray:
    """Number of electricity invoices that start below the end of the previous one, same meter; -1 without any."""
    order = np.lexsort((invoices["invoice_on"], invoices["meter_id"], invoices["client"]))
    order = order[invoices["energy"][order] == 0]
    client, meter = invoices["client"][order], invoices["meter_id"][order]
    is_same = (client[1:] == client[:-1]) & (meter[1:] == meter[:-1])
    is_back = is_same & (invoices["old_index"][order][1:] < invoices["new_index"][order][:-1])
    n = np.bincount(client[1:][is_back], minlength=n_clients)
    return np.where(np.bincount(client, minlength=n_clients) > 0, n, -1)


def zero_months(invoices: Table, days: DailyConsumption | None) -> dict[int, int]:
    """Consecutive last months without electricity while gas is used, so that the home is occupied. By client.

    For clients with both energies and an open account. Months whose gas is not invoiced yet are left out.
    """
    electricity, gas = MonthlyInvoices.from_table(invoices), MonthlyInvoices.from_table(invoices, GAS)
    newest = max((int(energy.last.max()) for energy in (electricity, gas) if len(energy.last)), default=0)
    found = {}
    for client in np.unique(gas.client).tolist():
        daily, last_on, rate = _daily(days, client), *electricity.newest(client)
        if daily is None and (rate is None or rate >= MAX_EMPTY):  # most clients: skip the months
            found |= {} if rate is None or last_on <= newest - MAX_INVOICE_AGE else {client: 0}
            continue
        own = _months_of(daily or electricity.series(client))
        if own and max(own) >= newest - MAX_INVOICE_AGE:
            found[client] = _empty_months(own, _months_of(gas.series(client)))
    return found


def _months_of(series: ConsumptionSeries | None) -> dict[int, float]:
    """Consumption by month since 1970; daily series give months with enough readings, scaled to a whole month."""
    if series is None:
        return {}
    if series.step == "month":
        first = int(series.first_on.astype("datetime64[M]").astype(np.int64))
        return {first + i: kwh for i, kwh in enumerate(series.kwh.tolist()) if kwh == kwh}
    day = series.first_on + np.arange(len(series.kwh))
    month = day.astype("datetime64[M]").astype(np.int64)
    parts = {m: series.kwh[month == m] for m in np.unique(month).tolist()}
    means = {m: _mean(kwh, MONTH) for m, kwh in parts.items()}
    return {m: mean * MONTH for m, mean in means.items() if mean is not None}


def _empty_months(electricity: dict[int, float], gas: dict[int, float]) -> int:
    """Consecutive last months without electricity and with gas."""
    n = 0
    for month in sorted(electricity, reverse=True):
        if electricity[month] >= MAX_EMPTY or gas.get(month, MAX_EMPTY) < MAX_EMPTY:
            break
        n += month in gas
    return n


class MonthlyInvoices(NamedTuple):
    """Invoices of one energy by client and date. [last: month of the date, since 1970; kwh: m3 for gas]"""

    client: np.ndarray
    last: np.ndarray
    months: np.ndarray
    kwh: np.ndarray

    @classmethod
    def from_table(cls, invoices: Table, energy: int = ELECTRICITY) -> "MonthlyInvoices":
        """Select and sort the invoices of one energy."""
        own = np.flatnonzero(invoices["energy"] == energy)
        client, day = invoices["client"][own], invoices["invoice_on"][own].astype(np.int64)
        order = own[np.argsort((client << CLIENT_BITS) + day, kind="stable")]  # three times as fast as lexsort
        kwh = np.nan_to_num(billed_consumption(invoices, order))
        last = invoices["invoice_on"][order].astype("datetime64[M]").astype(np.int64)
        months = np.clip(np.nan_to_num(invoices["months"][order], nan=1.0), 1, 24).astype(np.int64)
        return cls(invoices["client"][order], last, months, kwh)

    def newest(self, client: int) -> tuple[int, float | None]:
        """Month of the last invoice and its consumption per month; (0, None) without invoices."""
        stop = int(np.searchsorted(self.client, client, side="right"))
        if not stop or self.client[stop - 1] != client:
            return 0, None
        return int(self.last[stop - 1]), float(self.kwh[stop - 1] / self.months[stop - 1])

    def series(self, client: int) -> ConsumptionSeries | None:
        """Monthly series: each month has the average of the newest invoice that covers it."""
        first, last = np.searchsorted(self.client, (client, client + 1))
        rows = np.arange(first, last)
        if not len(rows):
            return None
        end = int(self.last[rows].max()) + 1
        first = max(int((self.last[rows] - self.months[rows]).min()), end - MAX_MONTHS)
        kwh = np.full(end - first, np.nan)
        for row in rows:
            at = int(self.last[row]) - first
            kwh[max(at - int(self.months[row]), 0) : max(at, 0)] = self.kwh[row] / self.months[row]
        return ConsumptionSeries("month", np.datetime64(first, "M").astype("datetime64[D]"), kwh[:-1])
