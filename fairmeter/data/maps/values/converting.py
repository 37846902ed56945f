"""Coded columns of a map -> NumPy columns: ids, codes, numbers, energies, moments, qualities, labels.

In:  a ValueSpec and the Batch that it is read from.
Out: an array with a value for each row of the batch. Misfit names the first value that does not fit.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import NULLS
from fairmeter.data.layouts import CodedColumn
from fairmeter.data.maps.spec import ValueSpec
from fairmeter.data.maps.values.clocks import to_utc, to_wall
from fairmeter.data.maps.values.columns import (
    Batch,
    Misfit,
    change_values,
    is_missing,
    patterned,
    source_column,
    text_column,
)
from fairmeter.data.maps.values.date_formats import (
    DAY,
    SPECIAL_FORMATS,
    DateFormat,
    Moment,
    offset_minutes,
    special_moment,
    typed_moment,
)
from fairmeter.data.maps.values.quantities import UNITS, find_unit, parse_decimal, parse_minutes
from fairmeter.data.parsing import NAT, parse_day, parse_label, parse_text
from fairmeter.data.readings import parse_minute

QUALITIES = {"actual": 0, "estimated": 1, "missing": 2}
ENERGIES = {"ELEC": 0, "GAZ": 1, "0": 0, "1": 1}
SPOILT_ID = re.compile(r"\d+\.0+|\d+(?:[.,]\d+)?[eE]\+?\d+")
MAX_EXACT_INTEGER = 2**53
ENDING_OFFSET = re.compile(r"\d(?::\d\d)?(?:[.,]\d+)? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)$")
ISO_START = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::(\d\d(?:\.\d+)?))?")
VERSION_BYTES = 6  # of a text that is neither number nor date: what a float64 holds exactly


class Moments(NamedTuple):
    """Minutes since 1970, NAT missing. [is_utc: by which clock each is meant; seconds: beyond the minute]"""

    minute: np.ndarray
    is_utc: np.ndarray
    seconds: np.ndarray


class Energies(NamedTuple):
    """Numbers with what makes kWh of them. [per row; is_power: kW; is_volume: m3; is_apparent: kVAh taken as kWh]"""

    number: np.ndarray
    multiplier: np.ndarray
    divisor: np.ndarray
    is_power: np.ndarray
    is_volume: np.ndarray
    is_apparent: np.ndarray


def per_value(column: CodedColumn, convert: Callable, spec: ValueSpec, dtype: type | str) -> np.ndarray:
    """An array of a column, each distinct value converted once. Raises Misfit where `convert` raises ValueError."""
    changed = change_values(column, convert, spec)
    fill = "" if dtype is object else 0
    values = [fill if value is None else value for value in changed.values]
    return np.array([*values, fill], dtype)[:-1][column.codes]


# --- texts ------------------------------------------------------------------------------------------------------------


def ids(spec: ValueSpec, batch: Batch) -> CodedColumn:
    """Ids as texts; "" where a join finds none. Raises Misfit for an empty or spoilt one."""
    is_join = spec.source == "join"
    column = text_column(spec, batch)
    return change_values(column, lambda value: parse_map_id(value, is_join), spec)


def parse_map_id(value: object, may_be_empty: bool = False) -> str:
    """An id as it stands. Raises ValueError for an empty one, 123.0 as text, and 1.2E+11."""
    if isinstance(value, float) and not (value.is_integer() and abs(value) < MAX_EXACT_INTEGER):
        raise ValueError("spoilt")
    text = parse_text(value)
    if SPOILT_ID.fullmatch(text):
        raise ValueError("spoilt")
    if text in NULLS and not may_be_empty:
        raise ValueError("empty id")
    return "" if text in NULLS else text


def texts(spec: ValueSpec, batch: Batch) -> CodedColumn | None:
    """Codes and other texts, "" missing."""
    column = text_column(spec, batch)
    if column is None:
        return None
    return change_values(column, lambda value: "" if is_missing(spec, value) else parse_text(value), spec)


# --- numbers ----------------------------------------------------------------------------------------------------------


def numbers(spec: ValueSpec, batch: Batch, adds_empty: bool = False) -> np.ndarray | None:
    """Numbers, NaN missing. [adds_empty: beside a number in a sum, an empty value is 0]"""
    if spec.source == "sum":
        parts = np.array([_column_numbers(spec, batch.raw_column(name)) for name in spec.columns])
        if not adds_empty:
            return parts.sum(axis=0)
        total = np.zeros(batch.n_rows)
        for part in parts:
            total = total + np.where(np.isnan(part), 0.0, part)
        return np.where(np.isnan(parts).all(axis=0), np.nan, total)
    column = source_column(spec, batch)
    return None if column is None else _column_numbers(spec, column)


def _column_numbers(spec: ValueSpec, column: CodedColumn) -> np.ndarray:
    return per_value(patterned(spec, column), lambda value: _number(spec, value), spec, np.float64)


def _number(spec: ValueSpec, value: object) -> float:
    if is_missing(spec, value):
        return np.nan
    number = parse_decimal(value, spec.decimal, spec.thousands)
    if number is None:
        raise ValueError("number")
    return np.nan if any(number == missing for missing in spec.missing) else number


def scaled_numbers(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """Numbers times their factors."""
    found = numbers(spec, batch)
    if found is not None:
        for factor in factors(spec, batch):
            found = found * factor
    return found


def factors(spec: ValueSpec, batch: Batch) -> list[np.ndarray | float]:
    """The factors of a value, each a number or one for each row."""
    found = []
    for factor in spec.factors:
        values = numbers(factor, batch) if isinstance(factor, ValueSpec) else factor
        found += [] if values is None else [values]
    return found


def energies(spec: ValueSpec, batch: Batch, adds_empty: bool = False) -> Energies | None:
    """Numbers with their factors, and what makes kWh, kW or m3 of them."""
    number = numbers(spec, batch, adds_empty)
    if number is None:
        return None
    return energies_of(spec, batch, number)


def energies_of(spec: ValueSpec, batch: Batch, number: np.ndarray) -> Energies:
    """As `energies`, of numbers that are at hand. [number: per row of the batch, along the first axis]"""
    multiplier, divisor, is_power, is_volume, is_apparent = _units(spec, batch, number)
    for factor in factors(spec, batch):
        multiplier = multiplier * factor
    return Energies(number, multiplier, divisor, is_power, is_volume, is_apparent)


def _units(spec: ValueSpec, batch: Batch, number: np.ndarray) -> list[np.ndarray]:
    n = batch.n_rows
    if not isinstance(spec.unit, ValueSpec):
        names, codes = [spec.unit or "kWh"], np.zeros(n, np.int32)
    else:
        column = text_column(spec.unit, batch)
        if column is None:
            names, codes = ["kWh"], np.zeros(n, np.int32)
        else:
            # A row without a number needs no unit.
            known = ~(np.isnan(number) if number.ndim == 1 else np.isnan(number).all(axis=1))
            empty = len(column.values)
            column = CodedColumn([*column.values, "kWh"], np.where(known, column.codes, empty))
            names, codes = change_values(column, _unit, spec.unit)
    units = [UNITS[name or "kWh"] for name in names]
    columns = [np.array([unit[i] for unit in units])[codes] for i in range(4)]
    return [*columns, np.array([name == "kVAh" for name in names])[codes]]


def _unit(value: object) -> str:
    found = find_unit(parse_text(value))
    if found is None:
        raise ValueError("unit")
    return found


def minutes(spec: ValueSpec | float | None, batch: Batch) -> np.ndarray:
    """Lengths of intervals, NaN where they are not stated."""
    if not isinstance(spec, ValueSpec):
        return np.full(batch.n_rows, np.nan if spec is None else spec)
    column = text_column(spec, batch)
    if column is None:
        return np.full(batch.n_rows, np.nan)
    return per_value(column, lambda value: _minutes(spec, value), spec, np.float64)


def _minutes(spec: ValueSpec, value: object) -> float:
    if is_missing(spec, value):
        return np.nan
    found = parse_minutes(value)
    if found is None:
        raise ValueError("minutes")
    return found


# --- days and moments -------------------------------------------------------------------------------------------------


def days(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """Days since 1970, NAT missing."""
    found = moments(spec, batch)
    if found is None:
        return None
    minute = wall_minutes(found, spec.zone)
    return np.where(minute == NAT, NAT, minute // DAY)


def wall_minutes(found: Moments, zone: str | None) -> np.ndarray:
    """The wall's clock at moments."""
    if zone is None or not found.is_utc.any():
        return found.minute
    out = found.minute.copy()
    at = found.is_utc & (out != NAT)
    out[at] = to_wall(out[at], zone)
    return out


def moments(spec: ValueSpec, batch: Batch) -> Moments | None:
    """Moments of a value, by UTC where the text or the map states their clock and the wall's clock is stated too."""
    column = source_column(spec, batch)
    if column is None:
        return None
    if spec.day_1 is not None:
        return _numbered_days(spec, column)
    found = moments_of(spec, patterned(spec, column), batch)
    if spec.slot is not None:
        slot = numbers(spec.slot, batch)
        length = minutes(spec.minutes, batch)
        return slot_moments(spec, found.minute, slot, length)
    return found


def moments_of(spec: ValueSpec, column: CodedColumn, batch: Batch) -> Moments:
    """Moments of a column's values."""
    form = format_of(spec, batch)
    parsed = change_values(column, lambda value: _moment(spec, value, form), spec)
    missing = Moment(NAT, None)
    values = [missing if value is None else value for value in parsed.values]
    minute = np.array([value.minute for value in values] + [0], np.int64)[:-1][column.codes]
    seconds = np.array([value.seconds for value in values] + [0.0])[:-1][column.codes]
    has_offset = np.array([value.offset is not None for value in values] + [False])[:-1][column.codes]
    offset = np.array([value.offset or 0 for value in values] + [0], np.int64)[:-1][column.codes]
    return _by_clock(spec, minute, has_offset, offset, seconds)


def _by_clock(
    spec: ValueSpec, minute: np.ndarray, has_offset: np.ndarray, offset: np.ndarray, seconds: np.ndarray
) -> Moments:
    known = minute != NAT
    is_utc = has_offset & known
    if spec.zone is None and spec.clock is None:
        return Moments(minute, np.zeros(len(minute), bool), seconds)  # without a zone the clock that is written is kept
    minute = np.where(is_utc, minute - offset, minute)
    if spec.clock is not None:
        at = known & ~is_utc
        fixed = offset_minutes(spec.clock)
        if fixed is None and spec.clock == spec.zone:
            return Moments(minute, is_utc, seconds)
        minute[at] = to_utc(minute[at], spec.clock)
        is_utc = known
    if spec.zone is None:  # a clock without a zone: moments stay by that clock
        minute = np.where(is_utc, minute + (offset_minutes(spec.clock) or 0), minute)
        is_utc = np.zeros(len(minute), bool)
    return Moments(minute, is_utc, seconds)


def format_of(spec: ValueSpec, batch: Batch) -> str | None:
    """The format of a value in this file: of several, the one that was found to fit it."""
    if len(spec.formats) > 1:
        return batch.held[spec.place]
    return spec.formats[0] if spec.formats else None


def _moment(spec: ValueSpec, value: object, form: str | None) -> Moment | None:
    if isinstance(value, date):
        return typed_moment(value)
    if is_missing(spec, value):
        return None
    if form in SPECIAL_FORMATS:
        found = special_moment(value, form)
    elif form is not None:
        found = DateFormat.of(form, spec.locale).moment(parse_text(value), spec.day)
    else:
        found = _default_moment(parse_text(value))
    if found is None:
        raise ValueError("format")
    return found


def _default_moment(text: str) -> Moment | None:
    """A moment as data/README.md describes them, with the offset that it ends with."""
    try:
        minute = parse_minute(text)
    except ValueError:
        try:
            return Moment(parse_day(text) * DAY, None)
        except ValueError:
            return None
    ending = ENDING_OFFSET.search(text) if ":" in text else None
    seconds = ISO_START.match(text)
    return Moment(minute, offset_minutes(ending[1]) if ending else None, float((seconds and seconds[1]) or 0))


def _numbered_days(spec: ValueSpec, column: CodedColumn) -> Moments:
    """Moments of codes: the number of a day, and where a pattern names it the number of a slot."""
    first = parse_day(spec.day_1)

    def parts(value: object) -> tuple[int, float] | None:
        text = parse_text(value)
        if is_missing(spec, value):
            return None
        found = re.fullmatch(spec.pattern, text) if spec.pattern else None
        named = found.groupdict() if found else {}
        day = named.get("day") if spec.pattern else text
        if day is None or not re.fullmatch(r"\d{1,6}(?:\.0)?", day):
            raise ValueError("pattern" if spec.pattern else "day number")
        return first + int(float(day)) - 1, float(named["slot"]) if named.get("slot") else np.nan

    changed = change_values(column, parts, spec)
    day = np.array([NAT if value is None else value[0] for value in changed.values] + [0], np.int64)[:-1]
    slot = np.array([np.nan if value is None else value[1] for value in changed.values] + [0.0])[:-1]
    minute = np.where(day == NAT, NAT, day * DAY)[column.codes]
    if not np.isnan(slot).all():
        length = np.full(len(minute), spec.minutes if isinstance(spec.minutes, float) else np.nan)
        return slot_moments(spec, minute, slot[column.codes], length)
    return Moments(minute, np.zeros(len(minute), bool), np.zeros(len(minute)))


def slot_moments(spec: ValueSpec, day: np.ndarray, slot: np.ndarray, length: np.ndarray) -> Moments:
    """Starts of the intervals of days, counted from local midnight as time passes. [day: its midnight; slot: from 1]"""
    length = np.where(np.isnan(length), 60.0, length)
    known = (day != NAT) & ~np.isnan(slot)
    bad = known & ((slot < 1) | (slot != np.floor(slot)) | ((slot - 1) * length >= 25 * 60))
    if bad.any():
        raise _bad_slot(spec, slot, int(np.flatnonzero(bad)[0]))
    passed = np.where(known, (np.where(known, slot, 1) - 1) * length, 0).astype(np.int64)
    zeros = np.zeros(len(day))
    if spec.zone is None:
        return Moments(np.where(known, day + passed, NAT), np.zeros(len(day), bool), zeros)
    utc = day.copy()
    utc[known] = to_utc(day[known], spec.zone) + passed[known]
    return Moments(np.where(known, utc, NAT), known, zeros)


def _bad_slot(spec: ValueSpec, slot: np.ndarray, row: int) -> Misfit:
    return Misfit(spec, f"{slot[row]:g}", row, "slot")


# --- choices ----------------------------------------------------------------------------------------------------------


def qualities(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """0 actual, 1 estimated, 2 missing; an empty value says nothing, which is taken as actual."""
    return _choices(spec, batch, QUALITIES, 0, np.int8)


def energy_kinds(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """0 electricity, 1 gas, -1 where the value is empty."""
    return _choices(spec, batch, ENERGIES, -1, np.int8)


def labels(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """1 confirmed fraud, 0 none, NaN unknown."""
    column = text_column(spec, batch)
    return None if column is None else per_value(column, lambda value: _label(spec, value), spec, np.float64)


def _choices(spec: ValueSpec, batch: Batch, known: dict[str, int], empty: int, dtype: type) -> np.ndarray | None:
    column = text_column(spec, batch)
    if column is None:
        return None

    def choice(value: object) -> int:
        text = parse_text(value)
        if text in known or text.lower() in known or text.upper() in known:
            return known.get(text, known.get(text.lower(), known.get(text.upper())))
        if is_missing(spec, value):
            return empty
        raise ValueError("values")

    return per_value(column, choice, spec, dtype)


def _label(spec: ValueSpec, value: object) -> float:
    if is_missing(spec, value):
        return np.nan
    try:
        return parse_label(value)
    except ValueError:
        raise ValueError("values") from None


def versions(spec: ValueSpec, batch: Batch) -> np.ndarray | None:
    """Numbers that order versions: seconds of moments, numbers themselves, the first letters of other texts."""
    column = source_column(spec, batch)
    if column is None:
        return None
    column = patterned(spec, column)
    if spec.formats:
        found = moments_of(spec, column, batch)
        return np.where(found.minute == NAT, -np.inf, found.minute * 60.0 + found.seconds)
    return per_value(column, lambda value: _version(spec, value), spec, np.float64)


def _version(spec: ValueSpec, value: object) -> float:
    if is_missing(spec, value):
        return -np.inf
    if isinstance(value, date):
        found = typed_moment(value)
        return found.minute * 60.0 + found.seconds
    number = parse_decimal(value, spec.decimal, spec.thousands)
    if number is not None:
        return number
    text = parse_text(value)
    start = ISO_START.match(text)
    found = _default_moment(start[0] if start else text)
    if found is not None:
        return found.minute * 60.0 + found.seconds
    return float(int.from_bytes(text.encode()[:VERSION_BYTES].ljust(VERSION_BYTES, b"\0"), "big"))
