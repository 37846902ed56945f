"""Clients to visit: the recommendation for one client, and the inspection list of all."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.types import (
    CANNOT_TELL,
    DOES_NOT_FIT,
    FITS,
    INSPECT_NOW,
    NEXT_ROUND,
    NOT_ENOUGH,
    WATCH,
    HarmlessCause,
    QualityFlag,
    RecoveryEstimate,
    Score,
)
from fairmeter.planning.inspection_list import add_recovery, expected_values, inspection_list, recommendation

TODAY = np.datetime64("2026-11-21")


def a_score(client_id="c", probability=0.5, kwh=None, price=None, severity="high", threshold=0.2, **changes):
    value = None if price is None or kwh is None else kwh * price
    recovery = None if kwh is None else RecoveryEstimate(kwh, kwh / 2, kwh * 2, 12.0, "", value)
    return Score(client_id, probability, severity, threshold, recovery=recovery, **changes)


def ids(visits):
    return [visit.score.client_id for visit in visits]


# --- one client -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probability", "severity", "flags", "verdicts", "said"),
    [
        (0.6, "critical", (), (), INSPECT_NOW),
        (0.4, "high", (), (DOES_NOT_FIT, CANNOT_TELL), INSPECT_NOW),
        (0.4, "high", (), (DOES_NOT_FIT, FITS), NEXT_ROUND),
        (0.4, "high", ("short_history",), (), NEXT_ROUND),
        (0.4, "high", ("short_history",), (FITS,), NEXT_ROUND),
        (0.4, "high", ("inactive",), (), NEXT_ROUND),
        (0.4, "high", ("long_period",), (), INSPECT_NOW),
        (0.25, "medium", (), (), NEXT_ROUND),
        (0.25, "medium", (), (FITS,), WATCH),
        (0.25, "low", (), (), NEXT_ROUND),
        (0.1, "medium", (), (), NEXT_ROUND),
        (0.1, "high", (), (), NEXT_ROUND),
        (0.1, "low", (), (), WATCH),
        (0.1, "low", ("short_history",), (), NOT_ENOUGH),
        (0.1, "low", ("short_readings",), (), NOT_ENOUGH),
        (None, "insufficient history", (), (), NOT_ENOUGH),
    ],
)
def test_what_is_recommended_follows_one_rule(probability, severity, flags, verdicts, said):
    quality = tuple(QualityFlag(flag, 1, "") for flag in flags)
    explanations = tuple(HarmlessCause("vacant home", verdict, "") for verdict in verdicts)
    score = a_score(probability=probability, severity=severity, quality=quality, explanations=explanations)
    assert recommendation(score) == said


def test_a_score_is_returned_with_its_recovery_estimate_and_recommendation():
    recovery = RecoveryEstimate(900.0, 400.0, 1600.0, 12.0, "")
    [judged, unjudged] = add_recovery([a_score(probability=0.5), a_score(probability=None)], [recovery, recovery])
    assert (judged.recovery, judged.recommendation) == (recovery, INSPECT_NOW)
    assert judged.expected_recovery_kwh == 450
    assert (unjudged.recovery, unjudged.recommendation) == (None, NOT_ENOUGH)


def test_a_clients_own_price_takes_precedence():
    scores = [a_score(kwh=1000.0, price=0.3), a_score(kwh=1000.0), a_score(), a_score(probability=None, kwh=9.0)]
    values = expected_values(scores, price=0.1)
    assert values[:2].ravel().tolist() == pytest.approx([150, 75, 300, 50, 25, 100])
    assert np.isnan(values[2:]).all()
    assert np.isnan(expected_values(scores)[1]).all()


# --- the list ---------------------------------------------------------------------------------------------------------

SURE_AND_SMALL = a_score("sure and small", 0.8, kwh=100.0)
LARGE = a_score("large", 0.4, kwh=2000.0)
UNKNOWN = a_score("unknown", 0.3)
FAINT = a_score("faint", 0.05, kwh=500.0)
FOUR = [SURE_AND_SMALL, LARGE, UNKNOWN, FAINT]


def test_without_a_price_the_score_ranks():
    visits = inspection_list(FOUR, 3, random_share=0)
    assert ids(visits) == ["sure and small", "large", "unknown"]
    assert [visit.number for visit in visits] == [1, 2, 3]
    assert {visit.net for visit in visits} == {None}


def test_with_a_price_the_expected_net_value_ranks_and_what_does_not_pay_is_left_out():
    visits = inspection_list(FOUR, 9, cost=10.0, price=0.2, random_share=0)
    assert ids(visits) == ["large", "unknown", "sure and small"]  # 160 - 10, 0.3 of the median 500 x 0.2 - 10, 16 - 10
    assert visits[0].net == pytest.approx((150, 70, 310))
    assert visits[1].net is None
    assert visits[2].net == pytest.approx((6, -2, 22))


def test_open_cases_and_recent_inspections_are_left_out():
    inspected = {"large": TODAY - 100, "unknown": TODAY - 400}
    visits = inspection_list(
        FOUR, 9, random_share=0.5, open_cases={"sure and small"}, inspected_on=inspected, today=TODAY, recent_days=365
    )
    assert sorted(ids(visits)) == ["faint", "unknown"]
    assert sorted(ids(inspection_list(FOUR, 9, inspected_on=inspected))) == ["faint", "sure and small"]


def test_a_share_is_sampled_from_all_clients_and_marked():
    scores = [a_score(f"c-{i}", 0.9 - i / 1000) for i in range(500)]
    visits = inspection_list(scores, 40, random_share=0.1, seed=4)
    drawn = [visit for visit in visits if visit.is_random]
    assert len(visits) == 40
    assert len(drawn) == 4
    assert len(set(ids(visits))) == 40
    assert visits == inspection_list(scores, 40, random_share=0.1, seed=4)
    assert ids(visits) != ids(inspection_list(scores, 40, random_share=0.1, seed=5))


def test_every_client_is_sampled_equally_often():
    scores = [a_score(f"c-{i}", 0.9 - i / 10) for i in range(8)]
    times = dict.fromkeys([score.client_id for score in scores], 0)
    for seed in range(400):
        for visit in inspection_list(scores, 4, random_share=0.5, seed=seed):
            times[visit.score.client_id] += visit.is_random
    assert sum(times.values()) == 800
    assert all(60 < n < 140 for n in times.values())  # 100 each, with a standard deviation of 9


def test_the_list_is_distributed_over_regions_by_their_numbers_of_clients():
    scores = [a_score(f"c-{i}", 0.9 - i / 1000) for i in range(90)]
    regions = ["near"] * 30 + ["far"] * 60
    visits = inspection_list(scores, 9, random_share=0, regions=regions)
    assert ids(visits) == [*(f"c-{i}" for i in range(3)), *(f"c-{i}" for i in range(30, 36))]


def test_a_region_without_enough_candidates_leaves_its_visits_to_others():
    scores = [a_score(f"{place}-{i}", 0.9 - i / 10) for place in "ab" for i in range(5)]
    regions, candidates = ["a"] * 5 + ["b"] * 5, np.array([True] + [False] * 4 + [True] * 5)
    visits = inspection_list(scores, 4, random_share=0, regions=regions, candidates=candidates)
    assert ids(visits) == ["a-0", "b-0", "b-1", "b-2"]


def test_only_candidates_are_listed_but_others_may_be_sampled():
    candidates = np.array([False, True, False, False])
    assert ids(inspection_list(FOUR, 4, random_share=0, candidates=candidates)) == ["large"]
    drawn = inspection_list(FOUR, 4, random_share=1, candidates=candidates)
    assert len(drawn) == 4
    assert all(visit.is_random for visit in drawn)


@pytest.mark.parametrize("bad", [{"visits": -1}, {"random_share": 1.5}, {"cost": -1.0}, {"price": -0.1}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="must be at least 0"):
        inspection_list(FOUR, **({"visits": 3} | bad))


def test_a_client_with_probability_zero_has_no_expected_value():
    assert inspection_list([a_score("sure", 0.0, kwh=1000.0)], 1, cost=1.0, price=0.2, random_share=0) == []


# --- laws -------------------------------------------------------------------------------------------------------------

SCORES = st.lists(
    st.builds(
        a_score,
        probability=st.none() | st.floats(0, 1),
        kwh=st.none() | st.floats(0, 1e5),
        price=st.none() | st.floats(0, 2),
    ),
    max_size=30,
).map(lambda scores: [replace(score, client_id=f"c-{i}") for i, score in enumerate(scores)])
CLOSED = st.sets(st.integers(0, 29).map(lambda i: f"c-{i}"))


@given(
    SCORES, st.integers(0, 40), st.floats(0, 500), st.none() | st.floats(0, 2), st.floats(0, 1), CLOSED, st.booleans()
)
def test_a_list_never_exceeds_its_visits_and_holds_no_client_twice_or_excluded(
    scores, visits, cost, price, random_share, closed, is_spread
):
    regions = [i % 3 for i in range(len(scores))] if is_spread else None
    found = inspection_list(scores, visits, cost, price, random_share=random_share, open_cases=closed, regions=regions)
    assert len(found) <= visits
    assert sum(visit.is_random for visit in found) <= round(visits * random_share)
    assert len(set(ids(found))) == len(found)
    assert closed.isdisjoint(ids(found))
    assert all(visit.score.probability is not None for visit in found)
    assert [visit.number for visit in found] == list(range(1, len(found) + 1))
    assert all(visit.net is None or visit.net[0] >= 0 for visit in found if not visit.is_random)


@given(SCORES, st.integers(0, 40))
def test_without_a_cost_a_list_is_as_long_as_the_visits_where_there_are_clients(scores, visits):
    n_scored = sum(score.probability is not None for score in scores)
    assert len(inspection_list(scores, visits)) == min(visits, n_scored)
