"""Daily series side by side, ending in one column: what networks look at.

In:  Days, and optionally what each day is for the neighbourhood (1 = usual, NaN = unknown), a value a row.
Out: matrices of (clients, columns), NaN before a series begins; parts of series, as they stood in the past.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption

WEEK = 7
MONDAY = 3  # added to a day since 1970-01-01, a Thursday, so that Mondays count as 0
FLOOR = 0.1  # of the level: below it standby and zero are the same, and the logarithm must not run away
MOST = 20.0  # times the level: more is an error of the meter, or of the level
BLOCK = 64  # clients at a time, so that memory does not grow with their number


@dataclass(frozen=True)
class DayGrid:
    """Series of some clients, a row each, all ending in the last column."""

    kwh: np.ndarray  # float64 (clients, columns), NaN where missing
    weekday: np.ndarray  # int64 (clients, columns), Monday 0
    factor: np.ndarray  # float64 (clients, columns), NaN where unknown
    row: np.ndarray  # int64 (clients, columns): row of the Days, or their number where the series has not begun

    @classmethod
    def of(cls, days: DailyConsumption, factor: np.ndarray | None, multiple: int, before: int) -> "DayGrid":
        """The columns: `before`, in which no series has begun, and a multiple of `multiple` that holds the longest."""
        segments, n_rows = days.segments, len(days.kwh)
        longest = int(segments.counts.max(initial=1))
        back = np.arange(before - (-longest // multiple) * multiple)[::-1]
        row = np.where(back < segments.counts[:, None], segments.ends[:, None] - 1 - back, n_rows)
        last_day = np.append(days.day, 0).take(row[:, -1])
        known = np.full(n_rows, np.nan) if factor is None else np.where(factor > 0, factor, np.nan)
        weekday = (last_day[:, None] - back + MONDAY) % WEEK
        return cls(np.append(days.kwh, np.nan)[row], weekday, np.append(known, np.nan)[row], row)

    def before(self) -> tuple[np.ndarray, np.ndarray]:
        """(sum, number) of the known values left of each column. [float64, (clients, columns + 1)]

        The empty columns on the left add exactly 0: a longer neighbour changes no bit of a client's sums.
        """
        known = ~np.isnan(self.kwh)
        total, n = np.zeros((2, len(known), known.shape[1] + 1))
        np.cumsum(np.where(known, self.kwh, 0.0), axis=1, out=total[:, 1:])
        np.cumsum(known, axis=1, out=n[:, 1:])
        return total, n


def blocks(
    days: DailyConsumption, factor: np.ndarray | None, multiple: int, before: int = 0
) -> Iterator[tuple[slice, slice, DayGrid]]:
    """(clients, their rows, Grid of them), some clients at a time."""
    for start in range(0, len(days.segments), BLOCK):
        clients = slice(start, min(start + BLOCK, len(days.segments)))
        some = days.slice(clients.start, clients.stop)
        first = int(days.segments.starts[start])
        rows = slice(first, first + len(some.kwh))
        yield clients, rows, DayGrid.of(some, None if factor is None else factor[rows], multiple, before)


def pieces(
    days: DailyConsumption, rng: "np.random.Generator", every: int, least: int
) -> tuple[DailyConsumption, np.ndarray, np.ndarray]:
    """Series as they stood every so many days, at least `least` days long, half of them without their beginning.

    -> (Days with a segment a piece, the row of each of its rows, the client of each piece)
    """
    cuts = [
        (client, stop, rng.integers(stop - least + 1) if rng.random() < 0.5 else 0)
        for client, count in enumerate(days.segments.counts)
        for stop in range(int(count), least - 1, -every)
    ]
    client, stop, forgotten = np.array(cuts, dtype=np.int64).reshape(-1, 3).T
    segments = Segments(stop - forgotten)
    rows = segments.spread(days.segments.starts[client] + forgotten) + segments.position
    return DailyConsumption(segments, days.day[rows], days.kwh[rows]), rows, client


def relative(kwh: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Logarithm of consumption relative to a level: 0 as usual, -0.6 half, -2.4 nothing; NaN without a level."""
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(level > 0, kwh / level, np.nan)
    return np.log((np.minimum(times, MOST) + FLOOR) / (1.0 + FLOOR))


def mean(values: np.ndarray, least: int = 1) -> np.ndarray:
    """Mean over the last axis of what is known, NaN where that is fewer than `least`."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    # Added from left to right: `sum` adds in an order that depends on the width.
    total = np.cumsum(np.where(known, values, 0.0), axis=-1)[..., -1] if values.shape[-1] else np.zeros(n.shape)
    return np.where(n >= least, total / np.maximum(n, 1), np.nan)


def quantiles(values: np.ndarray, shares: tuple[float, ...], least: int = 1) -> list[np.ndarray]:
    """The known value below which each share of the last axis lies, NaN where fewer than `least` are known."""
    n, ordered = (~np.isnan(values)).sum(axis=-1), np.sort(values, axis=-1)
    first = np.arange(n.size).reshape(n.shape) * values.shape[-1]
    ats = (first + np.floor(share * np.maximum(n - 1, 0)).astype(np.int64) for share in shares)
    return [np.where(n >= least, ordered.take(at), np.nan) for at in ats]
