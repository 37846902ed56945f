"""Threshold, severities, groups, comparison of models and outer folds, on labels sampled from their scores."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fairmeter.evaluation import metrics as m
from fairmeter.evaluation import model_evaluation as ev

Y = np.array([1, 0, 1, 0, 0])
SCORE = np.array([0.9, 0.8, 0.7, 0.3, 0.1])


def drawn(n, seed=0):
    """Labels, and the probabilities they were sampled with: about 6 % fraud."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-(rng.normal(size=n) * 1.3 - 3.4)))
    return (rng.random(n) < score).astype(int), score


@pytest.fixture(scope="module")
def clients():
    return drawn(5000)


@pytest.fixture(scope="module")
def result(clients):
    y, score = clients
    rng = np.random.default_rng(1)
    region = rng.choice([101.0, 103.0, np.nan], y.size)
    return ev.evaluate(y, score, 0.2, {"region": region, "history": ev.history_quintile(rng.integers(1, 80, y.size))})


def estimates(node):
    """All estimates in a result, at any depth."""
    if isinstance(node, dict) and "value" in node and "interval" in node:
        yield node
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from estimates(part)


# Threshold and severities


def test_a_score_at_the_threshold_is_suspected():
    assert ev.confusion(Y, SCORE >= 0.7) == {
        "true_positive": 2, "false_positive": 1, "false_negative": 0, "true_negative": 2,
    }  # fmt: skip
    found = ev.at_threshold(Y, SCORE, 0.7)
    assert [found[key]["value"] for key in ("precision", "recall", "f1", "false_positive_rate", "suspected_share")] == (
        pytest.approx([2 / 3, 1, 0.8, 1 / 3, 0.6])
    )


def test_figures_at_a_threshold_equal_those_of_scikit_learn(clients):
    y, score = clients
    found = ev.at_threshold(y, score, 0.15)
    precision, recall, f1, _ = precision_recall_fscore_support(y, score >= 0.15, average="binary")
    assert [found[key]["value"] for key in ("precision", "recall", "f1")] == pytest.approx([precision, recall, f1])
    (true_negative, false_positive), (false_negative, true_positive) = confusion_matrix(y, score >= 0.15)
    assert list(found["confusion"].values()) == [true_positive, false_positive, false_negative, true_negative]


def test_each_row_may_have_the_threshold_of_its_own_fold():
    found = ev.at_threshold(Y, SCORE, np.array([0.95, 0.5, 0.5, 0.5, 0.05]))
    assert list(found["confusion"].values()) == [1, 2, 1, 1]


def test_precision_is_undefined_without_suspected_clients():
    found = ev.at_threshold(Y, SCORE, 2.0)
    assert found["precision"] is None
    assert found["recall"]["value"] == 0


def test_the_best_threshold_has_the_highest_f1_of_all_scores(clients):
    y, score = clients
    best = ev.best_threshold(y, score)
    f1 = [ev.at_threshold(y, score, cut)["f1"]["value"] for cut in np.quantile(score, np.linspace(0, 1, 200))]
    assert best in score
    assert ev.at_threshold(y, score, best)["f1"]["value"] >= max(f1)
    assert ev.best_threshold(Y, SCORE) == 0.7


@pytest.mark.parametrize(
    ("honest_weight", "best"),
    [
        (0.1, 0.7),  # 2 of 2.1: F1 4 / 4.1
        (1.0, 0.7),  # 2 of 3: F1 4/5, against 2/3 of the highest alone
        (2.0, 0.9),  # 2 of 4: F1 4/6, no better than the highest alone, which needs fewer visits
        (10.0, 0.9),  # 2 of 12: F1 4/14
    ],
)
def test_the_best_threshold_weights_honest_clients(honest_weight, best):
    assert ev.best_threshold(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6]), honest_weight) == best


def test_severities_weight_honest_clients():
    """80 of the highest 100 steal; where each honest client represents 4 it is 80 of 160."""
    y, score = np.repeat([1, 0, 1, 0], [80, 20, 20, 80]), np.repeat([0.9, 0.1], 100)
    low, high = m.wilson_interval(80, 100)
    (cut,) = ev.severity_thresholds(y, score, {"high": 0.38}, 4.0).values()
    assert (cut["score"], cut["n"]) == (0.9, 100)
    assert cut["precision"]["value"] == pytest.approx(0.5)
    assert cut["precision"]["interval"] == pytest.approx([low / (low + 4 * (1 - low)), high / (high + 4 * (1 - high))])
    assert ev.severity_thresholds(y, score, {"high": 0.45}, 4.0)["high"]["score"] is None
    assert ev.severity_thresholds(y, score, {"high": 0.45}, 1.0)["high"]["score"] == 0.9


def test_weights_of_one_give_the_thresholds_without_weights(clients):
    promises = {"critical": 0.3, "high": 0.2}
    assert ev.severity_thresholds(*clients, promises, 1.0) == ev.severity_thresholds(*clients, promises)
    assert ev.best_threshold(*clients, 1.0) == ev.best_threshold(*clients)


def test_a_severity_starts_at_the_lowest_score_that_reaches_its_precision(clients):
    y, score = clients
    cut = ev.severity_thresholds(y, score, {"high": 0.25})["high"]
    kept = [
        lowest for lowest in score if m.wilson_interval(y[score >= lowest].sum(), (score >= lowest).sum())[0] >= 0.25
    ]
    assert cut["score"] == min(kept)
    assert cut["n"] == (score >= cut["score"]).sum()
    assert cut["precision"]["interval"][0] >= cut["promised"] == 0.25


def test_a_higher_precision_never_has_a_lower_threshold(clients):
    cuts = ev.severity_thresholds(*clients, {"medium": 0.12, "critical": 0.3, "high": 0.2})
    assert list(cuts) == ["critical", "high", "medium"]
    scores = [cut["score"] for cut in cuts.values()]
    assert scores == sorted(scores, reverse=True)


def test_no_client_gets_a_severity_whose_precision_is_out_of_reach(clients):
    y, score = clients
    cuts = ev.severity_thresholds(y, score, {"critical": 0.999, "high": 0.25})
    assert cuts["critical"] == {"score": None, "promised": 0.999, "n": 0, "precision": None}
    critical, high, low = ev.severity_table(y, score, cuts)
    assert (critical["n"], critical["precision"]) == (0, None)
    assert high["n"] + low["n"] == y.size


def test_the_severity_table_measures_thresholds_on_other_clients(clients):
    cuts = ev.severity_thresholds(*clients, {"critical": 0.3, "high": 0.2, "medium": 0.12})
    y, score = drawn(5000, seed=9)
    rows = ev.severity_table(y, score, cuts)
    assert [row["severity"] for row in rows] == ["critical", "high", "medium", "low"]
    assert sum(row["n"] for row in rows) == y.size
    assert rows[1]["n"] == ((score >= cuts["high"]["score"]) & (score < cuts["critical"]["score"])).sum()
    assert rows[1]["precision_from_here_up"]["value"] == pytest.approx(y[score >= cuts["high"]["score"]].mean())
    assert rows[3]["precision_from_here_up"]["value"] == pytest.approx(y.mean())


# Groups


def test_history_quintiles_are_fifths_named_after_their_range():
    fifths = ev.history_quintile(np.arange(1, 101))
    assert np.unique(fifths, return_counts=True)[1].tolist() == [21, 20, 20, 20, 19]
    assert sorted(set(fifths.tolist()))[0] == "Q1: 1-21 invoices"
    assert ev.history_quintile(np.full(5, 7)).tolist() == ["Q1: 7-7 invoices"] * 5


def test_clients_with_equally_many_invoices_are_in_one_fifth():
    counts = np.array([0, 0, 0, 0, 5, 5, 9, 9, 9, 12])
    fifths = ev.history_quintile(counts)
    assert all(np.unique(fifths[counts == count]).size == 1 for count in counts)


def test_groups_are_named_as_codes_and_small_ones_are_pooled():
    y, score = drawn(900)
    region = np.r_[np.full(400, 103.0), np.full(300, 11.0), np.full(150, 7.0), np.full(50, np.nan)]
    rows = ev.by_group(y, score, region, 0.2, minimum=100)
    assert [(row["value"], row["n"]) for row in rows] == [("7", 150), ("11", 300), ("103", 400), ("other", 50)]
    rows = ev.by_group(y, score, region, 0.2, minimum=200)
    assert [(row["value"], row["n"]) for row in rows] == [("11", 300), ("103", 400), ("other", 200)]
    assert ev.by_group(y, score, np.full(900, None), 0.2)[0]["value"] == "missing"


def test_a_group_is_measured_alone_except_for_the_common_list(clients):
    y, score = clients
    group = np.where(np.arange(y.size) < 2000, "a", "b")
    row = ev.by_group(y, score, group, 0.2)[0]
    own = group == "a"
    assert row["roc_auc"]["value"] == m.roc_auc(y[own], score[own])
    assert row["precision_at_top"]["value"] == pytest.approx(m.precision_at_k(y[own], score[own], 0.1))
    assert row["recall"] == ev.at_threshold(y[own], score[own], 0.2)["recall"]
    listed = own & (score >= np.sort(score)[-500])
    assert row["recall_in_list"]["value"] == pytest.approx(y[listed].sum() / y[own].sum())


def test_the_groups_shares_of_the_common_list_add_up_to_its_recall(clients):
    y, score = clients
    score = score.round(2)
    rows = ev.by_group(y, score, np.arange(y.size) % 3, 0.2)
    found = sum(row["recall_in_list"]["value"] * row["n_fraud"] for row in rows)
    assert found == pytest.approx(m.precision_at_k(y, score, 0.1) * 500)


def test_a_group_without_fraud_has_no_recall_and_no_auc():
    y, score = np.r_[np.zeros(300), Y], np.r_[np.linspace(0.1, 0.2, 300), SCORE]
    row = ev.by_group(y, score, np.r_[np.zeros(300), np.ones(5)], 0.5)[0]
    assert (row["roc_auc"], row["recall"], row["precision"]) == (None, None, None)
    assert row["base_rate"]["value"] == 0


# The whole result


def test_a_result_is_plain_json_and_every_estimate_lies_in_its_interval(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    found = list(estimates(result))
    assert len(found) > 50
    assert all(e["interval"][0] <= e["value"] <= e["interval"][1] for e in found if e["interval"])


def test_a_result_holds_the_metrics_of_the_same_clients(clients, result):
    y, score = clients
    assert (result["n"], result["n_fraud"]) == (5000, y.sum())
    assert result["roc_auc"]["value"] == m.roc_auc(y, score)
    assert result["pr_auc"]["value"] == pytest.approx(m.pr_auc(y, score))
    assert result["brier"]["value"] == pytest.approx(m.brier(y, score))
    assert result["calibration_error"]["value"] == pytest.approx(m.calibration_error(y, score))
    assert [top["visits"] for top in result["at_top"]] == [50, 250, 500]
    for top in result["at_top"]:
        assert top["precision"]["value"] == pytest.approx(m.precision_at_k(y, score, top["share"]))
        assert top["lift"]["value"] == pytest.approx(m.precision_at_k(y, score, top["share"]) / y.mean())
    assert sum(row["n"] for row in result["groups"]["history"]) == 5000


def test_the_same_seed_gives_the_same_result_and_row_order_does_not_matter(clients, result):
    y, score = clients
    again = ev.evaluate(y, score, 0.2)
    assert again["pr_auc"] == result["pr_auc"]
    order = np.random.default_rng(5).permutation(y.size)
    moved = ev.evaluate(y[order], score[order], 0.2)
    assert [e["value"] for e in estimates(moved)] == pytest.approx([e["value"] for e in estimates(again)])


def test_scores_that_are_ranks_have_no_calibration(clients):
    y, score = clients
    found = ev.evaluate(y, 100 * score, 20, probability=False)
    assert found["brier"] is found["calibration_error"] is found["calibration_slope"] is None
    assert found["calibration"] == []
    assert found["pr_auc"] == ev.evaluate(y, score, 0.2)["pr_auc"]


def test_labels_of_one_class_give_a_result_without_areas():
    found = ev.evaluate(np.zeros(40), np.linspace(0.1, 0.9, 40), 0.5, {"half": np.arange(40) < 20})
    assert found["roc_auc"] is found["pr_auc"] is None
    assert json.dumps(found, allow_nan=False)


def test_intervals_shrink_with_more_clients(result):
    few = ev.evaluate(*drawn(600), 0.2)
    for key in ("roc_auc", "pr_auc", "brier"):
        assert np.ptp(few[key]["interval"]) > np.ptp(result[key]["interval"])


def test_models_are_compared_on_the_same_clients(clients):
    y, score = clients
    noisy = score + np.random.default_rng(2).normal(0, 0.2, y.size)
    models = {"majority": np.zeros(y.size), "noisy": noisy, "stack": score}
    majority, worse, best = ev.compare(models, y, ["majority", "stack"], "stack")
    assert (majority["roc_auc"]["value"], majority["at_top"][0]["precision"]["value"]) == (0.5, y.mean())
    assert (worse["brier"], best["pr_auc_behind"]) == (None, None)
    assert best["brier"]["value"] == pytest.approx(m.brier(y, score))
    gap = worse["pr_auc_behind"]
    assert gap["value"] == pytest.approx(best["pr_auc"]["value"] - worse["pr_auc"]["value"])
    assert gap["interval"][0] > 0


def test_a_paired_difference_is_more_precise_than_two_intervals(clients):
    y, score = clients
    near = score + np.random.default_rng(2).normal(0, 0.01, y.size)
    rows = ev.compare({"near": near, "stack": score}, y, reference="stack")
    assert np.ptp(rows[0]["pr_auc_behind"]["interval"]) < np.ptp(rows[0]["pr_auc"]["interval"]) / 2


def test_outer_folds_become_one_result_of_the_same_shape():
    folds = [ev.evaluate(*drawn(800, seed), 0.1 + seed / 100) for seed in range(3)]
    pooled = ev.pool(folds)
    assert pooled["roc_auc"] == m.mean_estimate([fold["roc_auc"]["value"] for fold in folds])
    assert pooled["n"] == 2400
    assert pooled["at_threshold"]["confusion"]["true_positive"] == sum(
        fold["at_threshold"]["confusion"]["true_positive"] for fold in folds
    )
    assert pooled["at_threshold"]["threshold"] == pytest.approx(0.11)
    assert [(top["share"], top["visits"]) for top in pooled["at_top"]] == [(0.01, 24), (0.05, 120), (0.1, 240)]
    assert set(folds[0]) - set(pooled) == set(ev.DETAIL)


def test_tables_of_models_pool_row_by_row():
    tables = [ev.compare({"a": score, "b": 1 - score}, y, ["a"], "a") for y, score in map(drawn, (500, 600))]
    a, b = ev.pool(tables)
    assert (a["model"], b["model"], a["pr_auc_behind"], b["brier"]) == ("a", "b", None, None)
    assert b["pr_auc"]["folds"] == [table[1]["pr_auc"]["value"] for table in tables]


def test_the_module_imports_numpy_only():
    """The service imports it, so scikit-learn, SciPy, pandas and Plotly stay out."""
    heavy = "{'sklearn', 'scipy', 'pandas', 'plotly', 'pyarrow', 'polars'}"
    code = f"import sys, fairmeter.evaluation.model_evaluation; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr.strip()


def test_a_severity_may_require_the_precision_of_each_client():
    y, score = np.repeat([1, 0], [60, 40]), np.repeat([0.9, 0.2], [60, 40])
    together, each = (ev.severity_thresholds(y, score, {"high": 0.5}, per_client=own)["high"] for own in (False, True))
    assert (together["score"], together["n"]) == (0.2, 100)
    assert (each["score"], each["n"]) == (0.9, 60)
