"""Rules that clean readings, the same for files and for JSON.

In:  readings as parsed (fairmeter/data/readings.py), in any order: client, read_at (never NaT), consumption_kwh.
Out: readings by client, then time, one per moment, NaN where missing; a CleaningFinding for each rule that matched.
     What the rules answer to is in docs/cleaning.md.

For days of 23 and 25 hours, when the clocks change, this module merges the repeated hour and counts the days;
fairmeter/data/daily.py scales every day to 24 hours and fills missing hours.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import Table
from fairmeter.data.cleaning import CleaningFinding

READING_YEARS = (1971, 2100)  # a meter whose clock was reset reports 1970
MAX_READING_KWH = 1e6  # the largest day of a business in the SGCC set is 0.8 million
MAX_YEARS = 10  # of one client: older readings have no value, and a wrong date must not create 40,000 days
HOUR, DAY = 60, 24 * 60  # minutes
STUCK_READINGS, STUCK_MINUTES, STUCK_HOURLY_MINUTES = 7, 7 * DAY, DAY
MAX_AGE = MAX_YEARS * 366 * DAY
SUNDAY = 3  # 1970-01-01 was a Thursday
CHANGE_MONTHS = (2, 3, 8, 9, 10)  # 0 = January: clocks change in March or April, and in September to November
CHANGE_HOURS = 4  # the repeated or skipped hour is one of the first of the night
MIN_HOURS = 20  # of a day: with fewer, a repeated reading is no evidence of a clock change
ALL_HOURS = sum(range(24))

FIRST_MINUTE, LAST_MINUTE = (
    int(np.datetime64(f"{year}-01-01T00:00", "m").astype(np.int64)) for year in (READING_YEARS[0], READING_YEARS[1] + 1)
)


def clean_readings(readings: Table) -> tuple[Table, list[CleaningFinding]]:
    """Clean a copy of the readings, sorted by client, then time. Returns it and the findings."""
    client, kwh = np.asarray(readings["client"], np.int64), np.asarray(readings["consumption_kwh"], np.float64)
    minute = readings["read_at"].astype("datetime64[m]").view(np.int64)
    findings = []

    def found(flag: str, text: str, clients: np.ndarray) -> None:
        if len(clients):
            findings.append(CleaningFinding(flag, text, clients))

    is_inside = (minute >= FIRST_MINUTE) & (minute < LAST_MINUTE)
    if not is_inside.all():
        found("impossible_moments", _text("Readings from before {} or after {}, left out"), client[~is_inside])
        client, minute, kwh = client[is_inside], minute[is_inside], kwh[is_inside]
    with np.errstate(invalid="ignore"):
        is_negative, is_huge = kwh < 0, kwh > MAX_READING_KWH
    found("negative_readings", "Readings below 0, taken as missing", client[is_negative])
    found("impossible_readings", f"Readings above {MAX_READING_KWH:,.0f} kWh, taken as missing", client[is_huge])
    kwh = np.where(is_negative | is_huge, np.nan, kwh)

    client, minute, kwh = _in_order(client, minute, kwh)
    is_old = _is_old(client, minute)
    if is_old.any():
        old = f"Readings from more than {MAX_YEARS} years before the client's last one, left out"
        found("old_readings", old, client[is_old])
        client, minute, kwh = client[~is_old], minute[~is_old], kwh[~is_old]
    is_first = _is_first(client, minute)
    changed, is_doubled = _clock_changes(client, minute, is_first)
    found("clock_changes", "Days on which the clocks changed; the hour that came twice counts once", changed)
    if not is_first.all():
        kwh, copies, conflicts = _merge_moments(client, kwh, is_first, is_doubled)
        found("duplicate_readings", "Copies of a reading, dropped", copies)
        found("conflicting_readings", "Moments with different readings, of which the mean is kept", conflicts)
        client, minute = client[is_first], minute[is_first]
    found("gap_days", "Days without a reading between the first and the last one", _gap_days(client, minute, kwh))
    stuck = "Readings of one value above 0 that stood for 7 days or, hourly, for 24 hours, kept"
    found("stuck_readings", stuck, client[_is_stuck(client, minute, kwh)])
    return {"client": client, "read_at": minute.view("datetime64[m]"), "consumption_kwh": kwh}, findings


def _text(sentence: str) -> str:
    return sentence.format(*READING_YEARS)


# --- one reading a moment ---------------------------------------------------------------------------------------------


def _in_order(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort by client, time and value, missing values last, so that results do not depend on the order of the file."""
    is_later = (client[1:] > client[:-1]) | ((client[1:] == client[:-1]) & (minute[1:] > minute[:-1]))
    if is_later.all():
        return client, minute, kwh
    order = np.lexsort((kwh, minute, client))
    return client[order], minute[order], kwh[order]


def _is_old(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    if not len(minute) or minute.max() - minute.min() <= MAX_AGE:
        return np.zeros(len(minute), bool)
    by_client = Segments(np.bincount(client))
    return minute < by_client.spread(by_client.last(minute)) - MAX_AGE


def _is_first(client: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Mark the first row of each client and time. [bool, rows sorted]"""
    is_first = np.ones(len(client), bool)
    is_first[1:] = (client[1:] != client[:-1]) | (time[1:] != time[:-1])
    return is_first


def _counts(is_first: np.ndarray) -> np.ndarray:
    """Number of rows of each group, given its marked first row."""
    return np.diff(np.append(np.flatnonzero(is_first), len(is_first)))


def _merge_moments(
    client: np.ndarray, kwh: np.ndarray, is_first: np.ndarray, is_doubled: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge readings of one moment into the mean of its different values.

    Returns kWh per moment, the clients of copies, and the clients of moments with different values. A missing value
    counts as a copy of a present one. Hours repeated by a clock change count as neither. [is_doubled: per moment]
    """
    moments = Segments(_counts(is_first))
    is_copy = ~is_first
    is_copy[1:] &= (kwh[1:] == kwh[:-1]) | np.isnan(kwh[1:])
    total, n = moments.total(np.array([np.where(is_copy, 0.0, kwh), ~is_copy]))
    copies = client[is_copy & ~moments.spread(is_doubled)]
    return total / n, copies, client[is_first][(n > 1) & ~is_doubled]


# --- clock changes ----------------------------------------------------------------------------------------------------


def _clock_changes(client: np.ndarray, minute: np.ndarray, is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(client of each day with a clock change, mask of the moments that it repeated). [is_first: marks each moment]

    Such a day is a Sunday of spring or autumn that is complete but for one hour of the night, repeated or skipped.
    In countries with other days, a repeated hour counts as conflicting readings, with the same result.
    """
    is_doubled = np.zeros(np.count_nonzero(is_first), bool)
    if not (minute % DAY).any():  # daily readings have no hours
        return client[:0], is_doubled
    client, minute, n = client[is_first], minute[is_first], _counts(is_first)
    at = np.flatnonzero((minute // DAY - SUNDAY) % 7 == 0)
    at = at[np.isin(minute[at].view("datetime64[m]").astype("datetime64[M]").astype(np.int64) % 12, CHANGE_MONTHS)]
    if not len(at):
        return client[:0], is_doubled
    day, hour, is_twice = minute[at] // DAY, minute[at] % DAY // HOUR, n[at] > 1
    is_first = _is_first(client[at], day)
    starts, by_day = np.flatnonzero(is_first), Segments(_counts(is_first))
    is_new_hour = _is_first(client[at], minute[at] // HOUR)
    n_hours = np.add.reduceat(is_new_hour.astype(np.int64), starts)
    left_out = ALL_HOURS - np.add.reduceat(np.where(is_new_hour, hour, 0), starts)  # where one hour is
    first_twice = np.minimum.reduceat(np.where(is_twice, hour, 24), starts)
    last_twice = np.maximum.reduceat(np.where(is_twice, hour, -1), starts)
    most = np.maximum.reduceat(n[at], starts)
    has_25 = (first_twice == last_twice) & (last_twice < CHANGE_HOURS) & (most == 2) & (n_hours >= MIN_HOURS)
    has_23 = (n_hours == 23) & (left_out < CHANGE_HOURS) & (most == 1)
    is_doubled[at] = is_twice & by_day.spread(has_25)
    return client[at][starts][has_25 | has_23], is_doubled


# --- gaps, stuck meters -----------------------------------------------------------------------------------------------


def _gap_days(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> np.ndarray:
    """The client of each day without a known reading between the client's first and last one."""
    known = ~np.isnan(kwh)
    client, day = client[known], minute[known] // DAY
    step = np.diff(day)
    after = 1 + np.flatnonzero(step > 1)
    after = after[client[after] == client[after - 1]]
    return np.repeat(client[after], step[after - 1] - 1)


def _is_stuck(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> np.ndarray:
    """Mark runs of one value above 0 over 7 days or, hourly, 24 hours, without a gap of more than a day."""
    goes_on = np.zeros(len(kwh), bool)
    goes_on[1:] = (kwh[1:] == kwh[:-1]) & (kwh[1:] > 0) & (client[1:] == client[:-1]) & (np.diff(minute) <= DAY)
    if np.count_nonzero(goes_on) < STUCK_READINGS - 1:
        return np.zeros(len(kwh), bool)
    starts, counts = np.flatnonzero(~goes_on), _counts(~goes_on)
    is_run = counts >= STUCK_READINGS
    if not is_run.any():
        return np.zeros(len(kwh), bool)
    starts, n = starts[is_run], counts[is_run]
    span = (
        minute[starts + n - 1] - minute[starts]
    )  # between the starts of first and last: n readings cover span * n / (n - 1)
    least = np.where(span <= HOUR * (n - 1), STUCK_HOURLY_MINUTES, STUCK_MINUTES)
    is_run[is_run] = span * n >= least * (n - 1)
    return np.repeat(is_run, counts)
