"""Readings of files, with or without a map -> rows that may be spread over parts, and back to readings of a part.

In:  the files of readings, or a MapReader.
Out: Arrow tables with the number of each row's client as `part_key`; the readings of all rows of some clients.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.files import EmptyTable, MissingFile, TableFile, find_files
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_tables import Vocabulary, count_flags, label_by_client, settle_all_readings
from fairmeter.data.maps.settling.interval_units import UnitChecks
from fairmeter.data.partitioned.partitions import PART_KEY, files_of_kind, table_to_arrow
from fairmeter.data.readings import (
    UNREADABLE,
    ParsedReadings,
    label_of_clients,
    reading_batches,
    refuse_unreadable,
    two_rows_of_a_client,
)
from fairmeter.data.tables import layout_flags

OnRows = Callable[[int], None]
TABLE = "table"  # number of a row's table in its map


class PartRows(NamedTuple):
    """The readings of some clients before cleaning. [client: numbered within the part; label: of each, or None]"""

    readings: Table
    label: np.ndarray | None
    findings: list[CleaningFinding]


class ReadingRows(Protocol):
    """Rows of readings from files. [ids: number of each client, in the order of their first rows]"""

    ids: dict[str, int]
    place: object
    is_unit_stated: bool

    def tables(self) -> Iterator:
        """Arrow tables of rows, with `part_key`. Raises TableError."""

    def part(self, numbers: np.ndarray, rows: Table) -> PartRows:
        """The readings of some clients. [numbers: of the clients; rows: all of theirs; client: place in numbers]"""

    def start(self) -> None:
        """Begin to see all parts once."""

    def check(self) -> None:
        """Raise TableError for what is wrong with all parts that were seen."""

    def with_flags(self, flags: list[QualityFlag]) -> list[QualityFlag]:
        """The flags of readings with those of what was left out while files were read."""


def reading_files(sources: tuple[Path, ...], readings: Path | None) -> list[TableFile]:
    """The files of readings: all of a place that is named, else those with "reading" in their name or folder's name.

    A single source of any names stands for readings if no name there is of another table. Raises MissingFile.
    """
    if readings is not None:
        found = find_files(None, (readings,), is_deep=True)
    else:
        found = files_of_kind("reading", sources)
        everything = find_files(None, sources, is_deep=True) if len(sources) == 1 else []
        if not found and not any(files_of_kind(kind, sources) for kind in ("client", "invoice")):
            found = everything
    if not found:
        where = readings or ", ".join(map(str, sources)) or "what was named"
        raise MissingFile(f"Need files with 'reading' in their names, or a folder; found none in {where}. Name one.")
    return found


# --- without a map ----------------------------------------------------------------------------------------------------


@dataclass
class PlainReadingRows:
    """Rows of files with canonical names. [sources: several only if they are of one layout]"""

    sources: Sequence[TableFile]
    on_rows: OnRows
    is_unit_stated: bool = False
    ids: dict[str, int] = field(default_factory=dict)
    _notes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _labels: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The files, for messages."""
        n = len(self.sources)
        return str(self.sources[0]) if n == 1 else f"{self.sources[0]} and {n - 1:,} more"

    def tables(self) -> Iterator:
        n, n_bad = np.zeros(0, np.int64), np.zeros(0, np.int64)
        first_error = None
        for source in self.sources:
            n_rows = 0
            for batch in reading_batches(source):
                n_known = len(self.ids)
                numbers = np.array([self.ids.setdefault(i, len(self.ids)) for i in batch.client_ids], np.int64)
                if batch.is_wide and len(self.ids) - n_known < len(numbers):
                    raise two_rows_of_a_client(source)
                client = numbers[batch.readings["client"]]
                n = _added(n, client, len(self.ids))
                n_bad = _added(n_bad, client[batch.unreadable], len(self.ids))
                first_error = first_error or batch.error
                n_rows += len(client)
                self._keep(batch, numbers, source)
                self.on_rows(len(client))
                yield _full_table(client, batch)
            if not n_rows:
                raise EmptyTable(f"{source} has a header and no rows; export it again.")
        refuse_unreadable(np.array(list(self.ids), object), n, n_bad, first_error)

    def _keep(self, batch: ParsedReadings, numbers: np.ndarray, source: TableFile) -> None:
        self._notes[source.file_name].update(batch.notes)
        if batch.label is not None:
            self._labels.append((numbers, batch.label))

    def labels(self) -> np.ndarray | None:
        """The label of each client. Raises InvalidValue."""
        if not self._labels:
            return None
        numbers, labels = (np.concatenate(columns) for columns in zip(*self._labels, strict=True))
        return label_of_clients(labels, numbers, np.array(list(self.ids), object), self.place)

    def part(self, numbers: np.ndarray, rows: Table) -> PartRows:
        readings = {name: column for name, column in rows.items() if name not in (PART_KEY, "unreadable")}
        is_unreadable = rows["unreadable"].astype(bool)
        findings = [CleaningFinding(*UNREADABLE, rows["client"][is_unreadable])] if is_unreadable.any() else []
        labels = self.labels()
        readings["read_at"] = readings["read_at"].view("datetime64[m]")
        return PartRows(readings, None if labels is None else labels[numbers], findings)

    def start(self) -> None:
        pass

    def check(self) -> None:
        pass

    def with_flags(self, flags: list[QualityFlag]) -> list[QualityFlag]:
        return [*flags, *(flag for name, notes in self._notes.items() for flag in layout_flags(name, notes))]


def _added(counts: np.ndarray, numbers: np.ndarray, n: int) -> np.ndarray:
    """Counts by client, of which there are n, with those of more rows."""
    more = np.bincount(numbers, minlength=n)
    more[: len(counts)] += counts
    return more


PLAIN = {
    "consumption_kwh": np.float64,
    "unreadable": bool,
    "minutes": np.float64,
    "export_kwh": np.float64,
    "is_estimated": bool,
}


def _full_table(client: np.ndarray, batch: ParsedReadings):
    columns = batch.readings | {"unreadable": batch.unreadable}
    columns = {name: columns[name] for name in PLAIN if name in columns}
    moments = {PART_KEY: client.astype(np.uint32), "read_at": batch.readings["read_at"].view(np.int64)}
    return _filled(moments, columns, PLAIN)


def _filled(first: Table, columns: Table, types: dict[str, type]):
    """An Arrow table of all columns, null where one is not given: all tables of one file of rows are alike."""
    import pyarrow as pa

    table = table_to_arrow(first)
    n = table.num_rows
    for name, dtype in types.items():
        kind = pa.from_numpy_dtype(np.dtype(dtype))
        column = pa.nulls(n, kind) if name not in columns else pa.array(columns[name].astype(dtype, copy=False), kind)
        table = table.append_column(name, column)
    return table


# --- by a map ---------------------------------------------------------------------------------------------------------

MAPPED = {
    "moment": np.int64,
    "is_utc": bool,
    "minutes": np.float64,
    "quality": np.int8,
    "series": np.int64,
    "version": np.float64,
    "label": np.float64,
    **{
        f"{value}{suffix}": dtype
        for value in ("kwh", "export")
        for suffix, dtype in (
            ("", np.float64),
            ("_multiplier", np.float64),
            ("_divisor", np.float64),
            ("_is_power", bool),
        )
    },
}


@dataclass
class MappedReadingRows:
    """Rows that a map states. [present: the columns that any row of a table has, by its number]"""

    reader: MapReader
    is_unit_stated: bool = True  # of units, UnitChecks judges what the map leaves open
    place: str = "readings"
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    present: dict[int, dict[str, None]] = field(default_factory=dict)
    _has_consumption: dict[int, bool] = field(default_factory=dict)
    units: UnitChecks = field(default_factory=UnitChecks)

    @property
    def ids(self) -> dict[str, int]:
        """The number of each client."""
        return self.vocabulary.ids

    def tables(self) -> Iterator:
        for rows in self.reader.rows("readings"):
            self.present.setdefault(rows.table, {}).update(dict.fromkeys(rows.columns))
            self._has_consumption.setdefault(rows.table, "kwh" in rows.columns)
            numbers = self.vocabulary.numbers(rows.client).astype(np.uint32)
            table = np.full(len(numbers), rows.table, np.int16)
            yield _filled({PART_KEY: numbers, TABLE: table}, rows.columns, MAPPED)

    def part(self, numbers: np.ndarray, rows: Table) -> PartRows:
        by_table: dict[int, list[Table]] = {}
        for number in sorted(self.present):
            mask = rows[TABLE] == number
            if not mask.any():
                continue
            names = ["client", *(name for name in self.present[number] if name != "client")]
            by_table[number] = [{name: rows[name][mask] for name in names}]
        tables = self.reader.data_map.of("readings")
        readings, findings = settle_all_readings(tables, by_table, self.units, self._has_consumption)
        label = label_by_client(readings, np.array(list(self.ids), object)[numbers])
        return PartRows({n: c for n, c in readings.items() if n != "label"}, label, findings)

    def start(self) -> None:
        self.units = UnitChecks()

    def check(self) -> None:
        self.units.check(self.reader.data_map.of("readings"))

    def with_flags(self, flags: list[QualityFlag]) -> list[QualityFlag]:
        return [*count_flags(self.reader.counts["readings"], "readings"), *flags]
