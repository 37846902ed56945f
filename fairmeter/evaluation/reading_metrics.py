"""Metrics of a ReadingModel on held-out households: ranking, recall by pattern, false alarms, days to detection.

In:  label, score, and the attack on each client: kind, loss, onset, household.
Out: dicts and lists that json.dumps takes, for the training report. NumPy only.

Intervals resample households, because the clients that were made of one household are not independent.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from fairmeter.evaluation.metrics import (
    FEW,
    CumulativeHits,
    cumulative_hits,
    estimate,
    percentiles,
    ratio,
    score_interval_of_auc,
    widened,
)

RATES = (0.05, 0.01)  # false-positive rates of the recalls
RESAMPLES = 300
LOSSES = ((0.0, 0.2), (0.2, 0.5), (0.5, 1.01))  # stolen share of the energy since the onset
MIN_CLIENTS = 10  # of a kind; a share of fewer is too uncertain
# Days since the onset on which a client is scored again.
DELAYS = (3, 5, 7, 10, 14, 17, 21, 28, 35, 42, 60, 90, 120, 180)
ONSET_NEAR = 60  # days


class AttackOutcome(NamedTuple):
    """The attack on each client. kind: a theft pattern, a harmless change, or honest; loss: share of the energy."""

    kind: np.ndarray
    loss: np.ndarray
    household: np.ndarray


def figures(label: np.ndarray, score: np.ndarray, outcome: AttackOutcome, honest: str) -> dict:
    """All figures of one score. [label: 1 steals; score: higher = more suspicious; honest: kind if unchanged]"""
    label, unchanged = np.asarray(label), outcome.kind == honest
    losses = {f"{low:.0%} to {min(high, 1):.0%}": (outcome.loss >= low) & (outcome.loss < high) for low, high in LOSSES}
    threshold = score_at_rate(score[unchanged], RATES[0])
    changed = {"all": (label == 0) & ~unchanged, honest: unchanged}
    changed |= {kind: outcome.kind == kind for kind in _kinds(outcome.kind[(label == 0) & ~unchanged])}
    return {
        "n": len(label),
        "n_thieves": int(label.sum()),
        "n_households": len(np.unique(outcome.household)),
        "ranking": ranking(label, score, outcome.household),
        "by_pattern": {kind: _recalls(label, score, outcome.kind == kind) for kind in _kinds(outcome.kind[label == 1])},
        "by_loss": {words: _recalls(label, score, (label == 1) & of) for words, of in losses.items()},
        "harmless": {
            kind: {"n": int(of.sum()), "share": _share_reaching(score[of], threshold)} for kind, of in changed.items()
        },
    }


def _kinds(kind: np.ndarray) -> list[str]:
    names, n = np.unique(kind.astype(str), return_counts=True)
    return names[n >= MIN_CLIENTS].tolist()


def ranking(label: np.ndarray, score: np.ndarray, household: np.ndarray) -> dict:
    """ROC-AUC, PR-AUC, and recall at each of RATES, with 95 % intervals."""
    names = ("roc_auc", "pr_auc", *(f"recall_at_{rate:.0%}" for rate in RATES))
    steps = cumulative_hits(label, score)  # sorted once: resamples only change the weights
    replicates = np.array([_ranking_figures(steps.weighted(n_drawn)) for n_drawn in _household_draws(household)])
    found = {
        n: estimate(v, percentiles(d)) for n, v, d in zip(names, _ranking_figures(steps), replicates.T, strict=True)
    }
    n_thieves = len(np.unique(household[np.asarray(label) == 1]))
    widest = {name: widened(each, n_thieves) for name, each in found.items()}
    n_others = len(np.unique(household[np.asarray(label) == 0]))
    return widest | {"roc_auc": _hull(found["roc_auc"], n_thieves, n_others)}


def _hull(found: dict | None, n_thieves: int, n_others: int) -> dict | None:
    """A ROC-AUC; of few thieves with the hull of its interval and the score interval of so many households."""
    if found is None or found["interval"] is None or n_thieves >= FEW or not (n_thieves and n_others):
        return found
    (low, high), (least, most) = found["interval"], score_interval_of_auc(found["value"], n_thieves, n_others)
    return found | {"interval": [min(low, least), max(high, most)]}


def _ranking_figures(steps: CumulativeHits) -> list[float]:
    """ROC-AUC, PR-AUC and recalls of a weighted ranked list."""
    hits, falses = np.append(0.0, steps.hits), np.append(0.0, steps.n - steps.hits)
    area = float(ratio(np.trapezoid(hits, falses), hits[-1] * falses[-1]))
    return [area, steps.pr_auc(), *(recall_at_rate(steps, rate) for rate in RATES)]


def score_at_rate(honest: np.ndarray, rate: float) -> float:
    """The lowest score that at most a share `rate` of honest clients reach; NaN without honest ones. [0..1]"""
    if not len(honest):
        return np.nan
    ordered = np.sort(honest)[::-1]
    allowed = int(np.floor(rate * len(ordered) + 1e-9))
    return float(np.nextafter(ordered[allowed], np.inf)) if allowed < len(ordered) else -np.inf


def recall_at_rate(steps: CumulativeHits, rate: float) -> float:
    """Recall at a false-positive rate of at most `rate`; NaN without thieves or honest clients. [0..1]"""
    hits, falses = np.append(0.0, steps.hits), np.append(0.0, steps.n - steps.hits)
    if not hits[-1] or not falses[-1]:
        return np.nan
    allowed = np.floor(rate * falses[-1] + 1e-9)
    return float(hits[np.searchsorted(falses, allowed, side="right") - 1] / hits[-1])


def compare(label: np.ndarray, scores: Mapping[str, np.ndarray], household: np.ndarray) -> list[dict]:
    """Ranking figures of several scores on the same clients; a missing score counts as the lowest."""
    return [{"model": name} | ranking(label, _filled(score), household) for name, score in scores.items()]


def _filled(score: np.ndarray) -> np.ndarray:
    """Replace missing scores by the lowest score; by 0 where all are missing."""
    present = score[~np.isnan(score)]
    return np.where(np.isnan(score), present.min() if len(present) else 0.0, score)


def latency(scores: np.ndarray, threshold: float) -> dict:
    """Days from the onset to the first of DELAYS with a score at the threshold. [scores: (thieves, DELAYS)]

    NaN where the series ends earlier. Thieves that are never detected count as later than all others, and a quartile
    among them is None.
    """
    reached = scores >= threshold
    days = np.where(reached.any(axis=1), np.array(DELAYS)[reached.argmax(axis=1)], np.inf)
    quartiles = np.quantile(days, (0.25, 0.5, 0.75), method="inverted_cdf") if len(days) else [np.inf] * 3
    found = [float(quartile) if np.isfinite(quartile) else None for quartile in quartiles]
    return {"n": len(days), "found": _share(np.isfinite(days)), "days_quartiles": found}


def onset_error(true: np.ndarray, estimated: np.ndarray) -> dict:
    """Distance of the estimated onset from the true one. [days since 1970, of suspected thieves; NaN where none]"""
    error = np.abs(estimated - true)
    error = error[~np.isnan(error)]
    median = float(np.median(error)) if len(error) else None
    return {"n": len(error), "median_days": median, "within": _share(error <= ONSET_NEAR)}


def _recalls(label: np.ndarray, score: np.ndarray, of: np.ndarray) -> dict:
    honest = score[label == 0]
    recalls = {f"recall_at_{rate:.0%}": _share_reaching(score[of], score_at_rate(honest, rate)) for rate in RATES}
    return {"n": int(of.sum())} | recalls


def _share_reaching(score: np.ndarray, threshold: float) -> float | None:
    """Share of scores at or above the threshold; None without scores, or where the threshold is NaN."""
    return float(np.mean(score >= threshold)) if len(score) and not np.isnan(threshold) else None


def _share(which: np.ndarray) -> dict:
    return {"n": len(which), "share": float(np.mean(which)) if len(which) else None}


def _household_draws(household: np.ndarray) -> Iterator[np.ndarray]:
    """Weight of each client in each bootstrap resample of the households."""
    rng = np.random.default_rng(0)
    names, number = np.unique(household, return_inverse=True)
    for _ in range(RESAMPLES):
        yield np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[number]
