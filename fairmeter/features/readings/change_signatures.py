"""Blocks on the distribution of days before and after a change, where kinds of theft leave different traces.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.

Scaling moves all quantiles by one ratio, a subtraction by one difference, a ceiling only the upper ones; random factors
add noise to days, means and copies make them equal. Honest changes of habits rarely have one of these patterns.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.features.base import FALL, IRREGULAR, LOW, SHAPE, Block, Feature
from fairmeter.features.readings.series import DailySeries, split_segments

QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
NEAR_TOP = 0.01
MIN_PART_DAYS = 7.0  # known days in a part


def _part_statistics(of: Segments, rows: DailySeries, copies: int) -> np.ndarray:
    """STATISTICS of segments, in `copies` copies of the rows. [float64, (STATISTICS, parts)]"""
    each = rows.log, rows.relative, rows.residual, rows.neighbour_factor, rows.weekday >= 5
    log, relative, residual, usual, weekend = (np.concatenate((x,) * copies) for x in each)
    jump = log - of.lag(log)
    weekly = log - of.lags(log, (7,))[0]
    series = np.array([
        relative, residual, jump, weekly, np.where(weekend, log, np.nan), np.where(weekend, np.nan, log), usual, log,
    ])  # fmt: skip
    n, mean, deviation, skew = of.shape(series)
    n_known = n[0]
    quantiles, adjusted = of.quantiles(series[:2], QUANTILES, n[:2]).swapaxes(0, 1)
    top = of.largest(relative)
    off = residual - of.spread(mean[1])
    # Adjacent days within a part only: its first row has no day before.
    lagged, with_usual = off * of.lag(off), off * (usual - of.spread(mean[6]))
    both = np.array([with_usual, lagged])
    near = [
        relative <= 0.0005, relative <= 0.1, relative >= (1.0 - NEAR_TOP) * of.spread(top), np.abs(jump) < 0.005,
        np.abs(weekly) < 0.005,
    ]  # fmt: skip
    shares = of.total(np.array(near, dtype=np.float64)) / n_known
    with_usual, with_before = of.total(np.where(np.isnan(both), 0.0, both))
    out = np.array([
        np.log(mean[0] + 0.01), np.log(deviation[0] / (mean[0] + 0.01) + 0.01), skew[0],
        deviation[1], deviation[2], skew[2], deviation[3], mean[4] - mean[5],
        with_usual / (n[6] * deviation[6] * deviation[6] + 0.5),
        with_before / (n_known * deviation[1] * deviation[1] + 1e-6),
        deviation[2] / (deviation[1] + 0.01), deviation[3] / (deviation[7] + 0.01),
        *np.log(np.maximum(quantiles, 0.0) + 0.01), np.log(top + 0.01), np.log(top / (quantiles[4] + 0.01) + 0.01),
        *shares, *adjusted,
    ])  # fmt: skip
    return np.where(n_known >= MIN_PART_DAYS, out, np.nan)


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
    *((f"q{100 * s:02.0f}", FALL, f"log {100 * s:.0f} % quantile") for s in QUANTILES),
    ("top", SHAPE, "log highest day"),
    ("head", SHAPE, "log highest day over the 75 % quantile"),
    ("zero", LOW, "share of days of zero"),
    ("near_zero", LOW, "share of days under a tenth of the level"),
    ("at_top", SHAPE, "share of days within 1 % of the highest"),
    ("flat", SHAPE, "share of days like the day before"),
    ("same_weekday", SHAPE, "share of days like the same weekday before"),
    *((f"adjusted_q{100 * s:02.0f}", FALL, f"{100 * s:.0f} % quantile of the adjusted consumption") for s in QUANTILES),
)
Q, ADJUSTED_Q = slice(12, 12 + len(QUANTILES)), slice(-len(QUANTILES), None)
AFTER_STATISTICS = (
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
AFTER_ROWS = [i for i, (name, *_) in enumerate(STATISTICS) if name in AFTER_STATISTICS]
PARTS = (("step", "the clearest step"), ("30", "the last 30 days"), ("90", "the last 90 days"))


def _parts(rows: DailySeries) -> np.ndarray:
    """Each statistic after minus before, some after, and signatures that separate scaling, subtraction and ceiling."""
    segments, copies, n = rows.segments, len(PARTS), len(rows.segments)
    row = np.array([rows.step.row[0], rows.since_end(30), rows.since_end(90)])
    shape = _part_statistics(split_segments(segments, row), rows, copies).reshape(len(STATISTICS), copies, n, 2)
    change = shape[..., 1] - shape[..., 0]
    quantiles = np.stack([shape[Q], shape[ADJUSTED_Q]], axis=1)
    before, after = np.exp(quantiles).transpose(4, 0, 1, 2, 3)
    signature = np.array(_signature(quantiles[..., 1] - quantiles[..., 0], before, after)).swapaxes(0, 1)
    return np.concatenate([x.reshape(-1, n) for x in (change, shape[AFTER_ROWS, ..., 1], signature)])


def _signature(change: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, ...]:
    """SIGNATURES: shifts of quantiles, misfit of one scale, subtraction or ceiling. [inputs: (QUANTILES, ...)]"""
    low, middle, high = change[1], change[3], change[4]
    level = before[3]
    less = (before - after) / level
    predicted = np.array([
        before * np.exp(middle), np.maximum(before - (level - after[3]), 0.0), np.minimum(before, after[6]), before,
    ])  # fmt: skip
    scaled, subtracted, capped, moved = _mean(np.abs(after - predicted), axis=1)
    moved = moved + 0.02 * level
    unlike_scale, unlike_shift = _deviation(np.array([change, less]), axis=1)
    return (
        change[6] - change[2], low - high, change[0] - high, unlike_scale, unlike_shift, less[6] - less[1],
        scaled / moved, subtracted / moved, capped / moved, (scaled - subtracted) / moved, (scaled - capped) / moved,
    )  # fmt: skip


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean without the overhead of NumPy's `mean`, which exceeds the sum of so few values."""
    return np.add.reduce(values, axis=axis) / values.shape[axis]


def _deviation(values: np.ndarray, axis: int) -> np.ndarray:
    off = values - np.expand_dims(_mean(values, axis), axis)
    return np.sqrt(_mean(off * off, axis))


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
PARTS_BLOCK = Block(
    (
        *(Feature(f"{name}_change_{p}", group, "change", f"change of the {text} at {where}")
          for name, group, text in STATISTICS for p, where in PARTS),
        *(Feature(f"{name}_after_{p}", group, "after", f"{text} after {where} began")
          for name, group, text in (STATISTICS[i] for i in AFTER_ROWS) for p, where in PARTS),
        *(Feature(f"{prefix}{name}_{p}", SHAPE, "", f"{text} at {where}{of}")
          for prefix, of in (("", ""), ("adjusted_", ", of the adjusted consumption"))
          for name, text in SIGNATURES for p, where in PARTS),
    ),
    _parts,
)  # fmt: skip

BLOCKS = (PARTS_BLOCK,)
