"""Changes of a day's plans by hand."""

from datetime import UTC, date, datetime

import pytest

from fairmeter.casework.types import Plan, PlanVisit
from fairmeter.desk.fieldwork.day_changes import DayChange, changed_visits
from fairmeter.store import PlanChanged

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def plan_of(crew_id, *client_ids):
    visits = tuple(PlanVisit(client_id, is_random=client_id == "r") for client_id in client_ids)
    return Plan(crew_id, date(2026, 12, 2), crew_id, f"Crew {crew_id}", 1, "", "anna", NOW, NOW, None, None, visits)


DAY = [plan_of(1, "a", "b", "c"), plan_of(2, "r")]


def after(act, client_id, crew_id=None, position=None):
    changed = changed_visits(DAY, DayChange(act, client_id, crew_id, position))
    return {crew: [visit.client_id for visit in visits] for crew, visits in changed.items()}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("earlier", "b"), {1: ["b", "a", "c"]}),
        (("earlier", "a"), {1: ["a", "b", "c"]}),
        (("later", "b"), {1: ["a", "c", "b"]}),
        (("later", "c"), {1: ["a", "b", "c"]}),
        (("remove", "b"), {1: ["a", "c"]}),
        (("move", "a", 2, 0), {1: ["b", "c"], 2: ["a", "r"]}),
        (("move", "a", 2), {1: ["b", "c"], 2: ["r", "a"]}),
        (("move", "a", 1, 2), {1: ["b", "c", "a"]}),
        (("move", "a", 3, 9), {1: ["b", "c"], 3: ["a"]}),
        (("add", "d", 2, 0), {2: ["d", "r"]}),
    ],
)
def test_only_the_crews_that_change_are_given_back(change, expected):
    assert after(*change) == expected


def test_what_is_moved_by_hand_is_fixed_and_stays_random():
    moved = changed_visits(DAY, DayChange("move", "r", 1, 0))[1][0]
    assert moved == PlanVisit("r", is_fixed=True, is_random=True)
    assert changed_visits(DAY, DayChange("fix", "a"))[1][0].is_fixed
    assert not changed_visits(DAY, DayChange("free", "a"))[1][0].is_fixed


def test_a_client_that_is_gone_is_said():
    with pytest.raises(PlanChanged, match="'z' is not planned on this day any more"):
        after("remove", "z")
