"""What a change of consumption is made of: a formula on series of any step, its parameters' ranges, its source.

In:  honest kWh [series, step] (hourly, daily or monthly; missing NaN), the onset of each series, a random generator.
Out: registered kWh of the same shape; missing stays missing, nothing is negative, the input is left as it was.

theft.py and harmless.py hold the formulas. A formula answers as if the change went on at every step; steps before the
onset may serve it as history. Each series draws its own parameters, each parameter evenly from its range. An hourly
series begins at midnight.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Range = tuple[float, float]
Ranges = Mapping[str, Mapping[str, Range]]  # pattern -> parameter -> its least and most


class UnknownPattern(ValueError):
    """No pattern, or no parameter of a pattern, has this name."""


class WrongSeries(ValueError):
    """A pattern cannot be laid on these series."""


# --- series and patterns ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ConsumptionYear:
    """What a pattern sees: honest kWh and steps since the onset, negative before it. Both [series, step]"""

    kwh: np.ndarray
    since: np.ndarray
    rng: np.random.Generator
    steps_a_day: float  # 24 hourly, 1 daily, 12 / 365.25 monthly

    @property
    def is_hourly(self) -> bool:
        return self.steps_a_day >= 24

    @cached_property
    def place(self) -> np.ndarray:
        """Number of each step from the first of the matrix. [1, step]"""
        return np.arange(self.kwh.shape[1])[None, :]

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean of the honest series, 0 where all is missing. [series, 1]"""
        return _mean(self.kwh, ~np.isnan(self.kwh))

    def steps(self, days: np.ndarray, least: int = 1) -> np.ndarray:
        """Days as whole steps."""
        return np.maximum(np.rint(days * self.steps_a_day).astype(int), least)

    def mean_before(self, days: float = np.inf) -> np.ndarray:
        """Mean of the last days before the onset; of the whole series where nothing is known of them. [series, 1]"""
        is_past = (self.since < 0) & (self.since >= -max(days * self.steps_a_day, 1)) & ~np.isnan(self.kwh)
        return np.where(is_past.any(axis=1, keepdims=True), _mean(self.kwh, is_past), self.mean)

    def noise(self, least: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Independent even draws between two bounds. [series, step]"""
        return least + (most - least) * self.rng.random(self.kwh.shape)

    def used(self, first: np.ndarray, end: np.ndarray) -> np.ndarray:
        """kWh used from one place up to another, exclusive; missing counts as none. [series, step]"""
        first, end = (np.clip(np.broadcast_to(at, self.kwh.shape), 0, self.kwh.shape[1]) for at in (first, end))
        return np.take_along_axis(self._before, end, axis=1) - np.take_along_axis(self._before, first, axis=1)

    @cached_property
    def _before(self) -> np.ndarray:
        return np.pad(np.nancumsum(self.kwh, axis=1), ((0, 0), (1, 0)))

    def by_day(self) -> np.ndarray:
        """[series, day, hour], the last day filled up with NaN."""
        hours = round(self.steps_a_day)
        missing = -self.kwh.shape[1] % hours
        return np.pad(self.kwh, ((0, 0), (0, missing)), constant_values=np.nan).reshape(len(self.kwh), -1, hours)

    def from_days(self, values: np.ndarray) -> np.ndarray:
        """[series, day, hour] as `by_day` makes it -> [series, step]"""
        return values.reshape(len(self.kwh), -1)[:, : self.kwh.shape[1]]


def _mean(kwh: np.ndarray, counts: np.ndarray) -> np.ndarray:
    n = counts.sum(axis=1, keepdims=True)
    return np.where(counts, kwh, 0.0).sum(axis=1, keepdims=True) / np.maximum(n, 1)


@dataclass(frozen=True)
class Pattern:
    """A formula with its parameters' ranges and its source."""

    formula: Callable[..., np.ndarray]
    source: str
    ranges: Mapping[str, Range]
    wide: Mapping[str, Range]
    needs_hours: bool = False
    is_theft: bool = True

    @property
    def name(self) -> str:
        return self.formula.__name__

    def __call__(
        self,
        kwh: np.ndarray,
        since: np.ndarray,
        rng: np.random.Generator,
        steps_a_day: float = 1.0,
        ranges: Mapping[str, Range] | None = None,
    ) -> np.ndarray:
        """Registered kWh as if it went on at every step; `ranges` replaces those of the parameters it names."""
        kwh = np.asarray(kwh, float)
        if self.needs_hours and steps_a_day < 24:
            raise WrongSeries(
                f"{self.name} changes hours within a day; got {steps_a_day:g} steps a day. Give hourly kWh."
            )
        if strange := set(ranges or ()) - set(self.ranges):
            raise UnknownPattern(f"{self.name} has no parameter {sorted(strange)}; it has {sorted(self.ranges)}.")
        if not kwh.size:
            return kwh.copy()
        drawn = {
            name: rng.uniform(*bounds, (len(kwh), 1)) for name, bounds in {**self.ranges, **(ranges or {})}.items()
        }
        return np.where(np.isnan(kwh), np.nan, self.formula(ConsumptionYear(kwh, since, rng, steps_a_day), **drawn))

    def from_onset(
        self,
        kwh: np.ndarray,
        onset: np.ndarray,
        rng: np.random.Generator,
        steps_a_day: float = 1.0,
        ranges: Mapping[str, Range] | None = None,
    ) -> np.ndarray:
        """kWh with the pattern from each series' onset step on, as they were before it. onset [series]"""
        onset = np.asarray(onset)
        if onset.shape != (len(kwh),):
            raise WrongSeries(
                f"Got onsets of shape {onset.shape} for {len(kwh)} series; give one step number a series."
            )
        since = np.arange(np.shape(kwh)[1]) - onset[:, None]
        return np.where(since >= 0, self(kwh, since, rng, steps_a_day, ranges), kwh)


def by_name(patterns: Mapping[str, Pattern], name: str, what: str) -> Pattern:
    """Raises UnknownPattern, which lists those there are. [what: they are, in words]"""
    if name not in patterns:
        raise UnknownPattern(f"There is no {what} {name!r}; there are {', '.join(patterns)}.")
    return patterns[name]


def pattern(source: str, needs_hours: bool = False, is_theft: bool = True, **ranges: tuple[Range, Range]) -> Callable:
    """Make a formula a `Pattern`; each parameter comes with its published and its wide range."""
    usual, wide = ({name: both[place] for name, both in ranges.items()} for place in (0, 1))
    return lambda formula: Pattern(formula, source, usual, wide, needs_hours, is_theft)
