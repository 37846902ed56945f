"""The header among the first lines of a file, its delimiter, and where its rows begin.

In:  a text file and what is stated of its layout.
Out: a FoundLayout.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from fairmeter.data.files import DamagedFile, EmptyTable, TableFile
from fairmeter.data.layouts.encodings import check_encoding, find_encoding, lines_of
from fairmeter.data.layouts.raw_table import BLANKS, Layout, addressable, clean_text

HEADER_LINES = 60  # among which the header is looked for
SAMPLE_LINES = 2 * HEADER_LINES  # with some rows below it, whose lengths show how many values a row has
MAX_COLUMNS = 20_000
DELIMITERS = (",", ";", "\t", "|", " ")


class FoundLayout(NamedTuple):
    """Where the rows of a text file begin, and how they are split.

    names: as they stand in the header, cleaned; width: values in a row, which may be more; first_line: of the rows,
    n_skipped: bytes before them, as UTF-8.
    """

    encoding: str
    delimiter: str
    names: tuple[str, ...]
    width: int
    first_line: int
    n_skipped: int
    above: str
    has_header: bool

    @property
    def header(self) -> list[str]:
        """The names by which columns are addressed."""
        return addressable(self.names)


class _Split(NamedTuple):
    """The first rows of a file as one delimiter splits them. [header: its position; ends: lines up to each row's end]

    matches: expected names in the header; share: rows from the header on that have the usual number of values.
    """

    delimiter: str
    rows: list[list[str]]
    ends: list[int]
    header: int
    matches: int
    width: int
    share: float


def find_layout(source: TableFile, layout: Layout) -> FoundLayout:
    """Find out what the layout leaves open. Raises EmptyTable, DamagedFile."""
    encoding = check_encoding(layout.encoding, source) if layout.encoding else find_encoding(source)
    if layout.delimiter is not None and len(layout.delimiter) != 1:
        raise DamagedFile(f"{source}: {layout.delimiter!r} is no delimiter; write a single character.")
    lines = list(islice(lines_of(source, encoding), (layout.skip_rows or 0) + SAMPLE_LINES))
    start = layout.skip_rows or 0
    if layout.names:
        return _without_header(source, layout, encoding, lines, start)
    if not any(line.strip(BLANKS) for line in lines[start:]):
        raise EmptyTable(f"{source} is empty; export it again, with a header.")
    split = _best_split(lines[start:], layout)
    last = start + split.ends[split.header]
    first = start + (split.ends[split.header - 1] if split.header else 0)
    names = tuple(map(clean_text, split.rows[split.header]))
    width = split.width if len(names) < split.width or not any(names[split.width :]) else len(names)
    _check_width(source, max(width, len(names)))
    n_skipped = len("".join(lines[:last]).encode())
    above = "\n".join(line.strip("\r\n\ufeff") for line in lines[:first])
    return FoundLayout(encoding, split.delimiter, names[:width], width, last + 1, n_skipped, above, True)


def _without_header(source: TableFile, layout: Layout, encoding: str, lines: list[str], start: int) -> FoundLayout:
    delimiters = [layout.delimiter] if layout.delimiter else DELIMITERS
    widths = {delimiter: _usual_width(_rows(lines[start:], delimiter)[0]) for delimiter in delimiters}
    delimiter = next((one for one in delimiters if widths[one] == len(layout.names)), delimiters[0])
    width = max(widths[delimiter], len(layout.names))
    _check_width(source, width)
    n_skipped = len("".join(lines[:start]).encode())
    return FoundLayout(encoding, delimiter, tuple(layout.names), width, start + 1, n_skipped, "", False)


def _check_width(source: TableFile, width: int) -> None:
    if width > MAX_COLUMNS:
        raise DamagedFile(
            f"{source} has {width:,} columns, at most {MAX_COLUMNS:,} are read; split it, or state its delimiter."
        )


def _best_split(lines: list[str], layout: Layout) -> _Split:
    """By the expected names in the header, then by how many rows are alike; of equals the first delimiter."""
    if layout.delimiter:
        return _split(lines, layout.delimiter, layout)
    splits = [_split(lines, delimiter, layout) for delimiter in DELIMITERS]
    with_columns = [split for split in splits[:-1] if split.width > 1 or split.matches > 1]
    # Blanks stand inside values as well, so they separate only what nothing else does.
    candidates = with_columns or [
        split for split in splits if split.delimiter != " " or _is_by_blanks(split, splits[0].matches)
    ]
    return max(candidates, key=lambda split: (split.matches, split.share, split.width if split.width > 1 else 0))


def _is_by_blanks(split: _Split, without: int) -> bool:
    return split.width > 1 and split.share == 1 and split.matches >= max(2, without)


def _split(lines: list[str], delimiter: str, layout: Layout) -> _Split:
    rows, ends = _rows(lines, delimiter)
    expected = {name.casefold() for name in layout.expected} - {""}
    header = 0 if layout.skip_rows is not None else find_header(rows[:HEADER_LINES], expected)
    widths = [len(row) for row in rows[header:]]
    usual = _usual_width(rows[header + 1 :]) or widths[0]
    return _Split(
        delimiter, rows, ends, header, n_matches(rows[header], expected), usual, widths.count(usual) / len(widths)
    )


def _rows(lines: list[str], delimiter: str) -> tuple[list[list[str]], list[int]]:
    """(rows that are not blank, number of lines up to the end of each)."""
    rows, ends = [], []
    with suppress(csv.Error):  # a wide row is too long for a value, which it is with the wrong delimiter
        for end, values in split_lines(iter(lines), delimiter):
            if any(value.strip(BLANKS) for value in values):
                rows.append(values)
                ends.append(end)
    return rows or [[""]], ends or [1]


def split_lines(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(lines read so far, values) of each row; a value in quotes may have several lines."""
    if delimiter == " ":
        yield from ((number, line.strip(BLANKS).split()) for number, line in enumerate(lines, 1))
        return
    reader = csv.reader(lines, delimiter=delimiter)
    for values in reader:
        yield reader.line_num, values


def find_header(rows: Sequence[Sequence], expected: Collection[str]) -> int:
    """The row with most of the expected names, the first of equals; if none has any, the first of the usual width."""
    matches = [n_matches(row, expected) for row in rows]
    if max(matches, default=0):
        return matches.index(max(matches))
    widths = [_n_values(row) for row in rows]
    usual = _usual(widths)
    return next((i for i, width in enumerate(widths) if width >= usual), 0)


def n_matches(row: Sequence, expected: Collection[str]) -> int:
    """How many of the expected names a row has. [expected: in small letters]"""
    return len({clean_text(value).casefold() for value in row if isinstance(value, str)} & set(expected))


def _n_values(row: Sequence) -> int:
    return len(row) if all(isinstance(value, str) for value in row) else sum(value not in ("", None) for value in row)


def _usual_width(rows: list[list[str]]) -> int:
    return _usual([len(row) for row in rows])


def _usual(widths: list[int]) -> int:
    """The most frequent of widths above one, the greater of equals; 1 where all are."""
    counts = Counter(width for width in widths if width > 1)
    return max(counts, key=lambda width: (counts[width], width)) if counts else min(1, len(widths))
