"""Weeks of daily consumption as the channels of a convolution.

In:  DailyConsumption, and optionally the neighbours' factor of each row's day (1 = usual, NaN if unknown).
Out: float32 of shape (clients, WEEKS, CHANNELS); the last week holds the client's last day, earlier weeks are 0 where
     the series has not begun. A client's channels depend on its own rows alone.

The residual of a day is its log consumption less the neighbours' factor times the client's own sensitivity. A network
does not find out by itself which days are equal to the Wh, nor a mean over months, so both are channels.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import OFFSET, log_relative
from fairmeter.features.readings.resolution import without_rounding
from fairmeter.models.detectors.windows import MONDAY, WEEK

WEEKS = 104  # two years: a longer past adds time and no evidence
SATURDAY = 5
SHRINKAGE = 30.0  # days: with fewer known ones the sensitivity stays near 1
SENSITIVITIES = (-0.5, 2.5)
SAME_KWH = 0.0015  # kWh: less is the last digit of a meter that registers Wh
NEAR_WEEKS = 8  # on either side of the near difference
MIN_COVERED_SHARE = 0.5  # of a client's days with a factor
DAYS_CHANNELS = 4 * WEEK  # residual, known, consumption, log consumption
CHANNELS = DAYS_CHANNELS + 8 + 3 * 3 + 3 + 6
KNOWN_CHANNEL = DAYS_CHANNELS + 4  # 1 in weeks with a known day


class _Rows(NamedTuple):
    """Values of each row, with the week and the weekday it belongs to."""

    segments: Segments
    kwh: np.ndarray
    log: np.ndarray
    level: np.ndarray  # (clients,) kWh
    factor: np.ndarray  # log, 0 where unknown
    residual: np.ndarray
    is_covered: np.ndarray  # (clients,)
    week: np.ndarray  # 0 .. WEEKS - 1, negative before
    weekday: np.ndarray  # Monday 0


def week_channels(days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
    """Channels of each client. [float32, (clients, WEEKS, CHANNELS)]"""
    out = np.zeros((len(days.segments), WEEKS, CHANNELS), dtype=np.float32)
    filled = days.segments.filled
    if filled.any():
        own = without_rounding(replace(days, segments=Segments(days.segments.counts[filled])))
        with np.errstate(all="ignore"):
            out[filled] = np.concatenate(_channels(_rows(own, factor)), axis=2)
    return out


def _rows(days: DailyConsumption, factor: np.ndarray | None) -> _Rows:
    segments, (level, log) = days.segments, log_relative(days)
    usual = np.full(len(days.kwh), np.nan) if factor is None else np.log(factor)
    sensitivity, is_covered = _sensitivity(segments, log, usual)
    usual = np.where(np.isnan(usual) | ~segments.broadcast(is_covered), 0.0, usual)
    residual = log - segments.broadcast(sensitivity) * usual
    n_week = (days.day + MONDAY) // WEEK
    last = segments.last(n_week.astype(np.float64)).astype(np.int64)
    week = WEEKS - 1 - (segments.broadcast(last) - n_week)
    residual = residual - segments.broadcast(segments.mean(residual))
    return _Rows(segments, days.kwh, log, level, usual, residual, is_covered, week, (days.day + MONDAY) % WEEK)


def _sensitivity(segments: Segments, log: np.ndarray, usual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slope of log consumption on the factor, shrunk towards 1; whether the factor covers the client)."""
    known = ~np.isnan(log)
    both = known & ~np.isnan(usual)
    n_known, n = segments.total(np.array([known, both], dtype=np.float64))
    mean = segments.total(np.where(both, [usual, log], 0.0)) / np.maximum(n, 1.0)
    off, off_log = np.where(both, np.array([usual, log]) - segments.broadcast(mean), 0.0)
    square, product = segments.total(np.array([off * off, off * off_log]))
    prior = SHRINKAGE * square / np.maximum(n, 1.0)
    is_covered = n >= MIN_COVERED_SHARE * n_known
    slope = np.clip((product + prior) / np.maximum(square + prior, 1e-9), *SENSITIVITIES)
    return np.where(is_covered, slope, 0.0), is_covered


def _channels(rows: _Rows) -> list[np.ndarray]:
    known = ~np.isnan(rows.kwh)
    relative = np.exp(rows.log) - OFFSET
    values = (
        np.clip(rows.residual, -3.5, 3.5), known, np.minimum(relative, 5.0) - 1.0, np.clip(rows.log, -3.2, 3.0),
        rows.kwh, *_equal_days(rows),
    )  # fmt: skip
    *days, kwh, same, weekly, zero, factor = _by_day(rows, np.where(known, [*values, rows.factor], 0.0))
    residual, is_known = days[0], days[1]
    n = is_known.sum(axis=2)
    mean = residual.sum(axis=2) / np.maximum(n, 1.0)
    parts = [_differences(residual[..., part], is_known[..., part]) for part in PARTS]
    shares = np.stack([each.sum(axis=2) for each in (same, weekly, zero)], axis=2) / np.maximum(n, 1.0)[..., None]
    within = _within_weeks(residual, is_known, n, mean), shares, _ends_of_weeks(rows, kwh, is_known > 0, n)
    return [*days, _of_weeks(rows, n, mean, factor.mean(axis=2)), *parts, *within]


PARTS = (slice(0, WEEK), slice(SATURDAY, WEEK), slice(0, SATURDAY))


def _by_day(rows: _Rows, values: np.ndarray) -> np.ndarray:
    """Values on the calendar of weeks, 0 elsewhere. [(k, rows) -> (k, clients, WEEKS, 7)]"""
    out = np.zeros((len(values), len(rows.segments) * WEEKS * WEEK))
    place = (rows.segments.index * WEEKS + rows.week) * WEEK + rows.weekday
    kept = rows.week >= 0
    out[:, place[kept]] = values[:, kept]
    return out.reshape(len(values), -1, WEEKS, WEEK)


def _of_weeks(rows: _Rows, n: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Difference from the year before, factor, position, and what is the same in all weeks. [(clients, WEEKS, 8)]"""
    has_year, year = np.zeros((2, *n.shape))
    has_year[:, 52:] = (n[:, 52:] >= 3) & (n[:, :-52] >= 3)
    year[:, 52:] = mean[:, 52:] - mean[:, :-52]
    jump = np.abs(rows.residual - rows.segments.lag(rows.residual))
    noise = np.nan_to_num(rows.segments.mean(np.minimum(jump, 1.5)))
    has_days = n > 0
    position = np.broadcast_to((np.arange(WEEKS) - WEEKS + 1.0) / 52.0, n.shape)
    same = (noise, 0.3 * np.log(rows.level + OFFSET), rows.is_covered)
    return np.stack(
        [year * has_year, has_year, factor, position, has_days,
         *(value[:, None] * has_days for value in same)],
        axis=2,
    )  # fmt: skip


def _differences(residual: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """From each week on less before: the mean, its z value, and of the near weeks alone. [(clients, WEEKS, 3)]"""
    total, n = residual.sum(axis=2), is_known.sum(axis=2)
    sums = _before(np.stack([total, n, n > 0]))
    before, after = sums[:, :, :-1], sums[:, :, -1:] - sums[:, :, :-1]
    size = _difference(before, after, 3)
    mean = total / np.maximum(n, 1.0)
    off = np.where(n > 0, mean - sums[0, :, -1:] / np.maximum(sums[1, :, -1:], 1.0), 0.0)
    deviation = np.sqrt(np.cumsum(off * off, axis=1)[:, -1:] / np.maximum(sums[2, :, -1:], 1.0) + 1e-3)
    z = size / deviation * np.sqrt(before[2] * after[2] / np.maximum(before[2] + after[2], 1.0))
    place = np.arange(WEEKS)
    start, stop = np.maximum(place - NEAR_WEEKS, 0), np.minimum(place + NEAR_WEEKS, WEEKS)
    near = _difference(before - sums[:, :, start], sums[:, :, stop] - before, 2)
    return np.stack([np.clip(size, -3, 3), np.clip(z / 4.0, -4, 4), np.clip(near, -3, 3)], axis=2)


def _before(values: np.ndarray) -> np.ndarray:
    """Running sums before each week, and of all weeks last. [(..., WEEKS) -> (..., WEEKS + 1)]"""
    return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)


def _difference(before: np.ndarray, after: np.ndarray, min_days: int) -> np.ndarray:
    """Mean after less mean before, 0 where either has too few days. [inputs: (total, days, weeks) by week]"""
    gap = after[0] / np.maximum(after[1], 1.0) - before[0] / np.maximum(before[1], 1.0)
    return np.where((before[1] >= min_days) & (after[1] >= min_days), gap, 0.0)


def _within_weeks(residual: np.ndarray, is_known: np.ndarray, n: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Spread, mean and lowest day of each week. [(clients, WEEKS, 3)]"""
    off = (residual - mean[..., None]) * is_known
    spread = np.sqrt((off * off).sum(axis=2) / np.maximum(n, 1.0))
    lowest = np.where(is_known > 0, residual, np.inf).min(axis=2)
    return np.stack([spread, mean, np.where(n > 0, lowest, 0.0)], axis=2)


def _equal_days(rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days like the day before, like the week before, and of zero. [bool]"""
    before, week_before = rows.segments.lags(rows.kwh, (1, WEEK))
    is_zero = rows.kwh <= SAME_KWH
    is_same, is_weekly = (np.abs(rows.kwh - other) <= SAME_KWH for other in (before, week_before))
    return is_same & ~is_zero, is_weekly, is_zero


def _ends_of_weeks(rows: _Rows, kwh: np.ndarray, is_known: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Share of other days at the highest of the week; range and lowest day over the level. [(clients, WEEKS, 3)]"""
    top = np.where(is_known, kwh, -np.inf).max(axis=2)
    low = np.where(is_known, kwh, np.inf).min(axis=2)
    at_top = ((np.abs(kwh - top[..., None]) <= SAME_KWH) & is_known).sum(axis=2)
    ends = np.maximum([top - low, low], 0.0) / rows.level[:, None]
    values = (at_top - 1.0) / np.maximum(n - 1.0, 1.0), *(np.log(ends + 0.003) / 3.0)
    return np.stack([np.where(n > 1, each, 0.0) for each in values], axis=2)
