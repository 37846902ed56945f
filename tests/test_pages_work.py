"""Cases, visits in the field, the demonstration and the map in a real browser."""

import pytest
from browser_builders import PHONE, Visitor, chromium, context
from desk_builders import desk_app
from page_builders import HOSTILE, Served
from store_builders import clients_of, empty_database, score_of, write

from fraud.store import Store
from fraud.web.auth import THIS_MACHINE
from fraud.web.pages import scenarios

PAGES = ("/desk/cases", "/desk/cases/1", "/desk/cases/2", "/desk/cases/3", "/desk/field", "/desk/map")
PAGES += ("/desk/demo",) if scenarios.SAMPLE.exists() else ()
WHY = "On the list."


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    """Four clients with places; cases that are new, assigned and inspecting, the last two this machine's."""
    ids = ["c-1", "c-2", "c-3", HOSTILE]
    places = clients_of(client_id=ids, latitude=[36.0, 36.1, 36.2, 36.9], longitude=[10.0, 10.1, 10.2, 10.9])
    with empty_database("sqlite", tmp_path) as url:
        opened = Store(url)
        opened.migrate()
        write(opened, *map(score_of, ids), clients=places)
        opened.open_case("c-1", "anna", WHY)
        opened.open_case("c-2", "anna", WHY, assignee="open")
        opened.open_case(HOSTILE, "anna", WHY, assignee="open")
        opened.move_case(3, "inspecting", "anna", WHY)
        yield opened
        opened.close()


@pytest.fixture
def desk(browser, store):  # noqa: ARG001  without a browser nothing is served
    server = Served(desk_app(store, THIS_MACHINE))
    yield server
    server.close()


@pytest.fixture(scope="module")
def desktop(browser):
    return context(browser, theme="dark")


@pytest.fixture
def phone(browser):
    opened = context(browser, PHONE)
    yield opened
    opened.close()


@pytest.fixture
def visitor(desktop, desk):
    opened = Visitor(desktop, desk.url)
    yield opened
    opened.close()


@pytest.fixture
def crew(phone, desk):
    """Somebody with a phone, at the page of visits."""
    opened = Visitor(phone, desk.url)
    opened.goto("/desk/field")
    return opened


@pytest.mark.parametrize("window", ["desktop", "phone"])
def test_no_page_complains_asks_elsewhere_keeps_anybody_out_or_is_too_wide(request, desk, window):
    visitor, wrong = Visitor(request.getfixturevalue(window), desk.url), []
    for address in PAGES:
        visitor.goto(address)
        wrong += [f"{address}: {violation}" for violation in visitor.grave_violations()]
        if visitor.wider_than_its_window() > 0:
            wrong.append(f"{address} is wider than the window")
    assert (wrong, visitor.complaints, visitor.elsewhere) == ([], [], [])


def test_somebody_takes_a_new_case_through_its_forms(visitor, store):
    visitor.goto("/desk/cases")
    visitor.page.click("text=c-1")
    visitor.page.click("text=Give the case")
    visitor.page.click("text=Begin the inspection")
    visitor.page.check("input[value=fault]")
    visitor.page.click("text=Record and close the case")
    visitor.page.wait_for_selector("text=Case 1 is closed: Faulty meter.")
    assert store.find_case(1).outcome == "fault"


def tell(crew, client, outcome):
    """The three taps."""
    crew.page.click(f"summary:has-text('{client}')")
    form = crew.page.locator(f"[data-visit][data-client='{client}']")
    form.locator(f"input[value={outcome}]").check()
    form.locator("button[type=submit]").click()


def test_a_visit_is_told_in_three_taps(crew, store):
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=Confirmed, recorded")
    assert store.find_case(2).outcome == "confirmed"
    assert crew.complaints == []


def test_what_is_told_without_a_connection_waits_on_the_phone_and_is_recorded_once(crew, phone, store):
    phone.set_offline(True)
    tell(crew, "c-2", "cleared")
    crew.page.wait_for_selector("text=No connection")
    assert store.find_case(2).state == "assigned"
    phone.set_offline(False)
    crew.page.wait_for_selector("text=Cleared, recorded")
    assert not crew.page.is_visible("[data-waiting]")
    assert [(i.client_id, i.outcome) for i in store.inspections()] == [("c-2", "cleared")]


def test_what_waits_outlives_the_page(crew, phone, store):
    phone.route("**/desk/field/*", lambda route: route.abort())
    tell(crew, "c-2", "no_access")
    crew.page.wait_for_selector("text=No connection")
    crew.page.close()
    phone.unroute("**/desk/field/*")
    crew.page = phone.new_page()
    crew.goto("/desk/field")
    crew.page.wait_for_selector("text=No access, recorded")
    assert store.find_case(2).outcome == "no_access"


def test_what_the_desk_refuses_stays_on_the_phone_in_words_until_it_is_taken_away(crew, store):
    store.move_case(2, "new", "anna", WHY)
    store.move_case(2, "assigned", "anna", WHY, assignee="ben")
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=ben has it")
    assert store.find_case(2).state == "assigned"
    crew.page.click("text=Take it away")
    assert crew.page.locator("text=ben has it").count() == 0


@pytest.mark.skipif(not scenarios.SAMPLE.exists(), reason="data/sample.zip is missing")
def test_the_demonstration_plays_a_scenario_draws_a_theft_and_judges_what_is_pasted(visitor):
    visitor.goto("/desk/demo?client=demo-gradual-theft")
    score = "[data-verdict=thief] [data-score]"
    visitor.page.wait_for_function(f"() => document.querySelector('{score}').textContent.includes('%')")
    with visitor.page.expect_response(lambda answer: "share=1&" in answer.url and "reasons=1" in answer.url) as judged:
        visitor.page.fill("[data-share]", "100")
        visitor.page.dispatch_event("[data-share]", "change")
    assert judged.value.ok
    assert visitor.page.inner_text("[data-share-told]") == "100 %"
    last = visitor.page.inner_text("[data-day]")
    visitor.page.click("text=Play")
    visitor.page.wait_for_function(f"() => document.querySelector('[data-day]').textContent !== '{last}'")
    visitor.page.click("text=Pause")
    visitor.page.click("text=Judge")
    visitor.page.wait_for_selector("[data-verdict=own] >> text=%")
    assert visitor.complaints == []


def test_a_click_on_the_map_leads_to_the_client(visitor):
    visitor.goto("/desk/map")
    visitor.page.wait_for_function("() => Boolean(document.querySelector('[data-chart=map]').on)")
    box = visitor.page.locator(".scatterlayer .trace").last.locator("path.point").first.bounding_box()
    visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visitor.page.wait_for_url("**/desk/client/**")
