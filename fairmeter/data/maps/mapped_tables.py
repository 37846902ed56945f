"""A client base by its map -> the canonical tables that the other readers give, cleaned by the same rules.

In:  a DataMap, the paths of a client base, and paths named by kind.
Out: Tables and ReadingTables, with flags that say how many rows were read, kept, left out and replaced.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.consumption import LEVELS
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.cleaning import CleaningFinding
from fairmeter.data.date_swaps import DATE_FORM
from fairmeter.data.files import InvalidValue
from fairmeter.data.invoice_rules.client_base import without_unit_check
from fairmeter.data.layouts import CodedColumn
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.rows import table_rows as row_counts
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows, concatenate_rows
from fairmeter.data.maps.settling.clients import client_table, distinct_clients, settle_clients
from fairmeter.data.maps.settling.interval_units import UnitChecks
from fairmeter.data.maps.settling.invoices import settle_invoices
from fairmeter.data.maps.settling.readings import concatenate_readings, merge_exports, settle_readings
from fairmeter.data.maps.spec import TableSpec
from fairmeter.data.reading_cleaning import in_order_of_rules
from fairmeter.data.reading_rules.many_clients import clean_client_base
from fairmeter.data.readings import NO_READINGS, ReadingTables
from fairmeter.data.tables import (
    Tables,
    clean_tables,
    code_names,
    flags_by_client,
    parse_code,
    quality_flag,
)

CODE_FIELDS = ("category", "region", "district", "tariff", "meter_id", "meter_status", "meter_code", "remark")
COUNTED = (
    (row_counts.NOT_KEPT, "rows_not_kept", "Rows left out by keep"),
    (row_counts.DROPPED, "rows_dropped", "Rows left out by drop"),
    (row_counts.NOT_JOINED, "rows_not_joined", "Rows whose client is not found by join, left out"),
    (row_counts.BARE, "rows_without_moment", "Rows without a moment and a value, left out"),
    (row_counts.GAS_VOLUMES, "gas_volumes", "Readings of gas in volumes, left out"),
    (row_counts.APPARENT, "apparent_energy", "Values in kVAh, taken as kWh"),
)


@dataclass
class Vocabulary:
    """The clients' ids by number, in the order of their first appearance."""

    ids: dict[str, int] = field(default_factory=dict)

    def numbers(self, column: CodedColumn) -> np.ndarray:
        """The number of each row's id. [int64]"""
        used = np.unique(column.codes)
        number = np.zeros(len(column.values), np.int64)
        for code in used.tolist():
            number[code] = self.ids.setdefault(column.values[code], len(self.ids))
        return number[column.codes]


def encode_codes(rows: CanonicalRows) -> tuple[Table, CodeNames]:
    """Columns of codes as numbers, and the names of those that are texts."""
    codes, names = {}, NO_CODE_NAMES
    for name in CODE_FIELDS:
        if name in rows.texts:
            column = rows.texts[name]
            codes[name] = np.array([*map(parse_code, column.values), np.nan])[:-1][column.codes]
            used = np.unique(column.codes)
            names |= code_names(name, (column.values[code] for code in used.tolist()))
    return codes, names


# --- clients and invoices ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MappedClients:
    """A row a client as parsed. [table: as client_columns of data/tables.py gives it]"""

    table: Table
    names: CodeNames


def read_mapped_clients(reader: MapReader) -> MappedClients:
    """The clients that the map states. Raises TableError."""
    parts: list[CanonicalRows] = []
    for rows in reader.rows("clients"):
        parts.append(distinct_clients(rows))
    place = f"{reader.data_map.name}, [clients]"
    ids, rows = settle_clients(concatenate_rows(parts), place)
    codes, names = encode_codes(rows)
    return MappedClients(client_table(ids, rows, codes), names)


def clients_by_id(ids: Iterable[str]) -> MappedClients:
    """Clients of whom nothing but the ids is given."""
    return MappedClients({"client_id": np.array(list(ids), object)}, NO_CODE_NAMES)


@dataclass(frozen=True)
class MappedInvoices:
    """Invoices as settled. [client: number of each row's client in ids; findings by that number]"""

    ids: list[str]
    client: np.ndarray
    columns: Table
    names: CodeNames
    findings: list[CleaningFinding]


def read_mapped_invoices(reader: MapReader) -> MappedInvoices:
    """The invoices that the map states, all in memory. Raises TableError."""
    vocabulary, names = Vocabulary(), NO_CODE_NAMES
    by_table: dict[int, list[Table]] = {}
    for rows in reader.rows("invoices"):
        table, found = invoice_columns_of(rows)
        names |= found
        by_table.setdefault(rows.table, []).append(table | {"client": vocabulary.numbers(rows.client)})
    settled, findings = settle_all_invoices(reader.data_map.of("invoices"), by_table)
    client = settled.pop("client")
    return MappedInvoices(list(vocabulary.ids), client, settled, names, findings)


def invoice_columns_of(rows: CanonicalRows) -> tuple[Table, CodeNames]:
    """The columns of canonical invoices with codes as numbers, and the names of codes."""
    codes, names = encode_codes(rows)
    return rows.columns | codes, names


def settle_all_invoices(
    tables: tuple[TableSpec, ...], by_table: dict[int, list[Table]]
) -> tuple[Table, list[CleaningFinding]]:
    """The invoices of all tables of a map as one, sorted by client, and the findings."""
    settled, findings = [], []
    for number, parts in sorted(by_table.items()):
        invoices, found = settle_invoices(tables[number], _stacked(parts))
        settled.append(invoices)
        findings += found
    return _by_client(_stacked(settled)), findings


def _by_client(table: Table) -> Table:
    order = np.lexsort((table["invoice_on"], table["client"]))
    return {name: column[order] for name, column in table.items()}


def _stacked(parts: list[Table]) -> Table:
    """Tables one below the other; a column that one lacks is missing there."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([_of_part(part, name, parts) for part in parts]) for name in names}


def _of_part(part: Table, name: str, parts: list[Table]) -> np.ndarray:
    if name in part:
        return part[name]
    dtype = next(other[name].dtype for other in parts if name in other)
    return np.full(len(part["client"]), np.nan if dtype.kind == "f" else 0, dtype)


def tables_of(
    clients: MappedClients, invoices: MappedInvoices | None, reader: MapReader, is_part: bool = False
) -> Tables:
    """Clean clients and invoices. Raises TableError. [is_part: of a larger client base]"""
    row_of = {client_id: row for row, client_id in enumerate(clients.table["client_id"])}
    if invoices is None:
        return clean_tables(clients.table, np.array([], np.int64), _no_invoices(), lambda: clients.names)
    to_row = np.array([row_of.get(client_id, -1) for client_id in invoices.ids] + [-1], np.int64)
    client = to_row[invoices.client]
    columns = dict(invoices.columns)
    names = clients.names | invoices.names
    unknown_ids = [client_id for client_id in invoices.ids if client_id not in row_of]
    found = clean_tables(clients.table, client, columns.items(), lambda: names, unknown_ids, is_part)
    findings = [f._replace(clients=to_row[f.clients]) for f in invoices.findings]
    found = with_findings(found, findings, reader.counts["invoices"], "invoices")
    if found.summary is not None and _states_unit(reader.data_map.of("invoices")):
        found = replace(found, summary=without_unit_check(found.summary))
    return found


def _states_unit(tables: tuple[TableSpec, ...]) -> bool:
    """Whether a map says what the consumption of invoices is measured in."""
    specs = (table.fields.get(name) for table in tables for name in (*LEVELS, "consumption"))
    return any(spec is not None and (spec.unit is not None or spec.factors) for spec in specs)


def _no_invoices() -> Iterator[tuple[str, np.ndarray]]:
    yield "invoice_on", np.array([], "datetime64[D]")
    yield DATE_FORM, np.array([], np.int8)


def with_findings(tables: Tables, findings: list[CleaningFinding], counts: Counter[str], kind: str) -> Tables:
    """Tables with more findings and the counts of rows as flags."""
    n = len(tables.quality)
    known = [finding._replace(clients=finding.clients[finding.clients >= 0]) for finding in findings]
    more = flags_by_client(known, n)
    quality = [own + new if new else own for own, new in zip(tables.quality, more, strict=True)]
    flags = [*count_flags(counts, kind), *(quality_flag(f, len(f.clients)) for f in findings)]
    return replace(tables, flags=tables.flags + flags, quality=quality)


def count_flags(counts: Counter[str], kind: str) -> list[QualityFlag]:
    """Flags of rows that a map leaves out."""
    return [
        QualityFlag(f"{kind}_{flag}", counts[name], f"{text} ({kind}): {counts[name]:,}.")
        for name, flag, text in COUNTED
        if counts[name]
    ]


# --- readings ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UncleanedReadings:
    """Readings as settled, before the rules of reading_cleaning.py. [table: its client is the number of an id]"""

    ids: np.ndarray
    label: np.ndarray | None
    table: Table
    findings: list[CleaningFinding]


def read_uncleaned_readings(reader: MapReader) -> UncleanedReadings:
    """The readings that the map states, settled, all in memory. Raises TableError."""
    vocabulary = Vocabulary()
    by_table: dict[int, list[Table]] = {}
    for rows in reader.rows("readings"):
        columns = rows.columns | {"client": vocabulary.numbers(rows.client)}
        by_table.setdefault(rows.table, []).append(columns)
    tables, units = reader.data_map.of("readings"), UnitChecks()
    has_consumption = {number: "kwh" in parts[0] for number, parts in by_table.items()}
    table, findings = settle_all_readings(tables, by_table, units, has_consumption)
    units.check(tables)
    ids = np.array(list(vocabulary.ids), object)
    label = label_by_client(table, ids)
    return UncleanedReadings(ids, label, {n: c for n, c in table.items() if n != "label"}, findings)


def read_mapped_readings(reader: MapReader) -> ReadingTables:
    """The readings that the map states, cleaned, all in memory. Raises TableError."""
    found = read_uncleaned_readings(reader)
    # Of units, UnitChecks has judged what the map leaves open.
    table, cleaned, incidents = clean_client_base(found.table, len(found.ids), "readings", is_unit_stated=True)
    findings = merged_findings([*found.findings, *cleaned])
    flags = [*count_flags(reader.counts["readings"], "readings"), *(quality_flag(f, len(f.clients)) for f in findings)]
    return ReadingTables(found.ids, found.label, table, flags, flags_by_client(findings, len(found.ids)), incidents)


def settle_all_readings(
    tables: tuple[TableSpec, ...],
    by_table: dict[int, list[Table]],
    units: UnitChecks,
    has_consumption: dict[int, bool],
) -> tuple[Table, list[CleaningFinding]]:
    """The readings of all tables of a map as one, and the findings; `units` sees the readings of each table.

    has_consumption: by number of the table, whether its rows have more than what was fed in.
    """
    consumption, exports, findings = [], [], []
    for number, parts in sorted(by_table.items()):
        settled = settle_readings(tables[number], _stacked(parts))
        findings += settled.findings
        is_export_only = "consumption_kwh" not in tables[number].fields and not has_consumption[number]
        (exports if is_export_only else consumption).append(settled.readings)
        if not is_export_only:
            units.add(number, tables[number], settled.readings)
    readings = concatenate_readings(consumption) if consumption else dict(NO_READINGS)
    for export in exports:
        readings = merge_exports(readings, export)
    return readings, findings


def merged_findings(findings: list[CleaningFinding]) -> list[CleaningFinding]:
    """Findings of one flag and text as one, in the order of the rules."""
    alike: dict[tuple[str, str], CleaningFinding] = {}
    for finding in findings:
        before = alike.get((finding.flag, finding.text))
        clients = finding.clients if before is None else np.concatenate([before.clients, finding.clients])
        alike[finding.flag, finding.text] = finding._replace(clients=clients)
    return in_order_of_rules(alike.values())


def label_by_client(readings: Table, ids: np.ndarray) -> np.ndarray | None:
    """The label of each client, the same in all its rows that have one. Raises InvalidValue."""
    if "label" not in readings:
        return None
    lowest = np.full(len(ids), np.nan)
    highest = lowest.copy()
    np.fmin.at(lowest, readings["client"], readings["label"])
    np.fmax.at(highest, readings["client"], readings["label"])
    if (differs := np.flatnonzero(lowest < highest)).size:
        raise InvalidValue(f"The readings have label 0 and label 1 for client {ids[differs[0]]!r}; keep one of them.")
    return lowest
