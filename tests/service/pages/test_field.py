"""Visits on a phone, on the side of the desk; tests/browser/test_workflow.py has the phone's side."""

import pytest

from tests.builders.pages import open_desk, seen
from tests.builders.store import clients_of, score_of, write

VISIT = {"outcome": "confirmed", "inspected_on": "2026-03-02", "note": "By-pass.", "assignee": "open"}
WHY = "On the list."


@pytest.fixture
def desk(store):
    ids = ["c-1", "c-2", "c-3"]
    places = clients_of(client_id=ids, latitude=[36.0, 36.9, 36.1], longitude=[10.0, 10.0, 10.0])
    write(store, *map(score_of, ids), clients=places)
    return open_desk(store)


def test_visits_are_those_of_the_user_in_visiting_order(store, desk):
    for client_id in ("c-1", "c-2", "c-3"):
        store.open_case(client_id, "anna", WHY, assignee="open")
    text = seen(desk.get("/desk/field")).text
    places = [text.index(client_id) for client_id in ("c-1", "c-3", "c-2")]
    assert places in (sorted(places), sorted(places, reverse=True))  # from one end of the line to the other
    assert "c-1" not in seen(desk.get("/desk/field?of=ben")).text


def test_an_outcome_closes_the_case_that_was_only_assigned(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    assert desk.post(f"/desk/field/{case.case_id}", json=VISIT).json == {"state": "saved"}
    assert store.find_case(case.case_id).outcome == "confirmed"
    assert store.inspections()[0].note == "By-pass."


def test_an_outcome_that_is_sent_twice_is_recorded_once(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    states = [desk.post(f"/desk/field/{case.case_id}", json=VISIT).json["state"] for _ in range(2)]
    assert states == ["saved", "already"]
    assert len(store.inspections()) == 1


def test_an_outcome_goes_on_where_only_the_first_half_of_it_was_written(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    store.move_case(case.case_id, "inspecting", "open", WHY)
    assert desk.post(f"/desk/field/{case.case_id}", json=VISIT).json == {"state": "saved"}


def test_a_case_reassigned_in_the_meantime_is_refused_in_a_sentence_and_stays_assigned(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    store.move_case(case.case_id, "new", "anna", WHY)
    store.move_case(case.case_id, "assigned", "anna", WHY, assignee="ben")
    answer = desk.post(f"/desk/field/{case.case_id}", json=VISIT)
    assert answer.status_code == 409
    assert "ben has it" in answer.json["message"]
    assert store.find_case(case.case_id).state == "assigned"


@pytest.mark.parametrize("body", [None, [], "x", {"outcome": "stolen"}, VISIT | {"inspected_on": "2999-01-01"}])
def test_an_invalid_outcome_is_refused_in_a_sentence(store, desk, body):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    answer = desk.post(f"/desk/field/{case.case_id}", json=body)
    assert answer.status_code == 422
    assert answer.json["message"]
    assert store.find_case(case.case_id).state == "assigned"
