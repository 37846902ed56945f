"""The day on which the level of each client changes most, and changes alike at many clients.

In:  daily consumption of many clients, a row per client and day.
Out: per client the row and size of its largest step; groups of clients with the same step on the same day.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import FIXED_POINT, Segments

WINDOW, LONG_WINDOW = 14, 56  # days before and after a step, to find it and to measure it
MIN_KNOWN = 7  # of the WINDOW
NEXT_DAYS = 1  # two steps this near are of one day
THOUSAND, UNIT_SPREAD = np.log(1000.0), np.log(2.0)  # a change of unit, and how far the level may differ besides
WEEK = 7
NEARLY = 0.99  # of a change, for its logarithm to be computed
TINY = 1e-6  # kWh: a level of zero
LOWEST = 1e-3  # of a client's mean: zeros count as this


class LargestSteps(NamedTuple):
    """Per client: the day from which on the level is another one, and the logarithm of the ratio, NaN unknown."""

    day: np.ndarray
    change: np.ndarray


def no_steps(n_clients: int) -> LargestSteps:
    """Unknown steps of some clients."""
    return LargestSteps(np.zeros(n_clients, np.int64), np.full(n_clients, np.nan))


def log_levels(segments: Segments, kwh: np.ndarray) -> np.ndarray:
    """Logarithm of consumption over the client's mean, NaN where missing. [float64, (rows,)]"""
    mean = segments.spread(np.nan_to_num(segments.mean(kwh)))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(mean > 0, kwh / mean, np.nan)
        return np.log(np.maximum(relative, LOWEST))


class PossibleSteps(NamedTuple):
    """A cheap look for steps. [clients: bool; n_alike: the most with one in the same direction in about two weeks]"""

    clients: np.ndarray
    n_alike: int


def possible_steps(segments: Segments, day: np.ndarray, kwh: np.ndarray, min_change: float) -> PossibleSteps:
    """Clients of which the means of two weeks change at all by min_change, a logarithm. [rows: by client, then day]

    Two weeks each are compared on both sides of a week, so that the change may be on any day of it.
    """
    n_weeks = -(-segments.counts // WEEK)
    weeks, found = Segments(n_weeks), np.zeros(len(segments), bool)
    if not weeks.n_rows:
        return PossibleSteps(found, 0)
    starts = np.repeat(segments.starts, n_weeks) + weeks.position * WEEK
    n = np.diff(np.append(starts, len(kwh))).astype(np.float64)
    missing = np.flatnonzero(np.isnan(kwh))
    if len(missing):
        kwh = kwh.copy()
        kwh[missing] = 0.0
        n -= np.bincount(np.searchsorted(starts, missing, side="right") - 1, minlength=len(n))
    total = np.add.reduceat(kwh, starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.maximum((total + weeks.lag(total)) / (n + weeks.lag(n)), TINY)
        ratio = mean / weeks.lags(mean, (3,))[0]
        is_far = (ratio > np.exp(NEARLY * min_change)) | (ratio < np.exp(-NEARLY * min_change))
        rows = np.flatnonzero(is_far)
        rows = rows[np.abs(np.log(ratio[rows])) >= min_change]
    clients = weeks.index[rows]
    found[clients] = True
    return PossibleSteps(found, _most_at_once(clients, day[starts[rows]] // WEEK, ratio[rows] > 1.0))


def _most_at_once(client: np.ndarray, week: np.ndarray, is_rise: np.ndarray) -> int:
    """The most clients with a step in one direction in a week and the next one. [a row per step]"""
    if not len(client):
        return 0
    width, n_clients = int(week.max() - week.min()) + 2, int(client.max()) + 1
    cell = (week - week.min()) + width * is_rise
    n = np.bincount(np.unique(cell * n_clients + client) // n_clients, minlength=2 * width)
    return int((n[:-1] + n[1:]).max())


def largest_steps(segments: Segments, day: np.ndarray, level: np.ndarray) -> LargestSteps:
    """The largest step of each client. [segments: rows by client, then day; level: log_levels]"""
    found = no_steps(len(segments))
    if not segments.n_rows:
        return found
    known = ~np.isnan(level)
    # Whole numbers: a running sum of floats would be rounded by the clients before.
    fixed = np.rint(np.where(known, level, 0.0) * FIXED_POINT).astype(np.int64)
    sums = np.append(0, np.cumsum(fixed)), np.append(0, np.cumsum(known, dtype=np.int32))
    at = np.flatnonzero(_has_both_sides(segments))
    of_row = segments.index[at]
    change = np.zeros(segments.n_rows)
    change[at] = np.nan_to_num(_difference(sums, at, segments.starts[of_row], segments.ends[of_row], WINDOW))
    size = np.abs(change)
    largest = segments.spread(segments.largest(size))
    rows = np.flatnonzero((size == largest) & (size > 0))
    clients, which = np.unique(segments.index[rows], return_index=True)
    rows = rows[which]
    found.day[clients] = day[rows]
    found.change[clients] = _difference(sums, rows, segments.starts[clients], segments.ends[clients], LONG_WINDOW)
    return found


def _has_both_sides(segments: Segments) -> np.ndarray:
    """Mark rows with enough rows of their client on both sides for a step there."""
    return (segments.position >= MIN_KNOWN) & (segments.rows_left >= MIN_KNOWN)


def _difference(
    sums: tuple[np.ndarray, np.ndarray], at: np.ndarray, first: np.ndarray, end: np.ndarray, window: int
) -> np.ndarray:
    """Mean of the rows from `at` on less the mean of those before, NaN where either has too few."""
    low, high = np.maximum(at - window, first), np.minimum(at + window, end)
    (total_low, n_low), (total_at, n_at), (total_high, n_high) = (
        [each[rows] for each in sums] for rows in (low, at, high)
    )
    total_before, n_before = total_at - total_low, n_at - n_low
    total_after, n_after = total_high - total_at, n_high - n_at
    with np.errstate(invalid="ignore", divide="ignore"):
        step = (total_after / n_after - total_before / n_before) / FIXED_POINT
    return np.where((n_before >= MIN_KNOWN) & (n_after >= MIN_KNOWN), step, np.nan)


def same_steps(
    steps: LargestSteps, candidates: np.ndarray, spread: float, min_clients: int
) -> list[tuple[int, np.ndarray]]:
    """(day, clients) of each group of candidates that changed by the same factor on the same day, largest first.

    candidates: client numbers; spread: of the logarithms of one factor; min_clients: of a group.
    """
    groups = []
    while len(candidates) >= min_clients:
        order = candidates[np.argsort(steps.change[candidates], kind="stable")]
        best = order[:0]
        for day in np.unique(steps.day[order]).tolist():
            near = order[np.abs(steps.day[order] - day) <= NEXT_DAYS]
            if len(near) <= max(len(best), min_clients - 1):
                continue
            change = steps.change[near]
            stop = np.searchsorted(change, change + spread, side="right")
            widest = int(np.argmax(stop - np.arange(len(near))))
            group = near[widest : stop[widest]]
            if len(group) > len(best):
                best, on = group, day
        if len(best) < min_clients:
            break
        groups.append((on, np.sort(best)))
        candidates = np.setdiff1d(candidates, best)
    return groups
