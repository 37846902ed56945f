"""Rules that clean readings, the same for files and for JSON.

In:  readings as parsed (fairmeter/data/readings.py), in any order: client, read_at (never NaT), consumption_kwh; if
     given: minutes, is_estimated, export_kwh.
Out: readings by client, then time, one per moment and length, NaN where missing; a CleaningFinding for each rule that
     matched. What the rules answer to is in docs/cleaning.md; longer rules are in fairmeter/data/reading_rules.

For days of 23 and 25 hours, when the clocks change, this module merges the repeated hour and counts the days;
fairmeter/data/daily.py scales every day to 24 hours and fills missing hours.
"""

from collections.abc import Iterable

import numpy as np

from fairmeter.core.segments import Segments, runs_of_rows
from fairmeter.core.types import SAME_FACTOR, Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.reading_rules.catch_up import spread_catch_ups
from fairmeter.data.reading_rules.impossible import error_codes, large_readings, odd_dates, register_clients
from fairmeter.data.reading_rules.intervals import is_of_days, long_steps
from fairmeter.data.reading_rules.moments import first_of_moment, is_in_order, merge_moments
from fairmeter.data.reading_rules.net_metering import separate_exports
from fairmeter.data.reading_rules.side_totals import state_side_totals

READING_YEARS = (1971, 2100)  # a meter whose clock was reset reports 1970
MAX_AHEAD = 31  # days after today: a later date is an error
MAX_READING_KWH = 1e6  # the largest day of a business in the SGCC set is 0.8 million
MAX_YEARS = 10  # of one client: older readings have no value, and a wrong date must not create 40,000 days
HOUR, DAY = 60, 24 * 60  # minutes
STUCK_READINGS, STUCK_MINUTES, STUCK_HOURLY_MINUTES = 7, 7 * DAY, DAY
MAX_AGE = MAX_YEARS * 366 * DAY
RECENT_DAYS, MOSTLY = 90, 0.5  # of a client, and the share of estimates among them that its score names
SUNDAY = 3  # 1970-01-01 was a Thursday
CHANGE_MONTHS = (2, 3, 8, 9, 10)  # 0 = January: clocks change in March or April, and in September to November
CHANGE_HOURS = 4  # the repeated or skipped hour is one of the first of the night
MIN_HOURS = 20  # of a day: with fewer, a repeated reading is no evidence of a clock change
ALL_HOURS = sum(range(24))
OPTIONAL = {"minutes": np.float64, "is_estimated": bool, "export_kwh": np.float64}
FIRST_MINUTE = int(np.datetime64(f"{READING_YEARS[0]}-01-01T00:00", "m").astype(np.int64))

TEXTS = {  # in the order of the rules
    "impossible_moments": f"Readings from before {READING_YEARS[0]} or over {MAX_AHEAD} days after today, left out",
    "impossible_readings": f"Readings above {MAX_READING_KWH:,.0f} kWh, taken as missing",
    "net_metering": "Days on which more was fed into the grid than used; what was used is not known",
    "negative_readings": "Readings below 0, taken as missing",
    "odd_dates": "Readings more than a year from all others of their client, left out",
    "old_readings": f"Readings from more than {MAX_YEARS} years before the client's last one, left out",
    "side_totals": "Totals of days beside the hours they are made of, counted once",
    "clock_changes": "Days on which the clocks changed; the hour that came twice counts once",
    "superseded_estimates": "Estimates beside an actual reading of the same moment, dropped",
    "summed_registers": "Moments with a reading of each register or phase, added",
    "duplicate_readings": "Copies of a reading, dropped",
    "conflicting_readings": "Moments with different readings, of which the mean is kept",
    "register_totals": "Readings of clients whose values never fall, as a meter's register, taken as missing",
    "catch_ups": "Readings that hold what was used in a gap before them, spread over it",
    "error_codes": "Readings far beyond the client's own and what its fuse lets through, taken as missing",
    "estimated_readings": "Estimates, kept, and no evidence for a score",
    "mostly_estimated": f"Clients of whose last {RECENT_DAYS} days more than half are estimates, which say little",
    "gap_days": "Days without a reading between the first and the last one",
    "stuck_readings": "Readings of one value above 0 that stood for 7 days or, hourly, for 24 hours, kept",
}


# What is found before these rules by those of many clients and of maps, and after them.
ORDER = ("unit_steps", "superseded_readings", "register_fell", *TEXTS, SAME_FACTOR, "unreadable_readings")


def in_order_of_rules(findings: Iterable[CleaningFinding]) -> list[CleaningFinding]:
    """Findings in the order of the rules, whichever part of a client base had them first."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.flag))


class _Findings(list):
    """CleaningFindings of the rules that matched."""

    def add(self, flag: str, clients: np.ndarray) -> None:
        if len(clients):
            self.append(CleaningFinding(flag, TEXTS[flag], clients))


def clean_readings(readings: Table) -> tuple[Table, list[CleaningFinding]]:
    """Clean a copy of the readings, sorted by client, then time. Returns it and the findings."""
    found = _Findings()
    table = _possible(_typed(readings), found)
    table, netted, negative = separate_exports(table)
    found.add("net_metering", netted)
    found.add("negative_readings", negative)
    table = _without_far_dates(in_order(table), found)
    table = _one_a_moment(table, found)
    table = _without_errors(table, found)
    _count_estimates(table, found)
    client, minute, kwh = table["client"], table["read_at"].view(np.int64), table["consumption_kwh"]
    found.add("gap_days", _gap_days(client, minute, kwh, table.get("minutes")))
    actual = np.where(table["is_estimated"], np.nan, kwh) if "is_estimated" in table else kwh
    found.add("stuck_readings", client[_is_stuck(client, minute, actual)])
    return table, found


def _typed(readings: Table) -> Table:
    """The columns that the rules take, of optional ones those that hold anything."""
    table = {
        "client": np.asarray(readings["client"], np.int64),
        "read_at": readings["read_at"].astype("datetime64[m]", copy=False),
        "consumption_kwh": np.asarray(readings["consumption_kwh"], np.float64),
    }
    for name, dtype in OPTIONAL.items():
        if name in readings:
            column = np.asarray(readings[name], dtype)
            if column.any() if dtype is bool else not np.isnan(column).all():
                table[name] = column
    return table


def with_optional_columns(readings: Table) -> Table:
    """The readings with all optional columns, which hold nothing where they were not given."""
    n = len(readings["read_at"])
    nothing = {name: np.zeros(n, bool) if kind is bool else np.full(n, np.nan) for name, kind in OPTIONAL.items()}
    return readings | {name: column for name, column in nothing.items() if name not in readings}


def _select(table: Table, rows: np.ndarray) -> Table:
    return {name: column[rows] for name, column in table.items()}


def _possible(table: Table, found: _Findings) -> Table:
    """The readings of possible moments, those that are too large missing."""
    minute = table["read_at"].view(np.int64)
    last = int(np.datetime64("today", "m").astype(np.int64)) + (1 + MAX_AHEAD) * DAY
    if len(minute) and not FIRST_MINUTE <= minute.min() <= minute.max() < last:
        is_inside = (minute >= FIRST_MINUTE) & (minute < last)
        found.add("impossible_moments", table["client"][~is_inside])
        table = _select(table, is_inside)
    kwh = table["consumption_kwh"]
    with np.errstate(invalid="ignore"):
        is_huge = kwh > MAX_READING_KWH
    if not is_huge.any():
        return table
    found.add("impossible_readings", table["client"][is_huge])
    return table | {"consumption_kwh": np.where(is_huge, np.nan, kwh)}


def in_order(table: Table) -> Table:
    """Sort by client, time and value, missing values last, so that results do not depend on the order of the file."""
    client, minute = table["client"], table["read_at"].view(np.int64)
    if is_in_order(client, minute):
        return table
    keys = [table[name] for name in ("export_kwh", "is_estimated", "consumption_kwh", "minutes") if name in table]
    return _select(table, np.lexsort((*keys, minute, client)))


def _without_far_dates(table: Table, found: _Findings) -> Table:
    client, minute = table["client"], table["read_at"].view(np.int64)
    is_odd = odd_dates(client, minute)
    if is_odd.any():
        found.add("odd_dates", client[is_odd])
        table = _select(table, ~is_odd)
        client, minute = table["client"], table["read_at"].view(np.int64)
    is_old = _is_old(client, minute)
    if not is_old.any():
        return table
    found.add("old_readings", client[is_old])
    return _select(table, ~is_old)


def _is_old(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    if not len(minute) or minute.max() - minute.min() <= MAX_AGE:
        return np.zeros(len(minute), bool)
    by_client = Segments(np.bincount(client))
    return minute < by_client.spread(by_client.last(minute)) - MAX_AGE


def _one_a_moment(table: Table, found: _Findings) -> Table:
    """One reading for each moment and length, what is registers or phases added, and clock changes counted."""
    client, minute = table["client"], table["read_at"].view(np.int64)
    is_single = is_in_order(client, minute)
    if is_single and is_of_days(minute):
        return table
    table, totals = state_side_totals(table)
    found.add("side_totals", totals)
    if len(totals):
        table = in_order(table)
        client, minute = table["client"], table["read_at"].view(np.int64)
    is_first = np.ones(len(client), bool) if is_single else first_of_moment(table)
    changed, is_doubled = _clock_changes(client, minute, is_first)
    found.add("clock_changes", changed)
    if is_first.all():
        return table
    merged = merge_moments(table, is_doubled)
    found.add("superseded_estimates", merged.estimates)
    found.add("summed_registers", merged.registers)
    found.add("duplicate_readings", merged.copies)
    found.add("conflicting_readings", merged.conflicts)
    return merged.readings


def _without_errors(table: Table, found: _Findings) -> Table:
    """What a register showed and error codes missing, what came late spread over its gap."""
    client, minute, kwh = table["client"], table["read_at"].view(np.int64), table["consumption_kwh"]
    registers = register_clients(client, minute, kwh)
    if len(registers):
        is_register = np.isin(client, registers)
        found.add("register_totals", client[is_register])
        table = table | {"consumption_kwh": np.where(is_register, np.nan, kwh)}
    large = large_readings(client, table["consumption_kwh"])
    table, late = spread_catch_ups(table, large)
    found.add("catch_ups", late)
    client, minute, kwh = table["client"], table["read_at"].view(np.int64), table["consumption_kwh"]
    large = large_readings(client, kwh) if len(late) else large
    is_error = error_codes(client, minute, kwh, table.get("minutes"), large)
    if not is_error.any():
        return table
    found.add("error_codes", client[is_error])
    return table | {"consumption_kwh": np.where(is_error, np.nan, kwh)}


def _count_estimates(table: Table, found: _Findings) -> None:
    """Count estimates, and name clients whose recent days are mostly estimates."""
    if "is_estimated" not in table:
        return
    client, day = table["client"], table["read_at"].view(np.int64) // DAY
    is_estimated = table["is_estimated"]
    found.add("estimated_readings", client[is_estimated])
    by_client = Segments(np.bincount(client))
    is_recent = day > by_client.spread(by_client.last(day)) - RECENT_DAYS
    n_estimated, n = by_client.total(np.array([is_estimated & is_recent, is_recent], np.int64))
    found.add("mostly_estimated", np.flatnonzero(n_estimated > MOSTLY * n))


def _is_first(client: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Mark the first row of each client and time. [bool, rows sorted]"""
    is_first = np.ones(len(client), bool)
    is_first[1:] = (client[1:] != client[:-1]) | (time[1:] != time[:-1])
    return is_first


def _counts(is_first: np.ndarray) -> np.ndarray:
    """Number of rows of each group, given its marked first row."""
    return np.diff(np.append(np.flatnonzero(is_first), len(is_first)))


# --- clock changes ----------------------------------------------------------------------------------------------------


def _clock_changes(client: np.ndarray, minute: np.ndarray, is_first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(client of each day with a clock change, mask of the moments that it repeated). [is_first: marks each moment]

    Such a day is a Sunday of spring or autumn that is complete but for one hour of the night, repeated or skipped.
    In countries with other days, a repeated hour counts as conflicting readings, with the same result.
    """
    is_doubled = np.zeros(np.count_nonzero(is_first), bool)
    if is_of_days(minute):  # daily readings have no hours
        return client[:0], is_doubled
    if len(is_doubled) < len(client):
        client, minute, n = client[is_first], minute[is_first], _counts(is_first)
    else:
        n = np.ones(len(client), np.int64)
    at = _on_change_sundays(minute // DAY)
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


def _on_change_sundays(day: np.ndarray) -> np.ndarray:
    """Rows of the Sundays on which clocks may change. [day: since 1970]"""
    first = int(day.min())
    calendar = np.arange(first, int(day.max()) + 1)
    month = calendar.view("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    is_change = ((calendar - SUNDAY) % 7 == 0) & np.isin(month, CHANGE_MONTHS)
    return np.flatnonzero(is_change.take(day - first))


# --- gaps, stuck meters -----------------------------------------------------------------------------------------------


def _gap_days(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray, stated: np.ndarray | None) -> np.ndarray:
    """The client of each day without a known reading between the client's first and last one."""
    rows = np.flatnonzero(~np.isnan(kwh))
    before = long_steps(minute if len(rows) == len(minute) else minute[rows], DAY)  # no day is left out by nearer ones
    at, after = rows[before], rows[before + 1]
    is_own = client[at] == client[after]
    if not is_own.any():
        return client[:0]
    at, after = at[is_own], after[is_own]
    n = minute[after] // DAY - minute[at] // DAY - 1
    if stated is not None:  # a reading may last for several days
        n -= np.maximum(np.nan_to_num(stated[at]) // DAY - 1, 0).astype(np.int64)
    return np.repeat(client[after], np.maximum(n, 0))


def _is_stuck(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> np.ndarray:
    """Mark runs of one value above 0 over 7 days or, hourly, 24 hours, without a gap of more than a day."""
    same = 1 + np.flatnonzero(kwh[1:] == kwh[:-1])  # few, where nothing is wrong
    is_run = (kwh[same] > 0) & (client[same] == client[same - 1]) & (minute[same] - minute[same - 1] <= DAY)
    same = same[is_run]
    if len(same) < STUCK_READINGS - 1:
        return np.zeros(len(kwh), bool)
    starts, n = runs_of_rows(same)
    is_long = n >= STUCK_READINGS - 1
    if not is_long.any():
        return np.zeros(len(kwh), bool)
    starts, n = starts[is_long] - 1, n[is_long] + 1
    span = (
        minute[starts + n - 1] - minute[starts]
    )  # between the starts of first and last: n readings cover span * n / (n - 1)
    least = np.where(span <= HOUR * (n - 1), STUCK_HOURLY_MINUTES, STUCK_MINUTES)
    is_stuck = np.zeros(len(kwh), bool)
    for first, count in zip(*(column[span * n >= least * (n - 1)].tolist() for column in (starts, n)), strict=True):
        is_stuck[first : first + count] = True
    return is_stuck
