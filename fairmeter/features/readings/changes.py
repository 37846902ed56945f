"""Blocks on change: last days against earlier ones and against a year before, trends, steps and ramps.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.

*Adjusted* consumption is log consumption minus the neighbours' factor times the client's own sensitivity to it, which
removes season and weather. Without known neighbours it is log consumption itself.
"""

import numpy as np

from fairmeter.core.change_points import RunningSums
from fairmeter.features.base import FALL, IRREGULAR, SHAPE, Block, Feature
from fairmeter.features.readings.series import DailySeries

WINDOWS = (7, 14, 30, 60, 90, 180)  # days
YEAR = 364  # days: whole weeks

# --- the last days against all before, against the client's other stretches, against a year before -------------------

SERIES = (("adjusted", "adjusted consumption"), ("log", "log consumption"))


def _last_against_before(rows: DailySeries) -> np.ndarray:
    starts, ends = rows.segments.starts, rows.segments.ends
    cut = np.array([rows.since_end(days) for days in WINDOWS])
    n, mean, variance = rows.window(cut, np.broadcast_to(ends, cut.shape))
    n_before, mean_before, variance_before = rows.window(np.broadcast_to(starts, cut.shape), cut)
    enough = (n >= 3) & (n_before >= 7)
    gap = np.where(enough, mean - mean_before, np.nan)[:2]
    noise = np.where(enough, np.sqrt(variance + 1e-6) - np.sqrt(variance_before + 1e-6), np.nan)[:2]
    return np.concatenate([*gap, *noise, np.log((mean[2] + 0.01) / (mean_before[2] + 0.01))])


LAST_BLOCK = Block(
    (
        *(Feature(f"{s}_last_{w}", FALL, "log ratio", f"{text} of the last {w} days less that before")
          for s, text in SERIES for w in WINDOWS),
        *(Feature(f"{s}_noise_last_{w}", IRREGULAR, "log ratio",
                  f"day-to-day deviation of the {text} of the last {w} days less that before")
          for s, text in SERIES for w in WINDOWS),
        *(Feature(f"ratio_last_{w}", FALL, "log ratio",
                  f"log of mean consumption of the last {w} days over that before")
          for w in WINDOWS),
    ),
    _last_against_before,
)  # fmt: skip

RANKED_WINDOWS = (7, 14, 30, 60, 90)


def _last_among_others(rows: DailySeries) -> np.ndarray:
    """Mean of the last days against the means of all earlier stretches of the same length."""
    segments, days = rows.segments, np.array(RANKED_WINDOWS)
    n, total = rows.running.trailing(days, (slice(2), slice(2)))[..., 1:]
    mean = total / n
    is_whole = (segments.position >= days[:, None] - 1) & (n >= 0.6 * days[:, None])
    mean = np.where(is_whole, mean, np.nan)
    last = segments.last(mean)
    before = np.where(segments.rows_left > days[:, None], mean, np.nan)
    _, usual, deviation = segments.moments(before)
    off = last - usual
    found = np.array([off, off / (deviation + 0.02), last - segments.smallest(before)])
    return found.transpose(2, 0, 1, 3).reshape(-1, len(segments))


RANK_BLOCK = Block(
    tuple(
        Feature(f"{s}_{short}_{w}", FALL, unit, f"{text} of the last {w} days {long}")
        for w in RANKED_WINDOWS
        for short, unit, long in (
            ("off", "log ratio", "less the mean of earlier stretches as long"),
            ("z", "deviations", "in deviations of earlier stretches as long"),
            ("below", "log ratio", "less the lowest of earlier stretches as long"),
        )
        for s, text in SERIES
    ),
    _last_among_others,
)

YEAR_WINDOWS = (14, 28, 91)


def _year_on_year(rows: DailySeries) -> np.ndarray:
    ends, starts = rows.segments.ends, rows.segments.starts
    cut = np.array([rows.since_end(days) for days in YEAR_WINDOWS])
    stop = np.maximum(ends - YEAR, starts) + np.zeros_like(cut)
    start = np.maximum(ends - YEAR - np.array(YEAR_WINDOWS)[:, None], starts)
    n, mean, _ = rows.window(cut, ends + np.zeros_like(cut))
    n_then, mean_then, _ = rows.window(start, stop)
    return np.concatenate(np.where((n >= 7) & (n_then >= 7), mean - mean_then, np.nan)[:2])


YEAR_BLOCK = Block(
    tuple(
        Feature(f"{s}_year_on_year_{w}", FALL, "log ratio",
                f"{text} of the last {w} days less the same weeks a year before")
        for s, text in SERIES for w in YEAR_WINDOWS
    ),
    _year_on_year,
)  # fmt: skip

# --- trends -----------------------------------------------------------------------------------------------------------

TRENDS = (30, 60, 90, 180, 365)


def _slopes(rows: DailySeries) -> np.ndarray:
    """Least-squares slope of the last days. [per 100 days]"""
    running = rows.changes.running
    cut = np.array([rows.since_end(days) for days in TRENDS])
    n, t, tt, v, vt, *_ = running.between(cut, rows.segments.ends + np.zeros_like(cut))
    slope = (vt - v * t / n) / (tt - t * t / n)
    return np.concatenate(np.where(n >= 14, slope * 100.0, np.nan))


SLOPE_BLOCK = Block(
    tuple(
        Feature(f"{s}_slope_{w}", FALL, "log ratio in 100 days", f"trend of the {text} over the last {w} days")
        for s, text in (("off_usual", "consumption less the neighbours'"), SERIES[1])
        for w in TRENDS
    ),
    _slopes,
)

# --- the clearest step and ramps --------------------------------------------------------------------------------------

RAMPS = (1, 30, 90, 180)
RAMP_STRIDE = 3  # days between the starts of candidate ramps


def _ramps(rows: DailySeries) -> np.ndarray:
    ends = rows.segments.ends
    fall, rise, step = rows.steps
    found = [fall, *rows.changes.best(RAMPS[1:], (-1,), RAMP_STRIDE), rise, step]
    return np.concatenate([x for c in found for x in (c.size, c.explained, np.where(c.row >= 0, ends - c.row, np.nan))])


RAMP_BLOCK = Block(
    tuple(
        Feature(f"{s}_{name}_{short}", FALL, unit, f"{long} of the clearest {kind} of the {text}")
        for name, kind in (
            *((f"fall_{w}", f"fall over {w} days") for w in RAMPS),
            ("rise", "rise"),
            ("step", "step"),
        )
        for short, unit, long in (
            ("size", "log ratio", "size"),
            ("explained", "share", "clearness"),
            ("ago", "days", "time to the last day"),
        )
        for s, text in (("off_usual", "consumption less the neighbours'"), SERIES[1])
    ),
    _ramps,
)


STEP_WINDOWS = (3, 7, 14, 30, 60)


def _at_step(rows: DailySeries) -> np.ndarray:
    """Days around the clearest step, and the time after it against earlier stretches of the same length."""
    segments, row = rows.segments, rows.step.row[0]
    starts, ends = segments.starts, segments.ends
    at = np.where(row >= 0, row, starts) + np.zeros((len(STEP_WINDOWS), 1), dtype=np.int64)
    width = np.array(STEP_WINDOWS)[:, None]
    n, mean, variance = rows.window(np.maximum(at - width, starts), at, slice(1))
    n_after, mean_after, variance_after = rows.window(at, np.minimum(at + width, ends), slice(1))
    gap = np.where((n > 0) & (n_after > 0), mean_after - mean, np.nan)[0]
    sharpness = gap / np.sqrt(variance[0] + variance_after[0] + 0.01)
    length = np.minimum(ends - at[0], np.maximum(at[0] - starts, 1))
    own_length = segments.broadcast(length)
    position = segments.position + 1
    stop = np.arange(segments.n_rows) + 1
    is_before = (position >= own_length) & (stop <= segments.broadcast(at[0]))
    n, total = rows.running.between(np.where(is_before, stop - own_length, 0), stop, (slice(2), slice(1)))
    others = np.where(is_before & (n >= 0.6 * own_length), total / n, np.nan)
    after = rows.window(at[0], ends, slice(1))[1][0]
    _, usual, deviation = (x[0] for x in segments.moments(others))
    rank = [after - usual, (after - usual) / (deviation + 0.02), after - segments.smallest(others)[0]]
    return np.concatenate([gap, sharpness, rank])


STEP_BLOCK = Block(
    (
        *(Feature(f"step_gap_{w}", FALL, "log ratio", f"{w} days after the clearest step less {w} days before")
          for w in STEP_WINDOWS),
        *(Feature(f"step_sharpness_{w}", FALL, "deviations", f"the same in deviations of these days, {w} days")
          for w in STEP_WINDOWS),
        Feature("step_off", FALL, "log ratio", "after the clearest step less the mean of stretches as long before"),
        Feature("step_z", FALL, "deviations", "after the clearest step, in deviations of stretches as long before"),
        Feature("step_below", FALL, "log ratio", "after the clearest step less the lowest of stretches as long before"),
    ),
    _at_step,
)  # fmt: skip

SHARP_WINDOWS = (7, 14, 30)


def _sharpest(rows: DailySeries) -> np.ndarray:
    """The sharpest fall between adjacent stretches, and whether consumption recovered."""
    segments, ends, days = rows.segments, rows.segments.ends, np.array(SHARP_WINDOWS)
    width, row = days[:, None], np.arange(segments.n_rows)
    each = np.array(rows.stretches(days))
    n, mean, variance = each[..., :-1]
    # The stretch after a row is the one before the row `width` days later.
    place = np.minimum(row + width, segments.n_rows) + np.arange(len(SHARP_WINDOWS))[:, None] * (segments.n_rows + 1)
    n_after, mean_after, variance_after = each.reshape(3, -1).take(place, axis=-1)
    fits = (segments.position >= width) & (segments.rows_left >= width) & (n >= 0.6 * width) & (n_after >= 0.6 * width)
    gap = np.where(fits, (mean_after - mean) / np.sqrt(variance + variance_after + 0.02), np.nan)
    least, most = segments.smallest(gap), segments.largest(gap)
    at = np.maximum.reduceat(np.where(gap == segments.broadcast(least), row, -1), segments.starts, axis=-1)
    number = np.arange(len(SHARP_WINDOWS))[:, None]
    before, after = np.where(at >= 0, np.array([mean[number, at], mean_after[number, at]]), np.nan)
    recent = rows.window(rows.since_end(30), ends, slice(1))[1][0]
    since = rows.window(np.maximum(at, segments.starts), ends + np.zeros_like(at), slice(1))[1][0]
    ago = np.where(at >= 0, ends - at, np.nan)
    found = np.array([least, after - before, ago, recent - before, since - before, least + most])
    return found.swapaxes(0, 1).reshape(-1, len(segments))


SHARP_BLOCK = Block(
    tuple(
        Feature(f"sharpest_{w}_{short}", FALL, unit, f"{long} the sharpest fall between {w} days and the next {w}")
        for w in SHARP_WINDOWS
        for short, unit, long in (
            ("z", "deviations", "clearness of"),
            ("size", "log ratio", "size of"),
            ("ago", "days", "time since"),
            ("lately", "log ratio", "last 30 days less those before"),
            ("since", "log ratio", "all days since less those before"),
            ("balance", "deviations", "clearness of the sharpest rise less that of"),
        )
    ),
    _sharpest,
)


def _splits(rows: DailySeries) -> np.ndarray:
    """Steps in excess, shortfall and distance from the mean, and in the level; range of the cumulative sum."""
    segments, residual = rows.segments, rows.residual
    n, mean, deviation = (x[:1] for x in rows.shape[:3])
    off = residual - segments.broadcast(mean[0])
    series = np.array(
        [np.maximum(off, 0.0), np.minimum(off, 0.0), np.minimum(np.abs(off), 2.0), np.minimum(rows.relative, 20.0)]
    )
    size, explained, row = segments.best_split(series, 7)
    ago = np.where(row >= 0, segments.ends - row, np.nan)
    walk = RunningSums(np.where(np.isnan(off), 0.0, off)[None]).cumulative(segments)
    scale = deviation * np.sqrt(n)
    return np.concatenate([size, explained, ago, segments.largest(walk) / scale, segments.smallest(walk) / scale])


SPLITS = (
    ("upper", "what exceeds the usual"), ("lower", "what falls short of the usual"),
    ("spread", "distance from the usual"), ("relative", "consumption over its level"),
)  # fmt: skip
SPLIT_BLOCK = Block(
    (
        *(Feature(f"{s}_split_{short}", FALL if s == "relative" else SHAPE, unit,
                  f"{long} of the clearest step of {text}")
          for short, unit, long in (
              ("size", "log ratio", "size"), ("explained", "share", "clearness"), ("ago", "days", "time from the end"),
          )
          for s, text in SPLITS),
        Feature("cusum_high", FALL, "deviations", "highest running sum of the adjusted consumption"),
        Feature("cusum_low", FALL, "deviations", "lowest running sum of the adjusted consumption"),
    ),
    _splits,
)  # fmt: skip

BLOCKS = (LAST_BLOCK, RANK_BLOCK, YEAR_BLOCK, SLOPE_BLOCK, RAMP_BLOCK, STEP_BLOCK, SHARP_BLOCK, SPLIT_BLOCK)
