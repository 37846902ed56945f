"""Every page and every form of the dashboard over SQLite and over PostgreSQL; the browser's tests take SQLite alone."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.store import Store
from tests.builders.databases import DATABASES
from tests.builders.desk import PASSWORD, add_user, desk_app
from tests.builders.pages import HOSTILE, filled, inspected, open_desk, seen
from tests.builders.store import clients_of, score_of, write

# Files, what there is not, and what the demonstration's script asks for, which no store is asked about.
NOT_PAGES = {"static", "worker", "nothing_here", "demo_reasons", "demo_thief"}
EXAMPLES = {"client_id": "c-001", "case_id": 1, "transformer_id": "t-1"}  # of what an address holds
ASKED = {"map": ("?severity=critical&region=101&onset_since=2026-01-01", "?near=2&lat=36.1&lon=10.1")}
ASKED |= {"list": ("?visits=20&cost=5&severity=high", "?show=all&region=101&sort=recovery", "?show=all&id_prefix=c-0")}
ASKED |= {"cases": ("?state=new&assignee=anna", "?state=closed"), "live": ("?heat=alerts",), "field": ("?of=anna",)}


@pytest.fixture(scope="module", params=DATABASES)
def store(request, templates, tmp_path_factory):
    """Read by many tests, with something on every page."""
    with templates.copied(request.param, tmp_path_factory.mktemp("pages")) as url, closing(Store(url)) as opened:
        filled(opened)
        now = datetime.now(UTC)
        ids = ["p-1", "p-2", HOSTILE]
        places = {"latitude": [36.0, 36.1, 36.9], "longitude": [10.0, 10.1, 10.9], "region": [101.0] * 3}
        placed = clients_of(client_id=ids, transformer_id=["t-1"] * 3, **places)
        write(opened, *map(score_of, ids), clients=placed, scored_at=now)
        opened.open_case("c-001", "anna", "On the list.", assignee="open")
        inspected(opened, "c-100", "confirmed", recovered_kwh=1500.0)
        inspected(opened, "c-101", "cleared", is_random=True)
        opened.add_readings([("c-001", datetime(2026, 11, 2) + i * timedelta(hours=1), 1.5) for i in range(30)], now)
        opened.count_rejected("readings.0.read_at: missing.")
        yield opened


@pytest.fixture(scope="module")
def desk(store):
    return open_desk(store)


def pages_of(app):
    """The addresses of all pages that are asked for by GET, by endpoint."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("desk.") and "GET" in rule.methods]
    found = {rule.endpoint.removeprefix("desk."): rule for rule in rules}
    unknown = {name: rule.arguments - EXAMPLES.keys() for name, rule in found.items() if name not in NOT_PAGES}
    assert not any(unknown.values()), f"give EXAMPLES what these addresses hold: {unknown}"
    with app.test_request_context():
        adapter = app.create_url_adapter(None) or app.url_map.bind("localhost")
        return {
            name: adapter.build(rule.endpoint, {argument: EXAMPLES[argument] for argument in rule.arguments})
            for name, rule in found.items()
            if name not in NOT_PAGES
        }


def test_every_page_answers_with_what_there_is(desk):
    pages = pages_of(desk.application)
    assert {"overview", "list", "client", "cases", "cases_one", "field", "map", "live", "model"} <= pages.keys()
    addresses = [*pages.values(), *(pages[name] + query for name, queries in ASKED.items() for query in queries)]
    told = {address: desk.get(address) for address in addresses}
    assert {
        address: answer.status_code for address, answer in told.items() if answer.status_code not in (200, 302)
    } == {}
    assert not [address for address, answer in told.items() if HOSTILE.encode() in answer.data]


def test_lists_search_and_follow_their_pages(desk):
    first = seen(desk.get("/desk/list?show=all&sort=id"))
    second = seen(desk.get(next(link for link in first.links if "after=" in link)))
    assert "Page 2" in second.text
    assert "10 clients fit" in seen(desk.get("/desk/list?show=all&id_prefix=c-02")).text


def test_the_map_the_board_and_what_comes_show_the_same_clients_in_either_database(desk):
    assert HOSTILE in seen(desk.get("/desk/map")).text
    assert "c-001" in seen(desk.get("/desk/cases?assignee=open")).text
    live = seen(desk.get("/desk/live"))
    assert "30 readings, 2026-11-02 to 2026-11-03 05:00" in live.text
    assert "readings.0.read_at: missing." in live.text


def test_forms_open_cases_and_record_visits(store, desk):
    form = {"client": ["c-010", "c-011"], "why": "On the list.", "assignee": "anna"}
    assert desk.post("/desk/list/cases", data=form).status_code == 302
    assert store.open_case_of("c-011").assignee == "anna"
    found = {"client_id": "c-012", "outcome": "confirmed", "inspected_on": "2026-03-02", "recovered_kwh": "250"}
    assert desk.post("/desk/record-inspection", data=found).status_code == 302
    assert [visit.recovered_kwh for visit in store.inspections() if visit.client_id == "c-012"] == [250.0]


def test_somebody_signs_in_and_sees_what_they_may(store):
    add_user(store, "vera", "viewer")
    browser = desk_app(store).test_client()
    assert browser.post("/desk/sign-in", data={"name": "vera", "password": PASSWORD}).status_code == 302
    assert "Record an inspection" not in seen(browser.get("/desk/client/c-001")).text
    assert browser.post("/desk/list/cases", data={"client": "c-001", "why": "x"}).status_code == 403
