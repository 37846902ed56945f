"""The evaluation of a model: threshold, severities, groups, comparison of models, outer folds; with intervals.

In:  y, score and estimates as in metrics.py.
Out: dicts and lists that json.dumps takes, for the training report (its keys: reports/training_report.py) and the
     dashboard. NumPy only.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fairmeter.evaluation.metrics import (
    FEW,
    CumulativeHits,
    auc_estimate,
    binned_calibration_error,
    bootstrap,
    calibration_noise,
    calibration_slope,
    cumulative_hits,
    estimate,
    f1_estimate,
    mean_estimate,
    n_visits,
    percentiles,
    pr_curve,
    precision_at_k,
    ratio,
    reliability_table,
    roc_curve,
    score_bins,
    share_estimate,
    visits_curve,
    widened,
    wilson_interval,
)

SHARES = (0.01, 0.05, 0.10)  # of the clients that crews could visit
LIST_SHARE = 0.10  # length of the list on which groups are compared, as in publications
MIN_GROUP = 200  # clients; intervals of smaller groups are too wide, so these are pooled
DETAIL = ("curves", "calibration", "groups")  # left out by `pool`: they have no mean over folds


# Threshold and severities


def confusion(y: np.ndarray, suspected: np.ndarray) -> dict[str, int]:
    """Confusion matrix: {"true_positive", "false_positive", "false_negative", "true_negative"}. [clients]"""
    y, suspected = np.asarray(y, bool), np.asarray(suspected, bool)
    return {
        "true_positive": int((y & suspected).sum()),
        "false_positive": int((~y & suspected).sum()),
        "false_negative": int((y & ~suspected).sum()),
        "true_negative": int((~y & ~suspected).sum()),
    }


def at_threshold(y: np.ndarray, score: np.ndarray, threshold: float | np.ndarray) -> dict:
    """Figures of suspecting `score >= threshold`: confusion, precision, recall, f1 and rates.

    threshold: one, or one per row where outer folds fitted their own; its mean is reported.
    """
    counts = confusion(y, np.asarray(score) >= threshold)
    hits, falses, missed, cleared = counts.values()
    return {
        "threshold": float(np.mean(threshold)),
        "confusion": counts,
        "precision": share_estimate(hits, hits + falses),
        "recall": share_estimate(hits, hits + missed),
        "f1": f1_estimate(hits, hits + falses, hits + missed),
        "false_positive_rate": share_estimate(falses, falses + cleared),
        "suspected_share": share_estimate(hits + falses, len(y)),
    }


def best_threshold(
    y: np.ndarray, score: np.ndarray, honest_weight: float = 1.0, weight: np.ndarray | None = None
) -> float:
    """The threshold with the highest F1; among equals the highest, which needs the fewest visits.

    honest_weight: number of clients that each y = 0 represents, where frauds are over-represented; weight: number of
    clients that each row represents.
    """
    steps = cumulative_hits(y, score)
    steps = steps if weight is None else steps.weighted(weight)
    suspected = steps.hits + honest_weight * (steps.n - steps.hits)
    return float(steps.score[np.argmax(2 * steps.hits / (suspected + steps.hits[-1]))])


def severity_thresholds(
    y: np.ndarray,
    score: np.ndarray,
    min_precisions: Mapping[str, float],
    honest_weight: float = 1.0,
    per_client: bool = False,
    weight: np.ndarray | None = None,
    threshold: float = 0.0,
) -> dict[str, dict]:
    """{severity: {"score", "promised", "n", "precision"}} from out-of-fold scores, the highest precision first.

    min_precisions: the precision (0..1) that a severity promises. `score` is the lowest threshold where the lower end
    of the Wilson interval reaches it for all clients at or above: a threshold is chosen among many, so plain precision
    would be optimistic. A higher precision never has a lower threshold. Without such a threshold `score` is None and
    no client gets the severity. honest_weight, weight: as in `best_threshold`; with weight, n is the effective sample
    size. per_client: the probability of each client must reach the precision too; otherwise, where scores separate
    well, certain frauds outweigh doubtful clients. threshold: of suspicion; no severity begins below it.
    """
    steps = cumulative_hits(y, score)
    steps = steps if weight is None else steps.effective(weight)
    floor, thresholds = _reweighted(wilson_interval(steps.hits, steps.n)[0], honest_weight), {}
    is_suspected = steps.score >= threshold
    for severity, promised in sorted(min_precisions.items(), key=lambda item: -item[1]):
        is_certain = (steps.score >= promised) | (not per_client)
        lowest = np.flatnonzero((floor >= promised) & is_suspected & is_certain)[-1:]
        n, hits = int(steps.n[lowest].sum()), int(steps.hits[lowest].sum())
        threshold = float(steps.score[lowest[0]]) if lowest.size else None
        precision = share_estimate(hits, n)
        if precision and honest_weight != 1.0:
            ends = precision["value"], *precision["interval"]
            value, *interval = (float(_reweighted(np.array(end), honest_weight)) for end in ends)
            precision = estimate(value, interval)
        thresholds[severity] = {"score": threshold, "promised": float(promised), "n": n, "precision": precision}
    return thresholds


def _reweighted(precision: np.ndarray, honest_weight: float) -> np.ndarray:
    """The precision where each y = 0 represents `honest_weight` clients."""
    return precision / (precision + honest_weight * (1.0 - precision))


def severity_table(y: np.ndarray, score: np.ndarray, thresholds: Mapping[str, dict]) -> list[dict]:
    """Severity thresholds on other clients: per severity n, precision (its own clients) and precision_from_here_up.

    The last row, "low", holds the clients below every threshold and promises no precision.
    """
    y, score, above, rows = np.asarray(y), np.asarray(score), np.inf, []
    for severity, threshold in [*thresholds.items(), ("low", {"score": -np.inf, "promised": None})]:
        start = above if threshold["score"] is None else threshold["score"]
        own, upwards = y[(score >= start) & (score < above)], y[score >= start]
        row = {"severity": severity, "score": start if np.isfinite(start) else None, "promised": threshold["promised"]}
        row |= {"n": own.size, "precision": share_estimate(own.sum(), own.size)}
        rows.append(row | {"precision_from_here_up": share_estimate(upwards.sum(), upwards.size)})
        above = start
    return rows


# Groups


def history_quintile(n_invoices: np.ndarray) -> np.ndarray:
    """Quintile of each client by number of invoices, as text: "Q1: 1-7 invoices". Fewer where counts coincide."""
    counts = np.asarray(n_invoices)
    edges = np.unique(np.quantile(counts, (0.2, 0.4, 0.6, 0.8), method="higher"))
    fifth = np.unique(np.searchsorted(edges, counts), return_inverse=True)[1]
    parts = [counts[fifth == number] for number in range(fifth.max() + 1)]
    labels = [f"Q{number}: {part.min():g}-{part.max():g} invoices" for number, part in enumerate(parts, 1)]
    return np.array(labels)[fifth]


def by_group(
    y: np.ndarray, score: np.ndarray, group: np.ndarray, threshold: float | np.ndarray, minimum: int = MIN_GROUP
) -> list[dict]:
    """One row per value of `group` (numbers or text; NaN, None = "missing"); groups below `minimum` become "other".

    precision_at_top: of the group's own 10 % highest scores; recall_in_list: share of its frauds among the 10 %
    highest scores of all clients; precision, recall: at the threshold.
    """
    steps, score = cumulative_hits(y, score), np.asarray(score, float)
    suspected, listed, labels = score >= threshold, _listed_part(steps, LIST_SHARE), _pooled_labels(group, minimum)
    members = {value: labels == value for value in sorted(set(labels.tolist()), key=_natural)}
    return [
        {"value": value} | _group_row(steps.y[own], score[own], suspected[own], listed[own])
        for value, own in members.items()
    ]


def _group_row(y: np.ndarray, score: np.ndarray, suspected: np.ndarray, listed: np.ndarray) -> dict:
    n, n_fraud, visits = y.size, int(y.sum()), n_visits(y.size, [LIST_SHARE])[0]
    return {
        "n": n,
        "n_fraud": n_fraud,
        "base_rate": share_estimate(n_fraud, n),
        "mean_score": float(score.mean()),
        "roc_auc": auc_estimate(y, score),
        "precision_at_top": share_estimate(precision_at_k(y, score, LIST_SHARE) * visits, visits),
        "recall_in_list": share_estimate(listed @ y, n_fraud),
        "suspected": int(suspected.sum()),
        "precision": share_estimate(y[suspected].sum(), suspected.sum()),
        "recall": share_estimate(y[suspected].sum(), n_fraud),
    }


def _listed_part(steps: CumulativeHits, share: float) -> np.ndarray:
    """Weight of each row in the `share` highest scores: between 0 and 1 where the list ends inside its step."""
    size = np.diff(steps.n, prepend=0)
    return steps.by_row(np.clip((n_visits(steps.y.size, [share]) - (steps.n - size)) / size, 0, 1))


def _pooled_labels(group: np.ndarray, minimum: int) -> np.ndarray:
    labels = np.array([_label(value) for value in np.asarray(group).tolist()])
    values, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(counts < minimum, "other", values)[number]


def _label(value) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _natural(label: str) -> tuple:
    """Numbers by size, then text, then what is no group of its own."""
    return label in ("missing", "other"), not label.isdigit(), int(label) if label.isdigit() else 0, label


# The whole result


def evaluate(
    y: np.ndarray,
    score: np.ndarray,
    threshold: float | np.ndarray,
    groups: Mapping[str, np.ndarray] | None = None,
    probability: bool = True,
    seed: int = 0,
) -> dict:
    """All figures of one model on one set of clients; reports/training_report.py describes the keys.

    groups: {name: value per client}. probability=False leaves calibration out, for scores that are ranks.
    Intervals: DeLong for ROC-AUC, Wilson for shares of clients, bootstrap for figures of the whole list.
    """
    steps = cumulative_hits(y, score)
    n, n_fraud = steps.y.size, int(steps.hits[-1])
    return {
        "n": n,
        "n_fraud": n_fraud,
        "base_rate": share_estimate(n_fraud, n),
        "roc_auc": auc_estimate(y, score),
        **_figures_of_list(*_bootstrap_figures(y, score, probability, seed), steps),
        "at_threshold": at_threshold(y, score, threshold),
        "calibration_slope": calibration_slope(y, score) if probability else None,
        "calibration_noise": calibration_noise(score) if probability else None,
        "calibration": reliability_table(y, score) if probability else [],
        "curves": {"roc": roc_curve(y, score), "pr": pr_curve(y, score), "visits": visits_curve(y, score)},
        "groups": {name: by_group(y, score, group, threshold) for name, group in (groups or {}).items()},
    }


def compare(
    models: Mapping[str, np.ndarray],
    y: np.ndarray,
    probabilities: Sequence[str] = (),
    reference: str | None = None,
    seed: int = 0,
) -> list[dict]:
    """One row per model, {name: score per client}, on the same clients: roc_auc, pr_auc, at_top and brier.

    probabilities: models with a Brier score; the scores of others are ranks. pr_auc_behind: PR-AUC of the reference
    less that of the model, by paired resampling; an interval above 0 means that the reference is better.
    """
    found = {name: _bootstrap_figures(y, score, name in probabilities, seed) for name, score in models.items()}
    rows = []
    for name, score in models.items():
        figures = _figures_of_list(*found[name], cumulative_hits(y, score))
        row = {"model": name, "roc_auc": auc_estimate(y, score)}
        row |= {key: figures[key] for key in ("pr_auc", "at_top", "brier")}
        rows.append(row | {"pr_auc_behind": _paired_difference(found, name, reference)})
    return rows


def pool(folds: Sequence):
    """Combine the results of outer folds (of `evaluate` or `compare`) into one of the same shape, without DETAIL.

    Estimates become their mean with its t-interval, counts are added up, other numbers are averaged. For what is left
    out, evaluate the scores of all folds together: `evaluate(...) | pool(folds)`.
    """
    present = [fold for fold in folds if fold is not None]
    first = present[0] if present else None
    if isinstance(first, dict) and "value" in first:
        return _mean_over_folds(present)
    if isinstance(first, dict):
        return {key: pool([fold[key] for fold in present]) for key in first if key not in DETAIL}
    if isinstance(first, list):
        return [pool(rows) for rows in zip(*present, strict=True)]
    if isinstance(first, float):
        return first if len(set(present)) == 1 else math.fsum(present) / len(present)
    return sum(present) if isinstance(first, int) else first


def _mean_over_folds(folds: Sequence[Mapping]) -> dict | None:
    """The folds' mean; where all agree to the last digit, with the mean interval of a fold instead of none."""
    found = mean_estimate([fold["value"] for fold in folds])
    if not found or not found["interval"] or found["interval"][0] < found["interval"][1]:
        return found
    ends = [fold["interval"] for fold in folds if fold.get("interval")]
    return found | {"interval": np.mean(ends, axis=0).tolist() if ends else None}


def weaknesses(result: Mapping) -> list[tuple[str, str]]:
    """(grouping, sentence) of each group that ranks significantly worse than all clients, or is miscalibrated.

    Significant: the group's 95 % interval excludes the reference value; one in twenty does so by chance. Groups of
    fewer than MIN_GROUP clients are left out.
    """
    groups = [(name, row) for name, rows in result["groups"].items() for row in rows if row["n"] >= MIN_GROUP]
    auc, calibrated = result["roc_auc"], result["calibration_error"] is not None
    return [
        (name, f"{row['value']}: {finding}")
        for name, row in groups
        for finding in _group_weaknesses(row, auc, calibrated)
    ]


def group_importance(rows: Sequence[Mapping]) -> dict[str, float]:
    """Sum the importance of features, {"group", "value"}, by evidence group."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row["group"]] = sums.get(row["group"], 0.0) + row["value"]
    return sums


def _group_weaknesses(row: Mapping, overall: Mapping | None, calibrated: bool) -> Iterator[str]:
    auc, rate = row["roc_auc"], row["base_rate"]
    if overall and auc and auc["interval"] and auc["interval"][1] < overall["value"]:
        yield f"ROC-AUC {auc['value']:.3f} against {overall['value']:.3f}"
    low, high = rate["interval"]
    if calibrated and not low <= row["mean_score"] <= high:
        way = "high" if row["mean_score"] > high else "low"
        yield f"scores too {way}, on average {row['mean_score']:.3f} where the fraud rate is {rate['value']:.3f}"


def _bootstrap_figures(
    y: np.ndarray, score: np.ndarray, probability: bool, seed: int
) -> tuple[list[float], np.ndarray]:
    """PR-AUC, precision and lift at each share, Brier, calibration error: values, and replicates of each."""
    steps, gap = cumulative_hits(y, score), np.asarray(score, float) - np.asarray(y, float)
    bins = score_bins(steps)

    def figures(steps: CumulativeHits, weights: np.ndarray) -> list[float]:
        precision = steps.precision_at(SHARES)
        ranking = [steps.pr_auc(), *precision, *ratio(precision, steps.hits[-1] / steps.n[-1])]
        return ranking + (
            [weights @ gap**2 / gap.size, binned_calibration_error(gap, bins, weights)] if probability else []
        )

    return figures(steps, np.ones(gap.size)), bootstrap(y, score, figures, seed=seed).T


def _figures_of_list(values: list[float], draws: np.ndarray, steps: CumulativeHits) -> dict:
    found = [estimate(value, percentiles(draw)) for value, draw in zip(values, draws, strict=True)]
    visits, rate, k = (
        n_visits(steps.y.size, SHARES).astype(int).tolist(),
        float(steps.hits[-1] / steps.n[-1]),
        len(SHARES),
    )
    precisions = [widened(each, n) for each, n in zip(found[1 : 1 + k], visits, strict=True)]
    lifts = [
        lift if n >= FEW else _lift(lift, precision, rate)
        for lift, precision, n in zip(found[1 + k : 1 + 2 * k], precisions, visits, strict=True)
    ]
    tops = zip(SHARES, visits, precisions, lifts, strict=True)
    probability = len(values) > 1 + 2 * k
    return {
        "pr_auc": widened(found[0], float(steps.hits[-1])),
        "at_top": [{"share": s, "visits": v, "precision": precision, "lift": lift} for s, v, precision, lift in tops],
        "brier": _with_width(found[-2]) if probability else None,
        "brier_base": rate * (1 - rate) if probability else None,
        "calibration_error": _debiased(values[-1], draws[-1]) if probability else None,
    }


def _lift(lift: dict | None, precision: dict | None, rate: float) -> dict | None:
    """A lift, its interval at least as wide as that of the precision over the base rate."""
    if lift is None or precision is None or None in (lift["interval"], precision["interval"]):
        return lift
    (low, high), (least, most) = lift["interval"], precision["interval"]
    return lift | {"interval": [min(low, least / rate), max(high, most / rate)]}


def _with_width(found: dict | None) -> dict | None:
    """An estimate without its interval where resampling did not change it, which is no certainty."""
    if found is None or found["interval"] is None or found["interval"][0] < found["interval"][1]:
        return found
    return found | {"interval": None}


def _debiased(error: float, draws: np.ndarray) -> dict:
    """Calibration error with a basic bootstrap interval: resampling adds noise, so percentiles would be too high."""
    high = percentiles(draws)[1]
    return estimate(error, (max(2 * error - high, 0), high - (draws.mean() - error)))


def _paired_difference(found: Mapping[str, tuple], name: str, reference: str | None) -> dict | None:
    if reference in (None, name):
        return None
    (first, *_), best = found[reference]
    (own, *_), draws = found[name]
    return estimate(first - own, percentiles(best[0] - draws[0]))
