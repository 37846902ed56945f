"""Cleaning of all clients' readings: what is wrong with a whole file, or at many clients on the same day.

In:  readings of many clients, as parsed, at once or in parts with all readings of their clients; the file's name.
Out: the cleaned readings, findings, and data incidents, equal for any division into parts. A file that is surely wrong
     is refused with a TableError.

What looks like the same theft at many clients on one day is a fault of the data: of a unit, a factor, a format. A
single client cannot show it, so that single requests take what the last run found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
    MIN_KNOWN,
    THOUSAND,
    UNIT_SPREAD,
    WINDOW,
    LargestSteps,
    largest_steps,
    log_levels,
    no_steps,
    possible_steps,
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
LOOK_SHARE = MIN_UNIT_SHARE / 2.0  # as clients with gaps have no step
LOOK_ALIKE = 0.5  # of these clients, for a closer look: in a cheap look some steps are too small
MIN_BASE = 5  # clients: of fewer, two are no many


class UnusableReadings(TableError):
    """Readings that are surely no consumption in kWh."""


class CleanedBase(NamedTuple):
    """Cleaned readings of all clients. [findings: as of clean_readings; incidents: faults at many clients alike]"""

    readings: Table
    findings: list[CleaningFinding]
    incidents: tuple[DataIncident, ...]


Parts = Callable[[], Iterator[tuple[np.ndarray, Table]]]  # (numbers of a part's clients, their readings in order)


def clean_client_base(readings: Table, n_clients: int, place: object, is_unit_stated: bool = False) -> CleanedBase:
    """Clean the readings of a file, and look at many clients at once. [is_unit_stated: the unit needs no check]

    Raises UnusableReadings.
    """
    facts, numbers = ManyClients(n_clients, place, is_unit_stated), np.arange(n_clients)
    readings = in_order(readings)
    facts.add_parsed(readings)
    facts.refuse_registers()
    conversions = facts.unit_conversions(lambda: iter([(numbers, readings)]))
    converted, found = convert_units(numbers, readings, conversions)
    table, findings = clean_readings(converted)
    facts.add_cleaned(numbers, table, findings, DailyConsumption.from_readings(table, n_clients))
    facts.refuse()
    factors = facts.same_factors()
    incidents = (*(each.incident for each in conversions), *(each.incident for each in factors))
    return CleanedBase(table, [*found, *findings, *(each.finding for each in factors)], incidents)


class UnitConversion(NamedTuple):
    """Readings of some clients before or from a day on that are multiplied by a factor. [clients: ascending]"""

    clients: np.ndarray
    on: int
    is_before: bool
    factor: float
    text: str

    @property
    def incident(self) -> DataIncident:
        """The incident that a run shows."""
        n = len(self.clients)
        return DataIncident("unit_steps", f"{self.text}: {n:,} clients.", n, _date_of(self.on))


class SameFactor(NamedTuple):
    """Clients whose level changed by the same factor on the same day."""

    finding: CleaningFinding
    incident: DataIncident


class UnlikelyUnit(NamedTuple):
    """What the client in the middle uses where that cannot be kWh. [kwh: a day; unit: the likely one]"""

    kwh: float
    unit: str

    def __str__(self) -> str:
        return f"the client in the middle would use {self.kwh:,.4g} kWh a day, which looks like {self.unit}"


@dataclass
class UsualConsumption:
    """The usual consumption of many clients, added part by part."""

    _kwh: list[np.ndarray] = field(default_factory=list)  # a day, of clients with MIN_DAYS

    def add(self, days: DailyConsumption) -> None:
        n_days, usual = _known_days(days)
        self._kwh.append(usual[n_days >= MIN_DAYS])

    def unlikely_unit(self, min_clients: int = MIN_USUAL) -> UnlikelyUnit | None:
        """The unit where the client in the middle uses more or less than any set of clients does; else None."""
        usual = np.concatenate([np.zeros(0), *self._kwh])
        if len(usual) < min_clients:
            return None
        middle = float(np.median(usual))
        if PLAUSIBLE_KWH[0] <= middle <= PLAUSIBLE_KWH[1]:
            return None
        return UnlikelyUnit(middle, "Wh" if middle > PLAUSIBLE_KWH[1] else "MWh")


@dataclass
class ManyClients:
    """What the rules on many clients need of each, added part by part. [n_clients: of all parts]"""

    n_clients: int
    place: object
    is_unit_stated: bool = False
    _n_registers: int = 0
    _n_judged: int = 0
    _n_far: int = 0
    _n_compared: int = 0
    _n_conflicting: int = 0
    _n_of_moments: int = 0
    _n_long: int = 0
    _usual: UsualConsumption = field(default_factory=UsualConsumption)
    _steps: LargestSteps = None

    def __post_init__(self) -> None:
        self._steps = no_steps(self.n_clients)

    def add_parsed(self, readings: Table) -> None:
        """Add a part before cleaning. [readings: in order]"""
        minute = readings["read_at"].astype("datetime64[m]", copy=False).view(np.int64)
        self._n_registers += len(register_clients(readings["client"], minute, readings["consumption_kwh"]))
        n_readings = np.bincount(readings["client"])
        self._n_judged += int(np.count_nonzero(n_readings >= MIN_READINGS))
        n_far, n_compared = _far_ends(n_readings, minute, readings["consumption_kwh"])
        self._n_far += n_far
        self._n_compared += n_compared

    def add_cleaned(
        self, numbers: np.ndarray, table: Table, findings: list[CleaningFinding], days: DailyConsumption
    ) -> None:
        """Add a part after cleaning. [numbers: of its clients; days: of the table]"""
        n_moments = np.bincount(table["client"], minlength=len(numbers))
        conflicts = [finding.clients for finding in findings if finding.flag == "conflicting_readings"]
        n = np.bincount(np.concatenate([np.zeros(0, np.int64), *conflicts]), minlength=len(numbers))
        self._n_of_moments += int(np.count_nonzero(n_moments >= MIN_MOMENTS))
        self._n_conflicting += int(np.count_nonzero((n_moments >= MIN_MOMENTS) & (n > MANY_CONFLICTS * n_moments)))
        self._usual.add(days)
        self._add_steps(numbers, days)

    def _add_steps(self, numbers: np.ndarray, days: DailyConsumption) -> None:
        segments = days.segments
        self._n_long += int(np.count_nonzero(segments.counts >= 2 * WINDOW))
        possible = possible_steps(segments, days.day, days.kwh, 0.8 * MIN_FACTOR)
        is_whole = len(numbers) == self.n_clients  # of a part, no group can be ruled out
        if not possible.n_alike or (is_whole and possible.n_alike < LOOK_ALIKE * self._min_alike):
            return
        rows = segments.spread(possible.clients)
        some = Segments(np.where(possible.clients, segments.counts, 0))
        steps = largest_steps(some, days.day[rows], log_levels(some, days.kwh[rows]))
        self._steps.day[numbers], self._steps.change[numbers] = steps

    @property
    def _min_alike(self) -> int:
        """Clients that change by the same factor, for it to be the data's."""
        return max(MIN_ALIKE, int(np.ceil(MIN_SHARE * self._n_long)))

    # --- what is surely wrong -----------------------------------------------------------------------------------------

    def refuse_registers(self) -> None:
        """Raise UnusableReadings where nearly all readings are what meters showed."""
        n, of = self._n_registers, self._n_judged
        if n and n >= MOST_CLIENTS * of:
            raise UnusableReadings(
                f"{self.place}: the readings of {n:,} of {of:,} clients never fall, all the time or from midnight to "
                "midnight. They are what the meter showed, not what was used. Write in a map, below [readings]: "
                "register = true"
            )

    def refuse(self) -> None:
        """Raise UnusableReadings for cleaned readings that differ at one moment, or whose unit cannot be kWh."""
        if self._n_conflicting > MANY_CLIENTS * self._n_of_moments:
            raise UnusableReadings(
                f"{self.place}: {self._n_conflicting:,} clients have several different readings at more than a fifth "
                "of their moments, and not the same number at each. Where they are registers or phases, write in a "
                'map, below [readings]: several = "sum"; where they are versions, keep the last one of each moment.'
            )
        if not self.is_unit_stated:
            self._refuse_unlikely_unit()

    def _refuse_unlikely_unit(self) -> None:
        found = self._usual.unlikely_unit()
        if found:
            raise UnusableReadings(
                f"{self.place}: {found}. Convert consumption_kwh to kWh, or write in a map, below [readings]: "
                f'consumption_kwh = {{column = "consumption_kwh", unit = "{found.unit}"}}; where kWh is right, write '
                'unit = "kWh" there.'
            )

    # --- the same at many clients -------------------------------------------------------------------------------------

    def may_mix_units(self) -> bool:
        """Whether last readings of many clients are far from their first ones: a cheap look."""
        return self._n_far >= max(MIN_ALIKE, LOOK_SHARE * self._n_compared)

    def unit_conversions(self, parts: Parts) -> list[UnitConversion]:
        """Steps by a thousand at many clients on one day, of which one side cannot be kWh. [parts: read several times]

        Raises UnusableReadings where both sides can be, or neither.
        """
        if not self.may_mix_units():
            return []
        steps = no_steps(self.n_clients)
        for numbers, readings in parts():
            segments, day, kwh = _raw_days(readings, len(numbers))
            steps.day[numbers], steps.change[numbers] = largest_steps(segments, day, log_levels(segments, kwh))
        is_thousand = np.abs(np.abs(steps.change) - THOUSAND) <= UNIT_SPREAD
        least = _least(steps, MIN_UNIT_SHARE)
        groups = same_steps(steps, np.flatnonzero(is_thousand), 2.0 * UNIT_SPREAD, least)
        return [
            _conversion(levels, on, clients, float(np.median(steps.change[clients])), self.place)
            for (on, clients), levels in zip(groups, _levels(groups, parts), strict=True)
        ]

    def same_factors(self) -> list[SameFactor]:
        """Clients whose level changed by the same factor on the same day; their scores are held back."""
        if self._n_long < MIN_BASE:
            return []
        with np.errstate(invalid="ignore"):
            candidates = np.flatnonzero(np.abs(self._steps.change) >= MIN_FACTOR)
        found = []
        for on, clients in same_steps(self._steps, candidates, FACTOR_SPREAD, self._min_alike):
            when = _date_of(on)
            factor = float(np.exp(np.median(self._steps.change[clients])))
            text = (
                f"Clients whose readings are about {factor:.2g} times what they were from {when} on, all on that day: "
                "a fault of the data, so that their scores are held back"
            )
            incident = DataIncident(SAME_FACTOR, f"{text}: {len(clients):,}.", len(clients), when)
            found.append(SameFactor(CleaningFinding(SAME_FACTOR, text, clients), incident))
        return found


def _date_of(day: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day)


# --- units ------------------------------------------------------------------------------------------------------------


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


def _known_days(days: DailyConsumption) -> tuple[np.ndarray, np.ndarray]:
    """(number of known days, their mean kWh) of each client."""
    segments, is_missing = days.segments, np.isnan(days.kwh)
    if not is_missing.any():
        n, kwh = segments.counts, days.kwh
    else:
        n, kwh = segments.counts - segments.total(is_missing.astype(np.int64)), np.where(is_missing, 0.0, days.kwh)
    with np.errstate(invalid="ignore"):
        return n, segments.total(kwh) / n


def _far_ends(n: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> tuple[int, int]:
    """(clients whose last readings are far from their first ones, clients compared). [n: readings of each client]

    Compared are those whose readings span the days of a step.
    """
    ends = np.cumsum(n)
    is_long = n >= 2 * ENDS
    is_long[is_long] = (minute[ends[is_long] - 1] - minute[(ends - n)[is_long]]) >= 2 * MIN_KNOWN * DAY - DAY
    if not is_long.any():
        return 0, 0
    at = np.arange(ENDS)
    with np.errstate(invalid="ignore"):
        first, last = (
            np.sort(np.where(kwh[rows] > 0, kwh[rows], np.nan), axis=1)[:, ENDS // 4]
            for rows in ((ends - n)[is_long, None] + at, ends[is_long, None] - 1 - at)
        )
        ratio = np.maximum(first / last, last / first)
    return int(np.count_nonzero(ratio > FAR)), int(np.count_nonzero(is_long))


def _least(steps: LargestSteps, min_share: float) -> int:
    """Clients that are many."""
    return max(MIN_ALIKE, int(np.ceil(min_share * np.count_nonzero(~np.isnan(steps.change)))))


def _levels(groups: list[tuple[int, np.ndarray]], parts: Parts) -> list[tuple[float, float]]:
    """The median day before and from the day of each group on. [kWh]"""
    days: list[tuple[list, list]] = [([], []) for _ in groups]
    for numbers, readings in parts() if groups else ():
        for (on, clients), sides in zip(groups, days, strict=True):
            for side, mask in zip(sides, _sides(numbers, readings, clients, on), strict=True):
                side.append(_raw_days({name: column[mask] for name, column in readings.items()}, 0)[2])
    return [tuple(float(np.nanmedian(np.concatenate(side))) for side in sides) for sides in days]


def _sides(numbers: np.ndarray, readings: Table, clients: np.ndarray, on: int) -> tuple[np.ndarray, np.ndarray]:
    """The readings of some clients before a day, and from it on. [masks]"""
    is_theirs = np.isin(numbers, clients)[readings["client"]]
    is_before = readings["read_at"].astype("datetime64[m]").view(np.int64) // DAY < on
    return is_theirs & is_before, is_theirs & ~is_before


def _conversion(
    levels: tuple[float, float], on: int, clients: np.ndarray, change: float, place: object
) -> UnitConversion:
    is_wrong = [not PLAUSIBLE_KWH[0] <= level <= PLAUSIBLE_KWH[1] for level in levels]
    when = _date_of(on)
    if sum(is_wrong) != 1:
        raise UnusableReadings(
            f"{place}: from {when} on the readings of {len(clients):,} clients are {np.exp(abs(change)):,.0f} times as "
            f"{'large' if change > 0 else 'small'} as before, as if Wh and kWh were mixed. Write one unit throughout."
        )
    factor = 1000.0 if levels[is_wrong.index(True)] < PLAUSIBLE_KWH[0] else 0.001
    text = f"Readings a thousand times too large or small before or from {when} on, put right"
    return UnitConversion(clients, on, is_wrong[0], factor, text)


def convert_units(
    numbers: np.ndarray, readings: Table, conversions: list[UnitConversion]
) -> tuple[Table, list[CleaningFinding]]:
    """The readings of a part in kWh, and a finding for each conversion. [numbers: of its clients among all]"""
    findings = []
    for each in conversions:
        before, after = _sides(numbers, readings, each.clients, each.on)
        wrong = before if each.is_before else after
        kwh = np.where(wrong, readings["consumption_kwh"] * each.factor, readings["consumption_kwh"])
        readings = readings | {"consumption_kwh": kwh}
        findings.append(CleaningFinding("unit_steps", each.text, readings["client"][wrong]))
    return readings, findings
