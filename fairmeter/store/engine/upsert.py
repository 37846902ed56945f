"""Bulk inserts that overwrite, keep or fill rows with the same key.

In:  a table, some of its columns, rows as tuples in the order of these columns.
Out: the rows in the table, one statement for a few thousand rows.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from sqlalchemy import Column, ColumnElement, Connection, Date, Table

from fairmeter.store.engine.database import driver_errors
from fairmeter.store.engine.schema import UtcDateTime

CHUNK = 20_000  # rows a statement
CACHE_SIZE = 2**14  # converted days or moments to cache per column
TIME_TYPES = (Date, UtcDateTime)
MIN_COPY_ROWS = 200  # from this many rows PostgreSQL gets them by COPY
MAX_IDS = 500  # ids to list in one query

# What happens to an existing row of the same key. FILL: only values that are not NULL overwrite.
OVERWRITE, KEEP, FILL = "overwrite", "keep", "fill"


def write_rows(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Iterable[Sequence],
    existing: str = OVERWRITE,
    fill_columns: Collection[str] = (),
) -> None:
    """Write rows. existing: whether rows with the same key are overwritten (OVERWRITE), kept (KEEP) or filled (FILL).

    fill_columns: columns to fill while the others are overwritten.
    """
    columns = [table.c[name] for name in names]
    convert = _converter(connection, columns)
    into = f"INSERT INTO {table.name} ({_listed(columns)})"
    on_conflict = _on_conflict(table, columns, existing, fill_columns)
    for chunk in _chunks(map(convert, rows)):
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"{into} VALUES ({_marks('?', columns)}) {on_conflict}", chunk)
        elif len(chunk) < MIN_COPY_ROWS:
            connection.exec_driver_sql(f"{into} VALUES ({_marks('%s', columns)}) {on_conflict}", chunk)
        else:
            _copy(connection, table, columns, chunk)
            staged = f"SELECT {_listed(columns)} FROM {_staging(table)}"  # noqa: S608  names of our own
            connection.exec_driver_sql(f"{into} {staged} {on_conflict}")


def covers_ids(column: Column, ids: Sequence[str]) -> ColumnElement[bool]:
    """Condition that holds for these ids. Many ids are covered by the range from first to last. [ids: sorted]

    With a range, callers must skip rows of other ids.
    """
    return column.in_(ids) if len(ids) <= MAX_IDS else (column >= ids[0]) & (column <= ids[-1])


def _copy(connection: Connection, table: Table, columns: list[Column], rows: list[tuple]) -> None:
    """Copy rows into a temporary staging table: single statements would take five times as long."""
    listed, staging = _listed(columns), _staging(table)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {staging}")
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS SELECT {listed} FROM {table.name} WITH NO DATA"  # noqa: S608  names of our own
    )
    into = f"COPY {staging} ({listed}) FROM STDIN"
    with driver_errors(connection), connection.connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)


def _staging(table: Table) -> str:
    return f"staging_{table.name}"


def _marks(mark: str, columns: list[Column]) -> str:
    return ", ".join([mark] * len(columns))


def _on_conflict(table: Table, columns: list[Column], existing: str, fill_columns: Collection[str]) -> str:
    keys = ", ".join(column.name for column in table.primary_key)
    others = [column.name for column in columns if not column.primary_key]
    if existing == KEEP or not others:
        return "ON CONFLICT DO NOTHING"
    fill_columns = others if existing == FILL else fill_columns
    new = {name: f"coalesce(excluded.{name}, {table.name}.{name})" for name in fill_columns}
    return f"ON CONFLICT ({keys}) DO UPDATE SET " + ", ".join(
        f"{name} = {new.get(name, f'excluded.{name}')}" for name in others
    )


def _listed(columns: list[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _converter(connection: Connection, columns: list[Column]) -> Callable[[Sequence], tuple]:
    """A converter of a row from Python's values to the driver's, as SQLAlchemy converts single rows."""
    impls = [column.type.dialect_impl(connection.dialect) for column in columns]
    processors = [impl.bind_processor(connection.dialect) for impl in impls]
    # Many rows share their days and moments, and a cache lookup is cheaper than formatting one.
    for i, column in enumerate(columns):
        if processors[i] is not None and isinstance(column.type, TIME_TYPES):
            processors[i] = lru_cache(CACHE_SIZE)(processors[i])
    needed = [(i, process) for i, process in enumerate(processors) if process is not None]
    if not needed:
        return tuple

    def convert(row: Sequence) -> tuple:
        values = list(row)
        for i, process in needed:
            values[i] = process(values[i])
        return tuple(values)

    return convert


def _chunks(rows: Iterator[tuple]) -> Iterator[list[tuple]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
