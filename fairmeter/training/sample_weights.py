"""How many clients a visited one stands for: the list chose high scores, and those who will be judged are not chosen.

In:  scores of all clients that the visits are to tell of; who of them was visited, chosen or drawn at random.
Out: a weight for each visited client; what weights do to counts, medians and who is like everybody.

Horvitz and Thompson 1952 (JASA 47, 663): who came into a sample with probability p stands for 1 / p clients; sums over
the sample are then, on average, those of all. Each was drawn at random with one and the same probability, which is
known. Chosen was who had a high score: of those with about such a score, the share that was chosen. A client may come
in by either way, so p is that of the two together (Kalton and Anderson 1986, JRSS A 149, 65), for both kinds of visit.

What this takes for granted: among clients of about one score, those chosen are like the others. And it tells nothing of
scores that the list never reaches, unless visits are drawn at random.
"""

import numpy as np

A_STRATUM = 20  # chosen clients, at least: their share of all with such a score must say something
MOST_STRATA = 10
# A few visits drawn at random stand for nearly everybody, each for a thousand clients where a chosen one stands for
# two: trees would learn these few by heart. They learn from weights of at most so many medians; the level of the score,
# one number, is set with the whole weights (fitting.py).
MOST_MEDIANS = 10.0


def design_weights(score: np.ndarray, is_chosen: np.ndarray, is_random: np.ndarray) -> np.ndarray:
    """1 / p of the visited, NaN of the others. [score: 0..1, of all; is_chosen, is_random: mask, nobody in both]"""
    stratum = _strata(score, score[is_chosen])
    n = np.bincount(stratum)
    chosen_share = np.bincount(stratum[is_chosen], minlength=len(n)) / np.maximum(n, 1)
    drawn_share = is_random.sum() / max(len(score) - is_chosen.sum(), 1)  # of those who were not chosen already
    p = chosen_share[stratum] + (1.0 - chosen_share[stratum]) * drawn_share
    is_visited = is_chosen | is_random
    return np.divide(1.0, p, out=np.full(len(score), np.nan), where=is_visited)


def _strata(score: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Each client's stratum: 0 below all that was chosen, then parts with equally many chosen clients. [int]"""
    n_strata = min(MOST_STRATA, max(1, len(chosen) // A_STRATUM))
    edges = np.unique(np.quantile(chosen, np.arange(n_strata) / n_strata)) if len(chosen) else np.empty(0)
    return np.searchsorted(edges, score, side="right")


def tamed(weight: np.ndarray) -> np.ndarray:
    """Of MOST_MEDIANS medians at most, 1 on average."""
    bounded = np.minimum(weight, MOST_MEDIANS * np.median(weight))
    return bounded / bounded.mean()


def effective_size(weight: np.ndarray) -> float:
    """How many clients of equal weight would tell as much (Kish, Survey Sampling, Wiley 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def like_everybody(weight: np.ndarray, seed: int) -> np.ndarray:
    """Some of the visited, who are together about like all clients: each kept as often as it weighs. [mask]"""
    share = tamed(weight)
    return np.random.default_rng(seed).random(len(weight)) < share / share.max()


def medians(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted median of each column, NaN where those without a value weigh more. [(clients, width) -> (width,)]"""
    order = np.argsort(values, axis=0)  # NaN last
    heavy = np.cumsum(weight[order], axis=0)
    middle = np.where(np.isnan(values), 0.0, weight[:, None]).sum(axis=0) / 2.0
    at = np.take_along_axis(order, (heavy < middle).sum(axis=0)[None], axis=0)
    found = np.take_along_axis(values, at, axis=0)[0]
    return np.where(middle < weight.sum() / 4.0, np.nan, found)
