"""The classical detectors along time: each row of a client's series beside the client's own earlier rows.

In:  Segments, and a series (rows,) of log consumption, days or invoices in order, NaN where missing; a Pace.
Out: [float64, (rows,)], higher = more suspicious, to whichever side; NaN where too little is known before.

A client's values depend on its own rows alone, to the last bit. What is learnt is the client's past, so nothing is kept
in a model, and no library is needed where it serves.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.change_points import RunningSums
from fairmeter.core.segments import Segments
from fairmeter.models.detectors.classical import usual_path
from fairmeter.models.detectors.windows import quantiles

CAP = 20.0  # deviations: beyond, more says nothing more


class WindowLengths(NamedTuple):
    """How many rows are looked at, which differs for days and invoices."""

    recent: int  # whose mean is judged: one day alone is mostly noise
    before: int  # before these, over which the moving average is taken
    least: int  # known, earlier ones: with fewer nothing is judged
    every: int  # after which quartiles are taken anew
    spread: float  # log ratio: the least that a client is thought to have, so that flat or few rows are no alarm


DAYS, INVOICES = WindowLengths(7, 28, 28, 7, 0.05), WindowLengths(1, 3, 3, 1, 0.5)


def z_score(segments: Segments, series: np.ndarray, pace: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """Distance of the recent rows' mean from that of all rows before these, in deviations of those."""
    stop = _before_recent(segments, pace)
    n, mean, deviation = _moments(series, np.broadcast_to(segments.starts[segments.index], stop.shape), stop)
    off = np.abs(_recent(segments, series, pace) - mean) / np.maximum(deviation, pace.spread)
    return np.where(n >= pace.least, np.minimum(off, CAP), np.nan)


def moving_average(segments: Segments, series: np.ndarray, pace: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """The same, beside the rows just before alone: it tells of a change, and calms down once that has become usual."""
    stop = _before_recent(segments, pace)
    start = np.maximum(stop - pace.before, segments.spread(segments.starts))
    n, mean, deviation = _moments(series, start, stop)
    off = np.abs(_recent(segments, series, pace) - mean) / np.maximum(deviation, pace.spread)
    return np.where(n >= pace.least / 2, np.minimum(off, CAP), np.nan)


def quartiles(segments: Segments, series: np.ndarray, pace: WindowLengths, seed: int = 0) -> np.ndarray:  # noqa: ARG001
    """How many interquartile ranges the recent mean lies outside the quartiles of earlier ones; below 0 inside them."""
    recent, out = _recent(segments, series, pace), np.full(len(series), np.nan)
    for start, stop in zip(segments.starts, segments.ends, strict=True):
        out[start:stop] = _beyond_quartiles(recent[start:stop], pace)
    return out


def isolation_forest(segments: Segments, series: np.ndarray, pace: WindowLengths, seed: int = 0) -> np.ndarray:
    """How soon chance isolates a row from those of the client's first half: Liu, Ting and Zhou 2008. [0..1]

    A row is its recent mean, the mean of more rows, and the change of the one since the recent rows before.
    """
    recent = _recent(segments, series, pace)
    start = np.maximum(np.arange(len(series)) + 1 - pace.before, segments.spread(segments.starts))
    n, longer, _ = _moments(series, start, np.arange(len(series)) + 1)
    longer = np.where(n >= pace.least / 2, longer, np.nan)
    points = np.array([recent, longer, recent - segments.lags(recent, (pace.recent,))[0]]).T
    out = np.full(len(series), np.nan)
    for first, last in zip(segments.starts, segments.ends, strict=True):
        out[first:last] = _isolation(points[first:last], pace, np.random.default_rng(seed))
    return out


Along = Callable[[Segments, np.ndarray, WindowLengths, int], np.ndarray]
ALONG: dict[str, Along] = {  # by the names that the detectors have in detectors.py
    "z_score": z_score, "moving_average": moving_average, "quartiles": quartiles, "isolation_forest": isolation_forest,
}  # fmt: skip


# --- means ------------------------------------------------------------------------------------------------------------


def _before_recent(segments: Segments, pace: WindowLengths) -> np.ndarray:
    """The first of each row's recent rows: where what is before them ends."""
    row = np.arange(segments.n_rows)
    return np.maximum(row + 1 - pace.recent, segments.spread(segments.starts))


def _recent(segments: Segments, series: np.ndarray, pace: WindowLengths) -> np.ndarray:
    """Mean of the recent rows, NaN where fewer than half of them are known."""
    n, mean, _ = _moments(series, _before_recent(segments, pace), np.arange(segments.n_rows) + 1)
    return np.where(2 * n >= pace.recent, mean, np.nan)


def _moments(series: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(number known, mean, deviation) of the rows start .. stop - 1, whatever lies beside them."""
    known = ~np.isnan(series)
    filled = np.where(known, series, 0.0)
    n, total, squares = RunningSums(np.array([known, filled, filled * filled])).between(start, stop)
    mean = np.where(n > 0, total / np.maximum(n, 1.0), np.nan)
    return n, mean, np.sqrt(np.maximum(squares / np.maximum(n, 1.0) - mean * mean, 0.0))


# --- quartiles --------------------------------------------------------------------------------------------------------


def _beyond_quartiles(recent: np.ndarray, pace: WindowLengths) -> np.ndarray:
    """Of one client."""
    row, first = np.arange(len(recent)), pace.least + pace.recent - 1
    cuts = np.arange(first, len(recent), pace.every)
    if not len(cuts):
        return np.full(len(recent), np.nan)
    earlier = np.where(row <= cuts[:, None] - pace.recent, recent, np.nan)
    low, high = quantiles(earlier, (0.25, 0.75), pace.least)
    at = np.maximum(row - first, 0) // pace.every
    spread = np.maximum(high - low, pace.spread)[at]
    beyond = np.maximum(low[at] - recent, recent - high[at]) / spread
    return np.where(row >= first, np.minimum(beyond, CAP), np.nan)


# --- isolation forest -------------------------------------------------------------------------------------------------

TREES, SUBSAMPLE, DEPTH = 64, 64, 8  # trees; rows each is grown on; levels of borders


def _isolation(points: np.ndarray, pace: WindowLengths, rng: np.random.Generator) -> np.ndarray:
    """[(rows, k) of one client -> (rows,)]"""
    out, known = np.full(len(points), np.nan), ~np.isnan(points).any(axis=1)
    usual = np.flatnonzero(known)[: int(known.sum() + 1) // 2]
    if len(usual) < pace.least:
        return out
    drawn = points[usual[rng.integers(len(usual), size=(TREES, SUBSAMPLE))]]
    path = _path(points[known], *_grown(drawn, pace.spread, rng))
    out[known] = np.exp2(-path / usual_path(np.array([SUBSAMPLE]))[0])
    return out


def _grown(drawn: np.ndarray, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(column and border that each node asks for, rows in it), nodes as in a heap. [drawn: (trees, rows, k)]

    Borders are drawn as far beyond a node's rows, to either side, as these lie apart: what is unlike all of them is
    soon alone, though none of its kind was there to grow a tree on.
    """
    n_trees, n, k = drawn.shape
    n_nodes = 2 ** (DEPTH + 1) - 1
    column, border = rng.integers(k, size=(n_trees, n_nodes)), rng.random((n_trees, n_nodes))
    count, node, tree = np.zeros((n_trees, n_nodes), np.int64), np.zeros((n_trees, n), np.int64), np.arange(n_trees)
    tree, row = tree[:, None], np.arange(n)
    for depth in range(DEPTH + 1):
        np.add.at(count, (tree, node), 1)
        if depth == DEPTH:
            break
        value = drawn[tree, row, column[tree, node]]
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
    """Mean over the trees of the depth at which a row is alone, and what those still beside it would take. [(rows,)]"""
    n_trees, n_nodes = count.shape
    k, path = points.shape[1], _path_at(count).ravel()
    tree, row = np.arange(n_trees)[:, None] * n_nodes, np.arange(len(points)) * k
    columns, borders, values = column.ravel(), border.ravel(), points.ravel()
    node = np.zeros((n_trees, len(points)), np.int64)
    for _ in range(DEPTH):
        at = node + tree
        node = 2 * node + 1 + (values.take(row + columns.take(at)) > borders.take(at))
    # One after another: a mean may round otherwise with more rows beside.
    return np.cumsum(path.take(node + tree), axis=0)[-1] / n_trees


def _path_at(count: np.ndarray) -> np.ndarray:
    """Path length of a row that ends in a node, or in one below it where the node's row is alone. [as count]"""
    depth = np.floor(np.log2(np.arange(count.shape[1]) + 1.0))
    path = depth + usual_path(count)
    for level in range(1, DEPTH + 1):
        first = 2**level - 1
        parent = (np.arange(first, 2 * first + 1) - 1) // 2
        path[:, first : 2 * first + 1] = np.where(
            count[:, parent] <= 1, path[:, parent], path[:, first : 2 * first + 1]
        )
    return path
