"""The last two years of daily consumption as matrices, in which all clients end in the last column.

In:  DailyConsumption; Covariates where the neighbours are known.
Out: RecentDays: kWh, the neighbours' factor, weeks; medians and quantiles of windows of columns.

Matrices always have DAYS columns, so that a client's values do not depend on the clients beside it, to the last bit.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairmeter.analysis.anomalies.evidence import quantile, row_sums
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import Covariates

WEEK, WEEKS = 7, 104
MAX_GAP = 2  # days on which a run may pause
QUARTER = 91  # days
DAYS = WEEK * WEEKS
OFFSET = 0.05  # of the level, added before the logarithm: a week of zero must stay finite
MIN_KNOWN = 0.5  # of a window's days
MIN_COVERED = 0.5  # of a client's known days with a neighbours' factor
MIN_LEVEL = 1e-3  # kWh per day: keeps ratios of empty homes finite


@dataclass(frozen=True)
class RecentDays:
    """Days of some clients, each with at least one. Matrices are (clients, DAYS) unless noted otherwise."""

    kwh: np.ndarray  # NaN where missing
    factor: np.ndarray  # log ratio of the neighbours to their level; 0 for clients without known neighbours
    is_covered: np.ndarray  # (clients,): whether the neighbours are known
    last: np.ndarray  # int64 (clients,): each client's last day, since 1970
    hours: np.ndarray | None = None  # (clients, DAYS, 24): kWh by hour of day

    @classmethod
    def of(cls, days: DailyConsumption, covariates: Covariates | None = None) -> "RecentDays":
        """Place the last DAYS days of each client. [every client has a row]"""
        segments = days.segments
        back = np.arange(DAYS)[::-1]
        row = np.where(back < segments.counts[:, None], segments.ends[:, None] - 1 - back, segments.n_rows)
        kwh = np.append(days.kwh, np.nan)[row]
        factor = np.full(segments.n_rows, np.nan) if covariates is None else covariates.at(segments.index, days.day)[0]
        known = np.append(factor, np.nan)[row]
        is_covered = _is_covered(kwh, known)
        factor = np.where(is_covered[:, None], np.where(np.isnan(known), 0.0, known), 0.0)
        hours = None if days.hours is None else np.concatenate([days.hours, np.full((1, 24), np.nan)])[row]
        return cls(kwh, factor, is_covered, segments.last(days.day.astype(np.float64)).astype(np.int64), hours)

    @cached_property
    def level(self) -> np.ndarray:
        """Median known day, the mean where most days are near zero. [kWh per day, (clients,)]"""
        known = ~np.isnan(self.kwh)
        mean = row_sums(np.where(known, self.kwh, 0.0)) / np.maximum(known.sum(axis=1), 1)
        middle = quantile(self.kwh, 0.5)
        return np.maximum(np.where(middle > OFFSET * mean, middle, mean), MIN_LEVEL)

    @cached_property
    def adjusted(self) -> np.ndarray:
        """Consumption without what the neighbours share: season and weather. [kWh]"""
        return self.kwh / np.exp(self.factor)

    @cached_property
    def weekly(self) -> np.ndarray:
        """Logarithm of each week's mean adjusted day relative to the level. [(clients, WEEKS), NaN with few days]"""
        return np.log(week_means(self.adjusted) / self.level[:, None] + OFFSET)

    @cached_property
    def weekly_apart(self) -> np.ndarray:
        """As `weekly`, adjusted by the client's own sensitivity to the neighbours' factor; NaN without neighbours."""
        own = np.log(week_means(self.kwh) / self.level[:, None] + OFFSET)
        shared = week_means(np.where(np.isnan(self.kwh), np.nan, self.factor))
        rest = own - _sensitivity(own, shared)[:, None] * shared
        return np.where(self.is_covered[:, None], rest, np.nan)

    @cached_property
    def smooth(self) -> np.ndarray:
        """Median of each day with the days before and after it. [kWh]"""
        return smoothed(self.kwh)

    @cached_property
    def smooth_adjusted(self) -> np.ndarray:
        """As `smooth`, of the adjusted consumption. [kWh]"""
        return smoothed(self.adjusted)

    def day_of(self, client: int, column: int) -> int:
        """Day of a client's column, since 1970."""
        return int(self.last[client]) - (DAYS - 1) + int(column)

    def around(self, client: int, first: int, last: int) -> dict[str, float]:
        """Mean day within some columns, the median of the quarter before, and their number. [kWh, days]"""
        own = self.kwh[client]
        inside, before = own[first : last + 1], own[max(first - QUARTER, 0) : first]
        return {
            "during": float(np.nanmean(inside)) if (~np.isnan(inside)).any() else np.nan,
            "before": float(np.nanmedian(before)) if (~np.isnan(before)).any() else np.nan,
            "n_days": float(last - first + 1),
        }


# --- windows ----------------------------------------------------------------------------------------------------------


def window_quantile(values: np.ndarray, stops: np.ndarray, length: int, share: float = 0.5) -> np.ndarray:
    """Quantile of the `length` columns before each of `stops`; NaN if fewer than half are known. [(clients, stops)]"""
    column = stops[:, None] - length + np.arange(length)
    inside = np.where(column < 0, values.shape[1], column)
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    return quantile(padded[:, inside], share, int(np.ceil(MIN_KNOWN * length)))


def part_quantile(values: np.ndarray, start: int, stop: int, share: float = 0.5) -> np.ndarray:
    """Quantile of some columns; NaN if fewer than half are known. [negative numbers count from the end; (clients,)]"""
    part = np.ascontiguousarray(values[:, start : stop or None])
    return quantile(part, share, int(np.ceil(MIN_KNOWN * part.shape[1])))


def week_means(values: np.ndarray, min_known: float = WEEK * MIN_KNOWN) -> np.ndarray:
    """Mean of each week's known columns; NaN with fewer than `min_known`. [(clients, WEEKS)]"""
    weeks = values.reshape(len(values), WEEKS, WEEK)
    known = ~np.isnan(weeks)
    total, n = row_sums(np.where(known, weeks, 0.0)), known.sum(axis=2)
    return np.where(n >= min_known, total / np.maximum(n, 1), np.nan)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Median of each column with the columns before and after it; with two known ones the lower."""
    near = np.full((3, *values.shape), np.nan)
    near[0], near[1, :, 1:], near[2, :, :-1] = values, values[:, :-1], values[:, 1:]
    near.sort(axis=0)  # NaN comes last
    return np.where(np.isnan(near[2]), near[0], near[1])


def run_around(mask: np.ndarray, column: int) -> tuple[int, int]:
    """(first, last) column of the run of True nearest to a column of one row, over gaps of up to MAX_GAP.

    The column itself where nothing is True.
    """
    at = np.flatnonzero(mask)
    if not len(at):
        return column, column
    nearest = int(np.abs(at - column).argmin())
    breaks = np.flatnonzero(np.diff(at) > MAX_GAP + 1) + 1
    place = int(np.searchsorted(breaks, nearest, side="right"))
    bounds = np.concatenate([[0], breaks, [len(at)]])
    return int(at[bounds[place]]), int(at[bounds[place + 1] - 1])


def run_lengths(mask: np.ndarray) -> np.ndarray:
    """Length of the run of True that ends at each column, 0 where it is False. [int64, the same shape]"""
    place = np.arange(mask.shape[1])
    return place - np.maximum.accumulate(np.where(mask, -1, place), axis=1)


def filled_forward(mask: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mask, in which an unknown column has the value of the last known one before it."""
    if known.all():
        return mask
    place = np.maximum.accumulate(np.where(known, np.arange(mask.shape[1]), -1), axis=1)
    return (place >= 0) & mask[np.arange(len(mask))[:, None], np.maximum(place, 0)]


YEAR_WEEKS = 52


def weeks_since_rise(week: np.ndarray) -> int:
    """Weeks since the clearest rise within the last year of one client."""
    known = ~np.isnan(week)
    total, n = np.where(known, week, 0.0).cumsum(), known.cumsum()
    before, n_before = total[-YEAR_WEEKS - 1 : -1], n[-YEAR_WEEKS - 1 : -1]
    n_after = n[-1] - n_before
    gap = (total[-1] - before) / np.maximum(n_after, 1) - before / np.maximum(n_before, 1)
    between = np.where((gap > 0) & (n_before > 0), gap * gap * n_before * n_after, -1.0)
    return YEAR_WEEKS - int(between.argmax())


# --- neighbours -------------------------------------------------------------------------------------------------------

LATELY = 13  # weeks that do not count for the sensitivity
PRIOR = 30  # weeks of the ridge prior at a sensitivity of 1
SENSITIVITIES = (-0.5, 2.5)


def _is_covered(kwh: np.ndarray, factor: np.ndarray) -> np.ndarray:
    known = ~np.isnan(kwh)
    return (known & ~np.isnan(factor)).sum(axis=1) >= np.maximum(MIN_COVERED * known.sum(axis=1), 1)


def _sensitivity(own: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Slope of a client's weeks on the neighbours' factor, shrunk towards 1. [(clients, WEEKS) -> (clients,)]"""
    own, shared = own[:, :-LATELY], shared[:, :-LATELY]
    known = ~np.isnan(own + shared)
    n = np.maximum(known.sum(axis=1), 1)
    off = [np.where(known, each - (_total(known, each) / n)[:, None], 0.0) for each in (own, shared)]
    squares, products = _total(known, off[1] * off[1]), _total(known, off[0] * off[1])
    prior = PRIOR * squares / n + 1e-6
    return np.clip((products + prior) / (squares + prior), *SENSITIVITIES)


def _total(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    return row_sums(np.where(known, values, 0.0))
