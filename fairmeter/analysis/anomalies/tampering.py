"""Signatures of a tampered meter in daily consumption, which habits of a household rarely leave.

In:  RecentDays.
Out: Evidence of flat lines, copied and rounded values, stalls with a catch-up, repeated stops, a lost phase, and falls
     at weekends only. Only what reaches into the last RECENT days counts.
"""

import numpy as np

from fairmeter.analysis.anomalies.evidence import Evidence, Occurrence, above_zero, largest, last_largest
from fairmeter.analysis.anomalies.level_changes import RECENT
from fairmeter.analysis.anomalies.recent_days import (
    DAYS,
    OFFSET,
    WEEK,
    RecentDays,
    part_quantile,
    run_lengths,
    week_means,
    weeks_since_rise,
    window_quantile,
)

EQUAL = 0.002  # of the level: within it two days are the same
STOPPED = 0.01  # of the level: a meter that stands still
TAIL = 3 * RECENT  # days that are searched for equal values: the recent ones, and what they may repeat


def tampering_evidence(days: RecentDays) -> list[Evidence]:
    """Evidence of all signatures."""
    return [
        flat_lines(days), copied_days(days), rounded_values(days), stalls(days), stops(days), lost_phases(days),
        low_weekends(days),
    ]  # fmt: skip


# --- equal and rounded values -----------------------------------------------------------------------------------------

COPY_LAGS = range(7, 63)  # days
MIN_COPIED = 5  # days: shorter stretches repeat by chance


def flat_lines(days: RecentDays) -> Evidence:
    """The longest run of equal days above zero. [days]"""
    length, last = last_largest(run_lengths(_same_as(days, 1) & _moves(days))[:, -RECENT:])

    def occurrence(client: int) -> Occurrence:
        stop = DAYS - RECENT + int(last[client])
        first = days.day_of(client, stop - int(length[client]))
        return Occurrence(first, days.day_of(client, stop), {"kwh": float(days.kwh[client, stop])})

    return Evidence("flat_line", np.where(length > 0, length + 1.0, np.nan), occurrence)


def copied_days(days: RecentDays) -> Evidence:
    """The longest run of unlike days that repeats an earlier one, lag by lag. [days]"""
    unlike = ~_same_as(days, 1) & _moves(days)
    length, last = np.zeros((2, len(unlike), len(COPY_LAGS)), np.int64)
    for i, lag in enumerate(COPY_LAGS):
        repeats = unlike & _same_as(days, lag)
        if np.count_nonzero(repeats) >= MIN_COPIED:  # hardly ever
            length[:, i], last[:, i] = last_largest(run_lengths(repeats)[:, -RECENT:])
    most, best = last_largest(length)

    def occurrence(client: int) -> Occurrence:
        stop = DAYS - RECENT + int(last[client, best[client]])
        first = days.day_of(client, stop - int(most[client]) + 1)
        return Occurrence(first, days.day_of(client, stop), {"lag": float(COPY_LAGS[best[client]])})

    return Evidence("copied_days", np.where(most >= MIN_COPIED, most.astype(np.float64), np.nan), occurrence)


def _moves(days: RecentDays) -> np.ndarray:
    """Whether each of the last TAIL days has consumption."""
    return days.kwh[:, -TAIL:] > STOPPED * days.level[:, None]


def _same_as(days: RecentDays, lag: int) -> np.ndarray:
    """Whether each of the last TAIL days equals the one `lag` days before it."""
    own, earlier = days.kwh[:, -TAIL:], days.kwh[:, -TAIL - lag : -lag]
    return np.abs(own - earlier) <= EQUAL * days.level[:, None]


ROUND_DAYS, ROUND_STEP = 28, 0.5  # days, kWh
ROUND_STOPS = tuple(DAYS - 14 * back for back in range(5))


def rounded_values(days: RecentDays) -> Evidence:
    """Share of days in whole or half kWh within four weeks, less that share before. [0..1]"""
    known = days.kwh > STOPPED * days.level[:, None]
    steps = days.kwh / ROUND_STEP
    is_round = known & (np.abs(steps - np.rint(steps)) < 1e-6)
    recent = np.stack([_share(is_round, known, stop - ROUND_DAYS, stop) for stop in ROUND_STOPS], axis=1)
    before = _share(is_round, known, 0, ROUND_STOPS[-1] - ROUND_DAYS)
    most, best = largest(recent)

    def occurrence(client: int) -> Occurrence:
        stop = ROUND_STOPS[best[client]]
        first, last = days.day_of(client, stop - ROUND_DAYS), days.day_of(client, stop - 1)
        return Occurrence(first, last, {"share": float(most[client])})

    return Evidence("rounded_values", most - before, occurrence)


def _share(marks: np.ndarray, known: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Share of the known columns that are marked; NaN with fewer than half of four weeks known."""
    n = known[:, start:stop].sum(axis=1)
    return np.where(n >= ROUND_DAYS // 2, marks[:, start:stop].sum(axis=1) / np.maximum(n, 1), np.nan)


# --- standstills ------------------------------------------------------------------------------------------------------

CATCH_UP = 0.5  # of what the standing days would have used
SPAN, MIN_STOP = 120, 2  # days


def stalls(days: RecentDays) -> Evidence:
    """Days of standstill before a day that makes up for at least half of them. [days]"""
    length = _stopped_before(days)[:, -RECENT:]
    kwh = days.kwh[:, -RECENT:]
    caught = kwh >= (1.0 + CATCH_UP * length) * days.level[:, None]
    most, last = last_largest(np.where(caught, length, 0))

    def occurrence(client: int) -> Occurrence:
        stop = DAYS - RECENT + int(last[client])
        first = days.day_of(client, stop - int(most[client]))
        return Occurrence(first, days.day_of(client, stop), {"kwh": float(days.kwh[client, stop])})

    return Evidence("stall", np.where(most > 0, most.astype(np.float64), np.nan), occurrence)


def stops(days: RecentDays) -> Evidence:
    """The second longest standstill within four months, each with consumption after it. [days]"""
    length = _stopped_before(days)[:, -SPAN:]
    is_end = (length >= MIN_STOP) & (days.kwh[:, -SPAN:] > OFFSET * days.level[:, None])
    second = np.sort(np.where(is_end, length, 0), axis=1)[:, -2]

    def occurrence(client: int) -> Occurrence:
        ends = np.flatnonzero(is_end[client])
        first = DAYS - SPAN + int(ends[0] - length[client, ends[0]])
        return Occurrence(days.day_of(client, first), days.day_of(client, DAYS - SPAN + int(ends[-1])), {})

    return Evidence("stops", above_zero(second.astype(np.float64)), occurrence)


def _stopped_before(days: RecentDays) -> np.ndarray:
    """Number of days on end without consumption before each day. [int64, (clients, DAYS)]"""
    out = np.zeros(days.kwh.shape, np.int64)
    out[:, 1:] = run_lengths(days.kwh <= STOPPED * days.level[:, None])[:, :-1]
    return out


# --- a lost phase, weekends only --------------------------------------------------------------------------------------

ONE_LOST, TWO_LOST = np.log(2.0 / 3.0), np.log(1.0 / 3.0)  # of three phases, in the logarithm of consumption
NEAR, NOISE = 0.08, 0.05  # log ratio, added to the spread of quiet homes
STEP_DAYS = 28
STEP_STOPS = np.arange(DAYS - RECENT, DAYS - STEP_DAYS + 1, 2)
SMALL = OFFSET / 10  # of the level, added before the logarithm


def lost_phases(days: RecentDays) -> Evidence:
    """A sudden fall to two thirds or to one third, in widths of the middle half of the weeks around it."""
    log = np.log(days.adjusted[:, -TAIL:] / days.level[:, None] + SMALL)
    places = np.concatenate([STEP_STOPS, STEP_STOPS + STEP_DAYS]) - (DAYS - TAIL)
    low, middle, high = (window_quantile(log, places, STEP_DAYS, share) for share in (0.25, 0.5, 0.75))
    (before, after), (width, width_after) = (np.split(each, 2, axis=1) for each in (middle, high - low))
    step = after - before
    is_near = np.minimum(np.abs(step - ONE_LOST), np.abs(step - TWO_LOST)) <= NEAR
    value, best = largest(np.where(is_near, -step / (width + width_after + NOISE), np.nan))

    def occurrence(client: int) -> Occurrence:
        first, size = int(STEP_STOPS[best[client]]), step[client, best[client]]
        share = 1.0 / 3.0 if size < ONE_LOST - NEAR else 2.0 / 3.0
        return Occurrence(days.day_of(client, first), int(days.last[client]), {"share": share})

    return Evidence("lost_phase", value, occurrence)


WEEKEND_NOW, WEEKEND_BEFORE = 8, 52  # weeks
KEPT = -0.3  # log ratio: working days may fall no more
SATURDAY = 5


def low_weekends(days: RecentDays) -> Evidence:
    """Fall of weekends against the working days of the same weeks, last eight weeks less those before. [log ratio]"""
    day = days.last[:, None] - (DAYS - 1) + np.arange(DAYS)
    is_weekend = (day + 3) % WEEK >= SATURDAY
    parts = (np.where(chosen, days.kwh, np.nan) for chosen in (is_weekend, ~is_weekend))
    weekend, working = (np.log(week_means(part, 1) / days.level[:, None] + OFFSET) for part in parts)
    fall, kept = _last_weeks(weekend - working), _last_weeks(working)
    value = np.where(kept > KEPT, -fall, np.nan)

    def occurrence(client: int) -> Occurrence:
        first = days.day_of(client, DAYS - WEEK * weeks_since_rise((working - weekend)[client]))
        return Occurrence(first, int(days.last[client]), {"share": float(-np.expm1(fall[client]))})

    return Evidence("low_weekends", value, occurrence)


def _last_weeks(week: np.ndarray) -> np.ndarray:
    """Median of the last weeks less that of the year before them. [(clients,)]"""
    return part_quantile(week, -WEEKEND_NOW, 0) - part_quantile(week, -WEEKEND_NOW - WEEKEND_BEFORE, -WEEKEND_NOW)
