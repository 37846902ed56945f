"""Sums over any window of rows, and the step or ramp that explains a series best, from exact running sums.

In:  series of shape (k, rows), NaN where missing; Segments.
Out: sums of windows; the best step or ramp of each segment.

Running sums are integers (fixed point), so that a window's sum does not depend on the rows before it, to the last bit.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments

FIXED_POINT = 2.0**24
MIN_DAYS = 7  # on either side of a change
# Sum of squares of a ridge prior: a client whose covariate varies less than that keeps a slope near 0.
PRIOR = 4.0


class RunningSums:
    """Running sums of series of shape (k, rows)."""

    def __init__(self, series: np.ndarray) -> None:
        self.sums = np.zeros((*series.shape[:-1], series.shape[-1] + 1), dtype=np.int64)
        np.cumsum(np.rint(series * FIXED_POINT).astype(np.int64), axis=-1, out=self.sums[..., 1:])

    def between(self, start: np.ndarray, stop: np.ndarray, series: tuple | slice | list[int] = ()) -> np.ndarray:
        """Sums of the rows start .. stop - 1, of all or the chosen series. [float64, (k, *start.shape)]"""
        sums = self.sums[series]
        return (sums.take(stop, axis=-1) - sums.take(start, axis=-1)) / FIXED_POINT

    def trailing(self, days: np.ndarray, series: tuple | slice | list[int] = ()) -> np.ndarray:
        """Sums of the rows before each row and before the end, across segments. [float64, (k, days, rows + 1)]"""
        sums = self.sums[series]
        start = np.maximum(np.arange(sums.shape[-1]) - days[:, None], 0)
        return (sums[..., None, :] - sums.take(start, axis=-1)) / FIXED_POINT

    def cumulative(self, segments: Segments) -> np.ndarray:
        """Sums from the start of each row's segment to the row itself. [float64, (k, rows)]"""
        return (self.sums[..., 1:] - segments.broadcast(self.sums.take(segments.starts, axis=-1))) / FIXED_POINT


class ChangePoint(NamedTuple):
    """The best change of one ramp length and sign; every field is (k, clients)."""

    size: np.ndarray  # change of the level, 0 where none was found
    explained: np.ndarray  # share of the variance that the covariate leaves
    row: np.ndarray  # int64: first row of the change, -1 where none was found
    slope: np.ndarray  # of the covariate, fitted together with the change


class ChangePoints:
    """Least-squares steps and ramps: series = level + size * ramp + slope * covariate, both inputs (k, rows).

    A ramp rises from 0 to 1 within a number of days and then stays at 1. The slope is shrunk towards 0 by PRIOR.
    """

    def __init__(self, segments: Segments, series: np.ndarray, covariate: np.ndarray) -> None:
        self.segments, self.is_present = segments, ~np.isnan(series)
        v, g = np.where(self.is_present, series, 0.0), np.where(self.is_present, covariate, 0.0)
        t, m = segments.position.astype(np.float64), self.is_present.astype(np.float64)
        mt = m * t
        self.running = RunningSums(np.array([m, mt, mt * t, v, v * t, g, g * t, v * v, v * g, g * g]))
        n, _, _, v, _, g, _, vv, vg, gg = self.running.between(segments.starts, segments.ends)
        self.n = np.maximum(n, 1.0)
        self.v, self.g = v / self.n, g / self.n
        self.gg = gg - g * self.g + PRIOR
        self.vg = vg - v * self.g
        self.rest = np.maximum(vv - v * self.v - self.vg * self.vg / self.gg, 1e-9)  # sum of squares less the slope's

    def best(self, days: tuple[int, ...], signs: tuple[int, ...], every: int = 1) -> list[ChangePoint]:
        """The best change of each ramp length [days, 1: a step] and sign: one ChangePoint for each pair of them.

        signs: -1 only falls, 1 only rises, 0 both. At least MIN_DAYS days precede a ramp and at least MIN_DAYS values
        follow its beginning. every: distance of the candidate beginnings [days].
        """
        rows, segments = self._beginnings(every)
        position, is_present = self.segments.position.take(rows), self.is_present.take(rows, axis=-1)[:, None]
        g, v, slope, n, gg = (
            segments.broadcast(x)[:, None] for x in (self.g, self.v, self.vg / self.gg, 1.0 / self.n, 1.0 / self.gg)
        )
        h, hh, hv, hg, n_after = self._ramps(days, rows, segments)
        cross = hg - h * g
        shared = hv - h * v - cross * slope
        own = hh - h * h * n - cross * cross * gg
        fits = (position >= MIN_DAYS) & is_present & (n_after >= MIN_DAYS) & (own > 1e-6)
        gain = np.where(fits, shared * shared / np.where(fits, own, 1.0), -1.0)
        signed = [np.where(shared * sign > 0, gain, -1.0) if sign else gain for sign in signs]
        found = [self._largest(each, rows, segments, (cross, shared, own)) for each in signed]
        return [ChangePoint(*(x[:, i] for x in change)) for i in range(len(days)) for change in found]

    def _beginnings(self, every: int) -> tuple[np.ndarray, Segments]:
        """(rows on which a ramp may begin, their segments)"""
        if every == 1:
            return np.arange(self.segments.n_rows), self.segments
        return np.flatnonzero(self.segments.position % every == 0), Segments(-(-self.segments.counts // every))

    def _largest(
        self, gain: np.ndarray, rows: np.ndarray, segments: Segments, sums: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, ...]:
        """Fields of ChangePoint at the last row with the largest gain; each (k, days, clients)."""
        most = segments.largest(gain)
        is_most = gain == segments.broadcast(most)
        at = np.maximum.reduceat(np.where(is_most, np.arange(segments.n_rows), -1), segments.starts, axis=-1)
        place = np.arange(0, gain.size, segments.n_rows).reshape(*gain.shape[:-1], 1) + at
        some = most > 0
        cross, shared, own = (x.take(place) for x in sums)
        size = np.where(some, shared / own, 0.0)
        slope = (self.vg[:, None] - size * np.where(some, cross, 0.0)) / self.gg[:, None]
        return size, np.where(some, most / self.rest[:, None], 0.0), np.where(some, rows.take(at), -1), slope

    def _ramps(self, days: tuple[int, ...], row: np.ndarray, segments: Segments) -> tuple[np.ndarray, ...]:
        """Sums of h, h * h, h * series and h * covariate, h being the ramp from each row on; number of values since.

        Each is (k, days, rows).
        """
        sums, ends = self.running.sums, self.segments.ends
        at_end = segments.broadcast(sums[:7].take(ends, axis=-1))[:, :, None]
        if days == (1,):
            n, v, g = ((at_end[i] - sums[i].take(row, axis=-1)[:, None]) / FIXED_POINT for i in (0, 3, 5))
            return n, n, v, g, n
        length = np.array(days)[:, None]
        middle = np.minimum(row + length - 1, segments.broadcast(ends))
        at_middle = sums[:7].take(middle, axis=-1)
        n, v, g = ((at_end[i] - at_middle[i]) / FIXED_POINT for i in (0, 3, 5))
        m, mt, mtt, mv, mvt, mg, mgt = (at_middle - sums[:7].take(row, axis=-1)[:, :, None]) / FIXED_POINT
        back = self.segments.position.take(row) - 1.0  # h is (t - back) / days on the ramp, 1 / days on its first day
        hh = (mtt - 2.0 * back * mt + back * back * m) / (length * length) + n
        h, hv, hg = ((a - back * b) / length + c for a, b, c in ((mt, m, n), (mvt, mv, v), (mgt, mg, g)))
        return h, hh, hv, hg, m + n
