"""Databases of the tests: empty ones, and copies of one that was migrated once."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Pool, event, text
from sqlalchemy.engine import make_url

from fairmeter.store import Store

DATABASES = ("sqlite", "postgresql")
# Nothing here must survive a power cut, and waiting for the disk takes most of a test.
NO_WAITING = "-csynchronous_commit=off"


@event.listens_for(Pool, "checkout")
def _do_not_wait(connection, *_) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF").close()


def server_url() -> str:
    server = os.environ.get("TEST_DATABASE_URL")
    if not server:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL to test with")
    return server


def url_with(server: str, options: str = NO_WAITING, database: str | None = None) -> str:
    url = make_url(server).update_query_dict({"options": options})
    return (url.set(database=database) if database else url).render_as_string(hide_password=False)


def on_server(server: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def new_name() -> str:
    return f"test_{uuid4().hex[:12]}"


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database of this kind that nothing else uses: a file of SQLite or a schema of PostgreSQL."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/store.db"
        return
    server, schema = server_url(), new_name()
    on_server(server, f"CREATE SCHEMA {schema}")
    try:
        yield url_with(server, f"-csearch_path={schema} {NO_WAITING}")
    finally:
        on_server(server, f"DROP SCHEMA {schema} CASCADE")


class Templates:
    """Databases with all tables and nothing in them: migrated once, then copied. [folder: of the SQLite file]"""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file, self._server = folder, None, None

    @contextmanager
    def copied(self, kind: str, folder: Path) -> Iterator[str]:
        """The URL of a copy that nothing else uses. [folder: where SQLite's file goes]"""
        if kind == "sqlite":
            yield self._copied_file(folder / "store.db")
        else:
            self._server = self._server or ServerTemplate(server_url())
            with self._server.copied() as url:
                yield url

    def _copied_file(self, path: Path) -> str:
        if self._file is None:
            migrate(f"sqlite:///{self._folder}/template.db")
            self._file = self._folder / "template.db"
        shutil.copyfile(self._file, path)
        return f"sqlite:///{path}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


class ServerTemplate:
    """A migrated database on a server, and its copies; a copy is emptied and given again, as making one takes long."""

    def __init__(self, server: str) -> None:
        self._on_server, self._template, self._spare = server, new_name(), []
        on_server(server, f"CREATE DATABASE {self._template}")
        migrate(url_with(server, database=self._template))
        with self._connected(self._template) as connection:
            self._schema, self._rows = _schema_of(connection), _rows_of(connection)

    @contextmanager
    def copied(self) -> Iterator[str]:
        """The URL of a copy that nothing else uses."""
        name = self._spare.pop() if self._spare else self._made()
        try:
            yield url_with(self._on_server, database=name)
        finally:
            self._empty(name)

    def _made(self) -> str:
        name = new_name()
        on_server(self._on_server, f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return name

    def _empty(self, name: str) -> None:
        """Make the copy what it was; drop it where its tables are others now."""
        with self._connected(name) as connection:
            connection.execute(END_OTHERS)
            if is_same := _schema_of(connection) == self._schema:
                connection.execute(EMPTY_TABLES)
                for table, rows in self._rows.items():
                    connection.execute(FILL.format(table), [rows])
        self._spare.append(name) if is_same else self._drop(name)

    def _connected(self, name: str):
        import psycopg

        url = make_url(self._on_server).set(drivername="postgresql", database=name)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def _drop(self, name: str) -> None:
        on_server(self._on_server, f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        for name in (*self._spare, self._template):
            self._drop(name)


END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
EMPTY_TABLES = """
    SET session_replication_role = replica;  -- the triggers that keep the audit's entries from being deleted
    DO $$ DECLARE name regclass; is_filled boolean; filled text; BEGIN
        FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO is_filled;
            IF is_filled THEN filled := concat_ws(', ', filled, name); END IF;
        END LOOP;
        IF filled IS NOT NULL THEN EXECUTE format('TRUNCATE %s CASCADE', filled); END IF;
        PERFORM setval(format('%I.%I', schemaname, sequencename), start_value, false)
            FROM pg_sequences WHERE last_value IS NOT NULL;
        PERFORM pg_stat_reset();
    END $$"""
SCHEMA = """
    SELECT relname, relkind::text, attname::text, atttypid, attnotnull, attnum
    FROM pg_class LEFT JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND NOT coalesce(attisdropped, false)
    UNION ALL
    SELECT relname, tgenabled::text, tgname, tgtype, tgisinternal, 0
    FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid WHERE NOT tgisinternal
    ORDER BY 1, 2, 6, 3"""
FILL = "INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s)"
ROWS = "SELECT json_agg(one)::text FROM {} one"
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


def _schema_of(connection) -> list[tuple]:
    """Tables, indexes and sequences with their columns; triggers."""
    return connection.execute(SCHEMA).fetchall()


def _rows_of(connection) -> dict[str, str]:
    """What a migration writes, as JSON by table."""
    found = {}
    for (table,) in connection.execute(TABLES).fetchall():
        [[rows]] = connection.execute(ROWS.format(table)).fetchall()
        if rows is not None:
            found[table] = rows
    return found


def migrate(url: str) -> None:
    with closing(Store(url)) as store:
        store.migrate()


def n_vacuums(store: Store) -> int:
    """How often PostgreSQL was told to vacuum profiles and alerts."""
    query = "SELECT sum(vacuum_count) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
    with store.reading() as connection:
        return int(connection.execute(text(query)).scalar())
