"""Blocks on hours of the day, for hourly readings: night, peaks, zeros, profile and its mirror image.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. All NaN where readings are daily.
"""

import numpy as np

from fairmeter.data.daily import HOURS_PER_DAY
from fairmeter.features.base import LOW, SEASON, SHAPE, Block, Feature
from fairmeter.features.readings.series import DailySeries

QUARTER_DAY = 6  # hours: the first quarter is the night
RECENT_DAYS = (14, 30)  # days
MIN_DAYS = 3

STATISTICS = (
    ("night_share", SEASON, "share of the day's energy from 00 to 06 h"),
    ("morning_share", SEASON, "share of the day's energy from 06 to 12 h"),
    ("afternoon_share", SEASON, "share of the day's energy from 12 to 18 h"),
    ("peak_share", SHAPE, "share of the day's energy in its highest hour"),
    ("base_share", SHAPE, "lowest over mean hour"),
    ("hour_deviation", SHAPE, "coefficient of variation of the day's hours"),
    ("zero_hours", LOW, "share of hours of zero"),
    ("flat_hours", SHAPE, "share of hours like the hour before, within 0.5 %"),
    ("profile", SEASON, "correlation of the day's hours with the client's profile"),
    ("mirror", SEASON, "correlation of the day's hours, in reverse order, with the client's profile"),
    ("day_before", SEASON, "correlation of the day's hours with those of the day before"),
)
SPLIT = ("night_share", "peak_share", "zero_hours", "profile")


def _by_day(rows: DailySeries, hours: np.ndarray) -> np.ndarray:
    """STATISTICS of each day. [hours: kWh, (rows, 24); result: float64, (len(STATISTICS), rows)]"""
    known = ~np.isnan(hours)
    n = known.sum(axis=1)
    filled = np.where(known, hours, 0.0)
    total = filled.sum(axis=1)
    mean = total / n
    off = np.where(known, hours - mean[:, None], 0.0)
    deviation = np.sqrt((off * off).sum(axis=1) / n)
    profile = np.ascontiguousarray(rows.segments.spread(rows.segments.mean(np.ascontiguousarray(hours.T))).T)
    profile -= profile.mean(axis=1, keepdims=True)
    before = np.empty_like(off)
    before[1:], before[rows.segments.starts] = off[:-1], 0.0
    same = known[:, 1:] & (np.abs(filled[:, 1:] - filled[:, :-1]) <= 0.005 * filled[:, 1:])
    out = np.array([
        filled[:, :QUARTER_DAY].sum(axis=1) / total, filled[:, QUARTER_DAY : 2 * QUARTER_DAY].sum(axis=1) / total,
        filled[:, 2 * QUARTER_DAY : 3 * QUARTER_DAY].sum(axis=1) / total, filled.max(axis=1) / total,
        np.where(known, hours, np.inf).min(axis=1) / mean, deviation / mean,
        (known & (filled <= 0.0005 * rows.segments.spread(rows.level)[:, None])).sum(axis=1) / n,
        same.sum(axis=1) / np.maximum(n - 1, 1),
        _correlation(off, profile), _correlation(np.ascontiguousarray(off[:, ::-1]), profile),
        _correlation(off, before),
    ])  # fmt: skip
    return np.where(n >= HOURS_PER_DAY // 2, out, np.nan)


def _correlation(off: np.ndarray, other: np.ndarray) -> np.ndarray:
    scale = np.sqrt((off * off).sum(axis=1) * (other * other).sum(axis=1))
    return np.where(scale > 0, (off * other).sum(axis=1) / scale, np.nan)


def _hours(rows: DailySeries) -> np.ndarray:
    """Each statistic over all days, over the last days, the change from those before, and its clearest step."""
    segments, hours = rows.segments, rows.days.hours
    if hours is None:
        return np.full((len(HOURS_BLOCK.features), len(segments)), np.nan)
    series = _by_day(rows, hours)
    n, mean, deviation = segments.moments(series)
    left = segments.spread(segments.ends) - np.arange(segments.n_rows)
    out = [np.where(n >= MIN_DAYS, mean, np.nan), np.where(n >= MIN_DAYS, deviation, np.nan)]
    for days in RECENT_DAYS:
        n_last, last, _ = segments.moments(np.where(left <= days, series, np.nan))
        n_before, before, _ = segments.moments(np.where(left > days, series, np.nan))
        enough = (n_last >= MIN_DAYS) & (n_before >= MIN_DAYS)
        out += [np.where(n_last >= MIN_DAYS, last, np.nan), np.where(enough, last - before, np.nan)]
    names = [name for name, *_ in STATISTICS]
    size, explained, row = segments.best_split(series[[names.index(name) for name in SPLIT]], MIN_DAYS)
    return np.concatenate([*out, size, explained, np.where(row >= 0, segments.ends - row, np.nan)])


HOURS_BLOCK = Block(
    (
        *(Feature(f"{s}_mean", group, "", text) for s, group, text in STATISTICS),
        *(Feature(f"{s}_std", group, "", f"deviation of the {text}") for s, group, text in STATISTICS),
        *(Feature(f"{s}_{short}_{w}", group, "", f"{text}, last {w} days{than}")
          for w in RECENT_DAYS
          for short, than in (("last", ""), ("change", " less those before"))
          for s, group, text in STATISTICS),
        *(Feature(f"{s}_split_{short}", SEASON, unit, f"{long} of the clearest step of the {s.replace('_', ' ')}")
          for short, unit, long in (
              ("size", "", "size"), ("explained", "share", "clearness"), ("ago", "days", "time from the end"),
          )
          for s in SPLIT),
    ),
    _hours,
)  # fmt: skip

BLOCKS = (HOURS_BLOCK,)
