"""Patterns in the level of daily consumption: spikes, low use, gradual falls, changes from own history and neighbours.

In:  RecentDays.
Out: Evidence of each pattern. Only what reaches into the last RECENT days counts.

Each value is the smallest of several comparisons, so that neither the season, nor a return from an absence, nor one odd
month before stands for a change.
"""

import numpy as np

from fairmeter.analysis.anomalies.evidence import (
    Evidence,
    Occurrence,
    above_zero,
    largest,
    last_largest,
    or_else,
    picked,
    quantile,
)
from fairmeter.analysis.anomalies.ramps import RAMP_STARTS, likely_ramp, ramp_errors, step_error
from fairmeter.analysis.anomalies.recent_days import (
    DAYS,
    OFFSET,
    WEEK,
    WEEKS,
    RecentDays,
    filled_forward,
    part_quantile,
    run_around,
    run_lengths,
    weeks_since_rise,
    window_quantile,
)

RECENT = 90  # days: what ended earlier is past
YEAR = 364  # days: whole weeks


def level_evidence(days: RecentDays) -> list[Evidence]:
    """Evidence of all patterns in the level."""
    return [spikes(days), peaks(days), low_use(days), gradual_falls(days), *own_history(days), *neighbours(days)]


# --- sudden spike -----------------------------------------------------------------------------------------------------

SPIKE_DAYS, SPIKE_SHARE, STRIDE = 14, 0.5, 2  # most of fourteen days must be high
SMALL = 2.0  # kWh per day, added before ratios: a small consumption varies by multiples
# What a spike is compared with: days just before it, or around the same date a year before; their quantile; part of it.
USUAL_DAYS = ((14, 0, 0.5, 1.0), (91, 0, 0.5, 0.8), (43, YEAR - 21 - SPIKE_DAYS // 2, 0.5, 0.8), (91, 0, 0.8, 0.55))
LEAST_PAST = (91, 0.5)  # days before a spike, half of which must be known
SPIKE_STOPS = np.arange(DAYS - RECENT, DAYS + 1, STRIDE)


def spikes(days: RecentDays) -> Evidence:
    """Two weeks far above the weeks before, the quarter before, and the same weeks a year before. [times]"""
    high = window_quantile(days.adjusted, SPIKE_STOPS, SPIKE_DAYS, SPIKE_SHARE)
    usual = np.zeros(high.shape)
    for length, gap, share, part in USUAL_DAYS:
        past = window_quantile(days.adjusted, SPIKE_STOPS - SPIKE_DAYS - gap, length, share)
        usual = np.fmax(usual, part * past)
    has_past = ~np.isnan(window_quantile(days.adjusted, SPIKE_STOPS - SPIKE_DAYS, *LEAST_PAST))
    value, best = largest(np.where(has_past, (high + SMALL) / (usual + SMALL), np.nan))

    def occurrence(client: int) -> Occurrence:
        at = client, best[client]
        middle = int(SPIKE_STOPS[best[client]]) - SPIKE_DAYS // 2
        limit = np.sqrt(max(high[at], 0.0) * max(usual[at], OFFSET * days.level[client]))
        first, last = run_around(days.smooth_adjusted[client] > limit, middle)
        return _occurrence(days, client, first, last)

    return Evidence("spike", value, occurrence)


PEAK_YEAR = slice(-RECENT - YEAR, -RECENT)  # days before the recent ones
PEAK_PAST = YEAR // 2  # days of that year that must be known


def peaks(days: RecentDays) -> Evidence:
    """A few days above any days of the year before, however short. [times]"""
    smooth = days.smooth_adjusted
    before = or_else(smooth[:, PEAK_YEAR], -np.inf)
    has_past = np.isfinite(before).sum(axis=1) >= PEAK_PAST
    highest, (most, at) = before.max(axis=1), largest(smooth[:, -RECENT:])

    def occurrence(client: int) -> Occurrence:
        limit = np.sqrt(most[client] * (highest[client] + SMALL))
        first, last = run_around(smooth[client] > limit, DAYS - RECENT + int(at[client]))
        return _occurrence(days, client, first, last)

    return Evidence(
        "peak", np.where(has_past, (most + SMALL) / (np.where(has_past, highest, 0.0) + SMALL), np.nan), occurrence
    )


def _occurrence(days: RecentDays, client: int, first: int, last: int) -> Occurrence:
    return Occurrence(days.day_of(client, first), days.day_of(client, last), days.around(client, first, last))


# --- zero or low use --------------------------------------------------------------------------------------------------

LOW_SHARE = 0.1  # of the usual day: an empty home with a refrigerator uses more
USUAL_SHARE = 0.75  # quantile of all days that counts as usual: a home empty for a year has no median to fall from
STANDSTILL = 0.02  # kWh per day: hardly more than the meter's own


def low_use(days: RecentDays) -> Evidence:
    """Days on end under a tenth of the usual day. [days]"""
    usual = quantile(days.kwh, USUAL_SHARE)
    limit = np.fmax(LOW_SHARE * usual, STANDSTILL)
    is_low = filled_forward(days.smooth <= limit[:, None], ~np.isnan(days.kwh))
    length, last = last_largest(run_lengths(is_low)[:, -RECENT:])

    def occurrence(client: int) -> Occurrence:
        stop = DAYS - RECENT + int(last[client])
        found = _occurrence(days, client, stop - int(length[client]) + 1, stop)
        return found._replace(figures=found.figures | {"before": float(usual[client])})

    return Evidence("low_use", length.astype(np.float64), occurrence)


# --- gradual change ---------------------------------------------------------------------------------------------------

NOW, BEFORE, AROUND = 5, 12, 8  # weeks
WORSE = 1.15  # times the step's error up to which a ramp may explain a fall
NO_YEAR = 0.4  # of a log ratio: how much clearer a fall must be without a year to compare with


def gradual_falls(days: RecentDays) -> Evidence:
    """A fall that a ramp explains about as well as a step does, also against the year before. [log ratio]"""
    week = days.weekly
    error = ramp_errors(week)
    best = error.argmin(axis=1)
    now, year = part_quantile(week, -NOW, 0), part_quantile(week, -52 - AROUND, -52 + AROUND)
    stops = np.arange(WEEKS)
    before = picked(window_quantile(week, stops, BEFORE), WEEKS - RAMP_STARTS[best])
    fall = np.fmin(before - now, np.where(np.isnan(year), before - now - NO_YEAR, year - now))
    value = np.where(picked(error, best) <= WORSE * step_error(week), fall, np.nan)

    def occurrence(client: int) -> Occurrence:
        start, length = likely_ramp(error[client], int((~np.isnan(week[client])).sum()))
        first = days.day_of(client, DAYS - round(WEEK * start))
        share = 1.0 - float(np.exp(now[client] - before[client]))
        return Occurrence(first, int(days.last[client]), {"share": share, "n_days": float(round(WEEK * length))})

    return Evidence("gradual_fall", value, occurrence)


# --- change from own history, deviation from the neighbours -----------------------------------------------------------

LATELY, HISTORY = 8, 52  # weeks
QUARTER, MIN_PAST = 13, 26  # weeks


def own_history(days: RecentDays) -> list[Evidence]:
    """The last eight weeks against the same weeks a year before, and against that whole year. [log ratio, > 0]"""
    week = days.weekly
    now, year = part_quantile(week, -LATELY, 0), part_quantile(week, -HISTORY - LATELY, -HISTORY + LATELY // 2)
    past = part_quantile(week, -LATELY - HISTORY, -LATELY)
    gaps = np.array([now - year, now - past])
    return _both_ways("own", days, week, gaps.max(axis=0), gaps.min(axis=0))


def neighbours(days: RecentDays) -> list[Evidence]:
    """The last quarter against all before it, after what the neighbours explain. [log ratio, > 0]"""
    week = days.weekly_apart
    gap = part_quantile(week, -QUARTER, 0) - quantile(np.ascontiguousarray(week[:, :-QUARTER]), 0.5, MIN_PAST)
    return _both_ways("neighbour", days, week, gap, gap)


def _both_ways(name: str, days: RecentDays, week: np.ndarray, fall: np.ndarray, rise: np.ndarray) -> list[Evidence]:
    """Evidence of a fall and of a rise. [fall, rise: the log ratio of the comparison that shows it least]"""
    return [_one_way(f"{name}_fall", days, week, fall, -1.0), _one_way(f"{name}_rise", days, week, rise, 1.0)]


def _one_way(kind: str, days: RecentDays, week: np.ndarray, gap: np.ndarray, sign: float) -> Evidence:
    def occurrence(client: int) -> Occurrence:
        first = days.day_of(client, DAYS - WEEK * weeks_since_rise(sign * week[client]))
        return Occurrence(first, int(days.last[client]), {"share": float(abs(np.expm1(gap[client])))})

    return Evidence(kind, above_zero(sign * gap), occurrence)
