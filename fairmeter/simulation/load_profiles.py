"""Daily and hourly load profiles of homes and shops: standby, activity, cooling and heating.

In:  the log of the usual kWh per month [home, day], temperature [home, day], the days, a random generator.
Out: kWh used [home, day], or [home, 24 x day].

"London" marks aggregates measured over the daily consumption of 2,061 real households: level, coefficient of variation,
autocorrelation. Simulated homes have about the same (tests/unit/simulation/test_load_profiles.py).
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.calendar import EXACT_DAYS_PER_MONTH
from fairmeter.simulation.weather import autoregression, is_free, weekday

HOURS = np.arange(24)
SUNDAY = 6

STANDBY_SHARE = (0.12, 0.42)  # of the usual consumption; London: the lowest half hour, times 48, is 0.26 of the day
COOLING = (
    0.45,
    0.04,
    0.16,
    24.0,
)  # share of homes with it, least and largest share of their consumption, base temperature
HEATING = (0.35, 0.04, 0.16, 14.0)
# Day-to-day noise of the log of activity. London, around the mean of 29 days: standard deviation 0.14/0.27/0.53 (5, 50
# and 95 % of households), autocorrelation 0.29 at one day and 0.12 at two.
LOG_NOISE, NOISE_LIMITS, NOISE_AUTOCORRELATION = (np.log(0.31), 0.45), (0.08, 1.0), (0.05, 0.4)
FREE_DAY = (
    0.08,
    0.16,
)  # mean and sd in the log; London: Sundays 5 % above Wednesdays, weekends of households differ by 10 %
WEEKDAY_SD = 0.03
CLOSED_ON_SUNDAY = 0.7  # share of shops and offices
CLOSED_ACTIVITY = 0.08
# London, days below 0.45 of the usual: 4.7 runs per household and year, most of one day, 0.7 of five days or more.
LOW_DAYS_PER_YEAR, TRIPS_PER_YEAR, TRIP_DAYS = 1.4, 2.0, 7.0
SUMMER, MORE_TRIPS_IN_SUMMER = (7, 8), 2.5
AWAY_ACTIVITY, SWITCHES_OFF = 0.05, 0.08  # of the usual; share of homes that switch everything off when away

# Activity by hour of day: (centre, width, weight) of morning, midday and evening, on working and on free days.
BUMPS = {
    False: ((7.3, 1.2, 0.8), (13.0, 1.8, 0.7), (20.0, 2.3, 1.6)),
    True: ((9.3, 1.8, 0.7), (13.5, 2.2, 1.1), (20.3, 2.4, 1.5)),
}
OPENING = ((11.0, 2.2, 1.2), (16.0, 2.2, 1.0))  # of shops
AT_NIGHT = 0.06  # of the height of a bump
COOLING_BUMP, HEATING_BUMPS = ((17.0, 4.0, 1.0),), ((7.0, 1.5, 0.7), (20.0, 2.5, 1.0))
HOURLY_SHAPE = 1.6  # of the hourly gamma noise; London: the highest half hour is 3.7 times the mean of its day


@dataclass(frozen=True)
class LoadProfile:
    """kWh per day by purpose [home, day], and the hourly shape of activity on working and free days."""

    standby: np.ndarray
    activity: np.ndarray
    cooling: np.ndarray
    heating: np.ndarray
    shape: np.ndarray  # [home, (working, free), hour], sums to 1
    is_free: np.ndarray  # [day]

    @property
    def total(self) -> np.ndarray:
        """Sum over all purposes. [kWh, (home, day)]"""
        return self.standby + self.activity + self.cooling + self.heating


def draw_use(
    rng: np.random.Generator, log_kwh: np.ndarray, temperature: np.ndarray, day: np.ndarray, is_shop: np.ndarray
) -> LoadProfile:
    """Load profile of each home. [log_kwh: log of the usual kWh per month, which may drift, (home, day)]"""
    n = len(log_kwh)
    usual = np.exp(log_kwh) / EXACT_DAYS_PER_MONTH
    degrees = [
        draw_degrees(rng, np.maximum(sign * (temperature - limit), 0), has, lowest, highest)
        for sign, (has, lowest, highest, limit) in ((1, COOLING), (-1, HEATING))
    ]
    standby = rng.uniform(*STANDBY_SHARE, (n, 1))
    active = 1 - standby - sum(share for share, _ in degrees)
    away = draw_away(rng, n, day) & ~is_shop[:, None]
    present = np.where(away, AWAY_ACTIVITY, 1.0)
    leaves_on = np.where(away & (rng.random((n, 1)) < SWITCHES_OFF), 0.0, 1.0)
    cooling, heating = (usual * share * by_day * present for share, by_day in degrees)
    activity = usual * active * draw_week(rng, day, is_shop) * draw_noise(rng, log_kwh.shape) * present
    return LoadProfile(usual * standby * leaves_on, activity, cooling, heating, draw_shapes(rng, is_shop), is_free(day))


def draw_degrees(
    rng: np.random.Generator, degrees: np.ndarray, has: float, lowest: float, highest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the yearly consumption [home, 1], and its weight per day by degrees, mean 1 [home, day]."""
    n = len(degrees)
    share = np.where(rng.random((n, 1)) < has, rng.uniform(lowest, highest, (n, 1)), 0.0)
    noisy = degrees * np.exp(rng.normal(0, 0.25, degrees.shape))
    return share, noisy / np.maximum(degrees.mean(axis=1, keepdims=True), 0.1)


def draw_week(rng: np.random.Generator, day: np.ndarray, is_shop: np.ndarray) -> np.ndarray:
    """Activity by weekday, 1 on a usual day; many shops close on Sundays. [(home, day)]"""
    n, free = len(is_shop), is_free(day)
    by_weekday = rng.normal(0, WEEKDAY_SD, (n, 7))[:, weekday(day)]
    at_home = np.exp(by_weekday + rng.normal(*FREE_DAY, (n, 1)) * (free - free.mean()))
    is_closed = (weekday(day) == SUNDAY) & (is_shop & (rng.random(n) < CLOSED_ON_SUNDAY))[:, None]
    return np.where(is_closed, CLOSED_ACTIVITY, at_home)


def draw_noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Day-to-day noise factor, mean 1. [(home, day)]"""
    sd = np.clip(np.exp(rng.normal(*LOG_NOISE, shape[0])), *NOISE_LIMITS)[:, None]
    log = sd * autoregression(rng.normal(size=shape), rng.uniform(*NOISE_AUTOCORRELATION, shape[0]))
    return np.exp(log - sd**2 / 2)


def draw_away(rng: np.random.Generator, n: int, day: np.ndarray) -> np.ndarray:
    """Whether a home is empty: single days and rarer trips; often in some homes, never in others. [(home, day)]"""
    often = rng.gamma(1.2, 1 / 1.2, (n, 1))
    is_summer = np.isin(day.astype("datetime64[M]").astype(int) % 12 + 1, SUMMER)
    leaves = rng.random((n, len(day))) < often * TRIPS_PER_YEAR / 365 * np.where(is_summer, MORE_TRIPS_IN_SUMMER, 0.7)
    step = np.arange(len(day))
    back = np.where(leaves, step + rng.geometric(1 / TRIP_DAYS, leaves.shape), 0)
    is_day_out = rng.random(leaves.shape) < often * LOW_DAYS_PER_YEAR / 365
    return (np.maximum.accumulate(back, axis=1) > step) | is_day_out


# ---- hours


def draw_shapes(rng: np.random.Generator, is_shop: np.ndarray) -> np.ndarray:
    """Share of the daily activity in each hour. [(home, (working, free), hour)]"""
    shift, n = rng.normal(0, 0.7, (len(is_shop), 1)), len(is_shop)
    at_home = [bumps(BUMPS[free], shift, rng.gamma(4, 0.25, (n, 3))) for free in (False, True)]
    shop = bumps(OPENING, shift, np.ones((n, 2)))
    return np.stack([np.where(is_shop[:, None], shop, shape) for shape in at_home], axis=1)


def bumps(of: tuple, shift: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of each hour from bumps (centre, width, weight) on the clock, shifted per home. [(home, hour)]"""
    height = np.full((len(shift), len(HOURS)), AT_NIGHT)
    for (centre, width, weight), more in zip(of, weights.T, strict=True):
        apart = (HOURS + 0.5 - centre - shift + 12) % 24 - 12
        height = height + weight * more[:, None] * np.exp(-0.5 * (apart / width) ** 2)
    return height / height.sum(axis=1, keepdims=True)


def draw_hours(rng: np.random.Generator, use: LoadProfile, homes: np.ndarray) -> np.ndarray:
    """Hourly kWh of some homes; the hours of a day sum to its consumption. [(home, 24 x day)]"""
    n, days = use.activity[homes].shape
    no_shift, even = np.zeros((1, 1)), np.ones((1, 2))
    by_clock = use.shape[homes][:, use.is_free.astype(int)]
    active = by_clock * rng.gamma(HOURLY_SHAPE, size=(n, days, 24))
    hours = use.activity[homes][:, :, None] * active / active.sum(axis=2, keepdims=True)
    fridge = rng.uniform(0.6, 1.4, (n, days, 24))
    hours += use.standby[homes][:, :, None] * fridge / fridge.sum(axis=2, keepdims=True)
    hours += use.cooling[homes][:, :, None] * bumps(COOLING_BUMP, no_shift, even[:, :1])
    hours += use.heating[homes][:, :, None] * bumps(HEATING_BUMPS, no_shift, even)
    return hours.reshape(n, days * 24)
