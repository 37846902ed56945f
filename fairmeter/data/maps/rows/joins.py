"""The other tables that joins name: read once, then looked up for each distinct value.

In:  the specification of a join, the files of its table.
Out: a column of that table for the rows of a batch; "" where no row there has the value at that moment.
Two rows that fit one moment are refused unless they hold the same value.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import TableError
from fairmeter.data.layouts import CodedColumn, RawTable
from fairmeter.data.maps.spec import TableSpec, ValueSpec
from fairmeter.data.maps.values.columns import Batch, joined_texts
from fairmeter.data.maps.values.converting import days, labels, moments, wall_minutes
from fairmeter.data.parsing import NAT, parse_text

FIRST, LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
MAX_FITTING = 1_000  # rows of one value in the other table; more are no table to join with
METERS = re.compile(r"met|serial|z[äa]hl|compt|contad|conta|medid", re.IGNORECASE)

ReadTable = Callable[[TableSpec, frozenset[str]], Iterator[RawTable]]


@dataclass
class JoinedTable:
    """A table in memory, by the text of its key. [of a key, its rows; start, end: when each row is valid]"""

    name: str
    values: list
    rows_of: dict[str, list[int]]
    start: np.ndarray
    end: np.ndarray
    widest: int  # rows of one key


@dataclass
class Joins:
    """Lookups in other tables.

    spec_of: gives the specification of a table by its name; read: its batches, with some columns.
    seen: by the place of a join, the keys that were looked up, and whether they were found.
    """

    spec_of: Callable[[str], TableSpec]
    read: ReadTable
    tables: dict = field(default_factory=dict)
    seen: dict[str, dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))

    def column(self, batch: Batch, spec: ValueSpec) -> CodedColumn:
        """The other table's values for the rows of a batch. Raises TableError where two different ones fit a row."""
        table = self._table(spec, batch.table)
        keys = joined_texts([batch.raw_column(here) for here, _ in spec.join.on])
        texts = [_key(value, spec.width) for value in keys.values]
        self._note(spec, table, texts, keys.codes)
        found = self._rows(spec, table, texts, keys, batch)
        if spec.join.present is not None or spec.join.absent is not None:
            values = [spec.join.absent, spec.join.present]
            return CodedColumn(values, (found >= 0).astype(np.int32))
        return CodedColumn([*table.values, ""], np.where(found >= 0, found, len(table.values)).astype(np.int32))

    def _rows(
        self, spec: ValueSpec, table: JoinedTable, texts: list[str], keys: CodedColumn, batch: Batch
    ) -> np.ndarray:
        """The row of the other table for each row, -1 where none fits."""
        candidates = np.full((len(texts) + 1, max(table.widest, 1)), -1, np.int64)
        for code, text in enumerate(texts):
            rows = table.rows_of.get(text, ())
            candidates[code, : len(rows)] = rows
        by_row = candidates[keys.codes]
        fits = by_row >= 0
        if spec.join.start or spec.join.end:
            at = _moment_of_rows(batch)[:, None]
            fits &= (table.start[by_row] <= at) & (at < table.end[by_row])
        chosen = np.where(fits.any(axis=1), by_row[np.arange(len(by_row)), fits.argmax(axis=1)], -1)
        many = np.flatnonzero(fits.sum(axis=1) > 1)
        for row in many if spec.join.present is None else ():
            values = {parse_text(table.values[i]) for i in by_row[row][fits[row]]}
            if len(values) > 1:
                self._refuse(spec, table, texts[keys.codes[row]], sorted(values), batch, int(row))
        return chosen

    def _refuse(
        self, spec: ValueSpec, table: JoinedTable, text: str, values: list[str], batch: Batch, row: int
    ) -> None:
        here = ", ".join(name for name, _ in spec.join.on)
        line = batch.raw.line(int(batch.rows[row]))
        raise TableError(
            f"{batch.raw.source}, line {line:,}: {here} {text!r} has {len(values)} rows in {table.name} that fit, with "
            f"{', '.join(map(repr, values[:5]))}. Keep one of them, or write from = and to = with the columns that say "
            "when each is valid."
        )

    def _note(self, spec: ValueSpec, table: JoinedTable, texts: list[str], codes: np.ndarray) -> None:
        seen = self.seen[spec.place]
        for code in np.unique(codes).tolist():
            if texts[code]:
                seen[texts[code]] = texts[code] in table.rows_of

    def _table(self, spec: ValueSpec, owner: TableSpec) -> JoinedTable:
        key = (spec.join, spec.columns, spec.width)
        if key not in self.tables:
            self.tables[key] = self._read(spec, owner)
        return self.tables[key]

    def _read(self, spec: ValueSpec, owner: TableSpec) -> JoinedTable:
        other = self.spec_of(spec.join.table)
        wanted = {there for _, there in spec.join.on} | set(spec.columns)
        ends = [part for part in (spec.join.start, spec.join.end) if part is not None]
        wanted |= {name for part in ends for name in part.columns}
        values, rows_of, starts, stops = [], defaultdict(list), [], []
        for raw in self.read(other, frozenset(wanted)):
            batch = Batch(other, raw, np.arange(raw.n_rows))
            keys = joined_texts([batch.raw_column(there) for _, there in spec.join.on])
            texts = [_key(value, spec.width) for value in keys.values]
            first = len(values)
            for row, code in enumerate(keys.codes.tolist()):
                if texts[code]:
                    rows_of[texts[code]].append(first + row)
            values += _column_values(spec, batch)
            starts.append(_bound(spec.join.start, batch, FIRST, owner.zone))
            stops.append(_bound(spec.join.end, batch, LAST, owner.zone))
        widest = max(map(len, rows_of.values()), default=0)
        if widest > MAX_FITTING:
            text = max(rows_of, key=lambda each: len(rows_of[each]))
            raise TableError(
                f"{spec.join.table} has {widest:,} rows with {text!r}; a join needs a table of few. Correct on ="
            )
        start, end = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in (starts, stops))
        return JoinedTable(spec.join.table, values, dict(rows_of), start, end, widest)

    def labels(self, spec: ValueSpec, dated: ValueSpec | None) -> "JoinedLabels":
        """The label of each key, and the day of the row it is of. [dated: labelled_on, of the same table]

        Of several inspections of one key a 1 counts before a 0, then the latest.
        """
        other = self.spec_of(spec.join.table)
        wanted = {there for _, there in spec.join.on} | set(spec.columns) | set(dated.columns if dated else ())
        best: dict[str, tuple[float, int]] = {}
        for raw in self.read(other, frozenset(wanted)):
            batch = Batch(other, raw, np.arange(raw.n_rows))
            keys = joined_texts([batch.raw_column(there) for _, there in spec.join.on])
            texts = [_key(value, spec.width) for value in keys.values]
            label = _labels_there(spec, batch)
            day = np.full(batch.n_rows, NAT) if dated is None else days(_own(dated), batch)
            for code, of_row, on in zip(keys.codes.tolist(), label.tolist(), day.tolist(), strict=True):
                if texts[code] and not np.isnan(of_row):
                    best[texts[code]] = max(best.get(texts[code], (-1.0, NAT)), (of_row, on))
        absent = np.nan if spec.join.absent is None else float(spec.join.absent)
        return JoinedLabels(best, absent)


class JoinedLabels(NamedTuple):
    """(label, day) by key; `absent` is the label of other keys."""

    best: dict[str, tuple[float, int]]
    absent: float

    def of(self, spec: ValueSpec, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """(label, day since 1970 or NAT) for the rows of a batch."""
        keys = joined_texts([batch.raw_column(here) for here, _ in spec.join.on])
        found = [self.best.get(_key(value, spec.width), (self.absent, NAT)) for value in keys.values]
        label = np.array([label for label, _ in found] + [np.nan])[:-1][keys.codes]
        return label, np.array([day for _, day in found] + [NAT], np.int64)[:-1][keys.codes]


def _own(spec: ValueSpec) -> ValueSpec:
    """A value as it is read in the other table itself."""
    return replace(spec, source="column", join=None)


def _labels_there(spec: ValueSpec, batch: Batch) -> np.ndarray:
    if not spec.columns:
        return np.full(batch.n_rows, float(spec.join.present))
    return labels(_own(spec), batch)


def _column_values(spec: ValueSpec, batch: Batch) -> list:
    if not spec.columns:
        return [""] * batch.n_rows
    column = joined_texts([batch.raw_column(name) for name in spec.columns])
    return [column.values[code] for code in column.codes.tolist()]


def _bound(spec: ValueSpec | None, batch: Batch, empty: int, zone: str | None) -> np.ndarray:
    """Minutes of the wall's clock; an empty one is open."""
    if spec is None:
        return np.full(batch.n_rows, empty)
    minute = wall_minutes(moments(spec, batch), spec.zone or zone)
    return np.where(minute == NAT, empty, minute)


def _moment_of_rows(batch: Batch) -> np.ndarray:
    """The wall's clock at each row; of a moment that ends its interval, the minute before."""
    name = "read_at" if batch.table.kind == "readings" else "invoice_on"
    spec = batch.table.fields.get(name)
    if spec is None or spec.source == "none":
        raise TableError(
            f"{batch.table.place} {name} stands in the names of columns; a join with from and to needs it in the rows."
        )
    if name not in batch.held:
        found = moments(spec, batch)
        minute = wall_minutes(found, spec.zone)
        batch.held[name] = np.where(minute == NAT, NAT, minute - (spec.stamp == "end"))
    return batch.held[name]


def _key(value: object, width: int | None) -> str:
    text = parse_text(value)
    return text.zfill(width) if width and text else text


# --- what does not join -----------------------------------------------------------------------------------------------


def noun_of(column: str) -> str:
    """What the values of a column are, in a sentence."""
    return "meters" if METERS.search(column) else f"values of {column}"
