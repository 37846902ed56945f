"""Steps that disk.py and spark.py share: files -> rows with a partition key, rows of a partition -> its Tables.

In:  files as tables.py reads them, and folders of many (part-00000.parquet ...), each with some rows of one table.
Out: Arrow tables of parsed rows with `part_key`, then the Tables of each partition. A partition contains all rows of
     its clients, and tables.py uses no rows of other clients: all partitions give the same as one table, to the bit.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.arrow_reader import ParsedTable, matched_names, parse_batches, read_header
from fairmeter.data.date_swaps import DATE_FORM
from fairmeter.data.files import Column, EmptyTable, MissingFile, TableFile, find_files
from fairmeter.data.invoice_rules.client_base import BaseSummary
from fairmeter.data.parsing import parse_key
from fairmeter.data.tables import (
    CLIENT_FIELDS,
    CLIENT_ID,
    INVOICE_FIELDS,
    Tables,
    clean_tables,
    client_columns,
    invoice_columns,
    layout_flags,
    missing_column,
    require_consumption,
    rows_by_id,
)

PART_KEY = "part_key"  # uint32: hash of the client id, the same on every machine
FLAGS, SUMMARY = b"flags", b"summary"  # in a table's metadata
TEXT = "_text"  # ends the name of the column with the texts of a column of codes, null where that is a number
ROW = "row"  # int64: position of the client in the files, which orders equal scores
FILE_ROWS = 2**40  # above the rows of any file: a row number is the file's number times this, plus its position
OWNER = CLIENT_ID._replace(convert=parse_key)
KEY = CLIENT_ID._replace(convert=lambda value: crc32(parse_key(value).encode()), dtype=np.uint32)


class TableFiles(NamedTuple):
    """The files of each table, and the columns that any of them has.

    has_clients: False where the clients are those of the invoices, whose files then stand for both.
    notes: what was left out or put right, by kind and number of the file; complete once its rows are read.
    """

    clients: list[TableFile]
    invoices: list[TableFile]
    client_columns: tuple[str, ...]
    invoice_columns: tuple[str, ...]
    has_clients: bool = True
    notes: dict[tuple[str, int], Counter[str]] | None = None

    def client_rows(self, number: int) -> Iterator:
        """Arrow tables of a file's clients. [number: of the file among the files of clients] Raises TableError."""
        return self._noted("clients", number, client_rows(self, number))

    def invoice_rows(self, number: int) -> Iterator:
        """Arrow tables of a file's invoices. [number: of the file among the files of invoices] Raises TableError."""
        return self._noted("invoices", number, invoice_rows(self, number))

    def tables(self, clients, invoices, place: str) -> tuple[Tables, np.ndarray]:
        """The Tables of a partition's rows, and each client's row number, ascending. Raises DuplicateClient."""
        return partition_tables(clients, invoices, place, self.has_clients)

    def _noted(self, kind: str, number: int, tables: Iterator[tuple[object, Counter[str]]]) -> Iterator:
        found: Counter[str] = Counter()
        for table, notes in tables:
            found.update(notes)
            yield table
        if self.notes is not None and (kind == "invoices" or self.has_clients):
            self.notes[kind, number] = found  # of a file that is read again, once

    def layout_flags(self) -> list[QualityFlag]:
        """What was left out or put right while the files were read."""
        sources = {"clients": self.clients, "invoices": self.invoices}
        noted = sorted((self.notes or {}).items())
        return [flag for (kind, n), notes in noted for flag in layout_flags(sources[kind][n].file_name, notes)]


# --- which files ------------------------------------------------------------------------------------------------------


def find_table_files(sources: tuple, clients: Path | None = None, invoices: Path | None = None) -> TableFiles:
    """The files of both tables. Raises MissingFile, DamagedFile.

    sources: folders, zips and files; those with "client" or "invoice" in their names are read, and all files in folders
    with such names. clients, invoices: a file or a folder of any name each. Without files of clients, the clients are
    those of the invoices.
    """
    sources = tuple(Path(source).absolute() for source in sources)  # other processes may have other working folders
    bills = _of_kind("invoice", sources, invoices)
    has_clients = bool(files_of_kind("client", sources, clients))
    owners = _of_kind("client", sources, clients) if has_clients else bills
    of_clients = _columns(owners, CLIENT_FIELDS if has_clients else (CLIENT_ID,))
    of_invoices = _columns(bills, INVOICE_FIELDS)
    return TableFiles(owners, bills, of_clients, of_invoices, has_clients, {})


def _columns(sources: list[TableFile], fields: Sequence[Column]) -> tuple[str, ...]:
    """The columns that any of the files has, and those that each must have."""
    fields = tuple(fields)
    given = [matched_names(read_header(source, fields), fields) for source in sources]
    return tuple(
        field.name
        for field in fields
        if any(names[field.name] for names in given) or (field.is_required and not field.is_filled)
    )


def files_of_kind(kind: str, sources: tuple, named: Path | None = None) -> list[TableFile]:
    """The files with a kind in their names, or in those of their folders; those of a place that is named."""
    if named:
        return find_files(None, (named.absolute(),))
    return find_files(kind, sources) + find_files(None, _folders(kind, sources))


def _of_kind(kind: str, sources: tuple, named: Path | None) -> list[TableFile]:
    found = files_of_kind(kind, sources, named)
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


def client_rows(files: TableFiles, number: int) -> Iterator:
    """(Arrow table, notes) of some of a file's clients at a time. [number: of the file] Raises TableError."""
    fields = [field for field in CLIENT_FIELDS if field.name in files.client_columns]
    for sheet in parse_batches(files.clients[number], tuple(fields)):
        first = number * FILE_ROWS + sheet.first_row
        place = {PART_KEY: sheet.peek(KEY), ROW: np.arange(first, first + sheet.n_rows)}
        table = _with_names(place, client_columns(sheet), fields, sheet)
        yield table if files.has_clients else _first_rows(table), sheet.notes


def invoice_rows(files: TableFiles, number: int) -> Iterator:
    """(Arrow table, notes) of some of a file's invoices at a time. [number: of the file] Raises TableError."""
    fields = [field for field in INVOICE_FIELDS if field.name in files.invoice_columns]
    for sheet in parse_batches(files.invoices[number], (OWNER, *fields)):
        require_consumption(files.invoice_columns, files.invoices[number])
        owner = {PART_KEY: sheet.peek(KEY), CLIENT_ID.name: sheet.take(OWNER)}
        columns = dict(invoice_columns(sheet))
        yield _with_names(owner | {DATE_FORM: columns.pop(DATE_FORM)}, columns, fields, sheet), sheet.notes


def _with_names(place: Table, given: Table, fields: Sequence[Column], sheet: ParsedTable):
    """An Arrow table of the place of each row, its columns, missing ones filled, and the texts of its codes."""
    import pyarrow as pa

    n = sheet.n_rows
    columns = {f.name: given[f.name] if f.name in given else missing_column(f, n) for f in fields}
    table = table_to_arrow(place | columns)
    for field in (field for field in fields if field.names_of):
        names = sheet.code_names.by_column.get(field.name)
        texts = [names.get(code) for code in columns[field.name].tolist()] if names else pa.nulls(n, pa.string())
        table = table.append_column(field.name + TEXT, pa.array(texts, pa.string()))
    return table


def _first_rows(table):
    """The first row of each client, for clients that no table of their own lists."""
    import pyarrow as pa

    _, first = np.unique(table[CLIENT_ID.name].to_numpy(), return_index=True)
    return table.take(pa.array(np.sort(first)))


def names_of_rows(tables: Sequence) -> CodeNames:
    """The names of the codes in Arrow tables of rows."""
    from pyarrow import compute

    found = NO_CODE_NAMES
    for table in tables:
        for text in (name for name in table.column_names if name.endswith(TEXT)):
            column = text.removesuffix(TEXT)
            named = table.select([column, text]).filter(compute.is_valid(table[text]))
            pairs = named.group_by([column, text]).aggregate([]).to_pydict()
            found |= CodeNames.of_column(column, sorted(zip(pairs[column], pairs[text], strict=True)))
    return found


def table_to_arrow(table: Table):
    """An Arrow table of NumPy columns."""
    import pyarrow as pa

    return pa.table({name: pa.array(column, type=_type_of(column)) for name, column in table.items()})


def filter_clients(table, ids: Collection[str]):
    """The rows of an Arrow table that belong to these clients. [ids: texts]"""
    import pyarrow as pa
    from pyarrow import compute

    return table.filter(compute.is_in(table[CLIENT_ID.name], value_set=pa.array(ids, pa.string())))


def with_flags(table, flags: Sequence[QualityFlag], summary: BaseSummary | None = None, **more):
    """An Arrow table with the quality flags and the summary of its rows as metadata. [more: other, for JSON]"""
    metadata = {FLAGS: json.dumps([astuple(flag) for flag in flags])}
    metadata |= {} if summary is None else {SUMMARY: json.dumps(summary.to_json())}
    return table.replace_schema_metadata(metadata | {name: json.dumps(value) for name, value in more.items()})


def read_flags(table) -> list[QualityFlag]:
    """The quality flags in the metadata of an Arrow table."""
    return [QualityFlag(*flag) for flag in json.loads(table.schema.metadata[FLAGS])]


def read_summary(table) -> BaseSummary | None:
    """The summary in the metadata of an Arrow table."""
    text = table.schema.metadata.get(SUMMARY)
    return None if text is None else BaseSummary.from_json(json.loads(text))


def _type_of(column: np.ndarray):
    import pyarrow as pa

    return pa.string() if column.dtype == object else None  # a column without values would otherwise have no type


# --- rows to tables ---------------------------------------------------------------------------------------------------


def partition_tables(clients, invoices, place: str, has_clients: bool = True) -> tuple[Tables, np.ndarray]:
    """The Tables of a partition's rows, and each client's row number, ascending. [place: for messages]

    has_clients: False where several rows of one client count as one.

    Raises DuplicateClient.
    """
    from pyarrow import compute

    clients = clients.sort_by(ROW)
    clients = clients if has_clients else _first_rows(clients)
    rows = clients[ROW].to_numpy()
    table = {f.name: clients[f.name].to_numpy() for f in CLIENT_FIELDS if f.name in clients.column_names}
    rows_by_id(table[CLIENT_ID.name], place)
    names = names_of_rows((clients, invoices))
    ids = clients[CLIENT_ID.name].combine_chunks()
    owner = compute.index_in(invoices[CLIENT_ID.name], value_set=ids)
    client = owner.fill_null(-1).to_numpy().astype(np.int64)
    given = (name for name in (DATE_FORM, *(f.name for f in INVOICE_FIELDS)) if name in invoices.column_names)
    columns = ((name, invoices[name].to_numpy()) for name in given)
    unknown_ids = invoices[CLIENT_ID.name].filter(compute.is_null(owner)).unique().to_pylist()
    return clean_tables(table, client, columns, lambda: names, unknown_ids, is_part=True), rows


def require_rows(place: str, n: int) -> None:
    """Raise EmptyTable where a table has no row in any of its files."""
    if not n:
        raise EmptyTable(f"{place} has a header and no rows; export it again.")


def describe_files(sources: list[TableFile]) -> str:
    """The names of a table's files, for messages."""
    return str(sources[0]) if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1:,} more"
