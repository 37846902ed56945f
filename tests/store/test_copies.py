"""All rows as lines of JSON and back: into either database, with chains that hold and numbers that go on."""

from contextlib import closing
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from fairmeter.casework.types import PlanVisit
from fairmeter.store import Store
from fairmeter.store.engine import schema
from fairmeter.store.engine.migrate import HEAD
from fairmeter.store.keeping.copies import CopyNotPossible, check_copied, copied_tables
from tests.builders.databases import DATABASES
from tests.builders.store import NOW, score_of, shipped_rules, write

KEY = b"a key of the tests alone"


def lines_of(store):
    with store.copied_out() as tables:
        return {table.name: list(table.lines) for table in tables}


@pytest.fixture
def worked_on(database_url):
    """A store with rows in most tables."""
    with closing(Store(database_url, KEY)) as store:
        write(store, score_of("c-1"), score_of("c-2"), rules=shipped_rules())
        store.add_user("ana", "x" * 40, "admin")
        store.add_user("bo", "x" * 40, "investigator")
        store.add_key("feed", "y" * 40, "viewer")
        store.add_readings([("c-1", datetime(2026, 10, 25, 2, 30), kwh) for kwh in (0.1, 1.0)], NOW)
        case = store.open_case("c-1", "ana", "worth a look", assignee="bo")
        store.move_case(case.case_id, "inspecting", "bo", "on the way: «là»")
        store.record_inspection(case.case_id, "cleared", date(2026, 11, 3), "bo")
        store.add_comment(case.case_id, "ana", "Well done, @bo.")
        store.snooze_alert(2, "ana", "later", date.today() + timedelta(days=3))
        crew = store.add_crew("North", "ana", members=["bo"])
        store.save_plans(date.today(), {crew.crew_id: [PlanVisit("c-1", is_fixed=True)]}, "ana")
        store.add_campaign("Autumn", date(2026, 9, 1), date(2026, 11, 30), "ana")
        store.secret("session")
        yield store


@pytest.mark.parametrize("into", DATABASES)
def test_the_same_rows_are_in_another_database(worked_on, templates, tmp_path, into):
    before = lines_of(worked_on)
    (tmp_path / "other").mkdir()
    with templates.copied(into, tmp_path / "other") as url, closing(Store(url, KEY)) as other:
        other.secret("session")  # as a service that was started before
        counts = other.copy_in(before.__getitem__, "ana", "a new machine")
        after = lines_of(other)
        assert counts == {name: len(lines) for name, lines in before.items()}
        assert sum(counts.values()) > 20
        for name in set(before) - {"audit_entries", "audit_head"}:
            assert sorted(after[name]) == sorted(before[name]), name
        assert after["audit_entries"][:-1] == before["audit_entries"]
        assert other.verify_chain() is None
        assert other.audit_end().seal == "valid"
        case = other.open_case("c-2", "ana", "numbers go on")
        assert case.case_id > max(row.case_id for row in worked_on.list_cases().rows)
        assert other.verify_chain() is None


def test_nothing_is_copied_over_rows_that_are_there(worked_on):
    before = lines_of(worked_on)
    with pytest.raises(CopyNotPossible, match="nothing is overwritten"):
        worked_on.copy_in(lambda _name: [], "ana", "by mistake")
    assert lines_of(worked_on) == before


def test_a_copy_is_of_one_moment_while_others_write(worked_on):
    before = lines_of(worked_on)
    with worked_on.copied_out() as tables:
        first = next(tables)
        found = {first.name: list(first.lines)}
        worked_on.open_case("c-2", "ana", "meanwhile")
        found |= {table.name: list(table.lines) for table in tables}
    assert found == before
    assert lines_of(worked_on)["cases"] != before["cases"]


def test_rows_of_other_tables_are_refused():
    with pytest.raises(CopyNotPossible, match="restore it with the release that made it"):
        check_copied("0009", [])
    with pytest.raises(CopyNotPossible, match=r"no rows of alert_actions, .* it is not whole"):
        check_copied(HEAD, ["users"])


def test_all_tables_but_those_of_uploads_and_sessions_are_copied(store):
    assert {table.name for table in copied_tables()} == set(schema.metadata.tables) - {
        "imports",
        "sessions",
        "invitations",
    }
    with store.reading() as connection:
        assert connection.execute(select(schema.imports)).all() == []
