"""Inverse-probability weights of inspected clients, whom the list chose by their scores.

In:  scores of all clients that the inspections represent; masks of those inspected because chosen, or at random.
Out: a weight for each inspected client; effective sample size, weighted medians and a representative sample.

Horvitz and Thompson 1952 (JASA 47, 663): a client sampled with probability p represents 1 / p clients, and weighted
sums then estimate those of all clients without bias. Random inspections have one known probability. For chosen clients
it is the share chosen among clients with a similar score. A client can be sampled in either way, so p is that of the
union of both (Kalton and Anderson 1986, JRSS A 149, 65).

Assumption: among clients with similar scores, the chosen ones are like the others. Scores that the list never reaches
are represented by random inspections only.
"""

import numpy as np

MIN_STRATUM_SIZE = 20  # chosen clients: fewer give no reliable share of the stratum
MAX_STRATA = 10
# A few random inspections have weights near 1,000, chosen ones near 2; trees would overfit those few. Their weights are
# therefore capped at so many medians; the level of the score is calibrated with the full weights (ensemble_fitting.py).
MAX_MEDIANS = 10.0


def design_weights(score: np.ndarray, is_chosen: np.ndarray, is_random: np.ndarray) -> np.ndarray:
    """1 / p of the inspected clients, NaN of the others. [score: 0..1; is_chosen, is_random: disjoint masks]"""
    stratum = _strata(score, score[is_chosen])
    n = np.bincount(stratum)
    chosen_share = np.bincount(stratum[is_chosen], minlength=len(n)) / np.maximum(n, 1)
    random_share = is_random.sum() / max(len(score) - is_chosen.sum(), 1)  # among those not chosen
    p = chosen_share[stratum] + (1.0 - chosen_share[stratum]) * random_share
    is_inspected = is_chosen | is_random
    return np.divide(1.0, p, out=np.full(len(score), np.nan), where=is_inspected)


def _strata(score: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Each client's stratum: 0 below all chosen scores, then strata with equally many chosen clients. [int]"""
    n_strata = min(MAX_STRATA, max(1, len(chosen) // MIN_STRATUM_SIZE))
    edges = np.unique(np.quantile(chosen, np.arange(n_strata) / n_strata)) if len(chosen) else np.empty(0)
    return np.searchsorted(edges, score, side="right")


def cap_weights(weight: np.ndarray) -> np.ndarray:
    """Weights of at most MAX_MEDIANS medians, scaled to a mean of 1."""
    bounded = np.minimum(weight, MAX_MEDIANS * np.median(weight))
    return bounded / bounded.mean()


def effective_size(weight: np.ndarray) -> float:
    """Number of equally weighted clients with the same variance of the mean (Kish, Survey Sampling, Wiley 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def representative_sample(weight: np.ndarray, seed: int) -> np.ndarray:
    """A random sample of the inspected, drawn by their weights, that represents all clients. [mask]"""
    share = cap_weights(weight)
    return np.random.default_rng(seed).random(len(weight)) < share / share.max()


def weighted_medians(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted median of each column, NaN where missing values weigh more. [(clients, width) -> (width,)]"""
    order = np.argsort(values, axis=0)  # NaN last
    heavy = np.cumsum(weight[order], axis=0)
    middle = np.where(np.isnan(values), 0.0, weight[:, None]).sum(axis=0) / 2.0
    at = np.take_along_axis(order, (heavy < middle).sum(axis=0)[None], axis=0)
    found = np.take_along_axis(values, at, axis=0)[0]
    return np.where(middle < weight.sum() / 4.0, np.nan, found)
