"""Crews, plans of their days, campaigns, comments and notices."""

from datetime import date, timedelta

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.casework.workflow import BadDay, CaseNotFound, ClientNotFound, MoveNotAllowed
from fairmeter.store import (
    NoSuchCampaign,
    NoSuchCrew,
    NoSuchPlan,
    PlanChanged,
    ValueOutOfRange,
)
from fairmeter.store.access.roles import NameTaken
from tests.builders.store import score_of, shipped_rules, write

TOMORROW = date.today() + timedelta(days=1)


@pytest.fixture
def desk(store):
    """Six clients, two users, two crews."""
    write(store, *(score_of(f"c-{i}") for i in range(6)))
    for name in ("ana", "bo"):
        store.add_user(name, "x", "investigator")
    store.add_crew("North", "ana", base_place="Bizerte", latitude=37.3, longitude=9.9, members=["bo"])
    store.add_crew("South", "ana", capacity=4)
    return store


def visits(*ids):
    return [PlanVisit(f"c-{i}") for i in ids]


def states(store):
    found = store.work_states(shipped_rules())
    return {client_id: (state.state, state.on, state.who) for client_id, state in sorted(found.items())}


# --- crews ------------------------------------------------------------------------------------------------------------


def test_a_crew_has_a_base_a_capacity_and_members(desk):
    north, south = desk.list_crews()
    assert (north.name, north.base_place, north.capacity, north.members) == ("North", "Bizerte", 8, ("bo",))
    assert (south.latitude, south.capacity, south.members) == (None, 4, ())
    assert (desk.crews_of_user("bo"), desk.crews_of_user("ana")) == (["North"], [])
    assert desk.assignees() == ["North", "South", "ana", "bo"]


def test_a_crew_changes_and_its_cases_follow_its_name(desk):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    desk.move_case(case.case_id, "assigned", "ana", "tomorrow", version=2, assignee="bo", planned_on=TOMORROW,
                   crew="North")  # fmt: skip
    changed = desk.change_crew(1, "ana", members=["ana"], name="Coast", capacity=3)
    assert (changed.name, changed.capacity, changed.members, changed.base_place) == ("Coast", 3, ("ana",), "Bizerte")
    assert desk.find_case(case.case_id).crew == "Coast"
    desk.change_crew(1, "ana", is_active=False)
    assert [crew.name for crew in desk.list_crews()] == ["South"]
    assert [crew.name for crew in desk.list_crews(None)] == ["Coast", "South"]
    assert desk.verify_chain() is None


def test_what_a_crew_cannot_be_is_said(desk):
    with pytest.raises(NameTaken, match="'South'"):
        desk.add_crew("South", "ana")
    with pytest.raises(NameTaken, match="'South'"):
        desk.change_crew(1, "ana", name="South")
    with pytest.raises(MoveNotAllowed, match="no active user 'eva'"):
        desk.add_crew("East", "ana", members=["eva"])
    with pytest.raises(NoSuchCrew, match="no crew 99"):
        desk.change_crew(99, "ana", capacity=2)
    for wrong in ({"capacity": 0}, {"latitude": 91.0}, {"name": " "}):
        with pytest.raises(ValueOutOfRange):
            desk.change_crew(1, "ana", **wrong)
    assert [crew.name for crew in desk.list_crews()] == ["North", "South"]


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_published_plan_plans_its_clients_and_a_draft_does_not(desk):
    (plan,) = desk.save_plans(TOMORROW, {1: [PlanVisit("c-1", is_fixed=True), PlanVisit("c-0", is_random=True)]}, "ana")
    assert ([visit.client_id for visit in plan.visits], plan.crew, plan.is_published) == (
        ["c-1", "c-0"],
        "North",
        False,
    )
    assert states(desk) == {}
    published, refused = desk.publish_plan(plan.plan_id, "ana")
    assert (published.is_published, published.published_by, refused) == (True, "ana", {})
    assert states(desk) == dict.fromkeys(("c-0", "c-1"), ("planned", TOMORROW, "North"))
    cases = desk.cases_by_id([visit.case_id for visit in published.visits])
    assert {(case.client_id, case.is_random, case.assignee) for case in cases.values()} == {
        ("c-0", True, "North"), ("c-1", False, "North"),
    }  # fmt: skip
    assert desk.list_cases(planned_on=TOMORROW, crew="North", assigned_to=["North"]).rows
    assert desk.verify_chain() is None


def test_visits_change_crews_and_days_and_what_is_taken_out_is_planned_no_more(desk):
    north, south = desk.save_plans(TOMORROW, {1: visits(0, 1), 2: visits(2)}, "ana")
    for plan in (north, south):
        desk.publish_plan(plan.plan_id, "ana")
    moved = desk.save_plans(TOMORROW, {1: visits(0), 2: visits(2, 1)}, "ana")
    assert [plan.is_published for plan in moved] == [False, False]
    assert states(desk)["c-1"] == ("new", None, None)
    desk.publish_plan(south.plan_id, "ana")
    assert states(desk)["c-1"] == ("planned", TOMORROW, "South")
    desk.delete_plan(north.plan_id, "ana")
    assert states(desk)["c-0"] == ("new", None, None)
    assert [plan.crew for plan in desk.list_plans(TOMORROW, TOMORROW)] == ["South"]
    assert desk.find_plan(north.plan_id) is None


def test_a_case_that_is_there_is_planned_and_one_in_a_visit_is_left(desk):
    first = desk.open_case("c-0", "ana", "alert", assignee="bo")
    second = desk.open_case("c-1", "ana", "alert", assignee="bo")
    desk.move_case(second.case_id, "inspecting", "bo", "on the way")
    (plan,) = desk.save_plans(TOMORROW, {1: visits(0, 1)}, "ana")
    published, refused = desk.publish_plan(plan.plan_id, "ana")
    assert refused == {"c-1": "bo is with this client just now."}
    assert [visit.case_id for visit in published.visits] == [first.case_id, None]
    assert desk.find_case(first.case_id).crew == "North"
    version = desk.find_case(first.case_id).version
    desk.publish_plan(plan.plan_id, "ana")
    assert desk.find_case(first.case_id).version == version, "published twice, it moves no case twice"


def test_an_old_version_and_a_client_planned_twice_are_refused(desk):
    (plan,) = desk.save_plans(TOMORROW, {1: visits(0)}, "ana", versions={1: 0})
    desk.save_plans(TOMORROW, {1: visits(0, 1)}, "ana", versions={1: plan.version})
    for wrong in (
        {"visits": {1: visits(0)}, "versions": {1: plan.version}},
        {"visits": {2: visits(1)}},
        {"visits": {1: visits(2, 2)}},
    ):
        with pytest.raises(PlanChanged):
            desk.save_plans(TOMORROW, user="bo", **wrong)
    (kept,) = desk.list_plans(TOMORROW, TOMORROW)
    assert [visit.client_id for visit in kept.visits] == ["c-0", "c-1"]


def test_a_plan_is_of_clients_crews_and_days_that_there_are(desk):
    for error, day, of_crews in (
        (BadDay, date.max, {1: visits(0)}),
        (BadDay, date.min, {1: visits(0)}),
        (NoSuchCrew, TOMORROW, {99: visits(0)}),
        (ClientNotFound, TOMORROW, {1: visits(99)}),
    ):
        with pytest.raises(error):
            desk.save_plans(day, of_crews, "ana")
    for number in (99, 2**70, -1):
        with pytest.raises(NoSuchPlan):
            desk.publish_plan(number, "ana")
    assert desk.list_plans(date.min, date.max) == []


# --- campaigns --------------------------------------------------------------------------------------------------------


def visited(store, client_id, outcome, day):
    case = store.open_case(client_id, "ana", "so", assignee="bo")
    store.move_case(case.case_id, "inspecting", "bo", "there")
    return store.record_inspection(case.case_id, outcome, day, "bo")


def test_a_campaign_has_the_inspections_of_its_period_and_region(desk):
    for i, day in enumerate((date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1))):
        visited(desk, f"c-{i}", "cleared", min(day, date.today()))
    november = desk.add_campaign("November", date(2026, 11, 1), date(2026, 11, 30), "ana", cost_per_visit=40.0)
    assert [one.client_id for one in desk.inspections_of(november)] == ["c-1", "c-2"]
    elsewhere = desk.change_campaign(november.campaign_id, region=7.0, choice="list")
    assert (elsewhere.cost_per_visit, elsewhere.choice, desk.inspections_of(elsewhere)) == (40.0, "list", [])
    assert desk.list_campaigns() == [elsewhere]
    desk.delete_campaign(elsewhere.campaign_id)
    assert desk.list_campaigns() == []
    assert len(desk.inspections()) == 4


def test_what_a_campaign_cannot_be_is_said(desk):
    given = {"name": "One", "since": date(2026, 11, 1), "until": date(2026, 11, 30), "user": "ana"}
    desk.add_campaign(**given)
    with pytest.raises(NameTaken):
        desk.add_campaign(**given)
    for wrong in (
        {"until": date(2026, 10, 1)},
        {"since": date.min},
        {"until": date.max},
        {"choice": "all"},
        {"random_share": 1.5},
        {"cost_per_visit": -1.0},
        {"name": ""},
    ):
        with pytest.raises(ValueOutOfRange):
            desk.add_campaign(**given | {"name": "Two"} | wrong)
    for act in (desk.delete_campaign, desk.change_campaign):
        with pytest.raises(NoSuchCampaign):
            act(99)


# --- comments and the bell --------------------------------------------------------------------------------------------


def test_a_comment_gives_those_it_mentions_a_notice(desk):
    case = desk.open_case("c-0", "ana", "alert")
    comment = desk.add_comment(case.case_id, "ana", "Ask @bo. Not @nobody, nor a@bo.example; @ana knows, @bo too.")
    assert comment.mentions == ("bo", "ana")
    assert desk.comments_of(case.case_id) == [comment]
    (notice,) = desk.list_user_notices("bo")
    assert (notice.kind, notice.case_id, notice.comment_id, notice.sent_by) == ("mention", 1, 1, "ana")
    assert desk.count_unread_notices("bo") == 1
    assert desk.mark_notices_read("bo", notice.notice_id) == 1
    assert (desk.count_unread_notices("bo"), desk.list_user_notices("bo", only_unread=True)) == (0, [])
    for case_id, text in ((99, "so"), (case.case_id, " "), (case.case_id, "x" * 2001)):
        with pytest.raises((CaseNotFound, MoveNotAllowed)):
            desk.add_comment(case_id, "ana", text)


def test_who_is_given_a_case_gets_a_notice_unless_it_is_the_one_who_gives_it(desk):
    desk.open_case("c-0", "ana", "alert", assignee="bo")
    desk.open_case("c-1", "bo", "alert", assignee="bo")
    desk.open_case("c-2", "ana", "alert", assignee="North")
    assert [(one.kind, one.case_id) for one in desk.list_user_notices("bo")] == [("assigned", 3), ("assigned", 1)]


def test_an_erased_client_leaves_no_words_about_it(desk):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    desk.add_comment(case.case_id, "ana", "The house at the bridge, @bo.")
    (plan,) = desk.save_plans(TOMORROW, {1: visits(0)}, "ana")
    desk.publish_plan(plan.plan_id, "ana")
    told = desk.export_client("c-0", "ana", "asked for")
    assert (told["comments"][0]["text"], told["plan_visits"][0]["plan_id"]) == ("The house at the bridge, @bo.", 1)
    pseudonym = desk.erase_client("c-0", "ana", "asked for").pseudonym
    assert desk.comments_of(case.case_id) == []
    assert [visit.client_id for visit in desk.find_plan(plan.plan_id).visits] == [pseudonym]
    assert desk.list_user_notices("bo") == []
    assert desk.verify_chain() is None
