"""Every page, form and route of the desk over SQLite and over PostgreSQL; tests/service takes SQLite alone."""

from base64 import b64encode
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.store import Store
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.databases import DATABASES
from tests.builders.desk import PASSWORD, add_user, desk_app, moved, opened, signed_in, some_readings
from tests.builders.pages import HOSTILE, filled, inspected, seen
from tests.builders.photos import a_photo
from tests.builders.service import a_body
from tests.builders.store import clients_of, score_of, write

# Files, what there is not, and what the demonstration's script asks for, which no store is asked about.
NOT_PAGES = {"static", "worker", "no_such_page", "demo_reasons", "demo_thief", "imports_one"}
NOT_PAGES |= {"account", "suspects_drawer", "invitation"}  # of a signed-in user, of a client or link in the address
# Documents, files, and a photo, which is asked for where it was sent.
NOT_ROUTES = {"static", "document", "docs", "docs_with_slash", "photo"}
NOT_ROUTES |= {"v2_model_of_version", "v2_model_ready_of_version"}
NOT_ROUTES |= {"offer_second_factor", "plans"}  # of a user who signed in with a password; of days that are named
# An import is of the user who began it: tests/service/desk/test_imports.py asks for each of its addresses.
NOT_ROUTES |= {"read_import", "read_import_map", "read_import_report"}
EXAMPLES = {"client_id": "c-001", "case_id": 1, "transformer_id": "t-1"}  # of what an address holds
ASKED_DAY = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()
EXAMPLES |= {"crew_id": 1, "plan_id": 1, "campaign_id": 1, "alert_id": 1, "kind": "csv"}
ASKED = {"map": ("?severity=critical&region=101&onset_since=2026-01-01", "?near=2&lat=36.1&lon=10.1")}
ASKED |= {"list": ("?visits=20&cost=5&severity=high", "?show=all&region=101&sort=recovery", "?show=all&id_prefix=c-0")}
ASKED |= {"cases": ("?state=new&assignee=anna", "?state=closed"), "live": ("?heat=alerts",), "field": ("?of=anna",)}
ASKED |= {"plan": (f"?on={ASKED_DAY}",), "rules": ("?count=1",)}
ASKED["map"] += ("?box=35.5,9.5,36.5,10.5", f"?ways={ASKED_DAY}")
OF_CLIENTS = "&severity=high&region=101&id_prefix=c-0&least_score=0.1"
OF_CLIENTS += "&scored_since=2026-01-01&scored_until=2100-01-01&onset_since=2026-01-01&onset_until=2026-12-31"
OF_CLIENTS += "&reason_group=fall in consumption&category=11&district=60"
ROUTES = {
    "clients": [f"?limit=7&sort={sort}" for sort in ("score", "severity", "recovery", "scored", "id")]
    + [f"?sort={sort}{OF_CLIENTS}" for sort in ("score", "id")]
    + [f"?format={kind}" for kind in ("csv", "xlsx", "pdf")],
    "alerts": [f"?limit=7&state=all&sort={sort}" for sort in ("severity", "raised", "id")]
    + ["?state=open&severity=high&region=101&client_id=c-001&raised_since=2026-01-01&raised_until=2100-01-01"],
    "cases": [f"?limit=7&sort={sort}" for sort in ("id", "severity", "updated")]
    + ["?state=assigned&assignee=open&client_id=c-001&severity=high&region=101"],
    "inspections_csv": ["?since=2026-01-01&until=2100-01-01&client_id=c-100"],
    "inspection_list": [
        "?visits=20&random_share=0.2&cost=5&price=0.3",
        "?visits=5&severity=high&region=101&category=11",
    ],
}


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
        add_user(opened, "anna", "investigator")
        inspected(opened, "c-100", "confirmed", recovered_kwh=1500.0)
        inspected(opened, "c-101", "cleared", is_random=True)
        opened.add_readings([("c-001", datetime(2026, 11, 2) + i * timedelta(hours=1), 1.5) for i in range(30)], now)
        opened.count_rejected("readings.0.read_at: missing.")
        crew = opened.add_crew("North", "anna", latitude=36.5, longitude=10.5)
        tomorrow = now.date() + timedelta(days=1)
        opened.save_plans(tomorrow, {crew.crew_id: [PlanVisit("p-1"), PlanVisit("p-2", is_random=True)]}, "anna")
        opened.add_campaign("Autumn", tomorrow - timedelta(days=60), tomorrow, "anna", cost_per_visit=10.0)
        yield opened


@pytest.fixture(scope="module")
def desk(store, tmp_path_factory):
    return desk_app(store, THIS_MACHINE, photos=tmp_path_factory.mktemp("photos")).test_client()


def addresses_of(app, names: dict[str, str]) -> dict[str, str]:
    """The addresses that are asked for by GET. [names: endpoint -> what it is called here]"""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in names and "GET" in rule.methods]
    unknown = {rule.endpoint: rule.arguments - EXAMPLES.keys() for rule in rules}
    assert not any(unknown.values()), f"give EXAMPLES what these addresses hold: {unknown}"
    with app.test_request_context():
        adapter = app.create_url_adapter(None) or app.url_map.bind("localhost")
        return {
            names[rule.endpoint]: adapter.build(rule.endpoint, {name: EXAMPLES[name] for name in rule.arguments})
            for rule in rules
        }


def pages_of(app) -> dict[str, str]:
    pages = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("desk.")]
    names = {endpoint: endpoint.removeprefix("desk.") for endpoint in pages}
    return addresses_of(app, {endpoint: name for endpoint, name in names.items() if name not in NOT_PAGES})


def routes_of(app) -> dict[str, str]:
    """Those of the desk and of the service; not those that only give files."""
    routes = {rule.endpoint for rule in app.url_map.iter_rules() if "." not in rule.endpoint} - NOT_ROUTES
    return addresses_of(app, {endpoint: endpoint for endpoint in routes})


def test_every_page_answers_with_what_there_is(desk):
    pages = pages_of(desk.application)
    expected = {"today", "plan", "campaigns", "list", "client", "cases", "cases_one", "field", "map", "live", "model"}
    assert expected <= pages.keys()
    addresses = [*pages.values(), *(pages[name] + query for name, queries in ASKED.items() for query in queries)]
    told = {address: desk.get(address) for address in addresses}
    assert {
        address: answer.status_code for address, answer in told.items() if answer.status_code not in (200, 302)
    } == {}
    assert not [address for address, answer in told.items() if HOSTILE.encode() in answer.data]


def test_every_route_answers_with_what_there_is(desk):
    routes = routes_of(desk.application)
    assert ROUTES.keys() | {"case", "consumer", "dashboard", "read_session", "metrics", "ready"} <= routes.keys()
    addresses = [*routes.values(), *(routes[name] + query for name, queries in ROUTES.items() for query in queries)]
    found = {address: desk.get(address).status_code for address in addresses}
    assert {address: status for address, status in found.items() if status not in (200, 302)} == {}


@pytest.mark.parametrize(
    ("listed", "query"),
    [("clients", "sort=recovery"), ("clients", "sort=id"), ("alerts", "state=all"), ("cases", "sort=updated")],
)
def test_a_list_goes_on_where_the_page_before_ended(desk, listed, query):
    whole = desk.get(f"/{listed}?{query}&limit=1000").json["rows"]
    assert len(whole) > 1
    page = desk.get(f"/{listed}?{query}&limit={len(whole) // 2}").json
    found = page["rows"]
    while page["next"]:
        page = desk.get(f"/{listed}?{query}&limit={len(whole) // 2}&after={page['next']}").json
        found += page["rows"]
    assert found == whole


def test_routes_write_what_the_next_ones_read(desk, store):
    assert desk.post("/predict?record=1", json=a_body("new")).status_code == 200
    assert desk.post("/readings", json=some_readings("new")).json["n_new"] == 3
    assert desk.get("/consumer/new").status_code == 200
    case = opened(desk, "c-020", {})
    assert moved(desk, case, "assigned", {}, assignee="anna").status_code == 200
    assert moved(desk, case, "new", {}).status_code == 409, "somebody moved it since"
    found = {"outcome": "confirmed", "inspected_on": "2026-03-02", "recovered_kwh": 99, "photos": []}
    found["photos"] = [b64encode(a_photo()).decode()]
    case = desk.get(f"/cases/{case['case_id']}").json
    assert moved(desk, case, "inspecting", {}).status_code == 200
    [photo] = desk.post(f"/cases/{case['case_id']}/inspections", json=found).json["photos"]
    assert desk.get(f"/photos/{photo}").status_code == 200
    assert store.verify_chain() is None


def test_somebody_signs_in_and_out(store):
    add_user(store, "ina", "investigator")
    browser, headers = signed_in(desk_app(store), "ina")
    assert browser.get("/session").json["name"] == "ina"
    assert browser.delete("/session", headers=headers).status_code == 204
    assert browser.get("/session").status_code == 401


def test_lists_search_and_follow_their_pages(desk):
    first = seen(desk.get("/desk/suspects?sort=id"))
    second = seen(desk.get(next(link for link in first.links if "after=" in link)))
    assert "Page 2" in second.text
    assert "10 clients" in seen(desk.get("/desk/suspects?state=all&id_prefix=c-02")).text


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
