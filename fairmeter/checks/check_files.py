"""Files of a utility -> everything that a check finds in them: `score.py --check`, the desk's import.

In:  paths, and a map or none; the same reading and cleaning as scoring and training have.
Out: CheckResult. What cannot be read is a finding, not an error.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from fairmeter.checks.client_checks import ClientChecks
from fairmeter.checks.findings import CheckFinding, CheckLevel
from fairmeter.checks.invoice_checks import InvoiceChecks
from fairmeter.checks.reading_checks import ReadingChecks
from fairmeter.checks.result import CheckResult, TableSummary
from fairmeter.checks.samples import sample_rows
from fairmeter.core.types import QualityFlag
from fairmeter.data.files import TableError, find_files
from fairmeter.data.maps.map_file import EMPTY_MAP
from fairmeter.data.maps.map_reader import FILE_KINDS, MapReader
from fairmeter.data.maps.rows.table_rows import with_default_fields
from fairmeter.data.maps.rows.wide_tables import wide_columns
from fairmeter.data.maps.spec import DataMap, TableSpec
from fairmeter.data.partitioned.reading_parts import DailyReadings, DiskSpace
from fairmeter.data.readings import ReadingTables
from fairmeter.data.tables import Tables
from fairmeter.scoring.inputs import read_base_tables
from fairmeter.wording.phrases import Phrase

MOST_UNKNOWN = 0.05  # share of rows of unknown clients, from which they are a finding
KINDS = ("clients", "invoices", "readings")
FLAGS_TO_LOOK_AT = {
    "index_runs_backwards": 0.05,
    "index_not_sum_of_levels": 0.2,
    "impossible_quantities": 0.02,
    "impossible_months": 0.05,
    "conflicting_readings": 0.05,
    "gap_days": 0.2,
    "invoices_of_unknown_clients": MOST_UNKNOWN,
    "readings_of_unknown_clients": MOST_UNKNOWN,
}


def check_files(
    sources: Sequence[Path],
    data_map: DataMap | None = None,
    clients: Path | None = None,
    invoices: Path | None = None,
    readings: Path | None = None,
    space: DiskSpace | None = None,
) -> CheckResult:
    """Read, clean and look at the files; nothing is judged. [clients, invoices, readings: files of any name]

    space: where readings larger than memory are looked at in parts, with the same result.
    """
    named = {"clients": clients, "invoices": invoices, "readings": readings}
    reader = MapReader(
        data_map if data_map is not None else EMPTY_MAP,
        tuple(sources),
        {kind: path for kind, path in named.items() if path is not None},
    )
    summaries, problems = _summaries(reader)
    try:
        tables, found = read_base_tables(sources, clients, invoices, readings, data_map, space)
    except TableError as error:
        problems += [CheckFinding(CheckLevel.UNUSABLE, "files", line) for line in str(error).splitlines()]
        return CheckResult(summaries, None, None, None, (), (), tuple(dict.fromkeys(problems)))
    return _result(tables, found, summaries, problems)


def _result(
    tables: Tables,
    readings: ReadingTables | DailyReadings | None,
    summaries: tuple[TableSummary, ...],
    problems: list[CheckFinding],
) -> CheckResult:
    of_readings = n_days = None
    if readings is not None:
        of_readings = ReadingChecks()
        if isinstance(readings, DailyReadings):
            for part in readings.readings():
                of_readings.add(part)
            n_days = readings.n_readings
        else:
            of_readings.add(readings.readings)
            n_days = np.bincount(readings.readings["client"], minlength=len(tables.quality))
    clients = ClientChecks.of(tables.clients, tables.invoices, tables.code_names, n_days)
    invoices = InvoiceChecks.of(tables.invoices)
    n_rows = {"invoices": invoices.n if invoices else 0, "readings": of_readings.n if of_readings else 0}
    findings = [*problems, *(invoices.findings() if invoices else ()), *_of_flags(tables.flags, n_rows)]
    findings += [*(of_readings.findings() if of_readings else ()), *_of_labels(clients)]
    return CheckResult(
        summaries, clients, invoices, of_readings, tuple(tables.flags), tables.missing, tuple(dict.fromkeys(findings))
    )


def _of_flags(flags: Sequence[QualityFlag], n_rows: dict[str, int]) -> Iterator[CheckFinding]:
    """Flags on so many rows that they are to be looked at. [n_rows: by table]"""
    for flag in flags:
        least = FLAGS_TO_LOOK_AT.get(flag.flag)
        table = "readings" if "reading" in flag.flag or flag.flag == "gap_days" else "invoices"
        if least is not None and flag.n > least * max(n_rows[table], 1):
            yield CheckFinding(CheckLevel.LOOK, table, flag.text.rstrip("."), flag=flag)


def _of_labels(clients: ClientChecks) -> Iterator[CheckFinding]:
    labels = clients.labels
    if labels and labels.n_inspected and labels.n_frauds in (0, labels.n_inspected):
        text = Phrase("check.all_frauds" if labels.n_frauds else "check.no_fraud", inspected=labels.n_inspected)
        yield CheckFinding(CheckLevel.LOOK, "clients", text, "label = {column = ..., values = {... = 1, ... = 0}}")


# --- rows of each table -----------------------------------------------------------------------------------------------


def _summaries(reader: MapReader) -> tuple[tuple[TableSummary, ...], list[CheckFinding]]:
    """Rows of each table, and what cannot be read of them."""
    found, problems = [], []
    for kind in KINDS:
        for table in reader.data_map.of(kind) or _unmapped(reader, kind):
            try:
                found.append(_summary(reader, table))
            except TableError as error:
                problems += [CheckFinding(CheckLevel.UNUSABLE, kind, line) for line in str(error).splitlines()]
    return tuple(found), problems


def _unmapped(reader: MapReader, kind: str) -> list[TableSpec]:
    """The table of a kind that the map leaves out, if a file has its name."""
    named = reader.named.get(kind)
    if named is None and not find_files(FILE_KINDS[kind], tuple(reader.sources)):
        return []
    return [TableSpec(kind, f"[{kind}]")]


def _summary(reader: MapReader, table: TableSpec) -> TableSummary:
    files = tuple(map(str, reader.files(table)))
    samples = sample_rows(reader, table)
    header = samples[0].found if samples else {}
    # The clients may stand in the file of the invoices, so a column is unused if no table uses it.
    used = {name for kind in KINDS for each in reader.data_map.of(kind) for name in _used(each, header)}
    return TableSummary(table.kind, files, tuple(name for name in header if used and name not in used), samples)


def _used(table: TableSpec, header: Collection[str]) -> set[str]:
    """The columns of a header that a table takes."""
    wide = {name for each in table.wide for name in wide_columns(each, list(header))}
    return wide | with_default_fields(table, lambda name: name in header).columns()
