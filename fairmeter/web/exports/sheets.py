"""Rows -> CSV that a spreadsheet opens without running anything in it.

In:  a header and rows of plain values.
Out: lines of CSV. A text that a spreadsheet would take for a formula (it begins with = + - @ and is no number) gets an
     apostrophe in front, and so does a text that begins with one: taking one leading apostrophe off gives it back.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
TAKEN_FOR_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def cell(value):
    """A value for CSV: numbers to six decimals, and no text that a spreadsheet would run."""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, str) and value.startswith(TAKEN_FOR_FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_lines(header: Sequence[str], rows: Iterable[Iterable]) -> Iterator[str]:
    """The header, then a line for each row; None is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        yield _taken(text)
        writer.writerow([cell(value) for value in row])
    yield _taken(text)


def _taken(text: io.StringIO) -> str:
    line = text.getvalue()
    text.seek(0)
    text.truncate()
    return line
