"""Sums, quantiles, lasts ... over rows sorted by client: the arithmetic under every feature.

In:  `Segments(counts)`: how many neighbouring rows each client has (0 allowed); series as float64 of shape (k, rows).
Out: one value a client and series, shape (k, clients); NaN where a client has no value to go by.

A segment's result depends on its own rows alone, to the last bit, however many others lie beside it. So nothing here
may use running sums across segments: their rounding depends on what came before.
"""

from functools import cached_property

import numpy as np

SIGN = np.uint32(0x80000000)
LOW = np.uint64(0xFFFFFFFF)
FIXED_POINT = 2.0**24


class Segments:
    """Where each client's rows begin and end."""

    def __init__(self, counts):
        self.counts = np.asarray(counts, dtype=np.int64)
        self.ends = np.cumsum(self.counts)
        self.starts = self.ends - self.counts
        self.n_rows = int(self.ends[-1]) if len(self.ends) else 0
        self.filled = self.counts > 0
        self.is_full = bool(self.filled.all())

    def __len__(self):
        return len(self.counts)

    @cached_property
    def index(self):
        """Each row's segment. [int64, shape (rows,)]"""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def position(self):
        """Each row's place in its segment, from 0."""
        return np.arange(self.n_rows) - self.starts[self.index]

    @cached_property
    def is_first(self):
        return self.position == 0

    def where(self, mask):
        """The segments of the rows that `mask` keeps."""
        return Segments(self.total(mask.astype(np.float64)).astype(np.int64))

    def _reduce(self, operation, series, empty):
        shape = (*series.shape[:-1], len(self.counts))
        if self.is_full and len(self.counts):
            return operation.reduceat(series, self.starts, axis=-1)
        # reduceat answers an empty segment with the next one's first value.
        out = np.full(shape, empty, dtype=series.dtype)
        if self.filled.any():
            out[..., self.filled] = operation.reduceat(series, self.starts[self.filled], axis=-1)
        return out

    def total(self, series):
        """Sum; 0 for an empty segment. The caller has replaced NaN."""
        return self._reduce(np.add, series, 0)

    def largest(self, series):
        """Maximum, ignoring NaN; NaN where there is none."""
        return self._reduce(np.fmax, series, np.nan)

    def smallest(self, series):
        return self._reduce(np.fmin, series, np.nan)

    def first(self, series):
        return self._pick(series, self.starts)

    def last(self, series):
        return self._pick(series, self.ends - 1)

    def _pick(self, series, rows):
        if self.is_full and len(self.counts):
            return series[..., rows]
        out = np.full((*series.shape[:-1], len(self.counts)), np.nan)
        out[..., self.filled] = series[..., rows[self.filled]]
        return out

    def spread(self, values):
        """A client's value to each of its rows."""
        return values[..., self.index]

    def lag(self, series, steps=1):
        """The value `steps` rows earlier in the same segment, NaN before the first."""
        out = np.full(series.shape, np.nan)
        if self.n_rows > steps:
            out[..., steps:] = np.where(self.position[steps:] >= steps, series[..., :-steps], np.nan)
        return out

    def mean(self, series):
        """Mean of the values that are there."""
        known = ~np.isnan(series)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total(np.where(known, series, 0.0)) / self.total(known.astype(np.float64))

    def moments(self, series):
        """(n, mean, standard deviation, skewness), each (k, clients). Population formulas; skewness 0 for a flat series."""
        known = ~np.isnan(series)
        n = self.total(known.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total(np.where(known, series, 0.0)) / n
            off = np.where(known, series - self.spread(mean), 0.0)
            square = off * off
            variance = self.total(square) / n
            deviation = np.sqrt(variance)
            third = self.total(square * off) / n
            # Below this a flat series' rounding would be read as shape.
            flat = deviation <= 1e-9 * np.maximum(np.abs(mean), 1.0)
            skew = np.where(flat, 0.0, third / np.where(flat, 1.0, variance * deviation))
            skew[np.isnan(mean)] = np.nan
        return n, mean, deviation, skew

    def ordered(self, series):
        """Each segment's values in ascending order, NaN last. [float32, same shape]

        The segment number and the value share one 64-bit key, so that one plain sort serves all clients.
        """
        bits = np.ascontiguousarray(series, dtype=np.float32).view(np.uint32)
        bits = np.where(bits & SIGN, ~bits, bits | SIGN)
        keys = (self.index.astype(np.uint64) << np.uint64(32)) | bits
        keys.sort(axis=-1)
        bits = (keys & LOW).astype(np.uint32)
        return np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float32)

    def quantiles(self, series, shares, n=None):
        """Quantiles, linear between neighbours. -> (len(shares), k, clients); `n` from `moments` saves counting."""
        series = np.atleast_2d(series)
        n = self.total((~np.isnan(series)).astype(np.float64)) if n is None else n
        out = np.full((len(shares), *n.shape), np.nan)
        if not self.n_rows:
            return out
        ordered = self.ordered(series).astype(np.float64)
        known = n > 0
        row = np.arange(len(series))[:, None]
        for i, share in enumerate(shares):
            place = np.where(known, share * (n - 1), 0.0)
            low = np.floor(place)
            start = np.minimum(self.starts, self.n_rows - 1)
            below = ordered[row, np.minimum(start + low.astype(np.int64), self.n_rows - 1)]
            above = ordered[row, np.minimum(start + np.ceil(place).astype(np.int64), self.n_rows - 1)]
            out[i] = np.where(known, below + (place - low) * (above - below), np.nan)
        return out

    def modes(self, codes):
        """(number of distinct values, most frequent value, its share); the smaller wins a tie. Missing values do not count."""
        ordered = self.ordered(codes).astype(np.float64)
        known = ~np.isnan(ordered)
        change = np.ones(ordered.shape, dtype=bool)
        change[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
        change |= self.is_first
        distinct = self.total((change & known).astype(np.float64))
        run = self._run_lengths(change) * known
        most = self._reduce(np.fmax, run, 0.0)
        is_mode = change & known & (run == self.spread(most))
        mode = self.smallest(np.where(is_mode, ordered, np.nan))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = most / self.total(known.astype(np.float64))
        return distinct, mode, share

    def _run_lengths(self, change):
        """For the first row of each run, how long the run is; 0 elsewhere. Runs end where segments end."""
        out = np.zeros(change.shape)
        flat = np.flatnonzero(change.ravel())
        if len(flat):
            out.ravel()[flat] = np.diff(flat, append=change.size)
        return out

    def runs(self, mask):
        """(longest unbroken run of True, run of True that reaches the segment's last row). [rows]"""
        starts = self._run_starts(mask)
        lengths = self._run_lengths(starts) * mask
        started_at = np.where(starts, self.position.astype(np.float64), -1.0)
        latest = self._reduce(np.fmax, started_at, -1.0)
        lately = self.total(np.where(started_at == self.spread(latest), lengths, 0.0))
        return self._reduce(np.fmax, lengths, 0.0), lately

    def _run_starts(self, mask):
        starts = np.ones(mask.shape, dtype=bool)
        starts[..., 1:] = mask[..., 1:] != mask[..., :-1]
        return starts | self.is_first

    def best_split(self, series, least=2):
        """The split of each segment into an earlier and a later part whose means differ most, by between-part sum of squares.

        -> (later mean - earlier mean, share of the segment's variance explained, row where the later part begins); NaN, NaN, -1
        where a part would have fewer than `least` values. Missing values do not count.
        """
        known = ~np.isnan(series)
        # Fixed point: integer running sums are exact, so a segment does not feel what was summed before it.
        steps = np.rint(np.where(known, series, 0.0) * FIXED_POINT).astype(np.int64)
        before = self._running(steps) / FIXED_POINT
        n_before = self._running(known.astype(np.int64)).astype(np.float64)
        n, _, deviation, _ = self.moments(series)
        total = self.total(steps.astype(np.float64)) / FIXED_POINT
        n_after = self.spread(n) - n_before
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = (self.spread(total) - before) / n_after - before / n_before
            between = n_before * n_after / self.spread(n) * gap * gap
            between = np.where((n_before >= least) & (n_after >= least) & known, between, -1.0)
            most = self.largest(between)
            at = self.largest(np.where(between == self.spread(most), np.arange(self.n_rows, dtype=np.float64), np.nan))
            found = most > 0
            row = np.where(found, at, -1.0).astype(np.int64)
            picked = (
                np.take_along_axis(gap, np.maximum(row, 0), axis=-1) if self.n_rows else np.full(most.shape, np.nan)
            )
            size = np.where(found, picked, np.nan)
            explained = np.where(found, most / np.maximum(n * deviation * deviation, 1e-12), np.nan)
        return size, explained, row

    def _running(self, whole):
        """Sum of the earlier rows of the same segment, exact for integers. [int64, row's own value not included]"""
        sums = np.cumsum(whole, axis=-1) - whole
        return sums - self.spread(sums[..., np.minimum(self.starts, max(self.n_rows - 1, 0))]) if self.n_rows else sums
