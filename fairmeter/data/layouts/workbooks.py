"""Spreadsheets -> raw tables: XLSX, XLSM, XLSB, XLS and ODS, read by python-calamine.

In:  a TableFile whose bytes are a workbook; a sheet's name, or the first.
Out: a RawTable of typed cells: texts, floats, booleans, dates and moments; "" is an empty cell.
"""

import io
import re
import zipfile
from collections import Counter
from datetime import date, datetime, time
from itertools import islice

from fairmeter.data.files import DamagedFile, EmptyTable, MissingFile, TableFile
from fairmeter.data.layouts.headers import HEADER_LINES, MAX_COLUMNS, find_header
from fairmeter.data.layouts.raw_table import CodedColumn, Layout, RawTable, addressable, clean_text
from fairmeter.data.layouts.text_rows import EMPTY_LINES, FOOTERS, REPEATED_HEADERS, is_footer_like, is_header

MAX_WORKBOOK_BYTES = 2**30  # unpacked
MAX_CELLS = 10_000_000  # of a sheet: all are in memory at once
OLE, ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# A formula that no program has computed: its cell has no value beside it.
WITHOUT_VALUE = re.compile(rb"</f>(?:<v\s*/>|<v></v>)?</c>|<f[^>]*/></c>")
CELL_COLUMN, ROW = re.compile(rb' r="([A-Z]{1,9})[0-9]'), re.compile(rb'<row [^>]*?\br="([0-9]{1,18})"')
SLICE, OVERLAP = 2**24, 64  # bytes in which cells are looked for at once; a reference is shorter
PANIC = "PanicException"  # of Rust, no Exception
MERGED, OTHER_SHEETS = "merged cells, filled with their value", "other sheets, not read"


def workbook_table(source: TableFile, layout: Layout) -> RawTable:
    """The rows of a sheet below its header. Raises DamagedFile, EmptyTable, MissingFile."""
    notes: Counter[str] = Counter()
    rows, first_line = _cells(source, layout, notes)
    if layout.names:
        names, start, above = list(layout.names), layout.skip_rows or 0, ""
    else:
        if not any(map(_is_filled, rows)):
            raise EmptyTable(f"{source} is empty; export it again, with a header.")
        at = _header_at(rows, layout)
        names, start = [_name(value) for value in rows[at]], at + 1
        above = "\n".join(",".join(_text(value) for value in row).rstrip(",") for row in rows[:at])
    names = _without_empty_end(names)
    kept, lines = _kept_rows(rows[start:], tuple(names), first_line + start, notes)
    columns = [CodedColumn.of(row[i] for row in kept) for i in range(len(names))]
    options = {"notes": notes, "above": above, "unit": "row"}
    return RawTable(source, addressable(names), len(kept), columns.__getitem__, lines.__getitem__, **options)


def _cells(source: TableFile, layout: Layout, notes: Counter[str]) -> tuple[list[list], int]:
    """(cleaned cells of each row, the number of the first row in the sheet)."""
    import python_calamine as calamine

    with source.open() as stream:
        content = stream.read()
    _check_bytes(source, content)
    try:
        with calamine.load_workbook(io.BytesIO(content)) as workbook:
            sheet = _sheet(source, workbook, layout, notes)
            _check_size(source, sheet.total_height, sheet.total_width)
            rows = [[_cell(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
            _fill_merged(rows, sheet, notes)
    except calamine.PasswordError as error:
        raise _protected(source) from error
    except calamine.CalamineError as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedFile(f"{source} cannot be read as a spreadsheet ({what}); save it as XLSX or CSV.") from error
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise DamagedFile(f"{source} is a damaged spreadsheet; save it again, or as CSV.") from None
    return rows, 1


def _check_bytes(source: TableFile, content: bytes) -> None:
    if content.startswith(OLE):
        if ENCRYPTED in content:
            raise _protected(source)
    elif content.startswith(ZIP):
        _check_archive(source, content)
    else:
        raise DamagedFile(f"{source} is no spreadsheet, though it is named as one; save it as XLSX or CSV.")


def _protected(source: TableFile) -> DamagedFile:
    return DamagedFile(f"{source} is protected by a password; open it and save it without one.")


def _check_archive(source: TableFile, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_WORKBOOK_BYTES:
            raise DamagedFile(
                f"{source} unpacks to over {MAX_WORKBOOK_BYTES:,} bytes; save it as CSV, or in several files."
            )
        for member in members:
            if "worksheets/" in member.filename and member.filename.endswith(".xml"):
                _check_sheet(source, archive.read(member))


def _check_sheet(source: TableFile, xml: bytes) -> None:
    n = len(WITHOUT_VALUE.findall(xml))
    if n:
        raise DamagedFile(
            f"{source} has {n:,} formulas without their results; open it in a spreadsheet program, save it."
        )
    # The library takes memory for all cells up to the last one, and ends the process where there is not so much.
    slices = range(0, len(xml), SLICE)
    columns = {column for start in slices for column in CELL_COLUMN.findall(xml, start, start + SLICE + OVERLAP)}
    _check_size(source, max(map(int, ROW.findall(xml)), default=0), max(map(_column_number, columns), default=0))


def _column_number(letters: bytes) -> int:
    """1 of A, 27 of AA."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _sheet(source: TableFile, workbook, layout: Layout, notes: Counter[str]):
    names = workbook.sheet_names
    if not names:
        raise EmptyTable(f"{source} has no sheets; export it again.")
    if layout.sheet is None:
        if len(names) > 1:
            notes[OTHER_SHEETS] += len(names) - 1
        return workbook.get_sheet_by_index(0)
    if layout.sheet not in names:
        raise MissingFile(f"{source} has no sheet {layout.sheet!r}; it has {', '.join(names[:20])}. Name one of them.")
    return workbook.get_sheet_by_name(layout.sheet)


def _check_size(source: TableFile, height: int, width: int) -> None:
    if width > MAX_COLUMNS or height * width > MAX_CELLS:
        raise DamagedFile(
            f"{source} has {height:,} rows and {width:,} columns, at most {MAX_COLUMNS:,} columns and {MAX_CELLS:,} "
            "cells are read; delete what stands far away from the table, or save it as CSV."
        )


def _fill_merged(rows: list[list], sheet, notes: Counter[str]) -> None:
    """Give all cells of a range that is merged over several rows the value of its first one."""
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top == bottom or top >= len(rows):
            continue  # a title over several columns is one value
        for row in rows[top : bottom + 1]:
            row[left : right + 1] = [rows[top][left]] * len(row[left : right + 1])
        notes[MERGED] += 1


def _cell(value):
    """A cleaned text; midnight is a day; the rest as it is."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, datetime):
        return value.date() if value.time() == time() else value
    return value


def _text(value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _name(value) -> str:
    """A column's name: a number or a date in the header is written as text."""
    return value.isoformat() if isinstance(value, date) else clean_text(_text(value))


def _is_filled(row: list) -> bool:
    return any(value != "" for value in row)


def _header_at(rows: list[list], layout: Layout) -> int:
    """The position of the header; rows that are empty are none."""
    if layout.skip_rows is not None:
        return min(layout.skip_rows, len(rows) - 1)
    filled = list(islice((i for i, row in enumerate(rows) if _is_filled(row)), HEADER_LINES))
    expected = {name.casefold() for name in layout.expected} - {""}
    return filled[find_header([[_sized(value) for value in rows[i]] for i in filled], expected)]


def _sized(value):
    """A cell for find_header, which takes None as empty."""
    return None if value == "" else value


def _without_empty_end(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    return names


def _kept_rows(
    rows: list[list], names: tuple[str, ...], first_line: int, notes: Counter[str]
) -> tuple[list[list], list[int]]:
    """(rows below the header, their numbers) without those that are empty, the header again, or footers."""
    kept, lines = [], []
    for line, row in enumerate(rows, first_line):
        row = row[: len(names)]
        if not _is_filled(row):
            notes[EMPTY_LINES] += 1
        elif isinstance(row[0], str) and is_header([_name(value) for value in row], names):
            notes[REPEATED_HEADERS] += 1
        else:
            kept.append(row)
            lines.append(line)
    while kept and is_footer_like([_text(value) for value in kept[-1]]):
        notes[FOOTERS] += 1
        kept.pop()
        lines.pop()
    return kept, lines
