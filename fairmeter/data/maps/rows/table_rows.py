"""The row-wise stage: a batch of a file -> canonical rows, as one table of a map states them.

In:  a RawTable and a TableSpec; lookups in other tables.
Out: CanonicalRows with counts of what was read, kept and dropped. Each row depends on itself alone, so that the size of
     batches does not matter.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.data.date_swaps import DATE_FORM, DateForm
from fairmeter.data.layouts import CodedColumn, RawTable
from fairmeter.data.maps.fields import FIELDS, MapField
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows
from fairmeter.data.maps.rows.joins import JoinedLabels, Joins
from fairmeter.data.maps.rows.wide_tables import WidePart, wide_parts
from fairmeter.data.maps.spec import TableSpec, ValueSpec
from fairmeter.data.maps.values import converting
from fairmeter.data.maps.values.columns import (
    Batch,
    Misfit,
    constant_column,
    has_source,
    joined_texts,
    matching_rows,
)
from fairmeter.data.maps.values.quantities import energy_of_power, to_energy
from fairmeter.data.parsing import INVOICE_DAYS, NAT, is_slashed_date, parse_text

READ, KEPT = "rows read", "rows kept"
NOT_KEPT, DROPPED = "left out by keep", "left out by drop"
NOT_JOINED, BARE = "whose client is not found by join", "without a moment and a value"
EMPTY_CELLS = "empty cells of wide columns"
GAS_VOLUMES, APPARENT = "gas in m3 among readings", "kVAh taken as kWh"


def with_default_fields(table: TableSpec, has: Callable[[str], bool]) -> TableSpec:
    """A table with the fields that the map leaves out, where the file has their canonical or Kaggle name."""
    given = set(table.fields) | {wide.to for wide in table.wide} | {wide.name for wide in table.wide if wide.name}
    given |= {"months"} if table.months else set()
    found = {}
    for field in FIELDS[table.kind].values():
        name = next((name for name in (field.name, field.alias) if name and has(name)), None)
        if field.name not in given and name is not None:
            found[field.name] = ValueSpec(
                f"{table.place} {field.name}",
                columns=(name,),
                decimal=table.decimal,
                thousands=table.thousands,
                missing=table.missing,
                zone=table.zone,
            )
    return replace(table, fields=found | dict(table.fields)) if found else table


def canonical_rows(
    table: TableSpec, number: int, raw: RawTable, joins: Joins, formats: dict[str, str]
) -> Iterator[CanonicalRows]:
    """The rows of a batch. [number: of the table in its map; formats: by place, of values with several]

    Raises Misfit, TableError.
    """
    table = with_default_fields(table, raw.has)
    counts = Counter({READ: raw.n_rows})
    mask = matching_rows(table.keep, Batch(table, raw, np.arange(raw.n_rows)))
    counts[NOT_KEPT] = int((~mask).sum())
    for pair in table.drop:
        dropped = matching_rows([pair], Batch(table, raw, np.arange(raw.n_rows))) & mask
        counts[DROPPED] += int(dropped.sum())
        mask &= ~dropped
    batch = Batch(table, raw, np.flatnonzero(mask), joins.column, dict(formats))
    try:
        for part in wide_parts(batch) if table.wide else [None]:
            found = _joined_only(BUILDERS[table.kind](batch, part, joins), batch)
            found.table = number
            found.counts.update(counts)
            found.counts[KEPT] += found.n_rows
            counts.clear()  # those of the batch count once
            yield found
    except Misfit as misfit:
        at = misfit.row if misfit.row < batch.n_rows else 0
        misfit.row = int(batch.rows[at]) if batch.n_rows else 0
        raise


def _joined_only(rows: CanonicalRows, batch: Batch) -> CanonicalRows:
    """Rows whose client was found by its join."""
    spec = batch.table.fields.get("client_id")
    if spec is None or spec.source != "join":
        return rows
    empty = np.array([value == "" for value in rows.client.values] + [False])[rows.client.codes]
    rows.counts[NOT_JOINED] += int(empty.sum())
    return rows.select(~empty) if empty.any() else rows


def _given(batch: Batch, name: str) -> ValueSpec | None:
    """The specification of a field that the file has."""
    spec = batch.table.fields.get(name)
    return spec if spec is not None and spec.source != "none" and has_source(spec, batch.raw) else None


# --- what all tables have ---------------------------------------------------------------------------------------------


def _client_column(batch: Batch, part: WidePart | None) -> CodedColumn:
    if part is not None and part.client_id is not None:
        return part.client_id
    column = converting.ids(batch.table.fields["client_id"], batch)
    return column if part is None else CodedColumn(column.values, part.spread(column.codes))


def _texts(batch: Batch, part: WidePart | None) -> dict[str, CodedColumn]:
    found = {}
    for field in FIELDS[batch.table.kind].values():
        spec = _given(batch, field.name)
        if field.reading not in ("code", "text"):
            continue
        if part is not None and field.name in part.texts:
            found[field.name] = part.texts[field.name]
        elif spec is not None:
            column = converting.texts(spec, batch)
            found[field.name] = column if part is None else CodedColumn(column.values, part.spread(column.codes))
    return found


def _spread(part: WidePart | None, column: np.ndarray) -> np.ndarray:
    return column if part is None else part.spread(column)


def _common(batch: Batch, part: WidePart | None) -> dict[str, np.ndarray]:
    """Series and version."""
    columns = {}
    table = batch.table
    if table.series:
        texts = joined_texts([batch.raw_column(name) for name in table.series])
        columns["series"] = _spread(part, _hashes(texts))
    if table.version is not None and has_source(table.version, batch.raw):
        columns["version"] = _spread(part, converting.versions(table.version, batch))
    return columns


def _hashes(column: CodedColumn) -> np.ndarray:
    """A number for each text, the same in every batch and on every machine. [int64]"""
    hashes = [
        int.from_bytes(blake2b(parse_text(value).encode(), digest_size=8).digest(), "big", signed=True)
        for value in column.values
    ]
    return np.array([*hashes, 0], np.int64)[:-1][column.codes]


def _numbers(batch: Batch, part: WidePart | None, fields: list[MapField]) -> dict[str, np.ndarray]:
    found = {}
    for field in fields:
        spec = _given(batch, field.name)
        if part is not None and field.name in part.numbers:
            found[field.name] = part.numbers[field.name]
        elif spec is not None:
            found[field.name] = _spread(part, converting.scaled_numbers(spec, batch))
    return found


def _quality(batch: Batch, part: WidePart | None) -> np.ndarray | None:
    spec = _given(batch, "quality")
    if part is not None and "quality" in part.numbers:
        return part.numbers["quality"].astype(np.int8)
    found = None if spec is None else converting.qualities(spec, batch)
    return None if found is None else _spread(part, found)


# --- clients ----------------------------------------------------------------------------------------------------------


def _client_rows(batch: Batch, part: WidePart | None, joins: Joins) -> CanonicalRows:
    columns = _numbers(batch, part, [f for f in FIELDS["clients"].values() if f.reading == "number"])
    columns |= _common(batch, part)
    joined = _joined_labels(batch, joins)
    if joined is not None:
        columns["label"], day = joined.of(batch.table.fields["label"], batch)
        if "labelled_on" in batch.table.fields:
            columns["labelled_on"] = day
    for name in ("created_on", "labelled_on"):
        spec = _given(batch, name)
        if spec is not None and name not in columns:
            columns[name] = converting.days(spec, batch)
    label = _given(batch, "label")
    if label is not None and "label" not in columns:
        columns["label"] = converting.labels(label, batch)
    return CanonicalRows(0, _client_column(batch, part), columns, _texts(batch, part))


def _joined_labels(batch: Batch, joins: Joins) -> JoinedLabels | None:
    """Labels of another table, with the day of the same row."""
    label, dated = batch.table.fields.get("label"), batch.table.fields.get("labelled_on")
    if label is None or label.source != "join":
        return None
    is_same = dated is not None and dated.source == "join" and dated.join.table == label.join.table
    key = ("labels", label.join, label.columns)
    if key not in joins.tables:
        joins.tables[key] = joins.labels(label, dated if is_same else None)
    return joins.tables[key]


# --- invoices ---------------------------------------------------------------------------------------------------------


def _invoice_rows(batch: Batch, part: WidePart | None, _joins: Joins) -> CanonicalRows:
    fields = FIELDS["invoices"].values()
    columns = _numbers(batch, part, [f for f in fields if f.reading == "number"]) | _common(batch, part)
    counts: Counter[str] = Counter()
    for field in fields:
        if field.reading != "quantity":
            continue
        if part is not None and field.name in part.quantities:
            columns[field.name] = _energy(part.quantities[field.name], counts, is_gas=True)
        elif (spec := _given(batch, field.name)) is not None:
            found = converting.energies(spec, batch, adds_empty=True)
            columns[field.name] = _spread(part, _energy(found, counts, is_gas=True))
    columns["invoice_on"] = part.day if part is not None and part.day is not None else _days(batch, part)
    columns[DATE_FORM] = _date_forms(batch, part, len(columns["invoice_on"]))
    months = _months(batch)
    if months is not None:
        columns["months"] = _spread(part, months)
    energy = _given(batch, "energy")
    if energy is not None:
        columns["energy"] = _spread(part, converting.energy_kinds(energy, batch))
    quality = _quality(batch, part)
    if quality is not None:
        columns["quality"] = quality
    rows = CanonicalRows(0, _client_column(batch, part), columns, _texts(batch, part), counts)
    return _without_empty_cells(rows, part)


def _days(batch: Batch, part: WidePart | None) -> np.ndarray:
    spec = batch.table.fields["invoice_on"]
    days = converting.days(spec, batch)
    if (bad := np.flatnonzero(days == NAT)).size:
        raise Misfit(spec, "", int(bad[0]), "empty day")
    if (bad := np.flatnonzero((days < INVOICE_DAYS[0]) | (days >= INVOICE_DAYS[1]))).size:
        raise Misfit(spec, str(np.datetime64(int(days[bad[0]]), "D")), int(bad[0]), "year")
    return _spread(part, days)


def _date_forms(batch: Batch, part: WidePart | None, n: int) -> np.ndarray:
    """The DateForm of each row. [int8, (n,)]"""
    spec = batch.table.fields.get("invoice_on")
    is_stated = spec is None or batch.table.wide or spec.formats
    column = None if is_stated else converting.source_column(spec, batch)
    if column is None:
        return np.full(n, DateForm.STATED, np.int8)
    is_slashed = np.array([is_slashed_date(value) for value in column.values], bool)
    return _spread(part, np.where(is_slashed, DateForm.SLASHED, DateForm.PLAIN).astype(np.int8)[column.codes])


def _months(batch: Batch) -> np.ndarray | None:
    """Whole months, rounded, at least 1; NaN where a date is missing."""
    stated = batch.table.months
    if stated is None:
        spec = _given(batch, "months")
        return None if spec is None else converting.scaled_numbers(spec, batch)
    if stated.number is not None:
        number = converting.numbers(stated.number, batch)
        return number if stated.unit == "months" else whole_months(number)
    start, end = (converting.days(part, batch) for part in (stated.start, stated.end))
    is_known = (start != NAT) & (end != NAT)
    return whole_months(np.where(is_known, (end - np.where(is_known, start, end)).astype(float), np.nan))


def whole_months(days: np.ndarray) -> np.ndarray:
    """Days as whole months, rounded, at least 1; days below 0 stay a number that cleaning refuses."""
    months = np.rint(days / DAYS_PER_MONTH)
    return np.where(days < 0, months, np.maximum(months, 1.0))


def _energy(found: converting.Energies, counts: Counter[str], is_gas: bool) -> np.ndarray:
    """kWh, or m3 of gas, of numbers that are no powers."""
    counts[APPARENT] += int(found.is_apparent.sum())
    if not is_gas:
        counts[GAS_VOLUMES] += int(found.is_volume.sum())
    return to_energy(found.number, found.multiplier, found.divisor)


def _without_empty_cells(rows: CanonicalRows, part: WidePart | None) -> CanonicalRows:
    if part is None:
        return rows
    rows.counts[EMPTY_CELLS] += int((~part.is_filled).sum())
    return rows if part.is_filled.all() else rows.select(part.is_filled)


# --- readings ---------------------------------------------------------------------------------------------------------


def _reading_rows(batch: Batch, part: WidePart | None, _joins: Joins) -> CanonicalRows:
    counts: Counter[str] = Counter()
    columns = _common(batch, part)
    length = _spread(part, _length(batch))
    if part is not None and part.minutes is not None:
        length = np.full(len(length), part.minutes)
    is_volume = np.zeros(len(length), bool)
    for name, column in (("consumption_kwh", "kwh"), ("export_kwh", "export")):
        found = _energies_of_field(batch, part, name)
        if found is None:
            continue
        is_volume |= found.is_volume
        values = _energy(found, counts, is_gas=False)
        if batch.table.is_register:  # differences first: what a register shows is no energy
            columns |= {f"{column}_multiplier": found.multiplier, f"{column}_divisor": found.divisor}
            values = found.number
        elif found.is_power.any():
            # Without a length the power waits for the client-wise stage, undivided, so that it is rounded once.
            power, is_known = found.number * found.multiplier, ~np.isnan(length)
            energy = np.where(is_known, energy_of_power(power, found.divisor, length), power)
            values = np.where(found.is_power, energy, values)
            columns[f"{column}_is_power"] = found.is_power & ~is_known
            columns[f"{column}_divisor"] = found.divisor
        columns[column] = values
    columns["minutes"] = length
    if part is not None and part.moment is not None:
        columns["moment"], columns["is_utc"] = part.moment, part.is_utc
    else:
        found = converting.moments(batch.table.fields["read_at"], batch)
        columns["moment"], columns["is_utc"] = _spread(part, found.minute), _spread(part, found.is_utc)
    quality = _quality(batch, part)
    if quality is not None:
        columns["quality"] = quality
    label = _given(batch, "label")
    if label is not None:
        columns["label"] = _spread(part, converting.labels(label, batch))
    rows = CanonicalRows(0, _client_column(batch, part), columns, {}, counts)
    rows = _without_empty_cells(rows, part)
    rows = rows.select(~is_volume) if part is None and is_volume.any() else rows
    return _with_moment(rows, batch)


def _length(batch: Batch) -> np.ndarray:
    """Stated lengths of intervals, of the quantities or of the moments. [minutes, NaN unknown]"""
    length = np.full(batch.n_rows, np.nan)
    for name in ("consumption_kwh", "export_kwh", "read_at"):
        spec = batch.table.fields.get(name)
        if spec is not None and spec.minutes is not None and (spec.source == "none" or has_source(spec, batch.raw)):
            length = np.where(np.isnan(length), converting.minutes(spec.minutes, batch), length)
    return length


def _energies_of_field(batch: Batch, part: WidePart | None, name: str) -> converting.Energies | None:
    if part is not None and name in part.quantities:
        return part.quantities[name]
    spec = _given(batch, name)
    found = None if spec is None else converting.energies(spec, batch)
    if found is None or part is None:
        return found
    return converting.Energies(*(part.spread(column) for column in found))


def _with_moment(rows: CanonicalRows, batch: Batch) -> CanonicalRows:
    """Rows that have a moment; one without it must be without a value too. Raises Misfit."""
    has_none = rows.columns["moment"] == NAT
    if not has_none.any():
        return rows
    known = np.zeros(rows.n_rows, bool)
    for name in ("kwh", "export"):
        if name in rows.columns:
            known |= ~np.isnan(rows.columns[name])
    if (bad := np.flatnonzero(has_none & known)).size:
        raise Misfit(batch.table.fields["read_at"], "", int(bad[0]), "empty moment")
    rows.counts[BARE] += int(has_none.sum())
    return rows.select(~has_none)


# --- transformers, weather, holidays ----------------------------------------------------------------------------------


def _transformer_rows(batch: Batch, part: WidePart | None, _joins: Joins) -> CanonicalRows:
    columns = _numbers(batch, part, [f for f in FIELDS["transformers"].values() if f.reading in ("number", "flag")])
    counts: Counter[str] = Counter()
    for name in ("delivered_kwh", "losses_kwh"):
        found = _energies_of_field(batch, part, name)
        if found is not None:
            columns[name] = _energy(found, counts, is_gas=False)
    columns["day"] = _days_of(batch, part, "measured_on")
    ids = converting.ids(batch.table.fields["transformer_id"], batch)
    ids = ids if part is None else CodedColumn(ids.values, part.spread(ids.codes))
    return _without_empty_cells(CanonicalRows(0, ids, columns, _texts(batch, part), counts), part)


def _weather_rows(batch: Batch, part: WidePart | None, _joins: Joins) -> CanonicalRows:
    columns = _numbers(batch, part, [FIELDS["weather"]["temperature"]])
    columns["day"] = _days_of(batch, part, "date")
    return CanonicalRows(0, constant_column("", len(columns["day"])), columns)


def _holiday_rows(batch: Batch, part: WidePart | None, _joins: Joins) -> CanonicalRows:
    days = _days_of(batch, part, "date")
    return CanonicalRows(0, constant_column("", len(days)), {"day": days})


def _days_of(batch: Batch, part: WidePart | None, name: str) -> np.ndarray:
    """Days that are never missing. Raises Misfit."""
    if part is not None and part.day is not None:
        return part.day
    spec = batch.table.fields[name]
    days = converting.days(spec, batch)
    if (bad := np.flatnonzero(days == NAT)).size:
        raise Misfit(spec, "", int(bad[0]), "empty day")
    return _spread(part, days)


BUILDERS = {
    "clients": _client_rows,
    "invoices": _invoice_rows,
    "readings": _reading_rows,
    "transformers": _transformer_rows,
    "weather": _weather_rows,
    "holidays": _holiday_rows,
}
