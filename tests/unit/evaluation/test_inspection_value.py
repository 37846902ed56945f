"""What so many visits find, cost and bring."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation.inspection_value import best_number, worth_of_severities, worth_of_visits

HIT = np.array([1.0, 0.0, 1.0, 0.0])
STAKE = np.array([300.0, 200.0, np.nan, 100.0])  # the third is taken for their median, 200


def test_labels_are_counted_by_hand():
    two, four = worth_of_visits(HIT, STAKE, 50.0, is_known=True, numbers=(2, 10))
    assert (two["visits"], two["hits"], two["brings"]) == (2, 1, 300)
    assert two["precision"]["value"] == 0.5
    assert two["net"]["value"] == 200
    assert two["net"]["interval"] == pytest.approx([200 - 1.96 * 300, 200 + 1.96 * 300], rel=1e-3)
    assert (four["visits"], four["brings"], four["net"]["value"]) == (4, 500, 300)


def test_probabilities_are_expected_by_hand():
    [row] = worth_of_visits(np.array([0.5, 0.5]), np.array([100.0, 100.0]), 20.0, is_known=False)
    assert (row["visits"], row["hits"], row["net"]["value"]) == (2, 1.0, 60.0)
    assert row["net"]["interval"] == pytest.approx([60 - 1.96 * np.sqrt(5000), 60 + 1.96 * np.sqrt(5000)], rel=1e-3)
    assert row["precision"]["interval"] == [0, 1]


def test_the_best_number_is_where_one_more_visit_no_longer_pays():
    assert best_number(HIT, STAKE, 50.0, is_known=True)["visits"] == 3
    assert best_number(HIT, STAKE, 50.0, is_known=True)["net"]["value"] == 350
    assert best_number(HIT, STAKE, 120.0, is_known=True)["visits"] == 1
    assert best_number(HIT, STAKE, 400.0, is_known=True)["visits"] == 0
    assert best_number(np.empty(0), np.empty(0), 1.0, is_known=False)["visits"] == 0


def test_severities_are_counted_apart_the_highest_first():
    rows = worth_of_severities(["low", "critical", "critical", "insufficient history"], HIT, STAKE, 50.0, True)
    assert [(row["severity"], row["n"], row["hits"], row["costs"]) for row in rows] == [
        ("critical", 2, 1, 100),
        ("low", 1, 1, 50),
    ]


def test_nobody_gives_no_row():
    assert worth_of_visits(np.empty(0), np.empty(0), 1.0, is_known=True) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e4)), min_size=1, max_size=30), st.floats(0, 1e3))
def test_no_number_of_visits_nets_more_than_the_best(rows, cost):
    hit, stake = np.array(rows).T
    best = best_number(hit, stake, cost, is_known=False)["net"]["value"]
    found = worth_of_visits(hit, stake, cost, is_known=False, numbers=range(1, 31))
    assert max(0.0, *(row["net"]["value"] for row in found)) == pytest.approx(best, abs=1e-6)
