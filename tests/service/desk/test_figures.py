"""A figure and the list behind it count the same thing."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest

from fairmeter.desk.fieldwork.figures import figures_of
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


def listed(client, figure) -> int:
    """Rows of the list behind a figure, page by page."""
    filters, n, after = {name: str(value) for name, value in figure.filters.items()}, 0, None
    while True:
        more = {"after": after} if after else {}
        answer = client.get(f"/{figure.list_name}?{urlencode(filters | more | {'limit': 3})}")
        assert answer.status_code == 200, answer.text
        n, after = n + len(answer.json["rows"]), answer.json["next"]
        if after is None:
            return n


def check_every_figure(store):
    app = desk_app(store, THIS_MACHINE)
    figures = figures_of(app.extensions["site"].desk, USER)
    assert {figure.name: figure.count for figure in figures} == {
        figure.name: listed(app.test_client(), figure) for figure in figures
    }
    return {figure.name: figure.count for figure in figures}


def test_every_figure_is_the_length_of_its_list(worked):
    counts = check_every_figure(worked)
    assert counts["alerts.critical"] == worked.count_alerts()["critical"] == 3, (
        "one dismissed, one snoozed, one in case"
    )
    assert (counts["alerts.mine"], counts["cases.open"]) == (1, 3)
    assert (counts["cases.due"], counts["clients.revisit"]) == (1, 1)
    assert counts["clients"] - counts["clients.candidates"] == 5


def test_every_figure_of_the_demonstration_is_the_length_of_its_list(demo_store):
    counts = check_every_figure(demo_store)
    assert counts["alerts"] > 0
    assert counts["cases.open"] > 0


def test_counts_of_the_dashboard_are_those_of_the_lists(worked):
    client = desk_app(worked, THIS_MACHINE).test_client()
    told = client.get("/dashboard").json
    for severity, n in told["alerts_by_severity"].items():
        assert len(client.get(f"/alerts?severity={severity}").json["rows"]) == n
    for severity, n in told["clients_by_severity"].items():
        assert len(client.get(f"/clients?severity={severity}").json["rows"]) == n
    for state, n in told["cases_by_state"].items():
        assert len(client.get(f"/cases?state={state}").json["rows"]) == n


LINKED = re.compile(r'<li><a href="(/desk/alerts[^"]*)">.*?</a><span class="num">(.*?)</span></li>', re.S)


def number_in(text: str) -> int:
    return int(re.sub(r"\D", "", re.sub(r"<[^>]+>", "", text)))


def test_every_figure_of_today_leads_to_a_page_of_as_many_alerts(demo_store):
    client = desk_app(demo_store, THIS_MACHINE).test_client()
    figures = [(unescape(address), number_in(n)) for address, n in LINKED.findall(client.get("/desk/today").text)]
    assert len(figures) == 5, "those since yesterday, and one a severity"
    told = {address: re.search(r"<h1>.*?</h1><p>(.*?)</p>", client.get(address).text)[1] for address, _ in figures}
    assert {address: number_in(text) for address, text in told.items()} == dict(figures)
    assert sum(n for _, n in figures) > 0
