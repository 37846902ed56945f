"""Block on two levels in turn: days, blocks of days and weeks on which a client uses far less than on the others.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.

A by-pass that is put in and taken out leaves two levels with switches between them, of which no step or trend shows
much. An empty home has a low level too, but there the days are flat, while a by-pass keeps their ups and downs.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.features.base import IRREGULAR, LOW, Block, Feature
from fairmeter.features.readings.series import DailySeries

BLOCK_DAYS = (1, 3, 5, 7, 10, 14)  # days of a block; blocks are counted back from the last day
WEEK = BLOCK_DAYS.index(7)
RECENT_DAYS, LATELY_DAYS, RECENT_WEEKS = 182, 91, 26
FLOOR = 0.03  # of the level, added before the log
MIN_BLOCKS = 2  # on either level
LOW_BY = (0.7, 1.2, 1.8)  # log ratio below the 75 % quantile of the weeks, from which a week is low


class Blocks(NamedTuple):
    """Blocks of each of BLOCK_DAYS, of all clients. days: of a block; first_row: of a block, in copies of the rows."""

    segments: Segments  # a segment for each length and client
    days: np.ndarray
    first_row: np.ndarray
    level: np.ndarray  # log of the adjusted consumption, NaN where fewer than half of the days are known

    @classmethod
    def of(cls, rows: DailySeries) -> "Blocks":
        known = ~np.isnan(rows.kwh)
        usual = np.exp(np.where(np.isnan(rows.neighbour_factor), 0.0, rows.neighbour_factor))
        sums = np.array([np.where(known, np.maximum(rows.relative, 0.0) / usual, 0.0), known])
        lengths = np.array(BLOCK_DAYS)[:, None]
        segments = Segments((-(-rows.segments.counts // lengths)).ravel())
        days = np.repeat(np.repeat(BLOCK_DAYS, len(rows.segments)), segments.counts)
        copy = rows.segments.n_rows * np.arange(len(lengths))[:, None]
        start, end = (segments.spread((at + copy).ravel()) for at in (rows.segments.starts, rows.segments.ends))
        first_row = np.maximum(end - segments.rows_left * days, start)
        total, n = np.add.reduceat(np.tile(sums, len(lengths)), first_row, axis=-1)
        return cls(segments, days, first_row, np.where(2 * n >= days, np.log(total / n + FLOOR), np.nan))

    def with_recent(self) -> tuple[Segments, np.ndarray, np.ndarray]:
        """All blocks, then those of the last RECENT_DAYS again: their segments, levels, and whether they are late."""
        n = RECENT_DAYS // self.days
        chosen = self.segments.rows_left <= n
        recent = np.minimum(self.segments.counts, n.take(self.segments.starts))
        is_late = self.segments.rows_left * self.days <= LATELY_DAYS
        counts = np.concatenate([self.segments.counts, recent])
        return Segments(counts), *(np.append(each, each[chosen]) for each in (self.level, is_late))

    def weeks(self, n_clients: int) -> tuple[Segments, np.ndarray, np.ndarray]:
        """The blocks of seven days: their segments, first rows and levels."""
        of = slice(WEEK * n_clients, (WEEK + 1) * n_clients)
        rows = slice(self.segments.starts[of][0], self.segments.ends[of][-1])
        first_row = self.first_row[rows]
        return Segments(self.segments.counts[of]), first_row - first_row[0], self.level[rows]


def _on_and_off(rows: DailySeries) -> np.ndarray:
    blocks, n = Blocks.of(rows), len(rows.segments)
    return np.concatenate([_two_levels(*blocks.with_recent()).reshape(-1, n), _low_weeks(rows, *blocks.weeks(n))])


def _two_levels(segments: Segments, level: np.ndarray, is_late: np.ndarray) -> np.ndarray:
    """STATISTICS of the best split of each segment's sorted levels. [(STATISTICS, segments)]"""
    ordered = segments.ordered(level)
    (distance,), (explained,), (row,) = segments.best_split(ordered[None], MIN_BLOCKS)
    n, _, deviation = segments.moments(level)
    found = row >= 0
    border = np.where(found, (ordered.take(np.maximum(row, 1) - 1) + ordered.take(np.maximum(row, 0))) / 2.0, np.nan)
    border = segments.spread(border)
    low = np.where(np.isnan(level + border), np.nan, level < border)
    late, early, switches, low_share = segments.mean(
        np.array([np.where(is_late, low, np.nan), np.where(is_late, np.nan, low), np.abs(low - segments.lag(low)), low])
    )
    rest = 1.0 - np.minimum(explained, 0.999)
    return np.array([
        -n * np.log(rest) - 2.0 * np.log(n), distance, distance / (deviation * np.sqrt(rest) + FLOOR), switches,
        low_share, late - early,
    ])  # fmt: skip


def _low_weeks(rows: DailySeries, segments: Segments, first_row: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Weeks far below the usual ones: share, share lately, runs; the ups and downs of days within them."""
    n = segments.total((~np.isnan(level)).astype(np.float64))
    high = segments.quantiles(level[None], (0.75,), n[None])[0, 0]
    is_low = level < segments.spread(high) - np.array(LOW_BY)[:, None]
    state = np.where(np.isnan(level), np.nan, is_low)
    lately = np.where(segments.rows_left <= RECENT_WEEKS, state, np.nan)
    longest, current = segments.runs(is_low[0])
    begins = is_low[0] & ~np.nan_to_num(segments.lag(is_low[0].astype(np.float64))).astype(bool)
    jump = rows.log - rows.segments.lag(rows.log)
    of_day = np.repeat(is_low[0], np.diff(np.append(first_row, len(jump))))
    inside = np.concatenate([[False], of_day[1:] & of_day[:-1]])  # the fall into a low week is none of its own
    n_jumps, _, within = rows.segments.moments(
        np.array([np.where(inside, jump, np.nan), np.where(of_day, np.nan, jump)])
    )
    within = np.where(n_jumps >= 5, within, np.nan)
    return np.array([
        *segments.mean(state), *segments.mean(lately), segments.total(begins.astype(np.float64)), longest, current,
        within[0], within[0] / (within[1] + FLOOR),
    ])  # fmt: skip


STATISTICS = (
    ("gain", IRREGULAR, "nats", "how much better two levels explain {} than one"),
    ("distance", IRREGULAR, "log ratio", "distance of the two levels of {}"),
    ("contrast", IRREGULAR, "deviations", "distance of the two levels of {}, in deviations within them"),
    ("switches", IRREGULAR, "share", "switches between the two levels of {}"),
    ("low_share", LOW, "share", "share on the lower level of {}"),
    ("lately", LOW, "share", "share on the lower level of {}, last 91 days less before"),
)
ON_AND_OFF_BLOCK = Block(
    (
        *(Feature(f"levels_{short}_{days}{suffix}", group, unit, text.format(f"blocks of {days} days{of}"))
          for short, group, unit, text in STATISTICS
          for suffix, of in (("", ""), (f"_last_{RECENT_DAYS}", f" in the last {RECENT_DAYS}"))
          for days in BLOCK_DAYS),
        *(Feature(f"low_weeks_{100 * by:.0f}{suffix}", LOW, "share",
                  f"share of weeks more than {by} below the 75 % quantile of their logs{of}")
          for suffix, of in (("", ""), ("_lately", f", last {RECENT_WEEKS} weeks"))
          for by in LOW_BY),
        Feature("low_weeks_runs", LOW, "runs", "number of runs of low weeks"),
        Feature("low_weeks_longest", LOW, "weeks", "longest run of low weeks"),
        Feature("low_weeks_current", LOW, "weeks", "run of low weeks up to the last one"),
        Feature("low_weeks_jump", IRREGULAR, "log ratio", "deviation of day-to-day changes within low weeks"),
        Feature("low_weeks_jump_ratio", IRREGULAR, "ratio",
                "deviation of day-to-day changes within low weeks over that of the others"),
    ),
    _on_and_off,
)  # fmt: skip

BLOCKS = (ON_AND_OFF_BLOCK,)
