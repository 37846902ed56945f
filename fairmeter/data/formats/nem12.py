"""Australian interval data (AEMO MDFF, NEM12) -> RawTables, one row an interval.

In:  records 100 header, 200 a stream (NMI, suffix, unit, minutes), 300 a day of values, 400 the quality of a range of
     them, 500, 900 the end. Clocks are +10:00 all year.
Out: nmi, suffix, meter, unit, minutes, read_at (start of the interval), quality, reason, updated, value, taken, fed_in.
     Streams E were taken from the grid, B fed in; others (reactive energy, check meters) are left out and counted.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats.rows import UNITS, RowBuffer
from fairmeter.data.layouts.raw_table import RawTable

COLUMNS = ("nmi", "suffix", "meter", "unit", "minutes", "read_at", "quality", "reason", "updated", "value")
DAY_MINUTES = 24 * 60
RECORDS = ("100", "200", "300", "400", "500", "900")
QUALITY = re.compile(r"[AEFNSV]\d{0,2}")
EXPORT_AGAIN = "the file is damaged or cut off: download it again"


class Stream(NamedTuple):
    """The values that one register of a meter counts, as a record 200 introduces them."""

    nmi: str
    suffix: str
    meter: str
    unit: str
    minutes: int
    left_out: str  # why its values are not read; empty if they are


class DayOfValues(NamedTuple):
    """A record 300 with the records 400 below it: (first interval, last interval, quality, reason)."""

    line: int
    day: int  # since 1970
    values: list[str]
    quality: str
    reason: str
    updated: str
    ranges: list[tuple[int, int, str, str]]


def read_nem12(source: TableFile) -> Iterator[RawTable]:
    """Read a NEM12 file. Raises TableError."""
    rows, stream, day, kind = RowBuffer(source, COLUMNS), None, None, ""
    with file_errors(source):
        for line, fields in records_of(source):
            kind = fields[0]
            if kind != "400" and day:
                yield from rows.full()
                _add(rows, stream, day)
                day = None
            if kind == "300":
                day = _day_of(rows, line, fields, stream)
            elif kind == "200":
                stream = _stream_of(rows, line, fields)
            elif kind == "400":
                _note_quality(rows, line, fields, day)
            elif kind not in RECORDS:
                raise rows.invalid(line, f"begins with {kind[:20]!r}, no record of NEM12", EXPORT_AGAIN)
        if day:
            yield from rows.full()
            _add(rows, stream, day)
        if kind != "900":
            rows.notes["no closing record 900: the file may be cut off"] += 1
        yield from rows.rest("a NEM12 file has records 200 of a stream E1 or B1, and records 300")


def records_of(source: TableFile) -> Iterator[tuple[int, list[str]]]:
    """(line, stripped fields) of each record; empty lines are passed over."""
    text = io.TextIOWrapper(source.open(), encoding="utf-8-sig", errors="replace")
    for line, record in enumerate(text, 1):
        if '"' in record:
            yield line, [field.strip() for field in next(csv.reader([record]))]
        elif record := record.strip():
            yield line, record.split(",")


@lru_cache(maxsize=2**14)
def day_number(text: str) -> int:
    """Days since 1970 of 20050301. Raises ValueError."""
    if len(text) != 8 or not text.isdigit():
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:])).toordinal() - date(1970, 1, 1).toordinal()


def why_left_out(suffix: str, unit: str) -> str:
    """Why the values of a stream are not read; empty if they are."""
    if unit.upper() not in UNITS:
        return f"values in {unit or 'no unit'} (stream {suffix})"
    return "" if suffix[:1] in ("E", "B") else f"values of stream {suffix or 'without a suffix'}"


def _stream_of(rows: RowBuffer, line: int, fields: list[str]) -> Stream:
    if len(fields) < 9 or not fields[1]:
        raise rows.invalid(line, f"a record 200 with {len(fields)} fields, where 10 are due", EXPORT_AGAIN)
    nmi, suffix, meter, unit, length = fields[1], fields[4].upper(), fields[6], fields[7], fields[8]
    if not length.isdecimal() or not 0 < int(length) <= DAY_MINUTES or DAY_MINUTES % int(length):
        raise rows.invalid(line, f"an interval of {length!r} minutes", "5, 15, 30 or 60 are usual")
    return Stream(nmi, suffix, meter, UNITS.get(unit.upper(), unit), int(length), why_left_out(suffix, unit))


def _day_of(rows: RowBuffer, line: int, fields: list[str], stream: Stream | None) -> DayOfValues | None:
    if stream is None:
        raise rows.invalid(line, "a record 300 before any record 200", EXPORT_AGAIN)
    n = DAY_MINUTES // stream.minutes
    values, tail = fields[2 : 2 + n], fields[2 + n :]
    if not tail or not QUALITY.fullmatch(tail[0]):
        found = f"{tail[0][:20]!r} instead of a quality" if tail else f"{len(values)} values"
        raise rows.invalid(line, f"a day of {stream.minutes} minutes has {n} values and their quality; found {found}",
                           EXPORT_AGAIN)  # fmt: skip
    try:
        day = day_number(fields[1])
    except ValueError:
        raise rows.invalid(line, f"{fields[1][:20]!r} is no date such as 20050301", EXPORT_AGAIN) from None
    if stream.left_out:
        rows.left_out[stream.left_out] += n
        return None
    quality, reason, _, updated = (*tail, "", "", "")[:4]
    return DayOfValues(line, day, values, quality, reason, updated, [])


def _note_quality(rows: RowBuffer, line: int, fields: list[str], day: DayOfValues | None) -> None:
    if day is None:  # that of a stream which is left out
        return
    try:
        first, last = int(fields[1]), int(fields[2])
        fits = 1 <= first <= last <= len(day.values) and QUALITY.fullmatch(fields[3])
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise rows.invalid(line, f"{','.join(fields[:4])[:40]!r} is no range of a day's intervals with its quality",
                           EXPORT_AGAIN)  # fmt: skip
    day.ranges.append((first, last, fields[3], fields[4] if len(fields) > 4 else ""))


def _add(rows: RowBuffer, stream: Stream, day: DayOfValues) -> None:
    n = len(day.values)
    quality, reason = day.quality, day.reason
    if day.ranges:
        quality, reason = [quality] * n, [reason] * n
        for first, last, *of_range in day.ranges:
            span = slice(first - 1, last)
            quality[span], reason[span] = ([text] * (last - first + 1) for text in of_range)
    read_at = day.day * DAY_MINUTES + np.arange(0, DAY_MINUTES, stream.minutes)
    known = (*stream[:4], str(stream.minutes), read_at.astype("datetime64[m]"), quality, reason, day.updated)
    rows.add(n, day.line, stream.suffix[0] == "B", (*known, day.values))


def moment_of(text: str) -> str:
    """2005-03-01T12:10:04 of 20050301121004; seconds and time may be left out. Raises ValueError."""
    day = np.datetime64(day_number(text[:8]), "D")
    time = (text[8:] + "000000")[:6]
    if len(text) > 14 or not time.isdigit() or int(time[:2]) > 24 or max(int(time[2:4]), int(time[4:])) > 59:
        raise ValueError(text)
    return str(day + np.timedelta64(int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:]), "s"))
