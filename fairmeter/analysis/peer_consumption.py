"""What clients of one category and region use, month by month: the quartiles of their consumption.

In:  each client's consumption over time, by day or by month (as the store keeps it), its category and region.
Out: Band, one a category and region; no science and no SQL, so that either wing may use it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table

LEAST_PEERS = 20  # clients known in a month: of fewer a quartile says more of them than of the place
LEAST_SHARE = 2 / 3  # of a month's days: known, or the month is not


class ConsumptionCourse(Protocol):
    """Consumption from a first day on. [step: day or month; first_on: a date; kwh: of each, NaN missing]"""

    step: str
    first_on: date
    kwh: np.ndarray


class ConsumptionBand(NamedTuple):
    """By month from first_on: how many clients are known, and their quartiles. [kWh a month, NaN below LEAST_PEERS]"""

    category: float
    region: float
    n_clients: int
    first_on: date
    n: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray

    @property
    def is_known(self) -> bool:
        return bool((self.n >= LEAST_PEERS).any())


def bands_of(clients: Table, courses: Mapping[str, ConsumptionCourse]) -> list[ConsumptionBand]:
    """Of each category and region that clients with a course have. [clients: client_id, category, region]"""
    groups: dict[tuple[float, float], list[ConsumptionCourse]] = {}
    places = zip(clients["client_id"], clients["category"].tolist(), clients["region"].tolist(), strict=True)
    for client_id, category, region in places:
        course = courses.get(str(client_id))
        if course is not None and category == category and region == region:
            groups.setdefault((category, region), []).append(course)
    return [_band(*place, among) for place, among in sorted(groups.items())]


def _band(category: float, region: float, among: Sequence[ConsumptionCourse]) -> ConsumptionBand:
    months = [by_month(course) for course in among]
    first = min(start for start, _ in months)
    known = np.full((len(months), max(start + len(kwh) for start, kwh in months) - first), np.nan, np.float32)
    for row, (start, kwh) in zip(known, months, strict=True):
        row[start - first : start - first + len(kwh)] = kwh
    n, quartiles = quartiles_of(np.ascontiguousarray(known.T))
    return ConsumptionBand(category, region, len(among), day_of(first), n, *quartiles)


def quartiles_of(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many each row has, and its quartiles, shape (3, rows). [known: rows of values, NaN missing]"""
    ordered = np.sort(known, axis=1)  # NaN comes last
    n = (~np.isnan(known)).sum(axis=1)
    at = np.array([[0.25], [0.5], [0.75]]) * np.maximum(n - 1, 0)
    low = np.floor(at).astype(np.int64)
    row = np.arange(len(known))
    below, above = ordered[row, low], ordered[row, np.minimum(low + 1, np.maximum(n - 1, 0))]
    found = below + (at - low) * (above - below)
    return n, np.where(n >= LEAST_PEERS, found, np.nan).astype(np.float32)


def by_month(course: ConsumptionCourse) -> tuple[int, np.ndarray]:
    """Months since 1970 of the first one, and the kWh of each; days count as their mean over a month's length."""
    first = month_of(course.first_on)
    if course.step == "month":
        return first, course.kwh
    day = np.datetime64(course.first_on, "D") + np.arange(len(course.kwh))
    month = day.astype("datetime64[M]").astype(np.int64) - first
    is_known = ~np.isnan(course.kwh)
    n = np.bincount(month[is_known], minlength=month[-1] + 1 if len(month) else 0)
    total = np.bincount(month[is_known], course.kwh[is_known], minlength=len(n))
    with np.errstate(invalid="ignore"):
        return first, np.where(n >= DAYS_PER_MONTH * LEAST_SHARE, total / n * DAYS_PER_MONTH, np.nan)


def month_of(day: date) -> int:
    """Months since 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def day_of(month: int) -> date:
    """The first day of a month since 1970."""
    return date(1970 + month // 12, month % 12 + 1, 1)


def days_of(first_on: date, n: int) -> Iterable[date]:
    """The first days of so many months."""
    return (day_of(month_of(first_on) + i) for i in range(n))
