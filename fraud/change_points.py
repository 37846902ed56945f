"""Sums over any stretch of rows, and the change that explains a series best, by exact running sums.

In:  series of shape (k, rows), NaN where missing; Segments.
Out: sums of windows; the best step or ramp of each segment.

Running sums are of integers (fixed point), so a window's sum does not feel what lies before it, to the last bit.
"""

from typing import NamedTuple

import numpy as np

from fraud.segments import Segments

FIXED_POINT = 2.0**24
PRIOR = 4.0  # sum of squares: with less variation of its covariate, a client's sensitivity stays near the usual


class Running:
    """Running sums of series of shape (k, rows)."""

    def __init__(self, series: np.ndarray) -> None:
        self.sums = np.zeros((*series.shape[:-1], series.shape[-1] + 1), dtype=np.int64)
        np.cumsum(np.rint(series * FIXED_POINT).astype(np.int64), axis=-1, out=self.sums[..., 1:])

    def between(self, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        """Sums of the rows start .. stop - 1. [float64, (k, *start.shape)]"""
        return (self.sums.take(stop, axis=-1) - self.sums.take(start, axis=-1)) / FIXED_POINT


class Change(NamedTuple):
    """The best change of a length. Each (k, clients)."""

    size: np.ndarray  # what the series moved by, 0 where there is none
    explained: np.ndarray  # share of the variance beside the covariate's part
    row: np.ndarray  # int64: where it begins, -1 where there is none
    slope: np.ndarray  # of the covariate beside the change


class Changes:
    """Steps and ramps fitted to series (k, rows): level + size * ramp + slope * covariate, the covariate (k, rows) too.

    A ramp rises from 0 to 1 within a number of days, and stays there. The slope is drawn towards 0 (PRIOR).
    """

    def __init__(self, segments: Segments, series: np.ndarray, covariate: np.ndarray) -> None:
        self.segments, self.known = segments, ~np.isnan(series)
        v, g = np.where(self.known, series, 0.0), np.where(self.known, covariate, 0.0)
        t, m = segments.position.astype(np.float64), self.known.astype(np.float64)
        self.running = Running(np.array([m, m * t, m * t * t, v, v * t, g, g * t, v * v, v * g, g * g]))
        n, _, _, v, _, g, _, vv, vg, gg = self.running.between(segments.starts, segments.ends)
        self.n = np.maximum(n, 1.0)
        self.v, self.g = v / self.n, g / self.n
        self.gg = gg - g * self.g + PRIOR
        self.vg = vg - v * self.g
        self.rest = np.maximum(vv - v * self.v - self.vg * self.vg / self.gg, 1e-9)  # what the slope alone leaves

    def best(self, days: int, sign: float, least: int = 7) -> Change:
        """The best ramp over so many days [1: a step]. sign -1: only falls, 1: only rises, 0: both.

        At least `least` days lie before it, and as many known ones after its beginning.
        """
        segments, spread = self.segments, self.segments.spread
        h, hh, hv, hg, n_after = self._ramps(days)
        cross = hg - h * spread(self.g)
        shared = hv - h * spread(self.v) - cross * spread(self.vg / self.gg)
        own = hh - h * h * spread(1.0 / self.n) - cross * cross * spread(1.0 / self.gg)
        fits = (segments.position >= least) & (n_after >= least) & self.known & (own > 1e-6)
        if sign:
            fits &= shared * sign > 0
        gain = np.where(fits, shared * shared / np.where(fits, own, 1.0), -1.0)
        most = segments.largest(gain)
        found = most > 0
        rows = np.arange(segments.n_rows)
        at = np.maximum.reduceat(np.where(gain == spread(most), rows, -1), segments.starts, axis=-1)
        place = np.arange(len(gain))[:, None] * segments.n_rows + at
        size = np.where(found, shared.take(place) / own.take(place), 0.0)
        slope = (self.vg - size * np.where(found, cross.take(place), 0.0)) / self.gg
        return Change(size, np.where(found, most / self.rest, 0.0), np.where(found, at, -1), slope)

    def _ramps(self, days: int) -> tuple[np.ndarray, ...]:
        """Sums of the ramp h that begins at each row, of h * h, h * series, h * covariate; known rows from there on."""
        segments, row = self.segments, np.arange(self.segments.n_rows)
        ends = segments.spread(segments.ends)
        if days == 1:
            n, _, _, v, _, g, *_ = self.running.between(row, ends)
            return n, n, v, g, n
        middle = np.minimum(row + days - 1, ends)
        n, _, _, v, _, g, *_ = self.running.between(middle, ends)
        m, mt, mtt, mv, mvt, mg, mgt = self.running.between(row, middle)[:7]
        back = segments.position - 1.0  # h is (t - back) / days on the ramp, 1 / days on its first day
        hh = (mtt - 2.0 * back * mt + back * back * m) / (days * days) + n
        return (mt - back * m) / days + n, hh, (mvt - back * mv) / days + v, (mgt - back * mg) / days + g, m + n
