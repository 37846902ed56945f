"""Weather and holidays of a place, by date: from files, or a country's holidays from the `holidays` library.

In:  a CSV or Parquet file with a date and a temperature a row; a file with a date a row, or a country's code.
Out: Exogenous, which Surroundings.of takes apart. What cannot be read ends in a TableError, in one sentence.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.data.arrow_reader import parse_table, read_header
from fairmeter.data.files import Column, MissingColumns, MissingFile, TableError, UnreadableDate, find_file
from fairmeter.data.parsing import NAT, parse_day, parse_number
from fairmeter.data.reading_cleaning import READING_YEARS

COUNTRY = re.compile(r"(?P<country>[A-Z]{2})(?:-(?P<part>[A-Z0-9]{1,6}))?")
MIN_TEMPERATURE, MAX_TEMPERATURE = -90.0, 60.0  # deg C ever measured: what is outside is in another unit, or an error


class UnknownHolidays(TableError):
    """No file, and no country whose holidays are known."""


class Exogenous(NamedTuple):
    """None where nothing is known of it."""

    weather: tuple[np.ndarray, np.ndarray] | None = None  # (days since 1970, mean temperature of the day [deg C])
    holidays: np.ndarray | None = None  # days since 1970


NO_EXOGENOUS = Exogenous()


def read_exogenous(weather: Path | None, holidays: str | None) -> Exogenous:
    """weather: a file; holidays: a file, or a country's code, GB or GB-ENG. Raises TableError."""
    return Exogenous(weather and read_weather(weather), holidays and read_holidays(holidays))


def read_weather(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(days since 1970, ascending; temperature [deg C]), the mean of what a date has: columns, rows.

    Every column with "temp" in its name counts, so highest and lowest make the mean that degree days are counted from.
    """
    source = find_file("weather", (), path)
    header = read_header(source)
    named = [name for name in header if "temp" in name.lower()]
    if not named:
        raise MissingColumns(
            f"{source} lacks a column with 'temp' in its name; found {header}. Name the temperature so."
        )
    fields = tuple(Column(name, name, parse_number, np.float64, is_number=True) for name in named)
    sheet = parse_table(source, (_date_column(header, source), *fields))
    day = sheet.take(_date_column(header, source)).astype(np.int64)
    degrees = np.array([sheet.take(field) for field in fields])
    odd = degrees[(degrees < MIN_TEMPERATURE) | (degrees > MAX_TEMPERATURE)]
    if len(odd):
        raise TableError(
            f"{source} has a temperature of {odd[0]:g}, none of this earth in deg C; correct or convert it."
        )
    return _mean_by_day(np.tile(day, len(fields)), degrees.ravel())


def read_holidays(given: str) -> np.ndarray:
    """Days since 1970, ascending, each once. Raises TableError."""
    if Path(given).exists():
        source = find_file("holiday", (), given)
        field = _date_column(read_header(source), source)
        return np.unique(parse_table(source, (field,)).take(field).astype(np.int64))
    code = COUNTRY.fullmatch(given)
    if not code:
        raise MissingFile(f"{given} is neither a file nor a country's code; name a file with dates, or GB or GB-ENG.")
    return _holidays_of(code["country"], code["part"])


def _holidays_of(country: str, part: str | None) -> np.ndarray:
    try:
        import holidays
    except ImportError:
        raise UnknownHolidays(
            "A country's code wants the holidays library, which is not here: pip install holidays, or name a file."
        ) from None
    years = range(READING_YEARS[0], READING_YEARS[1] + 1)
    try:
        found = holidays.country_holidays(country, subdiv=part, years=years)
    except NotImplementedError:
        whole = f"{country}-{part}" if part else country
        raise UnknownHolidays(
            f"No holidays are known of {whole}; correct the code, or name a file with dates."
        ) from None
    return np.sort(np.array(list(found), dtype="datetime64[D]")).astype(np.int64)


def _date_column(header: list[str], source: object) -> Column:
    """The column of dates: with "date" in its name, else "day"."""
    named = [name for word in ("date", "day") for name in header if word in name.lower()]
    if not named:
        raise MissingColumns(f"{source} lacks a column with 'date' in its name; found {header}. Name the dates so.")
    return Column(named[0], named[0], _parse_required_day, "datetime64[D]", error=UnreadableDate)


def _parse_required_day(value) -> int:
    day = parse_day(value)
    if day == NAT:
        raise ValueError("empty; every row needs its date")
    return day


def _mean_by_day(day: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(degrees)
    days, number = np.unique(day[known], return_inverse=True)
    return days, np.bincount(number, degrees[known], len(days)) / np.bincount(number, minlength=len(days))
