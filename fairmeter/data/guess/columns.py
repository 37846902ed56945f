"""Columns of one table -> the field that each holds, by its name and a look at its values.

In:  a RawTable.
Out: TableColumns: the best column of each field, with how well its name fits and what its values look like.
"""

from functools import cached_property
from typing import NamedTuple

from fairmeter.data.guess.values import ColumnValues
from fairmeter.data.guess.vocabulary import PHRASES, fit_of
from fairmeter.data.layouts.raw_table import RawTable

MIN_FIT = 0.4  # of a name, for a guess; from SURE_FIT on it is not marked as unsure
SURE_FIT = 0.7
DATES = ("read_at", "invoice_on", "period_from", "created_on", "version")
NUMBERS = (
    "consumption", "consumption_kwh", "export_kwh", "old_index", "new_index", "months", "days", "latitude", "longitude",
    "coefficient",
)  # fmt: skip
MIN_NUMBERS = 0.9  # share of a column's values, for a number


class FieldGuess(NamedTuple):
    """The column of a field. [fit: of the name, 0..1]"""

    column: str
    fit: float
    values: ColumnValues

    @property
    def is_sure(self) -> bool:
        return self.fit >= SURE_FIT


class TableColumns:
    """The columns of a table, and the best one for each field."""

    def __init__(self, table: RawTable) -> None:
        self.table = table
        self._values: dict[str, ColumnValues] = {}

    def values(self, column: str) -> ColumnValues:
        """What a column's values look like, looked at once."""
        if column not in self._values:
            self._values[column] = ColumnValues(self.table.column(column))
        return self._values[column]

    @cached_property
    def by_field(self) -> dict[str, FieldGuess]:
        """The column of each field that any name fits; of two fields with one column the better fit has it."""
        candidates = [
            (fit, field, column)
            for field in PHRASES
            for column in self.table.header
            if column and (fit := fit_of(field, column)) >= MIN_FIT
        ]
        found: dict[str, FieldGuess] = {}
        taken: dict[str, set[str]] = {}
        for fit, field, column in sorted(candidates, key=lambda one: -one[0]):
            rivals = taken.get(column, set())
            if field not in found and not any(_exclude(field, rival) for rival in rivals):
                values = self.values(column)
                if _holds(field, values):
                    found[field] = FieldGuess(column, fit, values)
                    taken.setdefault(column, set()).add(field)
        return found


ALTERNATIVES = ({"read_at", "invoice_on"}, {"consumption", "consumption_kwh"}, {"register", "quality"})


def _exclude(field: str, rival: str) -> bool:
    """Whether a column cannot hold both fields; a date may be that of readings or of invoices, which is seen later."""
    return field != rival and {field, rival} not in ALTERNATIVES


def _holds(field: str, values: ColumnValues) -> bool:
    """Whether the values can be those of the field."""
    if not values.n_known:
        return False
    if field in DATES:
        return values.date_format[0] is not None
    if field in NUMBERS:
        return values.number_share >= MIN_NUMBERS
    if field == "time_of_day":
        return values.time_share >= MIN_NUMBERS
    if field == "client_id":
        return values.date_format[0] is None or values.number_share == 1.0
    if field == "label":
        return values.n_distinct <= 4
    return True
