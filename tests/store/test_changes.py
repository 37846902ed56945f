"""What happened at the desk since a moment, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.store import Change
from fairmeter.store.fieldwork import changes
from tests.builders.store import score_of, write

TODAY = datetime.now(UTC).date()
TOMORROW = TODAY + timedelta(days=1)
WHY = "So."


@pytest.fixture
def since():
    return datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
def worked(store, since):  # noqa: ARG001  a minute before all of this
    """A day of work on three clients, each kind of change once."""
    write(store, *(score_of(f"c-{n}") for n in range(4)), scored_at=datetime.now(UTC))
    case = store.open_case("c-0", "anna", WHY)
    store.add_comment(case.case_id, "ben", "Ask the neighbour.")
    store.move_case(case.case_id, "assigned", "anna", WHY, assignee="cleo")
    store.move_case(case.case_id, "inspecting", "cleo", WHY)
    store.record_inspection(case.case_id, "confirmed", TODAY, "cleo")
    alert = store.list_alerts(client_id="c-1").rows[0]
    store.snooze_alert(alert.alert_id, "anna", WHY, TOMORROW)
    crew = store.add_crew("South", "anna", capacity=3)
    plan = store.save_plans(TOMORROW, {crew.crew_id: [PlanVisit("c-2")]}, "anna")[0]
    store.publish_plan(plan.plan_id, "anna")
    return store


def test_each_kind_of_change_is_listed_with_who_and_about_whom_newest_first(worked, since):
    found = worked.changes_since(since)
    assert [(one.kind, one.user, one.client_id, one.value) for one in found] == [
        ("published", "anna", None, "South"),
        ("alert snoozed", "anna", "c-1", ""),
        ("visited", "cleo", "c-0", "confirmed"),
        ("begun", "cleo", "c-0", ""),
        ("given", "anna", "c-0", "cleo"),
        ("comment", "ben", "c-0", "Ask the neighbour."),
        ("opened", "anna", "c-0", ""),
        ("scored", "", None, ""),
    ]
    assert (found[0].on, found[0].n) == (TOMORROW, 1)
    assert (found[-1].n, found[-1].n_suspected) == (4, 4)
    assert all(isinstance(one, Change) and one.at.tzinfo for one in found)


def test_changes_before_the_moment_are_left_out_and_the_newest_come_first(worked, since):
    assert worked.changes_since(datetime.now(UTC)) == []
    everything = worked.changes_since(since)
    assert worked.changes_since(since, limit=2) == everything[:2]
    assert [one.at for one in everything] == sorted((one.at for one in everything), reverse=True)


@pytest.mark.parametrize(
    ("move", "kind"),
    [
        ((None, "new", None), "opened"),
        ((None, "assigned", None), "given"),
        (("assigned", "new", None), "returned"),
        (("assigned", "assigned", None), "given"),
        (("inspecting", "closed", "cleared"), "visited"),
        (("inspecting", "assigned", "no_access"), "visited"),
        (("new", "closed", None), "closed"),
        (("closed", "new", None), "reopened"),
        (("closed", "assigned", None), "reopened"),
        (("assigned", "inspecting", None), "begun"),
    ],
)
def test_a_move_has_a_kind_by_its_states_and_outcome(move, kind):
    assert changes.move_kind(*move) == kind


def test_comments_are_counted_by_case(worked):
    first = worked.list_cases(client_id="c-0").rows[0].case_id
    other = worked.list_cases(client_id="c-2").rows[0].case_id
    worked.add_comment(first, "cleo", "Done.")
    assert worked.count_comments([first, other]) == {first: 2}
    assert worked.count_comments([]) == {}
