"""The course of a client's consumption in periods, from invoices or from readings alike; its clearest change.

In:  Billed (fairmeter/explanation/billed.py), or days with readings.
Out: Course: a period a row, oldest first. What is missing is left out.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.formatting import figure
from fairmeter.explanation.billed import UNITS, BillingHistory
from fairmeter.features.base import ENERGY_NAMES

BLOCK_DAYS = 15  # of a period made of readings: shorter than the shortest vacancy that invoices show, longer than noise
LEAST_KNOWN = 5  # days with readings in it


class ConsumptionPeriods(NamedTuple):
    """end: last day of each period [days since 1970]; months: its length; rate: kWh a month (m3 of gas)."""

    source: str  # what the periods are made of, in words
    unit: str
    end: np.ndarray
    months: np.ndarray
    rate: np.ndarray

    def __len__(self) -> int:  # else a tuple's: the number of columns
        return len(self.end)

    def a_month(self, rate: float) -> str:
        return f"{figure(rate)} {self.unit} a month"

    def step(self, before: float, after: float) -> str:
        return f"from {figure(before)} to {self.a_month(after)}"

    @property
    def start(self) -> np.ndarray:
        return self.end - self.months * DAYS_PER_MONTH

    @property
    def middle(self) -> np.ndarray:
        """Month of the year in each period's middle, 0 .. 11."""
        day = (self.start + self.end) / 2.0
        return day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12

    def mean(self, chosen: np.ndarray) -> float:
        """kWh a month over these periods, the long ones weighing more; NaN over none. [mask]"""
        months = self.months[chosen].sum()
        return float((self.rate * self.months)[chosen].sum() / months) if months else float("nan")

    def change(self) -> int:
        """The first period after the clearest change, by least squares of the log; 0 with fewer than four periods."""
        n, level = len(self), np.log1p(self.rate)
        if n < 4:
            return 0
        at = np.arange(2, n - 1)
        total = np.cumsum(level)
        before, after = total[at - 1] / at, (total[-1] - total[at - 1]) / (n - at)
        return int(at[np.argmax((after - before) ** 2 * at * (n - at))])


def course_of_invoices(billed: BillingHistory, energy: str) -> ConsumptionPeriods:
    """The invoices of one day are one period."""
    known = ~np.isnan(billed.monthly) & (billed.monthly >= 0) & (billed.span > 0)
    end, place = np.unique(billed.day[known], return_inverse=True)
    months = np.bincount(place, billed.span[known], minlength=len(end))
    rate = np.bincount(place, billed.kwh[known], minlength=len(end)) / months
    return ConsumptionPeriods(f"{ENERGY_NAMES[energy]} invoices", UNITS[energy], end, months, rate)


def course_of_days(day: np.ndarray, kwh: np.ndarray) -> ConsumptionPeriods:
    """Periods of BLOCK_DAYS up to the last day. [day: days since 1970, kwh: NaN where missing]"""
    known = ~np.isnan(kwh)
    if not known.any():
        return ConsumptionPeriods("readings", "kWh", *np.empty((3, 0)))
    block = (day[-1] - day) // BLOCK_DAYS
    numbers = np.arange(block.max(), -1, -1)
    n = np.bincount(block[known], minlength=len(numbers))[numbers]
    total = np.bincount(block[known], kwh[known], minlength=len(numbers))[numbers]
    kept = n >= LEAST_KNOWN
    end = (day[-1] - numbers * BLOCK_DAYS)[kept].astype(float)
    months = np.full(kept.sum(), BLOCK_DAYS / DAYS_PER_MONTH)
    return ConsumptionPeriods("readings", "kWh", end, months, total[kept] / n[kept] * DAYS_PER_MONTH)
