"""How well the falls of a transformer's clients account for its loss.

In:  its energy balance by week; its clients' consumption, and the fit of each client's fall to the loss (a fact).
Out: the falls of those that fit, by week; when a loss ended.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np

from fairmeter.core.types import EnergyBalance
from fairmeter.store import Series

WEEK = 7  # days
MIN_WEEKS = 4  # before the loss, to know what is usual
N_RECENT = 13  # weeks: the 90 days of the balance
ENDED_SHARE, ENDED_WEEKS = 1 / 3, 3  # of the largest weekly loss since it began; weeks below it until the last


def falls_by_week(balance: EnergyBalance, series: Mapping[str, Series], fitting: Sequence[str]) -> list[float] | None:
    """What clients that fit used less than before the loss began, summed by week. [kWh; None without one that fits]"""
    if balance.since_on is None:
        return None
    weekly = [in_weeks(series[one], balance) for one in fitting if one in series and series[one].step == "day"]
    n_before = (balance.since_on - balance.weeks_from).days // WEEK
    falls = [np.clip(np.nanmedian(own[:n_before]) - own, 0.0, None) for own in weekly if has_before(own[:n_before])]
    if not falls:
        return None
    total = np.nansum(falls, axis=0)
    total[:n_before] = 0.0
    return [round(float(kwh), 1) for kwh in total]


def has_before(weeks: np.ndarray) -> bool:
    """Whether enough weeks before the loss are known."""
    return int(np.isfinite(weeks).sum()) >= MIN_WEEKS


def in_weeks(series: Series, balance: EnergyBalance) -> np.ndarray:
    """A client's consumption in the weeks of the balance; NaN for a week with an unknown day. [kWh]"""
    n_weeks = len(balance.delivered_weeks)
    days = np.full(n_weeks * WEEK, np.nan)
    first = (series.first_on - balance.weeks_from).days
    own = np.asarray(series.kwh, float)[max(-first, 0) :]
    start = max(first, 0)
    days[start : start + len(own)] = own[: max(len(days) - start, 0)]
    return days.reshape(n_weeks, WEEK).sum(1)


def unexplained(balance: EnergyBalance, falls: Sequence[float] | None) -> float | None:
    """The lost energy of the last 90 days less what the falls account for, at least 0. [kWh]"""
    if balance.lost_kwh is None:
        return None
    return max(balance.lost_kwh - sum((falls or [])[-N_RECENT:]), 0.0)


def ended_on(balance: EnergyBalance) -> date | None:
    """The first day of the last week with a clear loss, where it has ended; None while it lasts."""
    if balance.since_on is None:
        return None
    first = (balance.since_on - balance.weeks_from).days // WEEK
    lost = [kwh or 0.0 for kwh in balance.lost_weeks[first:]]
    clear = [n for n, kwh in enumerate(lost) if kwh > ENDED_SHARE * max(lost)]
    if not clear or clear[-1] >= len(lost) - ENDED_WEEKS:
        return None
    return balance.weeks_from + timedelta(weeks=first + clear[-1])
