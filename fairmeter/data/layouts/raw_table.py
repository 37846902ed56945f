"""What every reader of files gives: a table as it stands in its file, and what a map says of the file's layout.

In:  columns as a reader found them.
Out: RawTables, whose columns are coded: each distinct value once, so that what is done to values is done once for each.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import MissingColumns, TableFile

BLANKS = " \t\r\n\v\f\u00a0\u2007\u202f\ufeff"  # with no-break spaces and byte order marks
AS_FORMULA = re.compile(r'="([^"]*)"')  # ="0012": how exports keep Excel from taking a text for a number


class Layout(NamedTuple):
    """What is stated about a file's layout. None is found out.

    names: of a file without a header; records: path to the list of objects in JSON, as "data.items";
    expected: names of columns, by which the header is recognised.
    """

    encoding: str | None = None
    delimiter: str | None = None
    skip_rows: int | None = None
    names: tuple[str, ...] | None = None
    sheet: str | None = None
    records: str | None = None
    expected: frozenset[str] = frozenset()


class CodedColumn(NamedTuple):
    """Distinct values of a column as they stand in the file, and the position of each row's value among them.

    values: cleaned texts ("" is empty); from Excel, Parquet and JSON also numbers, booleans, dates, moments and None.
    codes: int32, a position in `values` per row.
    """

    values: list
    codes: np.ndarray

    @classmethod
    def of(cls, values: Iterable) -> "CodedColumn":
        """A column from its values in order of rows. 1, 1.0 and True stay apart."""
        position: dict[tuple, int] = {}
        codes = [position.setdefault((type(value), value), len(position)) for value in values]
        return cls([value for _, value in position], np.array(codes, np.int32))


class RawTable:
    """Rows of a file as they stand there: all of them, or a batch from row `first_row` on.

    header: the columns' names in their order, stripped; the second column of a name is "Name#2".
    above: the lines above the header. notes: what was skipped or put right in this batch, with counts.
    column_at: gives a column by its position in the header. line_at: gives the line of a row of this batch.
    unit: what `line` counts, "line" or "row".
    """

    def __init__(
        self,
        source: TableFile,
        header: Sequence[str],
        n_rows: int,
        column_at: Callable[[int], CodedColumn],
        line_at: Callable[[int], int] | None = None,
        *,
        first_row: int = 0,
        above: str = "",
        notes: Counter[str] | None = None,
        unit: str = "line",
    ) -> None:
        self.source, self.header, self.n_rows, self.first_row = source, list(header), n_rows, first_row
        self.above, self.notes = above, Counter() if notes is None else notes
        self.unit, self._column_at, self._line_at = unit, column_at, line_at

    @classmethod
    def of_columns(cls, source: TableFile, columns: dict[str, CodedColumn], **options) -> "RawTable":
        """A table from columns that are in memory. [options: as of RawTable]"""
        held = list(columns.values())
        return cls(source, list(columns), len(held[0].codes) if held else 0, held.__getitem__, **options)

    def has(self, name: str) -> bool:
        """Whether there is a column of this name, or a single one of this name in another case."""
        return position_of(self.header, name) is not None

    def column(self, name: str) -> CodedColumn:
        """A column by its name, as `has` finds it. Raises MissingColumns."""
        return self._column_at(self.position(name))

    def position(self, name: str) -> int:
        """The position of a column in the header, as `has` finds it. Raises MissingColumns."""
        position = position_of(self.header, name)
        if position is None:
            raise MissingColumns(f"{self.source} lacks {name}; found {self.header}.")
        return position

    def numbers(self, _name: str) -> np.ndarray | None:
        """A column as float64, NaN where empty, if its reader holds nothing but numbers; otherwise None."""
        return None

    def days(self, name: str) -> CodedColumn:
        """A column, of which moments may have lost their time of day."""
        return self.column(name)

    def release(self, name: str) -> None:
        """Free a column, if its reader can."""

    def line(self, row: int) -> int:
        """The line in the file of a row of this batch, 1 the first; in Parquet and JSON the number of the row."""
        return self._line_at(row) if self._line_at else self.first_row + row + 1


def position_of(header: Sequence[str], name: str) -> int | None:
    """The position of a name, or of the only one that is the same in another case."""
    if name in header:
        return header.index(name)
    alike = [i for i, other in enumerate(header) if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def positions_of(header: Sequence[str], wanted: Collection[str] | None) -> list[int]:
    """The positions of the wanted names that there are, ascending; all for None."""
    if wanted is None:
        return list(range(len(header)))
    return sorted({position_of(header, name) for name in wanted} - {None})


def addressable(names: Iterable[str]) -> list[str]:
    """Clean names, of which the second "Name" becomes "Name#2"."""
    seen: Counter[str] = Counter()
    header = []
    for name in map(clean_text, names):
        seen[name] += 1
        header.append(f"{name}#{seen[name]}" if seen[name] > 1 else name)
    return header


def clean_text(text: str) -> str:
    """A value without blanks, byte order marks, ' and =" " around it."""
    text = text.strip(BLANKS)
    if text[:1] == "'":
        # A single ' is how Excel marks a text; before a small letter it belongs to the name ('s-Hertogenbosch).
        inside = text[1:-1] if len(text) > 1 and text[-1] == "'" else text[1:]
        return text if inside[:1].islower() and text[-1] != "'" else inside.strip(BLANKS)
    found = AS_FORMULA.fullmatch(text) if text[:1] == "=" else None
    return found[1].strip(BLANKS) if found else text
