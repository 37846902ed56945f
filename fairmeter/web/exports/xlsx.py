"""Rows -> an XLSX file whose texts stay texts: an id keeps its form, and no cell is a formula or a link.

In:  the columns' names; rows of plain values, at most MAX_ROWS.
Out: the file, written row by row, with one row in memory at a time.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from fairmeter.web.exports.tempdir import writable_folder

MAX_ROWS = 2**20 - 1  # of a sheet, without its header
MAX_CHARACTERS = 32_767  # of a cell
MAX_WIDTH, PER_CHARACTER = 60, 1.1  # of a column, in characters


def write_book(header: dict, rows: Iterable[Sequence], out: BinaryIO) -> None:
    """Write the file. [header: columns]"""
    options = {"constant_memory": True, "tmpdir": writable_folder()}
    options |= {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(out, options) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        head = book.add_format({"bold": True, "bottom": 1})
        for column, name in enumerate(header["columns"]):
            sheet.set_column(column, column, min(max(len(name) * PER_CHARACTER + 2, 12), MAX_WIDTH))
            sheet.write_string(0, column, name, head)
        n_rows = 0
        for row in islice(rows, MAX_ROWS):
            n_rows += 1
            for column, value in enumerate(row):
                write_cell(sheet, n_rows, column, value)
        sheet.autofilter(0, 0, n_rows, max(len(header["columns"]) - 1, 0))


def write_cell(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    """Write a value by its type; a text is never parsed."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float):
        sheet.write_number(row, column, value)
    elif value is not None:
        sheet.write_string(row, column, str(value)[:MAX_CHARACTERS])
