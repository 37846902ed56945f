"""Published theft patterns as functions on series of any step: consumption -> registered energy.

In:  honest kWh [series, step] (hourly, daily or monthly; missing NaN), the onset of each series, a random generator.
Out: registered kWh of the same shape, honest before the onset (pattern.py).

The formulas are those of Jokar et al. 2016 (IEEE TSG), Messinis 2018, Zidi et al. 2022. Ranges of parameters:
PUBLISHED, set by hand where nothing is published; WIDE to train a detector that is tested on unseen parameters;
INVOICED for monthly series whose theft must show on invoices of four months.
"""

import numpy as np

from fairmeter.core.calendar import DAYS_PER_YEAR, EXACT_DAYS_PER_MONTH
from fairmeter.simulation.pattern import ConsumptionYear, Pattern, Ranges, WrongSeries, find_pattern, pattern

COPIED_DAYS = 30  # days of the month that is copied
JOKAR, FDI = "Jokar et al. 2016", "false data injection, as in Messinis 2018 and Zidi et al. 2022"
TAMPERING = "signature of a tampered meter; ranges set by hand"


# --- the published formulas -------------------------------------------------------------------------------------------


@pattern(f"{JOKAR}, h1", share=((0.1, 0.8), (0.05, 0.9)))
def constant_scale(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """h1: y = a x, a ~ U(0.1, 0.8), as behind a partial by-pass."""
    return at.kwh * share


@pattern(
    f"{JOKAR}, h2",
    hours=((4, 6), (2, 12)), start_hour=((0, 24), (0, 24)), days=((6, 8), (3, 12)), every_days=((28, 31), (14, 40)),
)  # fmt: skip
def bypass_window(
    at: ConsumptionYear, hours: np.ndarray, start_hour: np.ndarray, days: np.ndarray, every_days: np.ndarray
) -> np.ndarray:
    """h2: y = 0 in windows, else x: 4-6 hours of each day; on coarser series about a week of each month.

    A step longer than a window loses the share of the window.
    """
    if at.is_hourly:
        length, every, step = hours / 24, 1.0, at.place - np.floor(start_hour / 24 * at.steps_per_day)
    else:
        length, every, step = days, every_days, at.since
    every = _whole(every * at.steps_per_day)
    length = np.minimum(_whole(length * at.steps_per_day), every)
    return at.kwh * np.clip(1 - _covered(step + 1, length, every) + _covered(step, length, every), 0, 1)


def _whole(steps: np.ndarray) -> np.ndarray:
    """Round to whole steps; fractions of one step stay."""
    return np.where(steps >= 1, np.rint(steps), steps)


def _covered(step: np.ndarray, length: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Steps in windows from step 0 up to a step: the first window starts at 0, the next `every` steps later."""
    return step // every * length + np.minimum(step % every, length)


@pattern(f"{JOKAR}, h3", least=((0.1, 0.1), (0.0, 0.3)), most=((0.8, 0.8), (0.4, 1.0)))
def random_scale(at: ConsumptionYear, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """h3: y = g x, g ~ U(0.1, 0.8), drawn for each step."""
    return at.kwh * at.noise(least, most)


@pattern(f"{JOKAR}, h4", least=((0.1, 0.1), (0.0, 0.3)), most=((0.8, 0.8), (0.4, 1.0)))
def random_mean(at: ConsumptionYear, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """h4: y = g mean(x), g ~ U(0.1, 0.8), drawn for each step; the mean as in `mean`."""
    return at.noise(least, most) * _typical(at)


@pattern(f"{JOKAR}, h5", level=((1, 1), (0.7, 1.0)))
def mean(at: ConsumptionYear, level: np.ndarray) -> np.ndarray:
    """h5: y = mean(x), of the day for hourly series, of the whole honest series for coarser ones."""
    return level * _typical(at)


def _typical(at: ConsumptionYear) -> np.ndarray:
    """Mean of the day for hourly series, of the series for coarser ones. [(series, step)]"""
    if not at.is_hourly:
        return at.mean * np.ones(at.kwh.shape)
    days = at.by_day()
    present = ~np.isnan(days)
    of_day = np.where(present, days, 0).sum(axis=2, keepdims=True) / np.maximum(present.sum(axis=2, keepdims=True), 1)
    return at.from_days(of_day * np.ones(days.shape[2]))


@pattern(f"{JOKAR}, h6", needs_hours=True)
def reversal(at: ConsumptionYear) -> np.ndarray:
    """h6: the hours of each day in reverse order: equal sum at cheaper hours; y = x where the partner is missing."""
    turned = at.from_days(at.by_day()[:, :, ::-1])
    return np.where(np.isnan(turned), at.kwh, turned)


@pattern(FDI, quantile=((0.05, 0.4), (0.05, 0.7)))
def cut_off(at: ConsumptionYear, quantile: np.ndarray) -> np.ndarray:
    """y = min(x, c), c at the 0.05-0.4 quantile of the client's own honest steps."""
    n_present = (~np.isnan(at.kwh)).sum(axis=1, keepdims=True)
    place = np.clip((quantile * n_present).astype(int), 0, np.maximum(n_present - 1, 0))
    return np.minimum(at.kwh, np.take_along_axis(np.sort(at.kwh, axis=1), place, axis=1))


@pattern(FDI, share=((0.3, 1.0), (0.2, 1.2)))
def subtract(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """y = max(x - c, 0), c constant, a share of the series' mean."""
    return np.maximum(at.kwh - share * at.mean, 0)


@pattern(FDI)
def zero(at: ConsumptionYear) -> np.ndarray:
    """y = 0: complete by-pass."""
    return np.zeros_like(at.kwh)


@pattern(FDI, share=((0.1, 0.8), (0.05, 0.9)))
def last_month(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """y = g mean(x of the 30 days before the onset), g fixed: the last honest month, copied."""
    return share * at.mean_before(COPIED_DAYS) * np.ones(at.kwh.shape)


@pattern(FDI, ramp_days=((30, 180), (20, 240)), most=((0.3, 1.0), (0.2, 1.0)))
def gradual(at: ConsumptionYear, ramp_days: np.ndarray, most: np.ndarray) -> np.ndarray:
    """y = (1 - min(s t, m)) x, m ~ U(0.3, 1), reached in 30-180 days."""
    return at.kwh * (1 - most * np.clip(at.since / (ramp_days * at.steps_per_day), 0, 1))


@pattern(FDI, honest_share=((0.2, 0.7), (0.2, 0.8)), spell_days=((0, 0), (0, 10)))
def intermittent_zero(at: ConsumptionYear, honest_share: np.ndarray, spell_days: np.ndarray) -> np.ndarray:
    """y = d x, d ~ Bernoulli(p) for spells of one step or of some days; the onset is the start of the first 0."""
    spell = np.maximum(at.since // at.steps(spell_days), 0)
    is_honest = at.rng.random((len(at.kwh), 1 + spell.max())) < honest_share
    is_honest[:, 0] = False
    return at.kwh * np.take_along_axis(is_honest, spell, axis=1)


@pattern(FDI, rank=((0, 0.2), (0, 0.4)), most=((0.5, 0.5), (0.3, 0.8)))
def low_user(at: ConsumptionYear, rank: np.ndarray, most: np.ndarray) -> np.ndarray:
    """y = the series of another client of the matrix, from the fifth with the lowest positive mean.

    It is scaled down to at most half of the own mean; its missing readings are replaced by the own series at its level.
    Columns of the matrix must be the same days for all clients.
    """
    if len(at.kwh) < 2:
        raise WrongSeries("low_user takes the series of another client; got one series. Give several in one matrix.")
    level = np.where(at.mean > 0, at.mean, np.inf)[:, 0]
    order = np.argsort(level, kind="stable")
    own_place = np.argsort(order, kind="stable")
    n_others = np.isfinite(level).sum() - np.isfinite(level)
    place = (rank[:, 0] * n_others).astype(int)
    other = order[np.minimum(place + (own_place <= place), len(order) - 1)]  # skips the own series
    theirs = at.mean[other]
    share = np.divide(theirs, at.mean, out=np.zeros_like(theirs), where=at.mean > 0)
    taken = np.where(np.isnan(at.kwh[other]), at.kwh * share, at.kwh[other])
    return taken * np.minimum(1, np.divide(most, share, out=np.zeros_like(most), where=share > 0))


@pattern("an anomaly, its own class; k as in the false data literature", is_theft=False,
         more=((2, 6), (1, 8)), days=((1, 7), (1, 21)))  # fmt: skip
def spike(at: ConsumptionYear, more: np.ndarray, days: np.ndarray) -> np.ndarray:
    """y = (1 + k) x for the first days, k ~ U(2, 6), then y = x. Not a theft."""
    return at.kwh * (1 + more * (at.since < at.steps(days)))


@pattern("published as a shape, without figures; share set by hand", needs_hours=True, share=((0.3, 0.8), (0.1, 0.9)))
def irregular_hours(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """A share of the energy from 06 to 24 h is registered evenly from 00 to 06 h; the sum of a day stays."""
    days, share = at.by_day(), share[:, :, None]
    night = days.shape[2] // 4
    n_present = (~np.isnan(days[:, :, :night])).sum(axis=2, keepdims=True)
    # A day without night readings moves no energy.
    moved = np.where(n_present > 0, share * days[:, :, night:], 0)
    into_each = np.nansum(moved, axis=2, keepdims=True) / np.maximum(n_present, 1)
    return at.from_days(np.concatenate([days[:, :, :night] + into_each, days[:, :, night:] - moved], axis=2))


@pattern("published as a shape, without figures; share set by hand", share=((0.4, 0.85), (0.3, 0.9)))
def neighbourhood_deviation(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """y = a x, a mild reduction, while the other series, its neighbours, stay honest."""
    return at.kwh * share


# --- tampered meters: a step and an event -----------------------------------------------------------------------------


@pattern(TAMPERING, stall_days=((7, 30), (3, 60)), every_days=((60, 120), (45, 180)), share=((0, 0.5), (0, 0.6)))
def stall(at: ConsumptionYear, stall_days: np.ndarray, every_days: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The index stops at the onset, then catches up with at most half of the missed energy, and so on."""
    every = np.maximum(at.steps(every_days), 2)
    length = np.minimum(at.steps(stall_days), every - 1)
    step = at.since % every
    missed = at.used(at.place - length, at.place)
    return np.select([step < length, step == length], [0.0, at.kwh + share * missed], at.kwh)


@pattern(TAMPERING, share=((0.3, 0.8), (0.2, 0.9)), every_days=((25, 35), (7, 60)))
def rollback(at: ConsumptionYear, share: np.ndarray, every_days: np.ndarray) -> np.ndarray:
    """The index is turned back about once a month, so that sum(y) = a sum(x), a ~ U(0.3, 0.8).

    Nothing is registered until the index has passed its former value: zeros, then y = x.
    """
    every = at.steps(every_days)
    first = at.place - at.since % every
    hidden = (1 - share) * at.used(first, first + every)
    return np.clip(at.used(first, at.place + 1) - hidden, 0, at.kwh)


@pattern(TAMPERING, share=((0.2, 0.7), (0.1, 0.85)), dead_days=((0, 3), (0, 7)))
def meter_change(at: ConsumptionYear, share: np.ndarray, dead_days: np.ndarray) -> np.ndarray:
    """y = a x, a ~ U(0.2, 0.7), on another, slow meter, after up to three days of y = 0."""
    return at.kwh * np.where(at.since < at.steps(dead_days, minimum=0), 0, share)


@pattern(TAMPERING, n_lost=((1, 2), (1, 2)))
def phase_lost(at: ConsumptionYear, n_lost: np.ndarray) -> np.ndarray:
    """One or two of three phases are not measured: y = 2/3 x or 1/3 x."""
    return at.kwh * (1 - np.rint(n_lost) / 3)


@pattern(TAMPERING, share=((0.1, 0.8), (0.05, 0.9)))
def flat_line(at: ConsumptionYear, share: np.ndarray) -> np.ndarray:
    """y = a constant, a share of the mean before the onset: a register that repeats itself."""
    return share * at.mean_before() * np.ones(at.kwh.shape)


PATTERNS: dict[str, Pattern] = {
    each.name: each
    for each in (
        constant_scale, bypass_window, random_scale, random_mean, mean, reversal, cut_off, subtract, zero, last_month,
        gradual, intermittent_zero, low_user, spike, irregular_hours, neighbourhood_deviation,
        stall, rollback, meter_change, phase_lost, flat_line,
    )
}  # fmt: skip
PUBLISHED: Ranges = {name: each.ranges for name, each in PATTERNS.items()}
WIDE: Ranges = {name: each.wide for name, each in PATTERNS.items()}
# Invoices of four months cannot show thefts of days or of 30-180 days; these ranges are months and years.
INVOICED: Ranges = {
    "constant_scale": {},
    "zero": {},
    "gradual": {"ramp_days": (3 * EXACT_DAYS_PER_MONTH, 24 * EXACT_DAYS_PER_MONTH)},
    "intermittent_zero": {"spell_days": (4 * EXACT_DAYS_PER_MONTH, 4 * EXACT_DAYS_PER_MONTH)},
    "cut_off": {},
    "rollback": {},
    "stall": {
        "stall_days": (5.51 * EXACT_DAYS_PER_MONTH, 10.49 * EXACT_DAYS_PER_MONTH),
        "every_days": (DAYS_PER_YEAR, DAYS_PER_YEAR),
    },
    "meter_change": {"dead_days": (0, 0)},
}


def apply_theft(
    kwh: np.ndarray,
    onset: np.ndarray,
    name: str,
    rng: np.random.Generator,
    steps_per_day: float = 1.0,
    ranges: Ranges = PUBLISHED,
) -> np.ndarray:
    """Apply a theft pattern to kWh [series, step] from the onset step of each series; n_steps means never.

    ranges: replaces the published range of the parameters that it names. Raises UnknownPattern, WrongSeries.
    """
    theft = find_pattern(PATTERNS, name, "theft pattern")
    return theft.from_onset(kwh, onset, rng, steps_per_day, ranges.get(name))
