"""Raw tables whose columns Arrow holds, and those of Parquet files.

In:  Arrow tables; Parquet files.
Out: RawTables whose columns are coded when they are asked for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from fairmeter.data.files import MissingColumns, TableFile
from fairmeter.data.layouts.raw_table import BLANKS, CodedColumn, RawTable, addressable, clean_text, positions_of

BATCH_ROWS = 2**16  # of Parquet, when a table is streamed
LOCAL = "us"  # of moments: finer than any meter's, and what Python's datetime holds


class ArrowRawTable(RawTable):
    """A raw table of Arrow columns; `release` frees one. [columns: by position in the header]"""

    def __init__(
        self,
        source: TableFile,
        header: Sequence[str],
        columns: dict[int, object],
        n_rows: int,
        line_at: Callable[[int], int] | None = None,
        **options,
    ) -> None:
        super().__init__(source, header, n_rows, self._coded, line_at, **options)
        self._columns = columns

    def numbers(self, name: str) -> np.ndarray | None:
        """A column that consists of numbers as float64, NaN where empty; None for one that does not."""
        import pyarrow as pa

        column = self._columns[self.position(name)]
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            return None
        return column.cast(pa.float64(), safe=False).to_numpy()

    def days(self, name: str) -> CodedColumn:
        """A column of which moments lose their time of day; there are less distinct values then."""
        import pyarrow as pa

        column = self._columns[self.position(name)]
        return coded(column.cast(pa.date32()) if pa.types.is_timestamp(column.type) else column)

    def release(self, name: str) -> None:
        """Free a column."""
        import pyarrow as pa

        self._columns.pop(self.position(name), None)
        if not self._columns:  # Arrow holds on to freed memory: 0.3 GB after the public archive
            pa.default_memory_pool().release_unused()

    def _coded(self, position: int) -> CodedColumn:
        if position not in self._columns:
            raise MissingColumns(f"{self.source}: {self.header[position]} was not among the wanted columns; name it.")
        return coded(self._columns[position])


def coded(column) -> CodedColumn:
    """An Arrow column, coded and cleaned. Missing values are None, moments local and without a time zone."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = _local_time(column).cast(pa.timestamp(LOCAL), safe=False)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries().combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values, codes = column.dictionary.to_pylist(), column.indices
    is_clean = _is_clean(column.dictionary)
    if codes.null_count:
        codes = codes.fill_null(len(values))
        values.append(None)
    return CodedColumn(values, codes.to_numpy()) if is_clean else _cleaned(values, codes.to_numpy())


def _is_clean(values) -> bool:
    """Whether nothing surrounds any of the values; Arrow sees this much sooner than Python."""
    import pyarrow as pa
    from pyarrow import compute

    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return not pa.types.is_string_view(values.type)
    trimmed = compute.equal(compute.utf8_trim(values, BLANKS + "'"), values)
    # A minimum of nothing, and of nothing but missing values, is None.
    return compute.min(trimmed).as_py() is not False and not compute.any(compute.starts_with(values, "=")).as_py()


def _cleaned(values: list, codes: np.ndarray) -> CodedColumn:
    """Clean texts; those that become equal get one code."""
    merged = CodedColumn.of(clean_text(value) if isinstance(value, str) else value for value in values)
    return CodedColumn(merged.values, merged.codes[codes])


def _local_time(moments):
    """Local wall-clock time of moments with a time zone; UTC stays UTC."""
    from pyarrow import compute

    return compute.local_timestamp(moments) if moments.type.tz else moments


# --- Parquet ----------------------------------------------------------------------------------------------------------


def parquet_header(source: TableFile) -> list[str]:
    """The names of a Parquet file's columns."""
    from pyarrow import parquet

    with source.open() as stream:
        return addressable(parquet.read_schema(stream).names)


def parquet_table(source: TableFile, wanted: Collection[str] | None) -> ArrowRawTable:
    """All rows of a Parquet file."""
    from pyarrow import parquet

    with source.open() as stream:
        file = parquet.ParquetFile(stream)
        header, taken, names = _columns_of(file, wanted)
        table = file.read(columns=names)
    return _raw(source, header, taken, table, 0)


def parquet_batches(source: TableFile, wanted: Collection[str] | None) -> Iterator[ArrowRawTable]:
    """The rows of a Parquet file, some ten thousand at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    first_row = 0
    with source.open() as stream:
        file = parquet.ParquetFile(stream)
        header, taken, names = _columns_of(file, wanted)
        for batch in file.iter_batches(BATCH_ROWS, columns=names):
            yield _raw(source, header, taken, pa.Table.from_batches([batch]), first_row)
            first_row += batch.num_rows


def _columns_of(file, wanted: Collection[str] | None) -> tuple[list[str], list[int], list[str] | None]:
    """(header, positions of the wanted columns, their names in the file; None: all, as a name stands there twice)."""
    names = file.schema_arrow.names
    header = addressable(names)
    if len(set(names)) < len(names):
        return header, list(range(len(names))), None
    taken = positions_of(header, wanted)
    return header, taken, [names[i] for i in taken]


def _raw(source: TableFile, header: list[str], taken: list[int], table, first_row: int) -> ArrowRawTable:
    columns = dict(zip(taken, table.columns, strict=True))  # read in the order of the file
    return ArrowRawTable(source, header, columns, table.num_rows, first_row=first_row, unit="row")
