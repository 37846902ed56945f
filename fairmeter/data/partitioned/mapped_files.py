"""Files whose columns a map states -> rows for partitions: the row-wise stage before, the client-wise stage after.

In:  a DataMap and the paths of clients and invoices.
Out: MappedTableFiles, which disk.py and spark.py use as they use TableFiles. All rows of a client meet in one
     partition, so that the Tables are those that are read at once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.date_swaps import DATE_FORM
from fairmeter.data.files import MissingFile, TableFile
from fairmeter.data.layouts import CodedColumn
from fairmeter.data.maps import DataMap
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_tables import (
    MappedClients,
    MappedInvoices,
    clients_by_id,
    count_flags,
    encode_codes,
    invoice_columns_of,
    settle_all_invoices,
    tables_of,
)
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows
from fairmeter.data.maps.settling.clients import client_table, settle_clients
from fairmeter.data.maps.spec import TableSpec
from fairmeter.data.partitioned.partitions import FILE_ROWS, PART_KEY, ROW, table_to_arrow
from fairmeter.data.tables import Tables

CLIENT_ID, TABLE = "client_id", "table"
INTEGERS = {"created_on", "labelled_on", "invoice_on", "series"}
SMALL = {"energy", "quality", DATE_FORM}


@dataclass(frozen=True)
class MappedTableFiles:
    """The pieces of both tables: (number of the table in the map, file). Where the map has no clients, the invoices'.

    client_names, invoice_names: columns beside the id; texts among them stay texts until all rows have met.
    """

    data_map: DataMap
    sources: tuple[Path, ...]
    named: dict[str, Path]
    client_pieces: list[tuple[int, TableFile]]
    invoice_pieces: list[tuple[int, TableFile]]
    client_names: dict[str, str]
    invoice_names: dict[str, str]
    has_clients: bool
    reader: MapReader = field(repr=False, compare=False)
    left_out: Counter = field(default_factory=Counter, compare=False)

    @property
    def clients(self) -> list[TableFile]:
        return [source for _, source in self.client_pieces]

    @property
    def invoices(self) -> list[TableFile]:
        return [source for _, source in self.invoice_pieces]

    def client_rows(self, number: int) -> Iterator:
        """Arrow tables of a file's clients. Raises TableError."""
        first = number * FILE_ROWS
        kind = "clients" if self.has_clients else "invoices"
        for rows in self._rows(kind, *self.client_pieces[number]):
            place = {ROW: np.arange(first, first + rows.n_rows)}
            first += rows.n_rows
            yield _to_arrow(rows, place, self.client_names)

    def invoice_rows(self, number: int) -> Iterator:
        """Arrow tables of a file's invoices. Raises TableError."""
        for rows in self._rows("invoices", *self.invoice_pieces[number]):
            yield _to_arrow(rows, {TABLE: np.full(rows.n_rows, rows.table, np.int64)}, self.invoice_names)

    def _rows(self, kind: str, table: int, source: TableFile) -> Iterator[CanonicalRows]:
        for rows in self.reader.file_rows(self.data_map.of(kind)[table], table, source):
            self.left_out.update({(kind, name): n for name, n in rows.counts.items()})
            yield rows

    def tables(self, clients, invoices, place: str) -> tuple[Tables, np.ndarray]:
        """The Tables of a partition's rows, and each client's row number, ascending. Raises DuplicateClient."""
        clients = clients.sort_by(ROW)
        rows = _from_arrow(clients, self.client_names, 0)
        _, first = np.unique(rows.client.codes, return_index=True)
        row_numbers = clients[ROW].to_numpy()[np.sort(first)]
        if self.has_clients:
            ids, settled = settle_clients(rows, place)
            codes, names = encode_codes(settled)
            found = MappedClients(client_table(ids, settled, codes), names)
        else:
            found = clients_by_id(np.array([*rows.client.values, ""], object)[rows.client.codes[np.sort(first)]])
        tables = tables_of(found, self._settled(invoices), self.reader, is_part=True)
        counted = Counter({name: n for (kind, name), n in self.left_out.items() if kind == "invoices"})
        self.left_out.clear()  # the first partition says it for all
        return replace(tables, flags=[*tables.flags, *count_flags(counted, "invoices")]), row_numbers

    def _settled(self, invoices) -> MappedInvoices:
        ids: dict[str, int] = {}
        names, by_table = NO_CODE_NAMES, defaultdict(list)
        number = invoices[TABLE].to_numpy()
        for table in np.unique(number).tolist():
            rows = _from_arrow(invoices.filter(number == table), self.invoice_names, table)
            columns, found = invoice_columns_of(rows)
            names |= found
            of_value = np.array([ids.setdefault(value, len(ids)) for value in rows.client.values], np.int64)
            by_table[table].append(columns | {"client": of_value[rows.client.codes]})
        settled, findings = settle_all_invoices(self.data_map.of("invoices"), by_table)
        return MappedInvoices(list(ids), settled.pop("client"), settled, names, findings)

    def layout_flags(self) -> list[QualityFlag]:
        """None: as in memory, a map's counts of rows stand for what is left out."""
        return []

    def spark_types(self) -> tuple[str, str]:
        """The columns of both tables as Spark schemas, after the number of the partition."""
        kinds = {"text": "string", "integer": "bigint", "small": "tinyint", "number": "double"}
        of = [
            ", ".join([f"part int, {place} bigint, {CLIENT_ID} string", *(f"{n} {kinds[k]}" for n, k in names.items())])
            for place, names in ((ROW, self.client_names), (TABLE, self.invoice_names))
        ]
        return of[0], of[1]


def find_mapped_files(
    data_map: DataMap, sources: tuple, clients: Path | None = None, invoices: Path | None = None
) -> MappedTableFiles:
    """The files of both tables that a map states. Raises TableError."""
    sources = tuple(Path(source).absolute() for source in sources)  # other processes may have other working folders
    named = {"clients": clients, "invoices": invoices}
    named = {kind: path.absolute() for kind, path in named.items() if path is not None}
    reader = MapReader(data_map, sources, named)
    if not data_map.of("invoices"):
        raise MissingFile(f"{data_map.name} states no [invoices], which --memory and --spark need. Write them.")
    bills = _pieces(reader, "invoices")
    has_clients = bool(data_map.of("clients"))
    owners = _pieces(reader, "clients") if has_clients else bills
    client_names = _names(reader, "clients", owners) if has_clients else {}
    invoice_names = _names(reader, "invoices", bills)
    return MappedTableFiles(data_map, sources, named, owners, bills, client_names, invoice_names, has_clients, reader)


def _pieces(reader: MapReader, kind: str) -> list[tuple[int, TableFile]]:
    tables = reader.data_map.of(kind)
    return [(number, source) for number, table in enumerate(tables) for source in reader.files(table)]


def _names(reader: MapReader, kind: str, pieces: list[tuple[int, TableFile]]) -> dict[str, str]:
    """{column: kind of its values} that any file gives, by the fields that its header fills."""
    found: dict[str, str] = {}
    for number, source in pieces:
        for name, of in _given(reader, reader.data_map.of(kind)[number], source).items():
            found.setdefault(name, of)
    return dict(sorted(found.items()))


def _given(reader: MapReader, table: TableSpec, source: TableFile) -> dict[str, str]:
    """The columns of a file's first rows."""
    rows = next(iter(reader.file_rows(table, 0, source)), None)
    if rows is None:
        return {}
    kinds = {name: _kind_of(name) for name in rows.columns}
    return kinds | dict.fromkeys(rows.texts, "text")


def _kind_of(name: str) -> str:
    return "integer" if name in INTEGERS else "small" if name in SMALL else "number"


DTYPES = {"integer": np.int64, "small": np.int8, "number": np.float64}


def _to_arrow(rows: CanonicalRows, place: Table, names: dict[str, str]):
    ids = np.array([*rows.client.values, ""], object)[rows.client.codes]
    keys = np.array([*(crc32(value.encode()) for value in rows.client.values), 0], np.uint32)[rows.client.codes]
    columns = {PART_KEY: keys} | place | {CLIENT_ID: ids}
    for name, kind in names.items():
        if kind == "text":
            coded = rows.texts.get(name)
            missing = np.full(rows.n_rows, "", object)
            columns[name] = missing if coded is None else np.array([*coded.values, ""], object)[coded.codes]
        else:
            dtype = DTYPES[kind]
            missing = np.full(rows.n_rows, np.nan if kind == "number" else 0, dtype)
            columns[name] = rows.columns.get(name, missing).astype(dtype)
    return table_to_arrow(columns)


def _from_arrow(table, names: dict[str, str], number: int) -> CanonicalRows:
    columns = {name: table[name].to_numpy().astype(DTYPES[kind]) for name, kind in names.items() if kind != "text"}
    texts = {name: _coded(table[name]) for name, kind in names.items() if kind == "text"}
    return CanonicalRows(number, _coded(table[CLIENT_ID]), columns, texts)


def _coded(column) -> CodedColumn:
    encoded = column.combine_chunks().dictionary_encode()
    return CodedColumn(encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int32))
