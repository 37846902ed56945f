"""Keyset paging: a page continues after the last row of the previous one, at the same cost for any number of rows.

In:  a select, the column it is sorted by and the id that breaks ties; the cursor of the previous page.
Out: Page(rows, next): `next` is the cursor of the following page, None on the last.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, literal, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from fairmeter.core.types import ANOMALY_PATTERNS
from fairmeter.store.engine.database import StoreError

MAX_ROWS = 1000  # of one page
LAST_CHARACTER = "\U0010ffff"
INTEGER_LIMIT = 2**31  # an integer column holds less


class BadQuery(StoreError):
    """A filter, sort, limit or cursor is not valid. field: which one."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Page(NamedTuple):
    """Some rows of a list and the cursor of the page after them."""

    rows: list
    next: str | None


class Order(NamedTuple):
    """Sort order of a list: columns, direction, and how a cursor writes and reads the first column's value."""

    by: tuple[Column, ...]
    is_falling: bool = True
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda value: value


def by_moment(column: Column) -> Order:
    return Order((column,), True, datetime.isoformat, datetime.fromisoformat)


Filters = Mapping[str, Callable[[Any], ColumnElement[bool]]]  # by name, the condition of a filter's value


def equality_filters(*columns: Column) -> Filters:
    """Filters that compare a column with the given value, by column name."""
    return {column.name: column.__eq__ for column in columns}


def conditions(given: Mapping[str, Any], filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions of the given filters; a value of None filters nothing. Raises BadQuery."""
    unknown = set(given) - set(filters)
    if unknown:
        name = min(unknown)
        raise BadQuery(name, f"There is no filter {name!r}; use one of {', '.join(filters)}.")
    return [filters[name](value) for name, value in given.items() if value is not None]


def page_of(
    connection: Connection,
    query: Select,
    order: Order,
    tie: Column,
    convert: Callable[[Any], Any],
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of a select, sorted by `order` and then by the id `tie` in the same direction. Raises BadQuery."""
    check_limit(limit)
    keys = order.by if tie in order.by else (*order.by, tie)
    if cursor is not None:
        last = _cursor_values(cursor, order, keys)
        here, there = tuple_(*keys), tuple_(*last)
        # The last row itself is excluded by its id. PostgreSQL estimates `<` by the first column alone: where all rows
        # share its value it expects no row, and scans millions for a page.
        query = query.where(here <= there if order.is_falling else here >= there, tie != last[-1])
    query = query.order_by(*(key.desc() if order.is_falling else key.asc() for key in keys)).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    has_more = len(rows) > limit
    rows = rows[:limit]
    return Page([convert(row) for row in rows], _cursor_of(order, keys, rows[-1]) if has_more else None)


def check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_ROWS:
        raise BadQuery("limit", f"limit is {limit}; it must be from 1 to {MAX_ROWS}.")


def order_named(sort: str, orders: dict[str, Order]) -> Order:
    """The order of this name. Raises BadQuery."""
    if sort not in orders:
        raise BadQuery("sort", f"sort is {sort!r}; it must be one of {', '.join(orders)}.")
    return orders[sort]


def has_prefix(column: Column, prefix: str) -> ColumnElement[bool]:
    """Condition that finds a prefix by the index: LIKE ignores case in SQLite and the index in PostgreSQL."""
    check_text("id_prefix", prefix)
    return (column >= prefix) & (column <= prefix + LAST_CHARACTER)


class JsonTexts(FunctionElement):
    """A table function with the texts of a JSON list in its column `value`: one parameter, however many texts."""

    name = "json_texts"
    inherit_cache = True


@compiles(JsonTexts, "sqlite")
def _for_sqlite(element, compiler, **options) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(JsonTexts, "postgresql")
def _for_postgresql(element, compiler, **options) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS json))"


def in_many(column: Column, ids: Iterable[str]) -> ColumnElement[bool]:
    """Condition that holds for these ids; a list of parameters would have a limit."""
    texts = JsonTexts(literal(json.dumps(sorted(ids)))).table_valued("value")
    return column.in_(select(texts.c.value))


def check_pattern(pattern: str) -> str:
    """Return a pattern of anomalies. Raises BadQuery."""
    if pattern not in ANOMALY_PATTERNS:
        raise BadQuery("pattern", f"pattern is {pattern!r}; use one of {', '.join(ANOMALY_PATTERNS)}.")
    return pattern


def check_text(field: str, value: str) -> str:
    """Return a text that both databases can store. Raises BadQuery."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadQuery(field, f"{field} holds a character that cannot be stored (NUL or a surrogate); leave it out.")
    return value


def _cursor_of(order: Order, keys: tuple[Column, ...], row: Any) -> str:
    first, *others = (row[key.name] for key in keys)
    content = [[key.name for key in keys], order.write(first), *others]
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _cursor_values(cursor: str, order: Order, keys: tuple[Column, ...]) -> list:
    """Values of the sort columns in the row that a cursor points to."""
    try:
        names, first, *others = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = [order.read(first), *others]
        fits = [_is_valid(value, key) for value, key in zip(values, keys, strict=True)]
        is_cursor = names == [key.name for key in keys] and all(fits)
    except (NotBase64, ValueError, TypeError):
        is_cursor = False
    if not is_cursor:
        raise BadQuery("after", "after is not a cursor of this list with this sort; begin at its first page.")
    return [literal(value, key.type) for value, key in zip(values, keys, strict=True)]


def _is_valid(value: Any, column: Column) -> bool:
    """True if the column can hold a value from a cursor, which the caller may have forged."""
    expected = column.type.python_type
    if expected is str:
        return isinstance(value, str) and check_text("after", value) == value
    if expected is int:
        return type(value) is int and abs(value) < INTEGER_LIMIT
    if expected is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    return isinstance(value, (int, float) if expected is float else expected) and not isinstance(value, bool)
