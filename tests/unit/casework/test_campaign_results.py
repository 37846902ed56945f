"""What a campaign brought, against random visits."""

from datetime import UTC, date, datetime

import pytest

from fairmeter.casework.campaign_results import campaign_result
from fairmeter.casework.types import Campaign, Inspection

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def campaign(**given) -> Campaign:
    whole = {
        "campaign_id": 1, "name": "Autumn", "since": date(2026, 11, 1), "until": date(2026, 11, 30), "choice": "both",
        "random_share": None, "region": None, "cost_per_visit": 40.0, "price_per_kwh": 0.2, "note": "",
        "created_by": "ana", "created_at": NOW,
    }  # fmt: skip
    return Campaign(**whole | given)


def visit(outcome, day=2, user="bo", **given) -> Inspection:
    given = {"is_random": False, "recorded_at": NOW} | given
    return Inspection(1, 1, "c-1", date(2026, 11, day), outcome, user, **given)


VISITS = [
    visit("confirmed", recovered_kwh=1000.0),
    visit("confirmed", recovered_kwh=500.0, recovered_value=150.0),
    visit("cleared", day=3),
    visit("no_access", day=3, user="eva"),
    visit("cleared", is_random=True),
]


def test_it_counts_visits_hits_energy_money_and_cost():
    found = campaign_result(campaign(), VISITS)
    assert (found.n_visits, found.n_seen, found.n_confirmed) == (5, 4, 2)
    assert (found.recovered_kwh, found.recovered_value, found.cost, found.net) == (1500.0, 350.0, 200.0, 150.0)
    assert (found.chosen.hit_rate, found.random.hit_rate) == (2 / 3, 0.0)
    assert found.visits_a_day == {"bo": 2.0, "eva": 1.0}


@pytest.mark.parametrize(("choice", "n"), [("list", 4), ("random", 1)])
def test_a_campaign_of_one_kind_counts_that_kind(choice, n):
    assert campaign_result(campaign(choice=choice), VISITS).n_visits == n


def test_chosen_visits_are_compared_with_its_own_random_ones():
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.2, from 0.0524 to 0.3339.
    visits = [visit("confirmed")] * 56 + [visit("cleared")] * 14
    random = [visit("confirmed", is_random=True)] * 48 + [visit("cleared", is_random=True)] * 32
    found = campaign_result(campaign(), [*visits, *random]).against_random
    assert (found.difference, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert (found.n_random, found.is_own) == (80, True)


def test_without_random_visits_of_its_own_it_is_compared_with_those_of_the_desk():
    elsewhere = [visit("cleared", is_random=True)] * 9 + [visit("confirmed", is_random=True)]
    found = campaign_result(campaign(choice="list"), VISITS, elsewhere).against_random
    assert (found.n_random, found.is_own) == (10, False)
    assert found.difference == pytest.approx(2 / 3 - 0.1)


def test_what_cannot_be_compared_is_not():
    assert campaign_result(campaign(), [visit("no_access")], VISITS).against_random is None
    assert campaign_result(campaign(), [visit("confirmed")]).against_random is None
    empty = campaign_result(campaign(), [])
    assert (empty.n_visits, empty.net, empty.chosen) == (0, 0.0, None)
