"""Profit curves of inspection lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation.inspection_value import best_visit_count, profit_by_severity, profit_curve

HIT = np.array([1.0, 0.0, 1.0, 0.0])
STAKE = np.array([300.0, 200.0, np.nan, 100.0])  # the third counts as the median, 200


def test_labels_are_counted_by_hand():
    two, four = profit_curve(HIT, STAKE, 50.0, has_labels=True, visit_counts=(2, 10))
    assert (two["visits"], two["hits"], two["brings"]) == (2, 1, 300)
    assert two["precision"]["value"] == 0.5
    assert two["net"]["value"] == 200
    assert two["net"]["interval"] == pytest.approx([200 - 1.96 * 300, 200 + 1.96 * 300], rel=1e-3)
    assert (four["visits"], four["brings"], four["net"]["value"]) == (4, 500, 300)


def test_probabilities_are_expected_by_hand():
    [row] = profit_curve(np.array([0.5, 0.5]), np.array([100.0, 100.0]), 20.0, has_labels=False)
    assert (row["visits"], row["hits"], row["net"]["value"]) == (2, 1.0, 60.0)
    assert row["net"]["interval"] == pytest.approx([60 - 1.96 * np.sqrt(5000), 60 + 1.96 * np.sqrt(5000)], rel=1e-3)
    assert row["precision"]["interval"] == [0, 1]


def test_the_best_number_is_where_one_more_visit_no_longer_pays():
    assert best_visit_count(HIT, STAKE, 50.0, has_labels=True)["visits"] == 3
    assert best_visit_count(HIT, STAKE, 50.0, has_labels=True)["net"]["value"] == 350
    assert best_visit_count(HIT, STAKE, 120.0, has_labels=True)["visits"] == 1
    assert best_visit_count(HIT, STAKE, 400.0, has_labels=True)["visits"] == 0
    assert best_visit_count(np.empty(0), np.empty(0), 1.0, has_labels=False)["visits"] == 0


def test_profit_by_severity_the_highest_first():
    rows = profit_by_severity(["low", "critical", "critical", "insufficient history"], HIT, STAKE, 50.0, True)
    assert [(row["severity"], row["n"], row["hits"], row["costs"]) for row in rows] == [
        ("critical", 2, 1, 100),
        ("low", 1, 1, 50),
    ]


def test_no_client_gives_no_row():
    assert profit_curve(np.empty(0), np.empty(0), 1.0, has_labels=True) == []


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e4)), min_size=1, max_size=30), st.floats(0, 1e3))
def test_no_number_of_visits_nets_more_than_the_best(rows, cost):
    hit, stake = np.array(rows).T
    best = best_visit_count(hit, stake, cost, has_labels=False)["net"]["value"]
    found = profit_curve(hit, stake, cost, has_labels=False, visit_counts=range(1, 31))
    assert max(0.0, *(row["net"]["value"] for row in found)) == pytest.approx(best, abs=1e-6)
