"""The invoices of one client's electricity or gas, as sentences about them and harmless explanations read them.

In:  Rows of some clients (fairmeter/features/invoices/series.py).
Out: Billed by energy, oldest invoice first. Missing values are NaN.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table
from fairmeter.features.base import ENERGIES
from fairmeter.features.invoices.series import InvoiceSeries

UNITS = {"elec": "kWh", "gas": "m³"}


class BillingHistory(NamedTuple):
    """One value an invoice. [day: days since 1970; kwh: m3 where it is gas; monthly: kwh a month]

    span: months that it adds to the history: several of one day are of meters side by side, or of one that was changed.
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

    def __len__(self) -> int:  # else a tuple's: the number of columns
        return len(self.day)

    def rate(self, chosen: np.ndarray) -> float:
        """kWh a month over the chosen invoices, long ones weighing more; NaN where nothing is known. [mask]"""
        known = chosen & ~np.isnan(self.kwh) & ~np.isnan(self.span)
        months = self.span[known].sum()
        return float(self.kwh[known].sum() / months) if months else float("nan")

    def from_day(self, day: float) -> np.ndarray:
        """Whether an invoice is of that day or later. [mask]"""
        return self.day >= day


COMPUTED = ("day", "consumption", "months", "monthly", "gap", "change", "year_on_year", "level", "mismatch")
GIVEN = ("old_index", "new_index", "meter_id", "remark", "tariff")


def billed_clients(clients: Table, invoices: Table) -> list[dict[str, BillingHistory]]:
    """Of each client in the tables, by energy; an energy without invoices is left out."""
    with np.errstate(all="ignore"):  # missing evidence is NaN, as in the features
        rows = InvoiceSeries.from_tables(clients, invoices)
        columns = [getattr(rows, name) for name in COMPUTED] + [rows[name] for name in GIVEN]
    found: list[dict[str, BillingHistory]] = [{} for _ in clients["client_id"]]
    for pair, start, end in zip(rows.pairs.tolist(), rows.by_pair.starts, rows.by_pair.ends, strict=True):
        own = [column[start:end] for column in columns]
        found[pair // 2][ENERGIES[pair % 2]] = BillingHistory(*own, _span(own[0], own[2]))
    return found


def _span(day: np.ndarray, months: np.ndarray) -> np.ndarray:
    """Months each invoice adds; those of one day share what lies since the day before them, or their longest period."""
    days, place, n = np.unique(day, return_inverse=True, return_counts=True)
    if len(days) == len(day):
        return months
    total, longest = np.bincount(place, np.nan_to_num(months)), np.zeros(len(days))
    np.maximum.at(longest, place, np.nan_to_num(months))
    since = np.rint(np.diff(days, prepend=days[0]) / DAYS_PER_MONTH)
    shared = np.minimum(total, np.maximum(longest, since))
    return np.where(n[place] > 1, shared[place] / n[place], months)
