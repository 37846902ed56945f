"""Metered values in EDIFACT (MSCONS; Germany, Austria, Denmark before) -> RawTables, one row an interval.

In:  messages UNH to UNT: BGM the document, LOC the metering point, LIN and PIA the register by its OBIS code, QTY a
     value with its DTM 163 and 164 and its status.
Out: location, obis, unit, minutes, read_at (start of the interval), ends_at, quality (of QTY), status, document,
     created, replaces, version, value, taken, fed_in. OBIS 1.x is taken, 2.x fed in; other registers, maxima, sums,
     what the meter showed, and documents that were cancelled are left out and counted.
"""

import re
from collections.abc import Iterator
from functools import lru_cache, partial

from fairmeter.data.files import DamagedFile, TableFile, file_errors
from fairmeter.data.formats.edifact import Separators, segments_of, separators_of
from fairmeter.data.formats.mscons_moments import minutes_between, moment_of
from fairmeter.data.formats.rows import RowBuffer
from fairmeter.data.layouts.raw_table import RawTable

COLUMNS = (
    "location", "obis", "unit", "minutes", "read_at", "ends_at", "quality", "status", "document", "created", "replaces",
    "version", "value",
)  # fmt: skip
UNITS = {"": "kWh", "KWH": "kWh", "MWH": "MWh", "WHR": "Wh", "KWT": "kW", "MAW": "MW", "WTT": "W"}
OF_INTERVALS = {"220", "67", "20", "187", "201", "Z18", "Z30", "Z31"}  # of QTY; others are sums and what a meter showed
OBIS = re.compile(r"(?:\d+-\d+:)?(?P<kind>[12])\.(?P<measure>\d+)\.\d+.*")
DATED = {"137", "163", "164"}  # of the document; start and end of a value
MAXIMA = {"2", "6"}
REPLACES, CANCELS = "5", "1"  # BGM's function of the message
EXPORT_AGAIN = "the file is damaged or cut off: download it again"


class Document:
    """The message that is being read, and the values of its register as they are collected."""

    def __init__(self, name: str = "") -> None:
        self.name = name  # of the type of message
        self.number = self.function = self.created = self.location = self.obis = ""
        self.start_register()

    def start_register(self, obis: str = "") -> None:
        self.obis = obis
        self.lines: list[int] = []
        self.values: list[dict[str, str]] = []

    @property
    def pending(self) -> dict[str, str]:
        """The last value, whose moments and status follow; before the first one, what nobody reads."""
        return self.values[-1] if self.values else {}


def read_mscons(source: TableFile) -> Iterator[RawTable]:
    """Read a file of MSCONS messages. Raises TableError."""
    with file_errors(source):
        separators = separators_of(source)
        cancelled = _cancelled_in(source, separators)
        rows, document, line, segment = RowBuffer(source, COLUMNS), Document(), 1, ""
        for line, segment in segments_of(source, separators):
            kind = segment[:3]
            if kind in ("LIN", "LOC", "UNT", "NAD", "UNH"):
                yield from rows.full()
                _add(rows, document, cancelled)
                document.start_register()
            try:
                if kind == "UNH":
                    document = Document(separators.split(segment)[2][0])
                _note(document, line, segment, separators)
            except (IndexError, ValueError):
                raise rows.invalid(line, f"{segment[:40]!r} is no segment of MSCONS", EXPORT_AGAIN) from None
        if not segment.startswith("UNZ"):
            raise DamagedFile(f"{source}, line {line:,}: ends without UNZ; it is cut off: download it again.")
        yield from rows.rest("load profiles have OBIS codes such as 1-1:1.29.0 and QTY 220 with DTM 163 and 164")


def _note(document: Document, line: int, segment: str, separators: Separators) -> None:
    """Take from a segment what a value needs. Raises IndexError, ValueError."""
    kind, split = segment[:3], partial(separators.split, segment)
    if kind == "QTY":
        (qualifier, value, *unit) = split()[1]
        value = value.replace(separators.mark, ".")
        document.lines.append(line)
        document.values.append({"quality": qualifier, "value": value, "unit": unit[0] if unit else "", "status": ""})
    elif kind == "DTM":
        qualifier, moment = _dated(segment, separators)
        if qualifier == "137":
            document.created = moment
        else:
            document.pending[qualifier] = moment
    elif kind == "STS":
        parts = [component for element in split()[1:] for component in element if component]
        document.pending["status"] = " ".join(parts)
    elif kind == "LOC":
        elements = split()
        if elements[1][0] == "172":
            document.location = elements[2][0]
    elif kind == "PIA":
        document.obis = split()[2][0]
    elif kind == "NAD" and split()[1][0] == "DP":
        document.location = ""
    elif kind == "BGM":
        elements = [*split(), [""], [""]]
        document.number, document.function = elements[2][0], elements[3][0]


@lru_cache(maxsize=2**17)  # three years of quarter-hours, which all clients share
def _dated(segment: str, separators: Separators) -> tuple[str, str]:
    """The qualifier of a DTM and its moment; empty if it is none that is read. Raises ValueError."""
    qualifier, text, code = separators.split(segment)[1]
    return qualifier, moment_of(text, code) if qualifier in DATED else ""


def _add(rows: RowBuffer, document: Document, cancelled: set[str]) -> None:
    lines, values = [], []
    for line, value in zip(document.lines, document.values, strict=True):
        why = _why_left_out(document, value, cancelled)
        if why:
            rows.left_out[why] += 1
        else:
            lines.append(line)
            values.append(value)
    if not values:
        return
    if not document.location:
        raise rows.invalid(lines[0], "a value without the metering point that LOC 172 states", EXPORT_AGAIN)
    columns = [[value[name] for value in values] for name in ("163", "164", "quality", "status", "value")]
    minutes = [minutes_between(begin, end) for begin, end in zip(*columns[:2], strict=True)]
    units = [UNITS[value["unit"]] for value in values]
    replaces = str(int(document.function == REPLACES))
    of_document = (document.number, document.created, replaces, f"{document.created} {replaces}")
    is_fed_in = OBIS.fullmatch(document.obis)["kind"] == "2"
    known = (document.location, document.obis, units, minutes, *columns[:4], *of_document, columns[4])
    rows.add(len(values), lines, is_fed_in, known)


def _why_left_out(document: Document, value: dict[str, str], cancelled: set[str]) -> str:
    found = OBIS.fullmatch(document.obis)
    if document.name != "MSCONS":
        return f"values of a message {document.name or 'without a type'}"
    if document.function == CANCELS or document.number in cancelled:
        return "values of cancelled documents"
    if not found or found["measure"] in MAXIMA:
        return f"values of register {document.obis or 'without OBIS code'}"
    if value["unit"] not in UNITS:
        return f"values in {value['unit']}"
    if value["quality"] not in OF_INTERVALS:
        return f"values of kind QTY {value['quality']}"
    return "" if {"163", "164"} <= value.keys() else "values without start and end (DTM 163, 164)"


def _cancelled_in(source: TableFile, separators: Separators) -> set[str]:
    """The numbers of documents that others in the file cancel."""
    cancelled, is_cancelling = set(), False
    for _, segment in segments_of(source, separators):
        if segment.startswith("BGM"):
            is_cancelling = separators.split(segment)[3:4] == [[CANCELS]]
        elif is_cancelling and segment.startswith(f"RFF{separators.element}ACW"):
            cancelled.update(separators.split(segment)[1][1:2])
    return cancelled
