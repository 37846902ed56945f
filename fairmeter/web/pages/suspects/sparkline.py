"""Small charts of consumption, drawn by the server as paths of an SVG.

In:  a client's stored consumption, the likely onset of its change.
Out: Sparkline, for the macro `sparkline` of macros.html.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from fairmeter.store import Series

WIDTH, HEIGHT, TOP = 120.0, 28.0, 2.0  # of the view box
WEEK = 7  # days
N_WEEKS, N_MONTHS = 104, 36


class Sparkline(NamedTuple):
    """A line from 0 at the bottom. path: of the line, with gaps; onset: x of the onset, if it is on the chart.

    first_on, last_on: the days at its ends; most: the largest value [kWh per day or month].
    """

    path: str
    onset: float | None
    first_on: date
    last_on: date
    most: float


def sparkline(series: Series, onset_on: date | None) -> Sparkline | None:
    """The last two years by week, or the last three by month; None without a known value."""
    step_days = WEEK if series.step == "day" else 30.44
    values, first_on = _weekly(series) if series.step == "day" else _monthly(series)
    if not np.isfinite(values).any():
        return None
    most = float(np.nanmax(values))
    end = max(len(values) - 1, 1)
    heights = HEIGHT - (HEIGHT - TOP) * values / (most or 1.0)
    at = (onset_on - first_on).days / step_days / end * WIDTH if onset_on else -1.0
    last_on = first_on + timedelta(days=round(step_days * end))
    return Sparkline(_path(heights, end), at if 0 <= at <= WIDTH else None, first_on, last_on, most)


def _weekly(series: Series) -> tuple[np.ndarray, date]:
    """Means of whole weeks up to the last day; a week without a known day is NaN."""
    n_weeks = min(len(series.kwh) // WEEK, N_WEEKS)
    first = len(series.kwh) - n_weeks * WEEK
    days = np.asarray(series.kwh[first:], float).reshape(n_weeks, WEEK)
    known = np.isfinite(days)
    sums, counts = np.where(known, days, 0.0).sum(1), known.sum(1)
    means = np.divide(sums, counts, out=np.full(n_weeks, np.nan), where=counts > 0)
    return means, series.first_on + timedelta(days=first)


def _monthly(series: Series) -> tuple[np.ndarray, date]:
    first = max(len(series.kwh) - N_MONTHS, 0)
    month = series.first_on.year * 12 + series.first_on.month - 1 + first
    return np.asarray(series.kwh[first:], float), date(month // 12, month % 12 + 1, 1)


def _path(heights: Sequence[float], end: int) -> str:
    """The path of a line that breaks off where a height is unknown."""
    parts, pen = [], "M"
    for i, height in enumerate(heights):
        if not np.isfinite(height):
            pen = "M"
            continue
        parts.append(f"{pen}{i / end * WIDTH:.1f} {height:.1f}")
        pen = "L"
    return "".join(parts)
