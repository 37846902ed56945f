"""Stores with all their tables and nothing in them: copied, not migrated. For conftest files.

A folder whose tests are about SQL has them on both databases by `pytest_generate_tests = on_both_databases`.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from fairmeter.store import Store
from tests.builders.databases import DATABASES, Templates, empty_database

__all__ = ["database_kind", "database_url", "empty_url", "store", "templates"]


def on_both_databases(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", DATABASES, indirect=True)


@pytest.fixture
def database_kind(request) -> str:
    """SQLite, unless the folder's tests run on both."""
    return getattr(request, "param", "sqlite")


@pytest.fixture(scope="session")
def templates(tmp_path_factory) -> Iterator[Templates]:
    made = Templates(tmp_path_factory.mktemp("templates"))
    yield made
    made.close()


@pytest.fixture
def database_url(database_kind, templates, tmp_path) -> Iterator[str]:
    """A database with all tables and nothing in them."""
    with templates.copied(database_kind, tmp_path) as url:
        yield url


@pytest.fixture
def empty_url(database_kind, tmp_path_factory) -> Iterator[str]:
    """A database without tables, for tests of migrating."""
    with empty_database(database_kind, tmp_path_factory.mktemp("empty")) as url:
        yield url


@pytest.fixture
def store(database_url) -> Iterator[Store]:
    """A store with all its tables and nothing in them."""
    with closing(Store(database_url)) as opened:
        yield opened
