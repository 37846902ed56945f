"""A client's consumption over time, small enough to keep for everybody.

In:  values by day or by month.
Out: the same, and the bytes that are kept: float32, whose digits no packing makes much smaller; a missing value is NaN.
"""

from datetime import date
from typing import NamedTuple

import numpy as np

STEPS = ("day", "month")


class Series(NamedTuple):
    """Consumption by step from a first day on. [kWh a day, or a month's average kWh; NaN where missing]"""

    step: str
    first_on: date
    kwh: np.ndarray


def packed(series: Series) -> bytes:
    return np.asarray(series.kwh, dtype="<f4").tobytes()


def unpacked(step: str, first_on: date, kwh: bytes) -> Series:
    return Series(step, first_on, np.frombuffer(kwh, dtype="<f4"))
