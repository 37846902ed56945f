"""Sums over any stretch of rows, and the change that explains a series best, by exact running sums.

In:  series of shape (k, rows), NaN where missing; Segments.
Out: sums of windows; the best step or ramp of each segment.

Running sums are of integers (fixed point), so a window's sum does not feel what lies before it, to the last bit.
"""

from typing import NamedTuple

import numpy as np

from fraud.segments import Segments

FIXED_POINT = 2.0**24
LEAST = 7  # days on either side of a change
PRIOR = 4.0  # sum of squares: with less variation of its covariate, a client's sensitivity stays near the usual


class Running:
    """Running sums of series of shape (k, rows)."""

    def __init__(self, series: np.ndarray) -> None:
        self.sums = np.zeros((*series.shape[:-1], series.shape[-1] + 1), dtype=np.int64)
        np.cumsum(np.rint(series * FIXED_POINT).astype(np.int64), axis=-1, out=self.sums[..., 1:])

    def between(self, start: np.ndarray, stop: np.ndarray, series: tuple | slice | list[int] = ()) -> np.ndarray:
        """Sums of the rows start .. stop - 1 of all series, or those chosen. [float64, (k, *start.shape)]"""
        sums = self.sums[series]
        return (sums.take(stop, axis=-1) - sums.take(start, axis=-1)) / FIXED_POINT

    def from_start(self, segments: Segments) -> np.ndarray:
        """Sums of the rows of the same segment up to each row, its own included. [float64, (k, rows)]"""
        return (self.sums[..., 1:] - segments.spread(self.sums.take(segments.starts, axis=-1))) / FIXED_POINT


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

    def best(self, days: int, signs: tuple[int, ...], every: int = 1) -> list[Change]:
        """The best ramp over so many days [1: a step] for each sign: -1 only falls, 1 only rises, 0 both.

        At least LEAST days lie before it, and as many known ones after its beginning. It begins on every so many days.
        """
        rows = np.flatnonzero(self.segments.position % every == 0)
        segments = self.segments if every == 1 else Segments(-(-self.segments.counts // every))
        spread = segments.spread
        h, hh, hv, hg, n_after = self._ramps(days, rows)
        cross = hg - h * spread(self.g)
        shared = hv - h * spread(self.v) - cross * spread(self.vg / self.gg)
        own = hh - h * h * spread(1.0 / self.n) - cross * cross * spread(1.0 / self.gg)
        fits = (self.segments.position[rows] >= LEAST) & (n_after >= LEAST) & self.known[:, rows] & (own > 1e-6)
        gain = np.where(fits, shared * shared / np.where(fits, own, 1.0), -1.0)
        found = []
        for sign in signs:
            signed = np.where(shared * sign > 0, gain, -1.0) if sign else gain
            most = segments.largest(signed)
            number = np.arange(segments.n_rows)
            at = np.maximum.reduceat(np.where(signed == spread(most), number, -1), segments.starts, axis=-1)
            place = np.arange(len(gain))[:, None] * segments.n_rows + at
            some = most > 0
            size = np.where(some, shared.take(place) / own.take(place), 0.0)
            slope = (self.vg - size * np.where(some, cross.take(place), 0.0)) / self.gg
            found.append(Change(size, np.where(some, most / self.rest, 0.0), np.where(some, rows[at], -1), slope))
        return found

    def _ramps(self, days: int, row: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sums of the ramp h that begins at a row, of h * h, h * series, h * covariate; known rows from there on."""
        ends = self.segments.spread(self.segments.ends)[row]
        middle = np.minimum(row + days - 1, ends)
        n, v, g = self.running.between(middle, ends, [0, 3, 5])
        if days == 1:
            return n, n, v, g, n
        m, mt, mtt, mv, mvt, mg, mgt = self.running.between(row, middle, slice(7))
        back = self.segments.position[row] - 1.0  # h is (t - back) / days on the ramp, 1 / days on its first day
        hh = (mtt - 2.0 * back * mt + back * back * m) / (days * days) + n
        return (mt - back * m) / days + n, hh, (mvt - back * mv) / days + v, (mgt - back * mg) / days + g, m + n
