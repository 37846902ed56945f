"""Cleaning of all clients' readings at once: what is wrong with a whole file, or at many clients on the same day.

In:  readings of many clients, as parsed; the file's name for messages.
Out: the cleaned readings, findings, and data incidents. A file that is surely wrong is refused with a TableError.

What looks like the same theft at many clients on one day is a fault of the data: of a unit, a factor, a format. A
single client cannot show it, so that single requests take what the last run found.
"""

from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import SAME_FACTOR, DataIncident, Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import TableError
from fairmeter.data.reading_cleaning import clean_readings, in_order
from fairmeter.data.reading_rules.impossible import MIN_READINGS, register_clients
from fairmeter.data.reading_rules.intervals import DAY
from fairmeter.data.reading_rules.steps import (
    THOUSAND,
    UNIT_SPREAD,
    WINDOW,
    LargestSteps,
    largest_steps,
    log_levels,
    may_step,
    same_steps,
)

PLAUSIBLE_KWH = (0.2, 500.0)  # a day, of the client in the middle: SGCC's is 6, London's 9
MIN_USUAL, MIN_DAYS = 3, 14  # clients, and days of each: a large client alone is no wrong unit
MOST_CLIENTS = 0.8  # whose readings never fall: then the file holds registers
MANY_CONFLICTS, MANY_CLIENTS = 0.2, 0.2  # shares of a client's moments, and of the clients
MIN_MOMENTS = 30  # of a client, for its conflicts to count
MIN_FACTOR, FACTOR_SPREAD = np.log(1.6), 0.35  # a smaller step is within a client's usual changes; spread of one factor
MIN_SHARE, MIN_ALIKE = 0.2, 2  # of the clients, for the same factor to be the data's
ENDS, FAR = 8, 30.0  # readings at each end of a client's, and their ratio, for a look at its units
MIN_UNIT_SHARE = 0.1  # for a step by a thousand, which no client makes
MIN_BASE = 5  # clients: of fewer, two are no many


class UnusableReadings(TableError):
    """Readings that are surely no consumption in kWh."""


class CleanedBase(NamedTuple):
    """Cleaned readings of all clients. [findings: as of clean_readings; incidents: faults at many clients alike]"""

    readings: Table
    findings: list[CleaningFinding]
    incidents: tuple[DataIncident, ...]


def clean_client_base(readings: Table, n_clients: int, place: object, is_unit_stated: bool = False) -> CleanedBase:
    """Clean the readings of a file, and look at many clients at once. [is_unit_stated: the unit needs no check]

    Raises UnusableReadings.
    """
    readings = in_order(readings)
    _refuse_registers(readings, place)
    readings, converted = _with_one_unit(readings, n_clients, place)
    table, findings = clean_readings(readings)
    _refuse_conflicts(table, findings, n_clients, place)
    segments, day, kwh = _clean_days(table, n_clients)
    if not is_unit_stated:
        _refuse_unlikely_unit(segments, kwh, place)
    factors = _same_factors(segments, day, kwh)
    found = [*(finding for finding, _ in converted), *findings, *(finding for finding, _ in factors)]
    return CleanedBase(table, found, tuple(incident for _, incident in (*converted, *factors)))


# --- registers --------------------------------------------------------------------------------------------------------


def _refuse_registers(readings: Table, place: object) -> None:
    minute = readings["read_at"].astype("datetime64[m]").view(np.int64)
    clients = register_clients(readings["client"], minute, readings["consumption_kwh"])
    n = np.count_nonzero(np.bincount(readings["client"]) >= MIN_READINGS)
    if len(clients) and len(clients) >= MOST_CLIENTS * n:
        raise UnusableReadings(
            f"{place}: the readings of {len(clients):,} of {n:,} clients never fall, all the time or from midnight to "
            "midnight. They are what the meter showed, not what was used. Write in a map, below [readings]: "
            "register = true"
        )


# --- units ------------------------------------------------------------------------------------------------------------


def _clean_days(table: Table, n_clients: int) -> tuple[Segments, np.ndarray, np.ndarray]:
    """(rows of each client, day, kWh); daily readings need no calendar for it."""
    minute = table["read_at"].view(np.int64)
    if "minutes" not in table and "is_estimated" not in table and not (minute % DAY).any():
        client = table["client"]
        return Segments(np.bincount(client, minlength=n_clients)), minute // DAY, table["consumption_kwh"]
    days = DailyConsumption.from_readings(table, n_clients)
    return days.segments, days.day, days.kwh


def _refuse_unlikely_unit(segments: Segments, kwh: np.ndarray, place: object) -> None:
    """Raise where the client in the middle uses more or less than any set of clients does."""
    n_days, usual, _ = segments.moments(kwh)
    usual = usual[n_days >= MIN_DAYS]
    if len(usual) < MIN_USUAL:
        return
    middle = float(np.median(usual))
    if PLAUSIBLE_KWH[0] <= middle <= PLAUSIBLE_KWH[1]:
        return
    unit = "Wh" if middle > PLAUSIBLE_KWH[1] else "MWh"
    raise UnusableReadings(
        f"{place}: the client in the middle would use {middle:,.4g} kWh a day, which looks like {unit}. Convert "
        f'consumption_kwh to kWh, or write in a map, below [readings]: consumption_kwh = {{column = "consumption_kwh", '
        f'unit = "{unit}"}}; where kWh is right, write unit = "kWh" there.'
    )


def _raw_days(readings: Table, n_clients: int) -> tuple[Segments, np.ndarray, np.ndarray]:
    """(rows of each client, day, sum of the positive readings, NaN without) before cleaning. [readings in order]"""
    client, kwh = readings["client"], readings["consumption_kwh"]
    day = readings["read_at"].astype("datetime64[m]").view(np.int64) // DAY
    with np.errstate(invalid="ignore"):
        kwh = np.where((kwh > 0) & np.isfinite(kwh), kwh, np.nan)
    is_new = np.ones(len(client), bool)
    is_new[1:] = (client[1:] != client[:-1]) | (day[1:] != day[:-1])
    if not is_new.all():
        by_day = Segments(np.diff(np.append(np.flatnonzero(is_new), len(is_new))))
        total = by_day.total(np.nan_to_num(kwh))
        client, day, kwh = client[is_new], day[is_new], np.where(total > 0, total, np.nan)
    return Segments(np.bincount(client, minlength=n_clients)), day, kwh


def _with_one_unit(
    readings: Table, n_clients: int, place: object
) -> tuple[Table, list[tuple[CleaningFinding, DataIncident]]]:
    """Put a step by a thousand at many clients on one day right, where one side of it cannot be kWh; else raise."""
    if not _may_mix_units(readings["client"], readings["consumption_kwh"], n_clients):
        return readings, []
    segments, day, kwh = _raw_days(readings, n_clients)
    steps = largest_steps(segments, day, log_levels(segments, kwh))
    is_thousand = np.abs(np.abs(steps.change) - THOUSAND) <= UNIT_SPREAD
    found = []
    for on, clients in same_steps(steps, np.flatnonzero(is_thousand), 2.0 * UNIT_SPREAD, _least(steps, MIN_UNIT_SHARE)):
        readings, n_rows = _convert(readings, clients, on, float(np.median(steps.change[clients])), place)
        when = date.fromordinal(date(1970, 1, 1).toordinal() + on)
        text = f"Readings a thousand times too large or small before or from {when} on, put right"
        found.append(
            (
                CleaningFinding("unit_steps", text, n_rows),
                DataIncident("unit_steps", f"{text}: {len(clients):,} clients.", len(clients), when),
            )
        )
    return readings, found


def _may_mix_units(client: np.ndarray, kwh: np.ndarray, n_clients: int) -> bool:
    """Whether last readings of several clients are far from their first ones: a cheap look."""
    counts = np.bincount(client, minlength=n_clients)
    counts = counts[counts >= 2 * ENDS]
    if not len(counts):
        return False
    ends = np.cumsum(np.bincount(client, minlength=n_clients))[np.bincount(client, minlength=n_clients) >= 2 * ENDS]
    at = np.arange(ENDS)
    with np.errstate(invalid="ignore"):
        first, last = (
            np.sort(np.where(kwh[rows] > 0, kwh[rows], np.nan), axis=1)[:, ENDS // 4]
            for rows in ((ends - counts)[:, None] + at, ends[:, None] - 1 - at)
        )
        ratio = np.maximum(first / last, last / first)
    return np.count_nonzero(ratio > FAR) >= MIN_ALIKE


def _least(steps: LargestSteps, min_share: float) -> int:
    """Clients that are many."""
    return max(MIN_ALIKE, int(np.ceil(min_share * np.count_nonzero(~np.isnan(steps.change)))))


def _convert(readings: Table, clients: np.ndarray, on: int, change: float, place: object) -> tuple[Table, np.ndarray]:
    """The readings with the implausible side of a step in kWh, and the client of each converted row."""
    day = readings["read_at"].astype("datetime64[m]").view(np.int64) // DAY
    is_theirs = np.isin(readings["client"], clients)
    sides = [is_theirs & (day < on), is_theirs & (day >= on)]
    levels = [_median_day({name: column[side] for name, column in readings.items()}) for side in sides]
    is_wrong = [not PLAUSIBLE_KWH[0] <= level <= PLAUSIBLE_KWH[1] for level in levels]
    if sum(is_wrong) != 1:
        when = np.datetime64(on, "D")
        raise UnusableReadings(
            f"{place}: from {when} on the readings of {len(clients):,} clients are {np.exp(abs(change)):,.0f} times as "
            f"{'large' if change > 0 else 'small'} as before, as if Wh and kWh were mixed. Write one unit throughout."
        )
    wrong = sides[is_wrong.index(True)]
    factor = 1000.0 if levels[is_wrong.index(True)] < PLAUSIBLE_KWH[0] else 0.001
    kwh = np.where(wrong, readings["consumption_kwh"] * factor, readings["consumption_kwh"])
    return readings | {"consumption_kwh": kwh}, readings["client"][wrong]


def _median_day(readings: Table) -> float:
    _, _, kwh = _raw_days(readings, 0)
    return float(np.nanmedian(kwh))


# --- several readings of a moment -------------------------------------------------------------------------------------


def _refuse_conflicts(table: Table, findings: list[CleaningFinding], n_clients: int, place: object) -> None:
    conflicts = next((finding.clients for finding in findings if finding.flag == "conflicting_readings"), None)
    if conflicts is None:
        return
    n_moments = np.bincount(table["client"], minlength=n_clients)
    n = np.bincount(conflicts, minlength=n_clients)
    is_bad = (n_moments >= MIN_MOMENTS) & (n > MANY_CONFLICTS * n_moments)
    if np.count_nonzero(is_bad) > MANY_CLIENTS * np.count_nonzero(n_moments >= MIN_MOMENTS):
        raise UnusableReadings(
            f"{place}: {np.count_nonzero(is_bad):,} clients have several different readings at more than a fifth of "
            "their moments, and not the same number at each. Where they are registers or phases, write in a map, below "
            '[readings]: several = "sum"; where they are versions, keep the last one of each moment.'
        )


# --- the same factor at many clients ----------------------------------------------------------------------------------


def _same_factors(segments: Segments, day: np.ndarray, kwh: np.ndarray) -> list[tuple[CleaningFinding, DataIncident]]:
    """Clients whose level changed by the same factor on the same day; their scores are held back."""
    chosen = may_step(segments, kwh, 0.8 * MIN_FACTOR)
    if np.count_nonzero(chosen) < MIN_ALIKE:
        return []
    rows = segments.spread(chosen)
    some = Segments(np.where(chosen, segments.counts, 0))
    steps = largest_steps(some, day[rows], log_levels(some, kwh[rows]))
    n_clients = np.count_nonzero(segments.counts >= 2 * WINDOW)
    if n_clients < MIN_BASE:
        return []
    with np.errstate(invalid="ignore"):
        candidates = np.flatnonzero(np.abs(steps.change) >= MIN_FACTOR)
    found = []
    for on, clients in same_steps(
        steps, candidates, FACTOR_SPREAD, max(MIN_ALIKE, int(np.ceil(MIN_SHARE * n_clients)))
    ):
        when = date.fromordinal(date(1970, 1, 1).toordinal() + on)
        factor = float(np.exp(np.median(steps.change[clients])))
        text = (
            f"Clients whose readings are about {factor:.2g} times what they were from {when} on, all on that day: "
            "a fault of the data, so that their scores are held back"
        )
        incident = DataIncident(SAME_FACTOR, f"{text}: {len(clients):,}.", len(clients), when)
        found.append((CleaningFinding(SAME_FACTOR, text, clients), incident))
    return found
