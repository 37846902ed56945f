"""Values that nobody can mean, in each field of each page: refused in words, never an error of the server."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders.pages import filled, open_desk

TODAY = datetime.now(UTC).date()
TOMORROW = TODAY + timedelta(days=1)
ODD = (
    "", " ", "0", "-1", "1e999", "nan", "inf", "9" * 30, "0001-01-01", "9999-12-31", "2026-02-30", "a\0b", "%", "²",
    "²", "x" * 3000, "<b>", "move 1 2 3", "sort=up&limit=0", "2026-01-01T00:00+99",
)  # fmt: skip
FILTERS = "severity region category district state reason_group pattern id_prefix least_score scored_since scored_until"
FILTERS += " onset_since onset_until sort limit after trail"
VISIT = "outcome inspected_on version note recovered_kwh recovered_value revisit_on fraud_type seal index_read"
# The fields of each page; {case}, {plan}, {campaign}: numbers of rows that are there.
READ = {
    "/today": "",
    "/changes": "since",
    "/me": "",
    "/account": "",
    "/sign-in": "next",
    "/settings": "",
    "/crews": "",
    "/manifest.webmanifest": "",
    "/suspects": FILTERS,
    "/suspects/drawer": "client",
    "/list": f"{FILTERS} visits cost price promise page random",
    "/alerts": f"{FILTERS} show rule raised_since raised_until assignee mine",
    "/search": "q",
    "/search/found": "q",
    "/cases": f"{FILTERS} assignee due_until",
    "/cases/{case}": "after",
    "/plan": "on days random",
    "/plan/{plan}.pdf": "",
    "/plan/{plan}.ics": "",
    "/map": f"{FILTERS} near lat lon box ways radius",
    "/field": "of",
    "/transformers": FILTERS,
    "/live": "heat pattern",
    "/live/feed": "heat pattern",
    "/campaigns": "",
    "/campaigns/{campaign}": "",
    "/model": "",
    "/demo": "client scenario",
    "/demo/reasons": "client day",
    "/demo/thief": "share days reasons",
    "/rules": "count",
    "/client/c-001": "",
    "/transformer/t-1": "",
    "/crew-sheet/c-001": "",
    "/import": "",
    "/campaigns.csv": "",
}
WRITTEN = {
    "/plan/propose": "on days random crew visits_{crew} region_{crew}",
    "/plan/change": "on act client crew place button",
    "/plan/order": "on crew versions",
    "/plan/publish": "on",
    "/plan/clear": "on",
    "/alerts/act": "alert action why until",
    "/suspects/cases": "client everything query assignee why next",
    "/list/cases": "client why assignee drawn next",
    "/open-case": "client_id assignee why",
    "/client-note": "client_id text",
    "/record-inspection": f"client_id {VISIT}",
    "/settings": "currency price_per_kwh cost_per_visit random_percent time_zone language map_tiles map_credit",
    "/language": "language next",
    "/crews/save": "crew_id name base_place latitude longitude capacity member",
    "/crews/users": "name role crew_id",
    "/crews/users/change": "name role",
    "/crews/keys": "name role days",
    "/crews/keys/revoke": "name",
    "/campaigns/add": "name region since until choice random_percent cost_per_visit note",
    "/cases/{case}/moves": "to why version assignee planned_on crew",
    "/cases/{case}/inspections": VISIT,
    "/cases/{case}/comments": "text",
    "/cases/{case}/recovery": "recovered_kwh",
    "/cases/{case}/correction": "outcome inspected_on revisit_on why",
    "/notices/read": "",
    "/campaigns/{campaign}/delete": "",
    "/sign-in": "name password code next",
    "/account/password": "password new_password",
    "/field/{case}": VISIT,
    "/account/second-factor": "secret code",
    "/sign-out": "",
    "/import": "",
}
MEANT = {
    "on": TOMORROW, "days": 1, "act": "move", "client": "c-001", "client_id": "c-002", "action": "snooze", "why": "So.",
    "until": TOMORROW, "to": "assigned", "assignee": "anna", "outcome": "no_access", "inspected_on": TODAY,
    "alert": 1, "name": "north", "role": "viewer", "since": TODAY, "capacity": 8, "text": "So.",
    "everything": 1, "query": "id_prefix=c-00", "place": 0, "choice": "both", "share": 0.5,
}  # fmt: skip
LEFT_OUT = {"/desk/single-sign-on", "/desk/worker.js", "/desk/single-sign-on/return", "/desk/"}  # of others' tests


@pytest.fixture
def desk(store):
    filled(store)
    return open_desk(store)


@pytest.fixture
def rows(store, desk):
    """Numbers of a case, a crew with its plan, a campaign."""
    case = store.open_case("c-001", "anna", "So.")
    crew = store.add_crew("South", "anna", capacity=3)
    desk.post("/desk/plan/propose", data={"on": TOMORROW, "crew": crew.crew_id})
    desk.post(
        "/desk/campaigns/add", data={"name": "May", "since": "2026-05-01", "until": "2026-05-31", "choice": "both"}
    )
    plan, campaign = store.list_plans(TOMORROW, TOMORROW)[0], store.list_campaigns()[0]
    return {"case": case.case_id, "crew": crew.crew_id, "plan": plan.plan_id, "campaign": campaign.campaign_id}


def paths(app, method: str) -> set[str]:
    """The pages' paths that take a method, without those with a part of their own."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("desk.") and method in rule.methods]
    return {rule.rule for rule in rules if "<" not in rule.rule}


def forms(fields: str, rows: dict[str, int]):
    """Forms of a page, each with one odd value in one field."""
    names = fields.format(**rows).split()
    meant = {name: str(MEANT.get(name, rows.get(name, ""))) for name in names}
    yield meant
    yield from (meant | {name: odd} for name in names for odd in ODD)


def test_each_page_has_its_fields_here(desk):
    for method, known in (("GET", READ), ("POST", WRITTEN)):
        there = paths(desk.application, method) - LEFT_OUT
        assert there <= {f"/desk{path}" for path in known}, there - {f"/desk{path}" for path in known}


def broken(rows, pages: dict[str, str], ask) -> list[str]:
    """Pages with a field and its value that the server could not answer."""
    failed = []
    for path, fields in pages.items():
        for form in forms(fields, rows):
            answer = ask(f"/desk{path.format(**rows)}", form)
            failed += [f"{path}: {form}"] if answer.status_code >= 500 else []
    return failed


@pytest.mark.nightly  # a thousand requests
def test_no_odd_value_in_an_address_is_an_error_of_the_server(desk, rows):
    assert broken(rows, READ, lambda path, form: desk.get(path, query_string=form)) == []


@pytest.mark.nightly
def test_no_odd_value_in_a_form_is_an_error_of_the_server(desk, rows):
    def send(path, form):
        return desk.post(path, **{"json" if path.startswith("/desk/field/") else "data": form})

    assert broken(rows, WRITTEN, send) == []
