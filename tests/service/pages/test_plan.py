"""Days of crews: planned, changed, published to phones, printed."""

from datetime import UTC, date, datetime, timedelta

import pytest

from fairmeter.casework.types import PlanVisit
from tests.builders.pages import open_desk, seen
from tests.builders.store import clients_of, score_of, write

TOMORROW = datetime.now(UTC).date() + timedelta(days=1)
NORTH, SOUTH = (36.8, 10.2), (33.9, 10.1)
N = 24  # clients, every other one in the south


@pytest.fixture
def crews(store):
    """Twelve clients in each of two towns, the highest scores first, and two crews of three visits."""
    ids = [f"c-{n:02}" for n in range(N)]
    towns = [NORTH if n % 2 == 0 else SOUTH for n in range(N)]
    places = clients_of(
        client_id=ids,
        latitude=[town[0] + n / 1000 for n, town in enumerate(towns)],
        longitude=[town[1] for town in towns],
        region=[101.0 + n % 2 for n in range(N)],
    )
    write(store, *(score_of(id_, 0.95 - n / 100) for n, id_ in enumerate(ids)), clients=places)
    return [store.add_crew(name, "anna", capacity=3) for name in ("North", "South")]


@pytest.fixture
def desk(store):
    return open_desk(store)


def propose(desk, crews, on=TOMORROW, **more):
    """Plan a day by the page's form, without random visits."""
    form = {"on": on.isoformat(), "crew": [crew.crew_id for crew in crews], "random": 0, **more}
    return seen(desk.post("/desk/plan/propose", data=form, follow_redirects=True))


def change(desk, button, on=TOMORROW, **more):
    return seen(desk.post("/desk/plan/change", data={"on": on, "button": button, **more}, follow_redirects=True))


def planned(store, on=TOMORROW):
    return {plan.crew: [visit.client_id for visit in plan.visits] for plan in store.list_plans(on, on)}


def test_the_first_day_shown_is_tomorrow_with_nothing_planned(desk, crews):  # noqa: ARG001
    page = seen(desk.get("/desk/plan"))
    assert "Nothing is planned for" in page.text
    assert f'name="on" value="{TOMORROW}"' in page.whole
    assert "Plan this day" in page.text


def test_without_crews_the_page_says_what_to_do(desk, store):  # noqa: ARG001
    assert "A plan needs crews" in seen(desk.get("/desk/plan")).text


def test_the_best_clients_are_divided_by_place(store, desk, crews):
    page = propose(desk, crews)
    assert "6 visits are planned." in page.text
    by_crew = planned(store)
    assert sorted(id_ for ids in by_crew.values() for id_ in ids) == [f"c-{n:02}" for n in range(6)]
    assert {tuple(sorted(int(id_[2:]) % 2 for id_ in ids)) for ids in by_crew.values()} == {(0, 0, 0), (1, 1, 1)}
    assert "crew-0" in page.whole
    assert page.whole.count("<circle") == 6


def test_a_working_area_excludes_other_regions(store, desk, crews):
    propose(desk, crews, **{f"region_{crews[0].crew_id}": "102.0", f"region_{crews[1].crew_id}": "102.0"})
    assert all(int(id_[2:]) % 2 == 1 for ids in planned(store).values() for id_ in ids)


def test_the_stated_share_is_random_and_marked(store, desk, crews):
    page = propose(desk, crews, random=50)
    (north, south) = store.list_plans(TOMORROW, TOMORROW)
    assert sum(visit.is_random for plan in (north, south) for visit in plan.visits) == 3
    assert "3 of them at random" in page.text
    assert page.whole.count("Random check</span>") == 3


def test_cases_that_wait_come_first_and_stay_in_the_plan_once(store, desk, crews):
    store.open_case("c-20", "anna", "A neighbour called.")
    propose(desk, crews)
    assert [id_ for ids in planned(store).values() for id_ in ids].count("c-20") == 1


def test_a_client_is_not_planned_on_two_days(store, desk, crews):
    propose(desk, crews, days=3)
    days = [planned(store, TOMORROW + timedelta(days=n)) for n in range(3)]
    ids = [id_ for day in days for of_crew in day.values() for id_ in of_crew]
    assert len(ids) == 18
    assert len(set(ids)) == 18


def test_a_visit_that_is_moved_is_fixed_and_survives_planning_again(store, desk, crews):
    propose(desk, crews)
    by_crew = planned(store)
    client_id = by_crew["North"][0]
    page = change(desk, f"move {crews[1].crew_id} 0 {client_id}")
    assert planned(store)["South"][0] == client_id
    assert "Fixed" in page.text
    propose(desk, crews, **{f"visits_{crews[1].crew_id}": 4})
    assert client_id in planned(store)["South"]


def test_buttons_shift_fix_and_take_out(store, desk, crews):
    propose(desk, crews)
    first, second, third = planned(store)["North"]
    change(desk, f"later - - {first}")
    assert planned(store)["North"] == [second, first, third]
    change(desk, f"earlier - - {third}")
    assert planned(store)["North"] == [second, third, first]
    change(desk, f"fix - - {third}")
    assert [v.client_id for p in store.list_plans(TOMORROW, TOMORROW) for v in p.visits if v.is_fixed] == [third]
    change(desk, f"remove - - {second}")
    assert planned(store)["North"] == [third, first]


def test_a_change_of_what_somebody_else_changed_is_refused_in_words(store, desk, crews):
    propose(desk, crews)
    client_id = planned(store)["North"][0]
    page = change(desk, f"remove - - {client_id}", versions=f"{crews[0].crew_id}:99")
    assert "Somebody else changed this plan" in page.text
    assert client_id in planned(store)["North"]
    assert "is not planned on this day any more" in change(desk, "remove - - c-23").text


def test_publishing_gives_each_visit_to_its_crew(store, desk, crews):
    propose(desk, crews)
    page = seen(desk.post("/desk/plan/publish", data={"on": TOMORROW}, follow_redirects=True))
    assert "6 visits are on the phones of 2 crews." in page.text
    for crew, ids in planned(store).items():
        for client_id in ids:
            case = store.open_case_of(client_id)
            assert (case.state, case.assignee, case.planned_on) == ("assigned", crew, TOMORROW)


def test_a_day_is_cleared(store, desk, crews):
    propose(desk, crews)
    desk.post("/desk/plan/publish", data={"on": TOMORROW})
    desk.post("/desk/plan/clear", data={"on": TOMORROW})
    assert planned(store) == {}
    assert store.open_case_of("c-00").planned_on is None


def test_the_calendar_counts_what_is_planned_and_done(store, desk, crews):
    propose(desk, crews)
    case = store.open_case("c-23", "anna", "On the list.", assignee="anna")
    store.move_case(case.case_id, "inspecting", "anna", "Going there.")
    store.record_inspection(case.case_id, "cleared", date.today(), "anna")
    page = seen(desk.get(f"/desk/plan?on={TOMORROW}"))
    assert "6 visits 2 crews · draft" in page.text
    assert "1 recorded" in page.text


def test_a_crews_day_is_a_paper_and_a_calendar(store, desk, crews):
    propose(desk, crews)
    plan = store.list_plans(TOMORROW, TOMORROW)[0]
    paper = desk.get(f"/desk/plan/{plan.plan_id}.pdf")
    assert paper.data.startswith(b"%PDF")
    assert f"{TOMORROW}-North.pdf" in paper.headers["Content-Disposition"]
    calendar = desk.get(f"/desk/plan/{plan.plan_id}.ics")
    assert calendar.content_type.startswith("text/calendar")
    assert calendar.text.count("BEGIN:VEVENT") == 3
    assert f"SUMMARY:1. {plan.visits[0].client_id} (North)" in calendar.text
    assert f"DTSTART;VALUE=DATE:{TOMORROW:%Y%m%d}" in calendar.text
    assert desk.get("/desk/plan/999.pdf").status_code == 404


@pytest.mark.parametrize(
    "form",
    [
        {"on": "2026-13-01"},
        {"on": TOMORROW, "days": "9"},
        {"on": TOMORROW, "random": "nan"},
        {"on": TOMORROW, "random": "inf"},
        {},
    ],
)
def test_a_bad_form_is_an_answer_in_words_and_no_failure(desk, crews, form):  # noqa: ARG001
    assert desk.post("/desk/plan/propose", data=form).status_code == 422


@pytest.mark.parametrize("on", [date.min, date.max, TOMORROW - timedelta(days=9)])
def test_a_day_that_nobody_plans_is_refused_in_words(desk, crews, store, on):
    assert f"on is {on}; write a day from today" in propose(desk, crews, on, days=7).text
    assert not store.list_plans(date.min, date.max)


@pytest.mark.parametrize("address", ["?on=x", "?on=0001-01-01", "?on=9999-12-31", "?on=2026-12-02&random=x&visits_1=z"])
def test_odd_addresses_show_a_day(desk, crews, address):  # noqa: ARG001
    assert desk.get(f"/desk/plan{address}").status_code == 200


def test_a_day_of_the_past_is_refused(store, desk, crews):
    page = propose(desk, crews, on=date(2020, 1, 1))
    assert 'class="flash error"' in page.whole
    assert planned(store, date(2020, 1, 1)) == {}


def test_a_crew_that_is_no_more_keeps_its_column(store, desk, crews):
    store.save_plans(TOMORROW, {crews[0].crew_id: [PlanVisit("c-01")]}, "anna")
    store.change_crew(crews[0].crew_id, "anna", is_active=False)
    assert "c-01" in seen(desk.get("/desk/plan")).text
