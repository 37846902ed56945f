"""A reading that holds what was used while nothing came through -> one reading as long as the gap and itself.

In:  readings as a Table by client, then time, one row per moment; zeros or missing values in the gap, or no rows.
Out: the Table without the rows of the gap, the length of each such reading in `minutes`; the client of each.

An outage of communication looks like a theft: nothing for days. What comes after it shows that nothing was lost.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.reading_rules.impossible import LargeReadings
from fairmeter.data.reading_rules.intervals import DAY, interval_minutes

MIN_INTERVALS, MIN_PART_GAP = 2, DAY  # of a gap; where readings are shorter than a day, zeros of a night are usual
BEYOND = 1.5  # times what the client's readings reach in all but one of fifty
USUAL_QUANTILE = 0.98
LEVEL = (0.4, 2.5)  # of the level before and after: what a catch-up is, spread over its gap
AROUND = 28 * DAY  # before the gap and after it, for the level
MIN_AROUND = 7  # readings that show a level
MAX_GAP = 366 * DAY


def spread_catch_ups(readings: Table, large: LargeReadings) -> tuple[Table, np.ndarray]:
    """Spread each catch-up over its gap; returns the client of each. [large: rows to look at]"""
    client, kwh, minute = readings["client"], readings["consumption_kwh"], readings["read_at"].view(np.int64)
    rows = _candidates(client, minute, kwh, large.rows)
    if not len(rows):
        return readings, client[:0]
    owners = np.unique(client[rows] if "minutes" in readings else _after_days(client, minute, kwh, rows))
    if not len(owners):
        return readings, client[:0]
    stated, found = readings.get("minutes"), []
    for owner in owners.tolist():
        first, end = np.searchsorted(client, [owner, owner + 1])
        own = slice(int(first), int(end))
        lengths = interval_minutes(client[own], minute[own], None if stated is None else stated[own])
        is_after_gap = np.zeros(end - first, bool)
        is_after_gap[rows[client[rows] == owner] - first] = True
        for at, low, begin, total in _catch_ups(minute[own], kwh[own], lengths, is_after_gap):
            found.append((owner, first + low, first + at, begin, total))
    if not found:
        return readings, client[:0]
    start, length = minute.copy(), np.full(len(kwh), np.nan) if stated is None else stated.copy()
    is_kept = np.ones(len(kwh), bool)
    for _, low, at, begin, total in found:
        start[at], length[at] = begin, total
        is_kept[low:at] = False
    changed = readings | {"read_at": start.view("datetime64[m]"), "minutes": length}
    return {name: column[is_kept] for name, column in changed.items()}, np.array([each[0] for each in found], np.int64)


def _candidates(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Large rows right after zeros, missing values or a gap."""
    rows = large[large > 0]
    rows = rows[client[rows] == client[rows - 1]]
    step = minute[rows] - minute[rows - 1]
    return rows[~(kwh[rows - 1] > 0) | (step > DAY)]


def _after_days(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The clients of those rows that stand more than a day after the client's last use: a cheap look."""
    found, last = [client[:0]], rows - 1
    while len(rows):
        is_far = minute[rows] > minute[last] + MIN_PART_GAP
        found.append(client[rows[is_far]])
        goes_on = ~is_far & ~(kwh[last] > 0) & (last > 0)
        rows, last = rows[goes_on], last[goes_on] - 1
        is_own = client[last] == client[rows]
        rows, last = rows[is_own], last[is_own]
    return np.concatenate(found)


def _catch_ups(
    minute: np.ndarray, kwh: np.ndarray, length: np.ndarray, is_candidate: np.ndarray
) -> list[tuple[int, int, int, float]]:
    """(row, first row of its gap, start of the gap, length with the gap) of each catch-up of one client. [minutes]"""
    is_used = np.nan_to_num(kwh) > 0
    used, usual, found = np.flatnonzero(is_used), None, []
    for at in np.flatnonzero(is_candidate).tolist():
        n_before = int(np.searchsorted(used, at))
        if not n_before:
            continue
        last = int(used[n_before - 1])
        begin = int(minute[last] + length[last])
        gap = minute[at] - begin
        if not MIN_PART_GAP <= gap <= MAX_GAP:
            continue
        own = _own_length(length, at)
        if own >= DAY and gap < MIN_INTERVALS * own:
            continue
        if usual is None:
            others = kwh[is_used & ~is_candidate]
            if len(others) < MIN_AROUND:
                return []
            usual = np.quantile(others, USUAL_QUANTILE)
        level = _level(minute, kwh, length, is_candidate, last, at)
        rate = kwh[at] / (gap + own)
        if kwh[at] > BEYOND * usual and LEVEL[0] * level <= rate <= LEVEL[1] * level:
            found.append((at, last + 1, begin, float(gap + own)))
    return found


def _own_length(length: np.ndarray, at: int) -> float:
    """The interval around a row; its own may be unclear, next to the gap."""
    return float(np.median(length[max(at - 3, 0) : at + 4]))


def _level(
    minute: np.ndarray, kwh: np.ndarray, length: np.ndarray, is_candidate: np.ndarray, last: int, at: int
) -> float:
    """Mean use before the gap and after it. [kWh a minute, NaN without enough readings]"""
    is_near = (minute > minute[last] - AROUND) & (minute < minute[at] + AROUND) & ~np.isnan(kwh) & ~is_candidate
    is_near[last + 1 : at + 1] = False
    return float(kwh[is_near].sum() / length[is_near].sum()) if np.count_nonzero(is_near) >= MIN_AROUND else np.nan
