"""The false-alarm promise: the longest list of clients whose expected share of false alarms stays below a bound.

In:  scores of clients the model has not learnt from, and a table of out-of-fold scores of its training clients.
Out: who is on the list, and what share of false alarms it is sure to keep.

Conformal selection (Jin and Candes, 2023, Journal of Machine Learning Research 24, 244): a client's p-value is the rank
of its score among those of honest training clients, and the procedure of Benjamini and Hochberg draws the list. The
bound holds for the mean over many lists, whatever the model is worth, as long as the clients are like those trained on;
one list may lie above it. A false alarm is a client that is not labelled, so undetected fraud counts as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairmeter.evaluation.metrics import mean_estimate, share_estimate

DENSE, GROWTH = 200, 1.02  # ranks kept one by one, and from there on each so much larger: counts are then 2 % too high
SHARES = (0.2, 0.3, 0.5, 0.7)  # promised, for the report
SPLITS = 200


@dataclass(frozen=True)
class ConformalSelection:
    """is_listed: bool, one a client. share: of false alarms, that was promised as an expectation. [0..1]

    smallest: the smallest share that any list would keep, None where there is nobody to list.
    """

    is_listed: np.ndarray
    share: float
    smallest: float | None


def promise_table(label: np.ndarray, score: np.ndarray) -> dict:
    """What the model keeps for its promise: numbers of clients, and some scores of honest ones, the highest first.

    label: 1 or 0; score: out of fold, of the training clients. Some five hundred numbers, of no client by itself.
    """
    honest = np.sort(score[label == 0])[::-1]
    return {"n": len(label), "n_honest": len(honest), "scores": honest[_ranks(len(honest)) - 1].tolist()}


def _ranks(n: int) -> np.ndarray:
    """The ranks kept of n scores, 1 the highest; the last of all is one of them."""
    steps = np.log(max(n, 1) / DENSE) / np.log(GROWTH)
    sparse = DENSE * GROWTH ** np.arange(1, max(int(np.ceil(steps)), 0) + 1)
    ranks = np.concatenate([np.arange(1, DENSE + 1), np.floor(sparse).astype(np.int64), [n]])
    return np.unique(ranks[(ranks >= 1) & (ranks <= n)])


class PValueSteps(NamedTuple):
    """Where p-values step up as scores fall. least: scores from which on each p holds, falling, the last 0; p: [0..1]

    p-value: how rarely an honest client scores so high, (1 + honest ones at or above) / (1 + all).
    """

    least: np.ndarray
    p: np.ndarray


def steps_of(table: Mapping) -> PValueSteps:
    ranks = np.append(_ranks(table["n_honest"]), table["n_honest"] + 1)
    above = np.nextafter(np.asarray(table["scores"], np.float64), np.inf)  # a score that is kept has itself at or above
    return PValueSteps(np.append(above, 0.0), ranks / (table["n"] + 1))


def promised(score: np.ndarray, table: Mapping, share: float) -> ConformalSelection:
    """The longest list that keeps the share of false alarms. [score: NaN where nobody can judge, share: 0..1]"""
    steps, judged = steps_of(table), np.sort(score[~np.isnan(score)])
    least, smallest = least_listed(len(judged) - np.searchsorted(judged, steps.least), steps, share)
    return ConformalSelection(score >= least, share, smallest)


def least_listed(n_from: np.ndarray, steps: PValueSteps, share: float) -> tuple[float, float | None]:
    """The score from which on clients are listed, infinite where none is, and the smallest share a list would keep.

    n_from: how many clients have the least score of each step or more; the last counts all who are judged.
    """
    has_any = n_from > 0
    if not has_any.any():
        return math.inf, None
    kept = n_from[-1] * steps.p[has_any] / n_from[has_any]
    longest = steps.least[has_any][kept <= share]
    return float(longest[-1]) if longest.size else math.inf, min(float(kept.min()), 1.0)


def false_alarms(label: np.ndarray, is_listed: np.ndarray) -> float:
    """Share of the list that is not labelled; of an empty list none. [0..1]"""
    return float(1.0 - label[is_listed].mean()) if is_listed.any() else 0.0


# --- whether it holds -------------------------------------------------------------------------------------------------


def held_on_others(
    label: np.ndarray, score: np.ndarray, table: Mapping, shares: Sequence[float] = SHARES
) -> list[dict]:
    """One list of each promise, from clients the table's model has not seen: its length, its false alarms."""
    rows = []
    for share in shares:
        found = promised(score, table, share)
        n, wrong = int(found.is_listed.sum()), int((label[found.is_listed] == 0).sum())
        rows.append({"promised": share, "n": n, "realised": share_estimate(wrong, n), "smallest": found.smallest})
    return rows


def held_in_splits(
    label: np.ndarray, score: np.ndarray, shares: Sequence[float] = SHARES, n_splits: int = SPLITS, seed: int = 0
) -> list[dict]:
    """Each promise on random halves of out-of-fold scores: one half makes the table, the other is listed.

    realised: mean over the splits with its interval, an empty list without false alarms; range: 95 % of the splits;
    n: clients listed, on average; empty_share: of splits in which no list kept the promise.
    """
    rng, (wrong, listed) = np.random.default_rng(seed), np.empty((2, len(shares), n_splits))
    for split in range(n_splits):
        known, other = np.array_split(rng.permutation(len(label)), 2)
        table = promise_table(label[known], score[known])
        for i, share in enumerate(shares):
            found = promised(score[other], table, share)
            wrong[i, split] = false_alarms(label[other], found.is_listed)
            listed[i, split] = found.is_listed.sum()
    return [_over_splits(*row) for row in zip(shares, wrong, listed, strict=True)]


def _over_splits(share: float, wrong: np.ndarray, listed: np.ndarray) -> dict:
    realised = mean_estimate(wrong)
    return {
        "promised": share,
        "realised": {name: realised[name] for name in ("value", "interval")},
        "range": np.quantile(wrong, [0.025, 0.975]).tolist(),
        "n": float(listed.mean()),
        "empty_share": float((listed == 0).mean()),
    }
