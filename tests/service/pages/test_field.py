"""Visits on a phone, on the side of the desk; tests/browser/test_workflow.py has the phone's side."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.desk.fieldwork.visits import visits_by_day
from fairmeter.store.engine.packing import INVOICE_DTYPE
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


def test_visits_of_the_users_crew_are_the_users_too_in_the_order_of_the_plan(store):
    store.add_user("ben", "hash", "investigator")
    ids = ["c-1", "c-2", "c-3"]
    write(store, *map(score_of, ids))
    crew = store.add_crew("North", "anna", members=["ben"])
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    plan, *_ = store.save_plans(tomorrow, {crew.crew_id: [PlanVisit(id_) for id_ in ("c-2", "c-1", "c-3")]}, "anna")
    assert visits_by_day(store, "ben", date.today()) == []  # a draft is on no phone
    store.publish_plan(plan.plan_id, "anna")
    (day,) = visits_by_day(store, "ben", datetime.now(UTC).date())
    assert (day.on, [visit.case.client_id for visit in day.visits]) == (tomorrow, ["c-2", "c-1", "c-3"])


def test_what_is_late_is_of_today_and_what_has_no_day_is_shown_apart(store, desk):
    today = datetime.now(UTC).date()
    for client_id in ("c-1", "c-2"):
        store.open_case(client_id, "anna", WHY, assignee="open")
    store.move_case(1, "assigned", "anna", WHY, version=2, assignee="open", planned_on=today)
    days = visits_by_day(store, "open", today + timedelta(days=2))
    assert {day.on: [visit.case.client_id for visit in day.visits] for day in days} == {
        None: ["c-2"],
        today + timedelta(days=2): ["c-1"],
    }
    assert "Without a day" in seen(desk.get("/desk/field")).text


def test_a_visit_shows_where_and_what_to_look_at(store, desk):
    invoices = np.zeros(2, INVOICE_DTYPE)
    invoices["meter_id"], invoices["new_index"], invoices["day"] = 4711.0, (100.0, 250.0), (20000, 20100)
    write(store, score_of("c-1"), invoice_histories={"c-1": invoices})
    store.open_case("c-1", "anna", WHY, assignee="open")
    page = seen(desk.get("/desk/field"))
    for text in ("Meter number 4711", "Last index 250", "If it is theft 1,000", "Seals, cover and terminals"):
        assert text in page.text, text


def test_a_visit_notes_the_kind_of_fraud_the_seal_and_the_index(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    noted = {"fraud_type": "bypass", "seal": "broken", "index_read": "321.5", "sent_key": "0123456789ab"}
    assert desk.post(f"/desk/field/{case.case_id}", json=VISIT | noted).json == {"state": "saved"}
    found = store.inspections()[0]
    assert (found.fraud_type, found.seal, found.index_read) == ("bypass", "broken", 321.5)
    row = desk.get("/inspections.csv").text.splitlines()
    assert "fraud_type,seal,index_read" in row[0]
    assert "bypass,broken,321.5" in row[1]


def test_no_access_twice_is_two_visits_and_sent_twice_is_one(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    nobody = VISIT | {"outcome": "no_access"}
    states = [
        desk.post(f"/desk/field/{case.case_id}", json=nobody | {"sent_key": key}).json["state"]
        for key in ("first-visit", "first-visit", "second-visit")
    ]
    assert states == ["saved", "already", "saved"]
    assert len(store.inspections()) == 2
    assert store.find_case(case.case_id).state == "assigned"
    assert "Come back on" in seen(desk.get("/desk/field")).text


@pytest.mark.parametrize(
    "noted", [{"fraud_type": "magic"}, {"seal": "x"}, {"index_read": "-1"}, {"index_read": "nan"}, {"sent_key": "a b"}]
)
def test_what_cannot_be_noted_is_refused_in_words(store, desk, noted):
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    answer = desk.post(f"/desk/field/{case.case_id}", json=VISIT | noted)
    assert (answer.status_code, bool(answer.json["message"])) == (422, True)
    assert store.inspections() == []


def test_the_page_can_be_installed(desk):
    answer = desk.get("/desk/manifest.webmanifest")
    assert answer.content_type == "application/manifest+json"
    assert (answer.json["start_url"], answer.json["display"]) == ("/desk/field", "standalone")
    assert desk.get(answer.json["icons"][0]["src"]).status_code == 200
    assert 'rel="manifest" href="/desk/manifest.webmanifest"' in seen(desk.get("/desk/field")).whole
