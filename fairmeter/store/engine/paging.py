"""Keyset paging: a page continues after the last row of the one before, however many rows there are.

In:  a select, the column it is sorted by and the id that decides between equals; a cursor that a page before gave.
Out: Page(rows, next): `next` is the cursor of the following page, None on the last.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, literal, tuple_

from fairmeter.store.engine.database import StoreError

MOST_ROWS = 1000  # of one page
LAST_CHARACTER = "\U0010ffff"
LARGEST = 2**31  # of what an integer column may hold


class BadQuery(StoreError):
    """A filter, a sort, a limit or a cursor cannot be used; one sentence. field: which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Page(NamedTuple):
    """Some rows of a list and the cursor of the page after them."""

    rows: list
    next: str | None


class Order(NamedTuple):
    """What a list is sorted by: columns, which end comes first, how the first one's value is written in a cursor."""

    by: tuple[Column, ...]
    is_falling: bool = True
    write: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda value: value


def by_moment(column: Column) -> Order:
    return Order((column,), True, datetime.isoformat, datetime.fromisoformat)


Filters = Mapping[str, Callable[[Any], ColumnElement[bool]]]  # what each filter of a list means, by its name


def being(*columns: Column) -> Filters:
    """Filters of a list by what stands in these columns, each by its own name."""
    return {column.name: column.__eq__ for column in columns}


def conditions(given: Mapping[str, Any], filters: Filters) -> list[ColumnElement[bool]]:
    """What the filters that were given mean; None filters nothing. Raises BadQuery."""
    unknown = set(given) - set(filters)
    if unknown:
        name = min(unknown)
        raise BadQuery(name, f"There is no filter {name!r}; filters are {', '.join(filters)}.")
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
    """One page of a select, sorted by `order` and then by the id `tie` the same way. Raises BadQuery."""
    check_limit(limit)
    keys = order.by if tie in order.by else (*order.by, tie)
    if cursor is not None:
        last = _after(cursor, order, keys)
        here, there = tuple_(*keys), tuple_(*last)
        # The last row itself is left out by its id. PostgreSQL estimates `<` by the first column alone: where all rows
        # share its value it expects none, and goes through millions for a page of few.
        query = query.where(here <= there if order.is_falling else here >= there, tie != last[-1])
    query = query.order_by(*(key.desc() if order.is_falling else key.asc() for key in keys)).limit(limit + 1)
    rows = connection.execute(query).mappings().all()
    has_more = len(rows) > limit
    rows = rows[:limit]
    return Page([convert(row) for row in rows], _cursor_of(order, keys, rows[-1]) if has_more else None)


def check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_ROWS:
        raise BadQuery("limit", f"limit is {limit}; it must be from 1 to {MOST_ROWS}.")


def chosen(sort: str, orders: dict[str, Order]) -> Order:
    """The order of a name. Raises BadQuery."""
    if sort not in orders:
        raise BadQuery("sort", f"sort is {sort!r}; it must be one of {', '.join(orders)}.")
    return orders[sort]


def starting_with(column: Column, prefix: str) -> ColumnElement[bool]:
    """Ids that begin so, found by their index: LIKE would ignore case in one database and the index in the other."""
    check_text("id_prefix", prefix)
    return (column >= prefix) & (column <= prefix + LAST_CHARACTER)


def check_text(field: str, value: str) -> str:
    """Text that either database can hold. Raises BadQuery."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadQuery(field, f"{field} holds a character that no text may hold; leave it out.")
    return value


def _cursor_of(order: Order, keys: tuple[Column, ...], row: Any) -> str:
    first, *others = (row[key.name] for key in keys)
    told = [[key.name for key in keys], order.write(first), *others]
    return urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


def _after(cursor: str, order: Order, keys: tuple[Column, ...]) -> list:
    """The row that a cursor stands for, as values of the columns that are sorted by."""
    try:
        names, first, *others = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = [order.read(first), *others]
        fits = [_fits(value, key) for value, key in zip(values, keys, strict=True)]
        is_known = names == [key.name for key in keys] and all(fits)
    except (NotBase64, ValueError, TypeError):
        is_known = False
    if not is_known:
        raise BadQuery("after", "after is no cursor of this list with this sort; begin at its first page.")
    return [literal(value, key.type) for value, key in zip(values, keys, strict=True)]


def _fits(value: Any, column: Column) -> bool:
    """Whether a column may hold a value that somebody else may have written."""
    expected = column.type.python_type
    if expected is str:
        return isinstance(value, str) and check_text("after", value) == value
    if expected is int:
        return type(value) is int and abs(value) < LARGEST
    if expected is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    return isinstance(value, (int, float) if expected is float else expected) and not isinstance(value, bool)
