"""Clients and invoices larger than memory -> partitions on disk, each small enough for memory.

In:  TableFiles (partitions.py), a folder for temporary files, and the bytes that may be in memory.
Out: Partitions, which can be opened as Tables repeatedly. Each row is read from its file once.

Rows are distributed into FAN_OUT files per table by the hash of their clients. Small neighbouring files form one
partition; files that are too large are split again. The files are Arrow streams rather than Parquet: an open Parquet
writer holds metadata of each batch in memory, which would grow with the data.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.data.partitioned.mapped_files import MappedTableFiles
from fairmeter.data.partitioned.partitions import (
    PART_KEY,
    TableFiles,
    describe_files,
    filter_clients,
    require_rows,
)
from fairmeter.data.tables import Tables

FAN_OUT = 128  # files of one table that are open at once
MAX_LEVELS = 4  # FAN_OUT**4 partitions are all that the hash can distinguish
# Peak memory per row while a partition is cleaned and scored, measured by benchmarks/speed/spark.py. [bytes]
CLIENT_BYTES, INVOICE_BYTES = 6_000, 700
BUFFER_SHARE = 0.2  # of the memory, for rows not yet written; while being written they are in memory three times

OnRows = Callable[[int], None]


@dataclass(frozen=True)
class Partition:
    """All rows of some clients. [place: names their files in messages]"""

    clients: "SpilledRows"
    invoices: "SpilledRows"
    n_clients: int
    place: str
    of: TableFiles | MappedTableFiles | None = None

    def open(self, ids: Collection[str] | None = None) -> tuple[Tables, np.ndarray]:
        """Tables of all its clients or of these ids, and their row numbers, ascending. Raises DuplicateClient."""
        return self.of.tables(self.clients.read(ids), self.invoices.read(ids), self.place)


def partition_on_disk(
    files: TableFiles | MappedTableFiles, folder: Path, max_bytes: int, on_rows: OnRows
) -> Iterator[Partition]:
    """Write all rows to disk, then yield the partitions. Raises TableError, OSError.

    max_bytes: memory for a partition; on_rows: called with the number of rows of each batch read.
    """
    places = describe_files(files.clients), describe_files(files.invoices)
    clients = chain.from_iterable(map(files.client_rows, range(len(files.clients))))
    invoices = chain.from_iterable(map(files.invoice_rows, range(len(files.invoices))))
    writers = SpillWriter(folder, "clients"), SpillWriter(folder, "invoices")
    for writer, tables, place in zip(writers, (clients, invoices), places, strict=True):
        writer.write(_reported(tables, on_rows), BUFFER_SHARE * max_bytes)
        require_rows(place, int(writer.counts.sum()))
    for part in _partitions(*writers, max_bytes, places[0]):
        yield replace(part, of=files)


def _reported(tables: Iterator, on_rows: OnRows) -> Iterator:
    for table in tables:
        on_rows(table.num_rows)
        yield table


def _partitions(clients: "SpillWriter", invoices: "SpillWriter", max_bytes: int, place: str) -> Iterator[Partition]:
    """Group neighbouring files while they fit; split one that does not fit alone, if its clients can be separated."""
    sizes = clients.counts * CLIENT_BYTES + invoices.counts * INVOICE_BYTES
    group: list[int] = []
    for number in np.flatnonzero(sizes).tolist():
        if group and sizes[[*group, number]].sum() > max_bytes:
            yield _partition(clients, invoices, group, place)
            group = []
        if sizes[number] > max_bytes and clients.counts[number] > 1 and clients.level + 1 < MAX_LEVELS:
            yield from _partitions(
                *(writer.split(number, BUFFER_SHARE * max_bytes) for writer in (clients, invoices)), max_bytes, place
            )
        else:
            group.append(number)
    if group:
        yield _partition(clients, invoices, group, place)


def _partition(clients: "SpillWriter", invoices: "SpillWriter", numbers: list[int], place: str) -> Partition:
    return Partition(clients.rows(numbers), invoices.rows(numbers), int(clients.counts[numbers].sum()), place)


# --- files of rows ----------------------------------------------------------------------------------------------------


class SpilledRows(NamedTuple):
    """Rows of one table, in files."""

    files: list[Path]
    schema: object

    def read(self, ids: Collection[str] | None = None):
        """One Arrow table of all clients, or of these ids."""
        import pyarrow as pa

        tables = chain.from_iterable(map(batches_in, self.files))
        if ids is not None:
            tables = (filter_clients(table, ids) for table in tables)
        return pa.concat_tables([self.schema.empty_table(), *tables])


class SpillWriter:
    """Writer of one table into FAN_OUT files, by the digit of the clients' hash at a level."""

    def __init__(self, folder: Path, name: str, schema: object = None, level: int = 0) -> None:
        self._folder, self._name, self._schema, self.level = folder, name, schema, level
        self.counts = np.zeros(FAN_OUT, np.int64)

    def rows(self, numbers: list[int]) -> SpilledRows:
        return SpilledRows([self._file(number) for number in numbers if self.counts[number]], self._schema)

    def write(self, tables: Iterator, waiting_bytes: float) -> None:
        """Write all rows, buffered up to `waiting_bytes`. Raises OSError."""
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
                    self._write_rows(pa.concat_tables(waiting), writers, stack)
                    waiting, n_bytes = [], 0
            if waiting:
                self._write_rows(pa.concat_tables(waiting), writers, stack)
        pa.default_memory_pool().release_unused()

    def split(self, number: int, waiting_bytes: float) -> "SpillWriter":
        """Distribute the rows of one file into files of their own, by the next digit."""
        finer = SpillWriter(self._folder / f"{number:03d}", self._name, self._schema, self.level + 1)
        for file in self.rows([number]).files:
            finer.write(batches_in(file), waiting_bytes)
            file.unlink()
        return finer

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:03d}.arrows"

    def _write_rows(self, table, writers: dict, stack: ExitStack) -> None:
        import pyarrow as pa

        digit = (table[PART_KEY].to_numpy() // FAN_OUT**self.level % FAN_OUT).astype(np.int64)
        counts = np.bincount(digit, minlength=FAN_OUT)
        ordered = table.take(pa.array(np.argsort(digit, kind="stable")))
        for number in np.flatnonzero(counts).tolist():
            if number not in writers:
                writers[number] = stack.enter_context(_writer(self._file(number), table.schema))
            start = int(counts[:number].sum())
            writers[number].write_table(ordered.slice(start, int(counts[number])).combine_chunks())
        self.counts += counts


def _writer(path: Path, schema: object):
    import pyarrow as pa

    return pa.ipc.new_stream(str(path), schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


def batches_in(path: Path) -> Iterator:
    """The record batches of a file of this module, as Arrow tables."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])
