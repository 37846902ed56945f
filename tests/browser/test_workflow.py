"""Cases, visits in the field, the demonstration, the map and transformers in a real browser."""

import json
from contextlib import closing
from datetime import datetime

import pytest

from fairmeter.scoring import examples
from fairmeter.store import Store
from fairmeter.web.http.auth import NO_ONE, THIS_MACHINE
from fairmeter.web.http.errors import JSON
from fairmeter.web.pages.demo import scenarios
from tests.builders.browser import PHONE, Visitor, context
from tests.builders.desk import desk_app
from tests.builders.pages import HOSTILE
from tests.builders.photos import a_photo, seen_picture
from tests.builders.store import a_balance, clients_of, score_of, write

PAGES = ("/desk/cases", "/desk/cases/1", "/desk/cases/2", "/desk/cases/3", "/desk/field", "/desk/map", "/desk/live")
PAGES += ("/desk/transformer/t-1", "/desk/client/c-1", "/desk/today")
PAGES += ("/desk/demo",) if scenarios.SAMPLE.exists() else ()
WHY = "On the list."
# Playwright's wait_for_function does not await the result of an asynchronous function.
WAIT_FOR_CACHE = """async (n) => {
  const name = "fairmeter-field";
  const kept = async () => ((await caches.has(name)) ? (await (await caches.open(name)).keys()).length : 0);
  while ((await kept()) !== n) await new Promise((done) => setTimeout(done, 50));
}"""


@pytest.fixture
def store(browser, templates, tmp_path):  # noqa: ARG001  without a browser nothing is filled
    """Four clients with places; cases that are new, assigned and inspecting, the last two this machine's."""
    ids = ["c-1", "c-2", "c-3", HOSTILE]
    places = clients_of(
        client_id=ids, latitude=[36.0, 36.1, 36.2, 36.9], longitude=[10.0, 10.1, 10.2, 10.9], transformer_id=["t-1"] * 4
    )
    with templates.copied("sqlite", tmp_path) as url, closing(Store(url)) as opened:
        write(opened, *map(score_of, ids), clients=places, balances=[a_balance("t-1")])
        opened.open_case("c-1", "anna", WHY)
        opened.open_case("c-2", "anna", WHY, assignee="open")
        opened.open_case(HOSTILE, "anna", WHY, assignee="open")
        opened.move_case(3, "inspecting", "anna", WHY)
        yield opened


@pytest.fixture
def desk(front, store):
    with front.serving(desk_app(store, THIS_MACHINE)) as served:
        yield served


@pytest.fixture
def handset(browser):
    """A phone of one test, so that no other test finds its storage."""
    opened = context(browser, PHONE)
    yield opened
    opened.close()


@pytest.fixture
def visitor(desktop, desk):  # noqa: ARG001  the desk is served at its address
    return desktop.anew()


@pytest.fixture
def crew(handset, desk):
    """A user with a phone, at the page of visits."""
    opened = Visitor(handset, desk.url)
    opened.goto("/desk/field")
    return opened


@pytest.mark.nightly
@pytest.mark.parametrize(("window", "theme"), [("desktop", "dark"), ("phone", "light")])
@pytest.mark.usefixtures("desk")
def test_every_page_is_accessible_fits_and_loads_nothing_from_other_hosts(request, store, window, theme):
    store.add_readings([(HOSTILE, datetime(2026, 11, 2, hour), 1.5) for hour in range(9)])
    store.count_rejected("readings.0.read_at: missing.")
    visitor = request.getfixturevalue(window).anew(theme)
    wrong = visitor.wrong_with(PAGES)
    assert (wrong, visitor.complaints) == ([], [])


def test_a_user_takes_a_new_case_through_its_forms(visitor, store):
    visitor.goto("/desk/cases")
    visitor.page.click("text=c-1")
    visitor.page.click("text=Give the case")
    visitor.page.click("text=Begin the inspection")
    visitor.page.check("input[value=fault]")
    visitor.page.click("text=Record and close the case")
    visitor.page.wait_for_selector("text=Case 1 is closed: Faulty meter.")
    assert store.find_case(1).outcome == "fault"


def wait_until_cached(crew):
    """Wait until the page and its files are cached on the phone."""
    crew.page.evaluate(WAIT_FOR_CACHE, 7)  # the page, two sheets, three scripts, a picture


def tell(crew, client, outcome):
    """The three taps."""
    crew.page.click(f"summary:has-text('{client}')")
    form = crew.page.locator(f"[data-visit][data-client='{client}']")
    form.locator(f"input[value={outcome}]").check()
    form.locator("button[type=submit]").click()


def test_a_visit_is_recorded_in_three_taps(crew, store):
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=Confirmed, recorded")
    assert store.find_case(2).outcome == "confirmed"
    assert crew.complaints == []


def test_a_visit_without_a_connection_waits_on_the_phone_and_is_recorded_once(crew, handset, store):
    handset.set_offline(True)
    tell(crew, "c-2", "cleared")
    crew.page.wait_for_selector("text=No connection")
    assert store.find_case(2).state == "assigned"
    handset.set_offline(False)
    crew.page.wait_for_selector("text=Cleared, recorded")
    assert not crew.page.is_visible("[data-waiting]")
    assert [(i.client_id, i.outcome) for i in store.inspections()] == [("c-2", "cleared")]


def away(_asked, start):
    """A proxy before a desk that does not answer."""
    start("503 Service Unavailable", [])
    return [b""]


def test_a_waiting_visit_outlives_the_page_also_while_the_desk_is_away(crew, handset, desk, store):
    wait_until_cached(crew)
    with desk.serving(away):
        tell(crew, "c-2", "no_access")
        crew.page.wait_for_selector("text=The desk does not answer")
        crew.page.close()
        crew.page = handset.new_page()
        crew.goto("/desk/field")
        crew.page.wait_for_selector("text=No access, waits")
        assert crew.page.is_visible("[data-as-of]")
    crew.page.reload()
    crew.page.wait_for_selector("text=No access, recorded")
    assert store.find_case(2).outcome == "no_access"


def test_a_rejected_visit_stays_on_the_phone_with_its_error_until_it_is_discarded(crew, store):
    store.move_case(2, "new", "anna", WHY)
    store.move_case(2, "assigned", "anna", WHY, assignee="ben")
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=ben has it")
    assert store.find_case(2).state == "assigned"
    crew.page.click("text=Take it away")
    assert crew.page.locator("text=ben has it").count() == 0


def test_the_page_opens_without_a_connection_and_its_visits_are_sent_later(crew, handset, desk, store):
    wait_until_cached(crew)
    tools = handset.new_cdp_session(crew.page)
    tools.send("Network.clearBrowserCache")  # otherwise the page's files would come from there
    tools.detach()
    with desk.away():
        handset.set_offline(True)
        crew.page.reload()
        assert "No connection to the desk: the visits are shown as of" in crew.page.inner_text("[data-as-of]")
        assert crew.page.evaluate("getComputedStyle(document.querySelector('.visit')).borderRadius") == "10px"
        tell(crew, "c-2", "confirmed")
        crew.page.wait_for_selector("text=No connection; it is sent")
        crew.page.reload()
        crew.page.wait_for_selector("text=Confirmed, waits")
        assert store.find_case(2).state == "assigned"
    handset.set_offline(False)
    crew.page.wait_for_selector("text=Confirmed, recorded")
    assert store.find_case(2).outcome == "confirmed"


def test_a_visit_that_was_recorded_is_not_shown_as_open_again(crew, handset, desk, store):
    wait_until_cached(crew)
    handset.set_offline(True)
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=Confirmed, waits")
    handset.set_offline(False)
    crew.page.wait_for_selector("text=Confirmed, recorded")
    with desk.away():
        crew.page.reload()
        assert crew.page.is_visible("[data-as-of]")
        cards = crew.page.locator("[data-case]").all_inner_texts()
        assert not any("c-2" in card and "Assigned" in card for card in cards)
    crew.page.reload()
    assert crew.page.locator("[data-case='2']").count() == 0
    assert crew.page.evaluate("localStorage.getItem('fairmeter.sent.open')") == "[]"
    assert store.find_case(2).outcome == "confirmed"


def test_a_page_of_before_a_visit_was_recorded_shows_it_as_recorded(crew, desk, store):
    """As where the phone lost its connection before the page was cached anew."""
    wait_until_cached(crew)
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=Confirmed, recorded")
    crew.page.evaluate("""async () => {
      const cache = await caches.open("fairmeter-field");
      const old = document.documentElement.outerHTML.replaceAll("Confirmed, recorded", "Assigned");
      await new Promise((done) => setTimeout(done, 1000)); // after the page was cached anew
      await cache.put(location.href, new Response(old, { headers: { "Content-Type": "text/html" } }));
    }""")
    with desk.away():
        crew.page.reload()
        crew.page.wait_for_selector("[data-case='2'] >> text=Confirmed, recorded")
    assert store.find_case(2).outcome == "confirmed"


def test_what_an_outcome_asks_for_is_shown_once_it_is_chosen(crew, store):
    crew.page.click("summary:has-text('c-2')")
    form = crew.page.locator("[data-visit][data-client='c-2']")
    assert not form.locator("[name=fraud_type]").is_visible()
    form.locator("input[value=confirmed]").check()
    form.locator("[name=fraud_type]").select_option("bypass")
    form.locator("[name=index_read]").fill("321.5")
    form.locator("[name=seal]").select_option("broken")
    form.locator("button[type=submit]").click()
    crew.page.wait_for_selector("text=Confirmed, recorded")
    found = store.inspections()[0]
    assert (found.fraud_type, found.index_read, found.seal) == ("bypass", 321.5, "broken")
    assert crew.complaints == []


def test_with_a_connection_the_visits_come_from_the_desk_and_not_from_the_phone(crew, desk, store):
    wait_until_cached(crew)
    store.open_case("c-3", "anna", WHY, assignee="open")
    with desk.away():
        crew.page.reload()
        assert crew.page.locator("[data-case]").count() == 2
        assert crew.page.is_visible("[data-as-of]")
    crew.page.reload()
    assert crew.page.locator("[data-case]").count() == 3
    assert not crew.page.is_visible("[data-as-of]")


def test_signing_out_removes_the_visits_from_the_phone(crew, desk, store):
    wait_until_cached(crew)
    with desk.serving(desk_app(store, NO_ONE)):
        crew.page.reload()
        crew.page.wait_for_url("**/desk/sign-in**")
        crew.page.evaluate(WAIT_FOR_CACHE, 0)


def test_photos_that_are_taken_without_a_connection_go_with_the_visit_later(crew, handset, store, desk, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(a_photo((3000, 2000)))
    handset.set_offline(True)
    crew.page.click("summary:has-text('c-2')")
    crew.page.set_input_files("[data-client='c-2'] input[type=file]", [photo, photo])
    crew.page.wait_for_selector("[data-client='c-2'] img >> nth=1")
    crew.page.click("summary:has-text('c-2')")
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=No connection; it is sent")
    handset.set_offline(False)
    crew.page.wait_for_selector("text=Confirmed, recorded")
    [visit] = store.inspections()
    assert len(visit.photos) == 2
    kept = crew.page.request.get(f"{desk.url}/photos/{visit.photos[0]}")
    assert (kept.status, kept.headers["content-type"]) == (200, "image/jpeg")
    assert seen_picture(kept.body()).size == (1600, 1067)
    assert [said for said in crew.complaints if "ERR_INTERNET_DISCONNECTED" not in said] == []


def test_a_file_that_is_no_photo_is_reported_when_chosen_and_not_sent(crew, store, tmp_path):
    (tmp_path / "photo.jpg").write_text("<script>alert(1)</script>")
    crew.page.click("summary:has-text('c-2')")
    crew.page.set_input_files("[data-client='c-2'] input[type=file]", tmp_path / "photo.jpg")
    crew.page.wait_for_selector("text=One of these is no photo")
    crew.page.click("summary:has-text('c-2')")
    tell(crew, "c-2", "confirmed")
    crew.page.wait_for_selector("text=Confirmed, recorded")
    assert store.inspections()[0].photos == ()


def test_photos_of_a_case_are_chosen_sent_and_shown(visitor, store, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(a_photo((800, 600)))
    visitor.goto("/desk/cases/3")
    visitor.page.check("input[value=fault]")
    visitor.page.set_input_files("input[name=photos]", tmp_path / "photo.jpg")
    visitor.page.wait_for_selector("[data-chosen] img")
    visitor.page.click("text=Record and close the case")
    visitor.page.wait_for_selector("img[alt='Photo 1 of the visit']")
    visitor.page.wait_for_function("() => document.querySelector('main .photos img').naturalWidth === 800")
    assert len(store.inspections()[0].photos) == 1
    assert visitor.complaints == []


def rests(visitor, asked):
    """Whether a page that would load every 0.1 seconds loads nothing in half a second."""
    visitor.page.wait_for_timeout(200)  # requests under way
    before = len(asked)
    visitor.page.wait_for_timeout(500)
    return len(asked) == before


def test_the_live_page_marks_new_rows_and_pauses_while_it_is_hidden(visitor, store, monkeypatch):
    monkeypatch.setattr("fairmeter.web.pages.live.REFRESH_SECONDS", 0.1)
    visitor.goto("/desk/live")
    store.add_readings([("c-1", datetime(2026, 11, 2), 1.5)])
    visitor.page.wait_for_selector("tr.fresh >> text=c-1")
    asked = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.click("text=Pause")
    store.add_readings([("c-2", datetime(2026, 11, 2), 1.5)])
    assert rests(visitor, asked)
    visitor.page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
    visitor.page.click("text=Go on")
    assert rests(visitor, asked)
    visitor.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    visitor.page.wait_for_selector("tr >> text=c-2")
    assert visitor.complaints == []


def test_the_live_page_says_that_the_desk_is_away_and_goes_on_when_it_is_back(visitor, store, monkeypatch):
    monkeypatch.setattr("fairmeter.web.pages.live.REFRESH_SECONDS", 0.1)
    visitor.goto("/desk/live")
    visitor.context.set_offline(True)
    visitor.page.wait_for_selector("text=The desk does not answer")
    store.add_readings([("c-1", datetime(2026, 11, 2), 1.5)])
    visitor.context.set_offline(False)
    visitor.page.wait_for_selector("tr >> text=c-1")
    assert visitor.page.locator("text=The desk does not answer").count() == 0


@pytest.mark.skipif(not scenarios.SAMPLE.exists(), reason="data/sample.zip is missing")
def test_the_demonstration_plays_a_scenario_sets_a_theft_and_scores_a_pasted_client(visitor):
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
    body = json.dumps(examples.FLAT).encode()
    visitor.page.set_input_files("[data-file]", {"name": "client.json", "mimeType": JSON, "buffer": body})
    visitor.page.wait_for_function("body => document.querySelector('[data-body]').value === body", arg=body.decode())
    visitor.page.wait_for_selector("[data-verdict=own]:not(.busy)")
    assert visitor.complaints == []


def test_a_click_on_the_map_opens_the_client_beside_it(visitor):
    visitor.goto("/desk/map")
    visitor.page.wait_for_function("() => Boolean(document.querySelector('[data-chart=map]').on)")
    box = visitor.page.locator(".scatterlayer .trace").last.locator("path.point").first.bounding_box()
    visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visitor.page.wait_for_selector("#drawer:not([hidden]) a[href*='/desk/client/']")
    visitor.page.keyboard.press("Escape")
    visitor.page.wait_for_selector("#drawer", state="hidden")


def test_the_wheel_zooms_the_map_and_the_desk_is_asked_for_that_part(visitor):
    visitor.goto("/desk/map")
    visitor.page.wait_for_function("() => Boolean(document.querySelector('[data-chart=map]').on)")
    box = visitor.page.locator("[data-chart=map]").bounding_box()
    visitor.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    with visitor.page.expect_response("**/desk/map?box=*"):
        visitor.page.mouse.wheel(0, -400)
    visitor.page.wait_for_url("**/desk/map?box=*")
    assert visitor.complaints == []
