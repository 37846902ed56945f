"""Households that are measured were not fitted on, and the threshold stands where the score is told."""

import dataclasses

import numpy as np
import pytest

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation.reading_metrics import DELAYS, latency, score_at_rate
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.ensemble import probability_of
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.ranks import FIRST_SHARE
from fairmeter.models.reading_model import MIN_DAYS, reading_matrix
from fairmeter.training.attacks import PUBLISHED, AttackedHouseholds, HonestHouseholds
from fairmeter.training.dataset import MIN_PER_LABEL, TrainingError
from fairmeter.training.reading_fitting import QUICK_TRAINING_PLANS, fit_labelled, make_sample, make_training_sets
from fairmeter.training.validation import readings as validation
from tests.builders.readings import FIRST, days_of, robbed, town

PROMISES = {"critical": 0.5, "medium": 0.15}
SEED, N_DAYS = 3, 200
SINGLES = ["ratio of the last 30 days", "z score", "moving average", "quartiles", "isolation forest"]
MEMBERS = ["xgboost", "catboost", "random forest"]


# --- builders ---------------------------------------------------------------------------------------------------------


def silent(_what):
    pass


def suspected(outcome, days, fraud_rate):
    """Whether a model on readings alone suspects each of these clients, at that prior."""
    features = list(FEATURE_NAMES)
    manifest = {"view": "all", "active_from": 0.0, "fraud_rate": fraud_rate, "features": features, "threshold": 1.0}
    known = {"readings": outcome.thresholds | {"made": outcome.metrics["made"]}, "severities": []}
    known |= {} if outcome.ranks is None else {"ranks": {"readings": outcome.ranks}}
    model = FraudModel(None, None, outcome.model, manifest | known)
    n = len(days.segments)
    nothing = FeatureMatrix(np.full((n, len(features)), np.nan, np.float32), np.zeros(n, int), {})
    scores = model.score_clients(nothing, [""] * n, [()] * n, outcome.model.features(days))
    return np.array([score.is_suspected for score in scores])


@pytest.fixture(scope="module")
def fitted():
    """A model of eighty households, attacked."""
    base = HonestHouseholds(town(80, N_DAYS), FIRST)
    covariates = Covariates.from_consumption(base.days(np.arange(80)))
    sample = make_sample(make_training_sets(base, np.arange(80), covariates, QUICK_TRAINING_PLANS, SEED), {})
    return fit_labelled(sample, {}, covariates, SEED, True, silent)[0]


# --- the threshold ----------------------------------------------------------------------------------------------------

ODDS = np.array([8.0, 4.0, 2.0, 1.0])  # out of fold, of clients of whom half steal
LABEL = np.array([1, 0, 1, 0])


def test_thieves_as_common_as_in_training_are_suspected_from_the_best_f1_on():
    """From 8 on 1 of 1 steals and 1 is missed: F1 2/3. From 2 on 2 of 3: 4/5."""
    cuts = validation.fit_thresholds(np.log(ODDS), LABEL, 0.5, PROMISES)
    assert cuts["threshold"] == pytest.approx(2 / 3)
    assert cuts["theft_share"] == 0.5


def test_rarer_thieves_are_suspected_later_and_on_the_scale_of_their_share():
    """1 in 10 steals: each honest stands for 9. From 8 on F1 is 2/3, from 2 on 4 / (2 + 9 + 2): 8 / 9 odds it is."""
    cuts = validation.fit_thresholds(np.log(ODDS), LABEL, 0.1, PROMISES)
    assert cuts["threshold"] == pytest.approx((8 / 9) / (1 + 8 / 9))


def test_promises_are_kept_where_thieves_are_rarer():
    """Of the highest 200 scores 160 steal; where 1 in 5 does, each honest stands for 4: 160 of 320."""
    label = np.repeat([1, 0, 1, 0], [160, 40, 40, 160])
    log_odds = np.repeat([2.0, -2.0], 200)
    severities = validation.fit_thresholds(log_odds, label, 0.2, {"critical": 0.45, "high": 0.4, "medium": 0.15})[
        "severities"
    ]
    critical, high, medium = severities
    assert [cut["severity"] for cut in severities] == ["critical", "high", "medium"]
    assert critical["score"] is None, "one half, but not with 95 % certainty"
    assert high["score"] == pytest.approx(probability_of(2.0 - np.log(4.0)))
    assert high["precision"]["value"] == pytest.approx(0.5)
    assert medium["score"] == high["score"], "the others' own probability is 3 %, whatever all together reach"


# --- without labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theft_share", [0.5, 0.065])
def test_without_labels_one_in_twenty_is_suspected_at_whatever_prior(theft_share):
    days = days_of(robbed(town(120, N_DAYS), np.arange(4), 150))
    outcome = validation.train_without_labels(days, SEED, True, silent)
    found = suspected(outcome, days, theft_share)
    assert found.mean() == pytest.approx(FIRST_SHARE, abs=0.01)
    assert found[:4].all()
    assert outcome.metrics == {"made": "without labels", "n": 120}
    assert [cut["severity"] for cut in outcome.thresholds["severities"]] == ["medium"], "no precision is promised"
    assert "theft_share" not in outcome.thresholds


def test_too_few_clients_to_rank_end_in_a_sentence():
    days = days_of([*town(MIN_PER_LABEL - 1, MIN_DAYS), *town(30, MIN_DAYS - 1)])
    with pytest.raises(TrainingError, match=f"^19 clients have at least {MIN_DAYS} days .* are needed[.]$"):
        validation.train_without_labels(days, SEED, True, silent)


# --- with labels ------------------------------------------------------------------------------------------------------

N, N_THIEVES, N_UNKNOWN = 130, 40, 10


@pytest.fixture(scope="module")
def labelled():
    """(days, label, outcome): forty thieves, some honest, some of whom nothing is known, one with a week only."""
    series = [*robbed(town(N, N_DAYS, seed=1), np.arange(N_THIEVES), 120, 0.3), town(1, 7)[0]]
    label = np.concatenate([np.ones(N_THIEVES), np.zeros(N - N_THIEVES - N_UNKNOWN), np.full(N_UNKNOWN, np.nan), [1]])
    days = days_of(series)
    return days, label, validation.train_on_labels(days, label, 0.1, PROMISES, 1, SEED, True, silent)


def test_one_outer_fold_measures_a_fifth_of_those_whose_label_and_days_are_known(labelled):
    _, _, outcome = labelled
    n_known = N - N_UNKNOWN
    assert outcome.metrics["n"] == n_known / validation.FOLDS
    assert outcome.metrics["n_thieves"] == N_THIEVES / validation.FOLDS
    assert (outcome.metrics["made"], outcome.metrics["folds"]) == ("labelled", 1)
    assert outcome.metrics["ranking"]["roc_auc"]["value"] > 0.9


def test_detectors_members_and_ensemble_stand_side_by_side(labelled):
    rows = labelled[2].metrics["models"]
    assert [row["model"] for row in rows] == [*SINGLES, *MEMBERS, "ensemble"]
    assert rows[-1]["roc_auc"] == labelled[2].metrics["ranking"]["roc_auc"]


def test_the_final_model_is_fitted_on_all_and_suspects_at_the_prior_it_was_cut_for(labelled):
    days, label, outcome = labelled
    assert outcome.thresholds["theft_share"] == 0.1
    assert outcome.model.theft_share == pytest.approx(N_THIEVES / (N - N_UNKNOWN))
    found = suspected(outcome, days, 0.1)
    assert found[label == 0].mean() < 0.1
    assert found[:N_THIEVES].mean() > 0.8


def test_who_only_measures_fits_no_model_of_all(labelled, monkeypatch):
    days, label, outcome = labelled
    fitted, fit = [], validation.fit_labelled
    monkeypatch.setattr(validation, "fit_labelled", lambda *given: fitted.append(len(given[0].label)) or fit(*given))
    measured = validation.train_on_labels(days, label, 0.1, PROMISES, 1, SEED, True, silent, only_measure=True)
    assert fitted == [(N - N_UNKNOWN) * (validation.FOLDS - 1) / validation.FOLDS]
    assert (measured.model, measured.thresholds) == (None, {})
    assert measured.metrics == outcome.metrics


def test_nobody_is_measured_by_a_model_that_has_seen_it(monkeypatch):
    """Every client's number is its first day's consumption, by which it is known wherever it turns up."""
    kwh = robbed(town(60, 60), np.arange(25), 30)
    kwh[:, 0] = np.arange(60) + 0.5
    fitted_on, measured, unspied = [], [], validation.reading_matrix

    def fit_labelled(sample, *_others):
        fitted_on.append(set(sample.household.tolist()))
        return dataclasses.replace(model, theft_share=float(sample.label.mean())), Fitted(sample.label * 2.0 - 1.0)

    def evidence_of(days, *others):
        measured.append({int(kwh) for kwh in days.kwh[days.segments.starts]})
        return unspied(days, *others)

    days, label = days_of(kwh), (np.arange(60) < 25).astype(float)
    model = validation.train_on_labels(days, label, 0.1, PROMISES, 1, SEED, True, silent).model
    monkeypatch.setattr(validation, "fit_labelled", fit_labelled)
    monkeypatch.setattr(validation, "reading_matrix", evidence_of)
    outcome = validation.train_on_labels(days, label, 0.1, PROMISES, validation.FOLDS, SEED, True, silent)
    *folds, everybody = fitted_on
    tested = measured[1 : 2 * validation.FOLDS : 2]  # after each fit on the others
    assert len(folds) == len(tested) == validation.FOLDS
    for fit_on, test in zip(folds, tested, strict=True):
        assert fit_on | test == everybody == set(range(60))
        assert not fit_on & test
    assert sorted(client for test in tested for client in test) == list(range(60))
    assert outcome.metrics["n"] == 60


@dataclasses.dataclass(frozen=True)
class Fitted:
    log_odds: np.ndarray


@pytest.mark.parametrize(
    ("n_thieves", "n_honest", "n_days", "words"),
    [
        (MIN_PER_LABEL - 1, 60, 30, "19 clients labelled 1 and 60 labelled 0"),
        (60, MIN_PER_LABEL - 1, 30, "60 clients labelled 1 and 19 labelled 0"),
        (40, 40, MIN_DAYS - 1, "0 clients labelled 1 and 0 labelled 0"),
    ],
)
def test_too_few_of_a_kind_with_enough_days_end_in_a_sentence(n_thieves, n_honest, n_days, words):
    label = np.repeat([1.0, 0.0], [n_thieves, n_honest])
    with pytest.raises(TrainingError, match=words) as raised:
        validation.train_on_labels(days_of(town(len(label), n_days)), label, 0.1, PROMISES, 1, SEED, True, silent)
    assert str(raised.value).endswith(".")


# --- one by one -------------------------------------------------------------------------------------------------------


def test_each_detector_and_member_by_itself_finds_a_large_theft_more_suspicious(fitted):
    kwh = robbed(town(60, N_DAYS, seed=8), np.arange(30), N_DAYS - 30, 0.05)
    scores = validation.detector_scores(fitted, reading_matrix(days_of(kwh), {}, fitted.surroundings))
    assert list(scores) == [*SINGLES, *MEMBERS]
    for name, values in scores.items():
        assert values.dtype == np.float64
        assert np.median(values[:30]) > np.median(values[30:]), name


# --- days to detection ------------------------------------------------------------------------------------------------


def attacked(kwh, onset, stolen, loss):
    """An attacked file of series that begin together; onset in days from the first."""
    n = len(kwh)
    label = np.array(stolen, int)
    kind, when = np.where(label == 1, "zero", "honest").astype(object), np.where(label == 1, FIRST + onset, -1)
    return AttackedHouseholds(days_of(kwh), None, label, kind, np.arange(n), when, np.full(n, loss) * label, PUBLISHED)


def test_a_total_theft_is_found_within_weeks_as_the_series_grows(fitted):
    onset = 140
    kwh = robbed(town(60, N_DAYS, seed=5), np.arange(10), onset, 0.0)
    file = attacked(kwh, onset, np.arange(60) < 10, 1.0)
    least = score_at_rate(fitted.log_ratio(reading_matrix(file.days, {}, None))[10:], 0.05)
    growing = validation._scores_over_time(fitted, file)
    assert growing.shape == (10, len(DELAYS))
    found = latency(growing, least)
    assert found["found"]["share"] == 1
    assert found["days_quartiles"][1] <= 14


def test_on_each_delay_a_client_is_judged_by_what_was_read_until_then(fitted):
    onset, kwh = 140, robbed(town(1, N_DAYS, seed=5), [0], 140, 0.0)
    growing = validation._scores_over_time(fitted, attacked(kwh, onset, [1], 1.0))
    for delay, score in zip(DELAYS, growing[0], strict=True):
        if onset + delay <= N_DAYS:
            so_far = reading_matrix(days_of(kwh[:, : onset + delay]), {}, None)
            assert score == fitted.log_ratio(so_far)[0]
        else:
            assert np.isnan(score), "the series ends before"


@pytest.mark.parametrize(
    ("onset", "stolen", "loss"),
    [(140, [0], 1.0), (140, [1], validation.LARGE_LOSS - 0.01), (validation.MIN_DAYS_BEFORE - 1, [1], 1.0)],
    ids=["honest", "a small theft", "too little before"],
)
def test_days_to_detection_are_told_of_large_thefts_with_a_history_alone(fitted, onset, stolen, loss):
    assert validation._scores_over_time(fitted, attacked(town(1, N_DAYS), onset, stolen, loss)).shape == (
        0,
        len(DELAYS),
    )


# --- households attacked ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attack():
    """(outcome, every call of make_training_sets: households, days of the base, seed, plans) on eighty households."""
    calls, unspied = [], validation.make_training_sets

    def spied(base, households, covariates, plans, seed):
        calls.append((set(households.tolist()), base.kwh.shape[1], seed, plans))
        return unspied(base, households, covariates, plans, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "make_training_sets", spied)
        outcome = validation.train_on_attacks(
            HonestHouseholds(town(80, N_DAYS), FIRST), 0.065, PROMISES, SEED, True, silent
        )
    return outcome, calls


def test_households_that_measure_are_none_that_were_fitted_on(attack):
    _, (fit_on, *tests, past, future, final) = attack
    assert [len(of) for of, *_ in (fit_on, *tests)] == [56, 16, 16, 16, 16]
    assert tests[0][0] == tests[1][0]
    assert not fit_on[0] & set().union(*(of for of, *_ in tests))
    assert past[0] == fit_on[0]
    assert future[0] <= tests[0][0]
    assert final[0] == fit_on[0] | tests[0][0]
    seeds = [seed for _, _, seed, _ in (fit_on, tests[0], tests[-1], past, future, final)]
    assert len(set(seeds)) == len(seeds)


def test_thefts_of_unknown_kinds_have_a_part_that_no_training_file_has(attack):
    outcome, (fit_on, *tests, _, _, final) = attack
    (unknown,) = {plan.compositions for plan in tests[-1][3]}
    trained = {part for plan in (*fit_on[3], *final[3]) for each in plan.compositions for part in each}
    assert all(set(each) - trained for each in unknown)
    found = outcome.metrics["unknown"]
    assert found["n"] > found["n_thieves"] > 0
    assert set(found["ranking"]) == set(outcome.metrics["metered"]["ranking"])


def test_the_past_ends_before_the_future_thefts_begin(attack):
    outcome, (*_, past, future, _) = attack
    n_past = int(validation.PAST_SHARE * N_DAYS)
    assert (past[1], future[1]) == (n_past, N_DAYS)
    assert {plan.age for plan in future[3]} == {(PUBLISHED.age[0], N_DAYS - n_past)}
    assert outcome.metrics["past_to_future"]["until"] == str(np.datetime64(FIRST + n_past - 1, "D"))
    assert outcome.metrics["past_to_future"]["ranking"]["roc_auc"]["value"] > 0.7


def test_both_ways_to_attack_are_measured_with_models_latency_and_onset(attack):
    outcome, _ = attack
    assert outcome.metrics["made"] == "injected"
    assert outcome.metrics["parts"] == [8, 56, 16]
    for words in validation.ATTACKS:
        part = outcome.metrics[words]
        assert part["ranking"]["roc_auc"]["value"] > 0.75
        assert [row["model"] for row in part["models"]] == [*SINGLES, *MEMBERS, "ensemble"]
        assert part["latency"]["n"] > 0
        assert part["onset"]["n"] > 0


def test_the_threshold_is_for_clients_of_whom_few_steal(attack):
    outcome, _ = attack
    assert outcome.thresholds["theft_share"] == 0.065
    honest = days_of(town(100, N_DAYS, seed=77))
    assert suspected(outcome, honest, 0.065).mean() < 0.1


@pytest.mark.parametrize(
    ("n", "n_days"), [(validation.MIN_HOUSEHOLDS - 1, 120), (80, validation.MIN_HOUSEHOLD_DAYS - 1)]
)
def test_too_few_households_or_days_to_attack_end_in_a_sentence(n, n_days):
    with pytest.raises(TrainingError, match=r"at least 60 are needed\.$"):
        validation.train_on_attacks(HonestHouseholds(town(n, n_days), FIRST), 0.065, PROMISES, SEED, True, silent)
