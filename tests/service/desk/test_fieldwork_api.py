"""Alerts, crews, plans, campaigns, comments and notices as JSON."""

from datetime import UTC, date, datetime, timedelta

import pytest

from fairmeter.web.http.auth import INVESTIGATOR, THIS_MACHINE, VIEWER
from tests.builders.desk import add_user, desk_app, signed_in, with_key
from tests.builders.store import score_of, write

TODAY = datetime.now(UTC).date()
TOMORROW = (TODAY + timedelta(days=1)).isoformat()
ROLLBACK = {"n_index_rollbacks": 1.0}


@pytest.fixture
def app(store):
    write(
        store, *(score_of(f"c-{i}", recommendation="inspect now") for i in range(4)), score_of("c-9", 0.02, "low"),
        facts=[{}] * 4 + [ROLLBACK], scored_at=datetime.now(UTC),
    )  # fmt: skip
    add_user(store, "anna")
    add_user(store, "ben")
    return desk_app(store, THIS_MACHINE)


@pytest.fixture
def desk(app):
    return app.test_client()


def said(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json


def crew_of(desk, name="North", **more):
    return said(desk.post("/crews", json={"name": name} | more), 201)


# --- alerts -----------------------------------------------------------------------------------------------------------


def test_an_alert_says_which_rule_speaks_first_on_list_case_and_profile(desk):
    sentence = "The meter's index went back 1 times; an index that runs back is never regular."
    row = next(row for row in said(desk.get("/clients"))["rows"] if row["client_id"] == "c-9")
    assert (row["severity"], row["first_reason"]) == ("low", sentence)
    case = said(desk.post("/cases", json={"client_id": "c-9", "why": "x"}), 201)
    assert case["severity"] == "critical"
    assert said(desk.get(f"/cases/{case['case_id']}"))["rules"][0]["sentence"] == sentence
    assert said(desk.get("/consumer/c-9"))["alert"]["rules"][0]["sentence"] == sentence
    row = next(row for row in said(desk.get("/clients"))["rows"] if row["client_id"] == "c-9")
    assert (row["state"], row["first_reason"]) == ("new", sentence)


def test_alerts_are_dismissed_snoozed_assigned_and_opened_again(desk):
    alert = said(desk.get("/alerts?rule=index rollback"))["rows"][0]
    path = f"/alerts/{alert['alert_id']}"
    assert said(desk.post(f"{path}/assign", json={"assignee": "ben", "why": "his district"}))["assignee"] == "ben"
    assert [row["client_id"] for row in said(desk.get("/alerts?assignee=ben"))["rows"]] == ["c-9"]
    assert said(desk.get("/alerts?mine=1"))["rows"] == []
    assert said(desk.post(f"{path}/snooze", json={"until": TOMORROW, "why": "later"}))["state"] == "snoozed"
    assert said(desk.get("/alerts?state=snoozed"))["rows"][0]["snoozed_until"] == TOMORROW
    assert said(desk.post(f"{path}/dismiss", json={"why": "meter exchanged"}))["state"] == "dismissed"
    assert said(desk.get("/dashboard"))["alerts_by_severity"]["critical"] == 0
    assert said(desk.post(f"{path}/reopen", json={"why": "it was not"}))["state"] == "open"
    told = [(action["action"], action["why"]) for action in said(desk.get(path))["actions"]]
    assert told == [
        ("assigned", "his district"), ("snoozed", "later"), ("dismissed", "meter exchanged"),
        ("reopened", "it was not"),
    ]  # fmt: skip


def test_those_who_sign_in_find_their_own_alerts_and_notices(app, desk):
    alert = said(desk.get("/alerts"))["rows"][0]
    desk.post(f"/alerts/{alert['alert_id']}/assign", json={"assignee": "ben", "why": "yours"})
    ben, headers = signed_in(app, "ben")
    assert [row["alert_id"] for row in said(ben.get("/alerts?mine=true"))["rows"]] == [alert["alert_id"]]
    found = said(ben.get("/notices"))
    assert (found["n_unread"], found["rows"][0]["kind"]) == (1, "assigned")
    assert said(ben.post("/notices/read", json={}, headers=headers))["n_unread"] == 0


# --- clients by state -------------------------------------------------------------------------------------------------


def test_a_confirmed_client_leads_no_list_of_candidates(desk):
    case = said(desk.post("/cases", json={"client_id": "c-3", "why": "x", "assignee": "anna"}), 201)
    desk.post(f"/cases/{case['case_id']}/moves", json={"to": "inspecting", "why": "x"})
    body = {"outcome": "confirmed", "inspected_on": TODAY.isoformat()}
    said(desk.post(f"/cases/{case['case_id']}/inspections", json=body), 201)
    for state in ("candidate", "inspect now"):
        assert "c-3" not in [row["client_id"] for row in said(desk.get(f"/clients?state={state}"))["rows"]]
    (row,) = said(desk.get("/clients?state=confirmed"))["rows"]
    assert (row["client_id"], row["state_on"], row["case_id"]) == ("c-3", TODAY.isoformat(), case["case_id"])
    assert "in peace until" in row["state_why"]
    assert "c-3" not in [row["client_id"] for row in said(desk.get("/list"))["rows"]]


def test_without_access_a_client_is_to_be_revisited_on_a_day(desk):
    case = said(desk.post("/cases", json={"client_id": "c-3", "why": "x", "assignee": "anna"}), 201)
    desk.post(f"/cases/{case['case_id']}/moves", json={"to": "inspecting", "why": "x"})
    body = {"outcome": "no_access", "inspected_on": TODAY.isoformat(), "revisit_on": TOMORROW}
    said(desk.post(f"/cases/{case['case_id']}/inspections", json=body), 201)
    (row,) = said(desk.get("/clients?state=revisit"))["rows"]
    assert (row["client_id"], row["state_on"], row["state_who"]) == ("c-3", TOMORROW, "anna")
    assert [row["client_id"] for row in said(desk.get(f"/cases?due_until={TOMORROW}"))["rows"]] == ["c-3"]
    (rate,) = said(desk.get("/dashboard"))["hit_rates"]["all"]
    assert (rate["n_inspected"], rate["n_seen"], rate["hit_rate"]) == (1, 0, None)
    corrected = said(desk.patch("/inspections/1", json={"outcome": "cleared", "why": "it was the neighbour"}))
    assert (corrected["outcome"], said(desk.get("/consumer/c-3"))["state"]) == ("cleared", "cleared")


# --- crews, plans, comments, campaigns --------------------------------------------------------------------------------


def test_a_day_is_planned_published_and_seen_in_the_list(desk):
    north, south = crew_of(desk, members=["ben"], capacity=3), crew_of(desk, "South")
    assert said(desk.get("/crews"))["assignees"] == ["North", "South", "anna", "ben"]
    plans = [
        {"crew_id": north["crew_id"], "visits": [{"client_id": "c-1"}, {"client_id": "c-0", "is_random": True}]},
        {"crew_id": south["crew_id"], "visits": [{"client_id": "c-2", "is_fixed": True}], "note": "by the river"},
    ]
    saved = said(desk.put("/plans", json={"planned_on": TOMORROW, "plans": plans}))["rows"]
    assert [(plan["crew"], plan["is_published"], plan["note"]) for plan in saved] == [
        ("North", False, ""), ("South", False, "by the river"),
    ]  # fmt: skip
    for plan in saved:
        published = said(desk.post(f"/plans/{plan['plan_id']}/publish"))
        assert (published["plan"]["is_published"], published["refused"]) == (True, {})
    rows = {row["client_id"]: row for row in said(desk.get("/clients?state=planned"))["rows"]}
    assert {id_: (row["state_on"], row["state_who"]) for id_, row in rows.items()} == {
        "c-0": (TOMORROW, "North"), "c-1": (TOMORROW, "North"), "c-2": (TOMORROW, "South"),
    }  # fmt: skip
    found = said(desk.get(f"/plans?since={TODAY}&until={TOMORROW}&crew_id={south['crew_id']}"))["rows"]
    assert [visit["client_id"] for visit in found[0]["visits"]] == ["c-2"]
    assert desk.delete(f"/plans/{found[0]['plan_id']}").status_code == 204
    assert said(desk.get("/consumer/c-2"))["state"] == "new"


def test_what_cannot_be_planned_is_said(desk):
    crew_of(desk)
    visits = [{"client_id": "c-1"}]
    for status, body in (
        (404, {"planned_on": TOMORROW, "plans": [{"crew_id": 99, "visits": visits}]}),
        (404, {"planned_on": TOMORROW, "plans": [{"crew_id": 1, "visits": [{"client_id": "x"}]}]}),
        (409, {"planned_on": TOMORROW, "plans": [{"crew_id": 1, "visits": visits * 2}]}),
        (409, {"planned_on": TOMORROW, "plans": [{"crew_id": 1, "visits": visits, "version": 7}]}),
        (422, {"planned_on": TOMORROW, "plans": [{"crew_id": 1, "visits": visits}] * 2}),
        (422, {"planned_on": "9999-12-31", "plans": [{"crew_id": 1, "visits": visits}]}),
        (422, {"planned_on": "0001-01-01", "plans": [{"crew_id": 1, "visits": visits}]}),
    ):
        said(desk.put("/plans", json=body), status)
    assert desk.get(f"/plans?since={TODAY}&until=9999-12-31").json["rows"] == []


def test_a_campaign_tells_what_it_brought(desk):
    for client_id, outcome, is_random in (("c-1", "confirmed", False), ("c-2", "cleared", True)):
        body = {"client_id": client_id, "why": "x", "assignee": "anna", "is_random": is_random}
        case = said(desk.post("/cases", json=body), 201)["case_id"]
        desk.post(f"/cases/{case}/moves", json={"to": "inspecting", "why": "x"})
        visit = {"outcome": outcome, "inspected_on": TODAY.isoformat()}
        visit |= {"recovered_kwh": 500} if outcome == "confirmed" else {}
        said(desk.post(f"/cases/{case}/inspections", json=visit), 201)
    period = {"since": TODAY.replace(day=1).isoformat(), "until": TOMORROW}
    body = {"name": "December", **period, "cost_per_visit": 30, "price_per_kwh": 0.2}
    campaign = said(desk.post("/campaigns", json=body), 201)
    assert (campaign["n_visits"], campaign["n_confirmed"], campaign["cost"], campaign["net"]) == (2, 1, 60.0, 40.0)
    assert (campaign["against_random"]["difference"], campaign["against_random"]["is_own"]) == (1.0, True)
    assert [rate["group"] for rate in campaign["hit_rates"]["crew"]] == [
        desk.get("/cases").json["rows"][0]["opened_by"]
    ] * 2
    path = f"/campaigns/{campaign['campaign_id']}"
    assert said(desk.patch(path, json={"choice": "random"}))["n_visits"] == 1
    assert [row["name"] for row in said(desk.get("/campaigns"))["rows"]] == ["December"]
    for wrong in ({"until": "1999-01-01"}, {"choice": "all"}, {"since": "0001-01-01"}, {"cost_per_visit": -1}):
        said(desk.patch(path, json=wrong), 422)
    assert desk.delete(path).status_code == 204
    said(desk.get(path), 404)


def test_comments_mention_users_who_get_a_notice(app, desk):
    case = said(desk.post("/cases", json={"client_id": "c-3", "why": "x"}), 201)
    added = said(desk.post(f"/cases/{case['case_id']}/comments", json={"text": "Ask @ben first."}), 201)
    assert added["mentions"] == ["ben"]
    assert said(desk.get(f"/cases/{case['case_id']}/comments"))["rows"] == [added]
    ben, _ = signed_in(app, "ben")
    (notice,) = said(ben.get("/notices?unread=1"))["rows"]
    assert (notice["kind"], notice["case_id"], notice["comment_id"]) == ("mention", 1, added["comment_id"])
    said(desk.get("/cases/99/comments"), 404)
    said(desk.post("/cases/99/comments", json={"text": "x"}), 404)


CHANGES = (
    ("post", "/alerts/1/dismiss"), ("post", "/alerts/1/snooze"), ("post", "/alerts/1/assign"),
    ("post", "/alerts/1/reopen"), ("patch", "/inspections/1"), ("put", "/plans"), ("post", "/plans/1/publish"),
    ("delete", "/plans/1"), ("post", "/campaigns"), ("patch", "/campaigns/1"), ("delete", "/campaigns/1"),
    ("post", "/cases/1/comments"),
)  # fmt: skip


def test_viewers_read_and_change_nothing(store):
    desk = desk_app(store).test_client()
    viewer, investigator = with_key(store, VIEWER), with_key(store, INVESTIGATOR)
    for method, path in CHANGES:
        assert getattr(desk, method)(path, json={}, headers=viewer).status_code == 403, path
        assert getattr(desk, method)(path, json={}, headers=investigator).status_code != 403, path
    for path in ("/alerts", "/crews", f"/plans?since={TODAY}&until={TOMORROW}", "/campaigns", "/notices"):
        assert desk.get(path, headers=viewer).status_code == 200, path
        assert desk.get(path).status_code == 401, path
    assert desk.post("/crews", json={"name": "x"}, headers=investigator).status_code == 403


@pytest.mark.parametrize("day", [date.max.isoformat(), date.min.isoformat()])
def test_no_day_stops_the_desk(desk, day):
    case = said(desk.post("/cases", json={"client_id": "c-3", "why": "x", "assignee": "anna"}), 201)["case_id"]
    for path, body in (
        (f"/cases/{case}/moves", {"to": "assigned", "assignee": "anna", "planned_on": day, "version": 2, "why": "x"}),
        ("/alerts/1/snooze", {"until": day, "why": "x"}),
    ):
        assert "write a day from today" in said(desk.post(path, json=body), 422)["error"]["message"]
    desk.post(f"/cases/{case}/moves", json={"to": "inspecting", "why": "x"})
    for body in (
        {"outcome": "cleared", "inspected_on": day},
        {"outcome": "no_access", "inspected_on": TODAY.isoformat(), "revisit_on": day},
    ):
        said(desk.post(f"/cases/{case}/inspections", json=body), 422)
    for path in (f"/cases?due_until={day}", f"/cases?planned_on={day}", f"/plans?since={day}&until={day}"):
        said(desk.get(path))
