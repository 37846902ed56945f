"""A figure and the list behind it count the same thing."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest

from fairmeter.desk.client_states import count_clients
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import desk_app
from tests.builders.store import score_of, write

NOW = datetime.now(UTC)
SEVERITY_OF = {"critical": 0.9, "high": 0.7, "medium": 0.55, "low": 0.1}
USER = "open"


@pytest.fixture
def worked(store):
    """A store in which every kind of work was done."""
    scores = [
        score_of(f"{severity}-{i}", probability, severity, recommendation="inspect now" if i % 2 else "watch")
        for severity, probability in SEVERITY_OF.items()
        for i in range(6)
    ]
    write(store, *scores, scored_at=NOW - timedelta(days=1))
    alerts = {alert.client_id: alert.alert_id for alert in store.list_alerts(limit=100).rows}
    store.dismiss_alert(alerts["critical-0"], USER, "a bakery")
    store.snooze_alert(alerts["critical-1"], USER, "later", date.today() + timedelta(days=5))
    store.assign_alert(alerts["high-0"], USER, "mine", USER)
    for client_id, outcome in (("critical-2", "confirmed"), ("high-1", "no_access"), ("medium-1", "cleared")):
        case = store.open_case(client_id, USER, "so", assignee=USER)
        store.move_case(case.case_id, "inspecting", USER, "there")
        store.record_inspection(case.case_id, outcome, date(2026, 1, 5), USER)
    store.open_case("high-2", USER, "so")
    store.open_case("low-1", USER, "so", assignee=USER)
    return store


SEVERITIES = [{"severity": name} for name in SEVERITY_OF]
ALERT_LISTS = [{}, {"assignee": USER}, *SEVERITIES]
CASE_LISTS = [{"is_open": True}, {"is_open": True, "assignee": USER}, {"state": "assigned"}]
CASE_LISTS += [{"is_open": True, "due_until": date.today()}]
CLIENT_LISTS = [{}, *SEVERITIES, *({"state": state} for state in ("candidate", "inspect now", "in work", "revisit"))]


def listed(client, name: str, filters: dict) -> int:
    """Rows of a list of the API with these filters, page by page."""
    given, n, after = {key: str(value) for key, value in filters.items()}, 0, None
    while True:
        more = {"after": after} if after else {}
        answer = client.get(f"/{name}?{urlencode(given | more | {'limit': 3})}")
        assert answer.status_code == 200, answer.text
        n, after = n + len(answer.json["rows"]), answer.json["next"]
        if after is None:
            return n


def check_every_count(store) -> dict[str, list[int]]:
    """Counts by list, each compared with the length of its list."""
    app = desk_app(store, THIS_MACHINE)
    client, desk = app.test_client(), app.extensions["site"].desk
    counts = {
        "alerts": [store.count_listed_alerts(**filters) for filters in ALERT_LISTS],
        "cases": [store.count_listed_cases(**filters) for filters in CASE_LISTS],
        "clients": [count_clients(desk, **filters) for filters in CLIENT_LISTS],
    }
    lists = {"alerts": ALERT_LISTS, "cases": CASE_LISTS, "clients": CLIENT_LISTS}
    assert counts == {name: [listed(client, name, filters) for filters in lists[name]] for name in lists}
    return counts


def test_every_count_is_the_length_of_its_list(worked):
    counts = check_every_count(worked)
    alerts, cases, clients = counts["alerts"], counts["cases"], counts["clients"]
    assert alerts[1] == 1
    assert alerts[2] == worked.count_alerts()["critical"] == 3, "one dismissed, one snoozed, one in case"
    assert (cases[0], cases[-1]) == (3, 1)
    assert clients[-1] == 1
    assert clients[0] - clients[len(SEVERITIES) + 1] == 5, "those with a case, or visited of late"


def test_every_count_of_the_demonstration_is_the_length_of_its_list(demo_store):
    counts = check_every_count(demo_store)
    assert counts["alerts"][0] > 0
    assert counts["cases"][0] > 0


def test_counts_of_the_dashboard_are_those_of_the_lists(worked):
    client = desk_app(worked, THIS_MACHINE).test_client()
    told = client.get("/dashboard").json
    for severity, n in told["alerts_by_severity"].items():
        assert len(client.get(f"/alerts?severity={severity}").json["rows"]) == n
    for severity, n in told["clients_by_severity"].items():
        assert len(client.get(f"/clients?severity={severity}").json["rows"]) == n
    for state, n in told["cases_by_state"].items():
        assert len(client.get(f"/cases?state={state}").json["rows"]) == n


LINKED = re.compile(r'<li><a href="(/desk/[^"]*)">(?:(?!</li>).)*?</a><span class="num">(.*?)</span></li>', re.S)
TOLD = re.compile(r'<h1>.*?</h1><p>(.*?)</p>|<h2 id="in-due">.*?<span class="count">(.*?)</span>')


def number_in(text: str) -> int:
    return int(re.sub(r"\D", "", re.sub(r"<[^>]+>", "", text)))


def told_by(client, address: str) -> int:
    """The number of rows that the page of a list says that it has."""
    found = TOLD.findall(client.get(address).text)
    return number_in(found[-1][0] or found[-1][1])


def check_figures_of_today(store) -> dict[str, int]:
    """The figures of Today by the address to which each leads, compared with what that page says."""
    client = desk_app(store, THIS_MACHINE).test_client()
    figures = {unescape(address): number_in(n) for address, n in LINKED.findall(client.get("/desk/today").text)}
    assert len(figures) == 6, "alerts since yesterday, cases due, and one a severity"
    assert {address: told_by(client, address) for address in figures} == figures
    return figures


def test_every_figure_of_today_leads_to_a_page_of_as_many_rows(demo_store):
    assert sum(check_figures_of_today(demo_store).values()) > 0


def test_cases_that_are_due_are_counted_as_their_list_lists_them(worked):
    case = worked.list_cases(assignee=USER, state="assigned", limit=1).rows[0]
    day = {"planned_on": date.today(), "version": case.version}
    worked.move_case(case.case_id, "assigned", USER, "so", assignee=USER, **day)
    due = [n for address, n in check_figures_of_today(worked).items() if "due_until" in address]
    assert due == [worked.count_listed_cases(is_open=True, due_until=date.today())]
    assert due[0] > 0
