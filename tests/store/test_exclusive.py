"""Work that one process at a time does: another one waits, and takes over where the first ends or loses its hold."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from fairmeter.store import Store

WORK, OTHER_WORK = 0x77, 0x78


@pytest.fixture
def other(store, database_url) -> Iterator[Store]:
    """A second process on the same database, as far as the database can tell."""
    del store
    with closing(Store(database_url)) as opened:
        yield opened


def test_of_two_processes_one_has_the_work_and_the_other_gets_it_afterwards(store, other):
    with store.held_alone(WORK) as hold:
        assert hold.lasts()
        with other.held_alone(WORK) as second:
            assert second is None
        with other.held_alone(OTHER_WORK) as second:
            assert second is not None, "of other work"
        assert hold.lasts()
    with other.held_alone(WORK) as second:
        assert second.lasts()


def test_an_error_in_the_work_gives_it_back(store, other):
    with pytest.raises(ZeroDivisionError), store.held_alone(WORK):
        raise ZeroDivisionError
    with other.held_alone(WORK) as second:
        assert second is not None


def test_a_database_that_lost_the_connection_has_given_the_work_back(store, other):
    if store.is_sqlite:
        pytest.skip("SQLite has no connection to lose")
    with store.held_alone(WORK) as hold:
        process = hold.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with other.outside_transactions() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
        assert not hold.lasts()
        with other.held_alone(WORK) as second:
            assert second is not None
