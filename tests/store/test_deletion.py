"""A client that is erased: nothing names it any more, and the chains hold."""

from datetime import date

import pytest
from sqlalchemy import inspect, text

from tests.builders.store import NOW, score_of, shipped_rules, write

DELETED, OTHER = "c-1", "c-2"


@pytest.fixture
def worked_on(store):
    """A store in which both clients have profiles, alerts, notifications, readings, a case and an inspection."""
    write(store, score_of(DELETED), score_of(OTHER), rules=shipped_rules())
    store.add_readings([(client, NOW.replace(tzinfo=None), 1.0) for client in (DELETED, OTHER)], NOW)
    store.add_readings([(client, NOW.replace(tzinfo=None), 2.0) for client in (DELETED, OTHER)], NOW)
    for client in (DELETED, OTHER):
        case = store.open_case(client, "ana", "worth a look", assignee="bo")
        store.move_case(case.case_id, "inspecting", "bo", "on the way")
        store.record_inspection(case.case_id, "cleared", date(2026, 11, 3), "bo", photos=("a.jpg",))
    return store


def tables_that_name(store, client_id):
    with store.reading() as connection:
        names = inspect(connection).get_table_names()
        rows = {name: connection.execute(text(f'SELECT * FROM "{name}"')).all() for name in names}  # noqa: S608
    return {name for name, found in rows.items() if any(client_id in str(tuple(row)) for row in found)}


def test_a_deleted_client_is_in_no_table_and_the_others_stay(worked_on):
    before = tables_that_name(worked_on, OTHER)
    assert {"clients", "profiles", "readings", "former_readings", "unjudged", "inspections"} <= tables_that_name(
        worked_on, DELETED
    )
    assert worked_on.erase_client(DELETED, "ana", "asked for").photos == ("a.jpg",)
    assert tables_that_name(worked_on, DELETED) == set()
    assert tables_that_name(worked_on, OTHER) == before
    assert worked_on.verify_chain() is None
    assert len(worked_on.list_cases().rows) == 2
