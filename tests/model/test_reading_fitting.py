"""Fitting on readings: a household never in two folds, thefts above honest clients, ranks where no label tells."""

import dataclasses

import numpy as np
import pytest

from fairmeter.evaluation.metrics import roc_auc
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.daily_statistics import KIND_STATISTICS
from fairmeter.models.detectors.keras_fit import TooFewSeries
from fairmeter.models.ensemble import probability_of
from fairmeter.models.reading_model import reading_matrix, reading_matrix_names
from fairmeter.training import ensemble_fitting, reading_fitting
from fairmeter.training.attacks import BROAD, PUBLISHED, WIDE, HonestHouseholds
from fairmeter.training.ensemble_fitting import STACK_FOLDS, fit_ensemble, household_folds
from fairmeter.training.member_fitting import TREES
from fairmeter.training.reading_fitting import (
    ATTACKED_MEMBERS,
    COVARIATE_SOURCES,
    QUICK_TRAINING_PLANS,
    TRAINING_PLANS,
    Sample,
    fit_labelled,
    fit_networks,
    fit_unlabelled,
    make_sample,
    make_training_sets,
    representative_clients,
)
from tests.builders.readings import FIRST, days_of, robbed, town

N_HOUSEHOLDS, N_DAYS, SEED = 80, 200, 4
BASE = HonestHouseholds(town(N_HOUSEHOLDS, N_DAYS), FIRST)
HOUSEHOLDS = np.arange(N_HOUSEHOLDS)


def silent(_what):
    pass


@pytest.fixture(scope="module")
def covariates():
    return Covariates.from_consumption(BASE.days(HOUSEHOLDS))


@pytest.fixture(scope="module")
def files(covariates):
    return make_training_sets(BASE, HOUSEHOLDS, covariates, QUICK_TRAINING_PLANS, SEED)


@pytest.fixture(scope="module")
def sample(files):
    return make_sample(files, {})


@pytest.fixture(scope="module")
def fitted(sample, covariates):
    """(the model, Fitted)"""
    return fit_labelled(sample, {}, covariates, SEED, True, silent)


# --- files of attacked households -------------------------------------------------------------------------------------


def test_every_file_has_a_household_once_and_attacks_it_anew(files):
    assert len(files) == len(QUICK_TRAINING_PLANS)
    for file in files:
        assert len(np.unique(file.household)) == len(file.household) > 0.8 * N_HOUSEHOLDS
    kinds = [dict(zip(file.household.tolist(), file.kind, strict=True)) for file in files]
    assert sum(kinds[0].get(h) != kinds[1].get(h) for h in range(N_HOUSEHOLDS)) > N_HOUSEHOLDS / 3


def test_a_dense_network_learns_beside_the_trees_where_households_come_again_and_again(covariates, monkeypatch):
    asked = []

    def kept(*given):
        asked.append(given[2].members)
        raise InterruptedError

    monkeypatch.setattr(reading_fitting, "fit_ensemble", kept)
    files = make_training_sets(BASE, HOUSEHOLDS, covariates, QUICK_TRAINING_PLANS[:2], SEED)
    for sample, quick in (
        (make_sample(files, {}), False),
        (make_sample(files[:1], {}), False),
        (make_sample(files, {}), True),
    ):
        with pytest.raises(InterruptedError):
            fit_labelled(sample, {}, covariates, SEED, quick, silent)
    assert asked == [ATTACKED_MEMBERS, TREES, TREES]
    assert "dense_network" in ATTACKED_MEMBERS


def test_files_are_compared_with_their_own_clients_with_the_models_and_with_nobody_in_turn(files, covariates):
    beside = dict(zip(COVARIATE_SOURCES, (file.covariates for file in files), strict=True))
    own, given, none = (beside[name] for name in ("file", "model", None))
    assert given is covariates
    assert none is None
    assert own.factor.shape[0] == 1
    assert own is not covariates


def test_seeds_give_files_that_have_none_in_common(covariates):
    of_seeds = [make_training_sets(BASE, HOUSEHOLDS[:30], covariates, [WIDE, WIDE], seed) for seed in (1, 2)]
    series = {file.days.kwh.tobytes() for files in of_seeds for file in files}
    assert len(series) == 4


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["as they were", "mirrored"])
def test_training_draws_files_by_every_plan_and_shows_each_beside_all(is_mirrored):
    plans = [
        (plan, COVARIATE_SOURCES[i % len(COVARIATE_SOURCES)])
        for i, plan in enumerate(TRAINING_PLANS)
        if plan.is_mirrored == is_mirrored
    ]
    beside = {(plan.age, name) for plan, name in plans}
    assert beside == {(plan.age, name) for plan in (PUBLISHED, BROAD, WIDE) for name in COVARIATE_SOURCES}


def test_a_file_is_drawn_by_its_plan(covariates):
    recent = dataclasses.replace(PUBLISHED, age=(20.0, 21.0))
    (file,) = make_training_sets(BASE, HOUSEHOLDS, covariates, [recent], SEED)
    is_whole = file.days.segments.counts > N_DAYS - 25  # gaps may shorten a series
    age = FIRST + N_DAYS - file.onset[(file.label == 1) & is_whole]
    assert set(age.tolist()) <= {20, 21}
    assert len(age) > 10


def test_a_sample_is_all_files_clients_in_their_order(files, sample):
    assert len(sample.evidence) == len(sample.label) == sum(len(file.label) for file in files)
    np.testing.assert_array_equal(sample.household, np.concatenate([file.household for file in files]))
    first = reading_matrix(files[0].days, {}, files[0].covariates)
    np.testing.assert_array_equal(sample.evidence.features[: len(first)], first.features)
    kept = sample.of(sample.label == 1)
    assert kept.label.all()
    assert len(kept.evidence) == len(kept.household) == sample.label.sum()


def test_the_fingerprint_is_of_homes_as_they_were_and_of_thieves_by_their_share(covariates):
    plans = (PUBLISHED, WIDE, PUBLISHED, WIDE, *(dataclasses.replace(PUBLISHED, is_mirrored=True),) * 4)
    files = make_training_sets(BASE, HOUSEHOLDS, covariates, plans * 10, SEED)
    chosen = representative_clients(BASE, files, 0.2, SEED)
    sample, kind = make_sample(files, {}), np.concatenate([file.kind for file in files])
    assert set(kind[chosen & (sample.label == 0)]) == {"honest"}
    assert sample.label[chosen].mean() == pytest.approx(0.2, abs=0.05)
    n_days = np.concatenate([file.days.segments.counts for file in files])
    assert (n_days[chosen] == N_DAYS).all()
    assert not np.concatenate([np.isnan(file.days.kwh) for file in files])[np.repeat(chosen, n_days)].any()
    is_alone = np.concatenate([np.full(len(file.label), file.covariates is None) for file in files])
    is_mirrored = np.concatenate([np.full(len(file.label), file.plan.is_mirrored) for file in files])
    assert not (chosen & (is_alone | is_mirrored)).any()
    assert chosen.sum() > 200


# --- households and folds ---------------------------------------------------------------------------------------------


def test_folds_of_households_keep_each_together_and_are_equally_many():
    household = np.repeat([40, 7, 3, 99, 12, 5, 60, 61], [1, 5, 2, 9, 1, 1, 4, 3])
    folds = household_folds(household, 2, SEED)
    by_household = {name: set(folds[household == name].tolist()) for name in household.tolist()}
    assert all(len(of) == 1 for of in by_household.values())
    assert sum(of == {0} for of in by_household.values()) == 4
    np.testing.assert_array_equal(folds, household_folds(household, 2, SEED))


def test_no_household_is_in_two_folds_of_a_fit(sample, monkeypatch):
    """Every household's own number stands in the evidence, and is looked for where something is fitted."""
    marked = sample.evidence.features.copy()
    marked[:, 0] = sample.household
    seen = []

    def fit_inputs(evidence, label, plan, seed):
        seen.append(set(evidence.features[:, 0].tolist()))
        return unspied(evidence, label, plan, seed)

    unspied = ensemble_fitting.fit_inputs
    monkeypatch.setattr(ensemble_fitting, "fit_inputs", fit_inputs)
    plan = dataclasses.replace(reading_fitting._ensemble_config({}, quick=True), members=("xgboost",))
    evidence = dataclasses.replace(sample.evidence, features=marked)
    fit_ensemble(evidence, sample.label, plan, SEED, household=sample.household)
    *folds, everybody = seen
    assert len(folds) == STACK_FOLDS
    assert not folds[0] & folds[1]
    assert folds[0] | folds[1] == everybody == set(sample.household.tolist())


# --- with labels ------------------------------------------------------------------------------------------------------


def test_thefts_rank_above_honest_clients_out_of_fold(sample, fitted):
    assert roc_auc(sample.label, fitted[1].log_odds) > 0.85


def test_a_model_keeps_the_share_of_thieves_and_the_surroundings_it_was_fitted_with(sample, fitted, covariates):
    model, found = fitted
    assert model.theft_share == sample.label.mean()
    assert model.surroundings is covariates
    assert model.ensemble is found.ensemble
    ratio = model.log_ratio(sample.evidence)
    prior = np.log(model.theft_share / (1 - model.theft_share))
    expected = model.ensemble.log_odds(model.ensemble.inputs.matrix(sample.evidence)) - prior
    np.testing.assert_array_equal(ratio, expected)


def test_a_large_theft_of_an_unseen_household_speaks_for_theft_and_an_honest_one_against(fitted):
    kwh = robbed(town(60, N_DAYS, seed=9), np.arange(30), N_DAYS - 60)
    model = fitted[0]
    ratio = model.log_ratio(model.features(days_of(kwh)))
    assert roc_auc(np.arange(60) < 30, ratio) > 0.95
    assert np.median(ratio[:30]) > 0 > np.median(ratio[30:])


# --- without labels ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unlabelled(covariates):
    """(model, log-odds, evidence) of honest households of which the first three lose nine tenths."""
    evidence = reading_matrix(days_of(robbed(BASE.kwh, [0, 1, 2], 150, 0.1)), {}, covariates)
    return *fit_unlabelled(evidence, {}, covariates, SEED), evidence


def test_without_labels_the_score_is_a_rank(unlabelled):
    _, log_odds, _ = unlabelled
    rank = probability_of(log_odds)
    assert rank.shape == (N_HOUSEHOLDS,)
    assert 0 < rank.min() < 0.35, "the homes where nothing fell share the lowest places"
    assert 0.8 < rank.max() < 1
    assert rank.mean() == pytest.approx(0.5, abs=0.1)


def test_what_is_unlike_the_others_ranks_highest(unlabelled):
    _, log_odds, _ = unlabelled
    assert set(np.argsort(log_odds)[-3:].tolist()) == {0, 1, 2}


def test_without_labels_a_rise_is_nobodys_theft(covariates):
    kwh = robbed(BASE.kwh, [0, 1, 2], 150, 3.0)
    evidence = reading_matrix(days_of(kwh), {}, covariates)
    rank = probability_of(fit_unlabelled(evidence, {}, covariates, SEED)[1])
    assert (rank[:3] < np.quantile(rank[3:], 0.75)).all()


def test_ranks_are_served_as_they_were_fitted(unlabelled):
    model, log_odds, evidence = unlabelled
    np.testing.assert_array_equal(model.log_ratio(evidence), log_odds)
    assert list(model.ensemble.members) == ["ranks"]


# --- networks ---------------------------------------------------------------------------------------------------------


def test_networks_are_left_out_where_it_must_be_quick(covariates, monkeypatch):
    for kind in (reading_fitting.Autoencoder, reading_fitting.Forecaster):
        monkeypatch.setattr(kind, "fit", lambda *_: pytest.fail("it fits a network"))
    assert fit_networks(BASE.days(HOUSEHOLDS), covariates, SEED, True, silent) == {}


def test_a_network_that_has_too_few_series_is_left_out_and_the_other_learns_beside_the_neighbours(
    covariates, monkeypatch
):
    def too_few(*_arguments, **_options):
        raise TooFewSeries("Need more.")

    given, told = {}, []
    monkeypatch.setattr(reading_fitting.Autoencoder, "fit", too_few)
    monkeypatch.setattr(
        reading_fitting.Forecaster, "fit", lambda _days, _seed, factor: given.update(f=factor) or "made"
    )
    found = fit_networks(BASE.days(HOUSEHOLDS), covariates, SEED, False, told.append)
    assert found == {"forecaster": "made"}
    assert told == ["autoencoder", "forecaster"]
    np.testing.assert_allclose(given["f"], np.tile(np.exp(covariates.factor[0]), N_HOUSEHOLDS))


def test_a_sample_of_networks_has_their_columns(files):
    class Flat:
        names = ("flat_a", "flat_b")

        def scores(self, days, factor=None):
            assert factor is None or len(factor) == len(days.kwh)
            return np.full((len(days.segments), 2), 7.0, np.float32)

    found = make_sample(files, {"flat": Flat()})
    assert reading_fitting.reading_matrix_names({"flat": Flat()})[-2:] == Flat.names
    assert (found.evidence.features[:, -3:-1] == 7.0).all(), "the last column is the last day"
    assert isinstance(found, Sample)


def test_a_total_spread_over_a_gap_is_no_evidence_of_how_its_days_were():
    is_late = (np.arange(N_DAYS) >= 150) & (np.arange(N_DAYS) < 161)
    kwh = BASE.kwh[:3]
    late = days_of(np.where(is_late, kwh[:, is_late].mean(axis=1, keepdims=True), kwh))
    late = dataclasses.replace(late, is_spread=np.tile(is_late, 3))
    missing = days_of(np.where(is_late, np.nan, kwh))
    of_late, of_missing = (reading_matrix(days, {}, None).features for days in (late, missing))
    differs = (of_late != of_missing) & ~(np.isnan(of_late) & np.isnan(of_missing))
    names = {reading_matrix_names({})[column] for column in np.flatnonzero(differs.any(axis=0))}
    assert names <= {"known_share", *(f"missing_{kind}" for kind, *_ in KIND_STATISTICS)}
    columns = [reading_matrix_names({}).index(name) for name in ("known_share", "missing_share")]
    assert of_late[:, columns].tolist() == [[1.0, 0.0]] * 3  # the meter was read, though not each day apart
