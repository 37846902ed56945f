"""All rows of the store as lines of JSON, and back into an empty store of either database.

In:  a store with all its tables; lines of JSON by table.
Out: a consistent view of all tables while others write; the same rows in another store, whose chains go on.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Date, LargeBinary, Table, delete, func, insert, select, text

from fairmeter.casework.audit_chain import RESTORE
from fairmeter.store.audit import append_entry
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.migrate import HEAD, revision_of

LEFT_OUT = {"imports", "sessions", "invitations"}  # files of imports are in no copy; a restored desk asks for passwords
MADE_AT_START = ("secrets", "audit_head")  # rows that a store without any client has
CHUNK = 1_000  # rows inserted at once


class CopyNotPossible(StoreError):
    """The rows cannot be copied into this store; nothing was written."""


class TableCopy(NamedTuple):
    """A table's name and its rows, each a line of JSON without its end."""

    name: str
    lines: Iterator[str]


class CopyStore(Database):
    """Copies all rows out of a store, and into one that is empty."""

    @contextmanager
    def copied_out(self) -> Iterator[Iterator[TableCopy]]:
        """The tables one after the other, all of the same moment. Raises StoreUnavailable."""
        with self.reading() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield (TableCopy(table.name, _lines_of(connection, table)) for table in copied_tables())

    def require_empty(self) -> None:
        """Raises CopyNotPossible where the store holds rows."""
        with self.reading() as connection:
            _require_empty(connection)

    def copy_in(self, lines_of: Callable[[str], Iterable[str]], user: str, why: str) -> dict[str, int]:
        """Insert the rows of each table in one transaction; the number of rows by table.

        lines_of: the lines of a table's name. Raises CopyNotPossible where the store holds rows, StoreUnavailable.
        """
        counts = {}
        with self.migrating() as connection:
            _require_empty(connection)
            for name in MADE_AT_START:
                connection.execute(delete(schema.metadata.tables[name]))
            for table in copied_tables():
                counts[table.name] = _insert_lines(connection, table, lines_of(table.name))
                if not self.is_sqlite:
                    _continue_numbers(connection, table)
            append_entry(connection, self.audit_key, RESTORE, "", user, why)
        return counts

    def revision(self) -> str | None:
        """The version of the tables, None without any."""
        with self.reading() as connection:
            return revision_of(connection)


def copied_tables() -> list[Table]:
    """The tables of a copy, each after those that it refers to."""
    return [table for table in schema.metadata.sorted_tables if table.name not in LEFT_OUT]


def check_copied(revision: str, tables: Collection[str]) -> None:
    """Raise CopyNotPossible for rows of other tables than this version's."""
    if revision != HEAD:
        raise CopyNotPossible(
            f"The copy is of tables {revision}, and this Fairmeter has {HEAD}: restore it with the release that "
            "made it, then update."
        )
    missing = {table.name for table in copied_tables()} - set(tables)
    if missing:
        raise CopyNotPossible(f"The copy has no rows of {', '.join(sorted(missing))}: it is not whole.")


# --- rows and lines ---------------------------------------------------------------------------------------------------


def _stored_columns(table: Table) -> list[Column]:
    return [column for column in table.columns if column.computed is None]


def _lines_of(connection: Connection, table: Table) -> Iterator[str]:
    columns = _stored_columns(table)
    with connection.execute(select(*columns), execution_options={"yield_per": CHUNK}) as rows:
        for row in rows:
            yield json.dumps([_plain(value) for value in row], ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode()
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date


def _insert_lines(connection: Connection, table: Table, lines: Iterable[str]) -> int:
    columns, n, left = _stored_columns(table), 0, iter(lines)
    while chunk := list(islice(left, CHUNK)):
        rows = [
            {column.name: _value(column, value) for column, value in zip(columns, json.loads(line), strict=True)}
            for line in chunk
        ]
        connection.execute(insert(table), rows)
        n += len(rows)
    return n


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return b64decode(value)
    if isinstance(column.type, schema.UtcDateTime | schema.NaiveDateTime):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(column.type, Date) else value


def _require_empty(connection: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        if table.name not in MADE_AT_START and connection.execute(select(1).select_from(table).limit(1)).first():
            raise CopyNotPossible(
                f"The database holds {table.name} already, and nothing is overwritten: give DATABASE_URL an empty one."
            )


def _continue_numbers(connection: Connection, table: Table) -> None:
    """Let PostgreSQL number the next row after the highest that was copied."""
    column = table.autoincrement_column
    sequence = column is not None and connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
    if sequence:
        highest = connection.scalar(select(func.max(column)))
        connection.execute(
            text("SELECT setval(:sequence, :number, :is_used)"),
            {"sequence": sequence, "number": highest or 1, "is_used": highest is not None},
        )
