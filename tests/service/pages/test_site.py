"""The pages of the dashboard: content, roles, and what they never let through."""

import ast
import json
import re
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fairmeter.store import Store
from fairmeter.web.http import i18n
from tests.builders.desk import PASSWORD, add_user, desk_app
from tests.builders.pages import FORMULA, HOSTILE, N_CLIENTS, filled, inspected, open_desk, seen

WEB = Path(i18n.__file__).parents[1]
PAGES = (
    "/desk/today",
    "/desk/list",
    "/desk/suspects",
    "/desk/alerts",
    "/desk/transformers",
    "/desk/client/c-001",
    "/desk/client/c-001/relations",
    "/desk/model",
)
PAGES += ("/desk/cases", "/desk/field", "/desk/map", "/desk/live", "/desk/search?q=c", "/desk/me")
CHOSEN = ["c-001", "c-002"]


@pytest.fixture
def empty_store(templates, tmp_path):
    with templates.copied("sqlite", tmp_path) as url, closing(Store(url)) as store:
        yield store


@pytest.fixture(scope="module")
def full_store(templates, tmp_path_factory):
    """Read by many tests, changed by none."""
    with templates.copied("sqlite", tmp_path_factory.mktemp("pages")) as url, closing(Store(url)) as store:
        filled(store)
        yield store


@pytest.fixture(scope="module")
def reader(full_store):
    return open_desk(full_store)


@pytest.fixture
def own_store(empty_store):
    filled(empty_store)
    return empty_store


def signed_in(store, role):
    """A browser in which a user of that role is signed in, and the session's token."""
    add_user(store, "anna", role)
    browser = desk_app(store).test_client()
    answer = browser.post("/desk/sign-in", data={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 302
    page = seen(browser.get("/desk/list")).whole
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    return browser, token[1] if token else ""


# --- all pages --------------------------------------------------------------------------------------------------------


def test_the_root_leads_to_the_dashboard(reader):
    assert reader.get("/").headers["Location"] == "desk/"
    assert reader.get("/desk/").headers["Location"] == "/desk/today"


@pytest.mark.parametrize("address", PAGES)
def test_every_page_answers_from_an_empty_store_too(empty_store, address):
    page = seen(open_desk(empty_store).get(address))
    assert page.status == (404 if "client" in address else 200)
    assert "<h1" in page.whole


@pytest.mark.parametrize("address", PAGES)
def test_every_page_answers(reader, address):
    assert seen(reader.get(address)).status == 200


@pytest.mark.parametrize("address", PAGES)
def test_no_page_holds_a_script_or_an_address_of_another_host(reader, address):
    page = seen(reader.get(address)).whole
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
    assert not re.search(r"\son\w+=", page)
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", page)


@pytest.mark.parametrize("address", PAGES)
def test_the_policy_allows_no_other_script(reader, address):
    policy = reader.get(address).headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_files_are_cached_by_the_browser_and_found_only_under_their_names(reader):
    page = seen(reader.get("/desk/today")).whole
    style = re.search(r'href="(/desk/static/\w+/desk.css)"', page)[1]
    answer = reader.get(style, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    for name in ("../desk.py", "..%2fdesk.py", "/etc/passwd", "nothing.js"):
        assert reader.get(f"/desk/static/x/{name}").status_code == 404


def test_every_text_that_a_page_uses_is_in_the_language_file():
    keys = set(i18n.texts_of("en"))
    sources = [*WEB.glob("pages/**/*.py"), *WEB.glob("templates/*.html")]
    used = {
        key
        for path in sources
        for key in re.findall(r"""\b(?:t|text)\(\s*["']([a-z_]+\.[\w.]+)["']\s*[,)]""", path.read_text())
    }
    assert len(used) > 100
    assert used <= keys


def test_the_docstring_of_every_module_of_pages_names_its_inputs():
    modules = [path for path in WEB.glob("pages/**/*.py") if path.name != "__init__.py"]
    assert all("\nIn:" in ast.get_docstring(ast.parse(path.read_text())) for path in modules)


# --- hostile values ---------------------------------------------------------------------------------------------------


def test_an_id_that_is_a_script_shows_as_text(reader):
    page = seen(reader.get("/desk/suspects"))
    assert HOSTILE not in page.whole
    assert HOSTILE in page.text
    link = next(link for link in page.links if "script" in link and "/client/" in link)
    assert HOSTILE in seen(reader.get(link)).text


def test_a_csv_file_contains_no_formula(reader):
    page = seen(reader.get("/desk/suspects"))
    sheet = reader.get(next(link for link in page.links if "format=csv" in link))
    ids = [line.split(",")[0] for line in sheet.text.splitlines()]
    assert f"'{FORMULA}" in ids
    assert FORMULA not in ids
    assert len(ids) == N_CLIENTS + 1


def test_invalid_arguments_are_reported_and_the_page_still_shows(reader):
    page = seen(reader.get("/desk/list?visits=-3&severity=grave&_external=1&endpoint=x&page=99&after=zz"))
    assert page.status == 200
    assert "Visits: " in page.text
    assert "Severity: " in page.text
    assert "after is not a cursor" in seen(reader.get("/desk/suspects?after=zz")).text


# --- signing in -------------------------------------------------------------------------------------------------------


def test_a_request_without_a_session_is_redirected_to_the_form_and_back(empty_store):
    add_user(empty_store)
    browser = desk_app(empty_store).test_client()
    led = browser.get("/desk/list?visits=7").headers["Location"]
    assert led == "/desk/sign-in?next=/desk/list?visits%3D7"
    form = {"name": "anna", "password": PASSWORD, "next": "/desk/list?visits=7"}
    assert browser.post("/desk/sign-in", data=form).headers["Location"] == "/desk/list?visits=7"
    assert "anna" in seen(browser.get("/desk/today")).text


@pytest.mark.parametrize("elsewhere", ["https://else.where/", "//else.where", "/desk/\\else.where", "javascript:0", ""])
def test_signing_in_never_redirects_to_another_site(empty_store, elsewhere):
    add_user(empty_store)
    form = {"name": "anna", "password": PASSWORD, "next": elsewhere}
    answer = desk_app(empty_store).test_client().post("/desk/sign-in", data=form)
    assert answer.headers["Location"] == "/desk/today"


def test_a_wrong_password_is_reported_and_counted_with_those_of_the_api(empty_store):
    add_user(empty_store)
    browser = desk_app(empty_store).test_client()
    wrong = {"name": "anna", "password": "no password of hers"}
    assert [browser.post("/session", json=wrong).status_code for _ in range(3)] == [401] * 3
    assert [browser.post("/desk/sign-in", data=wrong).status_code for _ in range(3)] == [401, 401, 429]
    assert "Wrong user name or password." in seen(browser.post("/desk/sign-in", data=wrong | {"name": "otto"})).text


def test_signing_out_ends_the_session(empty_store):
    browser, _ = signed_in(empty_store, "viewer")
    browser.post("/desk/sign-out")
    assert browser.get("/desk/today").status_code == 302


# --- roles and forms --------------------------------------------------------------------------------------------------


def test_a_viewer_sees_no_button_and_can_press_none(own_store):
    browser, _ = signed_in(own_store, "viewer")
    assert "Open cases" not in seen(browser.get("/desk/list")).text
    assert "Record an inspection" not in seen(browser.get("/desk/client/c-001")).text
    refused = seen(browser.post("/desk/list/cases", data={"client": "c-001", "why": "x"}))
    assert (refused.status, "Not for your role" in refused.text) == (403, True)


def test_a_form_without_the_sessions_token_does_nothing(own_store):
    browser, token = signed_in(own_store, "investigator")
    form = {"client": CHOSEN, "why": "On the list.", "next": "/desk/list"}
    assert browser.post("/desk/list/cases", data=form).status_code == 403
    assert not own_store.list_cases().rows
    assert browser.post("/desk/list/cases", data=form | {"csrf_token": token}).status_code == 302
    assert {case.client_id for case in own_store.list_cases().rows} == set(CHOSEN)


def test_a_form_of_another_site_does_nothing(own_store):
    browser = open_desk(own_store)
    form = {"client": CHOSEN, "why": "On the list."}
    assert browser.post("/desk/list/cases", data=form, headers={"Origin": "https://else.where"}).status_code == 403
    assert not own_store.list_cases().rows


def test_many_cases_are_opened_at_once_and_failures_are_reported(own_store):
    browser = open_desk(own_store)
    own_store.open_case("c-001", "otto", "Before.", assignee="otto")
    form = {"client": CHOSEN, "drawn": ["c-002"], "why": "On the list.", "assignee": "anna", "next": "/desk/list"}
    page = seen(browser.post("/desk/list/cases", data=form, follow_redirects=True))
    assert "1 case opened, given to anna." in page.text
    assert "has an open case already" in page.text
    case = own_store.open_case_of("c-002")
    assert (case.state, case.assignee, case.is_random) == ("assigned", "anna", True)


def test_a_visit_is_recorded_from_the_clients_page(own_store):
    browser = open_desk(own_store)
    form = {"client_id": "c-003", "outcome": "confirmed", "inspected_on": "2026-11-03", "recovered_kwh": "120.5"}
    page = seen(browser.post("/desk/record-inspection", data=form, follow_redirects=True))
    assert "The visit is on record: Confirmed." in page.text
    (visit,) = own_store.inspections()
    assert (visit.client_id, visit.outcome, visit.recovered_kwh) == ("c-003", "confirmed", 120.5)
    assert [m.to_state for m in own_store.moves_of(visit.case_id)] == ["new", "assigned", "inspecting", "closed"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outcome": "fraud"}, "What was found: "),
        ({"inspected_on": "soon"}, "Day of the visit: "),
        ({"inspected_on": "2999-01-01"}, "lies in the future"),
        ({"recovered_kwh": "-1"}, "Billed afterwards, kWh: "),
        ({"recovered_value": "nan"}, "Billed afterwards, money: "),
    ],
)
def test_a_visit_with_a_bad_value_opens_nothing_and_comes_back_as_it_was_typed(own_store, wrong, message):
    typed = {"client_id": "c-003", "outcome": "cleared", "inspected_on": "2026-11-03", "note": "Seal <whole>."}
    page = seen(open_desk(own_store).post("/desk/record-inspection", data=typed | wrong))
    assert (page.status, message in page.text) == (422, True)
    assert "Seal &lt;whole&gt;." in page.whole
    assert not own_store.list_cases().rows


def test_a_second_user_who_opens_a_case_sees_an_error_and_their_typed_text(own_store):
    own_store.open_case("c-003", "otto", "Before.", assignee="otto")
    typed = {"client_id": "c-003", "why": "Fall since <March>."}
    page = seen(open_desk(own_store).post("/desk/open-case", data=typed))
    assert (page.status, "has an open case already" in page.text) == (409, True)


# --- what the pages say -----------------------------------------------------------------------------------------------


def test_the_overview_counts_clients_alerts_and_what_visits_found(own_store):
    for number, outcome in enumerate(("confirmed", "confirmed", "cleared", "no_access")):
        inspected(own_store, f"c-00{number}", outcome, recovered_kwh=1500.0 if outcome == "confirmed" else None)
    inspected(own_store, "c-100", "cleared", is_random=True)
    page = seen(open_desk(own_store).get("/desk/today")).text
    assert "130 clients" in page
    assert "Hit rate 67" in page  # of the three visits at which the meter was seen
    assert re.search(r"3,000\skWh( last month)?", page)  # yesterday: on the first of a month, that was the last one
    assert "from the list 4 3 2 67" in page
    assert "at random 1 1 0 0" in page


def test_today_shows_an_investigator_what_is_hers_and_what_is_late(own_store):
    own_store.open_case("c-004", "anna", "On the list.", assignee="anna")
    browser, _ = signed_in(own_store, "investigator")
    page = seen(browser.get("/desk/today"))
    assert page.text.index("New alerts") < page.text.index("Recovered this month")
    assert "c-004 Critical" in page.text
    assert any(link.startswith("/desk/plan?on=") for link in page.links)


def test_a_confirmed_client_does_not_lead_the_suspects(own_store):
    inspected(own_store, HOSTILE, "confirmed")
    page = seen(open_desk(own_store).get("/desk/suspects"))
    assert HOSTILE not in page.text
    assert HOSTILE in seen(open_desk(own_store).get("/desk/suspects?state=confirmed")).text


@pytest.mark.parametrize("asked", ["sort=up", "least_score=x", "region=%00", "scored_since=9999-12-31", "severity=odd"])
def test_all_results_of_an_address_that_nobody_wrote_open_no_case(own_store, asked):
    browser = open_desk(own_store)
    answer = browser.post("/desk/suspects/cases", data={"everything": "1", "query": asked, "why": "So."})
    assert answer.status_code in (302, 422)
    assert not own_store.list_cases().rows


def test_the_drawer_of_a_row_says_why_and_lets_it_be_assigned(own_store):
    browser = open_desk(own_store)
    drawer = seen(browser.get("/desk/suspects/drawer?client=c-001"))
    assert "Electricity fell 62 % after March 2026." in drawer.text
    form = {"client": "c-001", "why": "Looks suspicious.", "assignee": "open", "next": "/desk/suspects"}
    assert browser.post("/desk/suspects/cases", data=form).headers["Location"] == "/desk/suspects"
    assert own_store.open_case_of("c-001").assignee == "open"
    assert browser.get("/desk/suspects/drawer?client=nobody").status_code == 404


def test_all_results_of_a_filter_are_assigned_at_once(own_store):
    browser = open_desk(own_store)
    form = {"everything": "1", "query": "severity=high", "why": "Looks suspicious.", "assignee": "open"}
    browser.post("/desk/suspects/cases", data=form)
    opened = own_store.list_cases(limit=200).rows
    assert {case.severity for case in opened} == {"high"}
    assert len(opened) == own_store.count_severities()["high"]


def test_an_alert_is_dismissed_and_opened_again(own_store):
    browser = open_desk(own_store)
    alert = own_store.list_alerts(limit=1).rows[0]
    form = {"alert": alert.alert_id, "action": "dismiss", "why": "A vacant home."}
    assert "1 alert dismissed." in seen(browser.post("/desk/alerts/act", data=form, follow_redirects=True)).text
    assert alert.client_id in unescape(browser.get("/desk/alerts?show=dismissed").text)
    browser.post("/desk/alerts/act", data=form | {"action": "reopen"})
    assert own_store.find_alert(alert.alert_id).state == "open"
    for wrong in ({"action": "burn"}, {"action": "snooze", "until": "soon"}):
        assert browser.post("/desk/alerts/act", data=form | wrong).status_code == 422


@pytest.mark.parametrize(
    ("typed", "found"),
    [("C-01", "Client c-010"), ("alert(1)", f"Client {HOSTILE}"), ("suspec", "Page Suspects"), ("102", "Place 102")],
)
def test_search_finds_ids_from_anywhere_whatever_the_case_places_and_pages(reader, typed, found):
    assert found in seen(reader.get("/desk/search/found", query_string={"q": typed})).text


@pytest.mark.parametrize("typed", ["", " ", "\0", "\ud800", "%", "_", "9" * 400, "x" * 5000])
def test_search_answers_whatever_is_typed(reader, typed):
    assert reader.get("/desk/search", query_string={"q": typed.encode("utf-8", "surrogatepass")}).status_code == 200


def test_the_list_is_that_of_the_api(reader):
    rows = reader.get("/list?visits=20&random_share=0.1&cost=5&price=0.2&region=101").json["rows"]
    page = seen(reader.get("/desk/list?visits=20&random_share=0.1&cost=5&price=0.2&region=101"))
    shown = re.findall(r'name="client" value="([^"]+)"', page.whole)
    assert len(rows) == 20
    assert [row["client_id"].replace("<", "&lt;").replace(">", "&gt;") for row in rows] == shown


def test_visits_that_would_cost_more_than_they_bring_are_left_out(reader):
    free = reader.get("/list?visits=1000&random_share=0&cost=0&price=0.2").json["rows"]
    dear = reader.get("/list?visits=1000&random_share=0&cost=100&price=0.2").json["rows"]
    assert len(dear) < len(free)
    assert min(row["expected_net_value"] for row in dear) >= 0


def test_the_pages_of_all_clients_contain_each_once_and_lead_back(reader):
    address, ids, back = "/desk/suspects?state=all&sort=id", [], []
    while address:
        page = seen(reader.get(address))
        ids += re.findall(r'name="client" value="([^"]+)"', page.whole)
        following = re.search(r'href="([^"]+)" rel="next"', page.whole)
        back += re.findall(r'href="([^"]+)" rel="prev"', page.whole)
        address = following and following[1].replace("&amp;", "&")
    assert len(ids) == len(set(ids)) == N_CLIENTS
    assert len(back) == 2
    first = re.findall(r'name="client" value="([^"]+)"', seen(reader.get(back[0].replace("&amp;", "&"))).whole)
    assert first == ids[:50]


def test_clients_are_found_by_the_beginning_of_their_id(reader):
    page = seen(reader.get("/desk/suspects?state=all&id_prefix=c-01"))
    assert "10 clients" in page.text


def test_a_client_shows_its_score_reasons_causes_and_onset(reader):
    page = seen(reader.get("/desk/client/c-001")).text
    for said in (
        "94", "Electricity fell 62 % after March 2026.", "Vacant home does not fit",
        "Less than a year: 1.", "Own level of the year before.", "Median before: 9.0 kWh a day; after: 3.0.",
    ):  # fmt: skip
        assert said.lower() in page.lower()


def test_a_client_shows_each_week_by_each_detector(reader):
    page = reader.get("/desk/client/c-001").text
    chart = json.loads(re.search(r'id="chart-timeline"[^>]*>(.*?)</script>', page, re.DOTALL)[1])["data"][0]
    assert chart["y"] == ["z-score"]
    assert len(chart["x"]) == len(chart["z"][0]) > 1
    assert chart["z"][0][0] == 0.9  # as the scorer of these tests returns for nine kWh


def test_sections_without_data_are_left_out(empty_store):
    from tests.builders.store import score_of, write

    write(empty_store, score_of("bare", None, reasons=(), explanations=(), quality=(), recovery=None, onset_on=None))
    page = seen(open_desk(empty_store).get("/desk/client/bare"))
    assert page.status == 200
    assert "Consumption" not in page.text
    assert "too little is known to judge" in page.text


def test_errors_are_a_page_for_browsers_and_json_for_scripts(reader):
    page = reader.get("/desk/nothing/here")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "Nothing here" in seen(page).text
    assert seen(reader.get("/desk/client/nobody")).status == 404
    assert reader.get("/consumer/nobody").mimetype == "application/json"


# --- how values are written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (i18n.number(1234567.8), "1,234,568"),
        (i18n.number(None), "\u2013"),
        (i18n.percent(0.1234, 1), "12.3\u202f%"),
        (i18n.percent(0.001), "<\u202f1\u202f%"),
        (i18n.percent(0.0), "0\u202f%"),
        (i18n.signed(-0.123), "\u221212\u202f%"),
        (i18n.signed(0.004), "+0.4\u202f%"),
        (i18n.energy(950.0), "950\u202fkWh"),
        (i18n.energy(12_340.0), "12.3\u202fMWh"),
        (i18n.energy(45_600_000.0), "45.6\u202fGWh"),
        (i18n.money(1234.5, "TND"), "1,234\u202fTND"),
        (i18n.money(1234.5), "1,234"),
        (i18n.code(103.0), "103"),
        (i18n.day(date(2014, 3, 24)), "24 Mar 2014"),
    ],
)
def test_values_are_written_for_people(written, expected):
    assert written == expected


def test_moments_are_written_in_the_utilitys_time_zone():
    moment = i18n.moment_in_zone(lambda: ZoneInfo("Africa/Tunis"))
    assert moment(datetime(2026, 11, 20, 23, 30, tzinfo=UTC)) == "21 Nov 2026, 00:30"
    day = i18n.day_in_zone(lambda: ZoneInfo("Africa/Tunis"))
    assert (day(datetime(2026, 11, 20, 23, 30, tzinfo=UTC)), day(None)) == ("21 Nov 2026", "\u2013")


def test_ages_are_written_in_the_largest_unit():
    now = datetime(2026, 11, 20, tzinfo=UTC)
    ages = [i18n.age(now - ago, now) for ago in (timedelta(0), timedelta(minutes=5), timedelta(hours=30))]
    assert ages == ["just now", "5 minutes ago", "1 day ago"]
