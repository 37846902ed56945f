"""What a ReadingModel reaches on households kept back: ranking, recall by pattern, false alarms, days to detection.

In:  label, score, and what was done to each client: kind, loss, onset, household.
Out: dicts and lists that json.dumps takes; report.py shows them. NumPy only.

Intervals come from drawing households anew, for the clients made of one household are alike.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from fairmeter.evaluation.metrics import CumulativeHits, estimate, ladder, percentiles, ratio

RATES = (0.05, 0.01)  # of false positives, at which recall is given
RESAMPLES = 300
LOSSES = ((0.0, 0.2), (0.2, 0.5), (0.5, 1.01))  # shares of the energy since the onset
LEAST = 10  # clients of a kind, or a share says nothing
# Days since the onset on which a client is judged anew.
DELAYS = (3, 5, 7, 10, 14, 17, 21, 28, 35, 42, 60, 90, 120, 180)
ONSET_NEAR = 60  # days


class AttackOutcome(NamedTuple):
    """What was done to each client. kind: a pattern, a harmless change or `honest`; loss: share of the energy."""

    kind: np.ndarray
    loss: np.ndarray
    household: np.ndarray


def figures(label: np.ndarray, score: np.ndarray, done: AttackOutcome, honest: str) -> dict:
    """Every figure of one score. [label: 1 steals; score: higher = more suspicious; honest: kind of the unchanged]"""
    label, plain = np.asarray(label), done.kind == honest
    losses = {f"{low:.0%} to {min(high, 1):.0%}": (done.loss >= low) & (done.loss < high) for low, high in LOSSES}
    usual = score_at(score[plain], RATES[0])
    changed = {"all": (label == 0) & ~plain, honest: plain}
    changed |= {kind: done.kind == kind for kind in _kinds(done.kind[(label == 0) & ~plain])}
    return {
        "n": len(label),
        "n_thieves": int(label.sum()),
        "n_households": len(np.unique(done.household)),
        "ranking": ranking(label, score, done.household),
        "by_pattern": {kind: _recalls(label, score, done.kind == kind) for kind in _kinds(done.kind[label == 1])},
        "by_loss": {words: _recalls(label, score, (label == 1) & of) for words, of in losses.items()},
        "harmless": {kind: {"n": int(of.sum()), "share": _reaching(score[of], usual)} for kind, of in changed.items()},
    }


def _kinds(kind: np.ndarray) -> list[str]:
    names, n = np.unique(kind.astype(str), return_counts=True)
    return names[n >= LEAST].tolist()


def ranking(label: np.ndarray, score: np.ndarray, household: np.ndarray) -> dict:
    """ROC-AUC, PR-AUC, and recall at each of RATES, with 95 % intervals."""
    names = ("roc_auc", "pr_auc", *(f"recall_at_{rate:.0%}" for rate in RATES))
    steps = ladder(label, score)  # sorted once: a draw only counts each client more or less often
    draws = np.array([_ranked(steps.weighted(n_drawn)) for n_drawn in _redrawn(household)])
    return {n: estimate(v, percentiles(d)) for n, v, d in zip(names, _ranked(steps), draws.T, strict=True)}


def _ranked(steps: CumulativeHits) -> list[float]:
    """ROC-AUC, PR-AUC and recalls of a ranked list whose clients count so many times."""
    hits, falses = np.append(0.0, steps.hits), np.append(0.0, steps.n - steps.hits)
    area = float(ratio(np.trapezoid(hits, falses), hits[-1] * falses[-1]))
    return [area, steps.pr_auc(), *(recall_at(steps, rate) for rate in RATES)]


def score_at(honest: np.ndarray, rate: float) -> float:
    """The lowest score that no more than this share of the honest reach; NaN without any. [rate: 0..1]"""
    if not len(honest):
        return np.nan
    ordered = np.sort(honest)[::-1]
    allowed = int(np.floor(rate * len(ordered) + 1e-9))
    return float(np.nextafter(ordered[allowed], np.inf)) if allowed < len(ordered) else -np.inf


def recall_at(steps: CumulativeHits, rate: float) -> float:
    """Share of the thieves whose score no more than this share of the honest reach; NaN without thieves or honest."""
    hits, falses = np.append(0.0, steps.hits), np.append(0.0, steps.n - steps.hits)
    if not hits[-1] or not falses[-1]:
        return np.nan
    allowed = np.floor(rate * falses[-1] + 1e-9)
    return float(hits[np.searchsorted(falses, allowed, side="right") - 1] / hits[-1])


def compared(label: np.ndarray, scores: Mapping[str, np.ndarray], household: np.ndarray) -> list[dict]:
    """The same ranking figures of several scores on the same clients; what has no score is taken for unsuspicious."""
    return [{"model": name} | ranking(label, _filled(score), household) for name, score in scores.items()]


def _filled(score: np.ndarray) -> np.ndarray:
    """The lowest of the scores where there is none; all alike where the model could judge nobody."""
    known = score[~np.isnan(score)]
    return np.where(np.isnan(score), known.min() if len(known) else 0.0, score)


def latency(scores: np.ndarray, least: float) -> dict:
    """Days from the onset to the first of DELAYS on which the score reaches `least`. [scores: (thieves, DELAYS)]

    NaN where the series ends before. Who is never suspected is later than all: a quartile there is None.
    """
    reached = scores >= least
    days = np.where(reached.any(axis=1), np.array(DELAYS)[reached.argmax(axis=1)], np.inf)
    quartiles = np.quantile(days, (0.25, 0.5, 0.75), method="inverted_cdf") if len(days) else [np.inf] * 3
    found = [float(quartile) if np.isfinite(quartile) else None for quartile in quartiles]
    return {"n": len(days), "found": _share(np.isfinite(days)), "days_quartiles": found}


def onset_error(true: np.ndarray, told: np.ndarray) -> dict:
    """How far the onset told lies from the true one. [days since 1970, of suspected thieves; told: NaN where none]"""
    error = np.abs(told - true)
    error = error[~np.isnan(error)]
    median = float(np.median(error)) if len(error) else None
    return {"n": len(error), "median_days": median, "within": _share(error <= ONSET_NEAR)}


def _recalls(label: np.ndarray, score: np.ndarray, of: np.ndarray) -> dict:
    honest = score[label == 0]
    recalls = {f"recall_at_{rate:.0%}": _reaching(score[of], score_at(honest, rate)) for rate in RATES}
    return {"n": int(of.sum())} | recalls


def _reaching(score: np.ndarray, least: float) -> float | None:
    """Share of the scores that reach it; None of no scores, or where nobody honest says what to reach."""
    return float(np.mean(score >= least)) if len(score) and not np.isnan(least) else None


def _share(which: np.ndarray) -> dict:
    return {"n": len(which), "share": float(np.mean(which)) if len(which) else None}


def _redrawn(household: np.ndarray) -> Iterator[np.ndarray]:
    """How often each client counts where as many households are drawn with replacement."""
    rng = np.random.default_rng(0)
    names, number = np.unique(household, return_inverse=True)
    for _ in range(RESAMPLES):
        yield np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[number]
