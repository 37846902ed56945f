"""The client-wise stage of invoices: all rows of a client -> the invoices that count.

In:  canonical rows of one table of a map (canonical_rows.py; codes as numbers, `client`: int64), in any order.
Out: columns that data/tables.py cleans, and findings. Later versions replace, registers become invoices from one
     reading to the next, purchases are added to calendar months. The order of the rows does not matter.
"""

import numpy as np

from fairmeter.core.consumption import LEVELS
from fairmeter.core.types import Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.maps.rows.table_rows import whole_months
from fairmeter.data.maps.spec import TableSpec

SUPERSEDED = ("superseded_invoices", "Invoices that an actual value or a later version replaces, left out")
OF_A_METER = ("client", "energy", "meter_id", "series")
QUANTITIES = (*LEVELS, "consumption")
NOT_CANONICAL = ("version", "series")
FIRST_MONTH = np.datetime64("1970-01", "M")


def settle_invoices(table: TableSpec, rows: Table) -> tuple[Table, list[CleaningFinding]]:
    """Settle the rows of one table of a map. [rows: all rows of each of their clients]"""
    findings: list[CleaningFinding] = []
    rows = _in_order(rows)
    if "version" in rows:
        rows = _latest_versions(rows, findings)
    if table.is_register:
        rows = _from_registers(rows, table.register_digits)
    if table.per == "month":
        rows = _by_months(rows)
    day = rows["invoice_on"].view("datetime64[D]")
    invoices = {name: column for name, column in rows.items() if name not in NOT_CANONICAL}
    return invoices | {"invoice_on": day}, findings


def _in_order(rows: Table) -> Table:
    """Rows of each meter by day, then quality, version (the latest first) and all values."""
    if "version" in rows:
        rows = rows | {"version": np.nan_to_num(rows["version"], nan=-np.inf, neginf=-np.inf, posinf=np.inf)}
    nothing = np.zeros(len(rows["client"]))
    rest = [rows[name] for name in sorted(rows) if name not in (*OF_A_METER, "invoice_on", "quality", "version")]
    keys = [-rows.get("version", nothing), rows.get("quality", nothing), rows["invoice_on"]]
    meters = [_comparable(rows[name]) for name in reversed(OF_A_METER) if name in rows]
    order = np.lexsort((*rest, *keys, *meters))
    return {name: column[order] for name, column in rows.items()}


def _comparable(column: np.ndarray) -> np.ndarray:
    """A column in which missing values equal each other."""
    return np.where(np.isnan(column), np.inf, column) if column.dtype.kind == "f" else column


def _is_first(rows: Table, names: tuple[str, ...]) -> np.ndarray:
    is_first = np.ones(len(rows["client"]), bool)
    if len(is_first):
        columns = [_comparable(rows[name]) for name in names if name in rows]
        is_first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return is_first


def _latest_versions(rows: Table, findings: list[CleaningFinding]) -> Table:
    """Of the rows of one meter and day those of the best quality, and of these the latest version."""
    is_first = _is_first(rows, (*OF_A_METER, "invoice_on"))
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    is_best = rows["version"] == rows["version"][first]
    if "quality" in rows:
        is_best &= rows["quality"] == rows["quality"][first]
    if is_best.all():
        return rows
    findings.append(CleaningFinding(*SUPERSEDED, rows["client"][~is_best]))
    return {name: column[is_best] for name, column in rows.items()}


def _from_registers(rows: Table, digits: int | None) -> Table:
    """An invoice for each reading of a meter but its first: what its register rose by, times the coefficient."""
    known = ~np.isnan(rows["new_index"])
    rows = {name: column[known] for name, column in rows.items()}
    later = np.flatnonzero(~_is_first(rows, OF_A_METER))
    earlier = later - 1
    gap = rows["invoice_on"][later] - rows["invoice_on"][earlier]
    later, earlier, gap = later[gap > 0], earlier[gap > 0], gap[gap > 0]
    out = {name: column[later] for name, column in rows.items()}
    out["old_index"] = rows["new_index"][earlier]
    rise = out["new_index"] - out["old_index"]
    if digits is not None:
        whole = 10.0**digits
        rise = np.where((rise < 0) & (rise + whole < whole / 2), rise + whole, rise)
    coefficient = out.get("coefficient", np.ones(len(later)))
    out["consumption"] = np.where(rise >= 0, rise * np.where(np.isnan(coefficient), 1.0, coefficient), np.nan)
    months = whole_months(gap.astype(np.float64))
    out["months"] = np.where(np.isnan(out["months"]), months, out["months"]) if "months" in out else months
    return out


def _by_months(rows: Table) -> Table:
    """One invoice a client, energy and calendar month: quantities added; a month without a purchase is 0."""
    names = ("client", "energy", "series")
    keys = [rows[name] for name in reversed(names) if name in rows]
    order = np.lexsort((rows["invoice_on"], *keys))
    rows = {name: column[order] for name, column in rows.items()}
    month = rows["invoice_on"].view("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    rows |= {"month": month}
    starts = np.flatnonzero(_is_first(rows, (*names, "month")))
    ends = np.append(starts[1:], len(month)) - 1
    out = {name: column[ends] for name, column in rows.items()}
    for name in QUANTITIES:
        if name in rows:
            out[name] = _known_sum(rows[name], starts)
    if "quality" in rows:
        out["quality"] = np.maximum.reduceat(rows["quality"], starts) if len(starts) else rows["quality"]
    return _with_empty_months(out, names)


def _known_sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of the known values of groups, NaN without any."""
    if not len(starts):
        return values
    is_known = ~np.isnan(values)
    total = np.add.reduceat(np.where(is_known, values, 0.0), starts)
    return np.where(np.logical_or.reduceat(is_known, starts), total, np.nan)


def _with_empty_months(rows: Table, names: tuple[str, ...]) -> Table:
    """Months between a client's first and last with nothing bought: 0, everything else as in the month before."""
    month = rows.pop("month")
    goes_on = ~_is_first(rows, names)
    gap = np.where(goes_on, np.append(0, np.diff(month)) - 1, 0)
    repeats = np.append(gap[1:], 0) + 1
    row = np.repeat(np.arange(len(month)), repeats)
    step = np.arange(len(row)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    out = {name: column[row] for name, column in rows.items()}
    for name in QUANTITIES:
        if name in out:
            out[name] = np.where(step > 0, 0.0, out[name])
    if "quality" in out:
        out["quality"] = np.where(step > 0, 0, out["quality"]).astype(np.int8)
    last_day = (FIRST_MONTH + month[row] + step + 1).astype("datetime64[D]") - 1
    return out | {"invoice_on": last_day.astype(np.int64), "months": np.ones(len(row))}
