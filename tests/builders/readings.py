"""Households with meters for the tests of what learns from readings; every one is made up."""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption

FIRST = int(np.datetime64("2013-01-07").astype(int))  # a Monday


def town(n_households, n_days, seed=0):
    """Honest kWh [household, day]: a level, a winter, weekends and noise, in whole Wh."""
    rng, day = np.random.default_rng(seed), np.arange(n_days)
    level, season = rng.uniform(0.5, 3.0, (n_households, 1)), 0.3 * np.cos(day / 58.0)
    noise = rng.normal(0.0, 0.25, (n_households, n_days))
    return np.round(np.exp(level + season + noise) * (1.0 + 0.15 * (day % 7 >= 5)), 3)


def days_of(kwh, first=FIRST):
    """Days of clients by their kWh, all from one day on."""
    counts = np.array([len(series) for series in kwh])
    day = np.concatenate([first + np.arange(n) for n in counts])
    return DailyConsumption(Segments(counts), day, np.concatenate([np.asarray(series, float) for series in kwh]))


def robbed(kwh, thieves, since, left=0.2):
    """The same, where these households register a part from that day on."""
    kwh = kwh.copy()
    kwh[thieves, since:] *= left
    return kwh


def readings_text(kwh, label=None, first=FIRST):
    """The same as CSV in the long layout; clients are called h-0, h-1 ..."""
    head = "client_id,read_at,consumption_kwh" + ("" if label is None else ",label")
    end = [""] * len(kwh) if label is None else [f",{value}" for value in label]
    rows = [
        f"h-{i},{np.datetime64(first + day, 'D')},{value}{end[i]}"
        for i, series in enumerate(kwh)
        for day, value in enumerate(series)
        if not np.isnan(value)
    ]
    return "\n".join([head, *rows]) + "\n"


N_LABELLED, N_LONG = 60, 120  # households, days


def readings_in(folder, label=None):
    """A file of readings, whose first twenty households lose half of their consumption or more halfway."""
    file = folder / "readings.csv"
    left = np.linspace(0.1, 0.5, 20)[:, None]  # not alike: one factor would be the data's fault
    kwh = robbed(town(N_LABELLED, N_LONG), np.arange(20), N_LONG // 2, left)
    file.write_text(readings_text(kwh, label))
    return file
