"""A client base, with or without a map -> Tables and ReadingTables: what score.py, train.py and Python read.

In:  a DataMap or None, the paths of a client base, and paths named by kind.
Out: MappedBase. A kind that the map leaves out is read as it is without a map, if it has a file; clients that have none
     are those of the other tables.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES
from fairmeter.data.arrow_reader import parse_table
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous, read_exogenous
from fairmeter.data.files import TableError, TableFile, find_file
from fairmeter.data.maps.map_reader import FILE_KINDS, MapReader
from fairmeter.data.maps.mapped_exogenous import mapped_holidays, mapped_transformers, mapped_weather
from fairmeter.data.maps.mapped_tables import (
    MappedClients,
    MappedInvoices,
    Vocabulary,
    clients_by_id,
    read_mapped_clients,
    read_mapped_invoices,
    read_mapped_readings,
    tables_of,
)
from fairmeter.data.maps.spec import DataMap
from fairmeter.data.parsing import parse_text
from fairmeter.data.partitioned.reading_parts import DailyReadings, DiskSpace, ReadingsOnDisk
from fairmeter.data.readings import ReadingTables, read_readings
from fairmeter.data.tables import (
    CLIENT_FIELDS,
    CLIENT_ID,
    INVOICE_FIELDS,
    Tables,
    client_columns,
    invoice_columns,
    judge_base,
)
from fairmeter.data.transformers import TransformerTables


@dataclass(frozen=True)
class MappedBase:
    """What a map and its files give. [readings: of the clients of the tables, in their order; None without any]"""

    tables: Tables
    readings: ReadingTables | DailyReadings | None
    has_invoices: bool

    def with_reading_flags(self) -> Tables:
        """The tables with the flags of the readings among their own."""
        if self.readings is None:
            return self.tables
        both = zip(self.tables.quality, self.readings.quality, strict=True)
        flags = [*self.tables.flags, *self.readings.flags]
        quality, incidents = [own + more for own, more in both], self.readings.incidents
        return replace(self.tables, quality=quality, flags=flags, incidents=incidents)


def read_mapped_base(
    data_map: DataMap,
    sources: tuple[Path | TableFile, ...],
    clients: Path | None = None,
    invoices: Path | None = None,
    readings: Path | None = None,
    space: DiskSpace | None = None,
) -> MappedBase:
    """The clients, invoices and readings that a map states. Raises TableError.

    space: where readings are totalled to days in parts; None: all of them are in memory.
    """
    named = {"clients": clients, "invoices": invoices, "readings": readings}
    reader = MapReader(data_map, tuple(sources), {kind: path for kind, path in named.items() if path is not None})
    found_readings = _readings(reader, space)
    found_invoices = _invoices(reader)
    if found_readings is None and found_invoices is None:
        raise TableError(
            f"{data_map.name} states neither [invoices] nor [readings], and no file has such a name. Write one of them."
        )
    given = _clients(reader)
    tables = tables_of(given or clients_by_id(_ids_of(found_invoices, found_readings)), found_invoices, reader)
    tables = judge_base(tables, f"The invoices of {data_map.name}")
    if given is None and found_invoices is None:  # readings alone: that a client has no invoice says nothing
        tables = replace(tables, flags=[], quality=[()] * len(tables.quality))
    if found_readings is not None:
        found_readings = found_readings.for_clients(tables.clients["client_id"])
        if found_readings.label is None and "label" in tables.clients:
            found_readings = replace(found_readings, label=tables.clients["label"])
    return MappedBase(tables, found_readings, found_invoices is not None)


def read_readings_of_map(
    data_map: DataMap, sources: tuple[Path | TableFile, ...], readings: Path | None = None
) -> ReadingTables | None:
    """The readings of all their clients, None where there are none. Raises TableError."""
    return _readings(MapReader(data_map, tuple(sources), {"readings": readings} if readings else {}), None)


def _ids_of(invoices: MappedInvoices | None, readings: ReadingTables | DailyReadings | None) -> list[str]:
    ids = dict.fromkeys(invoices.ids if invoices else ())
    return list(ids | dict.fromkeys(readings.client_ids.tolist() if readings else ()))


# --- kinds that a map may leave out -----------------------------------------------------------------------------------


def _clients(reader: MapReader) -> MappedClients | None:
    if reader.data_map.of("clients"):
        return read_mapped_clients(reader)
    source = _unmapped(reader, "clients")
    if source is None:
        return None
    sheet = parse_table(source, CLIENT_FIELDS)
    return MappedClients(client_columns(sheet), sheet.code_names)


def _invoices(reader: MapReader) -> MappedInvoices | None:
    if reader.data_map.of("invoices"):
        return read_mapped_invoices(reader)
    source = _unmapped(reader, "invoices")
    if source is None:
        return None
    vocabulary = Vocabulary()
    owner = CLIENT_ID._replace(convert=partial(_number_of, vocabulary.ids), dtype=np.int64)
    sheet = parse_table(source, (owner, *INVOICE_FIELDS))
    client = sheet.take(owner)
    columns = dict(invoice_columns(sheet))
    return MappedInvoices(list(vocabulary.ids), client, columns, sheet.code_names or NO_CODE_NAMES, [])


def _number_of(ids: dict[str, int], value: object) -> int:
    return ids.setdefault(parse_text(value), len(ids))


def _readings(reader: MapReader, space: DiskSpace | None) -> ReadingTables | DailyReadings | None:
    if reader.data_map.of("readings"):
        return read_mapped_readings(reader) if space is None else ReadingsOnDisk.mapped(reader, space).daily()
    source = _unmapped(reader, "readings")
    if source is None:
        return None
    return read_readings(readings=source) if space is None else ReadingsOnDisk.plain([source], space).daily()


def _unmapped(reader: MapReader, kind: str) -> TableFile | None:
    """The file of a kind that the map leaves out: the one that is named, or one with its word in the name."""
    named = reader.named.get(kind)
    if named is not None:
        return find_file(FILE_KINDS[kind], (), named)
    if reader.is_only_table(kind_of_map(reader.data_map)):
        return None
    taken = {str(source) for source in reader.mapped_files()}
    left = [source for source in reader.files_of_kind(kind) if str(source) not in taken]
    return left[0] if len(left) == 1 else None


def kind_of_map(data_map: DataMap) -> str:
    """The only kind of a map's tables; "" where it has several."""
    kinds = [kind for kind in data_map.tables if data_map.of(kind)]
    return kinds[0] if len(kinds) == 1 else ""


# --- transformers, weather, holidays ----------------------------------------------------------------------------------


def read_mapped_exogenous(
    data_map: DataMap | None, sources: tuple[Path, ...], weather: Path | None, holidays: str | None
) -> Exogenous:
    """Weather and holidays, by the map where it states them. Raises TableError."""
    if data_map is None or not (data_map.of("weather") or data_map.of("holidays")):
        return read_exogenous(weather, holidays)
    named = {"weather": weather, "holidays": Path(holidays) if holidays and Path(holidays).exists() else None}
    reader = MapReader(data_map, tuple(sources), {kind: path for kind, path in named.items() if path is not None})
    found = NO_EXOGENOUS
    is_mapped = {kind: bool(data_map.of(kind)) for kind in named}
    plain = read_exogenous(None if is_mapped["weather"] else weather, None if is_mapped["holidays"] else holidays)
    if is_mapped["weather"]:
        found = found._replace(weather=mapped_weather(reader))
    if is_mapped["holidays"]:
        found = found._replace(holidays=mapped_holidays(reader))
    return Exogenous(found.weather or plain.weather, plain.holidays if found.holidays is None else found.holidays)


def read_mapped_transformers(
    data_map: DataMap | None, sources: tuple[Path, ...], transformers: Path | None
) -> TransformerTables | None:
    """Transformers' totals where the map states them; None where it does not. Raises TableError."""
    if data_map is None or not data_map.of("transformers"):
        return None
    named = {} if transformers is None else {"transformers": transformers}
    return mapped_transformers(MapReader(data_map, tuple(sources), named))
