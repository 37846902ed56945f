"""JSON objects -> canonical tables: the same columns and the same cleaning as from files, without pyarrow.

In:  one object per client, and one list of objects with its invoices (or readings, see fairmeter/data/readings.py).
Out: clients, invoices and each client's quality flags, as fairmeter/data/tables.py describes them. FieldError names the
     first value that cannot be used by its path within the client's object.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.cleaning import clean
from fairmeter.data.date_swaps import DATE_FORM, DateForm
from fairmeter.data.files import Column, TableError
from fairmeter.data.parsing import is_slashed_date, parse_text
from fairmeter.data.tables import CLIENT_FIELDS, CLIENT_ID, INVOICE_FIELDS, INVOICE_ON, NO_INVOICES, flags_by_client

Place = Callable[[int], tuple[int, str]]  # row -> index of its client, path within that client's object
PLAIN_NUMBERS = {int, float, type(None)}
CODE_TYPES = {str, int, float}  # of codes of another utility
HASHABLE = {*CODE_TYPES, type(None)}  # without bool: a set would merge True with 1
ONLY_OBJECTS = {dict}
CLIENT_CODES, INVOICE_CODES = ([f for f in fields if f.names_of] for fields in (CLIENT_FIELDS, INVOICE_FIELDS))
JSON_CLIENT_FIELDS = tuple(f._replace(convert=parse_text) if f is CLIENT_ID else f for f in CLIENT_FIELDS)


class FieldError(TableError):
    """A bad value in JSON: `path` within its client's object ("invoices.3.new_index"), `index` of that client."""

    def __init__(self, path: str, message: str, index: int) -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.index = path, message, index


def tables_from_records(
    clients: list[dict], invoices: list[list[dict]]
) -> tuple[Table, Table, list[tuple[QualityFlag, ...]]]:
    """The canonical tables from JSON: an object per client, and a list of objects with its invoices.

    Only the date of an invoice is required. Returns clients, invoices and each client's quality flags.
    Raises FieldError.
    """
    return named_tables_from_records(clients, invoices)[:3]


def named_tables_from_records(
    clients: list[dict], invoices: list[list[dict]]
) -> tuple[Table, Table, list[tuple[QualityFlag, ...]], CodeNames]:
    """As `tables_from_records`, and the names of codes that are texts. Raises FieldError."""
    rows = list(chain.from_iterable(invoices))
    client = np.repeat(np.arange(len(clients)), np.array([len(of_client) for of_client in invoices], np.int64))
    client_table = columns_from_records(clients, JSON_CLIENT_FIELDS, lambda i: (i, "client"))
    invoice_table = NO_INVOICES
    if rows:
        invoice_table = {"client": client} | columns_from_records(
            rows, INVOICE_FIELDS, partial(record_place, "invoices", client)
        )
        invoice_table[DATE_FORM] = np.array([_date_form(row) for row in rows], np.int8)
    names = names_from_records(clients, rows)
    client_table, invoice_table, findings = clean(client_table, invoice_table, names)
    return client_table, invoice_table, flags_by_client(findings, len(clients)), names


def _date_form(row: dict) -> DateForm:
    is_raw = INVOICE_ON.raw in row
    if is_slashed_date(row[INVOICE_ON.raw if is_raw else INVOICE_ON.name]):
        return DateForm.SLASHED
    return DateForm.EXPORT if is_raw else DateForm.PLAIN


def names_from_records(clients: list[dict], invoices: list[dict]) -> CodeNames:
    """The names of codes that are texts. [invoices: of all clients]"""
    names = NO_CODE_NAMES
    for rows, fields in ((clients, CLIENT_CODES), (invoices, INVOICE_CODES)):
        given = set().union(*rows)
        for field in fields:
            for name in (field.name,) if field.is_limited else dict.fromkeys(field[:2]):
                texts = _named(rows, name, CODE_TYPES if field.is_limited else {str}) if name in given else ()
                names |= field.names_of(texts) if texts else NO_CODE_NAMES
    return names


def _named(rows: list[dict], name: str, wanted: set[type]) -> set:
    """The distinct values of these types under a name."""
    try:
        values = list(map(itemgetter(name), rows))
    except KeyError:
        values = [row.get(name) for row in rows]
    types = set(map(type, values))
    if types.isdisjoint(wanted):
        return set()
    return {value for value in (set(values) if types <= HASHABLE else values) if type(value) in wanted}


def record_place(table: str, client: np.ndarray, row: int) -> tuple[int, str]:
    """(index of the client, path within its object) of a row of "invoices" or "readings". [client: of each row]"""
    index = int(client[row])
    return index, f"{table}.{row - int(np.searchsorted(client, index))}"


def columns_from_records(rows: list[dict], fields: tuple[Column, ...], place: Place) -> Table:
    """Columns of JSON objects, given under their canonical or raw names; absent keys are missing. Raises FieldError."""
    if not ONLY_OBJECTS.issuperset(map(type, rows)):
        index, path = place(next(i for i, row in enumerate(rows) if type(row) is not dict))
        raise FieldError(path, "not an object", index)
    given = set().union(*rows)
    wanted = [field for field in fields if field.is_required or field.name in given or field.raw in given]
    names = [field.raw if field.raw in given and field.name not in given else field.name for field in wanted]
    both = {f.raw: f.name for f in wanted if f.raw in given and f.name in given and f.raw != f.name}
    if both:
        rows = [_rename_to_canonical(row, both, i, place) for i, row in enumerate(rows)]
    table = {}
    for field, name, values in zip(wanted, names, _values(rows, names, given), strict=True):
        try:
            table[field.name] = _array(values, field)
        except (ValueError, TypeError, OverflowError):
            raise _field_error(values, field, name, place) from None
    return table


def _rename_to_canonical(row: dict, both: dict[str, str], i: int, place: Place) -> dict:
    """A row under canonical names, for records that mix these with raw ones. Raises FieldError."""
    for raw, name in both.items():
        if raw in row and name in row:
            index, path = place(i)
            raise FieldError(f"{path}.{raw}", f"given as {name} too; keep one", index)
    return {both.get(name, name): value for name, value in row.items()}


def _values(rows: list[dict], names: list[str], given: set[str]) -> list[Sequence]:
    """The values under each name, None where a row lacks it."""
    present = [name for name in names if name in given]
    try:
        columns = zip(*map(itemgetter(*present), rows), strict=True) if len(present) > 1 else None
    except KeyError:
        columns = None
    columns = columns or ([row.get(name) for row in rows] for name in present)
    by_name = dict(zip(present, columns, strict=True))
    nothing = [None] * len(rows)
    return [by_name.get(name, nothing) for name in names]


def _array(values: Sequence, field: Column) -> np.ndarray:
    types = set(map(type, values))
    if field.is_number and types <= PLAIN_NUMBERS:
        return np.array(values, np.float64)
    # A dict would merge True with 1 and -0.0 with 0; and moments are all different.
    if field.is_number or field.has_time or bool in types:
        return np.array([field.convert(value) for value in values], field.dtype)
    converted = {value: field.convert(value) for value in set(values)}
    return np.array([converted[value] for value in values], field.dtype)


def _field_error(values: Sequence, field: Column, name: str, place: Place) -> FieldError:
    """The error of the first value that cannot be converted, under the name by which it was given."""
    for i, value in enumerate(values):
        index, path = place(i)
        if isinstance(value, list | dict):
            return FieldError(f"{path}.{name}", "not a single value", index)
        try:
            field.convert(value)
        except ValueError as error:
            return FieldError(f"{path}.{name}", str(error), index)
    raise AssertionError(f"{field.name} fails as a whole but not by value")  # a bug here, not bad input
