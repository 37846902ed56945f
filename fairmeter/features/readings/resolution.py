"""Daily consumption without the marks of rounding, so that readings of any resolution compare with those of training.

In:  DailyConsumption whose kWh may be multiples of 0.01, 0.1 or 1.
Out: the same, where each value lies anywhere in the interval that was rounded to it.

Values that meters or exports round coincide by chance. Exact repetition is evidence of theft only at FINE, the
resolution of the training readings. Values that stand for STUCK days stay: a stuck meter remains one.
"""

from dataclasses import replace

import numpy as np

from fairmeter.data.daily import DailyConsumption

FINE = 1000.0  # steps per kWh of readings in training
COARSE = (100.0, 10.0, 1.0)  # steps per kWh that are looked for, each a part of the one before
TOLERANCE = 1e-6  # of a step: decimals that a float cannot hold
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0  # its multiples are spread evenly and never repeat
STUCK = 3  # days of one value: fewer are chance in whole kWh
ROUND_DAYS = 0.5  # of the known days above 0, a tenth by chance: sums of hours beside them have more decimals


def without_rounding(days: DailyConsumption) -> DailyConsumption:
    """Spread rounded values over the steps that they stand for, by the date alone. Zero stays zero."""
    per_kwh = steps_per_kwh(days)
    if (per_kwh >= FINE).all():
        return days
    kwh, segments = days.kwh, days.segments
    begins = np.ones(len(kwh), bool)
    begins[1:] = (kwh[1:] != kwh[:-1]) | segments.is_first[1:]
    starts = np.flatnonzero(begins)
    length = np.diff(np.append(starts, len(kwh)))
    steps = segments.spread(per_kwh)
    is_rounded = (steps < FINE) & _is_multiple(kwh, steps) & np.repeat(length < STUCK, length)
    shift = days.day * GOLDEN % 1.0 - 0.5
    return replace(days, kwh=np.where(is_rounded, kwh + shift / steps, kwh))


def steps_per_kwh(days: DailyConsumption) -> np.ndarray:
    """Each client's resolution: the coarsest of COARSE that most of its values have, else FINE. [(clients,)]"""
    found = np.full(len(days.segments), FINE)
    n_used = days.segments.total((days.kwh > 0).astype(np.int64))
    for steps in COARSE:
        n_fitting = days.segments.total(_is_multiple(days.kwh, steps).astype(np.int64))
        found[(n_fitting >= ROUND_DAYS * n_used) & (n_used > 0)] = steps
    return found


def _is_multiple(kwh: np.ndarray, steps_per_kwh: np.ndarray | float) -> np.ndarray:
    """Whether values above 0 are whole steps. [bool; missing ones are none]"""
    scaled = np.nan_to_num(kwh) * steps_per_kwh
    nearest = np.rint(scaled)
    return (nearest >= 1) & (np.abs(scaled - nearest) <= TOLERANCE * nearest)
