"""Pages and actions in a real browser over PostgreSQL; the browser's other tests take SQLite."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import NO_ONE
from tests.builders.desk import PASSWORD, add_user, desk_app
from tests.builders.pages import HOSTILE, N_CLIENTS, filled
from tests.builders.photos import a_photo
from tests.builders.store import clients_of, score_of, write

SEEN = (
    "/desk/today",
    "/desk/list?visits=20",
    "/desk/map",
    "/desk/live",
    "/desk/model",
    "/desk/field",
    "/desk/client/c-001",
)


@pytest.fixture
def store(browser, templates, tmp_path):  # noqa: ARG001  without a browser nothing is filled
    with templates.copied("postgresql", tmp_path) as url, closing(Store(url)) as opened:
        filled(opened)
        places = clients_of(client_id=["p-1", "p-2"], latitude=[36.0, 36.1], longitude=[10.0, 10.1])
        write(opened, score_of("p-1"), score_of("p-2"), clients=places)
        opened.add_readings([("c-001", datetime(2026, 11, 2, hour), 1.5) for hour in range(9)], datetime.now(UTC))
        add_user(opened, "otto")
        yield opened


@pytest.fixture
def visitor(desktop, front, store, tmp_path):
    with front.serving(desk_app(store, NO_ONE, photos=tmp_path / "photos")):
        yield desktop.anew()


def sign_in(visitor):
    visitor.goto("/desk/list?visits=20")
    visitor.page.get_by_label("Name").fill("otto")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.page.wait_for_url("**/desk/list?visits=20")


def test_a_day_of_work_from_signing_in_to_a_closed_case(visitor, store, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(a_photo((800, 600)))
    page = visitor.page
    sign_in(visitor)
    visitor.goto("/desk/suspects?state=all&sort=id")
    page.get_by_text(f"{N_CLIENTS + 2} clients").wait_for()
    page.get_by_role("link", name="Next").click()
    page.get_by_text("Page 2").wait_for()
    visitor.goto("/desk/suspects?state=all&id_prefix=c-00")
    page.get_by_role("link", name="c-001").wait_for()
    visitor.goto("/desk/client/c-001")
    page.locator("#open > summary").click()
    page.get_by_role("textbox", name="Why").fill("Fall since March.")
    page.get_by_label("Give to").fill("otto")
    page.get_by_role("button", name="Open a case").click()
    page.get_by_text("Case 1 is open.").wait_for()
    visitor.goto("/desk/cases/1")
    page.get_by_role("button", name="Begin the inspection").click()
    page.locator("input[value=confirmed]").check()
    page.set_input_files("input[name=photos]", tmp_path / "photo.jpg")
    page.wait_for_selector("[data-chosen] img")
    page.get_by_role("button", name="Record and close the case").click()
    page.get_by_text("Case 1 is closed: Confirmed.").wait_for()
    visitor.goto("/desk/cases")
    assert page.locator("section.column", has_text="Closed").get_by_role("link", name="c-001").is_visible()
    [visit] = store.inspections()
    assert (visit.client_id, visit.user, len(visit.photos)) == ("c-001", "otto", 1)
    assert (visitor.complaints, visitor.elsewhere) == ([], [])


def test_many_cases_are_assigned_at_once_and_one_is_recorded_from_the_field(visitor, store):
    page = visitor.page
    sign_in(visitor)
    visitor.goto("/desk/suspects?state=all&id_prefix=c-02")
    page.get_by_label("Choose all of this page").check()
    page.get_by_label("Give to").fill("otto")
    page.locator("[data-bulk] button[type=submit]").click()
    page.get_by_text("10 cases opened, given to otto.").wait_for()
    visitor.goto("/desk/field")
    page.click("summary:has-text('c-025')")
    form = page.locator("[data-visit][data-client='c-025']")
    form.locator("input[value=cleared]").check()
    form.locator("button[type=submit]").click()
    page.wait_for_selector("text=Cleared, recorded")
    assert [(visit.client_id, visit.outcome) for visit in store.inspections()] == [("c-025", "cleared")]
    assert visitor.complaints == []


def test_every_page_shows_its_data(visitor):
    sign_in(visitor)
    for address in SEEN:
        visitor.goto(address)
        assert visitor.page.locator("h1").count() == 1, address
        assert HOSTILE not in visitor.page.content(), address
    assert (visitor.complaints, visitor.elsewhere) == ([], [])
