"""Harmless changes of consumption as functions on series, which must not be taken for theft.

In:  kWh [series, step] (hourly, daily or monthly; missing NaN), the onset of each series, a random generator.
Out: kWh of the same shape with the change from the onset on (pattern.py); missing stays missing, and only
     meter_exchange and missing_readings remove readings.

There are no published figures: ranges are set by hand, USUAL for a fair test, WIDE to train a detector.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.calendar import DAYS_PER_YEAR
from fairmeter.simulation.pattern import ConsumptionYear, Pattern, Range, Ranges, find_pattern, pattern

SOURCE = "what inspectors find where nobody stole; ranges set by hand"


def harmless(**ranges: tuple[Range, Range]) -> Callable:
    """Decorate a formula as a harmless pattern; each parameter is given with its usual and its wide range."""
    return pattern(SOURCE, is_theft=False, **ranges)


@harmless(days=((5, 28), (3, 45)), standby=((0.05, 0.35), (0.0, 0.6)), jitter=((0, 0.2), (0, 0.4)))
def holiday(at: ConsumptionYear, days: np.ndarray, standby: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """An empty home for 5-28 days: refrigerator and standby, a share of the mean; then as before."""
    return np.where(at.since < at.steps(days), _idle(at, standby, jitter), at.kwh)


@harmless(
    days=((21, 150), (10, 300)), standby=((0.0, 0.15), (0.0, 0.3)), jitter=((0, 0.2), (0, 0.4)),
    tenant=((0.4, 1.8), (0.25, 2.5)),
)  # fmt: skip
def new_tenant(
    at: ConsumptionYear, days: np.ndarray, standby: np.ndarray, jitter: np.ndarray, tenant: np.ndarray
) -> np.ndarray:
    """A vacant home for weeks or months, then another household, with 0.4-1.8 times the consumption."""
    return np.where(at.since < at.steps(days), _idle(at, standby, jitter), tenant * at.kwh)


def _idle(at: ConsumptionYear, standby: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """A share of the mean with jitter, at most the consumption."""
    return np.minimum(standby * at.mean * at.noise(1 - jitter, 1 + jitter), at.kwh)


@harmless(
    cover=((0.2, 0.8), (0.05, 1.5)), swing=((0.4, 0.8), (0.0, 0.95)),
    midsummer_day=((0, DAYS_PER_YEAR), (0, DAYS_PER_YEAR)), clouds=((0.5, 0.8), (0.2, 1.0)),
)  # fmt: skip
def solar_panels(
    at: ConsumptionYear, cover: np.ndarray, swing: np.ndarray, midsummer_day: np.ndarray, clouds: np.ndarray
) -> np.ndarray:
    """y = max(x - s, 0), s from the sun: a share of the mean over a year, more in summer, another on each day.

    A series has no dates, so midsummer is drawn as a day after its first step; give equal bounds to fix it.
    """
    day = at.place / at.steps_per_day
    season = 1 + swing * np.cos(2 * np.pi * (day - midsummer_day) / DAYS_PER_YEAR)
    # Clouds differ from day to day: one draw for all hours of a day; over a month they nearly average out.
    spread = clouds * min(1.0, np.sqrt(at.steps_per_day))
    of_day = at.place // max(round(at.steps_per_day), 1)
    weather = at.noise(1 - spread, 1 + spread)[:, of_day[0]]
    return np.maximum(at.kwh - cover * at.mean * season * weather * _height(at), 0)


def _height(at: ConsumptionYear) -> np.ndarray:
    """Height of the sun from 06 to 18 h, daily mean 1. [(1, step)]"""
    if not at.is_hourly:
        return np.ones((1, at.kwh.shape[1]))
    hour = (at.place % round(at.steps_per_day) + 0.5) * 24 / round(at.steps_per_day)
    return np.pi * np.maximum(np.sin(np.pi * (hour - 6) / 12), 0)


@harmless(more=((0.1, 0.6), (0.05, 1.5)), jitter=((0.1, 0.6), (0.0, 1.0)))
def new_appliance(at: ConsumptionYear, more: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """y = x + c, c a share of the mean, more on some steps than on others."""
    return at.kwh + more * at.mean * at.noise(1 - jitter, 1 + jitter)


@harmless(share=((0.6, 0.9), (0.5, 0.97)), ramp_days=((0, 60), (0, 120)))
def efficiency(at: ConsumptionYear, share: np.ndarray, ramp_days: np.ndarray) -> np.ndarray:
    """y = a x, a ~ U(0.6, 0.9), at once (a refrigerator) or within two months (lamps, insulation)."""
    done = np.clip((at.since + 1) / at.steps(ramp_days), 0, 1)
    return at.kwh * (1 - (1 - share) * done)


@harmless(share=((0.95, 1.05), (0.9, 1.1)), dead_days=((0, 3), (0, 7)))
def meter_exchange(at: ConsumptionYear, share: np.ndarray, dead_days: np.ndarray) -> np.ndarray:
    """No readings for up to three days, then a meter that differs by a few per cent."""
    return np.where(at.since < at.steps(dead_days, minimum=0), np.nan, share * at.kwh)


@harmless(days=((14, 90), (5, 150)), level=((0.6, 1.2), (0.3, 1.5)))
def estimated_bill(at: ConsumptionYear, days: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The past mean, times a level, replaces readings; the first real reading catches up.

    After too high an estimate nothing is registered until it is used up, so that the long-run sum is the consumption.
    """
    days, estimate = at.steps(days), level * at.mean_before()
    onset = at.place - at.since
    n_present = _count_present(at, onset, onset + days)
    owed = np.maximum(at.used(onset, at.place + 1) - estimate * n_present, 0)
    caught_up = np.where(at.since == days, owed, np.minimum(owed, at.kwh))
    return np.where(at.since < days, estimate, caught_up)


def _count_present(at: ConsumptionYear, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Number of steps with a reading from one step up to another, exclusive. [(series, 1)]"""
    is_within = (at.place >= first) & (at.place < end) & ~np.isnan(at.kwh)
    return is_within.sum(axis=1, keepdims=True)


@harmless(share=((0.02, 0.2), (0.0, 0.5)), gap_days=((0, 14), (0, 45)))
def missing_readings(at: ConsumptionYear, share: np.ndarray, gap_days: np.ndarray) -> np.ndarray:
    """A gap of up to two weeks, then a share of the readings missing at random."""
    is_lost = (at.since < at.steps(gap_days, minimum=0)) | (at.rng.random(at.kwh.shape) < share)
    return np.where(is_lost, np.nan, at.kwh)


HARMLESS: dict[str, Pattern] = {
    each.name: each
    for each in (
        holiday, new_tenant, solar_panels, new_appliance, efficiency, meter_exchange, estimated_bill, missing_readings,
    )
}  # fmt: skip
USUAL: Ranges = {name: each.ranges for name, each in HARMLESS.items()}
WIDE: Ranges = {name: each.wide for name, each in HARMLESS.items()}


def apply_harmless(
    kwh: np.ndarray,
    onset: np.ndarray,
    name: str,
    rng: np.random.Generator,
    steps_per_day: float = 1.0,
    ranges: Ranges = USUAL,
) -> np.ndarray:
    """Apply a harmless change to kWh [series, step] from the onset step of each series; n_steps means never.

    ranges: replaces the usual range of the parameters that it names. Raises UnknownPattern, WrongSeries.
    """
    change = find_pattern(HARMLESS, name, "harmless change")
    return change.from_onset(kwh, onset, rng, steps_per_day, ranges.get(name))
