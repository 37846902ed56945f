"""Metrics against scikit-learn, against numbers worked by hand, and their invariances."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import t
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from fairmeter.evaluation import metrics as m

# Five clients, worked by hand: the ranked list reads 1 0 1 0 0.
Y = np.array([1, 0, 1, 0, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.3, 0.1])


@st.composite
def labelled(draw, low=2, high=60):
    """Labels of both classes and scores with ties; quarters, so that sums and products of them are exact."""
    n = draw(st.integers(low, high))
    y = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    assume(0 < y.sum() < n)
    return y, draw(hnp.arrays(np.int64, n, elements=st.integers(-8, 8))) / 4


@pytest.fixture(scope="module")
def clients():
    """Labels sampled from the scores: calibrated by construction, about 6 % fraud."""
    rng = np.random.default_rng(3)
    score = 1 / (1 + np.exp(-(rng.normal(size=4000) * 1.3 - 3.4)))
    return (rng.random(4000) < score).astype(int), score


def delong_by_pairs(y, score):
    """DeLong's interval as first published, over all pairs."""
    wins = (score[y == 1][:, None] > score[y == 0]) + 0.5 * (score[y == 1][:, None] == score[y == 0])
    ends = [wins.mean(axis=axis).var(ddof=1) / wins.shape[1 - axis] for axis in (0, 1)]
    half = m.Z95 * np.sqrt(sum(ends))
    return max(wins.mean() - half, 0), min(wins.mean() + half, 1)


def test_metrics_of_five_clients_worked_by_hand():
    assert m.roc_auc(Y, SCORE) == pytest.approx(5 / 6)
    assert m.pr_auc(Y, SCORE) == pytest.approx((1 + 2 / 3) / 2)
    assert m.precision_at_k(Y, SCORE, 0.4) == 0.5
    assert m.brier(Y, SCORE) == pytest.approx((0.01 + 0.64 + 0.09 + 0.09 + 0.01) / 5)
    assert m.calibration_error(Y, SCORE, bins=5) == pytest.approx((0.1 + 0.8 + 0.3 + 0.3 + 0.1) / 5)
    assert m.calibration_error(Y, SCORE, bins=1) == pytest.approx(abs(2.8 - 2) / 5)


def test_a_list_that_ends_inside_equal_scores_has_their_frauds_in_proportion():
    y, score = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert m.precision_at_k(y, score, 0.4) == pytest.approx((1 + 1 / 3) / 2)


@given(labelled())
def test_areas_and_brier_equal_those_of_scikit_learn(case):
    y, score = case
    assert m.roc_auc(y, score) == pytest.approx(sk.roc_auc_score(y, score), abs=1e-12)
    assert m.pr_auc(y, score) == pytest.approx(sk.average_precision_score(y, score), abs=1e-12)
    chance = (score + 2) / 4
    assert m.brier(y, chance) == pytest.approx(sk.brier_score_loss(y, chance), abs=1e-12)


@given(labelled())
def test_curves_equal_those_of_scikit_learn_where_nothing_is_thinned(case):
    y, score = case
    falses, recall, _ = sk.roc_curve(y, score, drop_intermediate=False)
    roc = m.roc_curve(y, score)
    assert roc["false_positive_rate"] == pytest.approx(falses.tolist(), abs=1e-6)
    assert roc["recall"] == pytest.approx(recall.tolist(), abs=1e-6)
    precision, recall, scores = sk.precision_recall_curve(y, score)
    pr = m.pr_curve(y, score)
    assert pr["precision"] == pytest.approx(precision[-2::-1].tolist(), abs=1e-6)
    assert pr["recall"] == pytest.approx(recall[-2::-1].tolist(), abs=1e-6)
    assert pr["score"] == pytest.approx(scores[::-1].tolist())


def test_areas_equal_those_of_scikit_learn_on_many_clients(clients):
    assert m.roc_auc(*clients) == pytest.approx(sk.roc_auc_score(*clients), abs=1e-12)
    assert m.pr_auc(*clients) == pytest.approx(sk.average_precision_score(*clients), abs=1e-12)


def test_the_reliability_table_equals_that_of_scikit_learn(clients):
    share, mean = calibration_curve(*clients, n_bins=10, strategy="quantile")
    rows = m.reliability_table(*clients)
    assert [row["mean_score"] for row in rows] == pytest.approx(mean.tolist(), abs=1e-12)
    assert [row["fraud_share"]["value"] for row in rows] == pytest.approx(share.tolist(), abs=1e-12)
    error = sum(row["n"] * abs(row["mean_score"] - row["fraud_share"]["value"]) for row in rows) / len(clients[0])
    assert m.calibration_error(*clients) == pytest.approx(error, abs=1e-12)


@given(labelled(), st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_the_rows(case, random):
    y, score = case
    order = np.array(random.sample(range(y.size), y.size))
    chance = (score + 2) / 4
    for figure in (m.roc_auc, m.pr_auc, m.delong_interval):
        assert figure(y, score) == pytest.approx(figure(y[order], score[order]), nan_ok=True)
    assert m.precision_at_k(y, score, 0.3) == pytest.approx(m.precision_at_k(y[order], score[order], 0.3))
    assert m.calibration_error(y, chance) == pytest.approx(m.calibration_error(y[order], chance[order]))
    assert m.visits_curve(y, score) == m.visits_curve(y[order], score[order])


@given(labelled())
def test_ranking_figures_depend_on_the_order_of_scores_only(case):
    y, score = case
    for figure in (m.roc_auc, m.pr_auc, m.delong_interval, lambda *of: m.precision_at_k(*of, 0.2)):
        assert figure(y, np.exp(score)) == pytest.approx(figure(y, score), nan_ok=True)


@given(labelled())
def test_reversed_scores_mirror_the_roc_auc(case):
    y, score = case
    assert m.roc_auc(y, -score) == pytest.approx(1 - m.roc_auc(y, score))


@given(labelled(low=6))
def test_the_fast_delong_interval_equals_the_one_over_all_pairs(case):
    y, score = case
    assume(2 <= y.sum() <= y.size - 2)
    assert m.delong_interval(y, score) == pytest.approx(delong_by_pairs(y, score), abs=1e-12)


def test_delong_and_bootstrap_agree_on_the_interval(clients):
    def area(steps, _):
        hits, falses = np.append(0, steps.hits), np.append(0, steps.n - steps.hits)
        return [np.trapezoid(hits, falses) / (hits[-1] * falses[-1])]

    resampled = m.percentiles(m.bootstrap(*clients, area))
    assert resampled == pytest.approx(m.delong_interval(*clients), abs=0.005)


def test_a_weighted_list_equals_the_list_of_repeated_rows():
    rows = np.array([0, 0, 2, 3, 4, 4, 1])
    weighted = m.cumulative_hits(Y, SCORE).weighted(np.bincount(rows))
    assert weighted.pr_auc() == pytest.approx(m.pr_auc(Y[rows], SCORE[rows]))


def test_equal_seeds_give_equal_draws_and_other_seeds_others(clients):
    figures = lambda steps, _: [steps.pr_auc()]  # noqa: E731
    first, again = (m.bootstrap(*clients, figures, resamples=5, seed=1) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, m.bootstrap(*clients, figures, resamples=5, seed=2))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.277533), (5, 10, 0.236593, 0.763407), (10, 10, 0.722467, 1.0)],
)
def test_wilson_intervals_are_the_published_ones(hits, n, low, high):
    assert m.wilson_interval(hits, n) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wilson_interval_holds_its_share_and_stays_within_0_and_1(n, share):
    low, high = m.wilson_interval(share * n, n)
    assert 0 <= low <= share * n / n <= high <= 1


def test_f1_and_its_interval_follow_the_jaccard_index():
    found = m.f1_estimate(hits=30, suspected=60, frauds=50)
    low, high = m.wilson_interval(30, 80)
    assert found["value"] == pytest.approx(2 * 30 / (60 + 50))
    assert found["interval"] == pytest.approx([2 * low / (1 + low), 2 * high / (1 + high)])


@pytest.mark.parametrize("folds", [2, 3, 5, 10, 11, 31])
def test_t_quantiles_equal_those_of_scipy(folds):
    assert m.t95(folds - 1) == pytest.approx(t.ppf(0.975, folds - 1), abs=2e-4)


def test_the_mean_over_folds_has_a_t_interval_worked_by_hand():
    found = m.mean_estimate([0.1, 0.2, 0.3])
    half = 4.302653 * 0.1 / np.sqrt(3)
    assert found["value"] == pytest.approx(0.2)
    assert found["interval"] == pytest.approx([0.2 - half, 0.2 + half])
    assert found["folds"] == [0.1, 0.2, 0.3]


def test_thinned_curves_keep_the_area_and_the_ends(clients):
    rng = np.random.default_rng(0)
    y, score = np.tile(clients[0], 10), np.tile(clients[1], 10) * rng.uniform(0.9, 1.1, 40_000)
    roc, pr = m.roc_curve(y, score), m.pr_curve(y, score)
    assert max(len(roc["recall"]), len(pr["recall"])) <= m.N_POINTS
    assert (roc["recall"][0], roc["recall"][-1], roc["false_positive_rate"][-1]) == (0, 1, 1)
    assert np.trapezoid(roc["recall"], roc["false_positive_rate"]) == pytest.approx(m.roc_auc(y, score), abs=1e-3)
    assert np.trapezoid(pr["precision"], pr["recall"]) == pytest.approx(m.pr_auc(y, score), abs=5e-3)


def test_the_visits_curve_starts_with_the_first_ten_and_ends_with_all(clients):
    curve = m.visits_curve(*clients)
    assert (curve["visits"][0], curve["visits"][-1], curve["recall"][-1]) == (10, 4000, 1)
    assert curve["precision"][-1] == pytest.approx(clients[0].mean(), abs=1e-6)
    assert all(
        low <= value <= high for low, value, high in zip(curve["low"], curve["precision"], curve["high"], strict=True)
    )


def test_true_probabilities_have_slope_one_and_an_error_no_greater_than_chance(clients):
    y, score = clients
    slope, error = m.calibration_slope(y, score), m.calibration_error(y, score)
    assert slope["interval"][0] <= 1 <= slope["interval"][1]
    assert error <= 2 * m.calibration_noise(score)


def test_too_extreme_scores_have_a_slope_below_one(clients):
    y, score = clients
    odds = 2 * np.log(score / (1 - score))
    assert m.calibration_slope(y, 1 / (1 + np.exp(-odds)))["value"] == pytest.approx(
        m.calibration_slope(y, score)["value"] / 2, rel=1e-3
    )


def test_the_calibration_slope_is_that_of_an_unpenalised_logistic_regression(clients):
    y, score = clients
    odds = np.log(score / (1 - score))[:, None]
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(odds, y)
    assert m.calibration_slope(y, score)["value"] == pytest.approx(fitted.coef_[0, 0], abs=1e-4)


def test_one_class_or_one_score_leaves_undefined_figures_undefined():
    ones, score = np.ones(4), np.array([0.1, 0.2, 0.3, 0.4])
    assert np.isnan(m.roc_auc(ones, score))
    assert np.isnan(m.pr_auc(0 * ones, score))
    assert np.isnan(m.delong_interval(Y[:3], SCORE[:3])).all()
    assert m.share_estimate(0, 0) is None
    assert m.f1_estimate(0, 0, 0) is None
    assert m.calibration_slope(ones, score) is None
    assert m.calibration_slope(Y, np.full(5, 0.4)) is None
    assert m.roc_curve(ones, score)["false_positive_rate"] == [0.0, None, None, None, None]
    assert m.mean_estimate([0.3])["interval"] is None


def test_one_score_for_all_is_no_better_than_chance():
    same = np.full(5, 0.4)
    assert m.roc_auc(Y, same) == 0.5
    assert m.pr_auc(Y, same) == m.precision_at_k(Y, same, 0.2) == 0.4
    assert m.calibration_error(Y, same) == pytest.approx(0)


@pytest.mark.parametrize(
    ("y", "score", "message"),
    [
        ([0, 1], [0.5], "one of each per client"),
        ([], [], "one of each per client"),
        ([0, 1], [0.5, np.nan], "1 of 2 scores are NaN"),
        ([0, 2], [0.5, 0.4], r"must be 0 or 1; got \[0.0, 2.0\]"),
        ([0, np.nan], [0.5, 0.4], "must be 0 or 1"),
    ],
)
def test_invalid_labels_and_scores_raise_with_a_reason(y, score, message):
    with pytest.raises(m.ScoreError, match=message):
        m.roc_auc(y, score)


# --- few clients ------------------------------------------------------------------------------------------------------


def test_few_clients_that_are_ranked_perfectly_leave_their_roc_auc_uncertain():
    """28 clients, 14 of each kind: DeLong's interval of them is 1.000 to 1.000."""
    y, score = np.repeat([0.0, 1.0], 14), np.arange(28.0)
    assert m.delong_interval(y, score) == (1.0, 1.0)
    found = m.auc_estimate(y, score)
    low, high = found["interval"]
    assert (found["value"], high) == (1.0, 1.0)
    assert 0.75 < low < 0.95


@pytest.mark.parametrize("n", [6, 20, 60])
def test_the_interval_of_few_clients_holds_the_true_roc_auc_about_as_often_as_it_says(n):
    """Normal scores, a standard deviation and a half apart: 0.856."""
    rng, true = np.random.default_rng(n), 0.8556
    hits = 0
    for _ in range(200):
        score = np.append(rng.normal(0, 1, n), rng.normal(1.5, 1, n))
        low, high = m.auc_estimate(np.repeat([0.0, 1.0], n), score)["interval"]
        hits += low <= true <= high
    assert hits >= 182  # 91 %: chance alone leaves 190 rarely so far


def test_the_interval_of_many_clients_is_delongs(clients):
    assert m.auc_estimate(*clients)["interval"] == pytest.approx(list(m.delong_interval(*clients)))


def test_a_share_of_few_clients_is_never_certain():
    certain = {"value": 1.0, "interval": [1.0, 1.0]}
    assert m.widened(certain, 10)["interval"] == pytest.approx(list(m.wilson_interval(10, 10)))
    assert m.widened(certain, 5000)["interval"][0] < 1.0
    wide = {"value": 0.5, "interval": [0.1, 0.9]}
    assert m.widened(wide, 50) == wide
    assert m.widened(None, 50) is None
