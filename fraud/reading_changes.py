"""Blocks on change: last days against before, trends, steps and ramps, the shape of days before and after a change.

In:  DayRows (fraud/reading_rows.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.

*Adjusted* consumption is log consumption less the neighbours' factor times the client's own sensitivity to it: season
and weather are out of it. Where no neighbours are known it is log consumption itself.
"""

import numpy as np

from fraud.blocks import FALL, IRREGULAR, SHAPE, Feature
from fraud.reading_rows import DayRows, ReadingBlock, parts
from fraud.segments import Segments

WINDOWS = (7, 14, 30, 60, 90, 180)  # days
YEAR = 364  # days: whole weeks

# --- the last days against all before, against the client's other stretches, against a year before -------------------

SERIES = (("adjusted", "adjusted consumption"), ("log", "log consumption"))


def _last_against_before(rows: DayRows) -> np.ndarray:
    starts, ends = rows.segments.starts, rows.segments.ends
    cut = np.array([rows.since_end(days) for days in WINDOWS])
    n, mean, variance = rows.window(cut, np.broadcast_to(ends, cut.shape))
    n_before, mean_before, variance_before = rows.window(np.broadcast_to(starts, cut.shape), cut)
    enough = (n >= 3) & (n_before >= 7)
    gap = np.where(enough, mean - mean_before, np.nan)[:2]
    noise = np.where(enough, np.sqrt(variance + 1e-6) - np.sqrt(variance_before + 1e-6), np.nan)[:2]
    return np.concatenate([*gap, *noise, np.log((mean[2] + 0.01) / (mean_before[2] + 0.01))])


LAST_BLOCK = ReadingBlock(
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

RANKED = (7, 14, 30, 60, 90)


def _last_among_others(rows: DayRows) -> np.ndarray:
    """The last days' mean beside those of all stretches as long that end before they begin."""
    segments, out = rows.segments, []
    row = np.arange(segments.n_rows) + 1
    position = segments.position + 1
    left = segments.spread(segments.ends) - row
    for days in RANKED:
        n, mean, _ = rows.window(np.maximum(row - days, 0), row)
        mean = np.where((position >= days) & (n >= 0.6 * days), mean, np.nan)[:2]
        last = segments.last(mean)
        before = np.where(left >= days, mean, np.nan)
        _, usual, deviation = segments.moments(before)
        out += [last - usual, (last - usual) / (deviation + 0.02), last - segments.smallest(before)]
    return np.concatenate(out)


RANK_BLOCK = ReadingBlock(
    tuple(
        Feature(f"{s}_{short}_{w}", FALL, unit, f"{text} of the last {w} days {long}")
        for w in RANKED
        for short, unit, long in (
            ("off", "log ratio", "less the mean of earlier stretches as long"),
            ("z", "deviations", "in deviations of earlier stretches as long"),
            ("below", "log ratio", "less the lowest of earlier stretches as long"),
        )
        for s, text in SERIES
    ),
    _last_among_others,
)

AGO = (14, 28, 91)


def _year_on_year(rows: DayRows) -> np.ndarray:
    ends, starts = rows.segments.ends, rows.segments.starts
    cut = np.array([rows.since_end(days) for days in AGO])
    stop = np.maximum(ends - YEAR, starts) + np.zeros_like(cut)
    start = np.maximum(ends - YEAR - np.array(AGO)[:, None], starts)
    n, mean, _ = rows.window(cut, ends + np.zeros_like(cut))
    n_then, mean_then, _ = rows.window(start, stop)
    return np.concatenate(np.where((n >= 7) & (n_then >= 7), mean - mean_then, np.nan)[:2])


YEAR_BLOCK = ReadingBlock(
    tuple(
        Feature(f"{s}_year_on_year_{w}", FALL, "log ratio",
                f"{text} of the last {w} days less the same weeks a year before")
        for s, text in SERIES for w in AGO
    ),
    _year_on_year,
)  # fmt: skip

# --- trends -----------------------------------------------------------------------------------------------------------

TRENDS = (30, 60, 90, 180, 365)


def _slopes(rows: DayRows) -> np.ndarray:
    """Least-squares slope of the last days, per 100 days."""
    running = rows.changes.running
    cut = np.array([rows.since_end(days) for days in TRENDS])
    n, t, tt, v, vt, *_ = running.between(cut, rows.segments.ends + np.zeros_like(cut))
    slope = (vt - v * t / n) / (tt - t * t / n)
    return np.concatenate(np.where(n >= 14, slope * 100.0, np.nan))


SLOPE_BLOCK = ReadingBlock(
    tuple(
        Feature(f"{s}_slope_{w}", FALL, "log ratio in 100 days", f"trend of the {text} over the last {w} days")
        for s, text in (("off_usual", "consumption less the neighbours'"), SERIES[1])
        for w in TRENDS
    ),
    _slopes,
)

# --- the clearest step and ramps --------------------------------------------------------------------------------------

RAMPS = (1, 30, 90, 180)


def _ramps(rows: DayRows) -> np.ndarray:
    ends = rows.segments.ends
    out = []
    for days in RAMPS:
        fall = rows.changes.best(days, -1)
        out += [fall.size, fall.explained, np.where(fall.row >= 0, ends - fall.row, np.nan)]
    rise = rows.changes.best(1, 1)
    out += [rise.size, rise.explained, np.where(rise.row >= 0, ends - rise.row, np.nan)]
    step = rows.step
    out += [step.size, step.explained, np.where(step.row >= 0, ends - step.row, np.nan)]
    return np.concatenate(out)


RAMP_BLOCK = ReadingBlock(
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


AROUND = (3, 7, 14, 30, 60)


def _at_step(rows: DayRows) -> np.ndarray:
    """The days around the clearest step, and what came after it beside all stretches as long before it."""
    segments, row = rows.segments, rows.step.row[0]
    starts, ends = segments.starts, segments.ends
    at = np.where(row >= 0, row, starts) + np.zeros((len(AROUND), 1), dtype=np.int64)
    width = np.array(AROUND)[:, None]
    n, mean, variance = rows.window(np.maximum(at - width, starts), at)
    n_after, mean_after, variance_after = rows.window(at, np.minimum(at + width, ends))
    gap = np.where((n > 0) & (n_after > 0), mean_after - mean, np.nan)[0]
    sharpness = gap / np.sqrt(variance[0] + variance_after[0] + 0.01)
    length = np.minimum(ends - at[0], np.maximum(at[0] - starts, 1))
    own_length = segments.spread(length)
    position = segments.position + 1
    stop = np.arange(segments.n_rows) + 1
    is_before = (position >= own_length) & (stop <= segments.spread(at[0]))
    n, mean, _ = rows.window(np.where(is_before, stop - own_length, 0), stop)
    others = np.where(is_before & (n >= 0.6 * own_length), mean, np.nan)[:1]
    after = rows.window(at[0], ends)[1][0]
    _, usual, deviation = (x[0] for x in segments.moments(others))
    rank = [after - usual, (after - usual) / (deviation + 0.02), after - segments.smallest(others)[0]]
    return np.concatenate([gap, sharpness, rank])


STEP_BLOCK = ReadingBlock(
    (
        *(Feature(f"step_gap_{w}", FALL, "log ratio", f"{w} days after the clearest step less {w} days before")
          for w in AROUND),
        *(Feature(f"step_sharpness_{w}", FALL, "deviations", f"the same in deviations of these days, {w} days")
          for w in AROUND),
        Feature("step_off", FALL, "log ratio", "after the clearest step less the mean of stretches as long before"),
        Feature("step_z", FALL, "deviations", "after the clearest step, in deviations of stretches as long before"),
        Feature("step_below", FALL, "log ratio", "after the clearest step less the lowest of stretches as long before"),
    ),
    _at_step,
)  # fmt: skip

SHARP = (7, 14, 30)


def _sharpest(rows: DayRows) -> np.ndarray:
    """The sharpest fall between neighbouring stretches, and whether consumption came back."""
    segments, out = rows.segments, []
    row, lately = np.arange(segments.n_rows), rows.window(rows.since_end(30), segments.ends)[1][0]
    left = segments.spread(segments.ends) - row
    for days in SHARP:
        fits = (segments.position >= days) & (left >= days)
        n, mean, variance = (x[0] for x in rows.window(np.where(fits, row - days, 0), row))
        n_after, mean_after, variance_after = (x[0] for x in rows.window(row, np.where(fits, row + days, row)))
        fits &= (n >= 0.6 * days) & (n_after >= 0.6 * days)
        gap = np.where(fits, (mean_after - mean) / np.sqrt(variance + variance_after + 0.02), np.nan)
        least, most = segments.smallest(gap[None])[0], segments.largest(gap[None])[0]
        at = np.maximum.reduceat(np.where(gap == segments.spread(least), row, -1), segments.starts)
        size = np.where(at >= 0, mean_after[at] - mean[at], np.nan)
        since = rows.window(np.maximum(at, segments.starts), segments.ends)[1][0]
        out += [
            least,
            size,
            np.where(at >= 0, segments.ends - at, np.nan),
            lately - mean[at],
            since - mean[at],
            least + most,
        ]
    return np.array(out)


SHARP_BLOCK = ReadingBlock(
    tuple(
        Feature(f"sharpest_{w}_{short}", FALL, unit, f"{long} the sharpest fall between {w} days and the next {w}")
        for w in SHARP
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


def _splits(rows: DayRows) -> np.ndarray:
    """Steps of what lies above the usual, below it, and of the distance from it; range of the running sum."""
    segments, residual = rows.segments, rows.residual
    n, mean, deviation = segments.moments(residual[None])
    off = residual - segments.spread(mean[0])
    series = np.array(
        [np.maximum(off, 0.0), np.minimum(off, 0.0), np.minimum(np.abs(off), 2.0), np.minimum(rows.relative, 20.0)]
    )
    size, explained, row = segments.best_split(series, 7)
    ago = np.where(row >= 0, segments.ends - row, np.nan)
    steps = np.rint(np.where(np.isnan(off), 0.0, off) * 2.0**24).astype(np.int64)
    walk = segments._running(steps) / 2.0**24
    scale = deviation * np.sqrt(n)
    return np.concatenate(
        [size, explained, ago, segments.largest(walk[None]) / scale, segments.smallest(walk[None]) / scale]
    )


SPLITS = (
    ("upper", "what exceeds the usual"), ("lower", "what falls short of the usual"),
    ("spread", "distance from the usual"), ("relative", "consumption over its level"),
)  # fmt: skip
SPLIT_BLOCK = ReadingBlock(
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

# --- shape of the days before and after -------------------------------------------------------------------------------

SHARES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
NEAR_TOP = 0.01
SHORTEST_PART = 7.0  # known days


def _shape(of: Segments, rows: DayRows, copies: int) -> np.ndarray:
    """Statistics of parts. [(STATISTICS, parts)]"""
    log, relative, residual, usual = (np.tile(x, copies) for x in (rows.log, rows.relative, rows.residual, rows.usual))
    weekend = np.tile(rows.weekday >= 5, copies)
    jump = log - of.lag(log)
    weekly = log - of.lags(log, (7,))[0]
    series = np.array([
        relative, residual, jump, weekly, np.where(weekend, log, np.nan), np.where(weekend, np.nan, log), usual, log,
    ])  # fmt: skip
    n, mean, deviation, skew = of.shape(series)
    n_known = n[0]
    quantiles, adjusted = of.quantiles(np.array([relative, residual]), SHARES, n[:2]).swapaxes(0, 1)
    top = of.largest(relative)
    off = np.where(np.isnan(usual), np.nan, residual - of.spread(mean[1])) * (usual - of.spread(mean[6]))
    lagged = (residual - of.spread(mean[1])) * (of.lag(residual) - of.spread(mean[1]))
    near = [
        relative <= 0.0005, relative <= 0.1, relative >= (1.0 - NEAR_TOP) * of.spread(top), np.abs(jump) < 0.005,
        np.abs(weekly) < 0.005,
    ]  # fmt: skip
    shares = of.total(np.array(near, dtype=np.float64)) / n_known
    with_usual, with_before = of.total(np.nan_to_num(np.array([off, lagged])))
    out = np.array([
        np.log(mean[0] + 0.01), np.log(deviation[0] / (mean[0] + 0.01) + 0.01), skew[0],
        deviation[1], deviation[2], skew[2], deviation[3], mean[4] - mean[5],
        with_usual / (n[6] * deviation[6] * deviation[6] + 0.5),
        with_before / (n_known * deviation[1] * deviation[1] + 1e-6),
        deviation[2] / (deviation[1] + 0.01), deviation[3] / (deviation[7] + 0.01),
        *np.log(np.maximum(quantiles, 0.0) + 0.01), np.log(top + 0.01), np.log(top / (quantiles[4] + 0.01) + 0.01),
        *shares, *adjusted,
    ])  # fmt: skip
    return np.where(n_known >= SHORTEST_PART, out, np.nan)


STATISTICS = (
    ("mean", FALL, "log mean consumption"),
    ("cv", IRREGULAR, "log coefficient of variation"),
    ("skew", SHAPE, "skewness"),
    ("noise", IRREGULAR, "deviation of the adjusted consumption"),
    ("jump", IRREGULAR, "deviation of day-to-day changes"),
    ("jump_skew", IRREGULAR, "skewness of day-to-day changes"),
    ("weekly", IRREGULAR, "deviation of week-to-week changes"),
    ("weekend", IRREGULAR, "weekend less weekday log consumption"),
    ("sensitivity", IRREGULAR, "tie to the neighbours' factor"),
    ("autocorrelation", IRREGULAR, "correlation with the day before"),
    ("roughness", IRREGULAR, "day-to-day over all deviation"),
    ("weekly_roughness", IRREGULAR, "week-to-week over all deviation"),
    *((f"q{100 * s:02.0f}", FALL, f"log {100 * s:.0f} % quantile") for s in SHARES),
    ("top", SHAPE, "log highest day"),
    ("head", SHAPE, "log highest day over the 75 % quantile"),
    ("zero", SHAPE, "share of days of zero"),
    ("near_zero", SHAPE, "share of days under a tenth of the level"),
    ("at_top", SHAPE, "share of days within 1 % of the highest"),
    ("flat", SHAPE, "share of days like the day before"),
    ("same_weekday", SHAPE, "share of days like the same weekday before"),
    *((f"adjusted_q{100 * s:02.0f}", FALL, f"{100 * s:.0f} % quantile of the adjusted consumption") for s in SHARES),
)
Q, ADJUSTED_Q = slice(12, 12 + len(SHARES)), slice(-len(SHARES), None)
OWN = (
    "cv",
    "skew",
    "noise",
    "jump",
    "jump_skew",
    "weekly",
    "sensitivity",
    "autocorrelation",
    "roughness",
    "weekly_roughness",
    "head",
    "zero",
    "near_zero",
    "at_top",
    "flat",
    "same_weekday",
)
OWN_ROWS = [i for i, (name, *_) in enumerate(STATISTICS) if name in OWN]
PARTS = (
    ("step", "the clearest step"),
    ("30", "the last 30 days"),
    ("90", "the last 90 days"),
    ("upper", "the clearest fall of high days"),
)


def _parts(rows: DayRows) -> np.ndarray:
    """Each statistic after less before, and some after; then what tells a scale from a subtraction from a cut-off."""
    segments, copies = rows.segments, len(PARTS)
    off = rows.residual - segments.spread(segments.moments(rows.residual[None])[1][0])
    upper = segments.best_split(np.maximum(off, 0.0)[None], 7)[2][0]
    row = [rows.step.row[0], rows.since_end(30), rows.since_end(90), upper]
    split = [parts(segments, r).counts for r in row]
    n = len(segments)
    shape = _shape(Segments(np.concatenate(split)), rows, copies).reshape(len(STATISTICS), copies, n, 2)
    change = shape[..., 1] - shape[..., 0]
    signature = [*_signature(change[Q], *np.exp(shape[Q]).transpose(3, 0, 1, 2))]
    signature += [*_signature(change[ADJUSTED_Q], *np.exp(shape[ADJUSTED_Q]).transpose(3, 0, 1, 2))]
    signature = np.array(signature)
    return np.concatenate([x.reshape(-1, n) for x in (change, shape[OWN_ROWS][..., 1], signature)])


def _signature(change: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, ...]:
    """How the quantiles moved, and how badly one scale, subtraction or ceiling explains it. (SHARES, ...) each."""
    low, middle, high = change[1], change[3], change[4]
    level = before[3]
    less = (before - after) / level
    scaled = np.abs(after - before * np.exp(middle)).mean(axis=0)
    subtracted = np.abs(after - np.maximum(before - (level - after[3]), 0.0)).mean(axis=0)
    capped = np.abs(after - np.minimum(before, after[6])).mean(axis=0)
    moved = np.abs(after - before).mean(axis=0) + 0.02 * level
    return (
        change[6] - change[2], low - high, change[0] - high, change.std(axis=0), less.std(axis=0), less[6] - less[1],
        scaled / moved, subtracted / moved, capped / moved, (scaled - subtracted) / moved, (scaled - capped) / moved,
    )  # fmt: skip


SIGNATURES = (
    ("cut", "change of the 98 % quantile less that of the 25 % quantile"),
    ("tilt", "change of the 10 % quantile less that of the 75 % quantile"),
    ("base", "change of the 2 % quantile less that of the 75 % quantile"),
    ("unlike_scale", "how far from equal the quantiles' ratios are"),
    ("unlike_shift", "how far from equal the quantiles' differences are"),
    ("shift_tilt", "difference of the 98 % quantiles less that of the 10 % quantiles"),
    ("off_scale", "part of the change that one scale leaves unexplained"),
    ("off_subtraction", "part of the change that one subtraction leaves unexplained"),
    ("off_ceiling", "part of the change that a ceiling leaves unexplained"),
    ("scale_or_subtraction", "how much better a subtraction explains the change than a scale"),
    ("scale_or_ceiling", "how much better a ceiling explains the change than a scale"),
)
PARTS_BLOCK = ReadingBlock(
    (
        *(Feature(f"{name}_change_{p}", group, "change", f"change of the {text} at {where}")
          for name, group, text in STATISTICS for p, where in PARTS),
        *(Feature(f"{name}_after_{p}", group, "after", f"{text} after {where} began")
          for name, group, text in (STATISTICS[i] for i in OWN_ROWS) for p, where in PARTS),
        *(Feature(f"{prefix}{name}_{p}", SHAPE, "", f"{text} at {where}{of}")
          for prefix, of in (("", ""), ("adjusted_", ", of the adjusted consumption"))
          for name, text in SIGNATURES for p, where in PARTS),
    ),
    _parts,
)  # fmt: skip

BLOCKS = (
    LAST_BLOCK,
    RANK_BLOCK,
    YEAR_BLOCK,
    SLOPE_BLOCK,
    RAMP_BLOCK,
    STEP_BLOCK,
    SHARP_BLOCK,
    SPLIT_BLOCK,
    PARTS_BLOCK,
)
