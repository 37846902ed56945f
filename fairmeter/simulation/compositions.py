"""Thefts by composition: on which days, what is registered on them, how the theft goes on, how much it takes.

In:  honest kWh [series, day], missing NaN; the first day (since 1970); the onset column of each series; a generator.
Out: registered kWh of the same shape; missing stays missing, nothing is negative, the input is not changed.

The published patterns are a few points of this space. Its combinations teach a model what thefts have in common.
Values of HELD_OUT and of TUNING are in no training file: the first are reported, the second serve to choose by.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_YEAR
from fairmeter.simulation.pattern import ConsumptionYear

SIZES = (0.2, 1.0)  # share of a chosen day's consumption that is taken, drawn uniformly
MIDSUMMER = int(np.datetime64("2013-06-21").astype(np.int64))  # of the northern hemisphere
WEATHER_DAYS = 29  # days of the moving mean that takes the season out of the demand
EVERY_DAY_WEIGHT = 3.0  # of thefts on all days beside those on chosen days
TURN_DAYS = (20.0, 150.0)  # from the onset until a second composition takes over


class Composition(NamedTuple):
    """A theft by the names of its parts: in DAYS, FORMS and COURSES."""

    days: str
    form: str
    course: str

    def __str__(self) -> str:
        return ", ".join(self)


@dataclass(frozen=True, eq=False)
class ComposedSeries:
    """Input of the parts of a composition: series with dates, the size of each theft, and the common demand."""

    year: ConsumptionYear
    day: np.ndarray  # int64 (1, day): since 1970
    size: np.ndarray  # (series, 1): share that is taken
    demand: np.ndarray  # (1, day): log of the common demand less that of its month, NaN where unknown

    @property
    def kwh(self) -> np.ndarray:
        return self.year.kwh

    @property
    def since(self) -> np.ndarray:
        return self.year.since

    def draw(self, low: float, high: float) -> np.ndarray:
        """One uniform draw for each series. [(series, 1)]"""
        return self.year.rng.uniform(low, high, (len(self.kwh), 1))

    def of(self, rows: np.ndarray) -> "ComposedSeries":
        """[numbers]"""
        year = ConsumptionYear(self.kwh[rows], self.since[rows], self.year.rng, 1.0)
        return ComposedSeries(year, self.day, self.size[rows], self.demand)

    def quantile(self, share: np.ndarray) -> np.ndarray:
        """Quantile of each series' known days, 0 without any. [share: (series, 1)]"""
        n = np.count_nonzero(~np.isnan(self.kwh), axis=1, keepdims=True)
        place = np.clip((share * n).astype(int), 0, np.maximum(n - 1, 0))
        return np.nan_to_num(np.take_along_axis(self.ordered, place, axis=1))

    @cached_property
    def ordered(self) -> np.ndarray:
        return np.sort(self.kwh, axis=1)


# --- on which days ----------------------------------------------------------------------------------------------------


def every_day(at: ComposedSeries) -> np.ndarray:
    """All days."""
    return np.ones(at.kwh.shape, dtype=bool)


def weekends(at: ComposedSeries) -> np.ndarray:
    """Saturdays and Sundays."""
    return (_weekday(at) >= 5) & every_day(at)


def working_days(at: ComposedSeries) -> np.ndarray:
    """Mondays to Fridays."""
    return ~weekends(at)


def some_weekdays(at: ComposedSeries) -> np.ndarray:
    """One to four days of the week."""
    order = np.argsort(at.year.rng.random((len(at.kwh), 7)), axis=1).argsort(axis=1)
    return np.take_along_axis(order, _weekday(at) + np.zeros(at.kwh.shape, int), axis=1) < np.rint(at.draw(1, 4))


def whole_weeks(at: ComposedSeries) -> np.ndarray:
    """Weeks from Monday on, at random, a quarter to three quarters of them."""
    week = (at.day + 3) // 7
    return _at_random(at, week - week.min(), at.draw(0.25, 0.75))


def blocks(at: ComposedSeries) -> np.ndarray:
    """Blocks of 2 to 20 days, with 2 to 30 days between them."""
    length, between = np.rint(at.draw(2, 20)), np.rint(at.draw(2, 30))
    return at.since % (length + between) < length


def random_days(at: ComposedSeries) -> np.ndarray:
    """Days at random, a fifth to four fifths of them."""
    return _at_random(at, np.arange(at.kwh.shape[1])[None], at.draw(0.2, 0.8))


def winter(at: ComposedSeries) -> np.ndarray:
    """Days around midwinter, three to seven months of each year."""
    return _from_midsummer(at) > DAYS_PER_YEAR / 2 - at.draw(45, 105)


def summer(at: ComposedSeries) -> np.ndarray:
    """Days around midsummer, three to seven months of each year."""
    return _from_midsummer(at) < at.draw(45, 105)


def high_demand(at: ComposedSeries) -> np.ndarray:
    """Days on which all use more than usual in that month, as on the coldest."""
    return at.demand > _demand_bound(at, at.draw(0.5, 0.85))


def low_demand(at: ComposedSeries) -> np.ndarray:
    """Days on which all use less than usual in that month, as on the warmest."""
    return at.demand < _demand_bound(at, at.draw(0.15, 0.5))


def every_few_days(at: ComposedSeries) -> np.ndarray:
    """Every second to every fifth day."""
    return at.since % np.rint(at.draw(2, 5)) == 0


def early_in_month(at: ComposedSeries) -> np.ndarray:
    """The first days of each month, six to twenty."""
    date = at.day.astype("datetime64[D]")
    return (date - date.astype("datetime64[M]")).astype(int) < np.rint(at.draw(6, 20))


def _weekday(at: ComposedSeries) -> np.ndarray:
    """0 (Monday) .. 6. [(1, day)]"""
    return (at.day + 3) % 7


def _at_random(at: ComposedSeries, number: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Units of days, chosen at random. [number: of each day's unit, (1, day); share: (series, 1)]"""
    return (at.year.rng.random((len(at.kwh), int(number.max()) + 1)) < share)[:, number[0]]


def _from_midsummer(at: ComposedSeries) -> np.ndarray:
    """Days from the nearest midsummer. [(1, day)]"""
    half = DAYS_PER_YEAR / 2
    return np.abs((at.day - MIDSUMMER + half) % DAYS_PER_YEAR - half)


def _demand_bound(at: ComposedSeries, share: np.ndarray) -> np.ndarray:
    """A quantile of the demand, infinite where no demand is known. [share: (series, 1)]"""
    known = at.demand[~np.isnan(at.demand)]
    return np.quantile(known, share) if len(known) else np.full(share.shape, np.nan)


# --- what is registered on them ---------------------------------------------------------------------------------------


def scaled(at: ComposedSeries) -> np.ndarray:
    """A share of the consumption."""
    return at.kwh * (1.0 - at.size)


def subtracted(at: ComposedSeries) -> np.ndarray:
    """The consumption less a constant, at least 0."""
    return np.maximum(at.kwh - at.size * at.year.mean, 0.0)


def capped(at: ComposedSeries) -> np.ndarray:
    """At most a quantile of the client's own days."""
    return np.minimum(at.kwh, at.quantile(1.0 - at.size))


def flat(at: ComposedSeries) -> np.ndarray:
    """The same on all days: a share of the mean before."""
    return (1.0 - at.size) * at.year.mean_before() * np.ones(at.kwh.shape)


def copied(at: ComposedSeries) -> np.ndarray:
    """A share of one to five weeks before the onset, again and again."""
    period = 7 * np.rint(at.draw(1, 5)).astype(int)
    place = np.arange(at.kwh.shape[1])[None] - at.since - period + at.since % period
    former = np.take_along_axis(at.kwh, np.clip(place, 0, at.kwh.shape[1] - 1), axis=1)
    return (1.0 - at.size) * np.where(np.isnan(former), at.year.mean_before(), former)


def zero(at: ComposedSeries) -> np.ndarray:
    """Nothing."""
    return np.zeros(at.kwh.shape)


def mixed(at: ComposedSeries) -> np.ndarray:
    """One of two other forms, anew on each day."""
    forms = np.array([form(at) for form in (scaled, subtracted, capped, flat, zero)])
    pair = np.argsort(at.year.rng.random((len(at.kwh), len(forms))), axis=1)[:, :2]
    row, column = np.arange(len(at.kwh))[:, None], np.arange(at.kwh.shape[1])
    chosen = np.where(at.year.rng.random(at.kwh.shape) < at.draw(0.2, 0.8), pair[:, :1], pair[:, 1:])
    return forms[chosen, row, column]


def compressed(at: ComposedSeries) -> np.ndarray:
    """Differences from the mean shrunk, and half of the size taken."""
    ratio = at.kwh / np.maximum(at.year.mean, 1e-9)
    return (1.0 - at.size / 2.0) * at.year.mean * ratio ** (1.0 - at.size)


def base_kept(at: ComposedSeries) -> np.ndarray:
    """The base load, and a share of what exceeds it: one circuit is by-passed."""
    base = at.quantile(np.full(at.size.shape, 0.1))
    return np.minimum(at.kwh, base + (1.0 - at.size) * np.maximum(at.kwh - base, 0.0))


# --- how it goes on ---------------------------------------------------------------------------------------------------


def lasting(at: ComposedSeries) -> np.ndarray:
    """In full from the onset on."""
    return np.ones(at.kwh.shape)


def growing(at: ComposedSeries) -> np.ndarray:
    """Growing to its full size within 30 to 240 days."""
    return np.clip((at.since + 1.0) / at.draw(30, 240), 0.0, 1.0)


def on_and_off(at: ComposedSeries) -> np.ndarray:
    """On for 5 to 60 days, off for 3 to 60 days, and so on."""
    on, off = at.draw(5, 60), at.draw(3, 60)
    return (at.since % (on + off) < on).astype(float)


def ending(at: ComposedSeries) -> np.ndarray:
    """Over after 20 to 180 days."""
    return (at.since < at.draw(20, 180)).astype(float)


def fading(at: ComposedSeries) -> np.ndarray:
    """In full at the onset, then less and less for 90 to 300 days."""
    return np.clip(1.0 - at.since / at.draw(90, 300), 0.0, 1.0)


def in_stairs(at: ComposedSeries) -> np.ndarray:
    """In two to four equal steps, 20 to 60 days apart."""
    n = np.rint(at.draw(2, 4))
    return np.clip((at.since // at.draw(20, 60) + 1.0) / n, 0.0, 1.0)


# --- compositions -----------------------------------------------------------------------------------------------------

Part = Callable[[ComposedSeries], np.ndarray]


def _by_name(*parts: Part) -> dict[str, Part]:
    return {part.__name__: part for part in parts}


DAYS = _by_name(
    every_day, weekends, working_days, some_weekdays, whole_weeks, blocks, random_days, winter, summer, high_demand,
    low_demand, every_few_days, early_in_month,
)  # fmt: skip
FORMS = _by_name(scaled, subtracted, capped, flat, copied, zero, mixed, compressed, base_kept)
COURSES = _by_name(lasting, growing, on_and_off, ending, fading, in_stairs)
ALL = tuple(Composition(*names) for names in product(DAYS, FORMS, COURSES))
TUNING_VALUES = {every_few_days.__name__, compressed.__name__, fading.__name__}
HELD_OUT_VALUES = {early_in_month.__name__, base_kept.__name__, in_stairs.__name__}
KEPT_VALUES = TUNING_VALUES | HELD_OUT_VALUES
TRAINED = tuple(each for each in ALL if not KEPT_VALUES & set(each))
# Exactly one part of these is unknown to a model, and no other of the values kept from it.
TUNING, HELD_OUT = (
    tuple(each for each in ALL if len(values & set(each)) == len(KEPT_VALUES & set(each)) == 1)
    for values in (TUNING_VALUES, HELD_OUT_VALUES)
)


def sample_compositions(choices: Sequence[Composition], n: int, rng: np.random.Generator) -> list[Composition]:
    """Random compositions; each part that they name is as frequent as among the choices."""
    weight = np.array([EVERY_DAY_WEIGHT if each.days == every_day.__name__ else 1.0 for each in choices])
    return [choices[i] for i in rng.choice(len(choices), n, p=weight / weight.sum())]


def apply_compositions(
    kwh: np.ndarray, onset: np.ndarray, first_day: int, chosen: Sequence[Composition], rng: np.random.Generator
) -> np.ndarray:
    """Apply to each series its composition from its onset column on. [chosen: one a series]"""
    day = first_day + np.arange(kwh.shape[1])[None]
    since = day - first_day - onset[:, None]
    at = ComposedSeries(ConsumptionYear(kwh, since, rng, 1.0), day, rng.uniform(*SIZES, (len(kwh), 1)), _demand(kwh))
    is_chosen = _compute(DAYS, at, [each.days for each in chosen]) * (since >= 0)
    part = is_chosen * _compute(COURSES, at, [each.course for each in chosen])
    registered = _compute(FORMS, at, [each.form for each in chosen])
    return np.where(part > 0, np.maximum(kwh + part * (registered - kwh), 0.0), kwh)


def apply_in_turn(
    kwh: np.ndarray,
    onset: np.ndarray,
    first_day: int,
    chosen: tuple[Sequence[Composition], Sequence[Composition]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Apply a first composition, and after TURN_DAYS a second one instead. [chosen: first and second of each series]"""
    turn = onset + rng.uniform(*TURN_DAYS, len(kwh)).astype(int)
    first = apply_compositions(kwh, onset, first_day, chosen[0], rng)
    second = apply_compositions(kwh, turn, first_day, chosen[1], rng)
    return np.where(np.arange(kwh.shape[1]) < turn[:, None], first, second)


def _compute(parts: Mapping[str, Part], at: ComposedSeries, names: Sequence[str]) -> np.ndarray:
    """The part of each series' composition that is called by its name. [(series, day)]"""
    out, each = np.zeros(at.kwh.shape), np.array(names)
    for name in np.unique(each):
        rows = np.flatnonzero(each == name)
        out[rows] = parts[name](at.of(rows))
    return out


def _demand(kwh: np.ndarray) -> np.ndarray:
    """Log of the mean of all series, each over its own mean, less its moving mean. [(1, day), NaN where unknown]"""
    known = ~np.isnan(kwh)
    level = np.where(known, kwh, 0.0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    relative = np.where(known, kwh / np.where(level > 0, level, 1.0), 0.0)
    n = known.sum(axis=0)
    common = np.log(relative.sum(axis=0) / np.maximum(n, 1) + 0.01)
    kernel = np.ones(WEATHER_DAYS)
    usual = np.convolve(np.where(n > 0, common, 0.0), kernel, "same") / np.maximum(
        np.convolve(n > 0, kernel, "same"), 1.0
    )
    return np.where(n > 0, common - usual, np.nan)[None]
