"""One client's invoices by energy, and its consumption in periods of invoices or of readings.

In:  InvoiceSeries of some clients (fairmeter/features/invoices/series.py), or days with readings.
Out: BillingHistory by energy and ConsumptionPeriods, both oldest first. In a history, missing values are NaN; a period
     without consumption is left out.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.formatting import figure
from fairmeter.core.types import Table
from fairmeter.features.base import ENERGIES, ENERGY_NAMES
from fairmeter.features.invoices.series import InvoiceSeries

UNITS = {"elec": "kWh", "gas": "m³"}
# Days in a period made of readings: shorter than the shortest vacancy that invoices show, longer than noise.
PERIOD_DAYS = 15
MIN_KNOWN_DAYS = 5  # with readings, in a period
COMPUTED_COLUMNS = ("day", "consumption", "months", "monthly", "gap", "change", "year_on_year", "level", "mismatch")
GIVEN_COLUMNS = ("old_index", "new_index", "meter_id", "remark", "tariff")


class BillingHistory(NamedTuple):
    """The invoices of one client and one energy, one value an invoice.

    day: days since 1970; kwh: m3 for gas; monthly: kWh a month; span: months that the invoice adds to the history.
    Invoices of one day share their span: they are of meters side by side, or of a meter that was exchanged.
    """

    day: np.ndarray
    kwh: np.ndarray
    months: np.ndarray
    monthly: np.ndarray
    gap: np.ndarray
    change: np.ndarray
    year_on_year: np.ndarray
    level: np.ndarray
    mismatch: np.ndarray
    old_index: np.ndarray
    new_index: np.ndarray
    meter_id: np.ndarray
    remark: np.ndarray
    tariff: np.ndarray
    span: np.ndarray

    def __len__(self) -> int:  # a tuple's own length would be the number of columns
        return len(self.day)

    def rate(self, chosen: np.ndarray) -> float:
        """Mean consumption of the chosen invoices, weighted by their span. [mask -> kWh a month, NaN if unknown]"""
        known = chosen & ~np.isnan(self.kwh) & ~np.isnan(self.span)
        months = self.span[known].sum()
        return float(self.kwh[known].sum() / months) if months else float("nan")

    def from_day(self, day: float) -> np.ndarray:
        """Mask of the invoices of that day or later. [day: days since 1970]"""
        return self.day >= day


class ConsumptionPeriods(NamedTuple):
    """Consumption by period.

    end: last day of each period [days since 1970]; months: its length; rate: kWh a month (m3 for gas).
    """

    source: str  # what the periods are made of, for sentences: "electricity invoices", "readings"
    unit: str
    end: np.ndarray
    months: np.ndarray
    rate: np.ndarray

    def __len__(self) -> int:  # a tuple's own length would be the number of columns
        return len(self.end)

    def per_month(self, rate: float) -> str:
        return f"{figure(rate)} {self.unit} a month"

    def step(self, before: float, after: float) -> str:
        return f"from {figure(before)} to {self.per_month(after)}"

    @property
    def start(self) -> np.ndarray:
        return self.end - self.months * DAYS_PER_MONTH

    @property
    def middle(self) -> np.ndarray:
        """Month of the year in the middle of each period. [0 .. 11]"""
        day = (self.start + self.end) / 2.0
        return day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12

    def mean(self, chosen: np.ndarray) -> float:
        """Mean rate of the chosen periods, weighted by their length. [mask -> kWh a month, NaN without a period]"""
        months = self.months[chosen].sum()
        return float((self.rate * self.months)[chosen].sum() / months) if months else float("nan")

    def change(self) -> int:
        """Number of the first period after the clearest change; 0 with fewer than four periods.

        The split with the least sum of squares of the log rate.
        """
        n, level = len(self), np.log1p(self.rate)
        if n < 4:
            return 0
        at = np.arange(2, n - 1)
        total = np.cumsum(level)
        before, after = total[at - 1] / at, (total[-1] - total[at - 1]) / (n - at)
        return int(at[np.argmax((after - before) ** 2 * at * (n - at))])


def billing_histories(clients: Table, invoices: Table) -> list[dict[str, BillingHistory]]:
    """Billing histories of each client by energy; an energy without invoices is left out."""
    with np.errstate(all="ignore"):  # missing values are NaN, as in the features
        rows = InvoiceSeries.from_tables(clients, invoices)
        columns = [getattr(rows, name) for name in COMPUTED_COLUMNS] + [rows[name] for name in GIVEN_COLUMNS]
    found: list[dict[str, BillingHistory]] = [{} for _ in clients["client_id"]]
    for pair, start, end in zip(rows.pairs.tolist(), rows.by_pair.starts, rows.by_pair.ends, strict=True):
        own = [column[start:end] for column in columns]
        found[pair // 2][ENERGIES[pair % 2]] = BillingHistory(*own, _span(own[0], own[2]))
    return found


def _span(day: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Months that each invoice adds to the history.

    Invoices of one day share the time since the invoices before, or the longest of their own periods.
    """
    days, place, n = np.unique(day, return_inverse=True, return_counts=True)
    if len(days) == len(day):
        return months
    total, longest = np.bincount(place, np.nan_to_num(months)), np.zeros(len(days))
    np.maximum.at(longest, place, np.nan_to_num(months))
    since = np.rint(np.diff(days, prepend=days[0]) / DAYS_PER_MONTH)
    shared = np.minimum(total, np.maximum(longest, since))
    return np.where(n[place] > 1, shared[place] / n[place], months)


def periods_from_invoices(history: BillingHistory, energy: str) -> ConsumptionPeriods:
    """One period for each day with invoices."""
    known = ~np.isnan(history.monthly) & (history.monthly >= 0) & (history.span > 0)
    end, place = np.unique(history.day[known], return_inverse=True)
    months = np.bincount(place, history.span[known], minlength=len(end))
    rate = np.bincount(place, history.kwh[known], minlength=len(end)) / months
    return ConsumptionPeriods(f"{ENERGY_NAMES[energy]} invoices", UNITS[energy], end, months, rate)


def periods_from_readings(day: np.ndarray, kwh: np.ndarray) -> ConsumptionPeriods:
    """Periods of PERIOD_DAYS, the last of which ends on the last day. [day: days since 1970; kwh: NaN if missing]"""
    known = ~np.isnan(kwh)
    if not known.any():
        return ConsumptionPeriods("readings", "kWh", *np.empty((3, 0)))
    period = (day[-1] - day) // PERIOD_DAYS
    numbers = np.arange(period.max(), -1, -1)
    n = np.bincount(period[known], minlength=len(numbers))[numbers]
    total = np.bincount(period[known], kwh[known], minlength=len(numbers))[numbers]
    selected = n >= MIN_KNOWN_DAYS
    end = (day[-1] - numbers * PERIOD_DAYS)[selected].astype(float)
    months = np.full(selected.sum(), PERIOD_DAYS / DAYS_PER_MONTH)
    return ConsumptionPeriods("readings", "kWh", end, months, total[selected] / n[selected] * DAYS_PER_MONTH)
