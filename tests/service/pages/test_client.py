"""The surroundings on a client's page, and the crew's sheet."""

import json
import re
from contextlib import closing
from datetime import date

import pytest

from fairmeter.analysis.peer_consumption import MIN_PEERS
from fairmeter.core.types import ANOMALY_PATTERNS
from fairmeter.desk.client_profile import client_profile, stored_profile
from fairmeter.store import Store
from fairmeter.web.exports.files import PDF
from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.client import crew_sheet, visit_checks
from fairmeter.web.pages.client.context import load_surroundings, temperature_trace
from tests.builders.client_page import ALONE, FIRST, MONTHLY, N_DAYS, N_PEERS, NOTHING, filled
from tests.builders.desk import desk_app
from tests.builders.pages import HOSTILE, inspected, open_desk, seen


@pytest.fixture(scope="module")
def store(templates, tmp_path_factory):
    with templates.copied("sqlite", tmp_path_factory.mktemp("client")) as url, closing(Store(url)) as opened:
        filled(opened)
        inspected(opened, "c-0", "no_access")
        yield opened


@pytest.fixture(scope="module")
def reader(store):
    return open_desk(store)


def page_of(reader, client_id):
    return seen(reader.get(f"/desk/client/{client_id}"))


def chart_of(reader, client_id, name="consumption"):
    whole = page_of(reader, client_id).whole
    return json.loads(re.search(rf'id="chart-{name}"[^>]*>(.*?)</script>', whole, re.DOTALL)[1])


# --- invoices ---------------------------------------------------------------------------------------------------------


def test_the_latest_invoices_are_on_the_page_with_their_contradictions(reader):
    page = page_of(reader, "c-0").text
    assert "1 of the last 2 invoices contradicts itself or the one before." in page
    assert "24 May 2014 begins 50 below the end of the one before 120 kWh 4 250 370 1 7" in page
    assert page.index("24 May 2014") < page.index("24 Jan 2014")
    clean = page_of(reader, MONTHLY).text
    assert "None of the last 2 invoices contradicts itself" in clean
    assert "gas 120 m³" in clean


def test_the_api_returns_them_too(reader):
    (before, back) = reader.get("/consumer/c-0").json["invoices"]
    assert (before["invoice_on"], before["energy"], before["findings"]) == ("2014-01-24", "electricity", [])
    assert back["findings"] == [{"kind": "rollback", "size": 50.0}]
    assert reader.get(f"/consumer/{NOTHING}").json["invoices"] == []


# --- peers and temperature --------------------------------------------------------------------------------------------


def test_the_chart_shows_consumption_within_that_of_peers(reader):
    chart = chart_of(reader, "c-0")
    upper = next(trace for trace in chart["data"] if trace.get("fill") == "tonexty")
    lower = chart["data"][chart["data"].index(upper) - 1]
    assert all(low < high < 12 for low, high in zip(lower["y"], upper["y"], strict=True))
    assert all(FIRST.isoformat() <= day for day in upper["x"])
    assert len(upper["x"]) == 6
    assert f"the {N_PEERS + 1} clients of category 11 in region 101" in page_of(reader, "c-0").text


def test_with_too_few_peers_the_page_says_so_and_shows_no_band(reader):
    assert not [trace for trace in chart_of(reader, ALONE)["data"] if trace.get("fill")]
    said = f"Of category 11 in region 102 1 client is known, too few to say what is usual (at least {MIN_PEERS})."
    assert said in page_of(reader, ALONE).text


def test_the_temperature_has_an_axis_of_its_own_where_it_is_known(reader):
    chart = chart_of(reader, "c-0")
    (warm,) = [trace for trace in chart["data"] if trace.get("yaxis") == "y2"]
    assert warm["y"][0] == pytest.approx(10.15, abs=0.06)  # the mean of the first four days
    assert chart["layout"]["yaxis2"]["title"] == "°C"
    (by_month,) = [trace for trace in chart_of(reader, MONTHLY)["data"] if trace.get("yaxis") == "y2"]
    assert by_month["x"][:2] == ["2025-11-01", "2025-12-01"]
    assert by_month["y"][0] == pytest.approx(10 + 14.5 / 10, abs=0.1)
    assert temperature_trace((), "day", date.max) is None


# --- neighbours -------------------------------------------------------------------------------------------------------


def test_neighbours_are_the_nearest_clients_with_their_severity_and_link(reader, store):
    found = store.neighbours_of("c-0", 3)
    assert [one.client_id for one in found] == [HOSTILE, "c-1", "c-2"]
    assert [round(one.metres) for one in found] == [11, 22, 33]
    page = page_of(reader, "c-0")
    assert "22 m, same transformer" in page.text
    assert HOSTILE not in page.whole
    assert "/desk/client/c-1" in page.links


def test_a_client_without_coordinates_has_the_neighbours_of_its_transformer_if_any(reader, store):
    found = store.neighbours_of(MONTHLY, 3)
    assert [(one.client_id, one.metres) for one in found] == [("c-0", None), (HOSTILE, None), ("c-1", None)]
    assert "Clients on the same transformer" in page_of(reader, MONTHLY).text
    assert store.neighbours_of(NOTHING) == []
    assert store.neighbours_of("nobody") == []
    assert "Neighbours" not in page_of(reader, NOTHING).text


def test_a_distant_client_is_no_neighbour(store):
    assert store.neighbours_of(ALONE) == []


# --- the crew's sheet -------------------------------------------------------------------------------------------------


@pytest.fixture
def sheet_of(store):
    """The content of a client's sheet, from its stored profile."""
    app = desk_app(store, THIS_MACHINE)

    def content(client_id):
        with app.test_request_context():
            desk = app.extensions["site"].desk
            profile = client_profile(desk, stored_profile(desk.store, client_id))
            return crew_sheet.sheet_content(profile, load_surroundings(desk.store, profile))

    return content


def test_the_sheet_has_place_reasons_and_checks(sheet_of):
    sheet = sheet_of("c-0")
    facts = dict(sheet["facts"])
    assert (facts["Place"], facts["Region, district"], facts["Transformer"]) == (
        "36.00000, 10.00000",
        "101, 60",
        "T-<1>",
    )
    assert facts["Meter"] == "number 7; index 370 on 24 May 2014"
    stakes = dict(sheet["stakes"])
    assert stakes["Score"] == "90\u202f%, suspected from 50\u202f%"
    assert "No access" in stakes["Former visits"]
    reason = ("+20\u202f%", "Fall in consumption. Electricity fell 62 % after March 2026.")
    assert sheet["reasons"]["items"][0] == reason
    assert "Measure the current before the meter" in sheet["checks"]["items"][0]
    assert len(sheet["checks"]["items"]) == 3  # the tariff lowers the score, so it needs no check
    assert sheet["harmless"]["items"] == ["Vacant home: does not fit. Consumption went on."]


def test_the_chart_of_the_sheet_has_a_point_a_week_the_band_and_the_onset(sheet_of):
    chart = sheet_of("c-0")["chart"]
    assert len(chart["values"]) == len(chart["low"]) == -(-N_DAYS // 7)
    assert chart["values"][0] == pytest.approx(3.0)
    assert chart["onset"] == (date(2026, 3, 1) - FIRST).days // 7 + 1
    assert chart["levels"] == pytest.approx([3.0, 3.0])
    assert [label for _, label in chart["labels"]][:2] == ["Nov 2025", "Dec 2025"]
    assert sheet_of(MONTHLY)["chart"]["values"] == [300.0] * 8
    assert sheet_of(NOTHING)["chart"] is None


def test_the_sheet_has_as_many_checks_as_fit_and_always_those_of_meter_and_seals():
    groups = [name for name in crew_sheet.i18n.texts_below("crew.check") if name not in visit_checks.ALWAYS_CHECKED]
    found = visit_checks.visit_checks(groups)
    assert len(found) == visit_checks.MAX_CHECKS
    assert found[-2:] == visit_checks.visit_checks([])


def test_every_unusual_pattern_has_a_check_that_comes_before_those_of_reasons():
    assert {*ANOMALY_PATTERNS} <= set(crew_sheet.i18n.texts_below("crew.pattern"))
    first, second, *_ = visit_checks.visit_checks(["unusual shape"], ["tampering signature"])
    assert first.startswith("Open the cover")
    assert second.startswith("Let the meter count")


def test_every_evidence_group_has_a_check():
    from fairmeter.explanation.reasons import STORED_SCORE_GROUP
    from fairmeter.features.base import REASON_GROUPS

    assert {*REASON_GROUPS, STORED_SCORE_GROUP} <= set(crew_sheet.i18n.texts_below("crew.check"))


@pytest.mark.parametrize("client_id", ["c-0", HOSTILE, ALONE, MONTHLY, NOTHING])
def test_the_sheet_of_any_client_is_one_page(reader, client_id):
    answer = reader.get(f"/desk/crew-sheet/{client_id}")
    assert (answer.status_code, answer.mimetype) == (200, PDF)
    assert len(re.findall(rb"/Type /Page\b(?!s)", answer.data)) == 1
    name = answer.headers["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]+\.pdf"', name), name


def test_the_sheet_of_an_unknown_client_is_not_found_and_a_client_links_to_its_own(reader):
    assert reader.get("/desk/crew-sheet/nobody").status_code == 404
    assert "/desk/crew-sheet/c-0" in page_of(reader, "c-0").links
