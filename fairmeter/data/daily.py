"""Smart-meter readings -> daily consumption on an unbroken calendar.

In:  readings (canonical table): client, read_at (start of the hour or day), consumption_kwh; any order, gaps allowed.
Out: DailyConsumption: a row per client and day, from its first to its last known day; missing is NaN, never zero.

A day of 23 or 25 hours, when the clocks change, is scaled to 24 hours so that days compare: a skipped hour counts as
the mean of the hours that were read, and a repeated hour counts once, with its mean.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import Table

MINUTES_PER_HOUR, HOURS_PER_DAY = 60, 24
MINUTES_PER_DAY = MINUTES_PER_HOUR * HOURS_PER_DAY
MIN_HOURS = 18  # known hours of 24: fewer could all lie in the night
MAX_TOTALS = 2  # readings on a day that may be its total and a copy; more are parts of the day


@dataclass(frozen=True)
class DailyConsumption:
    """Daily consumption on an unbroken calendar: a row per client and day, from its first to its last known day."""

    segments: Segments  # rows by client; a client without known readings has 0 rows
    day: np.ndarray  # int64 (rows,): days since 1970
    kwh: np.ndarray  # float64 (rows,), NaN where missing
    hours: np.ndarray | None = None  # float64 (rows, 24): kWh by hour of day, NaN unknown; None if no client has any

    @classmethod
    def from_readings(cls, readings: Table, n_clients: int) -> "DailyConsumption":
        """Sum readings to days. [readings["client"]: row of the client, 0..n_clients - 1]

        A day with fewer than MIN_HOURS known hours is NaN; otherwise its known hours are scaled up to 24. Readings of
        one moment count once, with their mean. Negative and non-finite values are missing. Readings more frequent than
        hourly are summed to hours; a client may change from daily to hourly readings once.
        """
        client, minute, kwh = _ordered_moments(readings)
        if not (minute % MINUTES_PER_DAY).any():  # totals of days only: a shortcut that takes a third of the time
            return _on_calendar(client, minute // MINUTES_PER_DAY, kwh, n_clients)
        client, hour, n, kwh = _hourly(client, minute, kwh)
        is_new, client_of_day, day_of_day = _mark_first(client, hour // HOURS_PER_DAY)
        by_day = _groups(is_new)
        is_total = _is_total(by_day, client_of_day, day_of_day, hour, n_clients)
        per_hour = _readings_per_hour(client, n, ~by_day.spread(is_total), n_clients)
        kwh = np.where(by_day.spread(is_total), kwh, kwh * per_hour[client])
        total = np.where(is_total, by_day.mean(kwh), _scale_to_24_hours(by_day, kwh))
        return _on_calendar(client_of_day, day_of_day, total, n_clients, (by_day, is_total, hour, kwh))

    def for_clients(self, clients: np.ndarray) -> "DailyConsumption":
        """The rows of some clients, in their order. [clients: mask]"""
        return self._rows(self.segments.spread(clients), self.segments.counts[clients])

    def until(self, last_day: np.ndarray, clients: np.ndarray) -> "DailyConsumption":
        """The rows of some clients up to a day each. [last_day: days since 1970, all clients; clients: mask]"""
        is_selected = self.segments.spread(clients) & (self.day <= self.segments.spread(last_day))
        return self._rows(is_selected, self.segments.total(is_selected.astype(np.int64))[clients])

    def _rows(self, is_selected: np.ndarray, counts: np.ndarray) -> "DailyConsumption":
        hours = None if self.hours is None else self.hours[is_selected]
        return DailyConsumption(Segments(counts), self.day[is_selected], self.kwh[is_selected], hours)

    def slice(self, start: int, stop: int) -> "DailyConsumption":
        """The clients start .. stop - 1, as views of the arrays."""
        if (start, stop) == (0, len(self.segments)):
            return self
        counts = self.segments.counts[start:stop]
        first = int(self.segments.starts[start]) if start < len(self.segments) else 0
        rows = slice(first, first + int(counts.sum()))
        return DailyConsumption(
            Segments(counts), self.day[rows], self.kwh[rows], None if self.hours is None else self.hours[rows]
        )


def _ordered_moments(readings: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(client, minute since 1970, kWh) by client and time, one row per moment; readings without a date are dropped."""
    read_at, kwh = readings["read_at"].astype("datetime64[m]"), np.asarray(readings["consumption_kwh"], np.float64)
    client, minute = np.asarray(readings["client"], np.int64), read_at.astype(np.int64)
    kwh = np.where(np.isfinite(kwh) & (kwh >= 0), kwh, np.nan)
    is_dated = ~np.isnat(read_at)
    if not is_dated.all():
        client, minute, kwh = client[is_dated], minute[is_dated], kwh[is_dated]
    is_same, is_later = client[1:] == client[:-1], minute[1:] > minute[:-1]
    if np.all((client[1:] > client[:-1]) | (is_same & is_later)):
        return client, minute, kwh
    order = np.lexsort((kwh, minute, client))  # by value too: a sum must not depend on the order of the file
    is_new, client, minute = _mark_first(client[order], minute[order])
    return client, minute, _groups(is_new).mean(kwh[order])


def _hourly(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> tuple[np.ndarray, ...]:
    """(client, hour since 1970, number of readings, their mean kWh), one row per hour with readings."""
    hour = minute // MINUTES_PER_HOUR
    is_new, first_client, first_hour = _mark_first(client, hour)
    if is_new.all():
        return client, hour, np.ones(len(client)), kwh
    by_hour = _groups(is_new)
    return first_client, first_hour, by_hour.counts.astype(np.float64), by_hour.mean(kwh)


def _mark_first(client: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(is first of its client and time, client and time of the first ones). [rows sorted by client and time]"""
    is_new = np.ones(len(client), dtype=bool)
    is_new[1:] = (client[1:] != client[:-1]) | (time[1:] != time[:-1])
    return is_new, client[is_new], time[is_new]


def _groups(is_new: np.ndarray) -> Segments:
    return Segments(np.diff(np.append(np.flatnonzero(is_new), len(is_new))))


def _is_total(by_day: Segments, client: np.ndarray, day: np.ndarray, hour: np.ndarray, n_clients: int) -> np.ndarray:
    """Mark days whose reading is their total: before the client's first day with many readings. [bool, (days,)]

    A single hour received on a bad day of an hourly meter must not be mistaken for the day's total.
    """
    never = np.iinfo(np.int64).max
    first_hourly = np.full(n_clients, never)
    is_hourly = by_day.counts > MAX_TOTALS
    np.minimum.at(first_hourly, client[is_hourly], day[is_hourly])
    at_midnight = (hour[by_day.starts] % HOURS_PER_DAY == 0) & (by_day.counts == 1)
    return (day < first_hourly[client]) & (at_midnight | (first_hourly[client] == never))


def _readings_per_hour(client: np.ndarray, n: np.ndarray, is_part: np.ndarray, n_clients: int) -> np.ndarray:
    """Readings per hour of each client's meter on days that come in parts, at least 1. [float64, (clients,)]"""
    sent, hours = (np.bincount(client, weights, n_clients) for weights in (n * is_part, is_part))
    return np.maximum(np.rint(sent / np.maximum(hours, 1.0)), 1.0)


def _scale_to_24_hours(by_day: Segments, kwh: np.ndarray) -> np.ndarray:
    known = ~np.isnan(kwh)
    n_known, total = by_day.total(np.array([known, np.where(known, kwh, 0.0)], dtype=np.float64))
    return np.where(n_known >= MIN_HOURS, total * HOURS_PER_DAY / np.maximum(n_known, 1.0), np.nan)


def _on_calendar(
    client: np.ndarray,
    day: np.ndarray,
    kwh: np.ndarray,
    n_clients: int,
    parts: tuple[Segments, np.ndarray, ...] | None = None,
) -> DailyConsumption:
    """Put days on a calendar with a row for each day between a client's first and last known one.

    parts: arguments of `_hours_of_day` for days that came in parts.
    """
    known = np.flatnonzero(~np.isnan(kwh))
    n_known = np.bincount(client.take(known), minlength=n_clients)
    clients, stops = np.flatnonzero(n_known), n_known.cumsum()
    first, counts = np.zeros((2, n_clients), dtype=np.int64)
    first[clients] = day[known[(stops - n_known)[clients]]]
    counts[clients] = day[known[stops[clients] - 1]] - first[clients] + 1
    segments = Segments(counts)
    since = day - first.take(client)
    is_inside = (since >= 0) & (since < counts.take(client))
    row = segments.starts.take(client) + since
    series = np.full(segments.n_rows, np.nan)
    series[row[is_inside]] = kwh[is_inside]
    calendar = segments.position + segments.broadcast(first)
    hours = None if parts is None else _hours_of_day(segments.n_rows, row, is_inside, *parts)
    return DailyConsumption(segments, calendar, series, hours)


def _hours_of_day(
    n_rows: int, row: np.ndarray, is_inside: np.ndarray, by_day: Segments, is_total: np.ndarray, hour: np.ndarray,
    kwh: np.ndarray,
) -> np.ndarray | None:  # fmt: skip
    """kWh by hour of day, for days that came in parts. [float64, (n_rows, 24); None if there are none]"""
    is_parted = by_day.spread(is_inside & ~is_total)
    if not is_parted.any():
        return None
    hours = np.full((n_rows, HOURS_PER_DAY), np.nan)
    hours[by_day.spread(row)[is_parted], hour[is_parted] % HOURS_PER_DAY] = kwh[is_parted]
    return hours
