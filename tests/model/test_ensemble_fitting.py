"""Fitting keeps labels inside their fold, and what is fitted on out-of-fold scores keeps its promises on them."""

import dataclasses

import numpy as np
import pytest

from fairmeter.core.types import GroupKeys
from fairmeter.evaluation.metrics import roc_auc
from fairmeter.evaluation.model_evaluation import at_threshold, best_threshold, severity_thresholds
from fairmeter.features.invoices.matrix import FEATURES
from fairmeter.models import model_file
from fairmeter.models.ensemble import calibrate, probability_of
from fairmeter.models.target_encoding import GroupRates
from fairmeter.training import ensemble_fitting
from fairmeter.training.ensemble_fitting import fit_calibration, fit_ensemble, stratified_folds
from fairmeter.training.invoice_pipeline import AGGREGATE_NAMES, ensemble_config
from fairmeter.training.options import PROMISED_PRECISION

PLAN = ensemble_config("prospective", quick=True)
ONE_MEMBER = dataclasses.replace(PLAN, members=("xgboost",))


@pytest.fixture(scope="module")
def labelled(small_dataset):
    clients = small_dataset.clients("prospective")
    return small_dataset.evidence.of(clients), small_dataset.label[clients]


@pytest.fixture(scope="module")
def fitted(labelled):
    return fit_ensemble(*labelled, PLAN, 1)


# --- nothing leaks ----------------------------------------------------------------------------------------------------


def telling_nothing(evidence, clients_a_cell=6):
    """The same clients without any feature; each shares its place with a few others, and nothing else with anyone."""
    n = len(evidence)
    places = np.random.default_rng(0).permutation(n) // clients_a_cell
    nobody = GroupKeys(np.zeros(n, dtype=np.int64), np.zeros(0, dtype=np.uint64))
    cells = dict.fromkeys(evidence.group_keys, nobody) | {
        "place": GroupKeys(np.ones(n, dtype=np.int64), places.astype("u8"))
    }
    return dataclasses.replace(evidence, features=np.full_like(evidence.features, np.nan), group_keys=cells)


@pytest.fixture
def random_labels(labelled):
    """Labels drawn at random for clients that nothing tells apart, and what rates that saw the labels would show."""
    evidence = telling_nothing(labelled[0])
    label = (np.random.default_rng(2).random(len(evidence)) < 0.3).astype(float)
    place = {"place": evidence.group_keys["place"]}
    leaky = roc_auc(label, GroupRates.fit(place, label).columns(place)[:, 0])
    assert leaky > 0.7, "or the tests that use this show nothing"
    return evidence, label


def test_labels_drawn_at_random_cannot_be_foretold_out_of_fold(random_labels):
    assert 0.4 < roc_auc(random_labels[1], fit_ensemble(*random_labels, PLAN, 1).probability) < 0.6


def test_members_learn_from_rates_that_have_not_seen_the_clients_own_label(random_labels):
    inputs, matrix = ensemble_fitting.fit_inputs(*random_labels, PLAN, 1)
    rate = matrix[:, inputs.names.index("neighbours_place_rate")]
    assert roc_auc(random_labels[1], rate) < 0.6


def test_a_clients_label_does_not_reach_its_own_out_of_fold_score(labelled, monkeypatch):
    evidence, label = labelled
    monkeypatch.setattr(ensemble_fitting, "stratified_folds", lambda label, n, _seed: np.arange(len(label)) % n)
    folds = np.arange(len(label)) % ensemble_fitting.STACK_FOLDS
    flipped = label.copy()
    flipped[7] = 1 - flipped[7]
    before, after = (
        ensemble_fitting._members_out_of_fold(evidence, y, folds, ONE_MEMBER, 1, print) for y in (label, flipped)
    )
    np.testing.assert_array_equal(after[7], before[7])
    assert (after != before).any(), "the flip must reach somebody, or this shows nothing"


def test_the_prospective_view_sees_nothing_from_after_a_detection():
    after = {feature.name for feature in FEATURES if feature.after_detection}
    assert len(after) > 50
    level_0 = {name for names in ensemble_fitting.DETECTOR_FEATURES.values() for name in names} | set(
        ensemble_fitting.PEER_FEATURES
    )
    assert not after & (set(PLAN.used) | level_0 | set(AGGREGATE_NAMES))
    assert after < set(ensemble_config("all", quick=True).used)


# --- folds ------------------------------------------------------------------------------------------------------------


def test_folds_spread_clients_and_frauds_evenly():
    label = np.repeat([1.0, 0.0], [23, 1000])
    folds = stratified_folds(label, 5, 3)
    assert sorted(np.bincount(folds[label == 1]).tolist()) == [4, 4, 5, 5, 5]
    assert set(np.bincount(folds[label == 0]).tolist()) == {200}


def test_folds_depend_on_the_seed_alone():
    label = (np.random.default_rng(0).random(500) < 0.1).astype(float)
    np.testing.assert_array_equal(stratified_folds(label, 5, 3), stratified_folds(label, 5, 3))
    assert (stratified_folds(label, 5, 3) != stratified_folds(label, 5, 4)).any()


# --- the ensemble -----------------------------------------------------------------------------------------------------


def test_every_training_client_has_a_score_out_of_fold_that_ranks_above_chance(labelled, fitted):
    _, label = labelled
    assert fitted.probability.shape == label.shape
    assert roc_auc(label, fitted.probability) > 0.6


def test_the_members_columns_have_their_names(labelled, fitted):
    inputs = fitted.ensemble.inputs
    matrix = inputs.matrix(labelled[0])
    assert matrix.shape == (len(labelled[1]), len(inputs.names))
    assert len(set(inputs.names)) == len(inputs.names)
    for name in ("elec_level_mean", "last_invoice_on"):
        of_all = labelled[0].features[:, PLAN.names.index(name)]
        np.testing.assert_array_equal(matrix[:, inputs.names.index(name)], of_all)


def test_members_are_named_in_the_order_of_their_columns(labelled, fitted):
    matrix = fitted.ensemble.inputs.matrix(labelled[0])
    together = fitted.ensemble.member_log_odds(matrix)
    assert tuple(fitted.ensemble.members) == tuple(fitted.natives) == PLAN.members
    for i, member in enumerate(fitted.ensemble.members.values()):
        np.testing.assert_array_equal(together[:, i], member.values(matrix))


def test_the_same_seed_fits_the_same_ensemble(labelled):
    one, same = (model_file.to_plain(fit_ensemble(*labelled, ONE_MEMBER, 1).ensemble) for _ in range(2))
    assert one == same


def test_it_tells_what_runs_before_each_fit(labelled):
    told = []
    fit_ensemble(*labelled, ONE_MEMBER, 1, told.append)
    assert told == ["xgboost, fold 1 of 2", "xgboost, fold 2 of 2", "xgboost, all clients"]


def test_hidden_values_are_a_share_of_all_and_the_given_matrix_stays():
    matrix = np.zeros((500, 10), dtype=np.float32)
    hidden = np.isnan(ensemble_fitting._hide_values(matrix, dataclasses.replace(PLAN, missing_share=0.3), 1))
    assert 0.25 < hidden.mean() < 0.35
    assert not np.isnan(matrix).any()
    assert ensemble_fitting._hide_values(matrix, PLAN, 1) is matrix


# --- calibration and promises -----------------------------------------------------------------------------------------


@pytest.fixture
def scores_that_are_off():
    """Log-odds twice as sure as they should be, and two too high, with labels by the true ones."""
    rng = np.random.default_rng(4)
    truth = rng.normal(-2.5, 1.0, 20_000)
    return 2 * truth + 2, (rng.random(len(truth)) < probability_of(truth)).astype(float), probability_of(truth)


def test_calibration_reproduces_the_true_shares(scores_that_are_off):
    log_odds, label, truth = scores_that_are_off
    probability = probability_of(calibrate(log_odds, *fit_calibration(log_odds, label)))
    assert probability.mean() == pytest.approx(label.mean(), rel=0.05)
    for tenth in np.array_split(np.argsort(log_odds), 10):
        assert probability[tenth].mean() == pytest.approx(truth[tenth].mean(), abs=0.02)


def test_calibration_keeps_the_order_of_scores(scores_that_are_off):
    log_odds, label, _ = scores_that_are_off
    knots, heights = fit_calibration(log_odds, label)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(heights) > 0).all()
    np.testing.assert_array_equal(np.argsort(calibrate(log_odds, knots, heights)), np.argsort(log_odds))


@pytest.mark.parametrize("n_frauds", [1, 9, 25, 99, 100], ids="{} frauds of 100".format)
def test_calibration_is_finite_and_rising_whatever_the_share(n_frauds):
    log_odds = np.linspace(-3, 3, 100)
    _, heights = fit_calibration(log_odds, np.repeat([0.0, 1.0], [100 - n_frauds, n_frauds]))
    assert np.isfinite(heights).all()
    assert (np.diff(heights) > 0).all()


EQUAL = {
    "one score": np.zeros(600),
    "one score but for rounding": 1.4 + np.arange(600) * 1e-18,
    "two scores": np.repeat([-1.0, 1.0], 300),
    "two scores but for rounding": np.repeat([-1.0, 1.0], 300) + np.arange(600) * 1e-12,
    "ties in the middle": np.clip(np.linspace(-3, 3, 600), -1, 1),
}


@pytest.mark.parametrize("log_odds", EQUAL.values(), ids=EQUAL)
def test_calibration_takes_equal_scores(log_odds):
    label = np.arange(600) % 3 == 0
    knots, heights = fit_calibration(log_odds, label.astype(float))
    assert (np.diff(knots) > 0).all()
    assert probability_of(calibrate(log_odds, knots, heights)) == pytest.approx(np.full(600, 1 / 3), abs=0.03)


def test_scores_that_differ_in_the_last_bit_alone_are_one_to_the_calibration():
    log_odds = np.repeat(1.37170486 + np.array([0.0, 1.0, 2.0]) * np.finfo(float).eps, 150)
    label = (np.arange(450) % 10 < np.repeat([2, 4, 6], 150)).astype(float)
    knots, heights = fit_calibration(log_odds, label)
    assert len(knots) == 1
    assert probability_of(heights) == pytest.approx([0.4], abs=0.01)


def test_severities_keep_their_promises_on_the_out_of_fold_scores(labelled, fitted):
    _, label = labelled
    cuts = severity_thresholds(label, fitted.probability, PROMISED_PRECISION)
    kept = [(name, cut) for name, cut in cuts.items() if cut["score"] is not None]
    assert kept
    for name, cut in kept:
        assert label[fitted.probability >= cut["score"]].mean() >= PROMISED_PRECISION[name]


def test_no_other_threshold_has_a_higher_f1_out_of_fold(labelled, fitted):
    _, label = labelled
    best = at_threshold(label, fitted.probability, best_threshold(label, fitted.probability))["f1"]["value"]
    others = [at_threshold(label, fitted.probability, score)["f1"]["value"] for score in fitted.probability[::10]]
    assert best >= max(others)


# --- weights of clients -----------------------------------------------------------------------------------------------


def test_the_level_of_the_score_is_that_of_the_clients_that_the_visited_stand_for(labelled):
    _, label = labelled
    weight = np.where(label == 1, 1.0, 6.0)
    fitted = fit_ensemble(*labelled, ONE_MEMBER, 1, weight=weight)
    plain = fit_ensemble(*labelled, ONE_MEMBER, 1)
    assert plain.probability.mean() == pytest.approx(label.mean(), rel=0.1)
    assert np.average(fitted.probability, weights=weight) == pytest.approx(np.average(label, weights=weight), rel=0.15)
    assert np.average(label, weights=weight) < label.mean() / 3


def test_clients_who_count_alike_are_learnt_as_without_weights(labelled):
    evidence, label = labelled
    of_twos = fit_ensemble(evidence, label, ONE_MEMBER, 1, weight=np.full(len(label), 2.0)).ensemble
    plain = fit_ensemble(evidence, label, ONE_MEMBER, 1).ensemble
    matrix = plain.inputs.matrix(evidence)
    np.testing.assert_allclose(of_twos.member_log_odds(matrix), plain.member_log_odds(matrix), atol=1e-5)
    np.testing.assert_allclose(of_twos.weights, plain.weights, rtol=1e-3)
