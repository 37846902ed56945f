"""Cases that nobody could close, that are opened again or corrected, and days that cannot be meant."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from fairmeter.casework.workflow import BadDay, CaseNotFound, ClientHasCase, MoveNotAllowed
from fairmeter.store import alerts as store_alerts
from fairmeter.store.engine import schema
from tests.builders.store import score_of, shipped_rules, write

VISITED_ON = date(2026, 11, 3)


@pytest.fixture
def desk(store):
    """A store with three clients, each alerted."""
    write(store, *(score_of(f"c-{i}") for i in range(3)))
    return store


def inspected(store, client_id="c-0", outcome="confirmed"):
    case = store.open_case(client_id, "ana", "worth a look", assignee="bo")
    store.move_case(case.case_id, "inspecting", "bo", "on the way")
    return store.record_inspection(case.case_id, outcome, VISITED_ON, "bo")


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_a_visit_that_an_older_version_took_harms_its_client_alone(desk, day):
    for client_id in ("c-0", "c-1"):
        inspected(desk, client_id, "cleared")
    with desk.writing() as connection:
        table = schema.inspections
        connection.execute(update(table).where(table.c.client_id == "c-0").values(inspected_on=date.fromisoformat(day)))
    today = datetime.now(UTC)
    states = desk.work_states(shipped_rules())
    assert states["c-1"].state == "cleared"
    assert states["c-0"].state == "cleared", "not scored since the meter was seen"
    assert write(desk, *(score_of(f"c-{i}") for i in range(3)), scored_at=today).n_profiles == 3
    assert desk.work_states(shipped_rules())["c-1"].state == "cleared"
    assert {one.client_id for one in desk.list_inspections().rows} == {"c-0", "c-1"}
    assert desk.list_cases(state="closed").rows


def test_days_that_cannot_be_reckoned_with_are_logged_and_leave_their_client_out(desk, monkeypatch, caplog):
    for client_id in ("c-0", "c-1"):
        inspected(desk, client_id, "cleared")
    right = store_alerts.work_state

    def wrong(case, rules, today):
        if case.case_id == 1:
            raise OverflowError("date value out of range")
        return right(case, rules, today)

    monkeypatch.setattr(store_alerts, "work_state", wrong)
    states = desk.work_states(shipped_rules())
    assert (states["c-0"].why, states["c-1"].state) == ("its days cannot be reckoned with", "cleared")
    assert "client c-0" in caplog.text


# --- nobody at home, opened again, corrected --------------------------------------------------------------------------


def test_without_access_the_case_stays_open_with_a_day_to_come_back(desk):
    inspection = inspected(desk, outcome="no_access")
    case = desk.open_case_of("c-0")
    assert (case.state, case.assignee, case.outcome) == ("assigned", "bo", "no_access")
    assert case.revisit_on == VISITED_ON + timedelta(days=14)
    state = desk.work_states(shipped_rules())["c-0"]
    assert (state.state, state.on, state.who) == ("revisit", case.revisit_on, "bo")
    desk.move_case(case.case_id, "inspecting", "bo", "again")
    again = desk.record_inspection(case.case_id, "confirmed", VISITED_ON + timedelta(days=9), "bo")
    assert [one.inspection_id for one in desk.inspections()] == [inspection.inspection_id, again.inspection_id]
    assert desk.find_case(case.case_id).state == "closed"
    assert desk.verify_chain() is None


def test_who_takes_a_case_over_comes_back_on_the_same_day(desk):
    inspected(desk, outcome="no_access")
    before = desk.open_case_of("c-0")
    after = desk.move_case(before.case_id, "assigned", "ana", "ill", version=before.version, assignee="eva")
    assert (after.assignee, after.revisit_on) == ("eva", before.revisit_on)
    tomorrow = date.today() + timedelta(days=1)
    planned = {"version": after.version, "assignee": "eva", "planned_on": tomorrow, "crew": "North"}
    after = desk.move_case(before.case_id, "assigned", "ana", "planned", **planned)
    assert (after.planned_on, after.crew, after.revisit_on) == (tomorrow, "North", None)


def test_the_crew_says_when_it_comes_back_and_no_day_that_cannot_be_meant(desk):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    desk.move_case(case.case_id, "inspecting", "bo", "on the way")
    for day in (date.max, date.min):
        with pytest.raises(BadDay, match=f"revisit_on is {day}"):
            desk.record_inspection(case.case_id, "no_access", VISITED_ON, "bo", revisit_on=day)
    tomorrow = date.today() + timedelta(days=1)
    desk.record_inspection(case.case_id, "refused", VISITED_ON, "bo", revisit_on=tomorrow)
    assert desk.open_case_of("c-0").revisit_on == tomorrow
    assert len(desk.inspections()) == 1


def test_a_closed_case_is_opened_again_and_that_is_a_move(desk):
    case_id = inspected(desk).case_id
    case = desk.move_case(case_id, "assigned", "ana", "the neighbours wrote", assignee="eva")
    assert (case.state, case.assignee, case.outcome, case.closed_at) == ("assigned", "eva", None, None)
    assert [(m.from_state, m.to_state, m.why) for m in desk.moves_of(case_id)][-1] == (
        "closed",
        "assigned",
        "the neighbours wrote",
    )
    assert desk.verify_chain() is None


def test_only_one_of_a_clients_cases_is_open(desk):
    case_id = inspected(desk).case_id
    other = desk.open_case("c-0", "ana", "alert")
    with pytest.raises(ClientHasCase, match=f"number {other.case_id}"):
        desk.move_case(case_id, "new", "ana", "again")


def test_an_outcome_is_corrected_and_the_case_follows(desk):
    inspection = inspected(desk)
    right = desk.correct_inspection(inspection.inspection_id, "ana", "wrong line", outcome="cleared")
    assert (right.outcome, desk.find_case(right.case_id).outcome) == ("cleared", "cleared")
    assert [m.outcome for m in desk.moves_of(right.case_id)][-2:] == ["confirmed", "cleared"]
    desk.correct_inspection(inspection.inspection_id, "ana", "it was next door", outcome="no_access")
    assert desk.open_case_of("c-0").revisit_on is not None
    assert [one.outcome for one in desk.inspections()] == ["no_access"]
    assert desk.verify_chain() is None
    lines = "".join(desk.chain_lines())
    assert "wrong line" in lines
    assert "it was next door" in lines


def test_a_correction_that_cannot_be_meant_changes_nothing(desk):
    inspection = inspected(desk)
    with pytest.raises(CaseNotFound):
        desk.correct_inspection(99, "ana", "so", outcome="cleared")
    with pytest.raises(MoveNotAllowed, match="Unknown outcome"):
        desk.correct_inspection(inspection.inspection_id, "ana", "so", outcome="guilty")
    with pytest.raises(BadDay):
        desk.correct_inspection(inspection.inspection_id, "ana", "so", inspected_on=date.max)
    with pytest.raises(MoveNotAllowed, match="Give a reason"):
        desk.correct_inspection(inspection.inspection_id, "ana", " ", outcome="cleared")
    assert desk.inspections() == [inspection]


def test_an_assignee_exists(desk):
    desk.add_user("bo", "x", "investigator")
    desk.add_user("eva", "x", "viewer")
    for name in ("nobody", "eva"):
        with pytest.raises(MoveNotAllowed, match=f"no active user or crew '{name}'; choose one of bo"):
            desk.open_case("c-0", "ana", "alert", assignee=name)
    assert desk.open_case_of("c-0") is None
    assert desk.open_case("c-0", "ana", "alert", assignee="bo").assignee == "bo"
    assert desk.open_case("c-1", "key robot", "alert", assignee="key robot").assignee == "key robot"
