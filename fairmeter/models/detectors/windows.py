"""Daily series as matrices that end in the same column, the input of networks.

In:  DailyConsumption, and optionally the neighbours' factor of each row's day (1 = usual, NaN if unknown).
Out: matrices (clients, columns), NaN before a series begins; pieces of series, as they were in the past.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption

WEEK = 7
MONDAY = 3  # added to a day since 1970-01-01, a Thursday, so that Mondays count as 0
FLOOR = 0.1  # of the level: keeps the logarithm finite, and equates standby and zero
MAX_RATIO = 20.0  # times the level: more is an error of the meter or of the level
BLOCK = 64  # clients at a time, to limit the memory


@dataclass(frozen=True)
class DayGrid:
    """Series of some clients, a row each, which all end in the last column."""

    kwh: np.ndarray  # float64 (clients, columns), NaN where missing
    weekday: np.ndarray  # int64 (clients, columns), Monday 0
    factor: np.ndarray  # float64 (clients, columns), NaN where unknown
    row: np.ndarray  # int64 (clients, columns): row of the consumption, or the number of rows before the series begins

    @classmethod
    def from_days(cls, days: DailyConsumption, factor: np.ndarray | None, multiple: int, before: int) -> "DayGrid":
        """A grid with `before` empty columns, then a multiple of `multiple` columns that holds the longest series."""
        segments, n_rows = days.segments, len(days.kwh)
        longest = int(segments.counts.max(initial=1))
        back = np.arange(before - (-longest // multiple) * multiple)[::-1]
        row = np.where(back < segments.counts[:, None], segments.ends[:, None] - 1 - back, n_rows)
        last_day = np.append(days.day, 0).take(row[:, -1])
        known = np.full(n_rows, np.nan) if factor is None else np.where(factor > 0, factor, np.nan)
        weekday = (last_day[:, None] - back + MONDAY) % WEEK
        return cls(np.append(days.kwh, np.nan)[row], weekday, np.append(known, np.nan)[row], row)

    def before(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum and number of the known values left of each column. [float64, (clients, columns + 1)]

        Empty columns on the left add exactly 0, so a client's sums do not depend on the longest series.
        """
        known = ~np.isnan(self.kwh)
        total, n = np.zeros((2, len(known), known.shape[1] + 1))
        np.cumsum(np.where(known, self.kwh, 0.0), axis=1, out=total[:, 1:])
        np.cumsum(known, axis=1, out=n[:, 1:])
        return total, n


def blocks(
    days: DailyConsumption, factor: np.ndarray | None, multiple: int, before: int = 0
) -> Iterator[tuple[slice, slice, DayGrid]]:
    """Yield (clients, their rows, their DayGrid), some clients at a time."""
    for start in range(0, len(days.segments), BLOCK):
        clients = slice(start, min(start + BLOCK, len(days.segments)))
        some = days.slice(clients.start, clients.stop)
        first = int(days.segments.starts[start])
        rows = slice(first, first + len(some.kwh))
        yield clients, rows, DayGrid.from_days(some, None if factor is None else factor[rows], multiple, before)


def cut_series(
    days: DailyConsumption, rng: "np.random.Generator", every: int, min_days: int
) -> tuple[DailyConsumption, np.ndarray, np.ndarray]:
    """Pieces of series that end every `every` days, at least `min_days` long; half of them lack their beginning.

    -> (DailyConsumption with a segment a piece, the row of each of its rows, the client of each piece)
    """
    pieces = [
        (client, stop, rng.integers(stop - min_days + 1) if rng.random() < 0.5 else 0)
        for client, count in enumerate(days.segments.counts)
        for stop in range(int(count), min_days - 1, -every)
    ]
    client, stop, skipped = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    segments = Segments(stop - skipped)
    rows = segments.spread(days.segments.starts[client] + skipped) + segments.position
    return DailyConsumption(segments, days.day[rows], days.kwh[rows]), rows, client


def log_ratio(kwh: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Logarithm of consumption relative to a level: 0 at the level, -0.6 at half, -2.4 at zero; NaN without one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(level > 0, kwh / level, np.nan)
    return np.log((np.minimum(times, MAX_RATIO) + FLOOR) / (1.0 + FLOOR))


def mean_of_known(values: np.ndarray, min_known: int = 1) -> np.ndarray:
    """Mean of the known values over the last axis, NaN if there are fewer than `min_known`."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    # Added from left to right, because the order of `sum` depends on the width.
    total = np.cumsum(np.where(known, values, 0.0), axis=-1)[..., -1] if values.shape[-1] else np.zeros(n.shape)
    return np.where(n >= min_known, total / np.maximum(n, 1), np.nan)


def quantiles_of_known(values: np.ndarray, shares: tuple[float, ...], min_known: int = 1) -> list[np.ndarray]:
    """Quantiles of the known values over the last axis, NaN if there are fewer than `min_known`."""
    n, ordered = (~np.isnan(values)).sum(axis=-1), np.sort(values, axis=-1)
    first = np.arange(n.size).reshape(n.shape) * values.shape[-1]
    ats = (first + np.floor(share * np.maximum(n - 1, 0)).astype(np.int64) for share in shares)
    return [np.where(n >= min_known, ordered.take(at), np.nan) for at in ats]


def factors_for_half(
    parts: DailyConsumption, rows: np.ndarray, factor: np.ndarray | None, rng: "np.random.Generator"
) -> np.ndarray:
    """Factors of the days of a random half of the pieces, NaN for the others. [rows: the row of each day of `parts`]"""
    is_given = parts.segments.spread(rng.random(len(parts.segments)) < 0.5)
    return np.where(is_given, np.nan if factor is None else factor[rows], np.nan)


def with_mask(values: np.ndarray) -> np.ndarray:
    """Values with 0 for missing ones, then 1 for each known value. [(n, k) -> float32, (n, 2 k)]"""
    known = ~np.isnan(values)
    return np.concatenate([np.where(known, values, 0.0), known], axis=1).astype(np.float32)


def put_rows(out: np.ndarray, row: np.ndarray, values: np.ndarray) -> None:
    """Write a grid's values to the rows that its columns stand for. [row, values: (clients, columns)]"""
    inside = row < len(out)
    out[row[inside]] = values[inside]
