"""Places among the training clients: ordered as the scores are, never a probability."""

import numpy as np
import pytest

from fairmeter.core.claims import claims_probability
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.models.ranks import lower_share, place_of, rank_reference

TRAINING = np.random.default_rng(0).normal(size=5000)


def test_the_share_of_training_clients_below_a_score_is_counted():
    found = lower_share(np.quantile(TRAINING, [0.1, 0.5, 0.975]), rank_reference(TRAINING), None)
    np.testing.assert_allclose(found, [0.1, 0.5, 0.975], atol=2e-3)


@pytest.mark.parametrize("is_older", [False, True])
def test_a_higher_score_never_has_a_lower_place_beyond_the_training_clients_either(is_older):
    """A model of an older version holds the deciles of the drift reference alone."""
    drift = ReferenceDistribution.from_clients(np.zeros((len(TRAINING), 1), np.float32), TRAINING)
    reference = None if is_older else rank_reference(TRAINING)
    scores = np.linspace(-12.0, 12.0, 4001)
    found = lower_share(scores, reference, drift)
    assert (np.diff(found) > 0).all()
    assert 0.0 < found[0] < found[-1] < 1.0


def test_equal_scores_of_the_training_clients_count_half():
    found = lower_share(np.array([0.0, 1.0]), rank_reference(np.array([0.0] * 80 + [1.0] * 20)), None)
    np.testing.assert_allclose(found, [0.4, 0.9], atol=0.01)


def test_a_client_without_a_score_has_no_place():
    assert np.isnan(lower_share(np.array([np.nan]), rank_reference(TRAINING), None)).all()


def test_the_first_place_is_that_of_the_highest_score():
    assert [place_of(share, 800) for share in (0.9999, 0.95, 0.0)] == [1, 41, 801]


@pytest.mark.parametrize(
    ("manifest", "claims"),
    [
        ({}, True),
        ({"readings": {"made": "labelled"}, "ranks": None}, True),
        ({"ranks": {"invoices": {"n": 1, "knots": [0.0]}}}, False),
        ({"readings": {"made": "without labels"}}, False),  # as older versions wrote it
    ],
)
def test_a_model_claims_probabilities_only_where_all_of_it_had_labels(manifest, claims):
    assert claims_probability(manifest) is claims
