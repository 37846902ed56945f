"""A file -> the wanted columns of one table, found by their names and converted.

In:  a TableFile (files.py) of any layout (layouts/); the wanted columns, each under either of two names, in any order.
Out: a ParsedTable, which converts its columns to NumPy one by one and names the line of a value that does not parse;
     for a file larger than memory, an iterator of ParsedTables with some of its rows each.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES
from fairmeter.data.files import Column, EmptyTable, MissingColumns, TableFile, file_errors
from fairmeter.data.layouts.raw_table import Layout, RawTable
from fairmeter.data.layouts.reader import open_file


class ParsedTable:
    """The wanted columns of one table as parsed, or of some of its rows from `first_row` on.

    `take` converts a column and releases it. names: {canonical name: name in the file}.
    """

    def __init__(self, raw: RawTable, names: dict[str, str]) -> None:
        self._raw, self._names = raw, names
        self.n_rows, self.first_row, self.notes = raw.n_rows, raw.first_row, raw.notes
        self.file_name = raw.source.file_name
        self.code_names = NO_CODE_NAMES  # of the columns converted so far

    def __contains__(self, field: Column) -> bool:
        return field.name in self._names

    @property
    def names(self) -> Collection[str]:
        """The canonical names of the columns that the file has."""
        return self._names.keys()

    def is_raw(self, field: Column) -> bool:
        """Whether a column stands in the file under its alternative name."""
        return self._names[field.name].casefold() == field.raw.casefold()

    def peek(self, field: Column) -> np.ndarray:
        """A column, converted; it stays available."""
        name = self._names[field.name]
        with file_errors(self._raw.source):
            numbers = self._raw.numbers(name) if field.is_number else None
            return self._converted(name, field) if numbers is None else numbers

    def take(self, field: Column) -> np.ndarray:
        """A column, converted and then released, so that no column is in memory twice."""
        values = self.peek(field)
        self._raw.release(self._names[field.name])
        return values

    def _converted(self, name: str, field: Column) -> np.ndarray:
        # Each distinct value is converted once: a date or a code recurs thousands of times.
        column = self._raw.column(name) if field.has_time else self._raw.days(name)
        values, why = _convert_each(column.values, field)
        if why and (bad := np.flatnonzero(np.isin(column.codes, list(why)))).size:
            code = column.codes[bad[0]]
            place = f"{self._raw.source}, {self._raw.unit} {self._raw.line(int(bad[0])):,}"
            raise field.error(f"{place}: {name} is {column.values[code]!r}, {why[code]}.")
        if field.names_of and not (field.is_limited and self.is_raw(field)):
            self.code_names |= field.names_of([value for value in column.values if value is not None])
        return values[column.codes]


def read_header(source: TableFile, fields: tuple[Column, ...] = ()) -> list[str]:
    """The column names of a file, cleaned; the fields help to find them. Raises TableError."""
    with file_errors(source):
        return open_file(source, _layout(fields)).header


def parse_table(source: TableFile, fields: tuple[Column, ...]) -> ParsedTable:
    """Parse the columns of `fields` that the file has. Raises MissingColumns, EmptyTable, DamagedFile."""
    with file_errors(source):
        file = open_file(source, _layout(fields))
        names = _matched(file.header, fields, source)
        raw = file.table(list(names.values()), _numbers(names, fields))
    if not raw.n_rows:
        raise EmptyTable(f"{source} has a header and no rows; export it again.")
    return ParsedTable(raw, names)


def parse_batches(source: TableFile, fields: tuple[Column, ...]) -> Iterator[ParsedTable]:
    """Parse like `parse_table`, some ten thousand rows at a time, for files larger than memory.

    A header without rows yields nothing.
    """
    with file_errors(source):
        file = open_file(source, _layout(fields))
        names = _matched(file.header, fields, source)
        for raw in file.batches(list(names.values()), _numbers(names, fields)):
            yield ParsedTable(raw, names)


def read_parquet_columns(path: Path, names: Sequence[str]) -> list[list]:
    """The values of some columns of a Parquet file, in the order of the names.

    Raises KeyError with the first missing name, OSError and ValueError for a file that cannot be read.
    """
    from pyarrow import parquet

    present = set(parquet.read_schema(path).names)
    for name in names:
        if name not in present:
            raise KeyError(name)
    table = parquet.read_table(path, columns=list(names))
    return [table[name].to_pylist() for name in names]


def _layout(fields: tuple[Column, ...]) -> Layout:
    return Layout(expected=frozenset(name for field in fields for name in (field.name, field.raw)))


def _numbers(names: dict[str, str], fields: tuple[Column, ...]) -> list[str]:
    return [names[field.name] for field in fields if field.is_number and field.name in names]


def matched_names(header: list[str], fields: tuple[Column, ...]) -> dict[str, list[str]]:
    """{canonical name: its names in a header, in any case where none is exactly so}."""
    exact, alike = defaultdict(list), defaultdict(list)
    for name in header:
        first, _, number = name.rpartition("#")
        plain = first if number.isdigit() and first in exact else name
        exact[plain].append(name)
        alike[plain.casefold()].append(name)
    found = {}
    for field in fields:
        names = dict.fromkeys((field.name, field.raw))
        found[field.name] = [name for one in names for name in exact.get(one, ())] or [
            name for one in dict.fromkeys(map(str.casefold, names)) for name in alike.get(one, ())
        ]
    return found


def _matched(header: list[str], fields: tuple[Column, ...], source: TableFile) -> dict[str, str]:
    """{canonical name: name in the file} for the columns that the file has. Raises EmptyTable, MissingColumns."""
    if not header:
        raise EmptyTable(f"{source} is empty; export it again, with a header.")
    found = matched_names(header, fields)
    needed = [field for field in fields if field.is_required and not field.is_filled]
    missing = [" or ".join(dict.fromkeys(field[:2])) for field in needed if not found[field.name]]
    if missing:
        raise MissingColumns(
            f"{source} lacks {', '.join(missing)}; found {header}. See data/README.md, 'Input tables'."
        )
    twice = [name for name, places in found.items() if len(places) > 1]
    if twice:
        raise MissingColumns(f"{source} has {', '.join(twice)} more than once in {header}; keep one of each.")
    return {name: places[0] for name, places in found.items() if places}


def _convert_each(values: list, field: Column) -> tuple[np.ndarray, dict[int, str]]:
    """(converted values, {position: reason} of the values that cannot be converted)."""
    converted, why = [], {}
    for i, value in enumerate(values):
        try:
            converted.append(field.convert(value))
        except ValueError as error:
            converted.append(0)
            why[i] = str(error)
    return np.array(converted, field.dtype), why
