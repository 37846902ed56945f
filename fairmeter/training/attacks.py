"""Real honest households -> files of readings of which half steal, for training and for a fair test.

In:  Base: daily consumption of honest households on one calendar.
Out: Attacked: Days with label, what was done to whom from when on, and the Covariates a detector is given.

The rules of a fair test: households are split before anything is attacked, each part with its own seed; windows, gaps
and onsets are drawn alike for thieves and honest clients; some of the honest have a harmless change. No detector sees a
parameter or an onset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import MIRROR, Covariates, TransformerLosses
from fairmeter.simulation import harmless_patterns as harmless
from fairmeter.simulation import theft_patterns

HONEST = "honest"
SHORTEST, LEAST_KNOWN = 60, 30  # days of a window, and of them known
LEAST_LOSS = 0.02  # of the energy since the onset: below, nothing was stolen
MIDSUMMER = int(np.datetime64("2013-06-21").astype(np.int64))  # where the sun is high in June
SETTLED = 62  # days: an estimate that nobody caught up with for two months is worth a visit
RESOLUTION = 1000.0  # a meter registers whole Wh: a theft must not be told by its decimals
# Of a file whose transformers are measured: clients of one, thieves among them, and how far off the losses are that an
# engineer reckons, all the time and from day to day. [clients; share; shares of what is delivered]
BEHIND, THIEVES, OFF, OFF_DAILY = (10, 80), 0.065, 0.01, 0.003
METERED_SEED = 7  # beside a file's own: what its transformers draw must not move its thefts
DAILY = tuple(name for name, each in theft_patterns.PATTERNS.items() if each.is_theft and not each.needs_hours)
# Of each harmless kind and pattern as many, but what a utility meets most and misses most comes more often.
OFTEN = {"constant_scale": 2.0, "gradual": 2.0, "cut_off": 2.0, "subtract": 2.0}


@dataclass(frozen=True)
class AttackPlan:
    """How a file is drawn; shares of its clients. BROAD and WIDE to train on, PUBLISHED to report by."""

    ranges: theft_patterns.Ranges
    stealing: float = 0.5
    harmless: float = 0.3  # of the honest
    solar: float = 1.0  # how often panels are among the harmless changes, beside 1 of each other kind
    gaps: float = 0.3  # of either class: they lose readings
    whole: float = 0.3  # with all of their history; the others with a part of it
    always: float = 0.1  # of the thefts: older than the history
    blended: float = 0.15  # of the thefts: partial
    spells: float = 0.15  # of the thefts: they come and go
    besides: float = 0.1  # of the thefts: they meet a harmless change
    age: tuple[float, float] = (10.0, np.inf)  # days from the onset to the end
    is_metered: bool = False  # its transformers are measured
    is_mirrored: bool = False  # its households go backwards in time, beside neighbours who do


WIDE = AttackPlan(theft_patterns.WIDE)
BROAD = AttackPlan(
    theft_patterns.WIDE, whole=0.8, always=0.03, blended=0.05, spells=0.05, besides=0.05, age=(14.0, 400.0)
)
PUBLISHED = AttackPlan(
    theft_patterns.PUBLISHED, whole=1.0, always=0.0, blended=0.0, spells=0.0, besides=0.0, age=(30.0, 240.0)
)


@dataclass(frozen=True)
class HonestHouseholds:
    """Honest consumption, [household, day] from `first_day` on (days since 1970), NaN where missing."""

    kwh: np.ndarray
    first_day: int

    @classmethod
    def of(cls, days: DailyConsumption) -> "HonestHouseholds":
        first = int(days.day.min())
        kwh = np.full((len(days.segments), int(days.day.max()) - first + 1), np.nan)
        kwh[days.segments.index, days.day - first] = days.kwh
        return cls(kwh, first)

    def days(self, households: np.ndarray) -> DailyConsumption:
        return _as_days(self.kwh[households], self.first_day)

    def mirrored(self) -> "HonestHouseholds":
        """The same households backwards in time: where one came to use more, it comes to use less.

        Seasons, weekends and the sun's height stay where they are, see `surroundings.MIRROR`.
        """
        return HonestHouseholds(self.kwh[:, ::-1], MIRROR - (self.first_day + self.kwh.shape[1] - 1))


@dataclass(frozen=True)
class AttackedHouseholds:
    """Clients of one file; each array has one value a client."""

    days: DailyConsumption
    surroundings: Covariates | None
    label: np.ndarray  # int64: 1 steals
    kind: np.ndarray  # str: the pattern, the harmless change, or HONEST
    household: np.ndarray  # int64: row of the base
    onset: np.ndarray  # int64: days since 1970 of the first day changed; -1 where nothing was
    loss: np.ndarray  # float64: share of the energy since the onset that is not registered; 0 for the honest
    plan: AttackPlan


def split(n_households: int, seed: int, shares: Sequence[float]) -> list[np.ndarray]:
    """Households in parts that have none in common, by shares of them."""
    order = np.random.default_rng(seed).permutation(n_households)
    ends = np.rint(np.cumsum(shares) * n_households).astype(int)
    return [np.sort(part) for part in np.split(order, ends)[: len(ends)]]


def attacked_file(
    base: HonestHouseholds,
    households: np.ndarray,
    seed: int,
    surroundings: Covariates | str | None = None,
    patterns: Sequence[str] = DAILY,
    plan: AttackPlan = WIDE,
) -> AttackedHouseholds:
    """One window of each household, as the plan draws it.

    `surroundings`: given, or "file" to compute them from the file as attacked; with losses where the plan says that
    transformers are measured. Households with too little are left out.
    """
    if plan.is_mirrored:
        base = base.mirrored()
        surroundings = surroundings.mirrored() if isinstance(surroundings, Covariates) else surroundings
    rng = np.random.default_rng(seed)
    households, kwh, start, stop = _windows(base.kwh, households, plan, rng)
    n = len(households)
    label = (rng.random(n) < plan.stealing).astype(np.int64)
    kind = np.where(label == 1, _drawn(patterns, n, rng), HONEST).astype(object)
    is_changed = (label == 0) & (rng.random(n) < plan.harmless)
    kind[is_changed] = _drawn(tuple(harmless.HARMLESS), n, rng, plan.solar)[is_changed]
    onset = _onsets(start, stop, plan, rng)
    settled = np.maximum(stop - SETTLED - rng.integers(0, SETTLED, n), start + 1)
    onset = np.where(kind == "estimated_bill", np.minimum(onset, settled), onset)
    besides = (label == 1) & (rng.random(n) < plan.besides)
    before = kwh.copy()
    meets = _drawn(tuple(harmless.HARMLESS), n, rng)
    _change(before, np.flatnonzero(besides), meets, _onsets(start, stop, plan, rng), base.first_day, rng)
    after = before.copy()
    for name in np.unique(kind[label == 1]):
        rows = np.flatnonzero(kind == name)
        after[rows] = _attack(before, rows, onset, name, plan, rng)
    stolen = np.where((label == 1)[:, None], before - after, 0.0)
    _change(after, np.flatnonzero(is_changed), kind, onset, base.first_day, rng)
    loss = _losses(before, after, onset, label)
    keep = (label == 0) | (loss >= LEAST_LOSS)
    after[_gaps(after, start, stop, plan, rng)] = np.nan
    keep &= np.count_nonzero(~np.isnan(after), axis=1) >= LEAST_KNOWN
    days = _as_days(np.rint(after[keep] * RESOLUTION) / RESOLUTION, base.first_day)
    if surroundings == "file":
        surroundings = Covariates.from_consumption(days)
    if plan.is_metered and surroundings is not None:
        losses = _losses_beside(before, stolen, keep, base.first_day, seed)
        surroundings = replace(surroundings, losses=losses)
    is_known = kind != HONEST
    when = np.where(is_known, onset + base.first_day, -1)
    return AttackedHouseholds(
        days, surroundings, label[keep], kind[keep], households[keep], when[keep], loss[keep], plan
    )


def _losses_beside(
    before: np.ndarray, stolen: np.ndarray, keep: np.ndarray, first_day: int, seed: int
) -> TransformerLosses:
    """A measured transformer for each client: its own theft, those of other thieves, and what was reckoned wrong."""
    rng = np.random.default_rng((METERED_SEED, seed))
    kwh, rows, (n, n_days) = np.nan_to_num(stolen), np.flatnonzero(keep), stolen.shape
    n_behind = rng.integers(*BEHIND, n)
    thieves = np.flatnonzero(np.abs(kwh).sum(axis=1))
    lost = kwh.copy()
    for row in rows:
        others = rng.choice(thieves, rng.binomial(n_behind[row], THIEVES) * (len(thieves) > 0))
        lost[row] += kwh[others[others != row]].sum(axis=0)
    known = ~np.isnan(before)
    delivered = n_behind[:, None] * np.nansum(before, axis=0) / np.maximum(known.sum(axis=0), 1)
    off = rng.normal(0.0, OFF, (n, 1)) + rng.normal(0.0, OFF_DAILY, (n, n_days))
    return TransformerLosses(first_day, (lost + off * delivered)[rows], np.arange(len(rows)))


def _windows(
    kwh: np.ndarray, households: np.ndarray, plan: AttackPlan, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(households, their kWh with what lies outside the window missing, first column, column after the last)"""
    known = ~np.isnan(kwh[households])
    first, end = known.argmax(axis=1), known.shape[1] - known[:, ::-1].argmax(axis=1)
    enough = known.any(axis=1) & (end - first >= SHORTEST)
    households, first, end = households[enough], first[enough], end[enough]
    history = end - first
    length = np.exp(rng.uniform(np.log(SHORTEST), np.log(history + 1.0)))
    length = np.where(rng.random(len(history)) < plan.whole, history, np.minimum(length.astype(int), history))
    start = first + (rng.random(len(history)) * (history - length + 1)).astype(int)
    column = np.arange(kwh.shape[1])
    is_inside = (column >= start[:, None]) & (column < (start + length)[:, None])
    return households, np.where(is_inside, kwh[households], np.nan), start, start + length


def _drawn(names: Sequence[str], n: int, rng: np.random.Generator, solar: float = 1.0) -> np.ndarray:
    often = OFTEN | {"solar_panels": solar}
    weight = np.array([often.get(name, 1.0) for name in names])
    return np.array(names, dtype=object)[rng.choice(len(names), n, p=weight / weight.sum())]


def _onsets(start: np.ndarray, stop: np.ndarray, plan: AttackPlan, rng: np.random.Generator) -> np.ndarray:
    """From the plan's least age to nearly all of the window, half of them even, half even in the log."""
    (least, most), length, share = plan.age, stop - start, rng.random(len(start))
    most = np.maximum(np.minimum(0.9 * length, most), least + 1.0)
    even = least + share * (most - least)
    age = np.where(rng.random(len(length)) < 0.5, even, least * (most / least) ** share)
    return np.where(rng.random(len(length)) < plan.always, start, stop - age.astype(int))


def _attack(
    kwh: np.ndarray, rows: np.ndarray, onset: np.ndarray, name: str, plan: AttackPlan, rng: np.random.Generator
) -> np.ndarray:
    """The rows under a pattern: whole, in part, or in spells of weeks."""
    if name == "low_user":  # it takes the series of another client, so it must see them all
        stolen = theft_patterns.apply_theft(kwh, onset, name, rng, 1.0, plan.ranges)[rows]
    else:
        stolen = theft_patterns.apply_theft(kwh[rows], onset[rows], name, rng, 1.0, plan.ranges)
    honest, n = kwh[rows], len(rows)
    part = np.where(rng.random((n, 1)) < plan.blended, rng.uniform(0.5, 1.0, (n, 1)), 1.0)
    since = np.arange(kwh.shape[1]) - onset[rows, None]
    on, off = rng.uniform(5, 45, (n, 1)), rng.uniform(3, 30, (n, 1))
    in_spells = rng.random((n, 1)) < plan.spells
    is_on = ~in_spells | (since % (on + off) < on)
    return np.where(is_on, honest + part * (stolen - honest), honest)


def _change(
    kwh: np.ndarray, rows: np.ndarray, kind: np.ndarray, onset: np.ndarray, first_day: int, rng: np.random.Generator
) -> None:
    """Lay each row's harmless change on it, in place."""
    midsummer = float(MIDSUMMER - first_day)
    ranges = harmless.USUAL | {
        "solar_panels": {"midsummer_day": (midsummer, midsummer)}, "estimated_bill": {"days": (14, SETTLED)},
    }  # fmt: skip
    for name in np.unique(kind[rows]):
        theirs = rows[kind[rows] == name]
        kwh[theirs] = harmless.apply_harmless(kwh[theirs], onset[theirs], name, rng, 1.0, ranges)


def _losses(honest: np.ndarray, registered: np.ndarray, onset: np.ndarray, label: np.ndarray) -> np.ndarray:
    since = np.arange(honest.shape[1]) >= onset[:, None]
    used = np.nansum(np.where(since, honest, 0.0), axis=1)
    lost = np.nansum(np.where(since, honest - registered, 0.0), axis=1)
    return np.where((label == 1) & (used > 0), lost / np.maximum(used, 1e-9), 0.0)


def _gaps(
    kwh: np.ndarray, start: np.ndarray, stop: np.ndarray, plan: AttackPlan, rng: np.random.Generator
) -> np.ndarray:
    """Where readings are lost: single days, and one stretch of up to three weeks. [bool, [client, day]]"""
    n, n_days = kwh.shape
    loses = rng.random(n) < plan.gaps
    rate = np.where(loses, rng.uniform(0.0, 0.1, n), 0.0)
    first = start + rng.random(n) * (stop - start)
    length = np.where(loses & (rng.random(n) < 0.5), rng.uniform(1, 21, n), 0.0)
    column = np.arange(n_days)
    stretch = (column >= first[:, None]) & (column < (first + length)[:, None])
    return stretch | (rng.random((n, n_days)) < rate[:, None])


def _as_days(kwh: np.ndarray, first_day: int) -> DailyConsumption:
    """Days of each row from its first known column to its last."""
    known = ~np.isnan(kwh)
    some = known.any(axis=1)
    first = known.argmax(axis=1)
    end = np.where(some, kwh.shape[1] - known[:, ::-1].argmax(axis=1), first)
    column = np.arange(kwh.shape[1])
    row, at = np.nonzero((column >= first[:, None]) & (column < end[:, None]))
    return DailyConsumption(Segments(end - first), at + first_day, kwh[row, at])
