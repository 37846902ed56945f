"""What the values of a column look like: dates and their format, numbers and their marks, ids, codes.

In:  a CodedColumn (fairmeter/data/layouts/raw_table.py).
Out: shares of the rows that fit, formats, decimal marks.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property

import numpy as np

from fairmeter.data.layouts.raw_table import CodedColumn
from fairmeter.data.maps.values.date_formats import DateFormat, fits_all

MAX_VALUES = 2_000  # distinct values that are looked at
MAX_SAMPLE = 300  # of them, for formats of dates
NO_LOCALE = "none"
FITS = 0.95  # share of the values from which a format fits
LOCALES = ("en", "fr", "pt", "es", "de", "nl", "ar")
ORDERS = ("%Y{0}%m{0}%d", "%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y")
NAMED_DAYS = ("%Y%m%d", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%b %d, %Y", "%d %B %Y")
DAY_FORMATS = (*(order.format(mark) for mark in "-/." for order in ORDERS), *NAMED_DAYS)
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M", " %I:%M %p", " %I:%M:%S %p")
MONTH_FORMATS = ("%Y-%m", "%m/%Y", "%Y/%m", "%Y%m", "%b-%y", "%b/%Y", "%b %Y", "%b-%Y", "%B %Y", "%b/%y", "%m-%Y")
ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z| ?[+-]\d\d:?\d\d)?")
TIME = re.compile(r"(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?(?: ?[AaPp][Mm])?")
TIME_IN = re.compile(r"\d?\d:\d\d")
COMMA = re.compile(r"-?\d{1,3}(?:\.\d{3})+,\d+|-?\d+,\d+")
POINT = re.compile(r"-?\d{1,3}(?:,\d{3})+\.\d+|-?\d+\.\d+")
GROUPED_COMMA = re.compile(r"-?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
GROUPED_POINT = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
WHOLE = re.compile(r"-?\d+")


class ColumnValues:
    """The distinct values of a column with the number of rows of each; empty ones apart."""

    def __init__(self, column: CodedColumn) -> None:
        counts = np.bincount(column.codes, minlength=len(column.values))
        pairs = [(value, int(n)) for value, n in zip(column.values, counts, strict=True) if n]
        self.n = len(column.codes)
        known = [(value, n) for value, n in pairs if value not in ("", None)]
        self.n_known = sum(n for _, n in known)
        self.n_distinct = len(known)
        self.counts = sorted(known, key=lambda pair: -pair[1])[:MAX_VALUES]

    @cached_property
    def texts(self) -> list[str]:
        return [str(value) for value, _ in self.counts]

    @property
    def is_typed_date(self) -> bool:
        """Whether the values are dates already, as in a workbook or in Parquet."""
        return bool(self.counts) and all(isinstance(value, date | datetime) for value, _ in self.counts)

    def share(self, pattern: re.Pattern[str]) -> float:
        """Share of the known rows whose values match as a whole. [0..1]"""
        looked_at = sum(n for _, n in self.counts)
        fits = sum(n for value, n in self.counts if pattern.fullmatch(str(value)))
        return fits / looked_at if looked_at else 0.0

    # --- numbers ------------------------------------------------------------------------------------------------------

    @cached_property
    def number_share(self) -> float:
        """Share of the known rows that are numbers under any mark. [0..1]"""
        if all(isinstance(value, int | float) for value, _ in self.counts):
            return 1.0 if self.counts else 0.0
        return self.share(re.compile("|".join(p.pattern for p in (COMMA, POINT, WHOLE, GROUPED_POINT, GROUPED_COMMA))))

    @cached_property
    def decimal(self) -> str:
        """The mark before decimals: "," only where commas fit and points do not."""
        commas, points = self.share(COMMA), self.share(POINT)
        return "," if commas > points else "."

    @property
    def thousands(self) -> str | None:
        """The mark between thousands, where any value shows one beside the decimal mark."""
        grouped = GROUPED_COMMA if self.decimal == "," else GROUPED_POINT
        return {",": ".", ".": ","}[self.decimal] if any(map(grouped.fullmatch, self.texts)) else None

    @property
    def shows_decimals(self) -> bool:
        """Whether any value has a mark before its decimals."""
        return any(
            isinstance(value, str) and (COMMA.fullmatch(value) or POINT.fullmatch(value)) for value, _ in self.counts
        )

    @cached_property
    def time_share(self) -> float:
        """Share of the known rows that are times of the day. [0..1]"""
        return self.share(TIME)

    # --- dates --------------------------------------------------------------------------------------------------------

    @cached_property
    def date_format(self) -> tuple[str | None, str | None, bool]:
        """(format, locale, whether another order of day and month fits as well).

        The format is "" for dates that are read without one, None where the values are no dates.
        """
        if self.is_typed_date or self.share(ISO) >= FITS:
            return "", None, False
        return find_format(self.texts)

    @property
    def has_times(self) -> bool:
        """Whether the dates have a time of the day that is not always midnight."""
        form = self.date_format[0]
        if form is None:
            return False
        if form and not {"%H", "%I"} & set(re.findall("%.", form)):
            return False
        return len({_time_of(value) for value, _ in self.counts}) > 1

    @property
    def span_days(self) -> float:
        """Days from the first to the last date; 0 where the values are no dates."""
        form, locale, _ = self.date_format
        if form is None:
            return 0.0
        days = [day for value, _ in self.counts if (day := _day_of(value, form, locale)) is not None]
        return float(max(days) - min(days)) if days else 0.0


def _time_of(value: object) -> str:
    if isinstance(value, date):
        return str(value)[11:16]
    found = TIME_IN.search(str(value))
    return found[0] if found else ""


def _day_of(value: object, form: str, locale: str | None) -> float | None:
    if isinstance(value, date):
        return float(value.toordinal())
    if form:
        moment = DateFormat.of(form, locale).moment(str(value), "last")
        return None if moment is None else moment.minute / (24 * 60)
    try:
        return float(date.fromisoformat(str(value)[:10]).toordinal())
    except ValueError:
        return None


def find_format(texts: Sequence[str]) -> tuple[str | None, str | None, bool]:
    """As ColumnValues.date_format, of texts."""
    sample = [text for text in texts if text][:MAX_SAMPLE]
    for pattern in (*_full_formats(), *MONTH_FORMATS) if sample else ():
        has_name = "%b" in pattern or "%B" in pattern
        locale = next((one for one in (LOCALES if has_name else (None,)) if fits_all(sample, pattern, one)), NO_LOCALE)
        if locale != NO_LOCALE:
            return pattern, locale, _fits_swapped(sample, pattern)
    return None, None, False


def _full_formats():
    return (day + time for time in TIMES for day in DAY_FORMATS)


def _fits_swapped(sample: Sequence[str], pattern: str) -> bool:
    """Whether the texts fit with day and month exchanged as well."""
    swapped = pattern.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
    return {"%d", "%m"} <= set(re.findall("%.", pattern)) and fits_all(sample, swapped, None)
