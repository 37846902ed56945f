"""Planning in a real browser: five crews in a few clicks, a visit dragged to another crew, by keys alone."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import desk_app
from tests.builders.store import clients_of, score_of, write

N, N_CREWS, N_VISITS = 60, 5, 8
TOMORROW = datetime.now(UTC).date() + timedelta(days=1)
# The name of a window stays from page to page.
COUNT_CLICKS = "document.addEventListener('click', () => { window.name = Number(window.name || 0) + 1; }, true)"


@pytest.fixture
def store(browser, templates, tmp_path):  # noqa: ARG001  without a browser nothing is filled
    """Sixty clients in five towns, and five crews of eight visits."""
    ids = [f"c-{n:02}" for n in range(N)]
    latitude = [36.0 + n % N_CREWS / 5 + n / 2000 for n in range(N)]
    places = clients_of(client_id=ids, latitude=latitude, longitude=[10.0 + n % 7 / 50 for n in range(N)])
    with templates.copied("sqlite", tmp_path) as url, closing(Store(url)) as opened:
        write(opened, *(score_of(id_, 0.95 - n / 100) for n, id_ in enumerate(ids)), clients=places)
        for n in range(N_CREWS):
            opened.add_crew(f"Crew {n + 1}", "anna", capacity=N_VISITS)
        yield opened


@pytest.fixture
def planner(desktop, front, store):
    with front.serving(desk_app(store, THIS_MACHINE)):
        yield desktop.anew()


def planned(store):
    return {plan.crew: [visit.client_id for visit in plan.visits] for plan in store.list_plans(TOMORROW, TOMORROW)}


def test_five_crews_with_eight_visits_each_are_on_the_phones_in_under_ten_clicks(planner, store):
    planner.page.add_init_script(COUNT_CLICKS)
    planner.goto("/desk/today")
    planner.page.click(".side a[href='/desk/plan']")
    planner.page.click("text=Plan this day")
    planner.page.click("text=Publish to phones")
    planner.page.wait_for_selector("text=On the phones")
    n_clicks = int(planner.page.evaluate("window.name"))
    assert 3 <= n_clicks < 10
    assert [len(visits) for visits in planned(store).values()] == [N_VISITS] * N_CREWS
    assert store.open_case_of(planned(store)["Crew 1"][0]).assignee == "Crew 1"
    assert planner.complaints == []
    assert planner.wider_than_its_window() <= 0
    assert "\n".join(planner.grave_violations()) == ""


def test_a_visit_is_dragged_to_another_crew_and_stays_there(planner, store):
    planner.goto("/desk/plan")
    planner.page.click("text=Plan this day")
    planner.page.wait_for_selector(".stop")
    client_id = planned(store)["Crew 1"][0]
    to = planner.page.locator("[data-crew]").nth(1)
    with planner.page.expect_response("**/desk/plan?on=*"):
        planner.page.locator(f"#stop-{client_id}").drag_to(to.locator(".stop").first, target_position={"x": 20, "y": 3})
    planner.page.wait_for_selector(f"[data-crew='{to.get_attribute('data-crew')}'] #stop-{client_id} .fixed")
    assert planned(store)["Crew 2"][0] == client_id
    assert planner.complaints == []


def test_a_visit_is_moved_by_keys_alone_and_said(planner, store):
    planner.goto("/desk/plan")
    planner.page.click("text=Plan this day")
    planner.page.wait_for_selector(".stop")
    client_id = planned(store)["Crew 1"][0]
    planner.page.focus(f"#stop-{client_id} summary")
    for key in ("Enter", "Tab", "Enter"):
        planner.page.keyboard.press(key)
    planner.page.wait_for_function("() => document.querySelector('[data-said]').textContent")
    assert planner.page.inner_text("[data-said]") == f"{client_id} is now at place 2 of Crew 1."
    assert planned(store)["Crew 1"][1] == client_id
