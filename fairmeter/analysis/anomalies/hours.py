"""Irregular hours: when in the day a client uses its energy, against its own past.

In:  RecentDays with hours; readings of 30 or 15 minutes were summed to hours before, so that all are alike.
Out: Evidence of more use at night and of another course of the day. Only what reaches into the last RECENT days counts.
"""

import numpy as np

from fairmeter.analysis.anomalies.evidence import Evidence, Occurrence, largest, row_sums
from fairmeter.analysis.anomalies.level_changes import RECENT
from fairmeter.analysis.anomalies.recent_days import DAYS, WEEK, RecentDays

BLOCK = 2 * WEEK  # days: whole weeks
N_RECENT, N_BEFORE, MIN_BEFORE = RECENT // BLOCK, 12, 2  # blocks, and blocks before, that they are compared with
N_BLOCKS = N_RECENT + N_BEFORE
NIGHT = slice(0, 5)  # hours of the day
MIN_HOURS, MIN_DAYS = 18, 7  # known of a day, known of a block
SATURDAY = 5


def hour_evidence(days: RecentDays) -> list[Evidence]:
    """Evidence of both kinds; of none without hours."""
    if days.hours is None:
        return []
    profile = _profiles(days)
    night = row_sums(profile[..., NIGHT]).mean(axis=-1)
    return [
        _clearest(days, "night_use", np.stack([_beyond(night[:, i:]) for i in range(N_RECENT)], axis=1)),
        _clearest(days, "other_hours", np.stack([_apart(profile[:, i:]) for i in range(N_RECENT)], axis=1)),
    ]


def _profiles(days: RecentDays) -> np.ndarray:
    """Mean share of each hour in its day, on working days and at weekends; NaN with few days.

    [(clients, N_BLOCKS, 2, 24), the last block first]
    """
    n = N_BLOCKS * BLOCK
    share = _shares(days.hours[:, -n:]).reshape(-1, N_BLOCKS, BLOCK, 24)
    day = days.last[:, None] - (n - 1) + np.arange(n)
    is_weekend = ((day + 3) % WEEK >= SATURDAY).reshape(-1, N_BLOCKS, BLOCK)
    known = ~np.isnan(share[..., 0])
    means = np.stack([_mean_day(share, known & chosen) for chosen in (~is_weekend, is_weekend)], axis=2)
    return np.where(known.sum(axis=2)[..., None, None] >= MIN_DAYS, means, np.nan)[:, ::-1]


def _shares(hours: np.ndarray) -> np.ndarray:
    """Share of each hour in its day; NaN where too few hours are known. [(clients, days, 24)]"""
    known = ~np.isnan(hours)
    filled = np.where(known, hours, 0.0)
    total, n = row_sums(filled)[..., None], known.sum(axis=2, keepdims=True)
    return np.where((n >= MIN_HOURS) & (total > 0), filled / np.where(total > 0, total, 1.0), np.nan)


def _mean_day(share: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the chosen days of each block. [(clients, N_BLOCKS, 24)]"""
    total = np.where(chosen[..., None], share, 0.0).cumsum(axis=2)[:, :, -1]
    n = chosen.sum(axis=2)[..., None]
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _beyond(night: np.ndarray) -> np.ndarray:
    """How far the first block's share exceeds the highest of the blocks before it. [(clients, blocks) -> (clients,)]"""
    before = night[:, 1 : 1 + N_BEFORE]
    known = ~np.isnan(before)
    highest = np.where(known, before, -np.inf).max(axis=1)
    return np.where(known.sum(axis=1) >= MIN_BEFORE, night[:, 0] - highest, np.nan)


def _apart(profile: np.ndarray) -> np.ndarray:
    """Share of the energy at other hours than in the most similar block before. [(clients, blocks, 2, 24)]"""
    apart = row_sums(np.abs(profile[:, :1] - profile[:, 1 : 1 + N_BEFORE])).mean(axis=-1) / 2.0
    known = ~np.isnan(apart)
    least = np.where(known, apart, np.inf).min(axis=1)
    return np.where(known.sum(axis=1) >= MIN_BEFORE, least, np.nan)


def _clearest(days: RecentDays, kind: str, values: np.ndarray) -> Evidence:
    value, best = largest(values)

    def occurrence(client: int) -> Occurrence:
        stop = DAYS - BLOCK * int(best[client])
        first, last = days.day_of(client, stop - BLOCK), days.day_of(client, stop - 1)
        return Occurrence(first, last, {"share": float(value[client])})

    return Evidence(kind, value, occurrence)
