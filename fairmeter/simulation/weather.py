"""Simulated weather and the calendar of Tunisia, which change the consumption of many clients on the same day.

In:  days, latitudes, a random generator.
Out: mean temperature [place, day, degrees C] and whether a day is free of work [day].
"""

import numpy as np

from fairmeter.core.calendar import DAYS_PER_YEAR

MEAN_AT_COAST, SWING, HOTTEST_DAY = 19.0, 8.0, 213  # degrees C; day of the year (1 August)
WARMER_SOUTHWARDS, COAST = 0.9, 36.8  # degrees C per degree of latitude; latitude of the north coast
SPELL_AUTOCORRELATION, SPELL_SD, LOCAL_SD = 0.8, 2.6, 0.8  # spells affect the whole country

FIXED_HOLIDAYS = ("01-01", "01-14", "03-20", "04-09", "05-01", "07-25", "08-13", "10-15")
# Feasts of the lunar calendar in the months that have readings.
MOVABLE_HOLIDAYS = (
    "2018-06-15", "2018-06-16", "2018-06-17", "2018-08-21", "2018-08-22", "2018-09-11", "2018-11-20",
    "2019-06-04", "2019-06-05", "2019-06-06", "2019-08-11", "2019-08-12", "2019-08-31",
)  # fmt: skip
SATURDAY = 5


def draw_temperature(rng: np.random.Generator, day: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Daily mean temperature. [degrees C, (place, day); day: datetime64[D]]"""
    angle = 2 * np.pi * (day.astype(int) % DAYS_PER_YEAR - HOTTEST_DAY) / DAYS_PER_YEAR
    usual = MEAN_AT_COAST + WARMER_SOUTHWARDS * (COAST - latitude)[:, None] + SWING * np.cos(angle)
    spells = SPELL_SD * autoregression(rng.normal(size=(1, len(day))), SPELL_AUTOCORRELATION)
    return np.round(usual + spells + rng.normal(0, LOCAL_SD, usual.shape), 1)


def autoregression(shocks: np.ndarray, correlation: np.ndarray | float) -> np.ndarray:
    """First-order autoregression with standard deviation 1 from independent shocks of 1. [(series, step)]"""
    series, fresh = shocks.copy(), np.sqrt(1 - np.square(correlation))
    for step in range(1, series.shape[1]):
        series[:, step] = correlation * series[:, step - 1] + fresh * series[:, step]
    return series


def weekday(day: np.ndarray) -> np.ndarray:
    """Day of the week, 0 Monday .. 6 Sunday. [day: datetime64[D]]"""
    return (day.astype(int) + 3) % 7


def is_holiday(day: np.ndarray) -> np.ndarray:
    """Whether a day is a public holiday."""
    years = np.unique(day.astype("datetime64[Y]"))
    fixed = [np.datetime64(f"{year}-{date}") for year in years for date in FIXED_HOLIDAYS]
    return np.isin(day, np.array([*fixed, *MOVABLE_HOLIDAYS], "datetime64[D]"))


def is_free(day: np.ndarray) -> np.ndarray:
    """Whether a day is a Saturday, a Sunday or a public holiday."""
    return (weekday(day) >= SATURDAY) | is_holiday(day)
