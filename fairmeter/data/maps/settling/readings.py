"""The client-wise stage of readings: all rows of a client -> one reading for each of its moments.

In:  canonical rows of one table of a map (columns of canonical_rows.py, with `client`: int64), in any order.
Out: client, read_at (minutes of the wall's clock where the interval begins), consumption_kwh, minutes, export_kwh,
     is_estimated, and findings. Versions are chosen, registers become differences, powers energies, series are added.
The result does not depend on the order of the rows.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.maps.spec import TableSpec
from fairmeter.data.maps.values.clocks import is_ambiguous, to_utc, to_wall
from fairmeter.data.maps.values.quantities import energy_of_power, to_energy

ESTIMATED, MISSING = 1, 2  # qualities
SUPERSEDED = ("superseded_readings", "Readings that an actual value or a later version replaces, left out")
COPIES = ("duplicate_readings", "Copies of a reading, dropped")
FELL = ("register_fell", "Registers that fell without rolling over, whose difference is unknown")
VALUES = ("kwh", "export")
MINUTES_OF_A_CLIENT = 2**34  # more than a year 9999 has since 1970


class SettledReadings(NamedTuple):
    """Readings and what was found in them. [findings hold the client of each row]"""

    readings: Table
    findings: list[CleaningFinding]


def settle_readings(table: TableSpec, rows: Table) -> SettledReadings:
    """Settle the rows of one table of a map. [rows: all rows of each of their clients]"""
    read_at = table.fields.get("read_at")
    zone, stamp = (read_at.zone, read_at.stamp) if read_at else (table.zone, None)
    rows = _by_one_clock(_without_missing(rows), zone)
    findings: list[CleaningFinding] = []
    rows = _in_order(rows)
    rows = _chosen_versions(rows, findings)
    rows = (
        _sum_groups(rows, ("client", "series", "moment"))
        if table.several == "sum"
        else _no_copies(rows, zone, findings)
    )
    is_register = table.is_register
    rows = _differences(rows, table.register_digits, stamp, findings) if is_register else _energies(rows, stamp)
    if table.series:
        rows = _added_series(rows)
    return SettledReadings(_as_readings(rows, zone), findings)


def merge_exports(consumption: Table, export: Table) -> Table:
    """Add what was fed in to the consumption of the same client and moment; other moments have no consumption.

    Both are tables of settled readings; those of `export` have export_kwh alone.
    """
    n = len(consumption["client"])
    fed_in = consumption.get("export_kwh", np.full(n, np.nan)).copy()
    row = _first_rows(_keys(consumption), _keys(export))
    at = np.flatnonzero(row >= 0)
    known = np.where(np.isnan(fed_in[row[at]]), 0.0, fed_in[row[at]])
    given = export["export_kwh"][at]
    fed_in[row[at]] = np.where(np.isnan(given), fed_in[row[at]], known + given)
    alone = np.flatnonzero(row < 0)
    both = consumption | {"export_kwh": fed_in}
    rest = {name: column[alone] for name, column in export.items()}
    return concatenate_readings([both, rest])


def concatenate_readings(parts: list[Table]) -> Table:
    """Settled readings of several tables as one; what one of them lacks is missing there."""
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {name: np.concatenate([_column(part, name) for part in parts]) for name in names}


def _column(part: Table, name: str) -> np.ndarray:
    if name in part:
        return part[name]
    n = len(part["client"])
    return np.zeros(n, bool) if name == "is_estimated" else np.full(n, np.nan)


def _keys(readings: Table) -> np.ndarray:
    """A number for each client and moment. [int64]"""
    return _pair(readings["client"], readings["read_at"].view(np.int64))


def _pair(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    return client.astype(np.int64) * MINUTES_OF_A_CLIENT + minute


def _first_rows(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The first row of `keys` equal to each of `wanted`, -1 without one."""
    if not len(keys):
        return np.full(len(wanted), -1)
    distinct, first = np.unique(keys, return_index=True)
    at = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    return np.where(distinct[at] == wanted, first[at], -1)


# --- rows -------------------------------------------------------------------------------------------------------------


def _without_missing(rows: Table) -> Table:
    """Rows in which a value of quality "missing" is missing, and a missing version is the earliest."""
    if "version" in rows:
        rows = rows | {"version": np.nan_to_num(rows["version"], nan=-np.inf, neginf=-np.inf, posinf=np.inf)}
    if "quality" not in rows:
        return rows
    is_missing = rows["quality"] == MISSING
    return rows | {name: np.where(is_missing, np.nan, rows[name]) for name in VALUES if name in rows}


def _by_one_clock(rows: Table, zone: str | None) -> Table:
    """Rows whose moments are all of one clock: UTC where any is, else the wall's."""
    is_utc = rows["is_utc"]
    if is_utc.all() or not is_utc.any() or zone is None:
        return rows
    moment = rows["moment"].copy()
    moment[~is_utc] = to_utc(moment[~is_utc], zone)
    return rows | {"moment": moment, "is_utc": np.ones(len(moment), bool)}


def _in_order(rows: Table) -> Table:
    """Rows by client, series, moment, quality, version (the latest first) and value, whatever the file's order."""
    n = len(rows["client"])
    nothing = np.zeros(n)
    keys = [rows[name] for name in VALUES if name in rows]
    keys += [-rows.get("version", nothing), rows.get("quality", nothing), rows["moment"], rows.get("series", nothing)]
    order = np.lexsort((*keys, rows["client"]))
    return {name: column[order] for name, column in rows.items()}


def _is_first(rows: Table, names: tuple[str, ...]) -> np.ndarray:
    """Mark the first row of each group of equal values. [rows sorted by them]"""
    is_first = np.ones(len(rows["client"]), bool)
    if len(is_first):
        is_first[1:] = np.logical_or.reduce([rows[n][1:] != rows[n][:-1] for n in names if n in rows])
    return is_first


def _select(rows: Table, mask: np.ndarray) -> Table:
    return rows if mask.all() else {name: column[mask] for name, column in rows.items()}


def _chosen_versions(rows: Table, findings: list[CleaningFinding]) -> Table:
    """Of the rows of one moment those of the best quality, and of these the latest version."""
    stated = [name for name in ("quality", "version") if name in rows]
    if not stated or not len(rows["client"]):
        return rows
    is_first = _is_first(rows, ("client", "series", "moment"))
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    is_best = np.logical_and.reduce([rows[name] == rows[name][first] for name in stated])
    if not is_best.all():
        findings.append(CleaningFinding(*SUPERSEDED, rows["client"][~is_best]))
    return _select(rows, is_best)


def _no_copies(rows: Table, zone: str | None, findings: list[CleaningFinding]) -> Table:
    """Rows of which equal ones count once; two of them in an hour that comes twice on the wall's clock."""
    if not len(rows["client"]):
        return rows
    is_copy = ~_is_first(rows, ("client", "series", "moment"))
    for name in VALUES:
        if name in rows:
            value = rows[name]
            is_copy[1:] &= (value[1:] == value[:-1]) | (np.isnan(value[1:]) & np.isnan(value[:-1]))
    if not is_copy.any():
        return rows
    if zone is not None and not rows["is_utc"].any():
        at = np.flatnonzero(is_copy)
        is_first = _is_first(rows, ("client", "series", "moment"))
        is_second = is_first[at - 1]
        is_copy[at[is_second & is_ambiguous(rows["moment"][at], zone)]] = False
    if is_copy.any():
        findings.append(CleaningFinding(*COPIES, rows["client"][is_copy]))
    return _select(rows, ~is_copy)


def _sum_groups(rows: Table, names: tuple[str, ...]) -> Table:
    """One row for each group of equal values: energies added, unknown where one is. [rows sorted by them]"""
    starts = np.flatnonzero(_is_first(rows, names))
    if len(starts) == len(rows["client"]):
        return rows
    out = {name: column[starts] for name, column in rows.items()}
    for name in VALUES:
        if name in rows:
            out[name] = np.add.reduceat(rows[name], starts)
    if "quality" in rows:
        out["quality"] = np.maximum.reduceat(rows["quality"], starts)
    return out


# --- registers --------------------------------------------------------------------------------------------------------


def _differences(rows: Table, digits: int | None, stamp: str | None, findings: list[CleaningFinding]) -> Table:
    """What registers rose by between two readings of one series, at the start of the time between them."""
    values = [name for name in VALUES if name in rows]
    known = np.logical_and.reduce([~np.isnan(rows[name]) for name in values])
    rows = _select(rows, known)
    is_first = _is_first(rows, ("client", "series"))
    later = np.flatnonzero(~is_first)
    earlier = later - 1
    out = {name: rows[name][later] for name in rows}
    gap = rows["moment"][later] - rows["moment"][earlier]
    out["moment"] = rows["moment"][earlier]
    if stamp == "start":  # what a row shows was read when the interval that begins at its stamp ended
        out["moment"] = out["moment"] + _usual_steps(rows, is_first)[later]
    out["minutes"] = gap.astype(np.float64)
    if "quality" in rows:
        out["quality"] = np.maximum(rows["quality"][later], rows["quality"][earlier])
    fell = np.zeros(len(later), bool)
    for name in values:
        rise = rows[name][later] - rows[name][earlier]
        if digits is not None:
            whole = 10.0**digits
            rise = np.where((rise < 0) & (rise + whole < whole / 2), rise + whole, rise)
        by, per = rows[f"{name}_multiplier"], rows[f"{name}_divisor"]
        is_comparable = (by[later] == by[earlier]) & (per[later] == per[earlier])
        fell |= rise < 0
        out[name] = np.where(is_comparable & (rise >= 0), to_energy(rise, by[later], per[later]), np.nan)
    if fell.any():
        findings.append(CleaningFinding(*FELL, out["client"][fell]))
    return _select(out, gap > 0)


def _usual_steps(rows: Table, is_first: np.ndarray) -> np.ndarray:
    """The stated minutes, else the median step of each series. [per row]"""
    series = np.cumsum(is_first) - 1
    step = np.append(np.diff(rows["moment"]), 0)
    inside = np.flatnonzero(np.append(~is_first[1:], False))
    order = inside[np.lexsort((step[inside], series[inside]))]
    n = np.bincount(series[order], minlength=series[-1] + 1) if len(series) else np.zeros(0, np.int64)
    middle = np.cumsum(n) - n + np.maximum(n - 1, 0) // 2
    usual = np.where(n > 0, np.append(step[order], 0)[np.minimum(middle, len(order))], 0)
    stated = rows["minutes"]
    return np.where(np.isnan(stated), usual[series], stated).astype(np.int64)


# --- intervals --------------------------------------------------------------------------------------------------------


def _energies(rows: Table, stamp: str | None) -> Table:
    """Rows at the start of their interval, powers as energy over its length."""
    is_power = [rows[f"{name}_is_power"] for name in VALUES if f"{name}_is_power" in rows]
    has_power = any(mask.any() for mask in is_power)
    if not has_power and stamp != "end":
        return rows
    length = rows["minutes"]
    if np.isnan(length).any():
        length = np.where(np.isnan(length), _length_by_neighbours(rows, stamp), length)
    out = dict(rows)
    for name in VALUES:
        if f"{name}_is_power" in rows:
            energy = energy_of_power(rows[name], rows[f"{name}_divisor"], length)
            out[name] = np.where(rows[f"{name}_is_power"], energy, rows[name])
    if has_power:
        out["minutes"] = np.where(np.logical_or.reduce(is_power), length, rows["minutes"])
    if stamp == "end":
        out["moment"] = rows["moment"] - np.where(np.isnan(length), 0, length).astype(np.int64)
    return out


def _length_by_neighbours(rows: Table, stamp: str | None) -> np.ndarray:
    """Minutes from or to the neighbouring moment of the series, NaN for one alone.

    A step unlike the one before it is a gap, unless the step on the other side is alike: then the usual step counts.
    """
    moment, n = rows["moment"].astype(np.float64), len(rows["client"])
    if not n:
        return np.zeros(0)
    is_first = _is_first(rows, ("client", "series"))
    moments = np.flatnonzero(_is_first(rows, ("client", "series", "moment")))
    of = np.searchsorted(moments, np.arange(n), side="right") - 1
    step = np.full(len(moments) + 1, np.nan)  # to the moment before
    step[1:-1] = np.diff(moment[moments])
    step[:-1][is_first[moments]] = np.nan
    before, after = step[:-1], step[1:]
    own, other = (before, after) if stamp == "end" else (after, before)
    beyond = np.append(np.nan, before[:-1]) if stamp == "end" else np.append(after[1:], np.nan)
    is_usual = (own == beyond) | (own == other)
    usual = _usual_steps({name: column[moments] for name, column in rows.items()}, is_first[moments])
    shortest = np.fmin(np.fmin(own, other), np.where(usual > 0, usual, np.inf))
    length = np.where(is_usual, own, np.where(np.isnan(np.fmin(own, other)), np.nan, shortest))
    return length[of]


# --- series -----------------------------------------------------------------------------------------------------------


def _added_series(rows: Table) -> Table:
    """One row a client, moment and length: series added. Of a moment that comes twice, first to first, then second.

    Where series differ in their number of rows of a moment, each counts with its mean.
    """
    if not len(rows["client"]):
        return rows
    values = [rows[name] for name in VALUES if name in rows]
    order = np.lexsort((*values, rows["moment"], rows["series"], rows["client"]))
    rows = {name: column[order] for name, column in rows.items()}
    is_first = _is_first(rows, ("client", "series", "moment"))
    starts = np.flatnonzero(is_first)
    counts = np.diff(np.append(starts, len(is_first)))
    occurrence = np.arange(len(is_first)) - np.repeat(starts, counts)
    rows = rows | {"occurrence": occurrence, "count": np.repeat(counts, counts)}
    rows = _evened(rows, starts, counts)
    minutes = np.where(np.isnan(rows["minutes"]), -1.0, rows["minutes"])
    rows |= {"length": minutes}
    order = np.lexsort(
        (*(rows[name] for name in VALUES if name in rows), rows["occurrence"], minutes, rows["moment"], rows["client"])
    )
    rows = {name: column[order] for name, column in rows.items()}
    return _added(rows, ("client", "moment", "length", "occurrence"))


def _evened(rows: Table, starts: np.ndarray, counts: np.ndarray) -> Table:
    """Rows of moments at which all series have as many; at others the mean of each series."""
    if (counts == 1).all():
        return rows
    _, number = np.unique(_pair(rows["client"], rows["moment"])[starts], return_inverse=True)
    most, least = np.zeros(number.max() + 1, np.int64), np.full(number.max() + 1, len(number) + counts.max())
    np.maximum.at(most, number, counts)
    np.minimum.at(least, number, counts)
    is_uneven = (most != least)[number]
    out = dict(rows)
    for name in VALUES:
        if name in rows:
            mean = np.add.reduceat(rows[name], starts) / counts
            out[name] = np.where(np.repeat(is_uneven, counts), np.repeat(mean, counts), rows[name])
    return _select(out, ~np.repeat(is_uneven, counts) | (out["occurrence"] == 0))


def _added(rows: Table, names: tuple[str, ...]) -> Table:
    """One row for each group. A row with what was fed in alone adds no consumption; another without one is unknown."""
    starts = np.flatnonzero(_is_first(rows, names))
    out = {name: column[starts] for name, column in rows.items()}
    present = [name for name in VALUES if name in rows]
    for name in present:
        value = rows[name]
        is_other = np.zeros(len(value), bool)
        for rest in present:
            is_other |= ~np.isnan(rows[rest]) if rest != name else False
        is_left_out = np.isnan(value) & is_other
        total = np.add.reduceat(np.where(is_left_out, 0.0, value), starts)
        out[name] = np.where(np.logical_and.reduceat(is_left_out, starts), np.nan, total)
    if "quality" in rows:
        out["quality"] = np.maximum.reduceat(rows["quality"], starts)
    return out


def _as_readings(rows: Table, zone: str | None) -> Table:
    """Settled rows under canonical names, on the wall's clock."""
    moment = rows["moment"]
    if zone is not None and rows["is_utc"].any():
        moment = to_wall(moment, zone)
    n = len(moment)
    out = {
        "client": rows["client"],
        "read_at": moment.astype(np.int64).view("datetime64[m]"),
        "consumption_kwh": rows.get("kwh", np.full(n, np.nan)),
    }
    if not np.isnan(rows["minutes"]).all():
        out["minutes"] = rows["minutes"]
    if "export" in rows:
        out["export_kwh"] = rows["export"]
    if "quality" in rows:
        out["is_estimated"] = rows["quality"] == ESTIMATED
    if "label" in rows:
        out["label"] = rows["label"]
    return out
