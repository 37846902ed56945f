"""The pages in a real browser: no errors, no other host, accessible."""

import re
from contextlib import closing

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import NO_ONE, THIS_MACHINE
from tests.builders.desk import PASSWORD, add_user, desk_app
from tests.builders.pages import HOSTILE, N_CLIENTS, filled, inspected
from tests.builders.photos import a_photo

PAGES = (
    "/desk/today",
    "/desk/list",
    "/desk/suspects",
    "/desk/alerts",
    "/desk/map",
    "/desk/model",
    "/desk/client/nobody",
    "/desk/search?q=c",
    "/desk/me",
)
SCRIPT_SIZES = """() => performance.getEntriesByType("resource")
  .filter((one) => one.initiatorType === "script").map((one) => one.encodedBodySize)"""
PLAIN = "/desk/suspects"  # a page without charts, which take a browser most of its time


@pytest.fixture(scope="module")
def store(browser, templates, tmp_path_factory):  # noqa: ARG001  without a browser nothing is filled
    with templates.copied("sqlite", tmp_path_factory.mktemp("browser")) as url, closing(Store(url)) as opened:
        filled(opened)
        inspected(opened, "c-100", "confirmed", recovered_kwh=1500.0)
        inspected(opened, "c-101", "cleared", is_random=True)
        yield opened


@pytest.fixture(scope="module")
def app(store):
    return desk_app(store, THIS_MACHINE)


@pytest.fixture
def desk(front, app):
    with front.serving(app) as served:
        yield served


@pytest.fixture
def visitor(desktop, desk):  # noqa: ARG001  the desk is served at its address
    return desktop.anew()


@pytest.mark.parametrize(
    ("window", "theme"), [("desktop", "light"), pytest.param("phone", "dark", marks=pytest.mark.nightly)]
)
@pytest.mark.usefixtures("desk")
def test_every_page_is_accessible_fits_and_loads_nothing_from_other_hosts(request, window, theme):
    visitor = request.getfixturevalue(window).anew(theme)
    wrong = visitor.wrong_with(PAGES)
    # The browser itself logs that the page of an unknown client is a 404.
    complaints = [said for said in visitor.complaints if "404" not in said]
    assert (wrong, complaints) == ([], [])


def test_a_chosen_theme_stays_and_the_charts_follow(visitor):
    visitor.goto("/desk/today")
    before = visitor.page.evaluate("getComputedStyle(document.querySelector('.chart svg text')).fill")
    visitor.page.click(".top [data-theme-switch]")
    assert visitor.page.get_attribute("html", "data-theme") == "dark"
    drawn_anew = "old => getComputedStyle(document.querySelector('.chart svg text')).fill !== old"
    visitor.page.wait_for_function(drawn_anew, arg=before)
    visitor.goto(PLAIN)
    assert visitor.page.get_attribute("html", "data-theme") == "dark"


def test_a_keyboard_reaches_the_content_first(visitor):
    visitor.goto(PLAIN)
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    assert visitor.page.evaluate("document.activeElement.id") == "main"


@pytest.mark.usefixtures("desk")
def test_a_phone_has_tabs_and_reaches_every_page_by_them(phone):
    visitor = phone.anew()
    visitor.goto(PLAIN)
    visitor.page.get_by_role("navigation", name="Main pages").get_by_role("link", name="Me").click()
    visitor.page.get_by_role("navigation", name="All pages").get_by_role("link", name="Suspects").click()
    visitor.page.wait_for_url("**/desk/suspects")


def pressed(visitor, *keys):
    for key in keys:
        visitor.page.keyboard.press(key)


def test_the_worst_client_is_found_and_assigned_by_eight_keys(visitor, store):
    visitor.goto("/desk/me")
    pressed(visitor, "g", "s")
    visitor.page.wait_for_url("**/desk/suspects")
    worst = store.list_profiles(limit=1).rows[0].client_id
    assert visitor.page.locator("[data-row]").first.get_attribute("data-row") == worst
    assert visitor.page.locator("[data-row]").first.bounding_box()["y"] < 300
    pressed(visitor, "j", "Enter")
    visitor.page.wait_for_selector("#drawer [data-first]:focus")
    pressed(visitor, "Enter")
    visitor.page.get_by_text("1 case opened, given to open.").wait_for()
    assert store.open_case_of(worst).assignee == "open"
    assert visitor.complaints == []


def test_search_finds_a_client_from_the_keyboard(visitor):
    visitor.goto("/desk/me")
    pressed(visitor, "Control+k")
    visitor.page.keyboard.type("C-04")
    visitor.page.wait_for_selector("#found a.on")
    pressed(visitor, "ArrowDown", "Enter")
    visitor.page.wait_for_url("**/desk/client/c-04*")


def test_a_view_is_saved_and_found_again(visitor):
    visitor.goto("/desk/suspects?severity=high")
    visitor.page.click("summary:has-text('Views')")
    visitor.page.fill("[data-save-view] input", "My high ones")
    visitor.page.click("[data-save-view] button")
    visitor.goto("/desk/suspects")
    visitor.page.click("summary:has-text('Views')")
    visitor.page.click("[data-saved] a:has-text('My high ones')")
    visitor.page.wait_for_url("**/desk/suspects?severity=high")


def test_a_user_turns_pages_and_assigns_many_at_once(visitor, store):
    visitor.goto("/desk/suspects?state=all")
    assert f"{N_CLIENTS} clients" in visitor.page.inner_text("main")
    visitor.page.get_by_role("link", name="Next").click()
    visitor.page.get_by_text("Page 2").wait_for()
    visitor.goto("/desk/suspects?state=all&id_prefix=c-02")
    assert not visitor.page.is_visible("[data-bulk]")
    visitor.page.get_by_label("Choose all of this page").check()
    visitor.page.get_by_label("Choose c-029").uncheck()
    visitor.page.wait_for_selector("[data-bulk] >> text=9 chosen")
    visitor.page.locator("[data-bulk] input[name=assignee]").fill("open")
    visitor.page.locator("[data-bulk]").get_by_role("button", name="Assign").click()
    visitor.page.get_by_text("9 cases opened, given to open.").wait_for()
    assert store.open_case_of("c-020").assignee == "open"
    assert store.open_case_of("c-029") is None


def test_the_first_reason_of_a_client_is_on_the_first_screen(visitor):
    visitor.goto("/desk/client/c-050")
    box = visitor.page.locator(".first-reasons li").first.bounding_box()
    assert box["y"] + box["height"] < 900
    scripts = visitor.page.evaluate(SCRIPT_SIZES)
    assert sum(scripts) < 400_000


def test_a_user_records_a_visit_to_a_client_whose_id_is_a_script(visitor, store, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(a_photo((800, 600)))
    visitor.goto("/desk/suspects?state=all")
    visitor.page.get_by_role("link", name=HOSTILE).click()
    visitor.page.get_by_text("Open the client's page").click()
    visitor.page.wait_for_load_state()
    assert visitor.page.inner_text("h1") == HOSTILE
    visitor.page.get_by_role("link", name="Record an inspection").click()
    visitor.page.locator("input[value=confirmed]").check()
    visitor.page.get_by_label("Billed afterwards, kWh").fill("250")
    visitor.page.set_input_files("input[name=photos]", tmp_path / "photo.jpg")
    visitor.page.wait_for_selector("[data-chosen] img")
    visitor.page.get_by_role("button", name="Record", exact=True).click()
    visitor.page.get_by_text("The visit is on record: Confirmed.").wait_for()
    [visit] = [visit for visit in store.inspections() if visit.client_id == HOSTILE]
    assert (visit.recovered_kwh, len(visit.photos)) == (250.0, 1)
    assert visitor.complaints == []


def test_the_slider_shows_a_threshold_in_visits(visitor):
    visitor.goto("/desk/model?details=1")
    n_visits = visitor.page.locator("[data-slider=visits]")
    slider = visitor.page.get_by_label(re.compile("Suspected from a score of"))
    slider.fill("0")
    assert n_visits.inner_text() == str(N_CLIENTS)
    slider.fill("190")  # of 200 steps: a score of 0.95
    assert n_visits.inner_text() == "3"


def test_a_user_signs_in_looks_and_signs_out(visitor, desk, store):
    add_user(store, "vera", "viewer")
    with desk.serving(desk_app(store, NO_ONE)):
        visitor.goto("/desk/list?visits=7")
        assert visitor.grave_violations() == []
        visitor.page.get_by_label("Name").fill("vera")
        visitor.page.get_by_label("Password").fill(PASSWORD)
        visitor.page.get_by_role("button", name="Sign in").click()
        visitor.page.wait_for_url("**/desk/list?visits=7")
        assert visitor.page.get_by_role("button", name="Open cases").count() == 0
        visitor.goto("/desk/me")
        visitor.page.get_by_role("button", name="Sign out").click()
        visitor.page.wait_for_url("**/desk/sign-in")
        assert visitor.complaints == []


def test_a_client_prints_on_one_sheet_for_the_crew(visitor):
    visitor.goto("/desk/client/c-001")
    sheet = visitor.page.pdf(format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "10mm"))
    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
