"""Conformal selection: which clients are listed, and that the bound on false alarms holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation.conformal_selection import (
    DENSE,
    calibration_table,
    false_alarm_share,
    measure_on_splits,
    measure_on_test,
    p_value_steps,
    select,
)

LABEL = np.array([0, 1, 0, 1, 0, 1, 0, 0, 0, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
TABLE = calibration_table(LABEL, SCORE)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)
SHARES = st.floats(0.01, 1)


def drawn(n, seed, gain=2.0):
    """Labels, one in five a fraud, and scores that separate them weakly."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.2).astype(float)
    return label, 1 / (1 + np.exp(-rng.normal(gain * label, 1)))


def p_values(score, table):
    """p-value of each score."""
    steps = p_value_steps(table)
    return steps.p[(score[:, None] >= steps.min_score).argmax(axis=1)]


# --- p-values ---------------------------------------------------------------------------------------------------------


def test_a_p_value_counts_the_honest_at_or_above_by_hand():
    found = p_values(np.array([0.95, 0.9, 0.6, 0.05, 0.0]), TABLE)
    assert found.tolist() == pytest.approx([1 / 11, 2 / 11, 3 / 11, 7 / 11, 8 / 11])


def test_the_table_holds_scores_of_honest_clients_only():
    assert TABLE == {"n": 10, "n_honest": 7, "scores": [0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.0]}


def test_a_large_table_is_short_and_never_gives_too_small_p_values():
    label, score = drawn(50_000, 1)
    table = calibration_table(label, score)
    assert len(table["scores"]) < 700
    honest = np.sort(score[label == 0])
    others = drawn(3000, 2)[1]
    exact = (1 + len(honest) - np.searchsorted(honest, others)) / (len(label) + 1)
    found = p_values(others, table)
    assert (found >= exact).all()
    assert (found <= 1.021 * exact + 1 / len(label)).all()
    top = exact <= DENSE / (len(label) + 1)
    assert (found[top] == exact[top]).all()


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_the_longest_within_the_bound_by_hand():
    honest = calibration_table(np.zeros(99), np.linspace(0, 0.98, 99))  # p of a score above all: 0.01
    score = np.array([0.99, 0.99, 0.5, 0.4])
    assert select(score, honest, 0.02).is_listed.tolist() == [True, True, False, False]  # 4 x 0.01 / 2
    none = select(score, honest, 0.019)
    assert not none.is_listed.any()
    assert none.smallest == pytest.approx(0.02)


def test_clients_without_a_score_are_never_listed_and_do_not_count():
    score = np.array([0.99, np.nan, 0.2])
    with_nan, without = select(score, TABLE, 0.9), select(score[[0, 2]], TABLE, 0.9)
    assert with_nan.is_listed.tolist() == [*without.is_listed.tolist()[:1], False, *without.is_listed.tolist()[1:]]
    assert with_nan.smallest == without.smallest


def test_no_scored_client_gives_an_empty_list():
    found = select(np.array([np.nan]), TABLE, 0.5)
    assert not found.is_listed.any()
    assert found.smallest is None


@given(SCORES, SHARES)
def test_the_list_is_that_of_benjamini_and_hochberg(score, share):
    p = p_values(score, TABLE)
    ordered = np.sort(p)
    kept = len(p) * ordered / np.arange(1, len(p) + 1) <= share
    most = ordered[kept][-1] if kept.any() else -1
    assert (select(score, TABLE, share).is_listed == (p <= most)).all()


@given(SCORES, SHARES)
def test_the_listed_have_the_highest_scores(score, share):
    listed = select(score, TABLE, share).is_listed
    assert not listed.any() or listed.all() or score[listed].min() > score[~listed].max()


@given(SCORES, SHARES, SHARES)
def test_a_looser_bound_lists_no_fewer(score, some, more):
    some, more = sorted((some, more))
    assert not (select(score, TABLE, some).is_listed & ~select(score, TABLE, more).is_listed).any()


@given(SCORES, SHARES)
def test_a_list_is_empty_exactly_where_the_bound_is_below_the_smallest(score, share):
    found = select(score, TABLE, share)
    assert found.is_listed.any() == (found.smallest <= share)


# --- does the bound hold? ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_the_bound_holds_on_average_for_any_model(gain, share):
    realised = []
    for seed in range(300):
        (label, score), (truth, others) = drawn(120, 2 * seed, gain), drawn(80, 2 * seed + 1, gain)
        realised.append(false_alarm_share(truth, select(others, calibration_table(label, score), share).is_listed))
    chance = 3 * np.std(realised) / np.sqrt(len(realised))
    assert np.mean(realised) <= share + chance


def test_random_splits_meet_the_bound():
    for row in measure_on_splits(*drawn(2000, 5), n_splits=40):
        assert row["realised"]["interval"][0] <= row["promised"]
        assert row["range"][0] <= row["realised"]["value"] <= row["range"][1]


def test_a_model_at_chance_level_lists_no_client():
    row = measure_on_splits(*drawn(2000, 6, gain=0.0), shares=[0.2], n_splits=20)[0]
    assert row["empty_share"] > 0.8


def test_lists_of_test_clients_are_counted():
    rows = measure_on_test(LABEL, SCORE, TABLE, [0.3, 1.0])
    assert [(row["promised"], row["n"]) for row in rows] == [(0.3, 0), (1.0, 10)]
    assert rows[0]["realised"] is None
    assert rows[1]["realised"]["value"] == pytest.approx(0.7)
