"""Labels of the inspected only: counted as such, and never taken for labels of all."""

import numpy as np
import pytest

from fairmeter.evaluation import model_evaluation
from fairmeter.training.dataset import describe_labels, describe_selection

SOME = np.array([1.0] * 74 + [0.0] * 62 + [np.nan] * 664)


def test_the_inspected_and_the_unknown_are_counted_apart():
    assert describe_labels(SOME) == "74 of 136 inspected labelled fraud, 664 unknown"
    assert describe_labels(SOME[:136]) == "54.41% labelled fraud"
    assert describe_labels(SOME[136:]) == "none of them labelled"


def test_a_sentence_says_that_the_inspected_were_chosen_where_others_are_unknown():
    (sentence,) = describe_selection(SOME)
    assert "664 unknown" in sentence
    assert "chosen, not drawn at random" in sentence
    assert describe_selection(SOME[:136]) == describe_selection(SOME[136:]) == []


def test_no_figure_of_28_clients_has_an_interval_without_width():
    y, score = np.repeat([0.0, 1.0], 14), np.r_[np.full(14, 0.01), np.full(14, 0.99)] + np.arange(28) / 1e4
    found = model_evaluation.evaluate(y, score, 0.5)
    figures = [found[name] for name in ("roc_auc", "pr_auc", "brier", "base_rate")]
    figures += [top[name] for top in found["at_top"] for name in ("precision", "lift")]
    figures += [found["at_threshold"][name] for name in ("precision", "recall", "f1")]
    for figure in figures:
        assert figure["interval"] is None or figure["interval"][0] < figure["interval"][1]
    assert found["roc_auc"]["interval"][0] < 0.95
    folds = model_evaluation.pool([found, found])
    assert folds["roc_auc"]["interval"][0] < folds["roc_auc"]["interval"][1]


@pytest.mark.parametrize("promised", [{"critical": 0.02}, {"critical": 0.5, "high": 0.3, "medium": 0.02}])
def test_no_severity_begins_below_the_threshold(promised):
    """Two thirds of the inspected are thieves: any precision is reached far below the best threshold."""
    rng = np.random.default_rng(0)
    y = (rng.random(300) < 0.65).astype(float)
    score = np.clip(0.5 * y + rng.normal(0.3, 0.2, 300), 0, 1)
    threshold = model_evaluation.best_threshold(y, score)
    free = model_evaluation.severity_thresholds(y, score, promised)
    bound = model_evaluation.severity_thresholds(y, score, promised, threshold=threshold)
    assert min(cut["score"] for cut in free.values()) < threshold
    assert all(cut["score"] >= threshold for cut in bound.values() if cut["score"] is not None)
