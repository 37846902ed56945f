"""Laws of all detectors, and their values worked by hand."""

import pickle

import numpy as np
import pytest

from fairmeter.evaluation.metrics import roc_auc
from fairmeter.models.detectors.classical import (
    CAP,
    DETECTORS,
    Detectors,
    IsolationForest,
    MovingAverage,
    Quartiles,
    ZScore,
)
from fairmeter.models.model_file import from_plain, to_plain

laws = pytest.mark.parametrize("kind", DETECTORS.values(), ids=DETECTORS)
N, WIDTH = 600, 6


@pytest.fixture
def usual():
    """Similar clients with a few missing values."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, WIDTH)).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = np.nan
    return features


def unlike(n=20, by=6.0):
    """Planted clients with large deviations in some features, in both directions."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(n, WIDTH)).astype(np.float32)
    features[:, :2] += np.where(rng.random((n, 2)) < 0.5, -by, by)
    return features


def column(*values):
    return np.array(values, dtype=np.float32)[:, None]


# --- laws -------------------------------------------------------------------------------------------------------------


@laws
def test_it_ranks_planted_outliers_far_above_chance(kind, usual):
    planted = unlike()
    detector = kind.fit(np.concatenate([usual, planted]), 7)
    score = np.concatenate([detector.score(usual), detector.score(planted)])
    assert roc_auc(np.repeat([0, 1], [len(usual), len(planted)]), score) > 0.95


@laws
def test_a_larger_deviation_is_never_less_suspicious(kind, usual):
    detector = kind.fit(usual, 7)
    off = np.zeros((5, WIDTH), dtype=np.float32) + column(0, 2, 4, 8, 1e6)
    score = detector.score(off)
    assert (np.diff(score) >= 0).all()
    assert score[-1] > score[0]


@laws
def test_missing_values_raise_no_suspicion(kind, usual):
    detector = kind.fit(usual, 7)
    unknown = detector.score(np.full((1, WIDTH), np.nan, dtype=np.float32))
    assert unknown[0] <= np.median(detector.score(usual))


@laws
@pytest.mark.parametrize("value", [np.nan, 3.0], ids=["a feature nobody has", "a feature that all share"])
def test_its_scores_are_finite(kind, usual, value):
    usual[:, 2] = value
    detector = kind.fit(usual, 7)
    largest = np.finfo(np.float32).max
    odd = np.array([[np.nan] * WIDTH, [0] * WIDTH, [largest] * WIDTH, [-largest] * WIDTH], dtype=np.float32)
    assert np.isfinite(detector.score(np.concatenate([usual, odd]))).all()


@laws
def test_it_can_be_fitted_without_any_known_value(kind):
    nothing = np.full((50, WIDTH), np.nan, dtype=np.float32)
    score = kind.fit(nothing, 7).score(nothing)
    assert np.isfinite(score).all()
    assert len(set(score.tolist())) == 1


@laws
def test_a_score_does_not_depend_on_the_other_clients_or_their_order(kind, usual):
    detector = kind.fit(usual, 7)
    together, shuffled = detector.score(usual), np.random.default_rng(2).permutation(N)
    np.testing.assert_array_equal(detector.score(usual[shuffled]), together[shuffled])
    np.testing.assert_array_equal(detector.score(usual[9:10]), together[9:10])


@pytest.mark.parametrize("kind", [ZScore, MovingAverage, Quartiles])
def test_the_order_of_the_fitted_clients_does_not_matter(kind, usual):
    """A forest samples clients by their position, so this law does not hold for it."""
    shuffled = usual[np.random.default_rng(2).permutation(N)]
    np.testing.assert_allclose(kind.fit(shuffled).score(usual), kind.fit(usual).score(usual), rtol=1e-12)


@laws
def test_the_same_seed_gives_the_same_scores(kind, usual):
    np.testing.assert_array_equal(kind.fit(usual, 7).score(usual), kind.fit(usual, 7).score(usual))


@laws
def test_it_survives_the_model_file(kind, usual):
    detector = kind.fit(usual, 7)
    again = from_plain(pickle.loads(pickle.dumps(to_plain(detector))))  # noqa: S301  (made one line before)
    assert type(again) is kind
    np.testing.assert_array_equal(again.score(usual), detector.score(usual))


@laws
def test_it_changes_nothing_in_place(kind, usual):
    before = usual.copy()
    kind.fit(usual, 7).score(usual)
    np.testing.assert_array_equal(usual, before)


# --- worked by hand ---------------------------------------------------------------------------------------------------


def test_z_score_is_the_root_mean_square_deviation():
    detector = ZScore.fit(np.array([[0, 10], [2, 10], [4, 10], [6, 10]], dtype=np.float32))
    spread = np.sqrt(5)  # of 0, 2, 4, 6 about 3
    score = detector.score(np.array([[3, 10], [5, 10], [3, 12], [5, np.nan]], dtype=np.float32))
    assert score == pytest.approx([0, 2 / spread / np.sqrt(2), 2 / np.sqrt(2), 2 / spread / np.sqrt(2)])


def test_moving_average_takes_the_largest_deviation_to_either_side():
    detector = MovingAverage.fit(np.array([[-1, 0], [1, 2]], dtype=np.float32))
    score = detector.score(np.array([[0, 1], [-3, 2], [0.5, 5], [500, 1]], dtype=np.float32))
    assert score.tolist() == [0, 3, 4, CAP]


def test_quartiles_counts_what_lies_beyond_the_fences_and_how_far():
    detector = Quartiles.fit(column(0, 1, 2, 3, 4))  # quartiles 1 and 3: fences at -2 and 6
    score = detector.score(column(-2, 6, 7, -4, 1000, np.nan))
    assert score == pytest.approx([0, 0, 1 + 0.5 / CAP, 1 + 1 / CAP, 2, 0])


def test_isolation_forest_scores_as_scikit_learn_does(usual):
    from sklearn.ensemble import IsolationForest as Forest

    filled = np.where(np.isnan(usual), np.nanmedian(usual, axis=0), usual).astype(np.float32)
    reference = Forest(n_estimators=100, max_samples=256, random_state=7).fit(filled)
    both = np.concatenate([filled, unlike(by=30.0)])
    np.testing.assert_allclose(IsolationForest.fit(usual, 7).score(both), -reference.score_samples(both), atol=1e-5)


def test_isolation_forest_scores_as_scikit_learn_does_on_few_clients():
    from sklearn.ensemble import IsolationForest as Forest

    few = unlike(30)
    reference = Forest(n_estimators=100, max_samples=30, random_state=7).fit(few)
    np.testing.assert_allclose(IsolationForest.fit(few, 7).score(few), -reference.score_samples(few), atol=1e-5)


# --- together ---------------------------------------------------------------------------------------------------------


def test_each_detector_has_its_own_features_in_its_own_order(usual):
    names = tuple("abcdef")
    looks_at = {"z_score": ("c", "a"), "quartiles": ("f",)}
    detectors = Detectors.fit(usual, names, looks_at, 7)
    scores = detectors.scores(usual)
    assert tuple(detectors.fitted) == ("z_score", "quartiles")
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores[:, 0], ZScore.fit(usual[:, [2, 0]]).score(usual[:, [2, 0]]).astype("f4"))
    np.testing.assert_array_equal(scores[:, 1], Quartiles.fit(usual[:, [5]]).score(usual[:, [5]]).astype("f4"))


@laws
def test_with_only_falls_a_rise_is_as_usual_as_0(kind, usual):
    changes = np.concatenate([usual, unlike()])
    detector = kind.fit(changes, 7, only_falls=True)
    still, rise, high, fall, deep = np.zeros((5, WIDTH), dtype=np.float32) + column(0, 3, 1e6, -3, -1e6)
    for kept in (detector, from_plain(to_plain(detector))):
        score = kept.score(np.stack([still, rise, high, fall, deep]))
        assert score[0] == score[1] == score[2]
        assert (np.diff(score[2:]) > 0).all()


def test_all_detectors_are_fitted_for_only_falls(usual):
    looks_at = dict.fromkeys(DETECTORS, ("a", "b"))
    for only_falls in (False, True):
        detectors = Detectors.fit(usual, tuple("abcdef"), looks_at, 7, only_falls)
        assert {detector.only_falls for detector in detectors.fitted.values()} == {only_falls}


def test_a_third_of_clients_with_the_same_fall_are_still_unusual():
    """The gap between the two kinds is empty, and must not become the usual place of honest clients."""
    rng = np.random.default_rng(3)
    changes = rng.normal(0.0, 0.1, (600, 3)).astype(np.float32)
    changes[:200] -= 1.5
    for name in ("z_score", "moving_average", "isolation_forest"):
        score = DETECTORS[name].fit(changes, 7, only_falls=True).score(changes)
        assert roc_auc(np.arange(600) < 200, score) > 0.75, name
