"""Sums, quantiles, lasts ... over rows sorted by client: the arithmetic under every feature.

In:  `Segments(counts)`: how many neighbouring rows each client has (0 allowed); series as float64 of shape (k, rows).
Out: one value a client and series, shape (k, clients); NaN where a client has no value to go by.

A segment's result depends on its own rows alone, to the last bit, however many others lie beside it. So nothing here
may use running sums of floats across segments: their rounding depends on what came before.
"""

from functools import cached_property

import numpy as np

SIGN = np.uint32(0x80000000)
# Turns the ordered codes of floats so that NaN of either sign comes after all numbers.
NAN_LAST = np.uint32(0x007FFFFF)
FIXED_POINT = 2.0**24
FLAT = 1e-9  # of the mean: a deviation below is rounding, and must not be read as shape


class Segments:
    """Where each client's rows begin and end.

    Where nothing else is said, a series is (k, rows) or (rows,), and the result (k, clients) or (clients,).
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
        """Each row's segment. [int64, shape (rows,)]"""
        if len(self.counts) == 1:
            return np.zeros(self.n_rows, np.int64)
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def position(self) -> np.ndarray:
        """Each row's place in its segment, from 0. [int64, shape (rows,)]"""
        return self._rows - self.beside(self.starts)

    @cached_property
    def left(self) -> np.ndarray:
        """How many rows of its segment are left, a row's own included. [int64, shape (rows,)]"""
        return self.beside(self.ends) - self._rows

    @cached_property
    def is_first(self) -> np.ndarray:
        """Whether a row is its segment's first. [bool, shape (rows,)]"""
        return self.position == 0

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.arange(self.n_rows)

    # --- one value a segment ------------------------------------------------------------------------------------------

    def total(self, series: np.ndarray) -> np.ndarray:
        """Sum; 0 for an empty segment. The caller has replaced NaN."""
        return self._reduce(np.add, series, 0)

    def largest(self, series: np.ndarray) -> np.ndarray:
        """Maximum of the values that are there."""
        return self._reduce(np.fmax, series, np.nan)

    def smallest(self, series: np.ndarray) -> np.ndarray:
        """Minimum of the values that are there."""
        return self._reduce(np.fmin, series, np.nan)

    def first(self, series: np.ndarray) -> np.ndarray:
        """The first row's value, NaN where it is missing there."""
        return self._pick(series, self.starts)

    def last(self, series: np.ndarray) -> np.ndarray:
        """The last row's value, NaN where it is missing there."""
        return self._pick(series, self.ends - 1)

    def _reduce(self, operation: np.ufunc, series: np.ndarray, empty: float) -> np.ndarray:
        if self.is_full:
            return operation.reduceat(series, self._first_rows, axis=-1)
        # reduceat answers an empty segment with the next one's first value.
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
        """A segment's value to each of its rows."""
        return values.take(self.index, axis=-1)

    def beside(self, values: np.ndarray) -> np.ndarray:
        """A segment's value to calculate with beside its rows: as `spread`, but of one segment it stands for all."""
        return values if len(self.counts) == 1 else values.take(self.index, axis=-1)

    def lag(self, series: np.ndarray) -> np.ndarray:
        """The value of the row before in the same segment, NaN for the first."""
        out = np.empty(series.shape)
        out[..., 1:] = series[..., :-1]
        out[..., self._first_rows] = np.nan
        return out

    def lags(self, series: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
        """The values so many rows earlier in the same segment, NaN before the first. (rows,) -> (len(steps), rows)"""
        back = np.array(steps)[:, None]
        source = np.where(self.position >= back, self._rows - back, self.n_rows)
        return np.append(series, np.nan).take(source)

    # --- mean, deviation, shape ---------------------------------------------------------------------------------------

    def mean(self, series: np.ndarray) -> np.ndarray:
        """Mean of the values that are there."""
        known = ~np.isnan(series)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total(np.where(known, series, 0.0)) / self.total(known.astype(np.float64))

    def moments(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number of values that are there, their mean, their standard deviation by the population's formula)"""
        n, mean, variance, _ = self._central(series)
        return n, mean, np.sqrt(variance)

    def shape(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`moments` and the skewness, 0 for a flat series."""
        n, mean, variance, off = self._central(series)
        deviation = np.sqrt(variance)
        with np.errstate(invalid="ignore", divide="ignore"):
            third = self.total(off * off * off) / n
            flat = deviation <= FLAT * np.maximum(np.abs(mean), 1.0)
            skew = np.where(flat, 0.0, third / np.where(flat, 1.0, variance * deviation))
        return n, mean, deviation, skew

    def _central(self, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(n, mean, variance, distance of each row from the mean, 0 where the value is missing)"""
        known = ~np.isnan(series)
        n = self.total(known.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.total(np.where(known, series, 0.0)) / n
            off = np.where(known, series - self.beside(mean), 0.0)
            return n, mean, self.total(off * off) / n, off

    # --- order --------------------------------------------------------------------------------------------------------

    def quantiles(self, series: np.ndarray, shares: tuple[float, ...], n: np.ndarray) -> np.ndarray:
        """Quantiles of the values that are there, as float32 holds them, linear between neighbours.

        series (k, rows), n (k, clients) as `moments` counts -> (len(shares), k, clients) [float64]
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

    def distinct(self, codes: np.ndarray) -> np.ndarray:
        """Number of different values, as float32 tells them apart. Missing values do not count."""
        _, is_new = self._grouped(codes)
        return self.total(is_new.astype(np.float64))

    def modes(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number of different values, most frequent value, its share) of the known ones; the smaller wins a tie."""
        ordered, is_new = self._grouped(codes)
        n_alike, most, share = self._alike(ordered, is_new)
        is_mode = (n_alike == self.beside(most)) & (n_alike > 0)
        return self.total(is_new.astype(np.float64)), self.smallest(np.where(is_mode, ordered, np.nan)), share

    def repetition(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(number of different values, share of the most frequent one) of the known ones, as `modes` has them."""
        ordered, is_new = self._grouped(codes)
        return self.total(is_new.astype(np.float64)), self._alike(ordered, is_new)[2]

    def _alike(self, ordered: np.ndarray, is_new: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(how many of its kind came so far, 0 where missing, a row; the most of a segment; their share)"""
        known = ~np.isnan(ordered)
        n_alike = np.where(known, self._rows_since(is_new) + 1, 0)
        most = self._reduce(np.maximum, n_alike, 0)
        with np.errstate(invalid="ignore"):
            return n_alike, most, most / self.total(known.astype(np.float64))

    def _grouped(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(each segment's values in ascending order, missing ones last; whether a value is the first of its kind)"""
        ordered = _decoded(self._ordered(codes))
        is_new = ~np.isnan(ordered)
        is_new[..., 1:] &= (ordered[..., 1:] != ordered[..., :-1]) | self.is_first[1:]
        return ordered, is_new

    def _ordered(self, series: np.ndarray) -> np.ndarray:
        """Each segment's values in ascending order, missing ones last, as `_encoded`. [uint32, same shape]

        The segment number and the value share one 64-bit key, so that one plain sort serves all segments.
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
        """(longest unbroken run of True, run of True that reaches the segment's last row). [rows]"""
        length = self._rows_since(~mask)
        return self._reduce(np.maximum, length, 0), self._pick(length, self.ends - 1, 0)

    def _rows_since(self, mask: np.ndarray) -> np.ndarray:
        """How many rows ago the mask last held in the same segment, 0 where it does; before it did, the rows so far."""
        at = np.where(mask, self._rows, self._rows - self.position - 1)
        return self._rows - np.maximum.accumulate(at, axis=-1)

    # --- change point -------------------------------------------------------------------------------------------------

    def best_split(self, series: np.ndarray, least: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The split of each segment into an earlier and a later part with the largest between-part sum of squares.

        (k, rows) -> (later mean - earlier mean, share of the segment's variance explained, row where the later part
        begins); NaN, NaN, -1 where a part would have fewer than `least` values. Missing values do not count.
        """
        if not self.n_rows:
            nothing = np.full((len(series), len(self)), np.nan)
            return nothing, nothing, np.full(nothing.shape, -1)
        n, _, deviation = self.moments(series)
        with np.errstate(invalid="ignore", divide="ignore"):
            gap, between = self._splits(series, least)
            most = self.largest(between)
            found = most > 0
            explained = np.where(found, most / np.maximum(n * deviation * deviation, 1e-12), np.nan)
        row = np.where(found, self._reduce(np.maximum, np.where(between == self.beside(most), self._rows, -1), -1), -1)
        picked = gap.take(np.arange(len(series))[:, None] * self.n_rows + np.maximum(row, 0))
        return np.where(found, picked, np.nan), explained, row

    def _splits(self, series: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
        """(later mean - earlier mean, between-part sum of squares) were each row the first of the later part.

        The sum is -1 where a part would be too short, and where the row's own value is missing.
        """
        known = ~np.isnan(series)
        # Fixed point: integer running sums are exact, so a segment does not feel what was summed before it.
        steps = np.rint(np.where(known, series, 0.0) * FIXED_POINT).astype(np.int64)
        before, n_before = self._running(np.array([steps, known])).astype(np.float64)
        total, n = self.beside(self.total(np.array([steps, known], dtype=np.float64)))
        n_after = n - n_before
        before /= FIXED_POINT
        gap = (total / FIXED_POINT - before) / n_after - before / n_before
        between = n_before * n_after / n * gap * gap
        return gap, np.where((n_before >= least) & (n_after >= least) & known, between, -1.0)

    def _running(self, whole: np.ndarray) -> np.ndarray:
        """Sum of the earlier rows of the same segment, exact for integers. [int64, row's own value not included]"""
        sums = np.cumsum(whole, axis=-1) - whole
        return sums - self.beside(sums.take(self.starts.clip(max=self.n_rows - 1), axis=-1))


def _encoded(series: np.ndarray) -> np.ndarray:
    """Numbers in the order of the series as float32, with NaN of either sign above all others. [uint32]"""
    bits = np.ascontiguousarray(series, dtype=np.float32).view(np.uint32)
    return (bits ^ ((bits.view(np.int32) >> 31).view(np.uint32) | SIGN)) - NAN_LAST


def _decoded(codes: np.ndarray) -> np.ndarray:
    """The float32 values that were `_encoded`, as float64."""
    bits = codes + NAN_LAST
    return (bits ^ (~(bits.view(np.int32) >> 31).view(np.uint32) | SIGN)).view(np.float32).astype(np.float64)
