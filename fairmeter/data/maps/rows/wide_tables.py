"""Wide tables: columns that stand for dates, times of the day, slots or clients -> one row for each cell.

In:  a Batch whose table states families of wide columns, matched by what their names mean.
Out: WideParts, each with some of the columns; a part has a row for each row of the batch and each of its columns.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.data.files import MissingColumns, TableError, UnreadableDate
from fairmeter.data.layouts import CodedColumn
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.rows.canonical_rows import concatenate_coded
from fairmeter.data.maps.spec import ValueSpec, WideSpec
from fairmeter.data.maps.values import converting
from fairmeter.data.maps.values.columns import Batch
from fairmeter.data.maps.values.date_formats import DAY, DateFormat
from fairmeter.data.parsing import NAT

MAX_CELLS = 2_000_000  # of one part, so that a wide file of many rows fits into memory
DATE, TIME, SLOT, NAME = "date", "time", "slot", "name"


@dataclass
class WidePart:
    """Rows of some wide columns, column by column within each row of the batch.

    n: columns; quantities, numbers, texts: by field; is_filled: marks rows with a value. None where names say nothing.
    """

    n: int
    quantities: dict[str, converting.Energies]
    numbers: dict[str, np.ndarray]
    texts: dict[str, CodedColumn]
    is_filled: np.ndarray
    client_id: CodedColumn | None = None
    day: np.ndarray | None = None
    moment: np.ndarray | None = None
    is_utc: np.ndarray | None = None
    minutes: float | None = None

    def spread(self, column: np.ndarray) -> np.ndarray:
        """A column of the batch, each value for each of the wide columns."""
        return np.repeat(column, self.n)


def wide_columns(wide: WideSpec, header: list[str]) -> list[str]:
    """The columns of a family that a file has."""
    return [name for name in header if re.fullmatch(wide.columns, name.partition("#")[0] if "#" in name else name)]


def wide_parts(batch: Batch) -> Iterator[WidePart]:
    """The parts of a batch, each of at most MAX_CELLS cells. Raises MissingColumns, UnreadableDate."""
    families = [_family(wide, batch) for wide in batch.table.wide]
    kinds = {kind for kind, _ in families}
    if len(kinds) > 1:
        raise TableError(
            f"{batch.table.place} wide: its families are {' and '.join(sorted(kinds))}. Write two tables: [[...]]"
        )
    keys = list(dict.fromkeys(key for _, columns in families for key in columns))
    at_once = max(1, MAX_CELLS // max(batch.n_rows, 1))
    for first in range(0, len(keys), at_once):
        yield _part(batch, [columns for _, columns in families], kinds.copy().pop(), keys[first : first + at_once])


def _family(wide: WideSpec, batch: Batch) -> tuple[str, dict[object, str]]:
    """(what the names are, {its value: the column})."""
    names = wide_columns(wide, batch.raw.header)
    if not names:
        raise MissingColumns(
            f"{wide.place}: no column of {batch.raw.source} fits columns = '{wide.columns}'. It has: "
            f"{', '.join(batch.raw.header[:20])}. Correct the pattern."
        )
    year = _year(wide, batch)
    keys = {}
    for name in names:
        text = name
        if wide.pattern is not None:
            found = re.search(wide.pattern, name)
            if found is None:
                raise UnreadableDate(
                    f"{wide.place}: the column {name!r} does not fit pattern = '{wide.pattern}'. Correct it."
                )
            text = next((part for part in found.groups() if part is not None), found[0])
        key = _key(wide, text, year)
        if key is None:
            raise UnreadableDate(
                f"{wide.place}: the column {name!r} of {batch.raw.source} does not fit "
                f"{wide.slot or wide.formats!r}{'' if year else ' (a year is needed: year = 2024)'}. Correct it."
            )
        if key in keys:
            raise MissingColumns(
                f"{wide.place}: {keys[key]!r} and {name!r} of {batch.raw.source} are the same {_kind(wide)}."
            )
        keys[key] = name
    return _kind(wide), keys


def _kind(wide: WideSpec) -> str:
    if wide.name is not None:
        return NAME
    if wide.slot is not None:
        return SLOT
    return DATE if any(DateFormat.of(form, wide.locale).has_date for form in wide.formats) else TIME


def _key(wide: WideSpec, text: str, year: int | None) -> object:
    if wide.name is not None:
        return text
    if wide.slot is not None:
        found = re.search(wide.slot, text)
        return int(found[1]) if found and found.groups() and found[1].isdecimal() else None
    for form in wide.formats:
        moment = DateFormat.of(form, wide.locale).moment(text, wide.day, 1970 if _kind(wide) == TIME else year)
        if moment is not None:
            return moment.minute % DAY if _kind(wide) == TIME else moment.minute
    return None


def _year(wide: WideSpec, batch: Batch) -> int | None:
    if not isinstance(wide.year, ValueSpec):
        return wide.year
    found = converting.numbers(wide.year, batch)
    return int(found[0]) if found is not None and len(found) and not np.isnan(found[0]) else None


def _part(batch: Batch, families: list[dict[object, str]], kind: str, keys: list) -> WidePart:
    n = len(keys)
    part = WidePart(n, {}, {}, {}, np.zeros(batch.n_rows * n, bool))
    for wide, columns in zip(batch.table.wide, families, strict=True):
        reading = FIELDS[batch.table.kind][wide.to].reading
        spec = batch.table.fields.get(wide.to) or ValueSpec(
            wide.place,
            "none",
            decimal=batch.table.decimal,
            thousands=batch.table.thousands,
            missing=batch.table.missing,
        )
        if reading in ("code", "text"):
            part.texts[wide.to] = _texts(batch, spec, [columns.get(key) for key in keys])
            filled = np.array([value != "" for value in part.texts[wide.to].values])[part.texts[wide.to].codes]
        else:
            read = converting.qualities if reading == "quality" else converting.numbers
            matrix = _matrix(batch, spec, [columns.get(key) for key in keys], read)
            filled = ~np.isnan(matrix.ravel()) & (reading != "quality")
            if reading == "quantity":
                found = converting.energies_of(spec, batch, matrix)
                spread = [part.spread(column) for column in found[1:]]
                part.quantities[wide.to] = converting.Energies(matrix.ravel(), *spread)
            else:
                part.numbers[wide.to] = matrix.ravel()
        part.is_filled |= filled
    _place(part, batch, kind, keys)
    return part


def _one(spec: ValueSpec, name: str) -> ValueSpec:
    return replace(spec, source="column", columns=(name,))


def _matrix(batch: Batch, spec: ValueSpec, names: list[str | None], read: Callable) -> np.ndarray:
    """Numbers, a row for each row of the batch. [names: None where a family lacks the column]"""
    matrix = np.full((batch.n_rows, len(names)), np.nan)
    for i, name in enumerate(names):
        if name is not None:
            matrix[:, i] = read(_one(spec, name), batch)
    return matrix


def _texts(batch: Batch, spec: ValueSpec, names: list[str | None]) -> CodedColumn:
    empty = CodedColumn([""], np.zeros(batch.n_rows, np.int32))
    columns = [empty if name is None else converting.texts(_one(spec, name), batch) for name in names]
    whole = concatenate_coded(columns)
    return CodedColumn(whole.values, whole.codes.reshape(len(names), batch.n_rows).T.ravel())


def _place(part: WidePart, batch: Batch, kind: str, keys: list) -> None:
    """Fill what the names of columns state."""
    n_rows = batch.n_rows
    if kind == NAME:
        values = [converting.parse_map_id(key) for key in keys]
        part.client_id = CodedColumn(values, np.tile(np.arange(len(keys), dtype=np.int32), n_rows))
        return
    if kind == DATE:
        minute = np.tile(np.array(keys, np.int64), n_rows)
        if batch.table.kind == "readings":
            part.moment, part.is_utc = minute, np.zeros(len(minute), bool)
        else:
            part.day = minute // DAY
        return
    spec = batch.table.fields["read_at"]
    midnight = converting.moments(spec, batch).minute
    midnight = part.spread(midnight)
    if kind == SLOT:
        length = float(batch.table.wide[0].minutes or 60)
        part.minutes = length
        slot = np.tile(np.array(keys, np.float64), n_rows)
        found = converting.slot_moments(spec, midnight, slot, np.full(len(slot), length))
        part.moment, part.is_utc = found.minute, found.is_utc
        return
    times = np.tile(np.array(keys, np.int64), n_rows)
    part.minutes = None if batch.table.wide[0].minutes is None else float(batch.table.wide[0].minutes)
    part.moment = np.where(midnight == NAT, NAT, midnight + times)
    part.is_utc = np.zeros(len(times), bool)
