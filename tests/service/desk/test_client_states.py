"""A client has one state, whoever asks: lists, profile, pages, files and the plan."""

import re
from datetime import UTC, datetime

import pytest

from fairmeter.web.http.auth import INVESTIGATOR, THIS_MACHINE
from tests.builders.desk import desk_app, moved, opened, with_key
from tests.builders.pages import seen
from tests.builders.store import score_of, write


@pytest.fixture
def desk(store):
    """A desk with one client to be inspected now, and a script with an investigator's key."""
    write(store, score_of("c-1", 0.97, "critical", recommendation="inspect now"), scored_at=datetime.now(UTC))
    client = desk_app(store, THIS_MACHINE).test_client()
    client.environ_base["HTTP_X_API_KEY"] = with_key(store, INVESTIGATOR)["X-API-Key"]
    return client


def told_everywhere(desk):
    """State and recommendation of the client: in the list, in its profile, in the file."""
    row, profile = desk.get("/clients").json["rows"][0], desk.get("/consumer/c-1").json
    header, line = (row.split(",") for row in desk.get("/clients?format=csv").text.splitlines()[:2])
    in_file = dict(zip(header, line, strict=True))
    states = {row["state"], profile["state"], in_file["state"]}
    recommended = {row["recommendation"], profile["recommendation"], in_file["recommendation"] or None}
    assert (len(states), len(recommended)) == (1, 1), (states, recommended)
    return states.pop(), recommended.pop()


def pages(desk):
    """Texts of the client's page, and of the rows of all clients."""
    listed = desk.get("/desk/suspects?state=all").text.partition("<tbody")[2].partition("</tbody>")[0]
    return [seen(desk.get("/desk/client/c-1")).text, re.sub(r"<[^>]+>", " ", listed)]


def test_a_client_without_work_is_as_its_score_recommends(desk):
    assert told_everywhere(desk) == ("inspect now", "inspect now")
    assert all("Inspect now" in page for page in pages(desk))
    assert [row["state"] for row in desk.get("/list").json["rows"]] == ["inspect now"]


def test_a_client_with_an_open_case_is_as_its_case(desk):
    case = opened(desk, "c-1", {}, assignee="anna")
    assert told_everywhere(desk) == ("assigned", None)
    moved(desk, case, "inspecting", {})
    assert told_everywhere(desk) == ("inspecting", None)
    assert all("Inspecting" in page and "Inspect now" not in page for page in pages(desk))


@pytest.mark.parametrize("inspected_on", [datetime.now(UTC).date().isoformat(), "2014-09-02"])
def test_a_confirmed_client_is_confirmed_everywhere_and_nowhere_to_be_inspected_now(desk, inspected_on):
    case = moved(desk, opened(desk, "c-1", {}, assignee="anna"), "inspecting", {}).json
    body = {"outcome": "confirmed", "inspected_on": inspected_on}
    assert desk.post(f"/cases/{case['case_id']}/inspections", json=body).status_code == 201
    assert told_everywhere(desk) == ("confirmed", None)
    assert desk.get("/list").json["rows"] == []
    for page in pages(desk):
        assert "Confirmed" in page
        assert "Inspect now" not in page
