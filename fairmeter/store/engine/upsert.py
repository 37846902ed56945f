"""Many rows at once, written over those with the same key.

In:  a table, some of its columns, rows as tuples in the order of these columns.
Out: the rows in the table, a statement for each few thousand.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

from sqlalchemy import Column, ColumnElement, Connection, Date, Table

from fairmeter.store.engine.database import answering
from fairmeter.store.engine.schema import UtcDateTime

CHUNK = 20_000  # rows a statement
SAME = 2**14  # days or moments that are remembered as they are written, of each column
OF_TIME = (Date, UtcDateTime)
COPIED = 200  # rows from which PostgreSQL is given them by COPY
FEW = 500  # ids that are named one by one in a query

OVERWRITE, KEEP, FILL = "overwrite", "keep", "fill"  # what becomes of a row that is there; FILL: only what is given


def write_rows(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Iterable[Sequence],
    there: str = OVERWRITE,
    filled: Collection[str] = (),
) -> None:
    """Writes rows; those with the key of another one are overwritten, kept, or filled where they bring a value.

    filled: columns that are filled where the others are overwritten.
    """
    columns = [table.c[name] for name in names]
    convert = _converter(connection, columns)
    into = f"INSERT INTO {table.name} ({_listed(columns)})"
    on_conflict = _on_conflict(table, columns, there, filled)
    for chunk in _chunks(map(convert, rows)):
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"{into} VALUES ({_marks('?', columns)}) {on_conflict}", chunk)
        elif len(chunk) < COPIED:
            connection.exec_driver_sql(f"{into} VALUES ({_marks('%s', columns)}) {on_conflict}", chunk)
        else:
            _copy(connection, table, columns, chunk)
            passed = f"SELECT {_listed(columns)} FROM {_passing(table)}"  # noqa: S608  names of our own
            connection.exec_driver_sql(f"{into} {passed} {on_conflict}")


def among(column: Column, ids: Sequence[str]) -> ColumnElement[bool]:
    """Rows of these clients, in rising order, and where they are many of others between the first and the last."""
    return column.in_(ids) if len(ids) <= FEW else (column >= ids[0]) & (column <= ids[-1])


def _copy(connection: Connection, table: Table, columns: list[Column], rows: list[tuple]) -> None:
    """Rows into a table of this transaction, by COPY: single statements would take five times as long."""
    listed, passing = _listed(columns), _passing(table)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {passing}")
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {passing} ON COMMIT DROP AS SELECT {listed} FROM {table.name} WITH NO DATA"  # noqa: S608  names of our own
    )
    into = f"COPY {passing} ({listed}) FROM STDIN"
    with answering(connection), connection.connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row)


def _passing(table: Table) -> str:
    return f"passing_{table.name}"


def _marks(mark: str, columns: list[Column]) -> str:
    return ", ".join([mark] * len(columns))


def _on_conflict(table: Table, columns: list[Column], there: str, filled: Collection[str]) -> str:
    keys = ", ".join(column.name for column in table.primary_key)
    others = [column.name for column in columns if not column.primary_key]
    if there == KEEP or not others:
        return "ON CONFLICT DO NOTHING"
    filled = others if there == FILL else filled
    new = {name: f"coalesce(excluded.{name}, {table.name}.{name})" for name in filled}
    return f"ON CONFLICT ({keys}) DO UPDATE SET " + ", ".join(
        f"{name} = {new.get(name, f'excluded.{name}')}" for name in others
    )


def _listed(columns: list[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _converter(connection: Connection, columns: list[Column]) -> Callable[[Sequence], tuple]:
    """Python's values -> those of the driver, as SQLAlchemy would make them of single rows."""
    impls = [column.type.dialect_impl(connection.dialect) for column in columns]
    ways = [impl.bind_processor(connection.dialect) for impl in impls]
    # Many rows share their days and moments, and writing one takes longer than to find it written.
    is_of_time = [isinstance(column.type, OF_TIME) for column in columns]
    ways = [lru_cache(SAME)(way) if way and is_time else way for way, is_time in zip(ways, is_of_time, strict=True)]
    changed = [(i, way) for i, way in enumerate(ways) if way is not None]
    if not changed:
        return tuple

    def convert(row: Sequence) -> tuple:
        values = list(row)
        for i, way in changed:
            values[i] = way(values[i])
        return tuple(values)

    return convert


def _chunks(rows: Iterator[tuple]) -> Iterator[list[tuple]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
