"""Blocks on the days of the week: weekends against weekdays, and each day against the other six, week by week.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.

A theft at weekends alone moves no total much, but the distance of weekends from weekdays at once. Distances of one week
are free of season and weather, so their noise is small. Weeks run from Monday to Sunday.
"""

import numpy as np

from fairmeter.core.change_points import ChangePoints
from fairmeter.core.segments import Segments
from fairmeter.features.base import IRREGULAR, SEASON, Block, Feature
from fairmeter.features.readings.series import DailySeries

DAYS_PER_WEEK, MONDAY, SATURDAY = 7, 3, 5  # MONDAY: added to a day since 1970-01-01, a Thursday
WINDOWS = (4, 9, 13, 26)  # weeks
DAY_WINDOWS = (9, 26)  # weeks, for single days of the week
WEEKS_PER_YEAR = 52
MAD_SCALE, MIN_DEVIATION = 1.4826, 0.03  # of normal noise over its median deviation; log ratio
MIN_WEEKS = 3  # on either side of a comparison
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CONTRASTS = ("weekend", *(name.lower() for name in DAY_NAMES))


class Weeks:
    """Adjusted consumption by week and weekday, and its contrasts, of all clients' weeks in a row."""

    def __init__(self, rows: DailySeries) -> None:
        number = (rows.day + MONDAY) // DAYS_PER_WEEK
        first, last = (number.take(at) for at in (rows.segments.starts, rows.segments.ends - 1))
        self.segments = Segments(last - first + 1)
        place = number - rows.segments.broadcast(first) + rows.segments.broadcast(self.segments.starts)
        table = np.full((DAYS_PER_WEEK, self.segments.n_rows), np.nan)
        table[rows.weekday, place] = rows.residual
        known = ~np.isnan(table)
        total = np.where(known, table, 0.0)
        self.weekend, self.midweek = (_mean(total[part], known[part]) for part in (slice(SATURDAY, 7), slice(SATURDAY)))
        others = (total.sum(axis=0) - total) / (known.sum(axis=0) - known)
        self.contrasts = np.array([self.weekend - self.midweek, *(table - others)])


def _mean(total: np.ndarray, known: np.ndarray) -> np.ndarray:
    return total.sum(axis=0) / known.sum(axis=0)


def _weekdays(rows: DailySeries) -> np.ndarray:
    weeks = Weeks(rows)
    weekend, single = weeks.contrasts[:1], weeks.contrasts[1:]
    noise = _noise(weeks.segments, weeks.contrasts)
    size, z = _last_against_before(weeks.segments, weekend, noise[:1], WINDOWS)
    _, z_of_days = _last_against_before(weeks.segments, single, noise[1:], DAY_WINDOWS)
    year_size, year_z = _year_on_year(weeks.segments, weekend, noise[:1])
    return np.concatenate([*size, *z, *z_of_days, *year_size, *year_z, _steps(weeks, noise)])


def _noise(weeks: Segments, contrasts: np.ndarray) -> np.ndarray:
    """Robust deviation of each contrast from week to week. [(contrasts, clients)]"""
    n = weeks.total((~np.isnan(contrasts)).astype(np.float64))
    middle = weeks.quantiles(contrasts, (0.5,), n)[0]
    off = np.abs(contrasts - weeks.broadcast(middle))
    return MAD_SCALE * weeks.quantiles(off, (0.5,), n)[0] + MIN_DEVIATION


def _compared(
    now: tuple[np.ndarray, np.ndarray], before: tuple[np.ndarray, np.ndarray], noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(difference of two means, the same in its standard errors). [now, before: number of weeks, mean]"""
    (n, mean), (n_before, mean_before) = now, before
    off = np.where((n >= MIN_WEEKS) & (n_before >= MIN_WEEKS), mean - mean_before, np.nan)
    return off, off / (noise * np.sqrt(1.0 / n + 1.0 / n_before))


def _last_against_before(
    weeks: Segments, contrasts: np.ndarray, noise: np.ndarray, windows: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Last weeks less all before. [each (windows, contrasts, clients)]"""
    is_last = weeks.rows_left <= np.array(windows)[:, None, None]
    now, before = (_count_and_mean(weeks, np.where(of, contrasts, np.nan)) for of in (is_last, ~is_last))
    return _compared(now, before, noise)


def _count_and_mean(weeks: Segments, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(series)
    n = weeks.total(known.astype(np.float64))
    return n, weeks.total(np.where(known, series, 0.0)) / n


def _year_on_year(weeks: Segments, contrasts: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last weeks less the same weeks a year before. [each (WINDOWS, contrasts, clients)]"""
    left, length = weeks.rows_left, np.array(WINDOWS)[:, None, None]
    is_then = (left > WEEKS_PER_YEAR) & (left <= WEEKS_PER_YEAR + length)
    now, then = (_count_and_mean(weeks, np.where(of, contrasts, np.nan)) for of in (left <= length, is_then))
    return _compared(now, then, noise)


def _steps(weeks: Weeks, noise: np.ndarray) -> np.ndarray:
    """Clearest downward step of each contrast; what weekends and the other days do at that of the weekends."""
    segments = weeks.segments
    (fall,) = ChangePoints(segments, weeks.contrasts, np.zeros_like(weeks.contrasts)).best((1,), (-1,))
    found = fall.row >= 0
    n_after = np.where(found, segments.ends - fall.row, np.nan)
    error = noise * np.sqrt(1.0 / n_after + 1.0 / (segments.counts - n_after))
    is_after = np.arange(segments.n_rows) >= segments.broadcast(np.where(found, fall.row, segments.ends))[0]
    both = np.array([weeks.weekend, weeks.midweek])
    after, before = (segments.mean(np.where(of, both, np.nan)) for of in (is_after, ~is_after))
    return np.concatenate([fall.size, fall.size / error, n_after[:1], after - before])


def _window_features() -> tuple[Feature, ...]:
    text = "weekends less weekdays, week by week: last {} weeks less {}"
    return (
        *(Feature(f"weekend_off_{w}w", SEASON, "log ratio", text.format(w, "those before")) for w in WINDOWS),
        *(Feature(f"weekend_z_{w}w", SEASON, "standard errors", text.format(w, "those before")) for w in WINDOWS),
        *(Feature(f"{name.lower()}_z_{w}w", SEASON, "standard errors",
                  f"{name}s less the other days, week by week: last {w} weeks less those before")
          for w in DAY_WINDOWS for name in DAY_NAMES),
        *(Feature(f"weekend_year_on_year_{w}w", SEASON, "log ratio", text.format(w, "the same a year before"))
          for w in WINDOWS),
        *(Feature(f"weekend_year_z_{w}w", SEASON, "standard errors", text.format(w, "the same a year before"))
          for w in WINDOWS),
    )  # fmt: skip


WEEKDAY_BLOCK = Block(
    (
        *_window_features(),
        *(Feature(f"{name}_fall_size", SEASON, "log ratio", f"clearest fall of {name}s against other days, size")
          for name in CONTRASTS),
        *(Feature(f"{name}_fall_z", SEASON, "standard errors",
                  f"clearest fall of {name}s against other days, clearness")
          for name in CONTRASTS),
        Feature("weekend_fall_ago", SEASON, "weeks", "clearest fall of weekends against weekdays, time since"),
        Feature("weekend_fall_weekends", IRREGULAR, "log ratio",
                "weekends after the clearest fall of weekends against weekdays, less those before"),
        Feature("weekend_fall_weekdays", IRREGULAR, "log ratio",
                "weekdays after the clearest fall of weekends against weekdays, less those before"),
    ),
    _weekdays,
)  # fmt: skip

BLOCKS = (WEEKDAY_BLOCK,)
