"""Patterns of consumption change: a formula on series of any step, the ranges of its parameters, its source.

In:  honest kWh [series, step] (hourly, daily or monthly; missing NaN), the onset of each series, a random generator.
Out: registered kWh of the same shape; missing stays missing, nothing is negative, the input is not changed.

theft_patterns.py and harmless_patterns.py hold the formulas. A formula is evaluated as if the change applied to every
step; it may use steps before the onset as history. The parameters of each series are drawn uniformly from their ranges.
An hourly series begins at midnight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Range = tuple[float, float]
Ranges = Mapping[str, Mapping[str, Range]]  # pattern -> parameter -> (lowest, highest)


class UnknownPattern(ValueError):
    """There is no pattern, or no parameter of a pattern, of this name."""


class WrongSeries(ValueError):
    """A pattern cannot be applied to these series."""


# --- series and patterns ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ConsumptionYear:
    """Input of a formula: honest kWh and steps since the onset, negative before it; both (series, step)."""

    kwh: np.ndarray
    since: np.ndarray
    rng: np.random.Generator
    steps_per_day: float  # 24 hourly, 1 daily, 12 / 365.25 monthly

    @property
    def is_hourly(self) -> bool:
        """Whether a day has 24 steps or more."""
        return self.steps_per_day >= 24

    @cached_property
    def place(self) -> np.ndarray:
        """Number of each step in the matrix, from 0. [(1, step)]"""
        return np.arange(self.kwh.shape[1])[None, :]

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of the honest series, 0 where all is missing. [(series, 1)]"""
        return _mean(self.kwh, ~np.isnan(self.kwh))

    def steps(self, days: np.ndarray, minimum: int = 1) -> np.ndarray:
        """Days as whole steps, at least `minimum`."""
        return np.maximum(np.rint(days * self.steps_per_day).astype(int), minimum)

    def mean_before(self, days: float = np.inf) -> np.ndarray:
        """Mean of the last days before the onset, else of the whole series. [(series, 1)]"""
        is_past = (self.since < 0) & (self.since >= -max(days * self.steps_per_day, 1)) & ~np.isnan(self.kwh)
        return np.where(is_past.any(axis=1, keepdims=True), _mean(self.kwh, is_past), self.mean)

    def noise(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Independent uniform draws between two bounds. [(series, step)]"""
        return low + (high - low) * self.rng.random(self.kwh.shape)

    def used(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """kWh used from one step up to another, exclusive; missing counts as 0. [(series, step)]"""
        first, end = (np.clip(np.broadcast_to(at, self.kwh.shape), 0, self.kwh.shape[1]) for at in (first, end))
        return np.take_along_axis(self._before, end, axis=1) - np.take_along_axis(self._before, first, axis=1)

    @cached_property
    def _before(self) -> np.ndarray:
        return np.pad(np.nancumsum(self.kwh, axis=1), ((0, 0), (1, 0)))

    def by_day(self) -> np.ndarray:
        """The hourly series by day, the last day padded with NaN. [(series, day, hour)]"""
        hours = round(self.steps_per_day)
        missing = -self.kwh.shape[1] % hours
        return np.pad(self.kwh, ((0, 0), (0, missing)), constant_values=np.nan).reshape(len(self.kwh), -1, hours)

    def from_days(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `by_day`. [(series, day, hour) -> (series, step)]"""
        return values.reshape(len(self.kwh), -1)[:, : self.kwh.shape[1]]


def _mean(kwh: np.ndarray, counts: np.ndarray) -> np.ndarray:
    n = counts.sum(axis=1, keepdims=True)
    return np.where(counts, kwh, 0.0).sum(axis=1, keepdims=True) / np.maximum(n, 1)


@dataclass(frozen=True)
class Pattern:
    """A formula with the ranges of its parameters and its source."""

    formula: Callable[..., np.ndarray]
    source: str
    ranges: Mapping[str, Range]
    wide: Mapping[str, Range]
    needs_hours: bool = False
    is_theft: bool = True

    @property
    def name(self) -> str:
        """The name of the formula."""
        return self.formula.__name__

    def __call__(
        self,
        kwh: np.ndarray,
        since: np.ndarray,
        rng: np.random.Generator,
        steps_per_day: float = 1.0,
        ranges: Mapping[str, Range] | None = None,
    ) -> np.ndarray:
        """Apply the formula to every step; `ranges` replaces those of the parameters that it names."""
        kwh = np.asarray(kwh, float)
        if self.needs_hours and steps_per_day < 24:
            raise WrongSeries(
                f"{self.name} changes hours within a day; got {steps_per_day:g} steps per day. Give hourly kWh."
            )
        if unknown := set(ranges or ()) - set(self.ranges):
            raise UnknownPattern(f"{self.name} has no parameter {sorted(unknown)}; it has {sorted(self.ranges)}.")
        if not kwh.size:
            return kwh.copy()
        sampled = {
            name: rng.uniform(*bounds, (len(kwh), 1)) for name, bounds in {**self.ranges, **(ranges or {})}.items()
        }
        return np.where(np.isnan(kwh), np.nan, self.formula(ConsumptionYear(kwh, since, rng, steps_per_day), **sampled))

    def from_onset(
        self,
        kwh: np.ndarray,
        onset: np.ndarray,
        rng: np.random.Generator,
        steps_per_day: float = 1.0,
        ranges: Mapping[str, Range] | None = None,
    ) -> np.ndarray:
        """kWh with the pattern from the onset step of each series, unchanged before. [onset: (series,)]"""
        onset = np.asarray(onset)
        if onset.shape != (len(kwh),):
            raise WrongSeries(
                f"Got onsets of shape {onset.shape} for {len(kwh)} series; give one step number per series."
            )
        since = np.arange(np.shape(kwh)[1]) - onset[:, None]
        return np.where(since >= 0, self(kwh, since, rng, steps_per_day, ranges), kwh)


def find_pattern(patterns: Mapping[str, Pattern], name: str, what: str) -> Pattern:
    """The pattern of a name; raises UnknownPattern with all names. [what: noun for the message]"""
    if name not in patterns:
        raise UnknownPattern(f"Unknown {what} {name!r}; there are {', '.join(patterns)}.")
    return patterns[name]


def pattern(source: str, needs_hours: bool = False, is_theft: bool = True, **ranges: tuple[Range, Range]) -> Callable:
    """Decorate a formula as a `Pattern`; each parameter is given with its published and its wide range."""
    usual, wide = ({name: both[place] for name, both in ranges.items()} for place in (0, 1))
    return lambda formula: Pattern(formula, source, usual, wide, needs_hours, is_theft)
