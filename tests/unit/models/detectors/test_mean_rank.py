"""Ranks without labels: uniform among the fitted clients, and the same alone and in a batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.models import model_file
from fairmeter.models.detectors.mean_rank import MAX_RANK, QUANTILES, MeanRank

N = 2001


def matrix(n=N, seed=0, width=5):
    """Detectors' scores are never negative; columns 0 and 2 are other evidence."""
    scores = np.random.default_rng(seed).exponential(size=(n, width)).astype(np.float32)
    scores[:, [0, 2]] = np.nan
    return scores


def rank_of(log_odds):
    return 1 / (1 + np.exp(-log_odds))


ONE, THREE = np.array([1]), np.array([1, 3, 4])


def test_ranks_of_the_fitted_clients_are_even_over_0_to_1():
    scores = matrix()
    rank = np.sort(rank_of(MeanRank.fit(scores, ONE).values(scores)))
    np.testing.assert_allclose(rank, np.linspace(0, 1, N), atol=1 / QUANTILES)


def test_a_rank_is_worked_by_hand_on_five_clients():
    scores = np.array([[0], [1], [2], [3], [4]], dtype=np.float32)
    between = np.array([[1.5], [2.0]], dtype=np.float32)
    rank = rank_of(MeanRank.fit(scores, np.array([0])).values(between))
    np.testing.assert_allclose(rank, [1.5 / 4, 0.5])


def test_clients_with_equal_scores_share_the_middle_of_their_ranks():
    scores = np.array([[0], [0], [0], [0], [1], [2], [2], [3], [4]], dtype=np.float32)
    rank = rank_of(MeanRank.fit(scores, np.array([0])).values(np.array([[0], [1], [2], [3]], dtype=np.float32)))
    np.testing.assert_allclose(rank, [(0 + 3) / 2 / 8, 4 / 8, (5 + 6) / 2 / 8, 7 / 8])


def test_a_detector_with_equal_scores_ranks_all_clients_in_the_middle():
    alike = np.full((9, 1), 2.0, dtype=np.float32)
    np.testing.assert_allclose(rank_of(MeanRank.fit(alike, np.array([0])).values(alike)), 0.5)


def test_the_rank_is_the_mean_over_the_detectors():
    scores = matrix()
    alone = [rank_of(MeanRank.fit(scores, np.array([column])).values(scores[7:8])) for column in THREE]
    np.testing.assert_allclose(rank_of(MeanRank.fit(scores, THREE).values(scores[7:8])), np.mean(alone, axis=0))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 500])
def test_a_client_alone_has_the_rank_it_has_in_a_batch_to_the_last_bit(n):
    model, others = MeanRank.fit(matrix(), THREE), matrix(500, seed=1)
    whole = model.values(others)
    parts = np.concatenate([model.values(others[i : i + n]) for i in range(0, len(others), n)])
    assert parts.tobytes() == whole.tobytes()


def test_a_missing_score_is_the_least_suspicious():
    model, client = MeanRank.fit(matrix(), ONE), matrix(1, seed=2)
    client[0, 1] = np.nan
    least = client.copy()
    least[0, 1] = 0.0
    assert model.values(client) == model.values(least)
    assert model.values(client) <= model.values(matrix(200, seed=3)).min()


def test_a_detector_without_scores_changes_no_order():
    scores = matrix()
    scores[:, 3] = np.nan
    values = MeanRank.fit(scores, np.array([1, 3])).values(scores)
    assert np.isfinite(values).all()
    assert (np.diff(values[np.argsort(scores[:, 1])]) >= 0).all()


@given(st.lists(st.floats(0, 100, width=32), min_size=2, max_size=20))
def test_a_higher_score_never_ranks_lower(scores):
    model = MeanRank.fit(matrix(300), ONE)
    clients = np.zeros((len(scores), 5), dtype=np.float32)
    clients[:, 1] = np.sort(scores)
    assert (np.diff(model.values(clients)) >= 0).all()


def test_a_score_beyond_all_fitted_ones_has_a_bounded_rank():
    model = MeanRank.fit(matrix(), THREE)
    far = np.full((1, 5), 1e30, dtype=np.float32)
    np.testing.assert_allclose(rank_of(model.values(far)), MAX_RANK)
    np.testing.assert_allclose(rank_of(model.values(np.zeros_like(far))), 1 - MAX_RANK, rtol=1e-3)


def test_it_survives_the_model_file_to_the_last_bit():
    model, others = MeanRank.fit(matrix(), THREE), matrix(100, seed=4)
    again = model_file.from_plain(model_file.to_plain(model))
    assert isinstance(again, MeanRank)
    assert again.values(others).tobytes() == model.values(others).tobytes()


def test_fitting_does_not_depend_on_the_order_of_clients_and_changes_nothing():
    scores, order = matrix(), np.random.default_rng(5).permutation(N)
    before = scores.tobytes()
    assert MeanRank.fit(scores, THREE).knots.tobytes() == MeanRank.fit(scores[order], THREE).knots.tobytes()
    assert scores.tobytes() == before
