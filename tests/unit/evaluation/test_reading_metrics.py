"""Metrics of a score on readings, worked by hand, and their invariants."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.evaluation import reading_metrics as ev
from fairmeter.evaluation.metrics import cumulative_hits, pr_auc, roc_auc
from fairmeter.evaluation.reading_metrics import DELAYS, MIN_CLIENTS, RATES, AttackOutcome
from fairmeter.training.attacks import HONEST

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=40)
RATE = st.floats(0, 1)


def twenty_honest():
    """Scores 1 .. 20, in no order."""
    return np.random.default_rng(0).permutation(np.arange(1.0, 21.0))


# --- at a false-positive rate -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "reach"), [(0.0, 0), (0.01, 0), (0.05, 1), (0.1, 2), (0.149, 2), (0.15, 3), (0.5, 10), (1.0, 20)]
)
def test_honest_clients_that_reach_the_score_of_a_rate(rate, reach):
    honest = twenty_honest()
    assert np.sum(honest >= ev.score_at_rate(honest, rate)) == reach


def test_the_score_is_just_above_the_first_honest_client_that_may_not_reach_it():
    assert ev.score_at_rate(twenty_honest(), 0.05) == np.nextafter(19.0, np.inf)


def test_equal_scores_are_all_above_the_score_or_all_below():
    honest = np.array([5.0, 5.0, *range(-18, 0)])
    assert np.sum(honest >= ev.score_at_rate(honest, 0.05)) == 0
    assert np.sum(honest >= ev.score_at_rate(honest, 0.1)) == 2


@given(SCORES, RATE)
def test_no_more_honest_than_allowed_reach_the_score(honest, rate):
    assert np.mean(np.array(honest) >= ev.score_at_rate(np.array(honest), rate)) <= rate + 1e-9


@given(SCORES, SCORES, RATE, RATE)
def test_recall_never_falls_when_more_false_alarms_are_allowed(honest, thieves, one, other):
    label = np.repeat([0, 1], [len(honest), len(thieves)])
    score, (few, many) = np.array([*honest, *thieves]), sorted((one, other))
    assert ev.recall_at_rate(cumulative_hits(label, score), few) <= ev.recall_at_rate(
        cumulative_hits(label, score), many
    )


def test_recall_is_the_share_of_thieves_at_the_score_of_a_rate():
    label = np.repeat([0, 1], [20, 4])
    score = np.array([*range(1, 21), 19.0, 19.5, 30.0, 0.0])
    assert ev.recall_at_rate(cumulative_hits(label, score), 0.05) == 0.5, (
        "19 is the score of an honest client that may not be suspected"
    )
    assert ev.recall_at_rate(cumulative_hits(label, score), 0.01) == 0.25
    assert ev.recall_at_rate(cumulative_hits(label, score), 1.0) == 1.0


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_recall_of_one_class_is_undefined(label):
    assert np.isnan(ev.recall_at_rate(cumulative_hits(np.array(label), np.array([1.0, 2.0])), 0.05))


def test_the_score_of_a_rate_is_undefined_without_honest_clients():
    assert np.isnan(ev.score_at_rate(np.array([]), 0.05))


# --- ranking ----------------------------------------------------------------------------------------------------------


def test_ranking_of_a_perfect_score():
    label = np.repeat([0, 1], [20, 10])
    found = ev.ranking(label, label.astype(float), np.arange(30))
    assert set(found) == {"roc_auc", "pr_auc", "recall_at_5%", "recall_at_1%"}
    assert {figure["value"] for figure in found.values()} == {1.0}
    # Ten thieves do not show that the next one is found too.
    assert all(0.6 < figure["interval"][0] < 0.95 and figure["interval"][1] == 1.0 for figure in found.values())


def test_intervals_contain_the_value_and_are_reproducible():
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], 150)
    score, household = rng.normal(size=300) + label, rng.integers(0, 100, 300)
    found = ev.ranking(label, score, household)
    assert all(f["interval"][0] <= f["value"] <= f["interval"][1] for f in found.values())
    assert all(f["interval"][0] < f["interval"][1] for f in found.values())
    assert found == ev.ranking(label, score, household)


def test_clients_of_one_household_are_resampled_together():
    household = np.array([7, 3, 7, 3, 9, 7])
    for n_drawn in ev._household_draws(household):
        by_household = {name: set(n_drawn[household == name].tolist()) for name in (3, 7, 9)}
        assert all(len(n) == 1 for n in by_household.values()), "equal weights within a household"
        assert sum(n.pop() for n in by_household.values()) == 3


def test_weights_of_a_resample_give_the_figures_of_its_rows():
    rng = np.random.default_rng(4)
    label, score = rng.integers(0, 2, 60), np.round(rng.normal(size=60), 1)
    steps, household = cumulative_hits(label, score), rng.integers(0, 20, 60)
    for n_drawn, _ in zip(ev._household_draws(household), range(20), strict=False):
        rows = np.repeat(np.arange(60), n_drawn)
        by_rows = [roc_auc(label[rows], score[rows]), pr_auc(label[rows], score[rows])]
        by_rows += [ev.recall_at_rate(cumulative_hits(label[rows], score[rows]), rate) for rate in ev.RATES]
        assert ev._ranking_figures(steps.weighted(n_drawn)) == pytest.approx(by_rows)


def test_copies_of_a_client_in_one_household_do_not_narrow_intervals():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 40)
    score = rng.normal(size=80) + label
    once = ev.ranking(label, score, np.arange(80))
    copied = ev.ranking(np.tile(label, 5), np.tile(score, 5), np.tile(np.arange(80), 5))
    assert copied["roc_auc"]["value"] == pytest.approx(once["roc_auc"]["value"])
    assert copied["roc_auc"]["interval"] == pytest.approx(once["roc_auc"]["interval"])


def test_labels_of_one_class_have_no_ranking():
    assert set(ev.ranking(np.zeros(5, int), np.arange(5.0), np.arange(5)).values()) == {None}


# --- comparison of models ---------------------------------------------------------------------------------------------


def test_models_are_compared_on_the_same_clients_in_the_order_given():
    label = np.repeat([0, 1], 20)
    rows = ev.compare(label, {"bad": -label.astype(float), "good": label.astype(float)}, np.arange(40))
    assert [(row["model"], row["roc_auc"]["value"]) for row in rows] == [("bad", 0.0), ("good", 1.0)]


def test_a_missing_score_counts_as_the_lowest():
    label, household = np.array([0, 0, 1, 1]), np.arange(4)
    blind = ev.compare(label, {"m": np.array([1.0, 2.0, 3.0, np.nan])}, household)[0]
    # The thief without a score ties with the lowest honest client and loses to the other.
    assert blind["roc_auc"]["value"] == pytest.approx((2 + 0.5) / 4)
    assert ev.compare(label, {"m": np.full(4, np.nan)}, household)[0]["roc_auc"]["value"] == 0.5


# --- all figures ------------------------------------------------------------------------------------------------------


def attacked():
    """40 unchanged honest with scores 1 .. 40, 10 on holiday, 10 of `zero`, 9 of `rare`, each of its own household."""
    kind = np.repeat([HONEST, "holiday", "zero", "rare"], [40, 10, 10, 9])
    label = np.repeat([0, 1], [50, 19])
    score = np.array([*np.arange(1.0, 41.0), 100.0, *np.zeros(9), *np.full(5, 39.5), *np.full(5, 200.0), *np.zeros(9)])
    loss = np.array([*np.zeros(50), *np.full(10, 0.2), *np.full(9, 1.0)])
    return label, score, AttackOutcome(kind, loss, np.arange(69))


def test_figures_count_the_measured_clients():
    found = ev.figures(*attacked(), HONEST)
    assert {key: found[key] for key in ("n", "n_thieves", "n_households")} == {
        "n": 69,
        "n_thieves": 19,
        "n_households": 69,
    }


def test_recall_of_a_pattern_uses_the_threshold_of_all_honest_clients():
    # Of 50 honest two may be suspected at 5 %: the holiday with 100 and the one with 40; at 1 % none may.
    assert ev.figures(*attacked(), HONEST)["by_pattern"] == {
        "zero": {"n": 10, "recall_at_5%": 1.0, "recall_at_1%": 0.5}
    }


def test_patterns_and_changes_of_few_clients_are_left_out():
    label, score, outcome = attacked()
    found = ev.figures(label, score, outcome, HONEST)
    assert np.sum(outcome.kind == "rare") == MIN_CLIENTS - 1
    assert "rare" not in found["by_pattern"]
    assert set(found["harmless"]) == {"all", HONEST, "holiday"}


def test_a_theft_is_counted_under_its_loss_lower_end_included():
    by_loss = ev.figures(*attacked(), HONEST)["by_loss"]
    assert {words: row["n"] for words, row in by_loss.items()} == {"0% to 20%": 0, "20% to 50%": 10, "50% to 100%": 9}
    assert by_loss["0% to 20%"] == {"n": 0, "recall_at_5%": None, "recall_at_1%": None}
    assert by_loss["50% to 100%"] == {"n": 9, "recall_at_5%": 0.0, "recall_at_1%": 0.0}


def test_harmless_changes_use_the_threshold_of_unchanged_clients():
    harmless = ev.figures(*attacked(), HONEST)["harmless"]
    # Of 40 unchanged two may be suspected: 39 and 40.
    assert harmless[HONEST] == {"n": 40, "share": 0.05}
    assert harmless["all"] == harmless["holiday"] == {"n": 10, "share": 0.1}


def test_shares_are_none_without_unchanged_clients():
    label, score, outcome = attacked()
    found = ev.figures(label, score, outcome._replace(kind=np.where(label == 0, "holiday", outcome.kind)), HONEST)
    assert found["harmless"][HONEST] == {"n": 0, "share": None}
    assert found["harmless"]["all"] == {"n": 50, "share": None}


def test_every_figure_is_plain_json():
    label, score, outcome = attacked()
    found = ev.figures(label, score, outcome._replace(kind=outcome.kind.astype(object)), HONEST)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


# --- days to detection ------------------------------------------------------------------------------------------------


def growing(*found_on, ends=None):
    """Scores on each of DELAYS: 1 from the given delay on, 0 before, NaN after the series' end [days]."""
    scores = np.array([[float(found is not None and delay >= found) for delay in DELAYS] for found in found_on])
    return np.where(np.array(DELAYS) <= (ends or max(DELAYS)), scores, np.nan)


def test_latency_is_the_first_day_on_which_the_score_is_reached():
    assert ev.latency(growing(7, 14, 21, 60), 1.0) == {
        "n": 4,
        "found": {"n": 4, "share": 1.0},
        "days_quartiles": [7.0, 14.0, 21.0],
    }


def test_a_thief_is_detected_though_its_score_falls_again():
    scores = growing(None)
    scores[0, DELAYS.index(10)] = 1.0
    assert ev.latency(scores, 1.0)["days_quartiles"] == [10.0] * 3


def test_a_thief_never_detected_counts_as_later_than_all():
    assert ev.latency(growing(5, 5, 180, None), 1.0)["days_quartiles"] == [5.0, 5.0, 180.0]
    found = ev.latency(growing(180, None, None, None), 1.0)
    assert found["days_quartiles"] == [180.0, None, None]
    assert found["found"] == {"n": 4, "share": 0.25}


def test_no_thief_is_detected_after_its_series_ends():
    assert ev.latency(growing(21, ends=14), 0.5)["days_quartiles"] == [None] * 3
    assert ev.latency(growing(14, ends=14), 0.5)["days_quartiles"] == [14.0] * 3


def test_a_lower_threshold_never_detects_later():
    scores = np.random.default_rng(3).normal(size=(50, len(DELAYS)))
    days = [ev.latency(scores, threshold)["days_quartiles"] for threshold in (2.0, 1.0, 0.0)]
    strict, middle, lax = np.array([[np.inf if day is None else day for day in row] for row in days])
    assert (lax <= middle).all()
    assert (middle <= strict).all()


def test_latency_without_thieves_is_none():
    nobody = ev.latency(np.empty((0, len(DELAYS))), 0.0)
    assert nobody == {"n": 0, "found": {"n": 0, "share": None}, "days_quartiles": [None] * 3}


# --- onset ------------------------------------------------------------------------------------------------------------


def test_onset_error_is_the_distance_in_days_to_either_side():
    found = ev.onset_error(np.array([100, 100, 100, 100]), np.array([90.0, 103.0, 160.0, 161.0]))
    assert found == {"n": 4, "median_days": (10 + 60) / 2, "within": {"n": 4, "share": 0.75}}


def test_a_thief_without_an_estimated_onset_is_not_counted():
    assert ev.onset_error(np.array([100, 100]), np.array([np.nan, 102.0]))["n"] == 1


@pytest.mark.parametrize("estimated", [[], [np.nan]])
def test_without_an_estimated_onset_the_error_is_none(estimated):
    found = ev.onset_error(np.full(len(estimated), 100), np.array(estimated))
    assert found == {"n": 0, "median_days": None, "within": {"n": 0, "share": None}}


def test_recall_is_given_from_the_laxer_rate_to_the_stricter():
    assert list(RATES) == sorted(RATES, reverse=True)
