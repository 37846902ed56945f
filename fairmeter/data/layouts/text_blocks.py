"""Large text files with odd rows -> Arrow tables, block by block: only the odd rows are looked at one by one.

In:  a TableFile and its FoundLayout.
Out: the rows that text_rows.py keeps, with its counts and errors, as tables of some ten thousand rows with their lines.

Odd are rows of another width, empty ones, footers and repeated headers. What decides on them is text_rows.py.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import TableFile
from fairmeter.data.layouts.encodings import Utf8Stream
from fairmeter.data.layouts.headers import FoundLayout
from fairmeter.data.layouts.raw_table import BLANKS, clean_text
from fairmeter.data.layouts.text_rows import EMPTY_LINES, LONGER_ROWS, TOTAL, Row, RowKeeper

BLOCK_BYTES = 2**22
LINE_FEED, RETURN, QUOTE = b'\n\r"'


class NotByBlocks(Exception):
    """A file has values of several lines, or lines that Arrow splits in another way than rows are split."""


class RowBlock(NamedTuple):
    """Rows that are kept. [table: texts by position as dictionaries; lines: int64, the line of each row]"""

    above: str
    table: object
    lines: np.ndarray


def row_blocks(source: TableFile, found: FoundLayout, notes: Counter[str]) -> Iterator[RowBlock]:
    """The rows below the header; what is left out is counted in `notes`. Raises DamagedFile, NotByBlocks."""
    if found.delimiter == " ":
        raise NotByBlocks
    keeper = RowKeeper(source, found, notes)
    line = found.first_line
    for content in _blocks_of_lines(source, found):
        block = _Block.of(content, line, found)
        notes[EMPTY_LINES] += block.n_lines - block.n_rows
        yield from _kept(block, found, keeper, notes)
        line += block.n_lines
    keeper.finish()


def _blocks_of_lines(source: TableFile, found: FoundLayout) -> Iterator[bytes]:
    """Bytes of whole lines, as UTF-8."""
    left = b""
    with source.open() as packed:
        stream = Utf8Stream(source, packed, found.encoding, found.n_skipped)
        while chunk := stream.read(BLOCK_BYTES):
            left += chunk
            end = left.rfind(b"\n") + 1
            if not end and len(left) > BLOCK_BYTES:
                raise NotByBlocks
            if end:
                yield left[:end]
                left = left[end:]
    if left:
        yield left + b"\n"


# --- one block --------------------------------------------------------------------------------------------------------


class _Block(NamedTuple):
    """Lines as Arrow splits them. [lines: of the table's rows; others: (line, values) of rows of another width]"""

    table: object
    lines: np.ndarray
    others: list[tuple[int, list[str]]]
    n_lines: int
    n_rows: int

    @classmethod
    def of(cls, content: bytes, first_line: int, found: FoundLayout) -> "_Block":
        """Split some lines. [first_line: number of the first of them] Raises NotByBlocks."""
        data = np.frombuffer(content, np.uint8)
        ends = np.flatnonzero(data == LINE_FEED)
        _require_rows_of_one_line(content, data, ends, found)
        length = np.diff(ends, prepend=-1) - 1
        starts = ends - length
        is_filled = (length > 0) & ~((length == 1) & (data[starts] == RETURN))
        lines = first_line + np.flatnonzero(is_filled)
        table, invalid = _parse(content, found)
        if table.num_rows + len(invalid) != len(lines):
            raise NotByBlocks
        others = [(int(lines[number]), _split(text, found.delimiter)) for number, text in invalid]
        of_table = np.delete(lines, [number for number, _ in invalid])
        return cls(table, of_table, others, len(ends), len(lines))


def _require_rows_of_one_line(content: bytes, data: np.ndarray, ends: np.ndarray, found: FoundLayout) -> None:
    """Raise NotByBlocks where a value may have several lines, or a line ends otherwise than others."""
    if content.count(b"\r") != content.count(b"\r\n"):
        raise NotByBlocks
    at = np.flatnonzero(data == QUOTE)
    if not len(at):
        return
    is_odd = np.bincount(np.searchsorted(ends, at), minlength=len(ends)) % 2
    edges = [LINE_FEED, RETURN, QUOTE, ord(found.delimiter) if found.delimiter.isascii() else LINE_FEED]
    before, after = data[at - 1], data[at + 1]  # the last byte ends a line
    is_at_edge = (at == 0) | np.isin(before, edges) | np.isin(after, edges)
    if is_odd.any() or not is_at_edge.all():
        raise NotByBlocks


def _parse(content: bytes, found: FoundLayout) -> tuple[object, list[tuple[int, str]]]:
    """(the rows of the usual width, (number, text) of the others). [number: 0 the first row]"""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    invalid: list[tuple[int, str]] = []

    def note(row) -> str:
        invalid.append((row.number - 1, row.text))
        return "skip"

    names = [str(i) for i in range(found.width)]
    text = pa.dictionary(pa.int32(), pa.string())
    convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, text), strings_can_be_null=False)
    if not content.strip(b"\r\n"):
        return pa.table({name: pa.array([], text) for name in names}), invalid

    def read(is_lenient: bool):
        # Rows are numbered only where one thread reads them.
        reading = arrow_csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=not is_lenient)
        parsing = arrow_csv.ParseOptions(delimiter=found.delimiter, invalid_row_handler=note if is_lenient else None)
        return arrow_csv.read_csv(pa.py_buffer(content), reading, parsing, convert).combine_chunks()

    try:
        return read(is_lenient=False), invalid
    except pa.ArrowInvalid:
        pass
    try:
        return read(is_lenient=True), invalid
    except pa.ArrowInvalid as error:
        raise NotByBlocks from error


def _split(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter), [])


# --- which rows are kept ----------------------------------------------------------------------------------------------


def _kept(block: _Block, found: FoundLayout, keeper: RowKeeper, notes: Counter[str]) -> Iterator[RowBlock]:
    """The rows of a block that are kept, and held rows of earlier ones that turn out to be none of a footer."""
    n_named = len(found.names)
    columns = [_Coded.of(block.table.column(i)) for i in range(found.width)]
    is_odd = _odd_rows(columns, found, block.table.num_rows)
    regular = block.lines[~is_odd]
    if found.width > n_named:
        notes[LONGER_ROWS] += len(regular)
    sections = [(0, keeper.above)]
    extra: list[Row] = []
    n_seen = 0
    for line, values in _odd_values(block, columns, is_odd):
        n_before = int(np.searchsorted(regular, line))
        if n_before > n_seen:
            extra += keeper.release()
            n_seen = n_before
        extra += keeper.add(line, values)
        if keeper.above != sections[-1][1]:
            sections.append((line, keeper.above))
    if len(regular) > n_seen:
        extra += keeper.release()
    if len(regular) and (keeper.last is None or keeper.last.line < regular[-1]):
        at = int(np.flatnonzero(~is_odd)[-1])
        keeper.last = Row(int(regular[-1]), [column.text(at) for column in columns[:n_named]], keeper.above)
    table, lines = _with_rows(block.table, is_odd, block.lines, extra)
    bounds = [*np.searchsorted(lines, [line for line, _ in sections[1:]]).tolist(), len(lines)]
    start = 0
    for (_, above), stop in zip(sections, bounds, strict=True):
        if stop > start:
            yield RowBlock(above, table.slice(start, stop - start), lines[start:stop])
        start = stop


def _odd_values(block: _Block, columns: list["_Coded"], is_odd: np.ndarray) -> list[tuple[int, list[str]]]:
    """(line, values) of the rows that must be looked at, in their order."""
    rows = np.flatnonzero(is_odd).tolist()
    found = [(int(block.lines[row]), [column.text(row) for column in columns]) for row in rows]
    return sorted([*found, *block.others], key=lambda each: each[0]) if block.others else found


def _with_rows(table, is_odd: np.ndarray, lines: np.ndarray, rows: list[Row]):
    """(the regular rows and these, in the order of their lines; the lines)."""
    import pyarrow as pa

    if is_odd.any():
        table, lines = table.filter(pa.array(~is_odd)), lines[~is_odd]
    if not rows:
        return table, lines
    columns = {
        name: pa.array([row.values[i] if i < len(row.values) else "" for row in rows]).dictionary_encode()
        for i, name in enumerate(table.column_names)
    }
    table = pa.concat_tables([table, pa.table(columns, schema=table.schema)])
    lines = np.concatenate([lines, np.array([row.line for row in rows], np.int64)])
    order = np.argsort(lines, kind="stable")
    return table.unify_dictionaries().combine_chunks().take(pa.array(order)), lines[order]


class _Coded(NamedTuple):
    """A column of texts. [values: Arrow's distinct ones; codes: position of each row's]"""

    values: object
    codes: np.ndarray

    @classmethod
    def of(cls, column) -> "_Coded":
        column = column.unify_dictionaries().combine_chunks()
        if not len(column):
            return cls(column.type.value_type, np.zeros(0, np.int32))
        return cls(column.dictionary, column.indices.to_numpy())

    def text(self, row: int) -> str:
        return self.values[int(self.codes[row])].as_py()

    def rows(self, values) -> np.ndarray:
        """Whether each row's value is marked. [values: an Arrow mask of the distinct ones]"""
        return values.to_numpy(zero_copy_only=False)[self.codes]


def _odd_rows(columns: list[_Coded], found: FoundLayout, n: int) -> np.ndarray:
    """Mark rows that are empty, longer than the header, like a footer, or the header again."""
    from pyarrow import compute

    if not n:
        return np.zeros(0, bool)
    n_named = len(found.names)
    is_odd, is_blank = np.zeros(n, bool), np.ones(n, bool)
    for i, column in enumerate(columns):
        is_empty = column.rows(compute.equal(compute.utf8_trim(column.values, BLANKS), ""))
        is_blank &= is_empty
        if i >= n_named:
            is_odd |= ~is_empty
    is_odd |= is_blank | _footer_like(columns[:n_named], n)
    return is_odd | _headers(columns[:n_named], found, n) if found.has_header else is_odd


def _footer_like(columns: list[_Coded], n: int) -> np.ndarray:
    """As is_footer_like of text_rows.py, for all rows."""
    from pyarrow import compute

    is_footer, n_empty = np.zeros(n, bool), np.zeros(n, np.int64)
    if len(columns) < 3:
        return is_footer
    empty = [column.rows(compute.equal(column.values, "")) for column in columns]
    for mask in empty:
        n_empty += mask
    is_footer |= (n_empty > 0) & (len(columns) - n_empty <= 1)
    is_open = (n_empty > 0) & ~is_footer
    for column, mask in zip(columns, empty, strict=True):
        if not is_open.any():
            break
        first = np.flatnonzero(is_open & ~mask)
        codes = np.unique(column.codes[first])
        totals = [code for code in codes.tolist() if TOTAL.match(column.values[code].as_py().lstrip(BLANKS))]
        is_footer[first] |= np.isin(column.codes[first], totals)
        is_open &= mask
    return is_footer


def _headers(columns: list[_Coded], found: FoundLayout, n: int) -> np.ndarray:
    """As is_header of text_rows.py, for all rows."""
    from pyarrow import compute

    is_header = np.ones(n, bool)
    for column, name in zip(columns, found.names, strict=True):
        if name:
            candidates = compute.match_substring(column.values, name)
        else:
            candidates = compute.equal(compute.utf8_trim(column.values, BLANKS + "'=\""), "")
        codes = np.flatnonzero(candidates.to_numpy(zero_copy_only=False)).tolist()
        names = [code for code in codes if clean_text(column.values[code].as_py()) == name]
        is_header &= np.isin(column.codes, names) if names else False
        if not is_header.any():
            break
    return is_header
