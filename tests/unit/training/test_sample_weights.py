"""Visits that the list chose and visits drawn at random together stand for all clients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation.model_evaluation import best_threshold, severity_thresholds
from fairmeter.training.ensemble_fitting import fit_calibration, reference_client
from fairmeter.training.sample_weights import (
    MAX_MEDIANS,
    MIN_STRATUM_SIZE,
    cap_weights,
    design_weights,
    effective_size,
    representative_sample,
    weighted_medians,
)

N, N_CHOSEN, N_DRAWN = 20_000, 400, 200


def visits(seed, n_drawn=N_DRAWN):
    """Scores of clients, which of them steal, who was chosen for a high score and who was drawn at random."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.5, 8.0, N)
    is_thief = rng.random(N) < score
    is_chosen = np.zeros(N, bool)
    is_chosen[np.argsort(-(score + rng.normal(0, 0.05, N)))[:N_CHOSEN]] = True  # reasons beside the score count too
    is_random = np.zeros(N, bool)
    is_random[rng.choice(np.flatnonzero(~is_chosen), n_drawn, replace=False)] = True
    return score, is_thief, is_chosen, is_random


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_of_visits_worked_by_hand():
    score = np.repeat([0.9, 0.1], [40, 60])
    is_chosen, is_random = np.zeros((2, 100), bool)
    is_chosen[:MIN_STRATUM_SIZE] = True  # half of those with 0.9
    is_random[[39, 50]] = True  # one of each: 2 of the 80 who were not chosen
    weight = design_weights(score, is_chosen, is_random)
    assert weight[0] == pytest.approx(1 / (0.5 + 0.5 * 2 / 80))
    assert weight[39] == weight[0], "by whichever way somebody came in"
    assert weight[50] == pytest.approx(80 / 2)
    assert np.isnan(weight[~is_chosen & ~is_random]).all()


def test_weighted_visits_find_the_share_of_thieves_that_all_clients_have():
    of_visits, weighted, true = [], [], []
    for seed in range(40):
        score, is_thief, is_chosen, is_random = visits(seed)
        weight, is_visited = design_weights(score, is_chosen, is_random), is_chosen | is_random
        of_visits.append(is_thief[is_visited].mean())
        weighted.append(np.average(is_thief[is_visited], weights=weight[is_visited]))
        true.append(is_thief.mean())
        assert weight[is_visited].sum() == pytest.approx(N, rel=0.1)
    assert np.mean(of_visits) > 4 * np.mean(true), "or this shows nothing"
    assert np.mean(weighted) == pytest.approx(np.mean(true), rel=0.1)


def test_without_random_visits_only_scores_that_the_list_reaches_are_stood_for():
    score, _, is_chosen, _ = visits(1)
    weight = design_weights(score, is_chosen, np.zeros(N, bool))
    assert weight[is_chosen].sum() == pytest.approx((score >= score[is_chosen].min()).sum(), rel=1e-9)


def test_random_visits_alone_count_alike():
    score, _, _, is_random = visits(2)
    weight = design_weights(score, np.zeros(N, bool), is_random)
    np.testing.assert_allclose(weight[is_random], N / N_DRAWN)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_nobody_stands_for_less_than_itself(n_chosen, n_drawn, seed, n_scores):
    rng = np.random.default_rng(seed)
    score, order = rng.integers(0, n_scores, 80) / n_scores, rng.permutation(80)
    is_chosen, is_random = np.zeros((2, 80), bool)
    is_chosen[order[:n_chosen]], is_random[order[n_chosen : n_chosen + n_drawn]] = True, True
    weight = design_weights(score, is_chosen, is_random)
    assert (weight[is_chosen | is_random] >= 1.0).all()
    assert np.isfinite(weight[is_chosen | is_random]).all()


def test_tamed_weights_are_bounded_and_one_on_average():
    weight = np.repeat([2.0, 3000.0], [90, 10])
    light = cap_weights(weight)
    assert light.mean() == pytest.approx(1.0)
    assert light.max() == pytest.approx(MAX_MEDIANS * np.median(light))
    np.testing.assert_allclose(cap_weights(np.full(5, 7.0)), 1.0)


def test_the_effective_size_is_kishs():
    assert effective_size(np.full(30, 2.5)) == pytest.approx(30.0)
    assert effective_size(np.array([1.0, 1.0, 8.0])) == pytest.approx(100 / 66)
    assert effective_size(np.empty(0)) == 0.0


def test_who_is_kept_as_often_as_it_weighs_is_like_everybody():
    weight = np.repeat([1.0, 4.0], 4000)
    kept = representative_sample(weight, 3)
    assert kept[4000:].all()
    assert kept[:4000].mean() == pytest.approx(0.25, abs=0.03)


def test_weighted_medians_are_those_of_clients_counted_so_often():
    rng = np.random.default_rng(4)
    values, times = rng.normal(size=(21, 3)), rng.integers(1, 6, 21)
    times[0] += 1 - times.sum() % 2  # an odd number has one in the middle
    np.testing.assert_allclose(
        weighted_medians(values, times.astype(float)), np.median(np.repeat(values, times, axis=0), axis=0)
    )
    holed = np.where(np.arange(21)[:, None] < [0, 5, 20], np.nan, values)
    found = weighted_medians(holed, np.ones(21))
    assert found[0] == np.median(values[:, 0])
    assert found[1] in holed[:, 1]
    assert np.isnan(found[2]), "most have none"


# --- what is fitted with them -----------------------------------------------------------------------------------------


def test_a_bin_that_one_client_outweighs_is_drawn_to_the_average_and_not_to_a_half():
    log_odds, label = np.linspace(-3, 3, 200), (np.arange(200) % 10 == 0).astype(float)
    weight = np.where(np.arange(200) == 5, 5000.0, 1.0)
    _, heights = fit_calibration(log_odds, label, weight)
    assert heights[0] < np.log(0.01 / 0.99)
    assert heights[1] == pytest.approx(np.log(0.1 / 0.9), abs=0.05)


def test_the_typical_client_is_that_of_the_clients_stood_for():
    matrix = np.array([[0.0], [0.0], [0.0], [9.0], [5.0]], np.float32)
    label = np.array([0, 0, 0, 0, 1])
    assert reference_client(matrix, label)[0] == 0.0
    assert reference_client(matrix, label, np.array([1.0, 1.0, 1.0, 9.0, 99.0]))[0] == 9.0


def test_threshold_and_severities_count_clients_as_often_as_they_weigh():
    y = np.repeat([1.0, 0.0], [300, 300])
    score = np.where(y == 1, 0.8 + np.linspace(0, 0.1, 600), 0.2)
    score[:100], score[300:400] = 0.5, 0.5  # a third of each kind is alike
    alike = np.where(y == 1, 1.0, 20.0)
    assert best_threshold(y, score) == 0.5
    assert best_threshold(y, score, weight=alike) > 0.5
    cuts = severity_thresholds(y, score, {"high": 0.7}), severity_thresholds(y, score, {"high": 0.7}, weight=alike)
    assert cuts[0]["high"]["score"] == 0.5
    assert cuts[1]["high"]["score"] > 0.5
    same = severity_thresholds(y, score, {"high": 0.7}, weight=np.full(600, 3.0))["high"]
    assert same["score"] == cuts[0]["high"]["score"]
    assert same["n"] == pytest.approx(cuts[0]["high"]["n"], abs=1)
