"""A file -> the wanted columns of one table, found by their names and parsed by pyarrow.

In:  a TableFile (files.py); the wanted columns, each under either of two names, in any order.
Out: a ParsedTable, which converts its columns to NumPy one by one and names the line of a value that does not parse;
     for a file larger than memory, an iterator of ParsedTables with some of its rows each.
pyarrow is imported only where a file is parsed: the server reads JSON alone and does not load it.
"""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES
from fairmeter.data.files import NULLS, Column, DamagedFile, EmptyTable, MissingColumns, TableFile, file_errors

BLOCK_BYTES = 2**22  # of CSV that each core parses at a time; larger blocks cost memory without being faster
BATCH_ROWS = 2**16  # of Parquet, when a table is streamed


class ParsedTable:
    """The wanted columns of one table as parsed, or of some of its rows from `first_row` on.

    `take` converts a column and releases it.
    """

    def __init__(self, source: TableFile, names: dict[str, str], parsed, first_row: int = 0) -> None:
        self._source, self._names, self._parsed = source, names, {name: parsed[name] for name in names}
        self.n_rows, self.first_row = parsed.num_rows, first_row
        self.code_names = NO_CODE_NAMES  # of the columns converted so far

    def __contains__(self, field: Column) -> bool:
        return field.name in self._names

    @property
    def names(self) -> Collection[str]:
        """The canonical names of the columns that the file has."""
        return self._names.keys()

    def name(self, field: Column) -> str:
        """The name of a column in the file."""
        return self._names[field.name].strip()

    def peek(self, field: Column) -> np.ndarray:
        """A column, converted; it stays available."""
        with file_errors(self._source):
            column = _as_arrow(self._parsed[field.name], field)
            return self._converted(column, field) if hasattr(column, "dictionary") else column.to_numpy()

    def take(self, field: Column) -> np.ndarray:
        """A column, converted and then released, so that no column is in memory twice."""
        import pyarrow as pa

        values = self.peek(field)
        del self._parsed[field.name]
        if not self._parsed:  # Arrow holds on to freed memory: 0.3 GB after the public archive
            pa.default_memory_pool().release_unused()
        return values

    def _converted(self, column, field: Column) -> np.ndarray:
        # Each distinct value is converted once: a date or a code recurs thousands of times.
        given = column.dictionary.to_pylist()
        values, why = _convert_each([*given, None], field)
        index = column.indices.fill_null(len(values) - 1).to_numpy()
        if why and (bad := np.flatnonzero(np.isin(index, list(why)))).size:
            value, reason = column[int(bad[0])].as_py(), why[index[bad[0]]]
            raise field.error(f"{self._place(self.first_row + bad[0], field)} is {value!r}, {reason}.")
        if field.names_of and not (field.is_limited and self.name(field) == field.raw):
            self.code_names |= field.names_of(given)
        return values[index]

    def _place(self, row: int, field: Column) -> str:
        at = f"row {row + 1}" if self._source.is_parquet else f"line {_line_of(self._source, row)}"
        return f"{self._source}, {at}: {self._names[field.name]}"


def read_header(source: TableFile) -> list[str]:
    """The column names of a file, stripped. Raises DamagedFile."""
    with file_errors(source):
        header = _parquet_header(source) if source.is_parquet else _csv_header(source)
    return [name.strip() for name in header]


def parse_table(source: TableFile, fields: tuple[Column, ...]) -> ParsedTable:
    """Parse the columns of `fields` that the file has. Raises MissingColumns, EmptyTable, DamagedFile."""
    with file_errors(source):
        header = _parquet_header(source) if source.is_parquet else _csv_header(source)
        names = _matched(header, fields, source)
        parsed = _read_parquet(source, names) if source.is_parquet else _read_csv(source, header, names, fields)
    if not parsed.num_rows:
        raise EmptyTable(f"{source} has a header and no rows; export it again.")
    return ParsedTable(source, names, parsed)


def parse_batches(source: TableFile, fields: tuple[Column, ...]) -> Iterator[ParsedTable]:
    """Parse like `parse_table`, some ten thousand rows at a time, for files larger than memory.

    A header without rows yields nothing.
    """
    import pyarrow as pa

    first_row = 0
    with file_errors(source):
        header = _parquet_header(source) if source.is_parquet else _csv_header(source)
        names = _matched(header, fields, source)
        batches = _parquet_batches(source, names) if source.is_parquet else _csv_batches(source, header, names, fields)
        for batch in batches:
            yield ParsedTable(source, names, pa.Table.from_batches([batch]), first_row)
            first_row += batch.num_rows


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


def _matched(header: list[str], fields: tuple[Column, ...], source: TableFile) -> dict[str, str]:
    """{canonical name: name in the file} for the columns that the file has. Raises EmptyTable, MissingColumns."""
    if not header:
        raise EmptyTable(f"{source} is empty; export it again, with a header.")
    found = {field.name: [name for name in header if name.strip() in (field.name, field.raw)] for field in fields}
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


def _csv_rows(source: TableFile) -> Iterator[tuple[int, list[str]]]:
    """(line number, values) of every row that is not blank, the header first."""
    with source.open() as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        yield from ((reader.line_num, values) for values in reader if values)


def _csv_header(source: TableFile) -> list[str]:
    return next(_csv_rows(source), (0, []))[1]


def _line_of(source: TableFile, row: int) -> int:
    return next(islice(_csv_rows(source), row + 1, None))[0]


def _read_csv(source: TableFile, header: list[str], names: dict[str, str], fields: tuple[Column, ...]):
    import pyarrow as pa

    columns, numbers, texts = _csv_types(header, names, fields)
    try:
        return _parse_csv(source, columns, numbers)
    except pa.ArrowInvalid:
        pass  # A value is not a number, or rows differ in length. Parsed as text, the former can be located.
    try:
        return _parse_csv(source, columns, texts)
    except pa.ArrowInvalid:
        _check_width(source, header)
        raise


def _csv_batches(source: TableFile, header: list[str], names: dict[str, str], fields: tuple[Column, ...]) -> Iterator:
    """Record batches whose values convert to the same as those of _read_csv."""
    import pyarrow as pa

    columns, numbers, texts = _csv_types(header, names, fields)
    n_given = 0
    try:
        for batch in _csv_stream(source, columns, numbers):
            yield batch
            n_given += batch.num_rows
    except pa.ArrowInvalid:
        pass
    else:
        return
    try:
        for batch in _csv_stream(source, columns, texts):
            skipped = min(n_given, batch.num_rows)
            n_given -= skipped
            if skipped < batch.num_rows:
                yield batch.slice(skipped)
    except pa.ArrowInvalid:
        _check_width(source, header)
        raise


def _csv_types(header: list[str], names: dict[str, str], fields: tuple[Column, ...]) -> tuple[list[str], dict, dict]:
    """(names of all columns, types of the wanted ones with numbers as such, their types with all as text)."""
    import pyarrow as pa

    wanted = {names[field.name]: field for field in fields if field.name in names}
    columns = [wanted[name].name if name in wanted else f"{i}, not wanted" for i, name in enumerate(header)]
    text = pa.dictionary(pa.int32(), pa.string())
    numbers = {field.name: pa.float64() if field.is_number else text for field in wanted.values()}
    return columns, numbers, dict.fromkeys(numbers, text)


def _check_width(source: TableFile, header: list[str]) -> None:
    """Raise DamagedFile at the first row that is longer or shorter than the header."""
    for line, values in _csv_rows(source):
        if len(values) != len(header):
            counts = f"{len(values)} values where the header has {len(header)}"
            raise DamagedFile(f"{source}, line {line} has {counts}; correct or remove it.") from None


def _parse_csv(source: TableFile, columns: list[str], types: dict):
    from pyarrow import csv as arrow_csv

    with source.open() as stream:
        return arrow_csv.read_csv(stream, **_csv_options(columns, types))


def _csv_stream(source: TableFile, columns: list[str], types: dict) -> Iterator:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if next(islice(_csv_rows(source), 1, None), None) is None:
        return  # only a header: the streaming reader fails on it
    with source.open() as stream, arrow_csv.open_csv(pa.PythonFile(stream), **_csv_options(columns, types)) as batches:
        yield from batches


def _csv_options(columns: list[str], types: dict) -> dict:
    from pyarrow import csv as arrow_csv

    return {
        "read_options": arrow_csv.ReadOptions(column_names=columns, skip_rows=1, block_size=BLOCK_BYTES),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=NULLS, strings_can_be_null=False
        ),
    }


def _parquet_header(source: TableFile) -> list[str]:
    from pyarrow import parquet

    with source.open() as stream:
        return parquet.read_schema(stream).names


def _read_parquet(source: TableFile, names: dict[str, str]):
    from pyarrow import parquet

    with source.open() as stream:
        table = parquet.ParquetFile(stream).read(columns=list(names.values()))
    return table.select(list(names.values())).rename_columns(list(names))


def _parquet_batches(source: TableFile, names: dict[str, str]) -> Iterator:
    from pyarrow import parquet

    with source.open() as stream:
        file = parquet.ParquetFile(stream)
        for batch in file.iter_batches(BATCH_ROWS, columns=list(names.values())):
            yield batch.select(list(names.values())).rename_columns(list(names))


def _as_arrow(column, field: Column):
    """One array: numbers as float64, everything else as a dictionary of its distinct values."""
    import pyarrow as pa

    kind = column.type
    if field.is_number and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_timestamp(kind):
        column = _local_time(column).cast(pa.timestamp("s"), safe=False) if field.has_time else column.cast(pa.date32())
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _local_time(moments):
    """Local wall-clock time of moments with a time zone; UTC stays UTC."""
    from pyarrow import compute

    return compute.local_timestamp(moments) if moments.type.tz else moments


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
