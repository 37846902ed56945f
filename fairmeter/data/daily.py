"""Smart-meter readings -> daily consumption on an unbroken calendar.

In:  readings (canonical table): client, read_at (start of the interval), consumption_kwh; any order, gaps allowed. If
     given: minutes (length of the interval), is_estimated, export_kwh.
Out: DailyConsumption: a row per client and day, from its first to its last known day; missing is NaN, never zero.

Each reading has its own length (fairmeter/data/reading_rules/intervals.py). A day is the sum of what is known of it,
scaled to 24 hours where at least 18 are known. A day of 23 or 25 hours, when the clocks change, is scaled to 24 hours
so that days compare: a skipped hour counts as the mean of what was read, and a repeated hour counts once.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments, runs_of_rows
from fairmeter.core.types import Table
from fairmeter.data.reading_rules.intervals import interval_minutes, is_of_days, whole_days, without_overlaps
from fairmeter.data.reading_rules.moments import is_in_order

MINUTES_PER_HOUR, HOURS_PER_DAY = 60, 24
MINUTES_PER_DAY = MINUTES_PER_HOUR * HOURS_PER_DAY
MIN_MINUTES = 18 * MINUTES_PER_HOUR  # known of a day: fewer could all lie in the night
MIN_HOUR_MINUTES = 30  # known of an hour
NO_HOUR = -1  # of a piece that is a day or longer


@dataclass(frozen=True)
class DailyConsumption:
    """Daily consumption on an unbroken calendar: a row per client and day, from its first to its last known day."""

    segments: Segments  # rows by client; a client without known readings has 0 rows
    day: np.ndarray  # int64 (rows,): days since 1970
    kwh: np.ndarray  # float64 (rows,), NaN where missing
    hours: np.ndarray | None = None  # float64 (rows, 24): kWh by hour of day, NaN unknown; None if no client has any
    export_kwh: np.ndarray | None = None  # float64 (rows,): energy fed into the grid, 0 without; None if none was
    is_spread: np.ndarray | None = None  # bool (rows,): days whose energy came with that of others; None if none did

    @classmethod
    def from_readings(cls, readings: Table, n_clients: int) -> "DailyConsumption":
        """Sum readings to days. [readings["client"]: row of the client, 0..n_clients - 1]

        A day of which less than MIN_MINUTES are known is NaN; otherwise what is known is scaled up to 24 hours.
        Readings of one moment and length count once, with their mean. Negative and non-finite values are missing, and
        so are estimates, which are no evidence.
        """
        client, minute, kwh, stated = _ordered_moments(readings)
        if stated is None and is_of_days(minute):  # totals of days: takes a third of the time
            return _on_calendar(client, minute // MINUTES_PER_DAY, kwh, n_clients, exports=_exports(readings))
        if stated is not None and (days := _whole_days_apart(client, minute, kwh, stated)):
            return _on_calendar(*days[:3], n_clients, exports=_exports(readings), spread=days[3])
        start, length = whole_days(minute, interval_minutes(client, minute, stated))
        if _overlap(client, start, length):
            client, start, length, kwh = without_overlaps(client, start, length, kwh)
        pieces = _pieces(client, start.astype(np.int64), length, kwh)
        is_new, client, day = _mark_first(pieces.client, pieces.day)
        total = _daily_totals(_groups(is_new), pieces)
        spread = None if not pieces.is_spread.any() else (pieces.client[pieces.is_spread], pieces.day[pieces.is_spread])
        return _on_calendar(client, day, total, n_clients, _by_hour(pieces), _exports(readings), spread)

    def for_clients(self, clients: np.ndarray) -> "DailyConsumption":
        """The rows of some clients, in their order. [clients: mask]"""
        return self._rows(self.segments.spread(clients), self.segments.counts[clients])

    def until(self, last_day: np.ndarray, clients: np.ndarray) -> "DailyConsumption":
        """The rows of some clients up to a day each. [last_day: days since 1970, all clients; clients: mask]"""
        is_selected = self.segments.spread(clients) & (self.day <= self.segments.spread(last_day))
        return self._rows(is_selected, self.segments.total(is_selected.astype(np.int64))[clients])

    def without_spread(self) -> "DailyConsumption":
        """Days whose energy came on its own; of a total spread over its days the shape is unknown, so they are missing.

        Clients of which most known days are such parts keep them all.
        """
        if self.is_spread is None:
            return self
        n_own, n_spread = self.segments.total(
            np.array([~self.is_spread & ~np.isnan(self.kwh), self.is_spread], np.int64)
        )
        hidden = self.is_spread & self.segments.spread(n_own >= n_spread)
        if not hidden.any():
            return self
        kwh = np.where(hidden, np.nan, self.kwh)
        known_day = np.where(np.isnan(kwh), np.nan, self.day)
        first, last = self.segments.smallest(known_day), self.segments.largest(known_day)
        rows = (self.day >= self.segments.spread(first)) & (self.day <= self.segments.spread(last))
        return replace(self, kwh=kwh)._rows(rows, self.segments.total(rows.astype(np.int64)))

    def _rows(self, rows: np.ndarray | slice, counts: np.ndarray) -> "DailyConsumption":
        optional = (
            None if column is None else column[rows] for column in (self.hours, self.export_kwh, self.is_spread)
        )
        return DailyConsumption(Segments(counts), self.day[rows], self.kwh[rows], *optional)

    def slice(self, start: int, stop: int) -> "DailyConsumption":
        """The clients start .. stop - 1, as views of the arrays."""
        if (start, stop) == (0, len(self.segments)):
            return self
        counts = self.segments.counts[start:stop]
        first = int(self.segments.starts[start]) if start < len(self.segments) else 0
        return self._rows(slice(first, first + int(counts.sum())), counts)


class _Pieces(NamedTuple):
    """Readings cut at the ends of hours and days, by client and day. [minutes: known ones, 0 where kWh is missing]"""

    client: np.ndarray
    day: np.ndarray
    hour: np.ndarray  # of the day, NO_HOUR for what is a day or longer
    minutes: np.ndarray
    kwh: np.ndarray  # 0 where missing
    is_spread: np.ndarray  # of readings of more than a day


class _Hours(NamedTuple):
    """kWh by hour. [client, hour since 1970]"""

    client: np.ndarray
    at: np.ndarray
    kwh: np.ndarray


def _ordered_moments(readings: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """(client, minute since 1970, kWh, stated minutes or None), by client and time, one row per moment and length.

    Readings without a date are dropped.
    """
    read_at, kwh = (
        readings["read_at"].astype("datetime64[m]", copy=False),
        np.asarray(readings["consumption_kwh"], np.float64),
    )
    client, minute = np.asarray(readings["client"], np.int64), read_at.view(np.int64)
    if (kwh < 0).any() or (kwh == np.inf).any():
        kwh = np.where((kwh >= 0) & (kwh < np.inf), kwh, np.nan)
    if "is_estimated" in readings:
        kwh = np.where(readings["is_estimated"], np.nan, kwh)
    stated = _stated(readings)
    is_undated = np.isnat(read_at)
    if is_undated.any():
        is_dated = ~is_undated
        client, minute, kwh = client[is_dated], minute[is_dated], kwh[is_dated]
        stated = stated if stated is None else stated[is_dated]
    if is_in_order(client, minute):
        return client, minute, kwh, stated
    keys = (kwh, minute, client) if stated is None else (kwh, stated, minute, client)
    order = np.lexsort(keys)  # by value too: a sum must not depend on the order of the file
    ordered = [None if column is None else column[order] for column in (client, minute, stated)]
    is_new, client, minute = _mark_first(*ordered[:2])
    if (stated := ordered[2]) is not None:
        is_new[1:] |= (stated[1:] != stated[:-1]) & ~(np.isnan(stated[1:]) & np.isnan(stated[:-1]))
        client, minute, stated = ordered[0][is_new], ordered[1][is_new], stated[is_new]
    return client, minute, _groups(is_new).mean(kwh[order]), stated


def _stated(readings: Table) -> np.ndarray | None:
    """Lengths that the file states, NaN where it does not; None without any. [minutes]"""
    if "minutes" not in readings:
        return None
    stated = np.asarray(readings["minutes"], np.float64)
    return np.where(stated > 0, stated, np.nan) if (stated > 0).any() else None


def _whole_days_apart(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray, stated: np.ndarray):
    """(client, day, kWh, spread) of totals of one or several whole days; None where readings are others, or overlap.

    The same as _pieces makes of them, without cutting each of the many days that are alike.
    """
    if not is_of_days(minute):
        return None
    n = np.where(np.isnan(stated), 1.0, stated / MINUTES_PER_DAY)
    first = minute // MINUTES_PER_DAY
    is_early = (first[1:] < first[:-1] + n[:-1]) & (client[1:] == client[:-1])
    if (n % 1 != 0).any() or is_early.any():
        return None
    n = n.astype(np.int64)
    row = np.repeat(np.arange(len(n)), n)
    day = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    parts = kwh[row] * (MINUTES_PER_DAY / (n[row] * float(MINUTES_PER_DAY)))
    is_spread = (n[row] > 1) & ~np.isnan(parts)
    spread = (client[row][is_spread], day[is_spread]) if is_spread.any() else None
    return client[row], day, parts, spread


def _mark_first(client: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(is first of its client and time, client and time of the first ones). [rows sorted by client and time]"""
    is_new = np.ones(len(client), dtype=bool)
    is_new[1:] = (client[1:] != client[:-1]) | (time[1:] != time[:-1])
    return is_new, client[is_new], time[is_new]


def _groups(is_new: np.ndarray) -> Segments:
    return Segments(np.diff(np.append(np.flatnonzero(is_new), len(is_new))))


def _overlap(client: np.ndarray, start: np.ndarray, length: np.ndarray) -> bool:
    """Whether a reading begins before an earlier one of its client ends."""
    is_early = (start[1:] < start[:-1] + length[:-1]) & (client[1:] == client[:-1])
    return bool(is_early.any())


def _pieces(client: np.ndarray, start: np.ndarray, length: np.ndarray, kwh: np.ndarray) -> _Pieces:
    """Cut readings of more than an hour into hours, and those of a day or more into days."""
    known = ~np.isnan(kwh)
    if len(length) and length.max() <= MINUTES_PER_HOUR:  # nothing to cut
        day = start // MINUTES_PER_DAY
        hour = (start - day * MINUTES_PER_DAY) // MINUTES_PER_HOUR
        values = kwh if known.all() else np.where(known, kwh, 0.0)
        return _Pieces(client, day, hour, length * known, values, np.zeros(len(kwh), bool))
    is_whole, is_spread = length >= MINUTES_PER_DAY, length > MINUTES_PER_DAY
    unit = np.where(is_whole, MINUTES_PER_DAY, MINUTES_PER_HOUR)
    is_long = (length > unit) | (is_whole & (start % MINUTES_PER_DAY != 0))
    if is_long.any():
        first, last = start // unit, (start + np.ceil(length).astype(np.int64) - 1) // unit
        n = np.where(is_long, last - first + 1, 1)
        row = np.repeat(np.arange(len(start)), n)
        place = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
        begins = np.maximum(start[row], (first[row] + place) * unit[row])
        ends = np.minimum(start[row] + length[row], (first[row] + place + 1) * unit[row])
        minutes = np.where(is_long[row], ends - begins, length[row])
        client, start, is_whole, kwh = client[row], begins, is_whole[row], kwh[row] * (minutes / length[row])
        length, is_spread = minutes, is_spread[row]
    day, hour = start // MINUTES_PER_DAY, start % MINUTES_PER_DAY // MINUTES_PER_HOUR
    is_known = ~np.isnan(kwh)
    hour = np.where(is_whole, NO_HOUR, hour)
    columns = client, day, hour, length * is_known, np.where(is_known, kwh, 0.0), is_spread & is_known
    is_unordered = (client[1:] == client[:-1]) & (start[1:] < start[:-1])
    if is_unordered.any():
        order = np.lexsort((columns[2], day, client))
        columns = tuple(column[order] for column in columns)
    return _Pieces(*columns)


def _daily_totals(by_day: Segments, pieces: _Pieces) -> np.ndarray:
    """Known energy of each day, scaled to 24 hours; NaN where too little is known."""
    known, total = by_day.total(pieces.minutes), by_day.total(pieces.kwh)
    return np.where(known >= MIN_MINUTES, total * (MINUTES_PER_DAY / np.maximum(known, 1.0)), np.nan)


def _by_hour(pieces: _Pieces) -> _Hours | None:
    """kWh of each hour of which half is known, scaled to 60 minutes; None where no reading is shorter than a day."""
    has_hour = pieces.hour != NO_HOUR
    if not has_hour.any():
        return None
    client, day, hour, minutes, kwh, _ = pieces if has_hour.all() else (column[has_hour] for column in pieces)
    at = day * HOURS_PER_DAY + hour
    if is_in_order(client, at):  # one reading an hour, or fewer
        known, total = minutes, kwh
    else:
        is_new, client, at = _mark_first(client, at)
        by_hour = _groups(is_new)
        known, total = by_hour.total(minutes), by_hour.total(kwh)
    value = np.where(known >= MIN_HOUR_MINUTES, total * (MINUTES_PER_HOUR / np.maximum(known, 1.0)), np.nan)
    return _Hours(client, at, value)


def _exports(readings: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(client, day, kWh) of what was fed into the grid; None if nothing was."""
    if "export_kwh" not in readings:
        return None
    kwh = np.asarray(readings["export_kwh"], np.float64)
    fed = np.isfinite(kwh) & (kwh > 0) & ~np.isnat(readings["read_at"])
    if not fed.any():
        return None
    day = readings["read_at"][fed].astype("datetime64[D]").astype(np.int64)
    return np.asarray(readings["client"], np.int64)[fed], day, kwh[fed]


def _on_calendar(
    client: np.ndarray,
    day: np.ndarray,
    kwh: np.ndarray,
    n_clients: int,
    by_hour: _Hours | None = None,
    exports: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    spread: tuple[np.ndarray, np.ndarray] | None = None,
) -> DailyConsumption:
    """Put days on a calendar with a row for each day between a client's first and last known one."""
    clients, low, high = _known_ends(client, kwh, n_clients)
    first, counts = np.zeros((2, n_clients), dtype=np.int64)
    first[clients] = day[low]
    counts[clients] = day[high] - first[clients] + 1
    segments = Segments(counts)
    calendar, series = _days_between(low, high, day, kwh, segments.starts[clients])
    hours = export_kwh = is_spread = None
    if by_hour is not None:
        hours = _hours_of_days(by_hour, first, segments)
    if exports is not None:
        row, is_inside = _rows_of(*exports[:2], first, segments)
        export_kwh = np.bincount(row[is_inside], exports[2][is_inside], segments.n_rows)
    if spread is not None:
        row, is_inside = _rows_of(*spread, first, segments)
        is_spread = np.zeros(segments.n_rows, bool)
        is_spread[row[is_inside]] = True
    return DailyConsumption(segments, calendar, series, hours, export_kwh, is_spread)


def _known_ends(client: np.ndarray, kwh: np.ndarray, n_clients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(clients with a known row, the first and the last known row of each)."""
    n = np.bincount(client, minlength=n_clients)
    missing, stops = np.flatnonzero(np.isnan(kwh)), n.cumsum()
    if not len(missing):
        clients = np.flatnonzero(n)
        return clients, (stops - n)[clients], stops[clients] - 1
    clients = np.flatnonzero(n > np.bincount(client[missing], minlength=n_clients))
    low, high = (stops - n)[clients], stops[clients] - 1
    start, length = runs_of_rows(missing)
    for ends, known in ((low, start + length), (high, start - 1)):
        rows = np.flatnonzero(np.isnan(kwh[ends]))
        ends[rows] = known[np.searchsorted(start, ends[rows], side="right") - 1]
    return clients, low, high


def _days_between(
    low: np.ndarray, high: np.ndarray, day: np.ndarray, kwh: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(days, their kWh, NaN without a row) of each client. [low, high: its first and last row; starts: of its days]"""
    n, n_days = high - low + 1, day[high] - day[low] + 1
    n_rows = int(n.sum())
    if n_rows < len(day):
        is_kept = np.ones(len(day), bool)
        ends = np.append(-1, high), np.append(low, len(day))  # rows left out lie between
        for end, start in zip(*(each[ends[0] + 1 < ends[1]].tolist() for each in ends), strict=True):
            is_kept[end + 1 : start] = False
        day, kwh = day[is_kept], kwh[is_kept]
    if n_rows == int(n_days.sum()):  # each day has its row
        return day, kwh.copy()
    shift = day[n.cumsum() - n] - starts
    series = np.full(int(n_days.sum()), np.nan)
    series[day - np.repeat(shift, n)] = kwh
    return np.arange(len(series)) + np.repeat(shift, n_days), series


def _hours_of_days(by_hour: _Hours, first: np.ndarray, segments: Segments) -> np.ndarray | None:
    """kWh by hour of each day of the calendar; None where all hours lie outside. [first: day of each client]"""
    place = by_hour.at + (HOURS_PER_DAY * (segments.starts - first)).take(by_hour.client)
    is_inside = place >= (HOURS_PER_DAY * segments.starts).take(by_hour.client)
    is_inside &= place < (HOURS_PER_DAY * segments.ends).take(by_hour.client)
    if not is_inside.any():
        return None
    kwh = by_hour.kwh
    if not is_inside.all():
        place, kwh = place[is_inside], kwh[is_inside]
    if len(kwh) == HOURS_PER_DAY * segments.n_rows:  # each hour has its row
        return kwh.reshape(-1, HOURS_PER_DAY)
    hours = np.full(HOURS_PER_DAY * segments.n_rows, np.nan)
    hours[place] = kwh
    return hours.reshape(-1, HOURS_PER_DAY)


def _rows_of(
    client: np.ndarray, day: np.ndarray, first: np.ndarray, segments: Segments
) -> tuple[np.ndarray, np.ndarray]:
    """(row on the calendar, whether it is one) of each client and day. [first: day of each client]"""
    since = day - first.take(client)
    return segments.starts.take(client) + since, (since >= 0) & (since < segments.counts.take(client))
