"""Raw readings -> the canonical table. The only module with raw column names of readings and the wide layout.

In:  a file (zip, folder, CSV, CSV.gz, Parquet) or JSON objects. Long: client_id, read_at, consumption_kwh, with a row
     per reading of a day or a part of it; optional minutes, export_kwh, quality. Wide, as SGCC publishes: CONS_NO,
     FLAG, and a column per day, named month/day/year.
Out: readings by client, then time, cleaned, with quality flags: client (int64: row in the clients), read_at
     (datetime64[m]: start of the interval), consumption_kwh (float64, NaN missing); if any has them: minutes (float64:
     length of the interval, NaN as its neighbours show), is_estimated (bool), export_kwh (float64: fed into the grid).
Moments are local wall-clock time; a time zone or UTC offset is ignored.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import DataIncident, QualityFlag, Table
from fairmeter.data.arrow_reader import ParsedTable, parse_batches, parse_table, read_header
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.client_joins import Join, join_of, refuse_failed_join, with_examples
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import NULLS, Column, InvalidValue, TableFile, UnreadableDate, find_file, has_file
from fairmeter.data.json_records import FieldError, columns_from_records, record_place
from fairmeter.data.parsing import (
    EPOCH,
    QUALITIES,
    parse_day,
    parse_id,
    parse_label,
    parse_number,
    parse_quality,
    parse_text,
)
from fairmeter.data.reading_cleaning import clean_readings
from fairmeter.data.reading_rules.many_clients import clean_client_base
from fairmeter.data.tables import DuplicateClient, flags_by_client, layout_flags, quality_flag

__all__ = ["ReadingTables", "has_readings", "read_readings", "readings_from_records"]

UNKNOWN_CLIENTS = "readings_of_unknown_clients"
MAX_UNREADABLE_SHARE = 0.1  # of a file's or a client's values; with more, these are not numbers
MIN_UNREADABLE = 10  # values of one client, for its share to count
ESTIMATED, MISSING = QUALITIES.index("estimated"), QUALITIES.index("missing")
MAX_MOMENTS = 2**20  # kept while a file is read: 30 years of quarters of an hour
DAY = 24 * 60  # minutes
ISO_LENGTHS = {len("2014-03-24"), len("2014-03-24T13:30"), len("2014-03-24T13:30:00")}
MOMENT = re.compile(
    r"(?P<day>[\d/-]+)(?:(?:T| +)(?P<h>\d\d?):(?P<m>[0-5]\d)(?::\d\d(?:[.,]\d+)?)? ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?)?"
)
SLASHED = re.compile(r"(\d\d?)/(\d\d?)/(\d{4})")
ISO_DAY = re.compile(r"(\d{4}[-/]\d\d?[-/]\d\d?)(?:[T ]00:00(?::00(?:\.0+)?)?)?")  # data frames add a time to dates
DATE_LIKE = re.compile(r"\D*\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}.*|(?:19|20)\d{6}|\d\d?[ .-]?[^\W\d]{3,}[ .-]?\d{2,4}")
GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?P<decimals>\.\d+)?")


@dataclass(frozen=True)
class ReadingTables:
    """Canonical readings, whose `client` is the row in client_ids, with quality flags in total and per client."""

    client_ids: np.ndarray  # object: str
    label: np.ndarray | None  # float64, per client; None if the file has no labels
    readings: Table
    flags: list[QualityFlag]
    quality: list[tuple[QualityFlag, ...]]
    incidents: tuple[DataIncident, ...] = ()

    def for_clients(self, client_ids: Iterable[str]) -> "ReadingTables":
        """The readings of these clients, in their order; those of others are left out, with a quality flag."""
        wanted = np.array(list(client_ids), object)
        row_of = {client_id: row for row, client_id in enumerate(self.client_ids)}
        old = np.array([row_of.get(client_id, -1) for client_id in wanted], np.int64)
        counts = np.bincount(self.readings["client"], minlength=len(self.client_ids))
        join = join_of_readings(self.client_ids, wanted, counts)
        refuse_failed_join(join, "The readings")
        label = None if self.label is None else np.append(self.label, np.nan)[old]
        quality = [self.quality[row] if row >= 0 else () for row in old.tolist()]
        flags = [*self.flags, *unknown_clients(join)]
        return replace(self, client_ids=wanted, label=label, readings=self._select(old), flags=flags, quality=quality)

    def daily(self) -> DailyConsumption:
        """The daily consumption of the clients."""
        return DailyConsumption.from_readings(self.readings, len(self.client_ids))

    def _select(self, old: np.ndarray) -> Table:
        """The readings of some clients, in that order. [old: rows in client_ids, -1 for none]"""
        counts = np.bincount(self.readings["client"], minlength=len(self.client_ids))
        starts = np.append(np.cumsum(counts) - counts, 0)[old]
        counts = np.append(counts, 0)[old]
        rows = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        table = {name: column[rows] for name, column in self.readings.items()}
        return table | {"client": np.repeat(np.arange(len(old)), counts)}


def join_of_readings(client_ids: np.ndarray, wanted: np.ndarray, n_readings: np.ndarray) -> Join:
    """How readings join the wanted clients. [client_ids, n_readings: of the clients that have them]"""
    row_of = {client_id: row for row, client_id in enumerate(wanted)}
    to_wanted = np.array([row_of.get(client_id, -1) for client_id in client_ids], np.int64)
    unknown_ids = client_ids[(to_wanted < 0) & (n_readings > 0)]
    return join_of("readings", np.repeat(to_wanted, n_readings), unknown_ids, wanted)


def unknown_clients(join: Join) -> list[QualityFlag]:
    """The flag on readings of clients that no table has, with examples."""
    if not (n := join.n_rows - join.n_joined):
        return []
    text = "Readings of clients that are not in the clients' table, left out"
    return with_examples([QualityFlag(UNKNOWN_CLIENTS, n, f"{text}: {n:,}.")], UNKNOWN_CLIENTS, join)


# --- one value --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2**15)  # the hours of three years; the same ones recur in requests
def parse_minute(value) -> int:
    """Minutes since 1970 of 2014-03-24, 2014-03-24T13:30 or, day first, 24/03/2014 13:30; local time. ValueError."""
    text = parse_text(value)
    if len(text) in ISO_LENGTHS and text[4] == text[7] == "-":  # ten times faster, and the usual format
        try:
            moment = datetime.fromisoformat(text)
            return (moment.toordinal() - EPOCH) * DAY + moment.hour * 60 + moment.minute
        except ValueError:
            pass
    if text in NULLS:
        raise ValueError("empty; every reading needs its day or moment")
    found = MOMENT.fullmatch(text)
    minute = int(found["h"] or 0) * 60 + int(found["m"] or 0) if found else DAY + 1
    if minute > DAY:  # 24:00 is the next day's 00:00
        raise ValueError("not a moment; write 2014-03-24, 2014-03-24T13:30 or 24/03/2014 13:30")
    return parse_day(found["day"]) * DAY + minute


def parse_moment(value) -> datetime:
    """As `parse_minute`, as a datetime without a zone. ValueError."""
    return datetime(1970, 1, 1) + timedelta(minutes=parse_minute(value))


def parse_or_nan(parse: Callable[..., float], value) -> float:
    """A number; NaN if missing or unreadable."""
    return np.nan if is_unreadable(parse, value) else parse(value)


def is_unreadable(parse: Callable[..., float], value) -> bool:
    """Whether a value is present and not a number."""
    try:
        parse(value)
    except ValueError:
        return True
    return False


def parse_length(value) -> float:
    """The length of an interval in minutes, NaN if missing. Raises ValueError."""
    minutes = parse_number(value)
    if minutes <= 0 or np.isinf(minutes):
        raise ValueError("not a length; write the minutes of the interval, 60 for an hour")
    return minutes


def parse_export(value) -> float:
    """Energy fed into the grid, NaN if missing. Raises ValueError. [kWh]"""
    kwh = parse_number(value)
    if kwh < 0 or np.isinf(kwh):
        raise ValueError("not an energy that was fed in; write it in kWh, above 0")
    return kwh


def parse_grouped(value) -> float:
    """As `parse_number`, with commas between thousands: 2,345.6. Raises ValueError."""
    text = parse_text(value)
    return float(text.replace(",", "")) if GROUPED.fullmatch(text) else parse_number(value)


def has_point(value) -> bool:
    """Whether a number has a decimal point, so that its commas stand between thousands."""
    text = parse_text(value)
    found = GROUPED.fullmatch(text)
    return bool(found["decimals"]) if found else "." in text


CLIENT_ID = Column("client_id", "CONS_NO", parse_id, object)
LABEL = Column("label", "FLAG", parse_label, np.float64, is_required=False)
READ_AT = Column("read_at", "read_at", parse_minute, "datetime64[m]", error=UnreadableDate, has_time=True)
KWH = Column("consumption_kwh", "consumption_kwh", parse_number, np.float64, is_number=True)
READING_FIELDS = (READ_AT, KWH)
OPTIONAL_FIELDS = (
    Column("minutes", "minutes", parse_length, np.float64, is_required=False),
    Column("export_kwh", "export_kwh", parse_export, np.float64, is_required=False),
    Column("quality", "quality", parse_quality, np.int8, is_required=False),
)
UNREADABLE = ("unreadable_readings", "Readings that are no number, taken as missing")
HasPoints = Callable[[Column], bool]  # whether any number of a column has a decimal point
NO_READINGS = {"client": np.array([], np.int64)} | {f.name: np.array([], f.dtype) for f in READING_FIELDS}


# --- from files -------------------------------------------------------------------------------------------------------


class ParsedReadings(NamedTuple):
    """Readings of a file, or of some of its rows, before cleaning.

    label: by client, None without; unreadable: marks readings that are not numbers; error: of the first of them.
    """

    client_ids: np.ndarray
    label: np.ndarray | None
    readings: Table
    unreadable: np.ndarray
    error: InvalidValue | None
    notes: Counter[str]
    is_wide: bool = False


def has_readings(*sources) -> bool:
    """Whether any file in zips, folders and files has "reading" in its name."""
    return has_file("reading", sources)


def read_readings(*sources, readings: str | Path | None = None) -> ReadingTables:
    """Read and clean the readings.

    sources: a zip, a folder, or files, one of them with "reading" in its name; a single file may have any name.
    readings: a file of any name, used instead of the sources.
    Raises TableError (one sentence). Clients without known readings are kept.
    """
    source = find_file("reading", sources, readings or (sources[0] if len(sources) == 1 else None))
    fields, rows_of = _layout_of(source)
    sheet = parse_table(source, fields)
    parsed = rows_of(sheet, lambda field: sheet.peek(field).any())
    n_clients, client = len(parsed.client_ids), parsed.readings["client"]
    n, n_bad = (np.bincount(rows, minlength=n_clients) for rows in (client, client[parsed.unreadable]))
    refuse_unreadable(parsed.client_ids, n, n_bad, parsed.error)
    table, findings, incidents = clean_client_base(parsed.readings, n_clients, source)
    if n_bad.any():
        findings.append(CleaningFinding(*UNREADABLE, client[parsed.unreadable]))
    flags = [quality_flag(finding, len(finding.clients)) for finding in findings]
    flags += layout_flags(sheet.file_name, parsed.notes)
    quality = flags_by_client(findings, n_clients)
    return ReadingTables(parsed.client_ids, parsed.label, table, flags, quality, incidents)


def reading_batches(source: TableFile) -> Iterator[ParsedReadings]:
    """The readings of a file of any size, some ten thousand rows at a time. Raises TableError.

    The caller adds up what is unreadable, for refuse_unreadable.
    """
    fields, rows_of = _layout_of(source)
    has_points = lru_cache(None)(
        lambda field: any(sheet.peek(field).any() for sheet in parse_batches(source, (CLIENT_ID, field)))
    )
    minutes: dict[object, int] = {}  # the same moments recur in every batch
    fields = tuple(f._replace(convert=partial(_parse_once, minutes)) if f is READ_AT else f for f in fields)
    for sheet in parse_batches(source, fields):
        yield rows_of(sheet, has_points)


def _parse_once(minutes: dict[object, int], value: object) -> int:
    found = minutes.get(value)
    if found is None:
        if len(minutes) > MAX_MOMENTS:
            minutes.clear()
        found = minutes[value] = parse_minute(value)
    return found


def _layout_of(source: TableFile) -> tuple[tuple[Column, ...], Callable[..., ParsedReadings]]:
    """(the columns of a long or a wide file, what reads its rows)."""
    day_of_column = _day_columns(read_header(source, (CLIENT_ID, LABEL, *READING_FIELDS)), source)
    if not day_of_column:
        return (CLIENT_ID, LABEL, *READING_FIELDS, *OPTIONAL_FIELDS), partial(_long_rows, source)
    fields = tuple(KWH._replace(name=name, raw=name) for name in day_of_column)
    return (CLIENT_ID, LABEL, *fields), partial(_wide_rows, source, day_of_column)


def _long_rows(source: TableFile, sheet: ParsedTable, has_points: HasPoints) -> ParsedReadings:
    row_of = {}
    owner = CLIENT_ID._replace(convert=partial(_row_of_id, row_of), dtype=np.int64)
    client, client_ids = _in_order_of_appearance(sheet.take(owner), np.array(list(row_of), object))
    label = label_of_clients(sheet.take(LABEL), client, client_ids, source) if LABEL in sheet else None
    kwh, unreadable, error = _quantities(sheet, (KWH,), has_points)
    table = {"client": client, "read_at": sheet.take(READ_AT), "consumption_kwh": kwh[:, 0]}
    table |= {field.name: sheet.take(field) for field in OPTIONAL_FIELDS if field in sheet}
    return ParsedReadings(client_ids, label, _without_quality(table), unreadable[:, 0], error, sheet.notes)


def _without_quality(table: Table) -> Table:
    """The readings with `is_estimated` for their quality; missing ones have no value."""
    if "quality" not in table:
        return table
    quality = table["quality"]
    kwh = np.where(quality == MISSING, np.nan, table["consumption_kwh"])
    others = {name: column for name, column in table.items() if name != "quality"}
    return others | {"consumption_kwh": kwh, "is_estimated": quality == ESTIMATED}


def _row_of_id(row_of: dict[str, int], value) -> int:
    return row_of.setdefault(parse_id(value), len(row_of))


def _in_order_of_appearance(client: np.ndarray, client_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number clients by their first row; a Parquet dictionary has its own order, and values that occur in no row."""
    first = np.full(len(client_ids), len(client))
    np.minimum.at(first, client, np.arange(len(client)))
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(client))]
    row = np.empty(len(client_ids), np.int64)
    row[order] = np.arange(len(order))
    return row[client], client_ids[order]


def label_of_clients(label: np.ndarray, client: np.ndarray, client_ids: np.ndarray, source: object) -> np.ndarray:
    """The label of each client, the same in all its rows that have one. Raises InvalidValue."""
    lowest = np.full(len(client_ids), np.nan)
    highest = lowest.copy()
    np.fmin.at(lowest, client, label)
    np.fmax.at(highest, client, label)
    if (differs := np.flatnonzero(lowest < highest)).size:
        raise InvalidValue(f"{source} has label 0 and label 1 for client {client_ids[differs[0]]!r}; keep one of them.")
    return lowest


def _quantities(
    sheet: ParsedTable, fields: tuple[Column, ...], has_points: HasPoints
) -> tuple[np.ndarray, np.ndarray, InvalidValue | None]:
    """(kWh, mask of values that are not numbers, the first error), a column per field.

    Commas stand between thousands where a number of the column has a decimal point.
    """
    kwh = np.empty((sheet.n_rows, len(fields)))
    unreadable = np.zeros(kwh.shape, bool)
    first_error = None
    for i, field in enumerate(fields):
        try:
            kwh[:, i] = sheet.take(field)
        except InvalidValue as error:
            first_error = first_error or error
            is_grouped = has_points(field._replace(convert=has_point, dtype=bool, is_number=False))
            parse = parse_grouped if is_grouped else parse_number
            unreadable[:, i] = sheet.peek(field._replace(convert=partial(is_unreadable, parse), dtype=bool))
            kwh[:, i] = sheet.take(field._replace(convert=partial(parse_or_nan, parse)))
    return kwh, unreadable, first_error


def refuse_unreadable(client_ids: np.ndarray, n: np.ndarray, n_bad: np.ndarray, error: InvalidValue | None) -> None:
    """Raise InvalidValue where a file or a client would lose more than a tenth of its readings.

    n, n_bad: of each client, all and those that are not numbers; error: of the first of these.
    """
    if n_bad.sum() > MAX_UNREADABLE_SHARE * n.sum():
        raise error
    if (lost := np.flatnonzero((n_bad >= MIN_UNREADABLE) & (n_bad > MAX_UNREADABLE_SHARE * n))).size:
        worst = lost[np.argmax(n_bad[lost])]
        others = f", and of {len(lost) - 1:,} more clients" if len(lost) > 1 else ""
        raise InvalidValue(
            f"{error} So are {n_bad[worst]:,} of the {n[worst]:,} readings of client {client_ids[worst]!r}{others}."
        )


# --- the wide layout --------------------------------------------------------------------------------------------------


def _day_columns(header: list[str], source: TableFile) -> dict[str, int]:
    """{column: days since 1970} of a wide table, in order of time; empty for a long one.

    All slashed names of a file are read alike: month first, as SGCC writes, unless one has a first number above 12.
    """
    if {READ_AT.name, KWH.name} & set(map(str.casefold, header)):
        return {}
    slashed = {name: SLASHED.fullmatch(name) for name in header}
    is_month_first = all(int(found[1]) <= 12 for found in slashed.values() if found)
    day_of_column = {}
    for name in header:
        found, iso = slashed[name], ISO_DAY.fullmatch(name)
        if found or iso:
            text = f"{found[2]}/{found[1]}/{found[3]}" if found and is_month_first else iso[1] if iso else name
            day_of_column[name] = _day_of_column(text, name, source)
    if day_of_column:
        others = [name for name in header if name.split("#")[0] not in day_of_column]  # a name may come twice
        _refuse_unread_columns(others, source)
    return dict(sorted(day_of_column.items(), key=lambda item: item[1]))


def _refuse_unread_columns(others: list[str], source: TableFile) -> None:
    """Raise UnreadableDate for columns of a wide table that look like days and are none."""
    if unread := [name for name in others if DATE_LIKE.fullmatch(name)]:
        names = ", ".join(map(repr, unread[:5])) + (" and others" if len(unread) > 5 else "")
        raise UnreadableDate(
            f"{source} has {len(unread):,} columns that look like days and are not read: {names}; "
            "name all days alike, month/day/year or 2013-01-02."
        )


def _day_of_column(text: str, name: str, source: TableFile) -> int:
    try:
        return parse_day(text)
    except ValueError:
        raise UnreadableDate(f"{source} has a column {name!r}, which is not a date; write month/day/year.") from None


def _wide_rows(
    source: TableFile, day_of_column: dict[str, int], sheet: ParsedTable, has_points: HasPoints
) -> ParsedReadings:
    fields = tuple(KWH._replace(name=name, raw=name) for name in day_of_column)
    client_ids = sheet.take(CLIENT_ID)
    if len(set(client_ids)) < len(client_ids):
        raise two_rows_of_a_client(source)
    label = sheet.take(LABEL) if LABEL in sheet else None
    kwh, unreadable, error = _quantities(sheet, fields, has_points)
    minute = np.array(list(day_of_column.values()), np.int64) * DAY
    table = {
        "client": np.repeat(np.arange(len(client_ids)), len(fields)),
        "read_at": np.tile(minute, len(client_ids)).view("datetime64[m]"),
        "consumption_kwh": kwh.ravel(),
    }
    return ParsedReadings(client_ids, label, table, unreadable.ravel(), error, sheet.notes, is_wide=True)


def two_rows_of_a_client(source: TableFile) -> DuplicateClient:
    """The error for a wide table in which a client comes twice."""
    return DuplicateClient(f"{source} has two rows for one client; keep one row a client.")


# --- from JSON --------------------------------------------------------------------------------------------------------


def readings_from_records(readings: list[list[dict]]) -> tuple[Table, list[tuple[QualityFlag, ...]]]:
    """The canonical table from JSON: a list of objects per client, each with read_at and consumption_kwh.

    Optional are minutes, export_kwh and quality. Returns the readings and each client's quality flags.
    Raises FieldError.
    """
    rows = list(chain.from_iterable(readings))
    if not rows:
        return NO_READINGS, [()] * len(readings)
    client = np.repeat(np.arange(len(readings)), np.array([len(of_client) for of_client in readings], np.int64))
    place = partial(record_place, "readings", client)
    columns = columns_from_records(rows, (*READING_FIELDS, *OPTIONAL_FIELDS), place)
    for i in np.flatnonzero(np.isnan(columns[KWH.name])).tolist():
        if KWH.name not in rows[i]:  # a misspelt name must not be mistaken for a silent meter
            index, path = place(i)
            raise FieldError(f"{path}.{KWH.name}", "missing; send it, empty where nothing was read", index)
    table, findings = clean_readings({"client": client} | _without_quality(columns))
    return table, flags_by_client(findings, len(readings))
