"""One client's invoices by energy, and its consumption in periods of invoices or of readings.

In:  InvoiceSeries of some clients (fairmeter/features/invoices/series.py), or days with readings.
Out: BillingHistory by energy and ConsumptionPeriods, both oldest first. In a history, missing values are NaN; a period
     without consumption is left out.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table
from fairmeter.features.base import ENERGIES, ENERGY_NAMES
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.wording.phrases import Phrase

UNITS = {"elec": "kWh", "gas": "m³"}
# Days in a period made of readings: shorter than the shortest vacancy that invoices show, longer than noise.
PERIOD_DAYS = 15
MIN_KNOWN_DAYS = 5  # with readings, in a period
CHANGES = "changes"  # of ConsumptionPeriods: what several harmless causes ask for is found once
MIN_PERIODS = 4  # two before a change and two after it
# A change is clear where it takes this, times the logarithm of the number of levels, times their variance around the
# clearest change, off their sum of squares; set by hand, so that seasons alone are seldom one.
CLEAR_CHANGE = 3.0
NO_CHANGE = 0.01  # of the level's root, a fiftieth of the level: no meter and no home is more equal to itself
USUAL_SHARE = 0.85  # of the levels, that the variance is of
COMPUTED_COLUMNS = ("day", "consumption", "months", "monthly", "gap", "change", "year_on_year", "level", "mismatch")
OF_READINGS = Phrase("source.readings")
GIVEN_COLUMNS = ("old_index", "new_index", "meter_id", "remark", "tariff")


class BillingHistory(NamedTuple):
    """The invoices of one client and one energy, one value an invoice.

    day: days since 1970, each once; kwh: m3 for gas; monthly: kWh a month.
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

    def __len__(self) -> int:  # a tuple's own length would be the number of columns
        return len(self.day)

    def rate(self, chosen: np.ndarray) -> float:
        """Mean consumption of the chosen invoices, weighted by their months. [mask -> kWh a month, NaN if unknown]"""
        known = chosen & ~np.isnan(self.kwh) & ~np.isnan(self.months)
        months = self.months[known].sum()
        return float(self.kwh[known].sum() / months) if months else float("nan")

    def from_day(self, day: float) -> np.ndarray:
        """Mask of the invoices of that day or later. [day: days since 1970]"""
        return self.day >= day


@dataclass(frozen=True, eq=False)
class ConsumptionPeriods:
    """Consumption by period.

    start, end: first and last day of each period [days since 1970]; months: its length; rate: kWh a month (m3 for gas).
    suspected_since: the day on which the client's suspicious change began, by all its data; NaN where there is none.
    """

    source: Phrase  # what the periods are made of, for sentences: "electricity invoices", "readings"
    unit: str
    start: np.ndarray
    end: np.ndarray
    months: np.ndarray
    rate: np.ndarray
    suspected_since: float = float("nan")

    def __len__(self) -> int:
        return len(self.end)

    def suspected_from(self, day: float) -> "ConsumptionPeriods":
        """The periods of a client whose suspicious change began on that day."""
        made = replace(self, suspected_since=day)
        vars(made).update({name: found for name, found in vars(self).items() if name == CHANGES})
        return made

    @property
    def middle(self) -> np.ndarray:
        """Month of the year in the middle of each period. [0 .. 11]"""
        day = (self.start + self.end) / 2.0
        return day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12

    def mean(self, chosen: np.ndarray) -> float:
        """Mean rate of the chosen periods, weighted by their length. [mask -> kWh a month, NaN without a period]"""
        months = self.months[chosen].sum()
        return float((self.rate * self.months)[chosen].sum() / months) if months else float("nan")

    def onset(self) -> int:
        """Number of the first period after the last clear change of the level; 0 where there is none.

        A later change is what a client is suspected for, however large an earlier one was.
        """
        return next(reversed(self.changes), 0)

    @cached_property
    def changes(self) -> list[int]:
        """Numbers of the first periods after each clear change, ascending.

        The clearest change of all periods is followed by that of the periods since, as long as it stands out from what
        varies anyway.
        """
        usual, found = self.rate.mean() if len(self) else 0.0, []
        if len(self) < MIN_PERIODS or usual <= 0:
            return found
        # Of roots, as of counts: one empty month must not outweigh a fall for good, nor one high one.
        level = np.sqrt(np.maximum(self.rate, 0.0) / usual)
        at, gain = _clearest_split(level)
        spread = _usual_variance(level, at)
        least = max(CLEAR_CHANGE * np.log(len(level)) * spread, len(level) * NO_CHANGE**2)
        while gain > least:
            found.append(at + (found[-1] if found else 0))
            if len(level) - found[-1] < MIN_PERIODS:
                break
            at, gain = _clearest_split(level[found[-1] :])
        return found


def _clearest_split(level: np.ndarray) -> tuple[int, float]:
    """The split with the least sum of squares, two values at least on either side; what it takes off that sum."""
    n = len(level)
    at = np.arange(2, n - 1)
    total = np.cumsum(level - level.mean())  # of deviations: rounding would make a change of equal levels
    gain = total[at - 1] ** 2 * n / (at * (n - at))
    best = int(np.argmax(gain))
    return int(at[best]), float(gain[best])


def _usual_variance(level: np.ndarray, at: int) -> float:
    """Variance around the medians before and after a split, without the most distant levels: a vacancy, a catch-up."""
    usual = np.where(np.arange(len(level)) < at, np.median(level[:at]), np.median(level[at:]))
    return float(np.sort((level - usual) ** 2)[: int(np.ceil(USUAL_SHARE * len(level)))].mean())


def billing_histories(
    clients: Table, invoices: Table, series: InvoiceSeries | None = None
) -> list[dict[str, BillingHistory]]:
    """Billing histories of each client by energy; an energy without invoices is left out."""
    with np.errstate(all="ignore"):  # missing values are NaN, as in the features
        rows = series or InvoiceSeries.from_tables(clients, invoices)
        columns = [getattr(rows, name) for name in COMPUTED_COLUMNS] + [rows[name] for name in GIVEN_COLUMNS]
    found: list[dict[str, BillingHistory]] = [{} for _ in clients["client_id"]]
    for pair, start, end in zip(rows.pairs.tolist(), rows.by_pair.starts, rows.by_pair.ends, strict=True):
        found[pair // 2][ENERGIES[pair % 2]] = BillingHistory(*(column[start:end] for column in columns))
    return found


def periods_from_invoices(history: BillingHistory, energy: str) -> ConsumptionPeriods:
    """One period for each invoice."""
    known = ~np.isnan(history.monthly) & (history.monthly >= 0) & (history.months > 0)
    end, months = history.day[known], history.months[known]
    rate = history.kwh[known] / months
    start = end - months * DAYS_PER_MONTH
    return ConsumptionPeriods(Phrase(f"source.{ENERGY_NAMES[energy]}"), UNITS[energy], start, end, months, rate)


def periods_from_readings(day: np.ndarray, kwh: np.ndarray) -> ConsumptionPeriods:
    """Periods of PERIOD_DAYS, the last of which ends on the last day. [day: days since 1970; kwh: NaN if missing]"""
    known = ~np.isnan(kwh)
    if not known.any():
        return ConsumptionPeriods(OF_READINGS, "kWh", *np.empty((4, 0)))
    period = (day[-1] - day) // PERIOD_DAYS
    numbers = np.arange(period.max(), -1, -1)
    n = np.bincount(period[known], minlength=len(numbers))[numbers]
    total = np.bincount(period[known], kwh[known], minlength=len(numbers))[numbers]
    selected = n >= MIN_KNOWN_DAYS
    end = (day[-1] - numbers * PERIOD_DAYS)[selected].astype(float)
    start = np.maximum(end - (PERIOD_DAYS - 1), day[known][0])  # no sentence names a day before the first reading
    months = (end - start + 1) / DAYS_PER_MONTH
    return ConsumptionPeriods(OF_READINGS, "kWh", start, end, months, total[selected] / n[selected] * DAYS_PER_MONTH)
