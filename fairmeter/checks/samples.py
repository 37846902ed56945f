"""Rows of each table as they stand in the file and as they were understood.

In:  the reader of a map; without a map that of an empty one, by which columns have canonical or Kaggle names.
Out: SampleRows of the first rows of each table.
"""

from collections import Counter
from itertools import islice

import numpy as np

from fairmeter.checks.result import SampleRow
from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats import READERS
from fairmeter.data.layouts import CodedColumn, RawTable, open_file
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows
from fairmeter.data.maps.spec import TableSpec

N_SAMPLES = 3
MAX_COLUMNS = 30  # of a file, shown
MAX_TEXT = 80  # characters of a value
ENERGY_NAMES = {0: "electricity", 1: "gas", -1: ""}
QUALITY_NAMES = {0: "actual", 1: "estimated", 2: "missing"}
DAYS = {"invoice_on", "created_on", "labelled_on"}
CANONICAL_NAMES = frozenset(
    name for fields in FIELDS.values() for field in fields.values() for name in (field.name, field.alias) if name
)
HIDDEN = {"series", "divisor", "is_power", "is_utc", "version"}


def sample_rows(reader: MapReader, table: TableSpec) -> tuple[SampleRow, ...]:
    """The first rows of the first file of a table. Raises TableError."""
    source = reader.files(table)[0]
    raw = _first_batch(table, source)
    if raw is None:
        return ()
    first = _head(raw)
    understood = list(islice((row for rows in reader.rows_of(table, first) for row in _described(rows)), N_SAMPLES))
    found = [_found(first, row) for row in range(first.n_rows)]
    places = [f"{source}, {raw.unit} {raw.line(row):,}" for row in range(first.n_rows)]
    # A row of a wide table is understood as many, and a row may be left out: what fits is shown beside, in order.
    return tuple(
        SampleRow(place, cells, understood[i] if i < len(understood) else {})
        for i, (place, cells) in enumerate(zip(places, found, strict=True))
    )


def _first_batch(table: TableSpec, source: TableFile) -> RawTable | None:
    """The first rows of a file with all of its columns; None without a row."""
    if table.reader in READERS:
        return next(iter(READERS[table.reader](source)), None)
    with file_errors(source):
        opened = open_file(source, table.layout._replace(expected=table.columns() or CANONICAL_NAMES))
        return next(iter(opened.batches(None, ())), None)


def _head(raw: RawTable) -> RawTable:
    n = min(N_SAMPLES, raw.n_rows)
    columns = {
        name: CodedColumn(column.values, column.codes[:n]) for name in raw.header if (column := raw.column(name))
    }
    return RawTable.of_columns(
        raw.source, columns, line_at=raw.line, first_row=raw.first_row, above=raw.above, notes=Counter()
    )


def _found(raw: RawTable, row: int) -> dict[str, str]:
    cells = {name: raw.column(name) for name in raw.header[:MAX_COLUMNS]}
    return {name: str(column.values[column.codes[row]])[:MAX_TEXT] for name, column in cells.items()}


def _described(rows: CanonicalRows) -> list[dict[str, str]]:
    """Each row's fields as text, without those that are missing."""
    out = []
    for row in range(rows.n_rows):
        fields = {"client_id": str(rows.client.values[rows.client.codes[row]])}
        fields |= {name: _text(name, column[row]) for name, column in rows.columns.items() if name not in HIDDEN}
        fields |= {name: str(column.values[column.codes[row]]) for name, column in rows.texts.items()}
        out.append({name: text[:MAX_TEXT] for name, text in fields.items() if text})
    return out


def _text(name: str, value) -> str:
    if name in DAYS:
        return "" if np.isnat(day := np.datetime64(int(value), "D")) else str(day)
    if name == "moment":
        return str(np.datetime64(int(value), "m")).replace("T", " ")
    if name == "energy":
        return ENERGY_NAMES.get(int(value), "")
    if name == "quality":
        return QUALITY_NAMES.get(int(value), "")
    return "" if value != value else f"{value:.12g}" if isinstance(value, float | np.floating) else str(value)
