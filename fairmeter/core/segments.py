"""Reductions over rows sorted by client: sums, quantiles, runs, change points. All features are built from them.

In:  `Segments(counts)`: the number of consecutive rows of each client (0 allowed); series of float64, (k, rows).
Out: one value per client and series, (k, clients); NaN where a client has no value.

A segment's result depends only on its own rows, to the last bit, whatever other segments are computed with it.
Running sums of floats across segments would break this, since their rounding depends on the rows before.
"""

from functools import cached_property

import numpy as np

SIGN = np.uint32(0x80000000)
# Shifts the ordered codes of floats so that NaN of either sign sorts after all numbers.
NAN_LAST = np.uint32(0x007FFFFF)
FIXED_POINT = 2.0**24
FLAT = 1e-9  # of the mean: a smaller deviation is rounding error and has no shape


class Segments:
    """First and last row of each client, and the reductions over these rows.

    Unless stated otherwise, a series is (k, rows) or (rows,), and the result (k, clients) or (clients,).
    """

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = np.asarray(counts, dtype=np.int64)
        self.ends = self.counts.cumsum()
        self.starts = self.ends - self.counts
        self.n_rows = int(self.ends[-1]) if len(self.ends) else 0
        self.filled = self.counts > 0
        self.is_full = bool(self.filled.all())
        self._first_rows = self.starts if self.is_full else self.starts[self.filled]

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def index(self) -> np.ndarray:
        """Segment number of each row. [int64, (rows,)]"""
        if len(self.counts) == 1:
            return np.zeros(self.n_rows, np.int64)
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def position(self) -> np.ndarray:
        """Position of each row in its segment, from 0. [int64, (rows,)]"""
        return self._rows - self.broadcast(self.starts)

    @cached_property
    def rows_left(self) -> np.ndarray:
        """Number of rows from each row to the end of its segment, itself included. [int64, (rows,)]"""
        return self.broadcast(self.ends) - self._rows

    @cached_property
    def is_first(self) -> np.ndarray:
        """Whether each row is the first of its segment. [bool, (rows,)]"""
        return self.position == 0

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.arange(self.n_rows)

    # --- one value a segment ------------------------------------------------------------------------------------------

    def total(self, series: np.ndarray) -> np.ndarray:
        """Sum; 0 for an empty segment. The series must not contain NaN."""
        return self._reduce(np.add, series, 0)

    def largest(self, series: np.ndarray) -> np.ndarray:
        """Maximum, ignoring missing values."""
        return self._reduce(np.fmax, series, np.nan)

    def smallest(self, series: np.ndarray) -> np.ndarray:
        """Minimum, ignoring missing values."""
        return self._reduce(np.fmin, series, np.nan)

    def first(self, series: np.ndarray) -> np.ndarray:
        """Value of the first row, NaN where it is missing."""
        return self._pick(series, self.starts)

    def last(self, series: np.ndarray) -> np.ndarray:
        """Value of the last row, NaN where it is missing."""
        return self._pick(series, self.ends - 1)

    def _reduce(self, operation: np.ufunc, series: np.ndarray, empty: float) -> np.ndarray:
        if self.is_full:
            return operation.reduceat(series, self._first_rows, axis=-1)
        # For an empty segment, reduceat returns the first value of the next one.
        out = np.full((*series.shape[:-1], len(self.counts)), empty, dtype=series.dtype)
        out[..., self.filled] = operation.reduceat(series, self._first_rows, axis=-1)
        return out

    def _pick(self, series: np.ndarray, rows: np.ndarray, empty: float = np.nan) -> np.ndarray:
        if self.is_full:
            return series.take(rows, axis=-1)
        out = np.full((*series.shape[:-1], len(self.counts)), empty)
        out[..., self.filled] = series[..., rows[self.filled]]
        return out

    # --- one value a row ----------------------------------------------------------------------------------------------

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Repeat the value of each segment for all of its rows. [(..., clients) -> (..., rows)]"""
        return values.take(self.index, axis=-1)

    def broadcast(self, values: np.ndarray) -> np.ndarray:
        """Broadcast a value per segment to its rows, like `spread`; one segment broadcasts as a scalar."""
        return values if len(self.counts) == 1 else values.take(self.index, axis=-1)

    def lag(self, series: np.ndarray) -> np.ndarray:
        """Value of the previous row of the same segment, NaN for the first."""
        out = np.empty(series.shape)
        out[..., 1:] = series[..., :-1]
        out[..., self._first_rows] = np.nan
        return out

    def lags(self, series: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
        """Values some rows earlier in the same segment, NaN before its first. [(rows,) -> (len(steps), rows)]"""
        back = np.array(steps)[:, None]
        source = np.where(self.position >= back, self._rows - back, self.n_rows)
        return np.append(series, np.nan).take(source)

    # --- mean, deviation, shape ---------------------------------------------------------------------------------------

    def mean(self, series: np.ndarray) -> np.ndarray:
        """Mean, ignoring missing values."""
        known = ~np.isnan(series)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total(np.where(known, series, 0.0)) / self.total(known.astype(np.float64))

    def moments(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number of values, mean, population standard deviation), ignoring missing values."""
        n, mean, variance, _ = self._central(series)
        return n, mean, np.sqrt(variance)

    def shape(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`moments` and the skewness, which is 0 for a flat series."""
        n, mean, variance, off = self._central(series)
        deviation = np.sqrt(variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            third = self.total(off * off * off) / n
            flat = deviation <= FLAT * np.maximum(np.abs(mean), 1.0)
            skew = np.where(flat, 0.0, third / np.where(flat, 1.0, variance * deviation))
        return n, mean, deviation, skew

    def _central(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(n, mean, variance, deviation of each row from the mean, 0 where missing)"""
        known = ~np.isnan(series)
        n = self.total(known.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total(np.where(known, series, 0.0)) / n
            off = np.where(known, series - self.broadcast(mean), 0.0)
            return n, mean, self.total(off * off) / n, off

    # --- order --------------------------------------------------------------------------------------------------------

    def quantiles(self, series: np.ndarray, shares: tuple[float, ...], n: np.ndarray) -> np.ndarray:
        """Quantiles by linear interpolation, ignoring missing values; values are rounded to float32.

        series (k, rows), n (k, clients) as counted by `moments` -> (len(shares), k, clients) [float64]
        """
        known = n > 0
        if not self.n_rows:
            return np.full((len(shares), *n.shape), np.nan)
        place = np.where(known, np.array(shares)[:, None, None] * (n - 1), 0.0)
        low = np.floor(place)
        first = np.arange(len(series))[:, None] * self.n_rows + np.minimum(self.starts, self.n_rows - 1)
        at = (np.array([low, np.ceil(place)]) + first).astype(np.int64)
        below, above = _decoded(self._ordered(series).take(at))
        return np.where(known, below + (place - low) * (above - below), np.nan)

    def ordered(self, series: np.ndarray) -> np.ndarray:
        """Values of each segment in ascending order, missing ones last; rounded to float32. [float64]"""
        return _decoded(self._ordered(series))

    def distinct(self, codes: np.ndarray) -> np.ndarray:
        """Number of distinct float32 values, ignoring missing ones."""
        _, is_new = self._grouped(codes)
        return self.total(is_new.astype(np.float64))

    def modes(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number of distinct values, the most frequent one or the smallest of several, its share), NaN ignored."""
        ordered, is_new = self._grouped(codes)
        n_alike, most, share = self._alike(ordered, is_new)
        is_mode = (n_alike == self.broadcast(most)) & (n_alike > 0)
        return self.total(is_new.astype(np.float64)), self.smallest(np.where(is_mode, ordered, np.nan)), share

    def repetition(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(number of distinct values, share of the most frequent one), as in `modes`."""
        ordered, is_new = self._grouped(codes)
        return self.total(is_new.astype(np.float64)), self._alike(ordered, is_new)[2]

    def _alike(self, ordered: np.ndarray, is_new: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(running count of equal values per row, 0 where missing; its maximum per segment; that as a share)"""
        known = ~np.isnan(ordered)
        n_alike = np.where(known, self._rows_since(is_new) + 1, 0)
        most = self._reduce(np.maximum, n_alike, 0)
        with np.errstate(invalid="ignore"):
            return n_alike, most, most / self.total(known.astype(np.float64))

    def _grouped(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(values of each segment in ascending order, missing ones last; whether each differs from the one before)"""
        ordered = _decoded(self._ordered(codes))
        is_new = ~np.isnan(ordered)
        is_new[..., 1:] &= (ordered[..., 1:] != ordered[..., :-1]) | self.is_first[1:]
        return ordered, is_new

    def _ordered(self, series: np.ndarray) -> np.ndarray:
        """Values of each segment in ascending order, missing ones last, as `_encoded`. [uint32, same shape]

        The segment number and the value form one 64-bit key, so that a single sort orders all segments.
        """
        if len(self.counts) == 1:
            codes = _encoded(series)
            codes.sort(axis=-1)
            return codes
        keys = (self.index.astype(np.uint64) << np.uint64(32)) | _encoded(series)
        keys.sort(axis=-1)
        return keys.astype(np.uint32)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def runs(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(longest run of True, run of True that ends at the segment's last row) [rows]"""
        length = self._rows_since(~mask)
        return self._reduce(np.maximum, length, 0), self._pick(length, self.ends - 1, 0)

    def _rows_since(self, mask: np.ndarray) -> np.ndarray:
        """Rows since the mask was last true in the same segment; before that, rows since the segment's start + 1."""
        at = np.where(mask, self._rows, self._rows - self.position - 1)
        return self._rows - np.maximum.accumulate(at, axis=-1)

    # --- change point -------------------------------------------------------------------------------------------------

    def best_split(self, series: np.ndarray, min_values: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Split each segment into an earlier and a later part with the largest between-part sum of squares.

        (k, rows) -> (later mean - earlier mean, explained share of the segment's variance, first row of the later
        part); NaN, NaN, -1 where a part would have fewer than `min_values` values, not counting missing ones.
        """
        if not self.n_rows:
            nothing = np.full((len(series), len(self)), np.nan)
            return nothing, nothing, np.full(nothing.shape, -1)
        n, _, deviation = self.moments(series)
        with np.errstate(invalid="ignore", divide="ignore"):
            gap, between = self._splits(series, min_values)
            most = self.largest(between)
            found = most > 0
            explained = np.where(found, most / np.maximum(n * deviation * deviation, 1e-12), np.nan)
        last = self._reduce(np.maximum, np.where(between == self.broadcast(most), self._rows, -1), -1)
        row = np.where(found, last, -1)
        picked = gap.take(np.arange(len(series))[:, None] * self.n_rows + np.maximum(row, 0))
        return np.where(found, picked, np.nan), explained, row

    def _splits(self, series: np.ndarray, min_values: int) -> tuple[np.ndarray, np.ndarray]:
        """(later mean - earlier mean, between-part sum of squares) with each row as the first of the later part.

        The sum of squares is -1 where a part would be too short and where the row's own value is missing.
        """
        known = ~np.isnan(series)
        # Fixed point: integer running sums are exact, so a segment does not depend on the segments before it.
        steps = np.rint(np.where(known, series, 0.0) * FIXED_POINT).astype(np.int64)
        before, n_before = self._running(np.array([steps, known])).astype(np.float64)
        total, n = self.broadcast(self.total(np.array([steps, known], dtype=np.float64)))
        n_after = n - n_before
        before /= FIXED_POINT
        gap = (total / FIXED_POINT - before) / n_after - before / n_before
        between = n_before * n_after / n * gap * gap
        return gap, np.where((n_before >= min_values) & (n_after >= min_values) & known, between, -1.0)

    def _running(self, whole: np.ndarray) -> np.ndarray:
        """Sum of the earlier rows of the same segment, without the row itself; exact for integers. [int64]"""
        sums = np.cumsum(whole, axis=-1) - whole
        return sums - self.broadcast(sums.take(self.starts.clip(max=self.n_rows - 1), axis=-1))


def runs_of_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(first row, number of rows) of each run of successive rows. [rows: ascending]"""
    if not len(rows):
        return rows, rows
    places = np.append(0, 1 + np.flatnonzero(rows[1:] != rows[:-1] + 1))
    return rows[places], np.diff(np.append(places, len(rows)))


def _encoded(series: np.ndarray) -> np.ndarray:
    """Codes in the order of the float32 values, with NaN of either sign above all numbers. [uint32]"""
    bits = np.ascontiguousarray(series, dtype=np.float32).view(np.uint32)
    return (bits ^ ((bits.view(np.int32) >> 31).view(np.uint32) | SIGN)) - NAN_LAST


def _decoded(codes: np.ndarray) -> np.ndarray:
    """The values of `_encoded` codes, as float64."""
    bits = codes + NAN_LAST
    return (bits ^ (~(bits.view(np.int32) >> 31).view(np.uint32) | SIGN)).view(np.float32).astype(np.float64)
