"""Daily series from which features are computed.

In:  DailyConsumption (every client with at least one row), and Covariates or None.
Out: DailySeries: log consumption, its residual after the neighbours' factor, the clearest change.
"""

from functools import cached_property

import numpy as np

from fairmeter.core.change_points import ChangePoint, ChangePoints, RunningSums
from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import OFFSET, Covariates, log_relative

MONDAY = 4  # 1970-01-01 was a Thursday: (day + 3) % 7 is 0 on Mondays
MIN_SLOPE_DAYS = 14  # a slope over fewer days is noise
MIN_COVERED_SHARE = 0.5  # of a client's days with a factor: with fewer, only its own history is used


class DailySeries:
    """Series of daily consumption, of shape (rows,) unless noted otherwise. Missing stays NaN."""

    def __init__(self, days: DailyConsumption, covariates: Covariates | None) -> None:
        self.days, self.segments, self.kwh, self.day = days, days.segments, days.kwh, days.day
        self.level, self.log = log_relative(days)
        self.relative = np.exp(self.log) - OFFSET
        if covariates is None:
            self.factor = self.temperature = self.holiday = np.full(len(self.kwh), np.nan)
        else:
            self.factor, self.temperature, self.holiday = covariates.at(self.segments.index, self.day)
        losses = covariates and covariates.losses
        self.transformer_loss = None if losses is None else losses.at(self.segments.index, self.day)  # [kWh]
        known = ~np.isnan(self.kwh)
        n, n_both = self.segments.total(np.array([known, known & ~np.isnan(self.factor)], dtype=np.float64))
        self.n_known = n
        self.is_covered = n_both >= MIN_COVERED_SHARE * n  # (clients,)
        self.has_weather, self.has_holidays = (not np.isnan(x).all() for x in (self.temperature, self.holiday))

    @property
    def is_unread(self) -> np.ndarray:
        """Days without a reading. Those of a total spread over them were read, though not apart."""
        missing, is_spread = np.isnan(self.kwh), self.days.is_spread
        return missing if is_spread is None else missing & ~is_spread

    @cached_property
    def weekday(self) -> np.ndarray:
        """0 (Monday) .. 6."""
        return (self.day + 3) % 7

    @cached_property
    def neighbour_factor(self) -> np.ndarray:
        """The neighbours' factor; 0 for clients that it does not cover, NaN on dates without it."""
        return np.where(self.segments.broadcast(self.is_covered), self.factor, 0.0)

    @cached_property
    def off_neighbours(self) -> np.ndarray:
        """Log consumption minus the neighbours' factor."""
        return self.log - self.neighbour_factor

    @cached_property
    def changes(self) -> ChangePoints:
        """Change points of log consumption minus the neighbours' factor, and of log consumption."""
        factor = np.where(np.isnan(self.neighbour_factor), 0.0, self.neighbour_factor)
        return ChangePoints(
            self.segments, np.array([self.off_neighbours, self.log]), np.array([factor, np.zeros_like(factor)])
        )

    @cached_property
    def steps(self) -> list[ChangePoint]:
        """The clearest fall, rise, and step in either direction, of both series of `changes`."""
        return self.changes.best((1,), (-1, 1, 0))

    @property
    def step(self) -> ChangePoint:
        """The clearest step in either direction."""
        return self.steps[2]

    @cached_property
    def residual(self) -> np.ndarray:
        """Log consumption minus the neighbours' factor times the client's own sensitivity to it."""
        return self.off_neighbours - self.segments.broadcast(self.step.slope[0]) * self.neighbour_factor

    @cached_property
    def shape(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(number known, mean, deviation, skewness) of residual, log, relative. [(3, clients) each]"""
        return self.segments.shape(np.array([self.residual, self.log, self.relative]))

    @cached_property
    def running(self) -> RunningSums:
        """Running number known, sum and sum of squares of residual, log, relative. [(3, 3, rows)]"""
        series = np.array([self.residual, self.log, np.minimum(self.relative, 1e3)])
        known = ~np.isnan(series)
        series = np.where(known, series, 0.0)
        return RunningSums(np.array([known, series, series * series]))

    def window(
        self, start: np.ndarray, stop: np.ndarray, series: slice = slice(3)
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number known, mean, variance) of residual, log, relative in rows start .. stop - 1. [(3, *shape) each]"""
        n, total, squares = self.running.between(start, stop, (slice(None), series))
        mean = total / n
        return n, mean, np.maximum(squares / n - mean * mean, 0.0)

    def stretches(self, days: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(number known, mean, variance) of residual in the `days` rows before each row. [(days, rows + 1) each]"""
        n, total, squares = self.running.trailing(days, (slice(None), 0))
        mean = total / n
        return n, mean, np.maximum(squares / n - mean * mean, 0.0)

    def since_end(self, days: int) -> np.ndarray:
        """The first of the last `days` rows of each client. [int64, (clients,)]"""
        return np.maximum(self.segments.ends - days, self.segments.starts)


def split_segments(segments: Segments, row: np.ndarray) -> Segments:
    """Two segments per client: the rows before `row`, and those from it on. [row: (copies, clients) or (clients,)]"""
    before = np.minimum(np.maximum(row - segments.starts, 0), segments.counts)
    return Segments(np.stack([before, segments.counts - before], axis=-1).ravel())


def slope(rows: DailySeries, series: np.ndarray, covariate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(least-squares slope, correlation) of each series on its covariate. [(..., rows) -> (..., clients)]"""
    segments = rows.segments
    both = np.where(np.isnan(series + covariate), np.nan, np.array([series, covariate]))
    n, mean, deviation = segments.moments(both)
    off = both - segments.broadcast(mean)
    shared = segments.mean(off[0] * off[1])
    found = np.where(n[0] >= MIN_SLOPE_DAYS, shared / (deviation[1] * deviation[1]), np.nan)
    return found, found * deviation[1] / deviation[0]
