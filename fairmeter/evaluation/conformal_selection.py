"""Conformal selection: the longest list of clients whose expected share of false alarms stays below a bound.

In:  scores of clients that the model was not trained on; a calibration table of out-of-fold training scores.
Out: which clients are listed, and the smallest bound that any list meets.

Jin and Candes, 2023, Journal of Machine Learning Research 24, 244: the p-value of a client is the rank of its score
among those of honest training clients, and the procedure of Benjamini and Hochberg selects the list. The bound holds
for the mean over many lists, however good the model is, while clients are exchangeable with the training clients; a
single list may exceed it. A false alarm is a client without a fraud label, so undetected fraud counts as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairmeter.evaluation.metrics import mean_estimate, share_estimate

# Ranks stored one by one, and the growth from one stored rank to the next beyond: counts are then at most 2 % too high.
DENSE, GROWTH = 200, 1.02
SHARES = (0.2, 0.3, 0.5, 0.7)  # bounds in the report
SPLITS = 200


@dataclass(frozen=True)
class ConformalSelection:
    """is_listed: bool per client. share: bound of the expected share of false alarms. [0..1]

    smallest: the smallest bound that any list meets, None without clients to list.
    """

    is_listed: np.ndarray
    share: float
    smallest: float | None


def calibration_table(label: np.ndarray, score: np.ndarray) -> dict:
    """Numbers of clients and some scores of honest ones, falling; stored with the model for `select`.

    label: 1 or 0; score: out of fold, of the training clients. About five hundred numbers for a large client base.
    """
    honest = np.sort(score[label == 0])[::-1]
    return {"n": len(label), "n_honest": len(honest), "scores": honest[_ranks(len(honest)) - 1].tolist()}


def _ranks(n: int) -> np.ndarray:
    """The stored ranks of n scores, from 1, the highest, to n."""
    steps = np.log(max(n, 1) / DENSE) / np.log(GROWTH)
    sparse = DENSE * GROWTH ** np.arange(1, max(int(np.ceil(steps)), 0) + 1)
    ranks = np.concatenate([np.arange(1, DENSE + 1), np.floor(sparse).astype(np.int64), [n]])
    return np.unique(ranks[(ranks >= 1) & (ranks <= n)])


class PValueSteps(NamedTuple):
    """The p-value as a step function of the score. min_score: lowest score of each step, falling to 0; p: [0..1]

    p-value: probability that an honest client scores as high, (1 + honest ones at or above) / (1 + all).
    """

    min_score: np.ndarray
    p: np.ndarray


def p_value_steps(table: Mapping) -> PValueSteps:
    """The step function of a calibration table."""
    ranks = np.append(_ranks(table["n_honest"]), table["n_honest"] + 1)
    above = np.nextafter(np.asarray(table["scores"], np.float64), np.inf)  # a stored score counts itself
    return PValueSteps(np.append(above, 0.0), ranks / (table["n"] + 1))


def select(score: np.ndarray, table: Mapping, share: float) -> ConformalSelection:
    """The longest list within the bound. [score: NaN where the client has none; share: 0..1]"""
    steps, scored = p_value_steps(table), np.sort(score[~np.isnan(score)])
    threshold, smallest = selection_threshold(len(scored) - np.searchsorted(scored, steps.min_score), steps, share)
    return ConformalSelection(score >= threshold, share, smallest)


def selection_threshold(n_from: np.ndarray, steps: PValueSteps, share: float) -> tuple[float, float | None]:
    """The lowest listed score, infinite for an empty list, and the smallest bound that any list meets.

    n_from: number of clients with the lowest score of each step or more; its last element counts all scored clients.
    """
    has_any = n_from > 0
    if not has_any.any():
        return math.inf, None
    bound = n_from[-1] * steps.p[has_any] / n_from[has_any]
    longest = steps.min_score[has_any][bound <= share]
    return float(longest[-1]) if longest.size else math.inf, min(float(bound.min()), 1.0)


def false_alarm_share(label: np.ndarray, is_listed: np.ndarray) -> float:
    """Share of listed clients without a fraud label; 0 for an empty list. [0..1]"""
    return float(1.0 - label[is_listed].mean()) if is_listed.any() else 0.0


# --- does the bound hold? ---------------------------------------------------------------------------------------------


def measure_on_test(
    label: np.ndarray, score: np.ndarray, table: Mapping, shares: Sequence[float] = SHARES
) -> list[dict]:
    """One list for each bound, of clients that the table's model was not trained on: length and false alarms."""
    rows = []
    for share in shares:
        found = select(score, table, share)
        n, wrong = int(found.is_listed.sum()), int((label[found.is_listed] == 0).sum())
        rows.append({"promised": share, "n": n, "realised": share_estimate(wrong, n), "smallest": found.smallest})
    return rows


def measure_on_splits(
    label: np.ndarray, score: np.ndarray, shares: Sequence[float] = SHARES, n_splits: int = SPLITS, seed: int = 0
) -> list[dict]:
    """Each bound on random halves of out-of-fold scores: one half gives the table, the other is selected from.

    realised: mean over the splits with its interval, an empty list without false alarms; range: 95 % of the splits;
    n: mean number of listed clients; empty_share: share of splits with an empty list.
    """
    rng, (wrong, n_listed) = np.random.default_rng(seed), np.empty((2, len(shares), n_splits))
    for split in range(n_splits):
        calibration, other = np.array_split(rng.permutation(len(label)), 2)
        table = calibration_table(label[calibration], score[calibration])
        for i, share in enumerate(shares):
            found = select(score[other], table, share)
            wrong[i, split] = false_alarm_share(label[other], found.is_listed)
            n_listed[i, split] = found.is_listed.sum()
    return [_over_splits(*row) for row in zip(shares, wrong, n_listed, strict=True)]


def _over_splits(share: float, wrong: np.ndarray, n_listed: np.ndarray) -> dict:
    realised = mean_estimate(wrong)
    return {
        "promised": share,
        "realised": {name: realised[name] for name in ("value", "interval")},
        "range": np.quantile(wrong, [0.025, 0.975]).tolist(),
        "n": float(n_listed.mean()),
        "empty_share": float((n_listed == 0).mean()),
    }
