"""The demonstration: clients up to a day, thefts in readings and invoices, the page and its routes."""

import json
from datetime import date
from itertools import pairwise

import pytest

from fairmeter.scoring.payloads import RawClient
from fairmeter.web.pages.demo import scenarios
from fairmeter.web.pages.demo.scenarios import (
    CLIENT_IDS,
    Scenario,
    client_until,
    daily_consumption,
    load_scenario,
    shown_days,
    with_theft,
)
from tests.builders.pages import open_desk, seen

NO_SAMPLE = pytest.mark.skipif(not scenarios.SAMPLE.exists(), reason="data/sample.zip is missing")


def invoice(day, units, old, months="2"):
    levels = {"consumption_level_1": str(units)} | {f"consumption_level_{n}": "0" for n in (2, 3, 4)}
    return {"invoice_on": day, "months": months, "coefficient": "1", "old_index": str(old)} | levels | {
        "new_index": str(old + units)
    }  # fmt: skip


SCENARIO = Scenario(
    {"client_id": "demo-normal"},
    [invoice("2019-03-01", 300, 0), invoice("2019-06-30", 200, 300), invoice("2019-09-01", 100, 500)],
    [
        {"read_at": "2019-06-29 00:00:00", "consumption_kwh": "8"},
        {"read_at": "2019-06-30 00:00:00", "consumption_kwh": "5"},
        {"read_at": "2019-06-30 01:00:00", "consumption_kwh": "1.5"},
    ],
    None,
)


def test_a_client_until_a_day_has_what_arrived_by_its_end():
    row = client_until(SCENARIO, date(2019, 6, 30))
    assert [len(row.invoices), len(row.readings)] == [2, 3]
    assert [
        len(client_until(SCENARIO, date(2019, 6, 29)).invoices),
        len(client_until(SCENARIO, date(2019, 6, 29)).readings),
    ] == [1, 1]


def test_hours_of_a_day_are_summed():
    assert daily_consumption(SCENARIO) == {"2019-06-29": 8.0, "2019-06-30": 6.5}


def test_shown_days_step_by_weeks_and_by_days_at_the_end():
    days = shown_days(date(2019, 8, 31))
    steps = [(b - a).days for a, b in pairwise(days)]
    assert days[-1] == date(2019, 8, 31)
    assert steps == [7] * (scenarios.N_WEEKS - 1) + [1] * scenarios.N_DAYS


def test_a_theft_removes_its_share_from_its_first_day_on_only():
    row = with_theft(SCENARIO, 0.5, date(2019, 6, 30))
    assert [reading["consumption_kwh"] for reading in row.readings] == ["8", 2.5, 0.75]
    assert [invoice["consumption_level_1"] for invoice in row.invoices] == [300, 200, 50]
    assert isinstance(row, RawClient)


def test_the_index_of_a_meter_that_misses_a_share_falls_behind():
    scenario = SCENARIO._replace(invoices=[*SCENARIO.invoices, invoice("2019-11-01", 80, 600)])
    shown = with_theft(scenario, 0.5, date(2019, 6, 30)).invoices
    assert [(i["old_index"], i["new_index"]) for i in shown] == [(0, 300), (300, 500), (500, 550), (550, 590)]


def test_no_theft_changes_nothing():
    row = with_theft(SCENARIO, 0.0, date(2019, 1, 1))
    assert [float(reading["consumption_kwh"]) for reading in row.readings] == [8, 5, 1.5]
    assert [invoice["new_index"] for invoice in row.invoices] == [300, 500, 600]


@NO_SAMPLE
def test_every_scenario_has_its_readings_and_the_honest_one_no_beginning():
    scenarios_by_id = {client_id: load_scenario(client_id) for client_id in CLIENT_IDS}
    assert all(len(one.readings) > 549 and one.invoices for one in scenarios_by_id.values())
    assert [one.onset_on is None for one in scenarios_by_id.values()] == [True, False, False, False]


@NO_SAMPLE
def test_the_page_shows_a_scenario_and_its_routes_score_it(store):
    desk = open_desk(store)
    page = seen(desk.get("/desk/demo?client=demo-meter-tampering"))
    assert page.status == 200
    assert "The meter is turned back" in page.text
    reasons = desk.get("/desk/demo/reasons?client=demo-normal&day=2019-08-31").json
    assert 0 < reasons["value"] < 1
    assert reasons["reasons"] == ["High."]
    honest, thief = (desk.get(f"/desk/demo/thief?share={share}&days=120").json for share in (0, 0.9))
    assert thief["value"] < honest["value"]  # this scorer goes by consumption alone
    assert store.count_profiles() == 0


@NO_SAMPLE
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("reasons?client=s-00004&day=2019-08-31", 404),
        ("reasons?client=demo-normal&day=2019-08-32", 404),
        ("thief?share=1.5&days=10", 400),
        ("thief?share=nan&days=10", 400),
        ("thief?share=0.5&days=100000", 400),
    ],
)
def test_an_unknown_scenario_is_refused(store, query, status):
    assert open_desk(store).get(f"/desk/demo/{query}").status_code == status


def test_without_the_simulated_utility_the_page_says_so_and_still_offers_the_form(store, monkeypatch):
    def missing(_client_id):
        raise FileNotFoundError

    monkeypatch.setattr("fairmeter.web.pages.demo.view.load_scenario", missing)
    page = seen(open_desk(store).get("/desk/demo"))
    assert page.status == 200
    assert "data/sample.zip" in page.text
    assert "Judge" in page.text


@pytest.mark.parametrize("asked", ["reasons?client=demo-normal&day=2019-08-31", "thief?share=0.5&days=60&reasons=1"])
def test_where_the_simulated_utility_is_not_installed_nothing_is_found(store, monkeypatch, asked):
    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr("fairmeter.web.pages.demo.view.load_scenario", missing)
    assert open_desk(store).get(f"/desk/demo/{asked}").status_code == 404


@NO_SAMPLE
def test_each_reader_has_days_and_reasons_in_its_own_language(store):
    desk = open_desk(store)
    said = {}
    for language in ("ar", "fr", "en"):
        desk.set_cookie("language", language)
        page = desk.get(f"/desk/demo?client={CLIENT_IDS[0]}").text
        frames = json.loads(page.split('id="demo-data">')[1].split("</script>")[0])["frames"]
        said[language] = frames[-1]["told"]
    assert said["en"] == "31 Aug 2019"
    assert "août" in said["fr"]
    assert "أوت" in said["ar"]
