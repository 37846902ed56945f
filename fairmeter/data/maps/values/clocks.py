"""Clocks: the wall's time of a zone from UTC and back, for whole columns.

In:  minutes since 1970 by one clock.
Out: minutes since 1970 by another. On a day of 23 or 25 hours time passes as it does for people.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np

from fairmeter.data.maps.values.date_formats import offset_minutes

DAY = 24 * 60  # minutes
STEP = 15  # minutes: offsets change at quarter hours
FIRST_DAY, LAST_DAY = -25_567, 2_932_800  # 1900 and the last year that datetime has


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """The names of all time zones."""
    return tuple(sorted(available_timezones()))


def is_zone(name: object) -> bool:
    """Whether a zone has this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return False
    return True


def is_clock(name: object) -> bool:
    """Whether a name is "UTC", an offset such as "+10:00", or a zone."""
    return isinstance(name, str) and (offset_minutes(name) is not None or is_zone(name))


def to_utc(minute: np.ndarray, clock: str) -> np.ndarray:
    """UTC of moments by a clock; of an hour that comes twice, the first. [minutes since 1970]"""
    fixed = offset_minutes(clock)
    if fixed is not None:
        return minute - fixed
    # The offset that holds at the UTC so found; before a change to winter time both fit, and the earlier one counts.
    before = minute - _offsets(minute - DAY, clock)
    after = minute - _offsets(minute + DAY, clock)
    is_before = _offsets(before, clock) == minute - before
    is_after = _offsets(after, clock) == minute - after
    return np.where(is_before, before, np.where(is_after, after, before))


def to_wall(utc: np.ndarray, zone: str) -> np.ndarray:
    """The wall's clock at moments of UTC. [minutes since 1970]"""
    return utc + _offsets(utc, zone)


def is_ambiguous(minute: np.ndarray, zone: str) -> np.ndarray:
    """Mark moments of the wall's clock that come twice."""
    earlier = minute - _offsets(minute - DAY, zone)
    later = minute - _offsets(minute + DAY, zone)
    both = (_offsets(earlier, zone) == minute - earlier) & (_offsets(later, zone) == minute - later)
    return both & (earlier != later)


def _offsets(utc: np.ndarray, zone: str) -> np.ndarray:
    """Offsets from UTC at moments of UTC: looked up a day at a time, within a day of change by the quarter hour."""
    if not len(utc):
        return utc
    days, at = np.unique(utc // DAY, return_inverse=True)
    starts = np.array([_offset_at(int(day) * DAY, zone) for day in days])
    ends = np.array([_offset_at((int(day) + 1) * DAY, zone) for day in days])
    offsets = starts[at]
    changing = np.flatnonzero((starts != ends)[at])
    if len(changing):
        steps, place = np.unique(utc[changing] // STEP, return_inverse=True)
        offsets[changing] = np.array([_offset_at(int(step) * STEP, zone) for step in steps])[place]
    return offsets


@lru_cache(maxsize=2**15)
def _offset_at(utc: int, zone: str) -> int:
    day = min(max(utc // DAY, FIRST_DAY), LAST_DAY)
    moment = datetime.fromtimestamp((day * DAY + utc % DAY) * 60, UTC)
    return int(moment.astimezone(ZoneInfo(zone)).utcoffset().total_seconds() // 60)
