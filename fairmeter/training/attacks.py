"""Inject thefts into half of a set of honest households, for training and for a fair test.

In:  HonestHouseholds: daily consumption of honest households on one calendar.
Out: AttackedHouseholds: daily consumption with labels, kinds and onsets of changes, and the Covariates for detectors.

Rules of a fair test: households are split before any theft is injected, each part with its own seed. Windows, gaps
and onsets have the same distribution for thieves and honest clients. Some honest clients have a harmless change. No
detector is given a parameter or an onset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import MIRROR, Covariates, TransformerLosses
from fairmeter.simulation import harmless_patterns as harmless
from fairmeter.simulation import theft_patterns
from fairmeter.simulation.compositions import (
    TRAINED,
    Composition,
    apply_compositions,
    apply_in_turn,
    sample_compositions,
)

HONEST = "honest"
MIN_WINDOW_DAYS, MIN_READ_DAYS = 60, 30  # days of a window; days of them with a reading
MIN_LOSS = 0.02  # share of the energy since the onset: less is not counted as theft
MIDSUMMER = int(np.datetime64("2013-06-21").astype(np.int64))  # of the northern hemisphere
MAX_ESTIMATED_DAYS = 62  # days: estimates that stay uncorrected for longer are worth a visit
RESOLUTION = 1000.0  # steps per kWh: a meter registers whole Wh, and decimals must not reveal a theft
# Measured transformers: clients of each, share of thieves among them, and the constant and daily error of computed
# losses. [clients; share; shares of the delivered energy]
CLIENTS_PER_TRANSFORMER, THIEF_SHARE, LOSS_ERROR, DAILY_LOSS_ERROR = (10, 80), 0.065, 0.01, 0.003
TRANSFORMER_SEED = 7  # added to the set's seed, so that transformers do not change the thefts
COMPOSITION_SEED = 11  # the same for compositions
IN_TURN = 0.15  # of the composed thefts: a second composition takes over
DAILY_PATTERNS = tuple(name for name, each in theft_patterns.PATTERNS.items() if each.is_theft and not each.needs_hours)
# Patterns are equally frequent, except for those that utilities meet most and miss most.
PATTERN_WEIGHTS = {"constant_scale": 2.0, "gradual": 2.0, "cut_off": 2.0, "subtract": 2.0}


@dataclass(frozen=True)
class AttackPlan:
    """Distributions of one set, as shares of its clients. BROAD and WIDE are for training, PUBLISHED for the report."""

    ranges: theft_patterns.Ranges
    stealing: float = 0.5
    harmless: float = 0.3  # of the honest clients: they have a harmless change
    solar: float = 1.0  # weight of solar panels among harmless changes; other kinds have 1
    gaps: float = 0.3  # of all clients: they lose readings
    whole: float = 0.3  # of all clients: their window is the whole history, others have a part of it
    always: float = 0.1  # of the thefts: they began before the history
    blended: float = 0.15  # of the thefts: partial
    spells: float = 0.15  # of the thefts: they stop and start again
    besides: float = 0.1  # of the thefts: with a harmless change at the same client
    age: tuple[float, float] = (10.0, np.inf)  # days from the onset to the end
    is_metered: bool = False  # its transformers are measured
    is_mirrored: bool = False  # households and covariates reversed in time
    composed: float = 0.0  # of the thefts: a composition instead of a published pattern
    compositions: tuple[Composition, ...] = TRAINED  # that are drawn from


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
    def from_consumption(cls, days: DailyConsumption) -> "HonestHouseholds":
        first = int(days.day.min())
        kwh = np.full((len(days.segments), int(days.day.max()) - first + 1), np.nan)
        kwh[days.segments.index, days.day - first] = days.kwh
        return cls(kwh, first)

    def days(self, households: np.ndarray) -> DailyConsumption:
        return _to_days(self.kwh[households], self.first_day)

    def mirrored(self) -> "HonestHouseholds":
        """The same households reversed in time, so that a rise in consumption becomes a fall.

        Seasons, weekends and the sun's height stay aligned, see `covariates.MIRROR`.
        """
        return HonestHouseholds(self.kwh[:, ::-1], MIRROR - (self.first_day + self.kwh.shape[1] - 1))


@dataclass(frozen=True)
class AttackedHouseholds:
    """One set of clients; each array has one value for each client."""

    days: DailyConsumption
    covariates: Covariates | None
    label: np.ndarray  # int64: 1 steals
    kind: np.ndarray  # str: the pattern, the harmless change, or HONEST
    household: np.ndarray  # int64: row of the base
    onset: np.ndarray  # int64: days since 1970 of the first day changed; -1 where nothing was
    loss: np.ndarray  # float64: share of the energy since the onset that is not registered; 0 for the honest
    plan: AttackPlan


def split(n_households: int, seed: int, shares: Sequence[float]) -> list[np.ndarray]:
    """Split households at random into disjoint parts of these shares."""
    order = np.random.default_rng(seed).permutation(n_households)
    ends = np.rint(np.cumsum(shares) * n_households).astype(int)
    return [np.sort(part) for part in np.split(order, ends)[: len(ends)]]


def attack_households(
    base: HonestHouseholds,
    households: np.ndarray,
    seed: int,
    covariates: Covariates | str | None = None,
    patterns: Sequence[str] = DAILY_PATTERNS,
    plan: AttackPlan = WIDE,
) -> AttackedHouseholds:
    """Sample a window of each household and inject thefts and harmless changes as the plan says.

    covariates: given, or "file" to compute them from the attacked set. Transformer losses are added if the plan is
    metered. Households with too few readings, and thieves with too small a loss, are left out.
    """
    if plan.is_mirrored:
        base = base.mirrored()
        covariates = covariates.mirrored() if isinstance(covariates, Covariates) else covariates
    rng = np.random.default_rng(seed)
    households, kwh, start, stop = _sample_windows(base.kwh, households, plan, rng)
    n = len(households)
    label = (rng.random(n) < plan.stealing).astype(np.int64)
    kind = np.where(label == 1, _sample_names(patterns, n, rng), HONEST).astype(object)
    composed = _Composed.sample(label, plan, seed)
    kind[composed.rows] = composed.names
    is_changed = (label == 0) & (rng.random(n) < plan.harmless)
    kind[is_changed] = _sample_names(tuple(harmless.HARMLESS), n, rng, plan.solar)[is_changed]
    onset = _sample_onsets(start, stop, plan, rng)
    settled = np.maximum(stop - MAX_ESTIMATED_DAYS - rng.integers(0, MAX_ESTIMATED_DAYS, n), start + 1)
    onset = np.where(kind == "estimated_bill", np.minimum(onset, settled), onset)
    besides = (label == 1) & (rng.random(n) < plan.besides)
    before = kwh.copy()
    meets = _sample_names(tuple(harmless.HARMLESS), n, rng)
    _apply_harmless_changes(
        before, np.flatnonzero(besides), meets, _sample_onsets(start, stop, plan, rng), base.first_day, rng
    )
    after = before.copy()
    is_pattern = label == 1
    is_pattern[composed.rows] = False
    for name in np.unique(kind[is_pattern]):
        rows = np.flatnonzero(is_pattern & (kind == name))
        after[rows] = _apply_thefts(before, rows, onset, name, plan, rng)
    after[composed.rows] = composed.apply(before[composed.rows], onset[composed.rows], base.first_day)
    stolen = np.where((label == 1)[:, None], before - after, 0.0)
    _apply_harmless_changes(after, np.flatnonzero(is_changed), kind, onset, base.first_day, rng)
    loss = _loss_shares(before, after, onset, label)
    is_usable = (label == 0) | (loss >= MIN_LOSS)
    after[_lost_readings(after, start, stop, plan, rng)] = np.nan
    is_usable &= np.count_nonzero(~np.isnan(after), axis=1) >= MIN_READ_DAYS
    days = _to_days(np.rint(after[is_usable] * RESOLUTION) / RESOLUTION, base.first_day)
    if covariates == "file":
        covariates = Covariates.from_consumption(days)
    if plan.is_metered and covariates is not None:
        losses = _transformer_losses(before, stolen, is_usable, base.first_day, seed)
        covariates = replace(covariates, losses=losses)
    when = np.where(kind != HONEST, onset + base.first_day, -1)
    return AttackedHouseholds(
        days,
        covariates,
        label[is_usable],
        kind[is_usable],
        households[is_usable],
        when[is_usable],
        loss[is_usable],
        plan,
    )


@dataclass(frozen=True)
class _Composed:
    """Clients whose theft is a composition, the composition of each, and the one that takes over at some of them."""

    rows: np.ndarray
    first: list[Composition]
    second: list[Composition]
    rng: np.random.Generator

    @classmethod
    def sample(cls, label: np.ndarray, plan: AttackPlan, seed: int) -> "_Composed":
        rng = np.random.default_rng((COMPOSITION_SEED, seed))
        rows = np.flatnonzero((label == 1) & (rng.random(len(label)) < plan.composed))
        first, other = (sample_compositions(plan.compositions, len(rows), rng) for _ in range(2))
        takes_over = rng.random(len(rows)) < IN_TURN
        return cls(rows, first, [other[i] if takes_over[i] else first[i] for i in range(len(rows))], rng)

    @property
    def names(self) -> np.ndarray:
        return np.array([str(each) for each in self.first], dtype=object)

    def apply(self, kwh: np.ndarray, onset: np.ndarray, first_day: int) -> np.ndarray:
        """The clients' series with their compositions. [kwh, onset: of `rows`]"""
        after, turning = kwh.copy(), np.array([a != b for a, b in zip(self.first, self.second, strict=True)], bool)
        for rows, in_turn in ((np.flatnonzero(~turning), False), (np.flatnonzero(turning), True)):
            first, second = ([names[i] for i in rows] for names in (self.first, self.second))
            given = kwh[rows], onset[rows], first_day
            after[rows] = (
                apply_in_turn(*given, (first, second), self.rng)
                if in_turn
                else apply_compositions(*given, first, self.rng)
            )
        return after


def _transformer_losses(
    before: np.ndarray, stolen: np.ndarray, is_usable: np.ndarray, first_day: int, seed: int
) -> TransformerLosses:
    """Daily losses of one transformer per client: its own theft, other thieves' and the error of the computation."""
    rng = np.random.default_rng((TRANSFORMER_SEED, seed))
    kwh, rows, (n, n_days) = np.nan_to_num(stolen), np.flatnonzero(is_usable), stolen.shape
    n_supplied = rng.integers(*CLIENTS_PER_TRANSFORMER, n)
    thieves = np.flatnonzero(np.abs(kwh).sum(axis=1))
    lost = kwh.copy()
    for row in rows:
        others = rng.choice(thieves, rng.binomial(n_supplied[row], THIEF_SHARE) * (len(thieves) > 0))
        lost[row] += kwh[others[others != row]].sum(axis=0)
    known = ~np.isnan(before)
    delivered = n_supplied[:, None] * np.nansum(before, axis=0) / np.maximum(known.sum(axis=0), 1)
    off = rng.normal(0.0, LOSS_ERROR, (n, 1)) + rng.normal(0.0, DAILY_LOSS_ERROR, (n, n_days))
    return TransformerLosses(first_day, (lost + off * delivered)[rows], np.arange(len(rows)))


def _sample_windows(
    kwh: np.ndarray, households: np.ndarray, plan: AttackPlan, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(households, their kWh with NaN outside the window, first column, column after the last)"""
    known = ~np.isnan(kwh[households])
    first, end = known.argmax(axis=1), known.shape[1] - known[:, ::-1].argmax(axis=1)
    enough = known.any(axis=1) & (end - first >= MIN_WINDOW_DAYS)
    households, first, end = households[enough], first[enough], end[enough]
    history = end - first
    length = np.exp(rng.uniform(np.log(MIN_WINDOW_DAYS), np.log(history + 1.0)))
    length = np.where(rng.random(len(history)) < plan.whole, history, np.minimum(length.astype(int), history))
    start = first + (rng.random(len(history)) * (history - length + 1)).astype(int)
    column = np.arange(kwh.shape[1])
    is_inside = (column >= start[:, None]) & (column < (start + length)[:, None])
    return households, np.where(is_inside, kwh[households], np.nan), start, start + length


def _sample_names(names: Sequence[str], n: int, rng: np.random.Generator, solar: float = 1.0) -> np.ndarray:
    often = PATTERN_WEIGHTS | {"solar_panels": solar}
    weight = np.array([often.get(name, 1.0) for name in names])
    return np.array(names, dtype=object)[rng.choice(len(names), n, p=weight / weight.sum())]


def _sample_onsets(start: np.ndarray, stop: np.ndarray, plan: AttackPlan, rng: np.random.Generator) -> np.ndarray:
    """Ages from the plan's minimum to nearly the whole window, half of them uniform, half log-uniform."""
    (least, most), length, share = plan.age, stop - start, rng.random(len(start))
    most = np.maximum(np.minimum(0.9 * length, most), least + 1.0)
    even = least + share * (most - least)
    age = np.where(rng.random(len(length)) < 0.5, even, least * (most / least) ** share)
    return np.where(rng.random(len(length)) < plan.always, start, stop - age.astype(int))


def _apply_thefts(
    kwh: np.ndarray, rows: np.ndarray, onset: np.ndarray, name: str, plan: AttackPlan, rng: np.random.Generator
) -> np.ndarray:
    """The rows under a pattern: complete, partial, or in spells of weeks."""
    if name == "low_user":  # takes over the series of another client, so it needs all rows
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


def _apply_harmless_changes(
    kwh: np.ndarray, rows: np.ndarray, kind: np.ndarray, onset: np.ndarray, first_day: int, rng: np.random.Generator
) -> None:
    """Apply each row's harmless change in place."""
    midsummer = float(MIDSUMMER - first_day)
    ranges = harmless.USUAL | {
        "solar_panels": {"midsummer_day": (midsummer, midsummer)}, "estimated_bill": {"days": (14, MAX_ESTIMATED_DAYS)},
    }  # fmt: skip
    for name in np.unique(kind[rows]):
        selected = rows[kind[rows] == name]
        kwh[selected] = harmless.apply_harmless(kwh[selected], onset[selected], name, rng, 1.0, ranges)


def _loss_shares(honest: np.ndarray, registered: np.ndarray, onset: np.ndarray, label: np.ndarray) -> np.ndarray:
    since = np.arange(honest.shape[1]) >= onset[:, None]
    used = np.nansum(np.where(since, honest, 0.0), axis=1)
    lost = np.nansum(np.where(since, honest - registered, 0.0), axis=1)
    return np.where((label == 1) & (used > 0), lost / np.maximum(used, 1e-9), 0.0)


def _lost_readings(
    kwh: np.ndarray, start: np.ndarray, stop: np.ndarray, plan: AttackPlan, rng: np.random.Generator
) -> np.ndarray:
    """Mask of lost readings: single days, and one stretch of up to three weeks. [bool, [client, day]]"""
    n, n_days = kwh.shape
    loses = rng.random(n) < plan.gaps
    rate = np.where(loses, rng.uniform(0.0, 0.1, n), 0.0)
    first = start + rng.random(n) * (stop - start)
    length = np.where(loses & (rng.random(n) < 0.5), rng.uniform(1, 21, n), 0.0)
    column = np.arange(n_days)
    stretch = (column >= first[:, None]) & (column < (first + length)[:, None])
    return stretch | (rng.random((n, n_days)) < rate[:, None])


def _to_days(kwh: np.ndarray, first_day: int) -> DailyConsumption:
    """Daily consumption of each row from its first to its last known column."""
    known = ~np.isnan(kwh)
    some = known.any(axis=1)
    first = known.argmax(axis=1)
    end = np.where(some, kwh.shape[1] - known[:, ::-1].argmax(axis=1), first)
    column = np.arange(kwh.shape[1])
    row, at = np.nonzero((column >= first[:, None]) & (column < end[:, None]))
    return DailyConsumption(Segments(end - first), at + first_day, kwh[row, at])
