"""Many rows at once, written over those with the same key.

In:  a table, some of its columns, rows as tuples in the order of these columns.
Out: the rows in the table. One statement for each few thousand, on PostgreSQL with a whole column as one array: 135,000
     rows take a second or two in either database.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import Column, Connection, Table

CHUNK = 5000  # rows a statement
FEW = 500  # ids that are named one by one in a query; more are filtered here

OVERWRITE, KEEP, FILL = "overwrite", "keep", "fill"  # what becomes of a row that is there; FILL: only what is given


def write_rows(
    connection: Connection, table: Table, names: Sequence[str], rows: Iterable[Sequence], there: str = OVERWRITE
) -> None:
    """Writes rows; those with the key of another one are overwritten, kept, or filled where they bring a value."""
    columns = [table.c[name] for name in names]
    convert = _converter(connection, columns)
    write = _write_sqlite if connection.dialect.name == "sqlite" else _write_postgresql
    for chunk in _chunks(map(convert, rows)):
        write(connection, columns, chunk, _on_conflict(table, columns, there))


def _write_sqlite(connection: Connection, columns: list[Column], rows: list[tuple], on_conflict: str) -> None:
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {columns[0].table.name} ({_listed(columns)}) VALUES ({marks}) {on_conflict}"  # noqa: S608  names of our own
    connection.exec_driver_sql(statement, rows)


def _write_postgresql(connection: Connection, columns: list[Column], rows: list[tuple], on_conflict: str) -> None:
    arrays = ", ".join(f"%s::{column.type.compile(connection.dialect)}[]" for column in columns)
    arrays = arrays.replace(' COLLATE "C"', "")  # an array has no collation
    statement = f"INSERT INTO {columns[0].table.name} ({_listed(columns)}) SELECT * FROM unnest({arrays}) {on_conflict}"  # noqa: S608  names of our own
    connection.exec_driver_sql(statement, tuple(map(list, zip(*rows, strict=True))))


def _on_conflict(table: Table, columns: list[Column], there: str) -> str:
    keys = ", ".join(column.name for column in table.primary_key)
    others = [column.name for column in columns if not column.primary_key]
    if there == KEEP or not others:
        return "ON CONFLICT DO NOTHING"
    new = "coalesce(excluded.{0}, {1}.{0})" if there == FILL else "excluded.{0}"
    return f"ON CONFLICT ({keys}) DO UPDATE SET " + ", ".join(
        f"{name} = {new.format(name, table.name)}" for name in others
    )


def _listed(columns: list[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _converter(connection: Connection, columns: list[Column]) -> Callable[[Sequence], tuple]:
    """Python's values -> those of the driver, as SQLAlchemy would make them of single rows."""
    impls = [column.type.dialect_impl(connection.dialect) for column in columns]
    ways = [impl.bind_processor(connection.dialect) for impl in impls]
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
