"""Text files of any delimiter and encoding -> raw tables, parsed by Arrow.

In:  a TableFile, its FoundLayout, the wanted columns, and those that are numbers.
Out: all rows as one table, or batches. What Arrow cannot split goes through text_blocks.py, or as the last resort
     through text_rows.py, with the same result.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import NULLS, TableFile
from fairmeter.data.layouts.arrow_tables import ArrowRawTable
from fairmeter.data.layouts.encodings import UTF8, Utf8Stream, find_encoding, said
from fairmeter.data.layouts.headers import FoundLayout
from fairmeter.data.layouts.raw_table import BLANKS, positions_of
from fairmeter.data.layouts.text_blocks import NotByBlocks, row_blocks
from fairmeter.data.layouts.text_rows import EMPTY_LINES, TOTAL, RegularStream, kept_rows, sections

BLOCK_BYTES = 2**22  # of CSV that each core parses at a time; larger blocks cost memory without being faster


class _Irregular(Exception):
    """A file has rows that must be looked at one by one."""


class _Wanted(NamedTuple):
    """Positions of the columns that are read, and of those among them that are parsed as numbers."""

    positions: list[int]
    numbers: set[int]

    def as_text(self) -> "_Wanted":
        return self._replace(numbers=set())


def text_table(
    source: TableFile, found: FoundLayout, wanted: Collection[str] | None, numbers: Collection[str]
) -> ArrowRawTable:
    """All rows of a file. Raises DamagedFile."""
    import pyarrow as pa

    columns = _wanted_of(found, wanted, numbers)
    for _ in range(4):  # as text, in another encoding, and row by row, each once
        try:
            with _stream(source, found) as stream:
                table = _read_csv(stream, found, columns)
            _check_quotes(stream)
            return _raw(source, found, columns, _regular(table, found, columns), notes=_notes(found, stream))
        except _Irregular:
            break
        except pa.ArrowInvalid as error:
            if columns.numbers and "conversion error" in str(error) and "UTF8" not in str(error):
                columns = columns.as_text()  # a value is not a number; as text it can be located
            elif (other := _other_encoding(source, found, error)) is not None:
                found = other
            else:
                break
    notes: Counter[str] = Counter()
    table = _whole_by_blocks(source, found, notes)
    if table is None:
        notes.clear()
        table = _read_csv(RegularStream(kept_rows(source, found, notes)), _split_again(found), columns.as_text())
    return _raw(source, found, columns, table, notes=notes + said(found.encoding))


def text_batches(
    source: TableFile, found: FoundLayout, wanted: Collection[str] | None, numbers: Collection[str] = ()
) -> Iterator[ArrowRawTable]:
    """The rows of a file, some ten thousand at a time, whose values are those of `text_table`. Raises DamagedFile."""
    import pyarrow as pa

    columns, n_given, noted = _wanted_of(found, wanted, numbers), 0, Counter()
    for _ in range(4):
        try:
            for batch in _arrow_batches(source, found, columns, n_given, noted):
                n_given, noted = n_given + batch.n_rows, noted + batch.notes
                yield batch
            return
        except _Irregular:
            break
        except pa.ArrowInvalid as error:
            if columns.numbers and "conversion error" in str(error) and "UTF8" not in str(error):
                columns = columns.as_text()
            elif (other := _other_encoding(source, found, error)) is not None:
                found = other
            else:
                break
    try:
        for batch in _block_batches(source, found, columns.as_text(), n_given, noted):
            n_given, noted = n_given + batch.n_rows, noted + batch.notes
            yield batch
        return
    except NotByBlocks:
        pass
    yield from _regular_batches(source, found, columns.as_text(), n_given, noted)


def _wanted_of(found: FoundLayout, wanted: Collection[str] | None, numbers: Collection[str]) -> _Wanted:
    positions = positions_of(found.header, wanted)
    return _Wanted(positions, set(positions_of(found.header, numbers)) & set(positions))


def _other_encoding(source: TableFile, found: FoundLayout, error: Exception) -> FoundLayout | None:
    """The layout with another encoding, where bytes that are not UTF-8 come only after those that were looked at."""
    if found.encoding not in UTF8 or "UTF8" not in str(error):
        return None
    encoding = find_encoding(source, is_whole=True)
    return None if encoding in UTF8 else found._replace(encoding=encoding)


# --- Arrow ------------------------------------------------------------------------------------------------------------


@contextmanager
def _stream(source: TableFile, found: FoundLayout) -> Iterator[Utf8Stream]:
    with source.open() as packed:
        yield Utf8Stream(source, packed, found.encoding, found.n_skipped)


def _read_csv(stream, found: FoundLayout, columns: _Wanted):
    """An Arrow table, empty where the stream is."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    options = _options(found, columns, isinstance(stream, RegularStream))
    try:
        return arrow_csv.read_csv(pa.PythonFile(stream, "r"), **options)
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise
    types = options["convert_options"].column_types
    return pa.table({name: pa.array([], types[name]) for name in options["convert_options"].include_columns})


def _options(found: FoundLayout, columns: _Wanted, has_line_ends: bool) -> dict:
    """Arrow's options. Columns are named by their positions; those past the names must turn out to be empty."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    text = pa.dictionary(pa.int32(), pa.string())
    taken = [*columns.positions, *range(len(found.names), found.width)]
    types = {str(i): pa.float64() if i in columns.numbers else text for i in taken}
    return {
        "read_options": arrow_csv.ReadOptions(
            column_names=[str(i) for i in range(found.width)], block_size=BLOCK_BYTES
        ),
        "parse_options": arrow_csv.ParseOptions(delimiter=found.delimiter, newlines_in_values=has_line_ends),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=NULLS, strings_can_be_null=False
        ),
    }


def _arrow_batches(
    source: TableFile, found: FoundLayout, columns: _Wanted, n_given: int, noted: Counter[str]
) -> Iterator[ArrowRawTable]:
    """Batches of the rows from n_given on, straight from the file."""
    with _stream(source, found) as stream, closing(_open_csv(stream, found, columns)) as opened:
        tables = ((found.above, _regular(table, found, columns)) for table in opened)
        yield from _in_batches(source, found, columns, tables, n_given, noted, lambda: _notes(found, stream))
        _check_quotes(stream)


def _open_csv(stream, found: FoundLayout, columns: _Wanted) -> Iterator:
    """Arrow tables of some rows each.

    Arrow reads ahead on threads of its own. One that still reads when Python exits aborts the process. So the stream of
    a reader that is left early ends, and the reader is read to that end.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        reader = arrow_csv.open_csv(
            pa.PythonFile(stream, "r"), **_options(found, columns, isinstance(stream, RegularStream))
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    try:
        for batch in reader:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])
    finally:
        stream.end()
        with reader, suppress(pa.ArrowInvalid):
            deque(reader, 0)


def _in_batches(
    source: TableFile,
    found: FoundLayout,
    columns: _Wanted,
    tables: Iterator[tuple[str, object]],
    n_given: int,
    noted: Counter[str],
    notes_so_far: Callable[[], Counter[str]],
) -> Iterator[ArrowRawTable]:
    """Raw tables of the rows from n_given on. The last one has the notes of what follows it.

    tables: (lines above, Arrow table); noted: what the batches before them have.
    """
    first_row, waiting = 0, None
    for above, table in tables:
        skipped = min(max(0, n_given - first_row), table.num_rows)
        if skipped < table.num_rows:
            if waiting is not None:
                yield waiting
            rows, now = table.slice(skipped), notes_so_far()
            waiting = _raw(source, found, columns, rows, first_row=first_row + skipped, above=above, notes=now - noted)
            noted = now
        first_row += table.num_rows
    if waiting is not None:
        waiting.notes.update(notes_so_far() - noted)
        yield waiting


def _raw(source: TableFile, found: FoundLayout, columns: _Wanted, table, *, first_row: int = 0, **options):
    held = {i: table.column(str(i)) for i in columns.positions}
    line_at = partial(_line_at, source, found, first_row)
    return ArrowRawTable(
        source, found.header, held, table.num_rows, line_at, first_row=first_row, **{"above": found.above} | options
    )


def _line_at(source: TableFile, found: FoundLayout, first_row: int, row: int) -> int:
    """The line at which a row ends."""
    wanted, n = first_row + row, 0
    try:
        for block in row_blocks(source, found, Counter()):
            if wanted < n + len(block.lines):
                return int(block.lines[wanted - n])
            n += len(block.lines)
    except NotByBlocks:
        pass
    return next(islice(kept_rows(source, found, Counter()), wanted, None)).line


def _notes(found: FoundLayout, stream: Utf8Stream) -> Counter[str]:
    return said(found.encoding) + Counter({EMPTY_LINES: stream.n_empty})


# --- what Arrow leaves open -------------------------------------------------------------------------------------------


def _check_quotes(stream: Utf8Stream) -> None:
    if stream.has_odd_quotes:
        raise _Irregular


def _regular(table, found: FoundLayout, columns: _Wanted):
    """The table. Raises _Irregular where a row may be empty, a footer, or the header again, or is longer than it."""
    if not table.num_rows:
        return table
    rest = [table.column(str(i)) for i in range(len(found.names), found.width)]
    texts = {i: table.column(str(i)) for i in columns.positions if i not in columns.numbers}
    last = [str(column[-1].as_py()) for column in texts.values()]
    if (
        any(not _has_only_empty(column) for column in rest)
        or (found.delimiter == " " and any(_has(column, "") for column in texts.values()))
        or (texts and found.has_header and all(_has(column, found.names[i]) for i, column in texts.items()))
        or ("" in last and any(map(TOTAL.match, last)))
        or _has_bare_row([table.column(str(i)) for i in columns.positions])
    ):
        raise _Irregular
    return table


def _has_bare_row(columns: list) -> bool:
    """Whether a row has at most one value, or none where there are two columns."""
    may_be_empty = [column for column in columns if _has(column, "")]
    if len(may_be_empty) < max(1, len(columns) - 1):
        return False
    n_filled = np.full(len(columns[0]), len(columns) - len(may_be_empty))
    for column in may_be_empty:
        n_filled += _is_filled(column)
    return bool((n_filled <= (1 if len(columns) > 2 else 0)).any())


def _has(column, text: str) -> bool:
    """Whether a column has a text among its distinct values; of numbers, whether one is missing."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        return column.null_count > 0
    dictionaries = (chunk.dictionary for chunk in column.chunks)
    trimmed = (compute.utf8_trim(values, BLANKS) if text else values for values in dictionaries)
    return any(compute.any(compute.equal(values, text)).as_py() for values in trimmed)


def _has_only_empty(column) -> bool:
    from pyarrow import compute

    return all(compute.all(compute.equal(chunk.dictionary, "")).as_py() for chunk in column.chunks)


def _is_filled(column) -> np.ndarray:
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        return compute.is_valid(column).to_numpy()
    return compute.not_equal(column.cast(pa.string()), "").to_numpy()


# --- block by block ---------------------------------------------------------------------------------------------------


def _whole_by_blocks(source: TableFile, found: FoundLayout, notes: Counter[str]):
    """All rows as an Arrow table; None where they must be split one by one."""
    import pyarrow as pa

    try:
        tables = [block.table for block in row_blocks(source, found, notes)]
    except NotByBlocks:
        return None
    text = pa.dictionary(pa.int32(), pa.string())
    empty = pa.table({str(i): pa.array([], text) for i in range(found.width)})
    return pa.concat_tables(tables or [empty]).unify_dictionaries()


def _block_batches(
    source: TableFile, found: FoundLayout, columns: _Wanted, n_given: int, noted: Counter[str]
) -> Iterator[ArrowRawTable]:
    """Batches of the rows from n_given on, by way of text_blocks.py."""
    notes: Counter[str] = said(found.encoding)
    tables = ((block.above, block.table) for block in row_blocks(source, found, notes))
    yield from _in_batches(source, found, columns, tables, n_given, noted, notes.copy)


# --- row by row -------------------------------------------------------------------------------------------------------


def _split_again(found: FoundLayout) -> FoundLayout:
    """The layout of a RegularStream."""
    return found._replace(delimiter=",", width=len(found.names))


def _regular_batches(
    source: TableFile, found: FoundLayout, columns: _Wanted, n_given: int, noted: Counter[str]
) -> Iterator[ArrowRawTable]:
    """Batches of the rows from n_given on, by way of text_rows.py."""
    notes: Counter[str] = said(found.encoding)
    tables = _tables_by_row(source, found, columns, notes)
    yield from _in_batches(source, found, columns, tables, n_given, noted, notes.copy)


def _tables_by_row(
    source: TableFile, found: FoundLayout, columns: _Wanted, notes: Counter[str]
) -> Iterator[tuple[str, object]]:
    for above, rows in sections(kept_rows(source, found, notes)):
        with closing(_open_csv(RegularStream(rows), _split_again(found), columns)) as opened:
            for table in opened:
                yield above, table
