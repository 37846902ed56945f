"""Classical detectors along time: each row of a client's series against the client's own earlier rows.

In:  Segments, a series (rows,) of log consumption in time order, NaN if missing, and WindowLengths.
Out: [float64, (rows,)], higher = more suspicious in either direction; NaN if too few earlier rows are known.

A client's values depend on its own rows alone, to the last bit. They are fitted on the client's past, so nothing is
stored in a model, and serving needs no library.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.change_points import RunningSums
from fairmeter.core.segments import Segments
from fairmeter.models.detectors.classical import expected_path_length
from fairmeter.models.detectors.windows import quantiles_of_known

CAP = 20.0  # deviations: a larger distance adds no information


class WindowLengths(NamedTuple):
    """Lengths of the windows. [rows]"""

    recent: int  # rows whose mean is compared: one day alone is mostly noise
    before: int  # rows before these, for the moving average
    min_known: int  # earlier rows that must be known
    every: int  # rows after which the quartiles are computed anew
    spread: float  # smallest assumed spread [log ratio], so that flat or few rows are not unusual


DAY_WINDOWS = WindowLengths(7, 28, 28, 7, 0.05)


def z_score(segments: Segments, series: np.ndarray, windows: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """Distance of the recent mean from the mean of all rows before. [deviations of the latter]"""
    stop = _before_recent(segments, windows)
    n, mean, deviation = _moments(series, np.broadcast_to(segments.starts[segments.index], stop.shape), stop)
    off = np.abs(_recent(segments, series, windows) - mean) / np.maximum(deviation, windows.spread)
    return np.where(n >= windows.min_known, np.minimum(off, CAP), np.nan)


def moving_average(segments: Segments, series: np.ndarray, windows: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """Distance of the recent mean from the mean of the rows just before, which shows a change until it is usual."""
    stop = _before_recent(segments, windows)
    start = np.maximum(stop - windows.before, segments.spread(segments.starts))
    n, mean, deviation = _moments(series, start, stop)
    off = np.abs(_recent(segments, series, windows) - mean) / np.maximum(deviation, windows.spread)
    return np.where(n >= windows.min_known / 2, np.minimum(off, CAP), np.nan)


def quartiles(segments: Segments, series: np.ndarray, windows: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """Distance of the recent mean from the quartiles of earlier ones; below 0 inside. [interquartile ranges]"""
    recent, out = _recent(segments, series, windows), np.full(len(series), np.nan)
    for start, stop in zip(segments.starts, segments.ends, strict=True):
        out[start:stop] = _beyond_quartiles(recent[start:stop], windows)
    return out


def isolation_forest(segments: Segments, series: np.ndarray, windows: WindowLengths, seed: int = 0) -> np.ndarray:
    """Isolation score of a row against the client's first half (Liu, Ting and Zhou 2008). [0..1]

    A row is its recent mean, the mean of more rows, and the change of the recent mean since the recent rows before.
    """
    recent = _recent(segments, series, windows)
    start = np.maximum(np.arange(len(series)) + 1 - windows.before, segments.spread(segments.starts))
    n, longer, _ = _moments(series, start, np.arange(len(series)) + 1)
    longer = np.where(n >= windows.min_known / 2, longer, np.nan)
    points = np.array([recent, longer, recent - segments.lags(recent, (windows.recent,))[0]]).T
    out = np.full(len(series), np.nan)
    for first, last in zip(segments.starts, segments.ends, strict=True):
        out[first:last] = _isolation(points[first:last], windows, np.random.default_rng(seed))
    return out


RollingScore = Callable[[Segments, np.ndarray, WindowLengths, int], np.ndarray]
ROLLING_DETECTORS: dict[str, RollingScore] = {  # by the names of the detectors in classical.py
    "z_score": z_score, "moving_average": moving_average, "quartiles": quartiles, "isolation_forest": isolation_forest,
}  # fmt: skip


# --- means ------------------------------------------------------------------------------------------------------------


def _before_recent(segments: Segments, windows: WindowLengths) -> np.ndarray:
    """Number of the first of each row's recent rows."""
    row = np.arange(segments.n_rows)
    return np.maximum(row + 1 - windows.recent, segments.spread(segments.starts))


def _recent(segments: Segments, series: np.ndarray, windows: WindowLengths) -> np.ndarray:
    """Mean of the recent rows, NaN if fewer than half of them are known."""
    n, mean, _ = _moments(series, _before_recent(segments, windows), np.arange(segments.n_rows) + 1)
    return np.where(2 * n >= windows.recent, mean, np.nan)


def _moments(series: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(number known, mean, deviation) of the rows start .. stop - 1, exact whatever the other rows are."""
    known = ~np.isnan(series)
    filled = np.where(known, series, 0.0)
    n, total, squares = RunningSums(np.array([known, filled, filled * filled])).between(start, stop)
    mean = np.where(n > 0, total / np.maximum(n, 1.0), np.nan)
    return n, mean, np.sqrt(np.maximum(squares / np.maximum(n, 1.0) - mean * mean, 0.0))


# --- quartiles --------------------------------------------------------------------------------------------------------


def _beyond_quartiles(recent: np.ndarray, windows: WindowLengths) -> np.ndarray:
    """Distance of one client's recent means from the quartiles of earlier ones. [(rows,)]"""
    row, first = np.arange(len(recent)), windows.min_known + windows.recent - 1
    cuts = np.arange(first, len(recent), windows.every)
    if not len(cuts):
        return np.full(len(recent), np.nan)
    earlier = np.where(row <= cuts[:, None] - windows.recent, recent, np.nan)
    low, high = quantiles_of_known(earlier, (0.25, 0.75), windows.min_known)
    at = np.maximum(row - first, 0) // windows.every
    spread = np.maximum(high - low, windows.spread)[at]
    beyond = np.maximum(low[at] - recent, recent - high[at]) / spread
    return np.where(row >= first, np.minimum(beyond, CAP), np.nan)


# --- isolation forest -------------------------------------------------------------------------------------------------

TREES, SUBSAMPLE, DEPTH = 64, 64, 8  # number of trees; rows for each tree; levels of borders


def _isolation(points: np.ndarray, windows: WindowLengths, rng: np.random.Generator) -> np.ndarray:
    """Isolation scores of one client's rows. [(rows, k) -> (rows,)]"""
    out, known = np.full(len(points), np.nan), ~np.isnan(points).any(axis=1)
    usual = np.flatnonzero(known)[: int(known.sum() + 1) // 2]
    if len(usual) < windows.min_known:
        return out
    sampled = points[usual[rng.integers(len(usual), size=(TREES, SUBSAMPLE))]]
    path = _path(points[known], *_grown(sampled, windows.spread, rng))
    out[known] = np.exp2(-path / expected_path_length(np.array([SUBSAMPLE]))[0])
    return out


def _grown(sampled: np.ndarray, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column and border of each node, and its number of rows; nodes in heap order. [sampled: (trees, rows, k)]

    Borders are sampled up to the width of a node's rows beyond these, to either side. A row unlike all of them is then
    soon alone, although no row of its kind was there to grow a tree on.
    """
    n_trees, n, k = sampled.shape
    n_nodes = 2 ** (DEPTH + 1) - 1
    column, border = rng.integers(k, size=(n_trees, n_nodes)), rng.random((n_trees, n_nodes))
    count, node, tree = np.zeros((n_trees, n_nodes), np.int64), np.zeros((n_trees, n), np.int64), np.arange(n_trees)
    tree, row = tree[:, None], np.arange(n)
    for depth in range(DEPTH + 1):
        np.add.at(count, (tree, node), 1)
        if depth == DEPTH:
            break
        value = sampled[tree, row, column[tree, node]]
        low, high = np.full((n_trees, n_nodes), np.inf), np.full((n_trees, n_nodes), -np.inf)
        np.minimum.at(low, (tree, node), value)
        np.maximum.at(high, (tree, node), value)
        level = slice(2**depth - 1, 2 ** (depth + 1) - 1)
        reached = count[:, level] > 0
        lowest, highest = (np.where(reached, x[:, level], 0.0) for x in (low, high))
        width = np.maximum(highest - lowest, spread)
        border[:, level] = lowest - width + border[:, level] * (highest - lowest + 2.0 * width)
        node = 2 * node + 1 + (value > border[tree, node])
    return column, border, count


def _path(points: np.ndarray, column: np.ndarray, border: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean path length of each row over the trees. [(rows,)]"""
    n_trees, n_nodes = count.shape
    k, path = points.shape[1], _path_at(count).ravel()
    tree, row = np.arange(n_trees)[:, None] * n_nodes, np.arange(len(points)) * k
    columns, borders, values = column.ravel(), border.ravel(), points.ravel()
    node = np.zeros((n_trees, len(points)), np.int64)
    for _ in range(DEPTH):
        at = node + tree
        node = 2 * node + 1 + (values.take(row + columns.take(at)) > borders.take(at))
    # A cumulative sum, because the rounding of a mean depends on the number of rows.
    return np.cumsum(path.take(node + tree), axis=0)[-1] / n_trees


def _path_at(count: np.ndarray) -> np.ndarray:
    """Path length of a row that ends in each node; a node below a node of one row has that node's length. [as count]"""
    depth = np.floor(np.log2(np.arange(count.shape[1]) + 1.0))
    path = depth + expected_path_length(count)
    for level in range(1, DEPTH + 1):
        first = 2**level - 1
        parent = (np.arange(first, 2 * first + 1) - 1) // 2
        path[:, first : 2 * first + 1] = np.where(
            count[:, parent] <= 1, path[:, parent], path[:, first : 2 * first + 1]
        )
    return path
