"""Weather files as downloaded from Meteostat, Open-Meteo and GHCN-Daily -> the mean temperature of each day.

In:  Meteostat, hourly or daily, with or without a header; Open-Meteo with the lines above its header; GHCN-Daily by
     station (ID, YYYYMMDD, element, value) or as "access" CSV (DATE, TMAX, TMIN, TAVG). Tenths and Fahrenheit too.
Out: days since 1970, ascending, and deg C: the mean of a day's hours, its stated mean, or that of highest and lowest.
"""

import csv
import io
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import EmptyTable, InvalidValue, TableError, TableFile, file_errors
from fairmeter.data.parsing import NAT, parse_day

HEAD_ROWS = 60
FAHRENHEIT = re.compile(r"[°º]\s*f\b|fahrenheit|[_\s(\[]f[)\]]?$", re.IGNORECASE)
# Columns of the mean of a day or an hour, of a day's highest and of its lowest temperature, without their units.
NAMES = {
    "mean": ("temperature_2m_mean", "temperature_2m", "tavg", "temp"),
    "high": ("temperature_2m_max", "tmax"),
    "low": ("temperature_2m_min", "tmin"),
}
# "temp" alone is also what people call a column of their own: beside one of these it is Meteostat's.
METEOSTAT = {"rhum", "dwpt", "prcp", "wspd", "temp_source", "tmin"}
ELEMENTS = {"TAVG": "mean", "TMAX": "high", "TMIN": "low"}
WITHOUT_HEADER = {13: {"mean": 2}, 11: {"mean": 1, "low": 2, "high": 3}}  # Meteostat, hourly and daily, by its columns
COMPACT_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)")
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
GHCN_ID = re.compile(r"[A-Z]{2}[A-Z0-9]{9}")
MISSING = {"", "-9999", "9999", "null", "NaN", "nan", "<NA>"}
MIN_TEMPERATURE, MAX_TEMPERATURE = -90.0, 60.0  # deg C: extremes ever measured
MAX_TENTHS = 140  # deg F and deg C are below; a year in tenths of a degree is above
Means = tuple[np.ndarray, np.ndarray]


class WeatherColumns(NamedTuple):
    """Where a file has its values. element: position of GHCN's element; flags: of quality, by that of the value."""

    first_row: int
    day: tuple[int, ...]  # a date, or year, month and day
    temperatures: dict[str, int]
    fahrenheit: frozenset[str] = frozenset()
    element: int | None = None
    station: int | None = None
    flags: dict[int, int] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    in_tenths: bool | None = False  # None: found out by the values


def read_download(source: TableFile) -> Means | None:
    """(days, deg C) of a weather file as downloaded; None if it is of none of these layouts. Raises TableError."""
    if source.is_parquet:
        return None
    with file_errors(source):
        columns = _columns_of([row for _, row in islice(_rows(source), HEAD_ROWS)])
        if columns is None:
            return None
        return _daily(source, columns, *_read(source, columns))


def in_celsius(source: TableFile, name: str, degrees: np.ndarray) -> np.ndarray:
    """Degrees of a column in deg C: converted if its name states Fahrenheit. Raises InvalidValue beyond extremes."""
    celsius = (degrees - 32) / 1.8 if FAHRENHEIT.search(name) else degrees
    odd = celsius[(celsius < MIN_TEMPERATURE) | (celsius > MAX_TEMPERATURE)]
    if len(odd):
        raise InvalidValue(
            f"{source} has a temperature of {odd[0]:g} deg C, outside {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}; "
            "correct it, or write (°F) into the name of a column in Fahrenheit."
        )
    return celsius


# --- which layout -----------------------------------------------------------------------------------------------------


def _rows(source: TableFile) -> Iterator[tuple[int, list[str]]]:
    text = io.TextIOWrapper(source.open(), encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.reader(text)
    for row in reader:
        yield reader.line_num, [value.strip() for value in row]


def _columns_of(head: list[list[str]]) -> WeatherColumns | None:
    if not head:
        return None
    first = head[0]
    if len(first) >= 4 and (first[:3] == ["ID", "DATE", "ELEMENT"] or GHCN_ID.fullmatch(first[0])):
        is_header = first[0] == "ID"
        if is_header or first[2] in ELEMENTS or re.fullmatch(r"[A-Z0-9]{4}", first[2]):
            return WeatherColumns(int(is_header), (1,), {}, element=2, station=0, flags={3: 5}, in_tenths=True)
    if len(first) in WITHOUT_HEADER and ISO_DAY.match(first[0]):
        return WeatherColumns(0, (0,), WITHOUT_HEADER[len(first)])
    return next(filter(None, (_columns_below(number, row) for number, row in enumerate(head))), None)


def _columns_below(number: int, row: list[str]) -> WeatherColumns | None:
    """The columns that a header names; None if it is none of a known layout."""
    named = {name.casefold(): position for position, name in reversed(list(enumerate(row)))}
    bare = {re.sub(r"\s*[(\[].*", "", name): position for name, position in named.items()}
    found = {kind: next((bare[name] for name in names if name in bare), None) for kind, names in NAMES.items()}
    temperatures = {kind: position for kind, position in found.items() if position is not None}
    if "mean" not in temperatures and len(temperatures) < 2:
        return None
    if row[temperatures.get("mean", 0)].casefold() == "temp" and not METEOSTAT & named.keys():
        return None
    day = next(((named[name],) for name in ("date", "time") if name in named), None)
    if day is None and {"year", "month", "day"} <= named.keys():
        day = (named["year"], named["month"], named["day"])
    if day is None:
        return None
    units = frozenset(kind for kind, position in temperatures.items() if FAHRENHEIT.search(row[position]))
    is_ghcn = "station" in named and "temp" not in bare
    flags = {at: named[f"{row[at].casefold()}_attributes"] for at in temperatures.values()
             if f"{row[at].casefold()}_attributes" in named}  # fmt: skip
    place = named.get("station", named.get("location_id"))
    states_unit = any("(" in row[position] for position in temperatures.values())
    in_tenths = None if is_ghcn and not states_unit else False
    return WeatherColumns(number + 1, day, temperatures, units, None, place, flags, in_tenths)


# --- values -----------------------------------------------------------------------------------------------------------


def _read(source: TableFile, columns: WeatherColumns) -> tuple[dict[str, list[int]], dict[str, list[float]]]:
    """Days and degrees as they stand in the file, by mean, high and low."""
    days, degrees = ({kind: [] for kind in NAMES} for _ in range(2))
    known: dict[str, int] = {}
    station = None
    for line, row in islice(_rows(source), columns.first_row, None):
        if not any(row):
            if days["mean"] or days["high"]:
                break  # Open-Meteo: other variables follow below
            continue
        wanted = columns.temperatures if columns.element is None else _of_element(row, columns)
        if not wanted:
            continue
        if columns.station is not None and columns.station < len(row):
            station = station or row[columns.station]
            if row[columns.station] != station:
                raise TableError(
                    f"{source}, line {line:,}: station {row[columns.station]} after {station}; "
                    "name a file with the weather of one place."
                )
        day = _day_of(source, line, row, columns.day, known)
        for kind, position in wanted.items():
            degree = _degree_of(source, line, row, position, columns)
            if degree is not None:
                days[kind].append(day)
                degrees[kind].append(degree)
    return days, degrees


def _of_element(row: list[str], columns: WeatherColumns) -> dict[str, int]:
    kind = ELEMENTS.get(row[columns.element]) if len(row) > 3 else None
    return {kind: 3} if kind else {}


def _day_of(source: TableFile, line: int, row: list[str], positions: tuple[int, ...], known: dict[str, int]) -> int:
    text = "-".join(row[at].zfill(2) if at < len(row) else "" for at in positions)
    if text not in known:
        try:
            known[text] = parse_day(COMPACT_DAY.sub(r"\1-\2-\3", text) if COMPACT_DAY.fullmatch(text) else text)
        except ValueError:
            known[text] = NAT
        if known[text] == NAT:
            raise InvalidValue(
                f"{source}, line {line:,}: {text!r} is no date such as 2014-03-24; download the file again."
            )
    return known[text]


def _degree_of(source: TableFile, line: int, row: list[str], position: int, columns: WeatherColumns) -> float | None:
    text = row[position] if position < len(row) else ""
    if text in MISSING or _is_doubtful(row, position, columns):
        return None
    try:
        if math.isfinite(degree := float(text)):
            return degree
        raise ValueError(text)
    except ValueError:
        raise InvalidValue(
            f"{source}, line {line:,}: a temperature of {text!r}, not a number; download the file again."
        ) from None


def _is_doubtful(row: list[str], position: int, columns: WeatherColumns) -> bool:
    """Whether GHCN's quality check failed: a flag of its own, or the second one of the attributes "M,Q,S"."""
    at = columns.flags.get(position)
    if at is None or at >= len(row):
        return False
    return bool(row[at] if columns.element is not None else ([*row[at].split(","), ""])[1].strip())


def _daily(source: TableFile, columns: WeatherColumns, days: dict, degrees: dict) -> Means:
    values = {kind: np.array(of_kind, float) for kind, of_kind in degrees.items()}
    if not any(map(len, values.values())):
        raise EmptyTable(f"{source} has no temperatures (TAVG, TMAX and TMIN, temp); download another station.")
    scale = 0.1 if columns.in_tenths or (columns.in_tenths is None and _is_in_tenths(source, values)) else 1.0
    means = {
        kind: _mean_by_day(np.array(days[kind], np.int64),
                           in_celsius(source, "(f)" if kind in columns.fahrenheit else "", values[kind] * scale))
        for kind in NAMES
    }  # fmt: skip
    both, of_high, of_low = np.intersect1d(means["high"][0], means["low"][0], return_indices=True)
    middle = (means["high"][1][of_high] + means["low"][1][of_low]) / 2
    rest = ~np.isin(both, means["mean"][0])
    day = np.concatenate([means["mean"][0], both[rest]])
    order = np.argsort(day)
    return day[order], np.concatenate([means["mean"][1], middle[rest]])[order]


def _is_in_tenths(source: TableFile, values: dict[str, np.ndarray]) -> bool:
    """Whether a GHCN table is in tenths of deg C, as its access files, and not in deg C. Raises InvalidValue."""
    found = np.concatenate(list(values.values()))
    if np.any(found != np.round(found)):
        return False
    if np.abs(found).max() > MAX_TENTHS:
        return True
    raise InvalidValue(
        f"{source} has temperatures up to {found.max():g} without a unit; write TMAX (°F), TMIN (°F) or TMAX (°C), "
        "TMIN (°C) into its header."
    )


def _mean_by_day(day: np.ndarray, degrees: np.ndarray) -> Means:
    """The mean of each day's values, without days that have less than half of the usual number."""
    days, number = np.unique(day, return_inverse=True)
    counts = np.bincount(number, minlength=len(days))
    means = np.bincount(number, degrees, len(days)) / np.maximum(counts, 1)
    is_whole = 2 * counts >= np.median(counts) if len(days) else np.zeros(0, bool)
    return days[is_whole], means[is_whole]
