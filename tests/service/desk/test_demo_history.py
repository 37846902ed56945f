"""The weeks of work that the demonstration's desk begins with."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from fairmeter.casework.hit_rates import hit_rates
from fairmeter.desk.demo_history import (
    DEMO_PREFIX,
    N_LISTED,
    N_RANDOM,
    N_WEEKS,
    OPEN_USER,
    outcome_of,
    thieves_of,
    visits_of,
)
from fairmeter.web.http.auth import UNNAMED
from tests.builders.pages import open_desk, seen
from tests.builders.store import score_of

LAST_ON = date(2019, 8, 31)


def theft(client_id, onset_on, ended_on=""):
    return {"client_id": client_id, "onset_on": onset_on, "ended_on": ended_on}


def test_a_visit_finds_a_theft_that_goes_on():
    found = thieves_of(
        [
            theft("goes-on", "2019-01-01"),
            theft("ends-later", "2019-01-01", "2019-09-01"),
            theft("over", "2015-05-01", "2017-02-01"),
            theft("begins-later", "2019-09-01"),
        ],
        LAST_ON,
    )
    assert found == {"goes-on", "ends-later"}


def test_half_of_the_highest_and_some_of_all_others_are_visited_but_none_of_the_demos_own():
    scores = [score_of(f"{DEMO_PREFIX}{i}") for i in range(2)] + [score_of(f"c-{i:02}") for i in range(40)]
    visits = visits_of(scores, date(2026, 11, 16), np.random.default_rng(1))
    listed = [visit.score.client_id for visit in visits if not visit.is_random]
    drawn = [visit.score.client_id for visit in visits if visit.is_random]
    assert listed == [f"c-{i:02}" for i in range(0, 2 * N_LISTED, 2)]
    assert len(set(drawn)) == N_RANDOM
    assert min(drawn) >= f"c-{2 * N_LISTED}"


def test_of_few_clients_as_many_are_drawn_as_there_are():
    assert len(visits_of([score_of("a"), score_of("b")], LAST_ON, np.random.default_rng(1))) == 1


def test_the_outcome_is_the_simulations_unless_nobody_is_there():
    draw = np.random.default_rng(1)
    of_thief, of_honest = ({outcome_of(score_of(id_), {"thief"}, draw) for _ in range(200)} for id_ in ("thief", "h"))
    assert of_thief == {"confirmed", "no_access"}
    assert of_honest == {"cleared", "no_access"}


def test_the_demonstrations_visits_find_the_thieves_of_the_simulation(demo_store, metered_utility):
    visits = demo_store.inspections()
    thieves = set(metered_utility.thefts["client_id"])
    assert N_WEEKS <= len(visits) <= N_WEEKS * (N_LISTED + N_RANDOM)
    assert {visit.client_id for visit in visits if visit.outcome == "confirmed"} <= thieves
    assert not any(visit.client_id.startswith(DEMO_PREFIX) for visit in visits)
    today = datetime.now(UTC).date()
    assert today - timedelta(weeks=N_WEEKS + 1) < visits[0].inspected_on <= visits[-1].inspected_on < today
    rates = {rate.is_random: rate for rate in hit_rates(visits, lambda _visit: "all")}
    assert rates[False].n_confirmed + rates[True].n_confirmed > 0
    assert rates[True].n_inspected > N_WEEKS


def test_every_move_of_it_stands_in_the_chain(demo_store):
    assert demo_store.verify_chain() is None
    assert {case.state for case in demo_store.list_cases(limit=200).rows} == {"new", "assigned", "inspecting", "closed"}


def test_the_overview_of_the_demonstration_tells_a_hit_rate_and_a_trend(demo_store):
    page = seen(open_desk(demo_store).get("/desk/today"))
    assert "from the list" in page.text
    assert "at random" in page.text
    assert len(demo_store.list_runs(50)) == N_WEEKS + 1


def test_a_desk_without_sign_in_acts_under_the_name_that_the_demonstration_assigns():
    assert UNNAMED.name == OPEN_USER


def test_whoever_sits_at_the_machine_has_visits_to_make(demo_store):
    page = seen(open_desk(demo_store).get("/desk/field"))
    mine = [case.client_id for case in demo_store.list_cases(assignee="open", limit=20).rows]
    assert mine
    assert all(client_id in page.text for client_id in mine)


@pytest.mark.parametrize("is_random", [True, False])
def test_a_case_says_that_its_visit_is_simulated(demo_store, is_random):
    visit = next(visit for visit in demo_store.inspections() if visit.is_random is is_random)
    assert all("simulated" in move.why for move in demo_store.moves_of(visit.case_id))
