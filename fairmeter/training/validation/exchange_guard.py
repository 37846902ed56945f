"""The guard: how much of a score is the exchange of a meter, which may be a consequence of being caught.

In:  a Dataset, row numbers of clients and their scores by a model that was not fitted on them.
Out: an entry of the report's metrics: the ranking among clients without any exchange, and how well the score separates
     honest clients with a recent exchange from the others.
"""

from functools import reduce

import numpy as np

from fairmeter.evaluation.metrics import auc_estimate, bootstrap, cumulative_hits, estimate, percentiles, widened
from fairmeter.features.base import ENERGIES
from fairmeter.training.dataset import Dataset

EXCHANGED = ("meter", "meter_code")
MOST_EXCHANGE_AUC = 0.72  # of the score for a recent exchange; above it, the model has learnt the exchange


def exchange_guard(dataset: Dataset, clients: np.ndarray, score: np.ndarray, seed: int = 0) -> dict:
    """Figures among clients without an exchange of meter or code, and on recent exchanges of honest clients.

    without_exchange: n, n_fraud, roc_auc, pr_auc. exchanged: honest clients n, of them n_exchanged since the day from
    which accounts count as active, roc_auc of the score for these. [clients: row numbers; score: one for each]
    """
    y, never = dataset.label[clients], without_exchange(dataset)[clients]
    is_recent, honest = exchanged_recently(dataset)[clients], y == 0
    return {
        "without_exchange": _ranking(y[never], score[never], seed),
        "exchanged": {
            "n": int(honest.sum()),
            "n_exchanged": int(is_recent[honest].sum()),
            "roc_auc": auc_estimate(is_recent[honest], score[honest]) if honest.any() else None,
            "most": MOST_EXCHANGE_AUC,
        },
    }


def without_exchange(dataset: Dataset) -> np.ndarray:
    """Whether neither a meter nor its code ever changed. [bool, all clients]"""
    return ~reduce(np.logical_or, (column > 0 for column in _columns(dataset, "changes")))


def exchanged_recently(dataset: Dataset) -> np.ndarray:
    """Whether a meter changed on or after the day from which accounts count as active. [bool, all clients]"""
    return reduce(
        np.logical_or, (column >= dataset.active_from for column in _columns(dataset, "changed_on", ("meter",)))
    )


def _columns(dataset: Dataset, statistic: str, exchanged: tuple[str, ...] = EXCHANGED) -> list[np.ndarray]:
    return [dataset.column(f"{energy}_{name}_{statistic}") for energy in ENERGIES for name in exchanged]


def _ranking(y: np.ndarray, score: np.ndarray, seed: int) -> dict:
    counts = {"n": len(y), "n_fraud": int(y.sum())}
    if not 0 < counts["n_fraud"] < len(y):
        return counts | {"roc_auc": None, "pr_auc": None}
    draws = bootstrap(y, score, lambda steps, _weights: [steps.pr_auc()], seed=seed)
    of_list = widened(estimate(cumulative_hits(y, score).pr_auc(), percentiles(draws)), counts["n_fraud"])
    return counts | {"roc_auc": auc_estimate(y, score), "pr_auc": of_list}
