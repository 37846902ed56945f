"""Fitted on some clients, measured on others: one test part, or outer folds. Training only.

In:  a Dataset, and ensembles fitted on a part of its clients, or the plan to fit them.
Out: parts of what report.py shows: results, models side by side, severities as they held, importance.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairmeter.evaluation import model_evaluation
from fairmeter.explanation.shapley import EnsembleInput, shapley_values
from fairmeter.explanation.topics import INVOICES
from fairmeter.features.base import REASON_GROUPS
from fairmeter.models.ensemble import probability_of
from fairmeter.training.dataset import ALL, PROSPECTIVE, Dataset
from fairmeter.training.ensemble_fitting import EnsembleConfig, Fitted, fit_ensemble, stratified_folds
from fairmeter.training.member_fitting import shap_sizes, shap_values
from fairmeter.training.validation import baselines

SHAP_CLIENTS = 2000  # of the test part: enough for a mean
REASON_CLIENTS = 300  # of the test part: exact Shapley values take milliseconds each
PROBABILITIES = ("majority", "logistic regression", "stack")  # the other models' scores only rank
WHO = {PROSPECTIVE: "active clients", ALL: "all clients"}
Describe = Callable[[str], dict[str, str]]


@dataclass(frozen=True)
class TestSplit:
    """A view's clients: those a model is fitted on, and those it is measured on. [row numbers, ascending]"""

    view: str
    train: np.ndarray
    test: np.ndarray


def splits(study: Dataset, view: str, parts: int, seed: int) -> list[TestSplit]:
    """Each client of the view in the test part of one split, the frauds spread evenly. Raises CannotTrain."""
    clients = study.clients(view)
    folds = stratified_folds(study.label[clients], parts, seed)
    return [TestSplit(view, clients[folds != part], clients[folds == part]) for part in range(parts)]


# --- one test part ----------------------------------------------------------------------------------------------------


def test_part_report(
    study: Dataset, split: TestSplit, fitted: Fitted, older: Fitted, promises: Mapping[str, float], seed: int
) -> dict:
    """What the ensemble and the one for older scripts' aggregates, fitted on `train`, reach on `test`."""
    y, truth, weight = study.label[split.train], study.label[split.test], study.weight_of(split.train)
    score = fitted.ensemble.probability(study.evidence.of(split.test))
    threshold = model_evaluation.best_threshold(y, fitted.probability, weight=weight)
    sent = older.ensemble.probability(study.evidence.of(split.test))
    of_older = model_evaluation.best_threshold(y, older.probability, weight=weight)
    words = f"{WHO[split.view]}, from the aggregates that older scripts send"
    cuts = model_evaluation.severity_thresholds(y, fitted.probability, promises, weight=weight)
    return {
        "results": [
            _result(study, split, WHO[split.view], split.test, score, threshold),
            *_beside(study, split, fitted, score, threshold),
            _result(study, split, words, split.test, sent, of_older),
        ],
        "severities": model_evaluation.severity_table(truth, score, cuts),
        "models": [models_entry(split.view, side_by_side(study, split, fitted, score, seed))],
    }


def _beside(study: Dataset, split: TestSplit, fitted: Fitted, score: np.ndarray, threshold: float) -> list[dict]:
    """The same model on all clients where its view is of the active ones, otherwise on the active ones."""
    if split.view == PROSPECTIVE:
        mine = np.concatenate([split.train, split.test])
        # Of the inactive as large a part as of the others; the model has seen none of them.
        others = np.setdiff1d(study.clients(ALL), mine)[:: round(len(mine) / len(split.test))]
        if not len(others):
            return []
        score = np.concatenate([score, fitted.ensemble.probability(study.evidence.of(others))])
        return [_result(study, split, WHO[ALL], np.concatenate([split.test, others]), score, threshold)]
    is_active = study.is_active()[split.test]
    if not is_active.any():
        return []
    return [_result(study, split, WHO[PROSPECTIVE], split.test[is_active], score[is_active], threshold)]


def _result(
    study: Dataset, split: TestSplit, words: str, clients: np.ndarray, score: np.ndarray, threshold: float
) -> dict:
    figures = model_evaluation.evaluate(study.label[clients], score, threshold, study.groups(clients))
    return {"view": split.view, "clients": words} | figures


def side_by_side(study: Dataset, split: TestSplit, fitted: Fitted, score: np.ndarray, seed: int) -> list[dict]:
    """Baselines, the members by themselves, and the stack, whose score this is, on the same test clients."""
    features = study.evidence.features
    train, label, test = features[split.train], study.label[split.train], features[split.test]
    scores = baselines.scores(train, label, test, study.feature_names, seed)
    members = fitted.ensemble.member_log_odds(fitted.ensemble.inputs.matrix(study.evidence.of(split.test)))
    for name, column in zip(fitted.ensemble.members, members.T, strict=True):
        scores[name.replace("_", " ")] = probability_of(column)
    scores["stack"] = score
    return model_evaluation.compare(scores, study.label[split.test], probabilities=PROBABILITIES, reference="stack")


def models_entry(view: str, rows: list[dict]) -> dict:
    return {"view": view, "clients": WHO[view], "rows": rows}


def importance(study: Dataset, split: TestSplit, fitted: Fitted, describe: Describe, seed: int) -> list[dict]:
    """Mean size of XGBoost's TreeSHAP contributions on test clients [log-odds], the largest first.

    describe: a column's evidence group and sentence, {"group", "text"}.
    """
    inputs = fitted.ensemble.inputs
    some = np.sort(np.random.default_rng(seed).permutation(split.test)[:SHAP_CLIENTS])
    size = shap_sizes(fitted.natives["xgboost"], inputs.matrix(study.evidence.of(some)))
    names = [inputs.names[i] for i in np.argsort(-size, kind="stable")]
    by_name = dict(zip(inputs.names, size.tolist(), strict=True))
    return [{"feature": name, **describe(name), "value": by_name[name]} for name in names]


def agreement(study: Dataset, split: TestSplit, fitted: Fitted, seed: int) -> dict:
    """How far reasons (Shapley values of groups, of the whole model) and XGBoost's TreeSHAP agree on test clients.

    rows: of each group the mean size of both [probability; log-odds]; rank_correlation: Spearman's, of these sizes;
    same_first: share of clients whose largest group is the same by both, and one_of_two: is among TreeSHAP's first two.
    """
    some = np.sort(np.random.default_rng(seed).permutation(split.test)[:REASON_CLIENTS])
    ensemble = fitted.ensemble
    matrix = ensemble.inputs.matrix(study.evidence.of(some))
    parts = [EnsembleInput(ensemble, INVOICES, row) for row in matrix]
    reasons = np.abs([shapley_values([part], 0.0, np.inf).effects for part in parts])
    is_of_group = np.arange(len(REASON_GROUPS)) == parts[0].columns.group[:, None]
    trees = np.abs(shap_values(fitted.natives["xgboost"], matrix) @ is_of_group)
    first, order = reasons.argmax(axis=1), np.argsort(-trees, axis=1)
    sizes = reasons.mean(axis=0), trees.mean(axis=0)
    ranks = [np.argsort(np.argsort(size)) for size in sizes]
    return {
        "clients": len(some),
        "rows": [
            {"group": group, "reason": float(reason), "tree_shap": float(tree)}
            for group, reason, tree in zip(REASON_GROUPS, *sizes, strict=True)
        ],
        "rank_correlation": float(np.corrcoef(*ranks)[0, 1]),
        "same_first": float(np.mean(first == order[:, 0])),
        "one_of_two": float(np.mean((first[:, None] == order[:, :2]).any(axis=1))),
    }


# --- outer folds ------------------------------------------------------------------------------------------------------


def outer_folds(
    study: Dataset, view: str, plan: EnsembleConfig, parts: int, seed: int, tell: Callable[[str], None]
) -> tuple[list[dict], dict]:
    """Results and models side by side; every client of the view is scored once, by a model that has not seen it."""
    score, threshold = np.full(len(study.label), np.nan), np.full(len(study.label), np.nan)
    folds, tables = splits(study, view, parts, seed), []
    for i, split in enumerate(folds):
        part = f"outer fold {i + 1} of {parts}, {view}"
        y, evidence, weight = study.label[split.train], study.evidence.of(split.train), study.weight_of(split.train)
        fitted = fit_ensemble(
            evidence, y, plan, seed + i, lambda what, part=part: tell(f"{what}; {part}"), weight=weight
        )
        score[split.test] = fitted.ensemble.probability(study.evidence.of(split.test))
        threshold[split.test] = model_evaluation.best_threshold(y, fitted.probability, weight=weight)
        tables.append(side_by_side(study, split, fitted, score[split.test], seed))
    kept = {WHO[view]: ~np.isnan(score)} | {WHO[PROSPECTIVE]: ~np.isnan(score) & study.is_active()}
    results = [
        {"view": view, "clients": words} | _pooled(study, folds, is_kept, score, threshold)
        for words, is_kept in kept.items()
    ]
    return results, models_entry(view, model_evaluation.pool(tables))


def _pooled(
    study: Dataset, folds: list[TestSplit], is_kept: np.ndarray, score: np.ndarray, threshold: np.ndarray
) -> dict:
    """Of the clients kept: curves and groups from all folds' scores at once, estimates as means of the folds."""

    def measured(clients: np.ndarray, groups: dict[str, np.ndarray] | None = None) -> dict:
        return model_evaluation.evaluate(study.label[clients], score[clients], threshold[clients], groups)

    per_fold = [measured(split.test[is_kept[split.test]]) for split in folds]
    clients = np.flatnonzero(is_kept)
    return measured(clients, study.groups(clients)) | model_evaluation.pool(per_fold)
