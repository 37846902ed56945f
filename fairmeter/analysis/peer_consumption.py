"""Monthly quartiles of consumption by category and region.

In:  the consumption series of each client, by day or by month, its category and region.
Out: ConsumptionBand, one per category and region.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table

MIN_PEERS = 20  # clients with a value in a month, for quartiles
MIN_SHARE = 2 / 3  # of a month's days that must have readings


# (step: day or month; first day; kWh of each step, NaN missing), as the store returns it.
StoredSeries = tuple[str, date, np.ndarray]


class ConsumptionBand(NamedTuple):
    """Per month from first_on: number of clients with a value, and quartiles. [kWh per month, NaN below MIN_PEERS]"""

    category: float
    region: float
    n_clients: int
    first_on: date
    n: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray

    @property
    def is_present(self) -> bool:
        """Whether any month has quartiles."""
        return bool((self.n >= MIN_PEERS).any())


def consumption_bands(clients: Table, series_of: Mapping[str, StoredSeries]) -> list[ConsumptionBand]:
    """Bands of all categories and regions of clients with a series. [clients: client_id, category, region]"""
    groups: dict[tuple[float, float], list[StoredSeries]] = {}
    places = zip(clients["client_id"], clients["category"].tolist(), clients["region"].tolist(), strict=True)
    for client_id, category, region in places:
        series = series_of.get(str(client_id))
        if series is not None and category == category and region == region:
            groups.setdefault((category, region), []).append(series)
    return [_band(*group, members) for group, members in sorted(groups.items())]


def _band(category: float, region: float, members: Sequence[StoredSeries]) -> ConsumptionBand:
    months = [by_month(series) for series in members]
    first = min(start for start, _ in months)
    kwh_of = np.full((len(months), max(start + len(kwh) for start, kwh in months) - first), np.nan, np.float32)
    for row, (start, kwh) in zip(kwh_of, months, strict=True):
        row[start - first : start - first + len(kwh)] = kwh
    n, quartiles = monthly_quartiles(np.ascontiguousarray(kwh_of.T))
    return ConsumptionBand(category, region, len(members), month_start(first), n, *quartiles)


def monthly_quartiles(kwh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of values and quartiles of each row. [(months, clients), NaN missing -> (months,), (3, months)]"""
    ordered = np.sort(kwh, axis=1)  # NaN is sorted last
    n = (~np.isnan(kwh)).sum(axis=1)
    at = np.array([[0.25], [0.5], [0.75]]) * np.maximum(n - 1, 0)
    low = np.floor(at).astype(np.int64)
    row = np.arange(len(kwh))
    below, above = ordered[row, low], ordered[row, np.minimum(low + 1, np.maximum(n - 1, 0))]
    found = below + (at - low) * (above - below)
    return n, np.where(n >= MIN_PEERS, found, np.nan).astype(np.float32)


def by_month(series: StoredSeries) -> tuple[int, np.ndarray]:
    """Number of the first month since 1970, and the kWh of each; a daily series gives mean days times a month."""
    step, first_on, kwh = series
    first = month_number(first_on)
    if step == "month":
        return first, kwh
    day = np.datetime64(first_on, "D") + np.arange(len(kwh))
    month = day.astype("datetime64[M]").astype(np.int64) - first
    is_present = ~np.isnan(kwh)
    n = np.bincount(month[is_present], minlength=month[-1] + 1 if len(month) else 0)
    total = np.bincount(month[is_present], kwh[is_present], minlength=len(n))
    with np.errstate(invalid="ignore"):
        return first, np.where(n >= DAYS_PER_MONTH * MIN_SHARE, total / n * DAYS_PER_MONTH, np.nan)


def month_number(day: date) -> int:
    """Number of a day's month since January 1970."""
    return (day.year - 1970) * 12 + day.month - 1


def month_start(month: int) -> date:
    """First day of a month, numbered since January 1970."""
    return date(1970 + month // 12, month % 12 + 1, 1)


def month_starts(first_on: date, n: int) -> Iterable[date]:
    """First days of n months, from that of first_on."""
    return (month_start(month_number(first_on) + i) for i in range(n))
