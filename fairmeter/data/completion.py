"""What invoices leave out: consumption without price levels, months without a column, readings behind estimates.

In:  invoices sorted by client, as the rules of cleaning.py leave them; the columns consumption and quality if given.
Out: the same table with `consumption` where the levels do not say it, months of clients that gave none, `is_estimated`
     instead of quality, and estimates joined to the next actual invoice. Each client's rows depend on its own alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.types import Table
from fairmeter.data.parsing import QUALITIES

MAX_GAP_MONTHS = 24  # as long as an invoice may be
RECENT_DAYS = 365  # in which more estimated than actual months make a score doubtful
ESTIMATED, MISSING = QUALITIES.index("estimated"), QUALITIES.index("missing")
ESTIMATES = {
    "joined": ("estimated_invoices", "Estimated invoices, judged together with the next actual one"),
    "trailing": ("estimated_since", "Estimated invoices that no actual one follows yet, left out"),
    "mostly": (
        "mostly_estimated",
        "Estimated invoices above half of their client's last 12 months: the score rests on little",
    ),
}


class BilledBy(NamedTuple):
    """Invoices of clients that state no months at all, and of those without any level and consumption. [masks]"""

    no_months: np.ndarray
    no_consumption: np.ndarray

    @classmethod
    def of(cls, invoices: Table) -> "BilledBy":
        """What is given, before rules take single values as missing: those stay missing."""
        stated = (*LEVELS, "consumption") if "consumption" in invoices else LEVELS
        return cls(_states_none(invoices, ("months",)), _states_none(invoices, stated))


def _states_none(invoices: Table, names: Sequence[str]) -> np.ndarray:
    """Invoices of clients none of whose invoices has a value in any of these columns."""
    client, is_empty = invoices["client"], np.logical_and.reduce([np.isnan(invoices[name]) for name in names])
    if not is_empty.any():
        return is_empty
    return (np.bincount(client, ~is_empty, minlength=client[-1] + 1) == 0)[client]


def index_difference(invoices: Table) -> np.ndarray:
    """Index difference times the meter's coefficient. [kWh or m3]"""
    coefficient = invoices["coefficient"]
    step = invoices["new_index"] - invoices["old_index"]
    return step * np.where(np.isnan(coefficient), 1.0, coefficient)


def complete_invoices(invoices: Table, billed_by: BilledBy) -> tuple[Table, dict[str, np.ndarray]]:
    """Invoices with months, consumption and joined estimates, and the clients of estimates by kind of ESTIMATES."""
    if billed_by.no_months.any():
        invoices = invoices | {"months": np.where(billed_by.no_months, _months_since(invoices), invoices["months"])}
    invoices = _with_consumption(invoices, billed_by.no_consumption)
    return _join_estimates(invoices) if "quality" in invoices else (invoices, {})


def days_since_last(invoices: Table) -> np.ndarray:
    """Days since the client's previous day with an invoice of that energy; NaN for the first."""
    pair = invoices["client"] * 2 + invoices["energy"]
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((day, pair))
    pair, day = pair[order], day[order]
    first = np.flatnonzero(np.append(True, (pair[1:] != pair[:-1]) | (day[1:] != day[:-1])))  # of each day's invoices
    gap = np.append(np.nan, np.diff(day[first]).astype(float))
    gap[np.append(True, np.diff(pair[first]) != 0)] = np.nan
    days = np.empty(len(day))
    days[order] = np.repeat(gap, np.diff(np.append(first, len(day))))
    return days


def _months_since(invoices: Table) -> np.ndarray:
    """Whole months since the client's previous day with an invoice of that energy, at least 1; NaN for the first."""
    return np.clip(np.rint(days_since_last(invoices) / DAYS_PER_MONTH), 1, MAX_GAP_MONTHS)


def _with_consumption(invoices: Table, is_by_index: np.ndarray) -> Table:
    """Add consumption where it is given for any client, or where only indices state it."""
    from_index = np.where(is_by_index, index_difference(invoices), np.nan) if is_by_index.any() else is_by_index
    has_index = from_index.dtype != bool and bool((from_index >= 0).any())
    if "consumption" not in invoices and not has_index:
        return invoices
    total = billed_consumption(invoices)
    if has_index:
        total = np.where(np.isnan(total) & (from_index >= 0), from_index, total)
    return invoices | {"consumption": total}


# --- estimates --------------------------------------------------------------------------------------------------------


def _join_estimates(invoices: Table) -> tuple[Table, dict[str, np.ndarray]]:
    """Add estimated and missing invoices to the next actual one of their client and energy; drop those without one."""
    quality = invoices["quality"]
    invoices = {name: column for name, column in invoices.items() if name != "quality"}
    is_estimated, is_missing = quality == ESTIMATED, quality == MISSING
    invoices |= {"is_estimated": is_estimated}
    is_actual = ~(is_estimated | is_missing)
    if is_actual.all():
        return invoices, {}
    pair, day = invoices["client"] * 2 + invoices["energy"], invoices["invoice_on"]
    order = np.lexsort((is_actual, day, pair))  # an estimate of the same day comes first
    is_start = np.append(True, (np.diff(pair[order]) != 0) | is_actual[order][:-1])
    starts, ends = np.flatnonzero(is_start), np.flatnonzero(np.append(is_start[1:], True))
    has_actual = is_actual[order][ends]
    joined = _sums(invoices, is_missing, order, starts)
    joined["is_estimated"] = np.logical_or.reduceat(is_estimated[order], starts)
    first, last = order[starts], order[ends]
    meter = invoices["meter_id"]
    is_same_meter = (meter[first] == meter[last]) | np.isnan(meter[first])
    joined["old_index"] = invoices["old_index"][np.where(is_same_meter, first, last)]
    kept = np.sort(last[has_actual])
    place = np.argsort(last[has_actual])
    table = {name: column[kept] for name, column in invoices.items()}
    table |= {name: column[has_actual][place] for name, column in joined.items()}
    is_joined = np.empty(len(order), bool)
    is_joined[order] = np.repeat(has_actual, ends - starts + 1)
    client = invoices["client"]
    kinds = {
        "joined": client[~is_actual & is_joined],
        "trailing": client[~is_actual & ~is_joined],
        "mostly": client[_mostly_estimated(invoices, is_estimated)],
    }
    return table, {kind: clients for kind, clients in kinds.items() if len(clients)}


def _sums(invoices: Table, is_missing: np.ndarray, order: np.ndarray, starts: np.ndarray) -> Table:
    """Quantities and months of each run of estimates with its actual invoice, in the order of the runs."""
    sums = {"months": np.add.reduceat(invoices["months"][order], starts)}
    for name in (*LEVELS, *(("consumption",) if "consumption" in invoices else ())):
        values = np.where(is_missing, np.nan, invoices[name])[order]
        is_known = ~np.isnan(values)
        total = np.add.reduceat(np.where(is_known, values, 0.0), starts)
        sums[name] = np.where(np.logical_or.reduceat(is_known, starts), total, np.nan)
    return sums


def _mostly_estimated(invoices: Table, is_estimated: np.ndarray) -> np.ndarray:
    """Mark the recent estimates of clients with more than half of their recent months estimated."""
    client, day = invoices["client"], invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    n = client[-1] + 1
    last = np.full(n, np.iinfo(np.int64).min)
    np.maximum.at(last, client, day)
    is_recent = day > last[client] - RECENT_DAYS
    months = np.where(is_recent, np.nan_to_num(invoices["months"], nan=1.0), 0.0)
    estimated = np.bincount(client, months * is_estimated, minlength=n)
    is_mostly = 2 * estimated > np.bincount(client, months, minlength=n)
    return is_estimated & is_recent & is_mostly[client]
