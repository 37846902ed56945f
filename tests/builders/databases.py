"""Databases of the tests: empty ones, and copies of one that was migrated once."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from fairmeter.store import Store

DATABASES = ("sqlite", "postgresql")
# Nothing here must survive a power cut, and waiting for the disk takes most of a test.
NO_WAITING = "-csynchronous_commit=off"


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
        self._folder, self._file, self._database = folder, None, None

    @contextmanager
    def copied(self, kind: str, folder: Path) -> Iterator[str]:
        """The URL of a copy that nothing else uses. [folder: where SQLite's file goes]"""
        if kind == "sqlite":
            yield self._copied_file(folder / "store.db")
        else:
            with self._copied_database(server_url()) as url:
                yield url

    def _copied_file(self, path: Path) -> str:
        if self._file is None:
            migrate(f"sqlite:///{self._folder}/template.db")
            self._file = self._folder / "template.db"
        shutil.copyfile(self._file, path)
        return f"sqlite:///{path}"

    @contextmanager
    def _copied_database(self, server: str) -> Iterator[str]:
        if self._database is None:
            self._database = new_name()
            on_server(server, f"CREATE DATABASE {self._database}")
            migrate(url_with(server, database=self._database))
        name = new_name()
        on_server(server, f"CREATE DATABASE {name} TEMPLATE {self._database}")
        try:
            yield url_with(server, database=name)
        finally:
            on_server(server, f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        if self._database is not None:
            on_server(server_url(), f"DROP DATABASE {self._database} WITH (FORCE)")


def migrate(url: str) -> None:
    with closing(Store(url)) as store:
        store.migrate()


def n_vacuums(store: Store) -> int:
    """How often PostgreSQL was told to vacuum profiles and alerts."""
    query = "SELECT sum(vacuum_count) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
    with store.reading() as connection:
        return int(connection.execute(text(query)).scalar())
