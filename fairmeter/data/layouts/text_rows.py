"""The rows of a text file one by one, for what Arrow cannot split, and to name the line of a row.

In:  a TableFile and its FoundLayout.
Out: rows of equal width; empty lines, repeated headers and footers are left out and counted.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from fairmeter.data.files import DamagedFile, TableFile
from fairmeter.data.layouts.encodings import ForwardStream, lines_of
from fairmeter.data.layouts.headers import FoundLayout, split_lines
from fairmeter.data.layouts.raw_table import BLANKS, clean_text

MAX_SHORT_ROWS = 1_000  # at a file's end, or above a repeated header
CHUNK_ROWS = 5_000
TOTAL = re.compile(r"(?:grand |sub-?)?total|summe|gesamt|somme|suma\b|totaal|المجموع|合計", re.IGNORECASE)
EMPTY_LINES, REPEATED_HEADERS, FOOTERS = "empty lines", "repeated headers", "footers"
LONGER_ROWS = "rows with more values than names"


class Row(NamedTuple):
    """The values of a row, its line, and the lines above its header."""

    line: int
    values: list[str]
    above: str


class RowKeeper:
    """Decides on the rows below a header, in their order: which are kept, and which are left out and counted.

    above: the lines above the last header; last: the last row that is neither short nor like a footer. Where lines and
    the header come again, as reports of several meters have them, the rows below are of those lines.
    """

    def __init__(self, source: TableFile, found: FoundLayout, notes: Counter[str]) -> None:
        self._source, self._found, self._notes = source, found, notes
        self._n_named = len(found.names)
        self._held: list[Row] = []
        self.above, self.last = found.above, None

    def add(self, line: int, values: list[str]) -> list[Row]:
        """The rows that are kept now that this one is there. Raises DamagedFile."""
        if not any(value.strip(BLANKS) for value in values):
            self._notes[EMPTY_LINES] += 1
            return []
        if len(values) > self._n_named:
            values = _without_rest(self._source, line, values, self._n_named, self._notes)
        if len(values) < self._n_named or is_footer_like(values):
            self._held.append(Row(line, values, self.above))
            return self.release() if len(self._held) > MAX_SHORT_ROWS else []
        if self._found.has_header and is_header(values, self._found.names):
            self._notes[REPEATED_HEADERS] += 1
            self.above = "\n".join(self._found.delimiter.join(row.values) for row in self._held) or self.above
            self._held = []
            return []
        released = self.release() if self._held else []
        self.last = Row(line, values, self.above)
        return [*released, self.last]

    def release(self) -> list[Row]:
        """Rows that were held as a footer and are none, as others follow. Raises DamagedFile at a short one."""
        released, self._held = self._held, []
        for row in released:
            if len(row.values) < self._n_named:
                raise _wrong_width(self._source, row.line, row.values, self._n_named)
        return released

    def finish(self) -> None:
        """Count what is held as a footer. Raises DamagedFile at a row that was cut off."""
        if self._held:
            _check_whole(self._source, self._held, self.last, self._n_named)
            self._notes[FOOTERS] += len(self._held)


def kept_rows(source: TableFile, found: FoundLayout, notes: Counter[str]) -> Iterator[Row]:
    """The rows below the header; what is left out is counted in `notes`. Raises DamagedFile."""
    keeper = RowKeeper(source, found, notes)
    for line, values in _rows_below(source, found):
        yield from keeper.add(line, values)
    keeper.finish()


def _rows_below(source: TableFile, found: FoundLayout) -> Iterator[tuple[int, list[str]]]:
    """(line of the end, values) of every row below the header. Raises DamagedFile where a quote is not closed."""
    before = found.first_line - 1
    lines, open_lines = islice(lines_of(source, found.encoding), before, None), []

    def noted() -> Iterator[str]:
        for line in lines:
            if '"' in line or open_lines:
                open_lines.append(line)
            yield line

    end = 0
    for number, values in split_lines(noted(), found.delimiter):
        if number > end + 1 and "".join(open_lines).count('"') % 2:
            raise DamagedFile(
                f"{source}, line {before + end + 1:,} opens a quote that is never closed; close or remove it."
            )
        end = number
        open_lines.clear()
        yield before + number, values


def _without_rest(source: TableFile, line: int, values: list[str], n_named: int, notes: Counter[str]) -> list[str]:
    if any(value.strip(BLANKS) for value in values[n_named:]):
        raise _wrong_width(source, line, values, n_named)
    notes[LONGER_ROWS] += 1
    return values[:n_named]


def _wrong_width(source: TableFile, line: int, values: list[str], n_named: int) -> DamagedFile:
    counts = f"{len(values)} values where the header has {n_named}"
    return DamagedFile(f"{source}, line {line:,} has {counts}; correct or remove it.")


def is_footer_like(values: list[str]) -> bool:
    """Whether a row has a single value, or totals; at a file's end it is a footer."""
    n_empty = values.count("")
    if len(values) < 3 or not n_empty:
        return False
    return len(values) - n_empty <= 1 or bool(TOTAL.match(next(filter(None, values)).lstrip(BLANKS)))


def is_header(values: list[str], names: tuple[str, ...]) -> bool:
    """Whether a row repeats the header."""
    return clean_text(values[0]) == names[0] and all(map(str.__eq__, map(clean_text, values), names))


def _check_whole(source: TableFile, held: list[Row], last: Row | None, n_named: int) -> None:
    """Raise DamagedFile at a row that begins as the rows do and was cut off."""
    for row in held:
        given = row.values
        is_short = len(given) < n_named
        if is_short and (last is None or [_shape(v) for v in given[:-1] or given] == _shapes_of(last, given)):
            raise _wrong_width(source, row.line, given, n_named)


def _shapes_of(last: Row, given: list[str]) -> list[str]:
    return [_shape(value) for value in last.values[: max(1, len(given) - 1)]]


def _shape(value: str) -> str:
    """9-9-9 of a date; texts and numbers that differ in their letters and digits alone are alike."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value.strip(BLANKS)))


class RegularStream(ForwardStream):
    """Rows as comma-separated UTF-8 for Arrow, up to those below other lines (or all)."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows, self._left = rows, b""

    def read(self, n: int = -1) -> bytes:
        """The next bytes, at least one before the end."""
        if self.is_ended:
            return b""
        while n < 0 or len(self._left) < n:
            text = io.StringIO(newline="")
            csv.writer(text).writerows(row.values for row in islice(self._rows, CHUNK_ROWS))
            if not text.tell():
                break
            self._left += text.getvalue().encode()
        chunk, self._left = (self._left, b"") if n < 0 else (self._left[:n], self._left[n:])
        return chunk

    def close(self) -> None:
        self.closed = True


def sections(rows: Iterator[Row]) -> Iterator[tuple[str, Iterator[Row]]]:
    """(lines above, rows) of each part of a file that has its own lines above the header."""
    row = next(rows, None)
    while row is not None:
        following: list[Row] = []
        yield row.above, chain([row], _alike(rows, row.above, following))
        row = following[0] if following else None


def _alike(rows: Iterator[Row], above: str, following: list[Row]) -> Iterator[Row]:
    for row in rows:
        if row.above != above:
            following.append(row)
            return
        yield row
