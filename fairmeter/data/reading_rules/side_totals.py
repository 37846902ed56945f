"""Totals of days that stand beside the hours they are made of.

In:  readings as a Table by client, time and value.
Out: the Table with the length of each reading of these clients in `minutes`, so that what covers the same time counts
     once (fairmeter/data/reading_rules/intervals.py); and the client of each total.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import Table
from fairmeter.data.reading_rules.intervals import DAY, interval_minutes

MIN_PARTS = 5  # readings on a day that may be a total and its parts
MIN_DAYS = 3  # with a total beside its parts
MOST_DAYS = 0.5  # of a client's days in parts
RATIO = (0.5, 2.0)  # total over the sum of the others: parts may be lost, and a total may be of the day before


def state_side_totals(readings: Table) -> tuple[Table, np.ndarray]:
    """State the lengths of readings of clients with totals beside parts; returns the client of each total too."""
    client, kwh = readings["client"], readings["consumption_kwh"]
    minute = readings["read_at"].view(np.int64)
    none = client[:0]
    if "minutes" in readings or not _may_stand_out(client, minute):
        return readings, none
    is_new = np.ones(len(client), bool)
    is_new[1:] = (client[1:] != client[:-1]) | (minute[1:] // DAY != minute[:-1] // DAY)
    by_day = Segments(np.diff(np.append(np.flatnonzero(is_new), len(is_new))))
    if by_day.counts.max() < MIN_PARTS:
        return readings, none
    largest = by_day.largest(kwh)
    others = by_day.total(np.nan_to_num(kwh)) - largest
    with np.errstate(invalid="ignore"):
        is_parted = (by_day.counts >= MIN_PARTS) & (others > 0)
        is_candidate = is_parted & (largest >= RATIO[0] * others) & (largest <= RATIO[1] * others)
    if np.count_nonzero(is_candidate) < MIN_DAYS:
        return readings, none
    is_top = by_day.spread(is_candidate) & (kwh == by_day.spread(largest))
    stands_out = is_top & _stands_out(client, minute)
    at = _usual_minute(client, minute, stands_out)
    is_total = is_top & (minute % DAY == at[client])  # next to parts that were lost it does not stand out
    n_out, n_totals = (np.bincount(client[rows], minlength=len(at)) for rows in (is_total & stands_out, is_total))
    n_parted = np.bincount(client[by_day.starts][is_parted], minlength=len(at))
    has_totals = (n_out >= MIN_DAYS) & (n_totals >= MOST_DAYS * n_parted)
    if not has_totals.any():
        return readings, none
    is_total &= has_totals[client]
    stated = np.full(len(client), np.nan)
    is_part = has_totals[client] & ~is_total
    # Rows of one moment would be no distance apart.
    is_other = np.ones(np.count_nonzero(is_part), bool)
    part_client, part_minute = client[is_part], minute[is_part]
    is_other[1:] = (part_client[1:] != part_client[:-1]) | (part_minute[1:] != part_minute[:-1])
    lengths = interval_minutes(part_client[is_other], part_minute[is_other])
    stated[is_part] = lengths[np.cumsum(is_other) - 1]
    stated[is_total] = DAY
    return readings | {"minutes": stated}, client[is_total]


def _may_stand_out(client: np.ndarray, minute: np.ndarray) -> bool:
    """Whether readings are nearer than half a day, and not just one distance apart: a cheap look."""
    step = np.diff(minute)
    near = step[step < DAY // 2]
    if not (near > 0).any():  # daily readings have no parts
        return False
    least = near[0]
    others = np.flatnonzero(step != least)
    others = others[client[others] == client[others + 1]]
    if (step[others] < least).any():
        return True
    n_steps = np.bincount(client) - 1
    n_others = np.bincount(client[others], minlength=len(n_steps))
    return bool((2 * n_others >= np.maximum(n_steps, 1)).any())  # else the least distance is each client's usual one


def _stands_out(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """Mark readings nearer to another one than the client's readings usually are, or at the same moment."""
    step = np.diff(minute)
    is_own = client[1:] == client[:-1]
    by_client = Segments(np.bincount(client))
    before = np.append(np.inf, np.where(is_own, step, np.inf))
    after = np.append(before[1:], np.inf)
    n, _, _ = by_client.moments(np.where(np.isinf(before), np.nan, before)[None])
    usual = by_client.quantiles(np.where(np.isinf(before), np.nan, before)[None], (0.5,), n)[0, 0]
    return np.minimum(before, after) < by_client.spread(usual)


def _usual_minute(client: np.ndarray, minute: np.ndarray, is_top: np.ndarray) -> np.ndarray:
    """The most frequent minute of the day of each client's marked readings, -1 without any. [int64, (clients,)]"""
    pair, n = np.unique(client[is_top] * DAY + minute[is_top] % DAY, return_counts=True)
    order = np.argsort(n, kind="stable")
    at = np.full(int(client.max()) + 1, -1)
    at[pair[order] // DAY] = pair[order] % DAY
    return at
