"""Steps that disk.py and spark.py share: files -> rows with a partition key, rows of a partition -> its Tables.

In:  files as tables.py reads them, and folders of many (part-00000.parquet ...), each with some rows of one table.
Out: Arrow tables of parsed rows with `part_key`, then the Tables of each partition. A partition contains all rows of
     its clients, and tables.py uses no rows of other clients: all partitions give the same as one table, to the bit.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.arrow_reader import parse_batches, read_header
from fairmeter.data.date_swaps import EXPORT_DATE
from fairmeter.data.files import EmptyTable, MissingFile, TableFile, find_files
from fairmeter.data.parsing import parse_text
from fairmeter.data.tables import (
    CLIENT_FIELDS,
    CLIENT_ID,
    INVOICE_FIELDS,
    Tables,
    clean_tables,
    client_columns,
    invoice_columns,
    rows_by_id,
)

PART_KEY = "part_key"  # uint32: hash of the client id, the same on every machine
FLAGS = b"flags"  # in a table's metadata
ROW = "row"  # int64: position of the client in the files, which orders equal scores
FILE_ROWS = 2**40  # above the rows of any file: a row number is the file's number times this, plus its position
OWNER = CLIENT_ID._replace(convert=parse_text)
KEY = CLIENT_ID._replace(convert=lambda value: crc32(parse_text(value).encode()), dtype=np.uint32)


class TableFiles(NamedTuple):
    """The files of each table, and the columns of clients that any of them has."""

    clients: list[TableFile]
    invoices: list[TableFile]
    columns: tuple[str, ...]


# --- which files ------------------------------------------------------------------------------------------------------


def find_table_files(sources: tuple, clients: Path | None = None, invoices: Path | None = None) -> TableFiles:
    """The files of both tables. Raises MissingFile, DamagedFile.

    sources: folders, zips and files; those with "client" or "invoice" in their names are read, and all files in folders
    with such names. clients, invoices: a file or a folder of any name each.
    """
    sources = tuple(Path(source).absolute() for source in sources)  # other processes may have other working folders
    found = [_of_kind(kind, sources, named) for kind, named in (("client", clients), ("invoice", invoices))]
    headers = [set(read_header(source)) for source in found[0]]
    present = tuple(f.name for f in CLIENT_FIELDS if any({f.name, f.raw} & header for header in headers))
    return TableFiles(*found, present)


def _of_kind(kind: str, sources: tuple, named: Path | None) -> list[TableFile]:
    if named:
        found = find_files(None, (named.absolute(),))
    else:
        found = find_files(kind, sources) + find_files(None, _folders(kind, sources))
    of_kind = [source for source in found if "train" in source.file_name] or found  # as in find_file
    if not of_kind:
        where = named or ", ".join(map(str, sources)) or "what was named"
        raise MissingFile(f"Need files with '{kind}' in their names, or a folder; found none in {where}. Name one.")
    return of_kind


def _folders(kind: str, sources: tuple) -> tuple[Path, ...]:
    """The folders inside these places with the kind in their names."""
    inside = (inner for place in map(Path, sources) if place.is_dir() for inner in sorted(place.iterdir()))
    return tuple(inner for inner in inside if inner.is_dir() and kind in inner.name.lower())


# --- files to rows ----------------------------------------------------------------------------------------------------


def client_rows(source: TableFile, number: int, columns: tuple[str, ...]) -> Iterator:
    """Arrow tables of a file's clients. [number: of the file among the files of clients] Raises TableError."""
    for sheet in parse_batches(source, CLIENT_FIELDS):
        first = number * FILE_ROWS + sheet.first_row
        columns_given = {PART_KEY: sheet.peek(KEY), ROW: np.arange(first, first + sheet.n_rows)} | client_columns(sheet)
        missing = {
            field.name: _missing_column(field.dtype, sheet.n_rows) for field in CLIENT_FIELDS if field.name in columns
        }
        yield table_to_arrow({name: columns_given.get(name, missing.get(name)) for name in (PART_KEY, ROW, *columns)})


def invoice_rows(source: TableFile) -> Iterator:
    """Arrow tables of a file's invoices. Raises TableError."""
    for sheet in parse_batches(source, (OWNER, *INVOICE_FIELDS)):
        owner = {PART_KEY: sheet.peek(KEY), CLIENT_ID.name: sheet.take(OWNER)}
        yield table_to_arrow(owner | dict(invoice_columns(sheet)))


def _missing_column(dtype: type | str, n: int) -> np.ndarray:
    """The values of a column that a file lacks."""
    if dtype is object:
        return np.full(n, "", object)
    return np.full(n, "NaT" if str(dtype).startswith("datetime64") else np.nan, dtype)


def table_to_arrow(table: Table):
    """An Arrow table of NumPy columns."""
    import pyarrow as pa

    return pa.table({name: pa.array(column, type=_type_of(column)) for name, column in table.items()})


def filter_clients(table, ids: Collection[str]):
    """The rows of an Arrow table that belong to these clients. [ids: texts]"""
    import pyarrow as pa
    from pyarrow import compute

    return table.filter(compute.is_in(table[CLIENT_ID.name], value_set=pa.array(ids, pa.string())))


def with_flags(table, flags: Sequence[QualityFlag]):
    """An Arrow table with the quality flags of its rows as metadata."""
    return table.replace_schema_metadata({FLAGS: json.dumps([astuple(flag) for flag in flags])})


def read_flags(table) -> list[QualityFlag]:
    """The quality flags in the metadata of an Arrow table."""
    return [QualityFlag(*flag) for flag in json.loads(table.schema.metadata[FLAGS])]


def _type_of(column: np.ndarray):
    import pyarrow as pa

    return pa.string() if column.dtype == object else None  # a column without values would otherwise have no type


# --- rows to tables ---------------------------------------------------------------------------------------------------


def partition_tables(clients, invoices, place: str) -> tuple[Tables, np.ndarray]:
    """The Tables of a partition's rows, and each client's row number, ascending. [place: for messages]

    Raises DuplicateClient.
    """
    from pyarrow import compute

    clients = clients.sort_by(ROW)
    rows = clients[ROW].to_numpy()
    table = {f.name: clients[f.name].to_numpy() for f in CLIENT_FIELDS if f.name in clients.column_names}
    rows_by_id(table[CLIENT_ID.name], place)
    owner = compute.index_in(invoices[CLIENT_ID.name], value_set=clients[CLIENT_ID.name].combine_chunks())
    client = owner.fill_null(-1).to_numpy().astype(np.int64)
    columns = ((name, invoices[name].to_numpy()) for name in (EXPORT_DATE, *(f.name for f in INVOICE_FIELDS)))
    return clean_tables(table, client, columns), rows


def require_rows(place: str, n: int) -> None:
    """Raise EmptyTable where a table has no row in any of its files."""
    if not n:
        raise EmptyTable(f"{place} has a header and no rows; export it again.")


def describe_files(sources: list[TableFile]) -> str:
    """The names of a table's files, for messages."""
    return str(sources[0]) if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1:,} more"
