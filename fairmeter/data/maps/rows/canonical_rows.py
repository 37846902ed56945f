"""Some rows of a file as a map understands them: the form between the row-wise and the client-wise stage.

In:  columns made by rows.py and wide_tables.py.
Out: CanonicalRows, which hold all that the client-wise stage needs, so that rows may be spread over partitions between.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fairmeter.data.layouts import CodedColumn


@dataclass
class CanonicalRows:
    """Rows of one table. [client: ids; texts: other columns of texts; columns: NumPy columns by name; counts: of rows]

    readings: moment (int64 minutes, by UTC where is_utc), kwh and export (float64; power times divisor where is_power),
        minutes (float64, NaN unknown), quality (int8: 0 actual, 1 estimated, 2 missing), series (int64), version
        (float64), label.
    invoices: invoice_on (int64 days), months, consumption, levels, numbers (float64), energy and quality (int8),
        series, version. clients: created_on, labelled_on (int64 days), numbers, label, version.
    """

    table: int
    client: CodedColumn
    columns: dict[str, np.ndarray]
    texts: dict[str, CodedColumn] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def n_rows(self) -> int:
        return len(self.client.codes)

    def select(self, rows: np.ndarray) -> "CanonicalRows":
        """Some rows. [rows: a mask, or positions]"""
        return CanonicalRows(
            self.table,
            CodedColumn(self.client.values, self.client.codes[rows]),
            {name: column[rows] for name, column in self.columns.items()},
            {name: CodedColumn(column.values, column.codes[rows]) for name, column in self.texts.items()},
            self.counts,
        )


def concatenate_coded(columns: Iterable[CodedColumn]) -> CodedColumn:
    """Coded columns one after the other, with each distinct value once."""
    position: dict = {}
    codes = [np.zeros(0, np.int32)]
    for column in columns:
        of_value = [position.setdefault((type(value), value), len(position)) for value in column.values]
        codes.append(np.array([*of_value, 0], np.int32)[:-1][column.codes])
    return CodedColumn([value for _, value in position], np.concatenate(codes))


def concatenate_rows(parts: list[CanonicalRows]) -> CanonicalRows:
    """Rows of one table as one; a column that some parts lack is missing there."""
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    texts = list(dict.fromkeys(name for part in parts for name in part.texts))
    columns = {name: np.concatenate([_column(part, name, parts) for part in parts]) for name in names}
    text_columns = {
        name: concatenate_coded(
            part.texts.get(name) or CodedColumn([""], np.zeros(part.n_rows, np.int32)) for part in parts
        )
        for name in texts
    }
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    return CanonicalRows(
        parts[0].table, concatenate_coded(part.client for part in parts), columns, text_columns, counts
    )


def _column(part: CanonicalRows, name: str, parts: list[CanonicalRows]) -> np.ndarray:
    if name in part.columns:
        return part.columns[name]
    dtype = next(other.columns[name].dtype for other in parts if name in other.columns)
    return np.full(part.n_rows, np.nan if dtype.kind == "f" else 0, dtype)
