"""Alert rules and settings."""

import re

import pytest

from fairmeter.core.types import TAMPERING, Anomaly
from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.site import PageSettings
from tests.builders.desk import desk_app
from tests.builders.pages import open_desk, seen
from tests.builders.store import score_of, write


@pytest.fixture
def desk(store):
    return open_desk(store)


def test_each_rule_says_how_many_clients_it_concerns(store, desk):
    tampered = (Anomaly(TAMPERING, "high", "2026-01-01", "2026-02-01", 2.0, "The index went back."),)
    scores = score_of("c-1", anomalies=tampered), score_of("c-2", 0.1, "low", anomalies=tampered), score_of("c-3")
    write(store, *scores, score_of("c-4", 0.1, "low"), facts=[{"n_index_rollbacks": 1.0}, {}, {}, {}])
    store.open_case("c-1", "anna", "Looked at.")
    page = seen(desk.get("/desk/rules"))
    assert "Tampering signature" in page.text
    assert "Count clients now" in page.text
    counted = seen(desk.get("/desk/rules?count=1"))
    numbers = rule_numbers(counted.whole)
    assert numbers["Tampering signature"] == ("1", "2")
    assert numbers["Index rollback"] == ("0", "1")
    assert numbers["Score"] == ("1", "2")


def rule_numbers(page):
    """Open alerts and clients by rule."""
    rows = re.findall(r"<tr><td><b>(.*?)</b>.*?<td class=\"num\">(.*?)</td><td class=\"num\">(.*?)</td></tr>", page)
    return {name: (n_open, n_would) for name, n_open, n_would in rows}


def test_the_rules_say_their_file_quiet_days_and_who_is_told(desk):
    page = seen(desk.get("/desk/rules"))
    for text in ("alerts.toml", "365 days", "desk: Critical and higher, at once"):
        assert text in page.text, text


def test_settings_are_saved_and_hold_at_once(store, desk):
    form = {"currency": "TND", "price_per_kwh": "0.2", "cost_per_visit": "30", "random_percent": "10"}
    page = seen(desk.post("/desk/settings", data=form, follow_redirects=True))
    assert "The settings are saved." in page.text
    assert {name: found.value for name, found in store.desk_values().items()} == {
        "currency": "TND",
        "price_per_kwh": 0.2,
        "cost_per_visit": 30.0,
        "random_share": 0.1,
    }
    assert 'name="random" min="0" max="100" step="any" value="10"' in plan_page(store, desk)
    desk.post("/desk/settings", data={"currency": "", "random_percent": ""})
    assert store.desk_values() == {}


def plan_page(store, desk):
    store.add_crew("North", "anna")
    return desk.get("/desk/plan").text


def test_what_comes_from_the_environment_is_said_and_cannot_be_changed_here(store):
    settings = PageSettings(currency="EUR", from_environment=frozenset({"currency", "time_zone"}))
    desk = desk_app(store, THIS_MACHINE, None, None, settings).test_client()
    desk.post("/desk/settings", data={"currency": "TND", "random_percent": "5"})
    page = seen(desk.get("/desk/settings"))
    assert "EUR the environment, variable CURRENCY" in page.text
    assert "UTC the environment, variable TIME_ZONE" in page.text
    assert "currency" not in store.desk_values()


@pytest.mark.parametrize(
    "form", [{"price_per_kwh": "-1"}, {"price_per_kwh": "nan"}, {"random_percent": "101"}, {"currency": "x" * 9}]
)
def test_settings_that_cannot_be_are_refused_in_words(store, desk, form):
    answer = desk.post("/desk/settings", data=form)
    assert answer.status_code == 422
    assert 'class="flash error"' in answer.text
    assert store.desk_values() == {}
