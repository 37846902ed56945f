"""The values of a map -> coded columns of one batch: sources, patterns, widths and exact texts.

In:  a ValueSpec and the batch that it is read from.
Out: CodedColumns. What is done to a value is done once for each distinct one, not for each row.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import numpy as np

from fairmeter.data.files import NULLS, InvalidValue, TableFile
from fairmeter.data.layouts import CodedColumn, RawTable
from fairmeter.data.maps.spec import TableSpec, ValueSpec
from fairmeter.data.parsing import parse_text

ANY_OTHER = "*"


class Misfit(InvalidValue):
    """A value that does not fit what the map states of it; diagnosis.py makes the whole sentence.

    value: the value as it stands; row: of the batch; what: the kind of problem.
    """

    def __init__(self, spec: ValueSpec, value: object, row: int, what: str) -> None:
        super().__init__(f"{spec.place}: {value!r} {what}")
        self.spec, self.value, self.row, self.what = spec, value, row, what


@dataclass
class Batch:
    """Some rows of a file of one table, and the other tables that joins need.

    rows: of the raw table, those that keep and drop leave. join: gives the column of a join for these rows.
    """

    table: TableSpec
    raw: RawTable
    rows: np.ndarray
    join: Callable[["Batch", ValueSpec], CodedColumn] | None = None
    held: dict = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    def raw_column(self, name: str) -> CodedColumn:
        """A column of the file at these rows."""
        column = self.raw.column(name)
        return column if self.n_rows == self.raw.n_rows else CodedColumn(column.values, column.codes[self.rows])


def path_of(source: TableFile) -> str:
    """The path of a file in its zip or folder, with forward slashes."""
    return str(getattr(source, "path_text", None) or source).replace("\\", "/")


# --- sources ----------------------------------------------------------------------------------------------------------


def has_source(spec: ValueSpec, raw: RawTable) -> bool:
    """Whether a file has what a value is taken from."""
    if spec.source == "any":
        return any(raw.has(name) for name in spec.columns)
    if spec.source in ("column", "sum"):
        return all(raw.has(name) for name in spec.columns)
    return all(raw.has(name) for name in spec.join_columns())


def missing_columns(spec: ValueSpec, raw: RawTable, is_required: bool) -> list[str]:
    """Columns that a value names and the file lacks; of `any`, all of them where the field is required."""
    if spec.source == "any":
        return list(spec.columns) if is_required and not has_source(spec, raw) else []
    named = spec.join_columns() if spec.join else spec.columns if spec.source in ("column", "sum") else ()
    missing = [name for name in named if not raw.has(name)]
    if has_source(spec, raw):
        for inner in (spec.slot, spec.minutes, spec.unit, *spec.factors):
            missing += missing_columns(inner, raw, True) if isinstance(inner, ValueSpec) else []
    return missing


def source_column(spec: ValueSpec, batch: Batch) -> CodedColumn | None:
    """The column of a value's source as it stands; None for an `any` that the file lacks. Raises Misfit."""
    if spec.source == "column":
        return joined_texts([batch.raw_column(name) for name in spec.columns])
    if spec.source == "any":
        name = next((name for name in spec.columns if batch.raw.has(name)), None)
        return None if name is None else batch.raw_column(name)
    if spec.source == "constant":
        return constant_column(spec.constant, batch.n_rows)
    if spec.source == "join":
        return batch.join(batch, spec)
    text = path_of(batch.raw.source) if spec.source == "filename" else batch.raw.above
    found = re.search(spec.text, text)
    if found is None:
        raise Misfit(spec, text, 0, spec.source)
    return constant_column(next((part for part in found.groups() if part is not None), found[0]), batch.n_rows)


def constant_column(value: object, n: int) -> CodedColumn:
    """A column with the same value in each row."""
    return CodedColumn([value], np.zeros(n, np.int32))


def joined_texts(columns: list[CodedColumn]) -> CodedColumn:
    """Several columns as one, their values joined by a blank; a date and a time of Excel make a moment."""
    if len(columns) == 1:
        return columns[0]
    combined, distinct = combine_codes([column.codes for column in columns])
    values = [
        _joined([column.values[code] for column, code in zip(columns, codes, strict=True)])
        for codes in distinct.tolist()
    ]
    return CodedColumn(values, combined)


def combine_codes(codes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(int32 code of each row's combination, the distinct combinations as rows)."""
    whole = codes[0].astype(np.int64)
    for other in codes[1:]:
        whole = whole * (int(other.max(initial=0)) + 1) + other
        _, first, whole = np.unique(whole, return_index=True, return_inverse=True)
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return inverse.astype(np.int32), np.stack([each[first] for each in codes], axis=1)


def _joined(parts: list) -> object:
    if isinstance(parts[0], date) and len(parts) == 2 and isinstance(parts[1], time | timedelta | datetime):
        return _moment_of(*parts)
    return " ".join(text for text in map(parse_text, parts) if text)


def _moment_of(day: date, at: time | timedelta | datetime) -> datetime:
    start = datetime(day.year, day.month, day.day)
    if isinstance(at, timedelta):
        return start + at
    clock = at.time() if isinstance(at, datetime) else at
    return datetime.combine(start, clock)


# --- what is done to texts --------------------------------------------------------------------------------------------


def text_column(spec: ValueSpec, batch: Batch) -> CodedColumn | None:
    """The column of a value with pattern, width and values applied, as texts or the constants of values."""
    column = source_column(spec, batch)
    if column is None or spec.source == "constant":
        return column
    return change_values(column, lambda text: _changed(spec, text), spec)


def patterned(spec: ValueSpec, column: CodedColumn) -> CodedColumn:
    """A column with the pattern and exact texts applied; dates and numbers of Excel stay what they are."""
    if spec.pattern is None and spec.values is None:
        return column
    return change_values(column, lambda value: _changed(spec, value), spec)


def change_values(column: CodedColumn, change: Callable[[object], object], spec: ValueSpec) -> CodedColumn:
    """A column with each distinct value changed. Raises Misfit with the row of a value for which `change` raises."""
    values, bad = [], {}
    for code, value in enumerate(column.values):
        try:
            values.append(change(value))
        except ValueError as error:
            values.append(None)
            bad[code] = str(error)
    raise_first(column, bad, spec)
    return CodedColumn(values, column.codes)


def raise_first(column: CodedColumn, bad: dict[int, str], spec: ValueSpec) -> None:
    """Raise a Misfit for the first row with one of the bad codes, if any row has one."""
    if not bad:
        return
    rows = np.flatnonzero(np.isin(column.codes, list(bad)))
    if len(rows):
        code = int(column.codes[rows[0]])
        raise Misfit(spec, column.values[code], int(rows[0]), bad[code])


def _changed(spec: ValueSpec, value: object) -> object:
    if not isinstance(value, str) and spec.pattern is None and spec.width is None and spec.values is None:
        return value
    text = parse_text(value)
    if spec.pattern is not None and text:
        found = re.search(spec.pattern, text)
        if found is None:
            raise ValueError("pattern")
        text = next((part for part in found.groups() if part is not None), found[0])
    if spec.width is not None and text:
        text = text.zfill(spec.width)
    if spec.values is None:
        return text if isinstance(value, str) or spec.pattern is not None or spec.width is not None else value
    return chosen(spec.values, text, value)


def chosen(values: tuple[tuple[str, object], ...], text: str, other: object) -> object:
    """What the exact texts of a map make of a text; `other` where none is it."""
    for given, value in values:
        if given == text:
            return value
    return next((value for given, value in values if given == ANY_OTHER), other)


def is_missing(spec: ValueSpec, value: object) -> bool:
    """Whether a value is empty or one that the map calls missing."""
    if value is None or value in NULLS:
        return True
    return any(_is_same(missing, value) for missing in spec.missing)


def _is_same(missing: object, value: object) -> bool:
    if isinstance(missing, str):
        return missing == value
    try:
        return float(value) == float(missing)
    except (TypeError, ValueError):
        return False


def matching_rows(pairs: Iterable[tuple[str, str]], batch: Batch) -> np.ndarray:
    """Mark rows whose values match all patterns as a whole. [bool, of all rows of the raw table]"""
    mask = np.ones(batch.raw.n_rows, bool)
    for name, pattern in pairs:
        column, match = batch.raw.column(name), re.compile(pattern).fullmatch
        mask &= np.array([match(parse_text(value)) is not None for value in column.values], bool)[column.codes]
    return mask
