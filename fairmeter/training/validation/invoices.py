"""Measure ensembles on invoices on held-out clients: one test part, or outer folds. Training only.

In:  a Dataset, and ensembles fitted on a part of its clients, or the config to fit them.
Out: entries of the report's metrics: results, model comparison, precision by severity, feature importance.
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
from fairmeter.training.validation.exchange_guard import exchange_guard

SHAP_CLIENTS = 2000  # test clients: enough for a mean
REASON_CLIENTS = 300  # test clients: exact Shapley values take milliseconds each
PROBABILITIES = ("majority", "logistic regression", "stack")  # other models' scores are ranks, not probabilities
CLIENT_SETS = {PROSPECTIVE: "active clients", ALL: "all clients"}
Describe = Callable[[str], dict[str, str]]


@dataclass(frozen=True)
class TestSplit:
    """A view's clients to fit on and to measure on. [row numbers, ascending]"""

    view: str
    train: np.ndarray
    test: np.ndarray


def splits(dataset: Dataset, view: str, parts: int, seed: int) -> list[TestSplit]:
    """Stratified splits, with each client of the view in one test part. Raises TrainingError."""
    clients = dataset.clients(view)
    folds = stratified_folds(dataset.label[clients], parts, seed)
    return [TestSplit(view, clients[folds != part], clients[folds == part]) for part in range(parts)]


# --- one test part ----------------------------------------------------------------------------------------------------


def held_out_report(
    dataset: Dataset,
    split: TestSplit,
    fitted: Fitted,
    from_aggregates: Fitted,
    promised_precision: Mapping[str, float],
    seed: int,
) -> dict:
    """Results on `split.test` of the ensemble and of the one on older scripts' aggregates, fitted on `split.train`."""
    y, truth, weight = dataset.label[split.train], dataset.label[split.test], dataset.weight_of(split.train)
    score = fitted.ensemble.probability(dataset.evidence.of(split.test))
    threshold = model_evaluation.best_threshold(y, fitted.probability, weight=weight)
    aggregate_score = from_aggregates.ensemble.probability(dataset.evidence.of(split.test))
    aggregate_threshold = model_evaluation.best_threshold(y, from_aggregates.probability, weight=weight)
    words = f"{CLIENT_SETS[split.view]}, from the aggregates that older scripts send"
    thresholds = model_evaluation.severity_thresholds(
        y, fitted.probability, promised_precision, weight=weight, threshold=threshold
    )
    return {
        "results": [
            _result(dataset, split, CLIENT_SETS[split.view], split.test, score, threshold),
            *_other_clients(dataset, split, fitted, score, threshold),
            _result(dataset, split, words, split.test, aggregate_score, aggregate_threshold),
        ],
        "severities": model_evaluation.severity_table(truth, score, thresholds),
        "models": [models_entry(split.view, compare_models(dataset, split, fitted, score, seed))],
    }


def _other_clients(
    dataset: Dataset, split: TestSplit, fitted: Fitted, score: np.ndarray, threshold: float
) -> list[dict]:
    """The same model on all clients if its view has active ones only, otherwise on the active ones."""
    if split.view == PROSPECTIVE:
        mine = np.concatenate([split.train, split.test])
        # The same share of inactive clients as of active ones; the model was fitted on none of them.
        others = np.setdiff1d(dataset.clients(ALL), mine)[:: round(len(mine) / len(split.test))]
        if not len(others):
            return []
        score = np.concatenate([score, fitted.ensemble.probability(dataset.evidence.of(others))])
        return [_result(dataset, split, CLIENT_SETS[ALL], np.concatenate([split.test, others]), score, threshold)]
    is_active = dataset.is_active()[split.test]
    if not is_active.any():
        return []
    return [_result(dataset, split, CLIENT_SETS[PROSPECTIVE], split.test[is_active], score[is_active], threshold)]


def _result(
    dataset: Dataset, split: TestSplit, words: str, clients: np.ndarray, score: np.ndarray, threshold: float
) -> dict:
    figures = model_evaluation.evaluate(dataset.label[clients], score, threshold, dataset.groups(clients))
    guard = exchange_guard(dataset, clients, score)
    return {"view": split.view, "clients": words} | figures | {"guard": guard}


def compare_models(dataset: Dataset, split: TestSplit, fitted: Fitted, score: np.ndarray, seed: int) -> list[dict]:
    """Compare baselines, single members and the stack on the same test clients. [score: of the stack]"""
    features = dataset.evidence.features
    train, label, test = features[split.train], dataset.label[split.train], features[split.test]
    scores = baselines.scores(train, label, test, dataset.feature_names, seed)
    members = fitted.ensemble.member_log_odds(fitted.ensemble.inputs.matrix(dataset.evidence.of(split.test)))
    for name, column in zip(fitted.ensemble.members, members.T, strict=True):
        scores[name.replace("_", " ")] = probability_of(column)
    scores["stack"] = score
    return model_evaluation.compare(scores, dataset.label[split.test], probabilities=PROBABILITIES, reference="stack")


def models_entry(view: str, rows: list[dict]) -> dict:
    return {"view": view, "clients": CLIENT_SETS[view], "rows": rows}


def importance(dataset: Dataset, split: TestSplit, fitted: Fitted, describe: Describe, seed: int) -> list[dict]:
    """Mean absolute TreeSHAP contribution of XGBoost's columns on test clients [log-odds], largest first.

    describe: returns a column's evidence group and sentence, {"group", "text"}.
    """
    inputs = fitted.ensemble.inputs
    some = np.sort(np.random.default_rng(seed).permutation(split.test)[:SHAP_CLIENTS])
    size = shap_sizes(fitted.natives["xgboost"], inputs.matrix(dataset.evidence.of(some)))
    names = [inputs.names[i] for i in np.argsort(-size, kind="stable")]
    by_name = dict(zip(inputs.names, size.tolist(), strict=True))
    return [{"feature": name, **describe(name), "value": by_name[name]} for name in names]


def agreement(dataset: Dataset, split: TestSplit, fitted: Fitted, seed: int) -> dict:
    """Agreement of reasons (Shapley values of groups, whole model) with XGBoost's TreeSHAP on test clients.

    rows: each group's mean absolute effect by both [probability; log-odds]. rank_correlation: Spearman's, of these.
    same_first: share of clients with the same largest group by both. one_of_two: share whose largest group is among
    TreeSHAP's first two.
    """
    some = np.sort(np.random.default_rng(seed).permutation(split.test)[:REASON_CLIENTS])
    ensemble = fitted.ensemble
    matrix = ensemble.inputs.matrix(dataset.evidence.of(some))
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
    dataset: Dataset, view: str, config: EnsembleConfig, parts: int, seed: int, on_step: Callable[[str], None]
) -> tuple[list[dict], dict]:
    """Results and model comparison; every client of the view is scored once, by a model not fitted on it."""
    score, threshold = np.full(len(dataset.label), np.nan), np.full(len(dataset.label), np.nan)
    folds, tables = splits(dataset, view, parts, seed), []
    for i, split in enumerate(folds):
        part = f"outer fold {i + 1} of {parts}, {view}"
        y, evidence, weight = (
            dataset.label[split.train],
            dataset.evidence.of(split.train),
            dataset.weight_of(split.train),
        )
        fitted = fit_ensemble(
            evidence, y, config, seed + i, lambda what, part=part: on_step(f"{what}; {part}"), weight=weight
        )
        score[split.test] = fitted.ensemble.probability(dataset.evidence.of(split.test))
        threshold[split.test] = model_evaluation.best_threshold(y, fitted.probability, weight=weight)
        tables.append(compare_models(dataset, split, fitted, score[split.test], seed))
    masks = {CLIENT_SETS[view]: ~np.isnan(score)} | {CLIENT_SETS[PROSPECTIVE]: ~np.isnan(score) & dataset.is_active()}
    results = [
        {"view": view, "clients": words} | _pooled(dataset, folds, is_measured, score, threshold)
        for words, is_measured in masks.items()
    ]
    return results, models_entry(view, model_evaluation.pool(tables))


def _pooled(
    dataset: Dataset, folds: list[TestSplit], is_measured: np.ndarray, score: np.ndarray, threshold: np.ndarray
) -> dict:
    """Curves and groups from the scores of all folds together, estimates as means over folds. [is_measured: mask]"""

    def measured(clients: np.ndarray, groups: dict[str, np.ndarray] | None = None) -> dict:
        figures = model_evaluation.evaluate(dataset.label[clients], score[clients], threshold[clients], groups)
        return figures | {"guard": exchange_guard(dataset, clients, score[clients])}

    per_fold = [measured(split.test[is_measured[split.test]]) for split in folds]
    clients = np.flatnonzero(is_measured)
    return measured(clients, dataset.groups(clients)) | model_evaluation.pool(per_fold)
