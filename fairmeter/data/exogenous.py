"""Exogenous variables by date: temperature and holidays, from files or the `holidays` library.

In:  a CSV or Parquet file with a date and a temperature per row, or a weather file as downloaded (formats/weather.py);
     a file with a date per row, or a country code.
Out: Exogenous, the weather and holidays for Covariates.from_consumption. Unreadable input raises a TableError.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.data.arrow_reader import parse_table, read_header
from fairmeter.data.files import Column, MissingColumns, MissingFile, TableError, TableFile, UnreadableDate, find_file
from fairmeter.data.formats.weather import in_celsius, read_download
from fairmeter.data.parsing import NAT, parse_day, parse_number
from fairmeter.data.reading_cleaning import READING_YEARS

COUNTRY = re.compile(r"(?P<country>[A-Z]{2})(?:-(?P<part>[A-Z0-9]{1,6}))?")


class UnknownHolidays(TableError):
    """Neither a file nor a country with known holidays."""


class Exogenous(NamedTuple):
    """Temperature and holidays by date; None where not given."""

    weather: tuple[np.ndarray, np.ndarray] | None = None  # (days since 1970, mean temperature of the day [deg C])
    holidays: np.ndarray | None = None  # days since 1970


NO_EXOGENOUS = Exogenous()


def read_exogenous(weather: Path | None, holidays: str | None) -> Exogenous:
    """Read weather from a file, holidays from a file or by a country code such as GB or GB-ENG. Raises TableError."""
    return Exogenous(weather and read_weather(weather), holidays and read_holidays(holidays))


def read_weather(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(days since 1970, ascending; mean temperature of each [deg C]). Raises TableError.

    A file as downloaded from Meteostat, Open-Meteo or GHCN-Daily is read as it is. Of another one every row and every
    column with "temp" in its name counts; highest and lowest give the mean from which degree days are counted.
    """
    source = find_file("weather", (), path)
    return read_download(source) or _named_temperatures(source)


def _named_temperatures(source: TableFile) -> tuple[np.ndarray, np.ndarray]:
    header = read_header(source)
    named = [name for name in header if "temp" in name.lower()]
    if not named:
        raise MissingColumns(
            f"{source} lacks a column with 'temp' in its name; found {header}. Rename the column of temperatures."
        )
    fields = tuple(Column(name, name, parse_number, np.float64, is_number=True) for name in named)
    sheet = parse_table(source, (_date_column(header, source), *fields))
    day = sheet.take(_date_column(header, source)).astype(np.int64)
    degrees = np.array([in_celsius(source, field.name, sheet.take(field)) for field in fields])
    return mean_by_day(np.tile(day, len(fields)), degrees.ravel())


def read_holidays(given: str) -> np.ndarray:
    """Holidays of a file or a country code as days since 1970, ascending, without repetition. Raises TableError."""
    if Path(given).exists():
        source = find_file("holiday", (), given)
        field = _date_column(read_header(source), source)
        return np.unique(parse_table(source, (field,)).take(field).astype(np.int64))
    code = COUNTRY.fullmatch(given)
    if not code:
        raise MissingFile(
            f"{given} is neither a file nor a country code; name a file with dates, or a code such as GB-ENG."
        )
    return _holidays_of(code["country"], code["part"])


def _holidays_of(country: str, part: str | None) -> np.ndarray:
    try:
        import holidays
    except ImportError:
        raise UnknownHolidays(
            "A country code needs the holidays library, which is not installed: pip install holidays, or name a file."
        ) from None
    years = range(READING_YEARS[0], READING_YEARS[1] + 1)
    try:
        found = holidays.country_holidays(country, subdiv=part, years=years)
    except NotImplementedError:
        whole = f"{country}-{part}" if part else country
        raise UnknownHolidays(
            f"The holidays library does not have {whole}; correct the code, or name a file with dates."
        ) from None
    return np.sort(np.array(list(found), dtype="datetime64[D]")).astype(np.int64)


def _date_column(header: list[str], source: object) -> Column:
    """The column with "date" in its name, otherwise with "day". Raises MissingColumns."""
    named = [name for word in ("date", "day") for name in header if word in name.lower()]
    if not named:
        raise MissingColumns(
            f"{source} lacks a column with 'date' in its name; found {header}. Rename the column of dates."
        )
    return Column(named[0], named[0], _parse_required_day, "datetime64[D]", error=UnreadableDate)


def _parse_required_day(value) -> int:
    day = parse_day(value)
    if day == NAT:
        raise ValueError("empty; every row needs its date")
    return day


def mean_by_day(day: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(days, ascending; mean temperature of each), unknown temperatures left out."""
    known = ~np.isnan(degrees)
    days, number = np.unique(day[known], return_inverse=True)
    return days, np.bincount(number, degrees[known], len(days)) / np.bincount(number, minlength=len(days))
