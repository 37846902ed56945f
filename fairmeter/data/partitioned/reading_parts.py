"""Readings larger than memory -> cleaned part by part, and totalled to the days of all clients.

In:  ReadingRows (reading_rows.py), a folder for temporary files, and the bytes that may be in memory.
Out: ReadingTables of some clients each, and DailyReadings of all, equal to the last bit to those made in memory: a
     part holds all rows of its clients, whose rules look at no others. Rules on many clients add up their facts.

Hours of days stay on disk, mapped into memory; the rest of a day takes 16 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import DataIncident, QualityFlag, Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.client_joins import refuse_failed_join
from fairmeter.data.daily import HOURS_PER_DAY, DailyConsumption
from fairmeter.data.files import TableFile
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_tables import merged_findings
from fairmeter.data.maps.spec import DataMap
from fairmeter.data.partitioned.disk import BUFFER_SHARE, FAN_OUT, MAX_LEVELS, SpilledRows, SpillWriter
from fairmeter.data.partitioned.partitions import PART_KEY
from fairmeter.data.partitioned.reading_rows import (
    MappedReadingRows,
    OnRows,
    PartRows,
    PlainReadingRows,
    ReadingRows,
    reading_files,
)
from fairmeter.data.reading_cleaning import clean_readings, in_order, in_order_of_rules
from fairmeter.data.reading_rules.many_clients import ManyClients, UnitConversion, convert_units
from fairmeter.data.readings import ReadingTables, join_of_readings, unknown_clients
from fairmeter.data.tables import flags_by_client, flags_by_count, quality_flag

READING_BYTES = 400  # of memory for a row while its part is settled, cleaned and totalled, measured


@dataclass(frozen=True)
class DailyReadings:
    """The days of all clients of readings, as ReadingTables.daily gives them, with quality flags.

    n_readings: of each client, cleaned; rows: the place of each client among those that were read, -1 for none.
    """

    client_ids: np.ndarray
    label: np.ndarray | None
    flags: list[QualityFlag]
    quality: list[tuple[QualityFlag, ...]]
    incidents: tuple[DataIncident, ...]
    n_readings: np.ndarray
    rows: np.ndarray
    parts: Sequence["PartDays"]
    folder: Path
    source: "ReadingsOnDisk"

    def for_clients(self, client_ids: Iterable[str]) -> "DailyReadings":
        """The readings of these clients, in their order; those of others are left out, with a quality flag."""
        wanted = np.array(list(client_ids), object)
        row_of = {client_id: row for row, client_id in enumerate(self.client_ids)}
        old = np.array([row_of.get(client_id, -1) for client_id in wanted], np.int64)
        join = join_of_readings(self.client_ids, wanted, self.n_readings)
        refuse_failed_join(join, "The readings")
        return replace(
            self,
            client_ids=wanted,
            label=None if self.label is None else np.append(self.label, np.nan)[old],
            flags=[*self.flags, *unknown_clients(join)],
            quality=[self.quality[row] if row >= 0 else () for row in old.tolist()],
            n_readings=np.append(self.n_readings, 0)[old],
            rows=np.append(self.rows, -1)[old],
        )

    def daily(self) -> DailyConsumption:
        """The daily consumption of the clients, in their order."""
        return _concatenated(self.parts, self.rows, self.folder)

    def readings(self) -> Iterator[Table]:
        """The cleaned readings of some of the clients at a time, numbered within each table; they are cleaned again."""
        wanted = set(self.client_ids.tolist())
        for part in self.source.parts():
            is_wanted = np.array([client_id in wanted for client_id in part.client_ids.tolist()], bool)
            is_theirs = is_wanted[part.readings["client"]]
            yield {name: column[is_theirs] for name, column in part.readings.items()}


@dataclass(frozen=True)
class PartDays:
    """The days of a part. [numbers: of its clients among those that were read; hours: a file, None without any]"""

    numbers: np.ndarray
    days: DailyConsumption
    hours: Path | None


class DiskSpace(NamedTuple):
    """A folder for temporary files, which must outlive what is read; bytes of memory; called with the rows read."""

    folder: Path
    max_bytes: int
    on_rows: OnRows = lambda _n: None


def readings_on_disk(
    sources: Sequence[Path], readings: Path | None, data_map: DataMap | None, space: DiskSpace
) -> "ReadingsOnDisk":
    """The readings of files of any size, by a map if it states them. [readings: a file or a folder of any name]

    Raises TableError.
    """
    if data_map is not None and data_map.of("readings"):
        named = {} if readings is None else {"readings": readings}
        return ReadingsOnDisk.mapped(MapReader(data_map, tuple(sources), named), space)
    return ReadingsOnDisk.plain(reading_files(tuple(sources), readings), space)


@dataclass
class ReadingsOnDisk:
    """Rows of readings spread over files by client; `parts` gives the cleaned readings of some clients at a time.

    After the last part, `flags`, `quality` and `incidents` are those of all clients. Raises TableError, OSError.
    """

    rows: ReadingRows
    folder: Path
    max_bytes: int
    client_ids: np.ndarray = None
    label: np.ndarray | None = None
    flags: list[QualityFlag] = field(default_factory=list)
    quality: list[tuple[QualityFlag, ...]] = field(default_factory=list)
    incidents: tuple[DataIncident, ...] = ()
    _spilled: list[SpilledRows] = field(default_factory=list)
    _conversions: list[UnitConversion] | None = None
    _counted: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        writer = SpillWriter(self.folder, "readings")
        writer.write(self.rows.tables(), BUFFER_SHARE * self.max_bytes)
        self.client_ids = np.array(list(self.rows.ids), object)
        self._spilled = list(_grouped(writer, self.max_bytes, len(self.client_ids)))

    @classmethod
    def mapped(cls, reader: MapReader, space: DiskSpace) -> "ReadingsOnDisk":
        """The readings that a map states."""
        reader.on_rows = space.on_rows
        return cls(MappedReadingRows(reader), space.folder, space.max_bytes)

    @classmethod
    def plain(cls, files: Sequence[TableFile], space: DiskSpace) -> "ReadingsOnDisk":
        """The readings of files with canonical names."""
        return cls(PlainReadingRows(files, space.on_rows), space.folder, space.max_bytes)

    def parts(self) -> Iterator[ReadingTables]:
        """The cleaned readings of some clients at a time. Raises UnusableReadings after the last one at the latest."""
        if self._conversions is None:
            facts = self._many_clients()
            for _, readings in self._in_order():
                facts.add_parsed(readings)
            self._find_conversions(facts)
        facts = self._many_clients()
        for _, tables, _ in self._cleaned(facts):
            yield tables
        self._finish(facts)

    def daily(self) -> DailyReadings:
        """The days of all clients. Raises UnusableReadings."""
        while True:
            facts, is_final = self._many_clients(), self._conversions is not None
            n, parts = np.zeros(len(self.client_ids), np.int64), []
            for numbers, tables, days in self._cleaned(facts):
                n[numbers] = np.bincount(tables.readings["client"], minlength=len(numbers))
                parts.append(self._part_days(len(parts), numbers, days))
            if not is_final:
                self._find_conversions(facts)
            if is_final or not self._conversions:  # they are rare, so that nothing is looked at beforehand
                break
        self._finish(facts)
        found = self.client_ids, self.label, self.flags, self.quality, self.incidents
        return DailyReadings(*found, n, np.arange(len(n)), parts, self.folder, self)

    def _part_days(self, number: int, numbers: np.ndarray, days: DailyConsumption) -> PartDays:
        file = None
        if days.hours is not None:
            file = self.folder / f"hours-{number:05d}.npy"
            np.save(file, days.hours)
        return PartDays(numbers, replace(days, hours=None), file)

    def _many_clients(self) -> ManyClients:
        return ManyClients(len(self.client_ids), self.rows.place, self.rows.is_unit_stated)

    def _find_conversions(self, facts: ManyClients) -> None:
        self.rows.check()
        facts.refuse_registers()
        self._conversions = facts.unit_conversions(self._in_order)

    def _cleaned(self, facts: ManyClients) -> Iterator[tuple[np.ndarray, ReadingTables, DailyConsumption]]:
        """(numbers of its clients, readings, days) of each part, of which `facts` sees all."""
        conversions = self._conversions or []
        self._counted = {("unit_steps", each.text): np.zeros(len(self.client_ids), np.int64) for each in conversions}
        self.label = None
        for numbers, part in self._open():
            readings = in_order(part.readings)
            facts.add_parsed(readings)
            readings, converted = convert_units(numbers, readings, conversions)
            table, findings = clean_readings(readings)
            found = merged_findings([*converted, *part.findings, *findings])
            days = DailyConsumption.from_readings(table, len(numbers))
            facts.add_cleaned(numbers, table, findings, days)
            self._count(numbers, found)
            if part.label is not None:
                self.label = np.full(len(self.client_ids), np.nan) if self.label is None else self.label
                self.label[numbers] = part.label
            flags = [quality_flag(finding, len(finding.clients)) for finding in found]
            quality = flags_by_client(found, len(numbers))
            yield numbers, ReadingTables(self.client_ids[numbers], part.label, table, flags, quality), days

    def _count(self, numbers: np.ndarray, findings: list[CleaningFinding]) -> None:
        for finding in findings:
            key = finding.flag, finding.text
            counts = self._counted.setdefault(key, np.zeros(len(self.client_ids), np.int64))
            counts[numbers] += np.bincount(finding.clients, minlength=len(numbers))

    def _finish(self, facts: ManyClients) -> None:
        """Refuse what is wrong with all readings, and state what was found in them."""
        facts.refuse()
        factors, n = facts.same_factors(), len(self.client_ids)
        for each in factors:
            key = each.finding.flag, each.finding.text
            self._counted[key] = np.bincount(each.finding.clients, minlength=n)
        findings = in_order_of_rules(
            CleaningFinding(*key, None) for key, counts in self._counted.items() if counts.any()
        )
        counted = [(finding, self._counted[finding.flag, finding.text]) for finding in findings]
        self.flags = self.rows.with_flags([quality_flag(finding, int(counts.sum())) for finding, counts in counted])
        self.quality = flags_by_count(counted, n)
        self.incidents = tuple(each.incident for each in (*(self._conversions or []), *factors))

    # --- rows of a part -----------------------------------------------------------------------------------------------

    def _in_order(self) -> Iterator[tuple[np.ndarray, Table]]:
        for numbers, part in self._open():
            yield numbers, in_order(part.readings)

    def _open(self) -> Iterator[tuple[np.ndarray, PartRows]]:
        """(numbers of its clients, readings before cleaning) of each part."""
        self.rows.start()
        for spilled in self._spilled:
            rows = {name: _filled(column) for name, column in zip(*_columns_of(spilled.read()), strict=True)}
            number = rows.pop(PART_KEY).astype(np.int64)
            is_there = np.zeros(len(self.client_ids), bool)
            is_there[number] = True
            place = np.cumsum(is_there) - 1
            numbers = np.flatnonzero(is_there)
            yield numbers, self.rows.part(numbers, rows | {"client": place[number]})


def _columns_of(table) -> tuple[list[str], list]:
    return table.column_names, table.columns


def _filled(column) -> np.ndarray:
    """A column as NumPy; what is missing is NaN, 0 or False."""
    import pyarrow as pa

    if column.null_count:
        kind = column.type
        column = column.fill_null(
            float("nan") if pa.types.is_floating(kind) else False if pa.types.is_boolean(kind) else 0
        )
    return column.to_numpy()


def _grouped(writer: SpillWriter, max_bytes: int, n_clients: int) -> Iterator[SpilledRows]:
    """Neighbouring files while they fit; one that does not fit alone is split, if its clients can be separated."""
    sizes = writer.counts * READING_BYTES
    can_split = n_clients > FAN_OUT ** (writer.level + 1) and writer.level + 1 < MAX_LEVELS
    group: list[int] = []
    for number in np.flatnonzero(sizes).tolist():
        if group and sizes[[*group, number]].sum() > max_bytes:
            yield writer.rows(group)
            group = []
        if sizes[number] > max_bytes and can_split:
            yield from _grouped(writer.split(number, BUFFER_SHARE * max_bytes), max_bytes, n_clients)
        else:
            group.append(number)
    if group:
        yield writer.rows(group)


# --- days of all clients ----------------------------------------------------------------------------------------------


def _concatenated(parts: Sequence[PartDays], rows: np.ndarray, folder: Path) -> DailyConsumption:
    """The days of some clients in their order. [rows: number of each among those that were read, -1 for none]"""
    n_read = max((int(part.numbers.max()) + 1 for part in parts), default=0)
    counts = np.zeros(n_read + 1, np.int64)
    for part in parts:
        counts[part.numbers] = part.days.segments.counts
    segments = Segments(counts[rows])
    start = np.full(n_read + 1, -1)
    start[rows] = segments.starts
    start[-1] = -1
    day, kwh = np.empty(segments.n_rows, np.int64), np.empty(segments.n_rows)
    export_kwh = np.zeros(segments.n_rows) if _any(parts, "export_kwh") else None
    is_spread = np.zeros(segments.n_rows, bool) if _any(parts, "is_spread") else None
    hours = _on_disk(folder, segments.n_rows) if any(part.hours for part in parts) else None
    for part in parts:
        days = part.days
        first = start[part.numbers]
        here = days.segments.spread(first >= 0)
        at = (days.segments.broadcast(first) + days.segments.position)[here]
        day[at], kwh[at] = days.day[here], days.kwh[here]
        for whole, own in ((export_kwh, days.export_kwh), (is_spread, days.is_spread)):
            if own is not None:
                whole[at] = own[here]
        if hours is not None:
            hours[at] = np.nan if part.hours is None else np.load(part.hours, mmap_mode="r")[here]
    return DailyConsumption(segments, day, kwh, None if hours is None else np.asarray(hours), export_kwh, is_spread)


def _any(parts: Sequence[PartDays], name: str) -> bool:
    return any(getattr(part.days, name) is not None for part in parts)


def _on_disk(folder: Path, n_rows: int) -> np.memmap:
    """Room for the hours of days in a file that is mapped into memory."""
    return np.lib.format.open_memmap(folder / "hours.npy", "w+", np.float64, (max(n_rows, 1), HOURS_PER_DAY))[:n_rows]
