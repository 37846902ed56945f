"""Readings as a reader of a meter data format finds them -> RawTables of some 100,000 rows.

In:  blocks of rows, each column of a block one value for all its rows, or one for each.
Out: RawTables with the columns `value`, and `taken` and `fed_in`: the value by the direction in which energy flowed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from fairmeter.data.files import EmptyTable, InvalidValue, TableFile
from fairmeter.data.layouts.raw_table import CodedColumn, RawTable

BATCH_ROWS = 100_000
MAX_NAMED = 5  # kinds of rows that were left out, in an error
UNITS = {unit.upper(): unit for unit in ("Wh", "kWh", "MWh", "W", "kW", "MW")}  # as a map spells them
Values = str | float | Sequence | np.ndarray  # one for all rows; one a row; moments, which are written as texts


class RowBuffer:
    """Rows of one file, until there are enough for a table.

    utc: names of the columns of moments in UTC.
    left_out: rows that hold no energy of this direction or kind, counted by the reason. notes: what else was found.
    """

    def __init__(self, source: TableFile, names: Sequence[str], utc: Sequence[str] = ()) -> None:
        self.source, self.left_out, self.notes = source, Counter(), Counter()
        self._names, self._utc = tuple(names), utc
        self._n_given = 0
        self._start()

    def add(self, n: int, line: int | list[int] | None, is_fed_in: bool, values: Sequence[Values]) -> None:
        """Add n rows: the values of the columns, in the order of their names, the last one being `value`.

        line: where they stand, or each of them; None in a format without lines, whose readings are numbered.
        """
        self._sizes.append(n)
        self._lines.append(line)
        self._is_fed_in.append(is_fed_in)
        for chunks, value in zip(self._chunks, values, strict=True):
            chunks.append(value)
        self._n_rows += n

    def full(self) -> Iterator[RawTable]:
        """A table, once there are enough rows; asked for before rows are added, so that the last one has all counts."""
        if self._n_rows >= BATCH_ROWS:
            yield self._take()

    def rest(self, advice: str) -> Iterator[RawTable]:
        """The rows that are left. Raises EmptyTable if the file had none at all."""
        if self._n_rows:
            yield self._take()
        elif not self._n_given:
            raise EmptyTable(f"{self.source} holds no readings of active energy{self._named_left_out()}; {advice}.")

    def invalid(self, line: int, what: str, remedy: str) -> InvalidValue:
        """The error for a line that does not fit the format."""
        return InvalidValue(f"{self.source}, line {line:,}: {what}; {remedy}.")

    def invalid_reading(self, what: str, remedy: str) -> InvalidValue:
        """The error for a reading that does not fit a format without lines."""
        return InvalidValue(f"{self.source}, reading {self._n_given + self._n_rows + 1:,}: {what}; {remedy}.")

    def _named_left_out(self) -> str:
        kinds = [f"{n:,} {kind}" for kind, n in (+self.left_out).most_common(MAX_NAMED)]
        return f" (left out: {', '.join(kinds)})" if kinds else ""

    def _start(self) -> None:
        self._n_rows, self._sizes, self._lines, self._is_fed_in = 0, [], [], []
        self._chunks: list[list[Values]] = [[] for _ in self._names]

    def _take(self) -> RawTable:
        sizes = np.array(self._sizes)
        columns = {
            name: self._coded(chunks, sizes, "Z" if name in self._utc else "")
            for name, chunks in zip(self._names, self._chunks, strict=True)
        }
        is_fed_in = np.repeat(self._is_fed_in, sizes)
        columns["taken"] = without(columns["value"], is_fed_in)
        columns["fed_in"] = without(columns["value"], ~is_fed_in)
        line_at = None if self._lines[0] is None else self._spread(self._lines).__getitem__
        notes = Counter({f"left out: {kind}": n for kind, n in self.left_out.items()}) + self.notes
        table = RawTable.of_columns(self.source, columns, line_at=line_at, first_row=self._n_given, notes=notes)
        self._n_given += self._n_rows
        self.left_out.clear()
        self.notes.clear()
        self._start()
        return table

    def _coded(self, chunks: list[Values], sizes: np.ndarray, suffix: str) -> CodedColumn:
        if isinstance(chunks[0], np.ndarray):
            moments, codes = np.unique(np.concatenate(chunks), return_inverse=True)
            texts = np.datetime_as_string(moments.astype("datetime64[s]"), "s")
            return CodedColumn([f"{text}{suffix}" for text in texts.tolist()], codes.astype(np.int32))
        if not any(isinstance(chunk, list) for chunk in chunks):
            column = CodedColumn.of(chunks)
            return CodedColumn(column.values, np.repeat(column.codes, sizes))
        return coded(self._spread(chunks))

    def _spread(self, chunks: list) -> list:
        """A value a row, of chunks of one value or of one a row."""
        pairs = zip(chunks, self._sizes, strict=True)
        return list(chain.from_iterable(chunk if isinstance(chunk, list) else [chunk] * n for chunk, n in pairs))


def coded(values: list) -> CodedColumn:
    """A column of texts, or of numbers and None, coded by pyarrow: ten times as fast as value by value."""
    import pyarrow as pa

    encoded = pa.array(values).dictionary_encode()
    known = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(known)).to_numpy()
    return CodedColumn([*known, None], codes.astype(np.int32, copy=False))


def without(column: CodedColumn, rows: np.ndarray) -> CodedColumn:
    """The column with some of its rows empty."""
    return CodedColumn([*column.values, ""], np.where(rows, np.int32(len(column.values)), column.codes))
