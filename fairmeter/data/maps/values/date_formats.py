"""Dates and moments by a format, as Python writes formats; names of months in the languages of exports.

In:  a text and a format: %d %m %Y %y %H %I %M %S %f %p %b %B %a %A %j %z, or "unix", "unix_ms", "excel".
Out: minutes since 1970, and the offset of the moment's clock from UTC where the text states it.
Names of months are found in any case, short or long, with or without a dot (Babel has them).
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from fairmeter.data.parsing import EPOCH

DAY = 24 * 60  # minutes
SPECIAL_FORMATS = ("unix", "unix_ms", "excel")
EXCEL_EPOCH = date(1899, 12, 30).toordinal() - EPOCH  # day 1 is 1900-01-01; Excel counts a 29 February 1900
MAX_CACHED = 2**18  # moments of a format that stay parsed: those of seven years of quarter hours
DIGITS = {
    "d": r"(?P<d>\d{1,2})",
    "m": r"(?P<m>\d{1,2})",
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2}(?:[.,]\d+)?)",
    "f": r"(?P<f>\d+)",
    "j": r"(?P<j>\d{1,3})",
    "z": r"(?P<z>Z|UTC|[+-]\d{2}(?::?\d{2})?)",
    "p": r"(?P<p>[^\W\d_]\.? ?[^\W\d_]\.?)",
    "b": r"(?P<b>[^\W\d_]+\.?)",
    "B": r"(?P<B>[^\W\d_]+\.?)",
    "a": r"[^\W\d_]+\.?",
    "A": r"[^\W\d_]+\.?",
    "%": "%",
}
OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?")
ALIKE = {"A": "b", "B": "b"}


class FormatError(ValueError):
    """A format that is none: what to write instead."""


class Moment(NamedTuple):
    """Minutes since 1970 by the clock of the text; that clock's offset from UTC in minutes, None where not stated.

    seconds: beyond the minute; versions differ by them.
    """

    minute: int
    offset: int | None
    seconds: float = 0.0


class Parts(NamedTuple):
    """What stands in a text; None where its format has none."""

    year: int | None
    month: int | None
    day: int | None
    minute: int
    offset: int | None
    seconds: float


class DateFormat:
    """One compiled format; parsed texts are kept, since the same moments recur for each client."""

    def __init__(self, text: str, locale: str | None = None) -> None:
        """Raises FormatError."""
        self.text, self.locale = text, locale
        self._pattern, self.directives = _compiled(text)
        self._months = month_names(locale or "en") if "b" in self.directives or "B" in self.directives else {}
        self._cache: dict[str, Parts | None] = {}

    @staticmethod
    @lru_cache(maxsize=256)
    def of(text: str, locale: str | None = None) -> "DateFormat":
        """The compiled format, made once. Raises FormatError."""
        return DateFormat(text, locale)

    @property
    def has_time(self) -> bool:
        return bool(self.directives & {"H", "I"})

    @property
    def has_date(self) -> bool:
        return bool(self.directives & {"d", "m", "b", "B", "j", "Y", "y"})

    def parts(self, text: str) -> Parts | None:
        """What stands in a text, None where it does not fit."""
        if text not in self._cache:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[text] = self._parsed(text)
        return self._cache[text]

    def moment(self, text: str, day: str | int | None = None, year: int | None = None) -> Moment | None:
        """The moment in a text, None where it does not fit. [day, year: of formats that have none]"""
        found = self.parts(text)
        if found is None:
            return None
        at = _day_number(found, day, year)
        return None if at is None else Moment(at * DAY + found.minute, found.offset, found.seconds)

    def _parsed(self, text: str) -> Parts | None:
        text = normalize("NFC", text.strip()) if self._months else text.strip()
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        got = found.groupdict()
        month = got.get("m") or self._month(got.get("b") or got.get("B"))
        if (got.get("b") or got.get("B")) and month is None:
            return None
        minute = _minute_of_day(got)
        if minute is None:
            return None
        year = int(got["Y"]) if got.get("Y") else _century(got["y"]) if got.get("y") else None
        if got.get("j"):
            whole = date(year or 1970, 1, 1).toordinal() + int(got["j"]) - 1
            moment = date.fromordinal(whole)
            if not int(got["j"]) or moment.year != (year or 1970):
                return None
            return Parts(year, moment.month, moment.day, minute, _offset(got.get("z")), 0.0)
        day = int(got["d"]) if got.get("d") else None
        month = None if month is None else int(month)
        if (month is not None and not 1 <= month <= 12) or (day is not None and not 1 <= day <= 31):
            return None
        seconds = float((got.get("S") or "0").replace(",", "."))
        return None if seconds >= 61 else Parts(year, month, day, minute, _offset(got.get("z")), seconds)

    def _month(self, name: str | None) -> int | None:
        return None if name is None else self._months.get(plain(name))


def plain(name: str) -> str:
    """A name as it is compared: composed, lower case, without a dot."""
    return normalize("NFC", name).casefold().strip(". ")


@lru_cache(maxsize=64)
def month_names(locale: str) -> dict[str, int]:
    """{name: month} of a language, short and long, and without accents where that is still one month. FormatError."""
    from babel import Locale, UnknownLocaleError
    from babel.dates import get_month_names

    try:
        language = Locale.parse(locale, sep="_" if "_" in locale else "-")
    except (UnknownLocaleError, ValueError):
        raise FormatError(f'there is no locale "{locale}". Write: locale = "en"') from None
    names: dict[str, int] = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for number, name in get_month_names(width, context, language).items():
                names.setdefault(plain(name), number)
                names.setdefault(_without_accents(plain(name)), number)
    for number, name in get_month_names("wide", "stand-alone", language).items():  # "sep" beside Babel's "sept"
        short = plain(name)[:3]
        if (
            sum(plain(other).startswith(short) for other in get_month_names("wide", "stand-alone", language).values())
            == 1
        ):
            names.setdefault(short, number)
            names.setdefault(_without_accents(short), number)
    return names


def _without_accents(name: str) -> str:
    letters = (letter for letter in normalize("NFD", name) if not "\u0300" <= letter <= "\u036f")
    return normalize("NFC", "".join(letters))


def fits_all(texts: Iterable[str], format_: str, locale: str | None) -> bool:
    """Whether all texts are moments of a format."""
    form = None if format_ in SPECIAL_FORMATS else DateFormat.of(format_, locale)
    return all((special_moment(text, format_) if form is None else form.moment(text, "last", 2000)) for text in texts)


def special_moment(value: object, form: str) -> Moment | None:
    """The moment of "unix" (seconds), "unix_ms" or "excel" (days since 1900); the first two are of UTC."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not 0 <= number < 1e14:
        return None
    if form == "excel":
        if number >= 2_958_466:  # 9999-12-31
            return None
        whole = round((number + EXCEL_EPOCH) * DAY * 60)
        return Moment(whole // 60, None, whole % 60)
    seconds = number / 1000 if form == "unix_ms" else number
    return None if seconds >= 253_402_300_800 else Moment(int(seconds // 60), 0, seconds % 60)


def typed_moment(value: date) -> Moment:
    """The moment of a date or datetime, as Excel, Parquet and JSON give them."""
    if not isinstance(value, datetime):
        return Moment((value.toordinal() - EPOCH) * DAY, None)
    # Excel keeps moments as fractions of a day: 00:15 comes back as 00:14:59.999.
    seconds = round(value.second + value.microsecond / 1e6, 3)
    whole = (value.toordinal() - EPOCH) * DAY + value.hour * 60 + value.minute
    whole, seconds = (whole + 1, 0.0) if seconds > 59.99 else (whole, seconds)
    offset = value.utcoffset()
    return Moment(whole, None if offset is None else int(offset.total_seconds() // 60), seconds)


def _compiled(text: str) -> tuple[re.Pattern, frozenset[str]]:
    if not isinstance(text, str) or not text:
        raise FormatError(f'{text!r} is no format. Write: format = "%d.%m.%Y %H:%M"')
    out, used, at = [], set(), 0
    while at < len(text):
        letter = text[at]
        if letter == "%":
            directive = text[at + 1 : at + 2]
            if directive in ("-", "#"):  # %-d, as some systems write a day without a leading zero
                at += 1
                directive = text[at + 1 : at + 2]
            if directive not in DIGITS:
                raise FormatError(f'"%{directive}" is no part of a format. Write: format = "%d.%m.%Y %H:%M"')
            if directive in used and directive not in "aA%":
                raise FormatError(f'"%{directive}" stands in "{text}" twice. Write it once')
            used.add(directive)
            out.append(DIGITS[directive])
            at += 2
        else:
            out.append(r"\s+" if letter.isspace() else re.escape(letter))
            at += 1
    if not used - set("aA%"):
        raise FormatError(f'"{text}" has no part of a date. Write: format = "%d.%m.%Y %H:%M"')
    return re.compile("".join(out), re.IGNORECASE), frozenset(used)


def _minute_of_day(got: dict[str, str | None]) -> int | None:
    minute = int(got.get("M") or 0)
    if minute > 59:
        return None
    if got.get("I"):
        hour, half = int(got["I"]), re.sub(r"[. ]", "", got.get("p") or "").lower()
        if not 1 <= hour <= 12 or half not in ("am", "pm"):
            return None
        return (hour % 12 + (12 if half == "pm" else 0)) * 60 + minute
    hour = int(got.get("H") or 0)
    # 24:00 is the next day's 00:00.
    return hour * 60 + minute if hour * 60 + minute <= DAY else None


def _century(text: str) -> int:
    return int(text) + (2000 if int(text) < 69 else 1900)  # as Python's %y


def _offset(text: str | None) -> int | None:
    if text is None:
        return None
    found = OFFSET.fullmatch(text)
    if found is None:
        return 0
    return (int(found[2]) * 60 + int(found[3] or 0)) * (-1 if found[1] == "-" else 1)


def offset_minutes(text: str) -> int | None:
    """The offset in minutes of "UTC", "Z" or "+10:00"; None for another text."""
    if text.upper() in ("UTC", "Z", "GMT"):
        return 0
    return _offset(text) if OFFSET.fullmatch(text) else None


def _day_number(parts: Parts, day: str | int | None, year: int | None) -> int | None:
    """Days since 1970; None for a day that is not in its month."""
    year = parts.year if parts.year is not None else year
    if year is None or not 1 <= year <= 9999:
        return None
    month = parts.month or 1
    number = parts.day
    if number is None:
        last = monthrange(year, month)[1]
        number = 1 if day == "first" else last if day in (None, "last") else min(int(day), last)
    try:
        return date(year, month, number).toordinal() - EPOCH
    except ValueError:
        return None
