"""The page Today: what changed since somebody was here last, as lines that can be followed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.store import Change
from fairmeter.web.pages.today import changes
from tests.builders.pages import filled, open_desk, seen

TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
def desk(store):
    filled(store)
    return open_desk(store)


def lines_of(page: str) -> str:
    """The part of Today that says what changed."""
    return page.partition('id="changes"')[2].partition("</section>")[0]


def test_lines_lead_to_the_case_the_plan_and_the_client(store, desk):
    case = store.open_case("c-001", "anna", "So.")
    store.add_comment(case.case_id, "ben", "Ask <b>the</b> neighbour.")
    store.dismiss_alert(store.list_alerts(client_id="c-002").rows[0].alert_id, "ben", "A bakery.")
    crew = store.add_crew("South", "anna", capacity=3)
    plan = store.save_plans(TODAY + DAY, {crew.crew_id: [PlanVisit("c-003")]}, "anna")[0]
    store.publish_plan(plan.plan_id, "anna")
    part = lines_of(desk.get("/desk/today").text)
    for address in (f"/desk/cases/{case.case_id}", "/desk/client/c-002", f"/desk/plan?on={TODAY + DAY}"):
        assert f'href="{address}"' in part, address
    for text in (
        "Case opened",
        "Ask &lt;b&gt;the&lt;/b&gt; neighbour.",
        "1 visit published for South",
        "Alert dismissed",
    ):
        assert text in part, text
    whole = seen(desk.get("/desk/changes"))
    assert "Ask <b>the</b> neighbour." in whole.text
    assert f"/desk/cases/{case.case_id}" in whole.links


def test_many_alike_moves_are_one_line(store, desk):
    for n in range(5):
        store.open_case(f"c-00{n}", "anna", "So.", assignee="North")
    part = lines_of(desk.get("/desk/today").text)
    assert part.count("Given to North") == 1
    assert "5 cases" in part
    assert 'href="/desk/cases?assignee=North"' in part


def test_where_nothing_happened_the_page_says_so(desk):
    assert "Nothing changed" in seen(desk.get("/desk/changes")).text


def cookie_of(desk) -> str:
    return desk.get_cookie(changes.COOKIE, path="/desk/").value


@pytest.mark.parametrize(
    ("cookie", "since"),
    [
        (None, TODAY - DAY),
        (f"{TODAY - 3 * DAY}.{TODAY - 9 * DAY}", TODAY - 3 * DAY),  # a Monday after a Friday
        (f"{TODAY}.{TODAY - 3 * DAY}", TODAY - 3 * DAY),  # again on the same day
        (f"{TODAY - 90 * DAY}.{TODAY - 91 * DAY}", TODAY - changes.MAX_DAYS * DAY),
        ("0001-01-01.9999-12-31", TODAY - changes.MAX_DAYS * DAY),
        (f"{TODAY}.{date.max}", TODAY - DAY),
        ("x.y.z", TODAY - DAY),
    ],
)
def test_changes_are_shown_since_the_day_of_the_last_visit(desk, cookie, since):
    if cookie:
        desk.set_cookie(changes.COOKIE, cookie, path="/desk/")
    page = desk.get("/desk/today")
    assert f'href="/desk/alerts?raised_since={since}"' in page.text
    assert cookie_of(desk) == f"{TODAY}.{since}"


@pytest.mark.parametrize("since", ["", "x", "0001-01-01", "9999-12-31", str(TODAY)])
def test_any_day_of_the_address_is_answered(desk, since):
    assert desk.get(f"/desk/changes?since={since}").status_code == 200


def change(kind: str, minutes: int = 0, **given) -> Change:
    given = {"user": "anna", "client_id": f"c-{minutes}", "case_id": minutes + 1} | given
    return Change(kind, NOW - timedelta(minutes=minutes), **given)


def test_only_alike_changes_that_follow_soon_are_one_line():
    alike = [change("given", n, value="North") for n in range(3)]
    assert [len(group) for group in changes.grouped(alike)] == [3]
    for other in (
        change("given", 3, value="South"),
        change("given", 3, value="North", user="ben"),
        change("given", 30, value="North"),
        change("begun", 3),
    ):
        assert [len(group) for group in changes.grouped([*alike, other])] == [3, 1], other
    assert [len(group) for group in changes.grouped([change("comment", n, value="x") for n in range(2)])] == [1, 1]
