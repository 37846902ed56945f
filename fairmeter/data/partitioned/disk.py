"""Rows of clients and invoices, more than fit into memory -> parts on disk, each small enough.

In:  TableFiles (parts.py), a folder to spill into, and how many bytes may be in memory.
Out: Parts, which give their Tables as often as they are opened. Every row is read from its file once.

Rows are dealt into FAN files a table by the hash of their clients; neighbours that are small make one part, what is too
large is dealt again. Streams of record batches rather than Parquet: a Parquet file keeps what it says of each batch in
memory until it is closed, which grows with the data, for each of the files that are open.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.data.partitioned.partitions import (
    PART_KEY,
    TableFiles,
    client_rows,
    describe_files,
    filter_clients,
    invoice_rows,
    partition_tables,
    require_rows,
)
from fairmeter.data.tables import Tables

FAN_OUT = 128  # files of one table, open at once
MAX_LEVELS = 4  # FAN ** 4 is as much as the hash can tell apart
# Bytes at the peak, while a part is cleaned and judged, for each of its rows (measured; benchmarks/spark.py shows it).
CLIENT_BYTES, INVOICE_BYTES = 6_000, 700
BUFFER_SHARE = 0.2  # of the bytes: rows that wait to be written; while they are, they are in memory three times

OnRows = Callable[[int], None]


@dataclass(frozen=True)
class Partition:
    """All rows of some clients. [n_clients: how many; place: where they came from, in words]"""

    clients: "SpilledRows"
    invoices: "SpilledRows"
    n_clients: int
    place: str

    def open(self, ids: Collection[str] | None = None) -> tuple[Tables, np.ndarray]:
        """Its Tables, or those of these clients alone, and each client's row number, rising. Raises DuplicateClient."""
        return partition_tables(self.clients.read(ids), self.invoices.read(ids), self.place)


def partition_on_disk(pieces: TableFiles, folder: Path, most_bytes: int, tell: OnRows) -> Iterator[Partition]:
    """The parts, once all rows are on disk. [tell: hears how many rows were read]. Raises TableError, OSError."""
    places = describe_files(pieces.clients), describe_files(pieces.invoices)
    clients = chain.from_iterable(client_rows(file, i, pieces.columns) for i, file in enumerate(pieces.clients))
    invoices = chain.from_iterable(map(invoice_rows, pieces.invoices))
    hands = SpillWriter(folder, "clients"), SpillWriter(folder, "invoices")
    for hand, tables, place in zip(hands, (clients, invoices), places, strict=True):
        hand.deal(_reported(tables, tell), BUFFER_SHARE * most_bytes)
        require_rows(place, int(hand.counts.sum()))
    yield from _partitions(*hands, most_bytes, places[0])


def _reported(tables: Iterator, tell: OnRows) -> Iterator:
    for table in tables:
        tell(table.num_rows)
        yield table


def _partitions(clients: "SpillWriter", invoices: "SpillWriter", most_bytes: int, place: str) -> Iterator[Partition]:
    """Neighbours as long as they fit; what does not fit alone is dealt again, as long as that can part its clients."""
    sizes = clients.counts * CLIENT_BYTES + invoices.counts * INVOICE_BYTES
    group: list[int] = []
    for number in np.flatnonzero(sizes).tolist():
        if group and sizes[[*group, number]].sum() > most_bytes:
            yield _partition(clients, invoices, group, place)
            group = []
        if sizes[number] > most_bytes and clients.counts[number] > 1 and clients.level + 1 < MAX_LEVELS:
            yield from _partitions(
                *(hand.again(number, BUFFER_SHARE * most_bytes) for hand in (clients, invoices)), most_bytes, place
            )
        else:
            group.append(number)
    if group:
        yield _partition(clients, invoices, group, place)


def _partition(clients: "SpillWriter", invoices: "SpillWriter", numbers: list[int], place: str) -> Partition:
    return Partition(clients.rows(numbers), invoices.rows(numbers), int(clients.counts[numbers].sum()), place)


# --- dealing ----------------------------------------------------------------------------------------------------------


class SpilledRows(NamedTuple):
    """Rows of one table in files."""

    files: list[Path]
    schema: object

    def read(self, ids: Collection[str] | None = None):
        """One Arrow table: of all clients, or of these alone."""
        import pyarrow as pa

        tables = chain.from_iterable(map(batches_in, self.files))
        if ids is not None:
            tables = (filter_clients(table, ids) for table in tables)
        return pa.concat_tables([self.schema.empty_table(), *tables])


class SpillWriter:
    """One table's rows in FAN files, by the digit that their hash has at a level."""

    def __init__(self, folder: Path, name: str, schema: object = None, level: int = 0) -> None:
        self._folder, self._name, self._schema, self.level = folder, name, schema, level
        self.counts = np.zeros(FAN_OUT, np.int64)

    def rows(self, numbers: list[int]) -> SpilledRows:
        return SpilledRows([self._file(number) for number in numbers if self.counts[number]], self._schema)

    def deal(self, tables: Iterator, waiting_bytes: float) -> None:
        """Writes all rows, so many bytes at a time. Raises OSError."""
        import pyarrow as pa

        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            writers: dict = {}
            waiting, n_bytes = [], 0
            for table in tables:
                self._schema = table.schema
                waiting.append(table)
                n_bytes += table.nbytes
                if n_bytes > waiting_bytes:
                    self._write(pa.concat_tables(waiting), writers, stack)
                    waiting, n_bytes = [], 0
            if waiting:
                self._write(pa.concat_tables(waiting), writers, stack)
        pa.default_memory_pool().release_unused()

    def again(self, number: int, waiting_bytes: float) -> "SpillWriter":
        """The rows of one file, in files of their own by the next digit."""
        finer = SpillWriter(self._folder / f"{number:03d}", self._name, self._schema, self.level + 1)
        for file in self.rows([number]).files:
            finer.deal(batches_in(file), waiting_bytes)
            file.unlink()
        return finer

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:03d}.arrows"

    def _write(self, table, writers: dict, stack: ExitStack) -> None:
        import pyarrow as pa

        digit = (table[PART_KEY].to_numpy() // FAN_OUT**self.level % FAN_OUT).astype(np.int64)
        counts = np.bincount(digit, minlength=FAN_OUT)
        dealt = table.take(pa.array(np.argsort(digit, kind="stable")))
        for number in np.flatnonzero(counts).tolist():
            if number not in writers:
                writers[number] = stack.enter_context(_writer(self._file(number), table.schema))
            start = int(counts[:number].sum())
            writers[number].write_table(dealt.slice(start, int(counts[number])).combine_chunks())
        self.counts += counts


def _writer(path: Path, schema: object):
    import pyarrow as pa

    return pa.ipc.new_stream(str(path), schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def batches_in(path: Path) -> Iterator:
    """The batches of a file that this room wrote, as Arrow tables."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])
