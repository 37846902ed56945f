"""Score without labels: the mean rank of the detectors' scores among the clients they were fitted on, as log-odds.

In:  the members' input [float32, (clients, width)], some columns of which are detector scores.
Out: log(rank / (1 - rank)) [float64, (clients,)]: a place among clients, not a probability.
"""

from dataclasses import dataclass

import numpy as np

QUANTILES = 200  # number of quantiles stored of each detector's scores
MAX_RANK = 1.0 - 1e-4  # highest rank: its log-odds must stay finite


@dataclass(frozen=True)
class MeanRank:
    """Mean rank of detector scores.

    columns: the detectors' columns of the input; knots: quantiles of their scores
    [float64, (detectors, QUANTILES + 1)].
    """

    columns: np.ndarray
    knots: np.ndarray

    @classmethod
    def fit(cls, matrix: np.ndarray, columns: np.ndarray) -> "MeanRank":
        """Fit the quantiles of the scores in these columns."""
        scores = np.nan_to_num(matrix[:, columns].astype(np.float64))
        return cls(columns, np.quantile(scores, np.linspace(0.0, 1.0, QUANTILES + 1), axis=0).T)

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of the mean rank. [float32, (clients, width) -> float64, (clients,)]

        A missing score counts as 0, the least suspicious.
        """
        scores = np.nan_to_num(matrix[:, self.columns].astype(np.float64))
        ranks = [_rank(score, knots) for score, knots in zip(scores.T, self.knots, strict=True)]
        total = ranks[0]
        for rank in ranks[1:]:  # a mean over the axis would round by the number of clients
            total = total + rank
        rank = np.clip(total / len(ranks), 1.0 - MAX_RANK, MAX_RANK)
        return np.log(rank / (1.0 - rank))


def _rank(score: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Share of the clients below a score; equal scores count half. [0..1]"""
    steps = np.linspace(0.0, 1.0, len(knots))
    # For equal knots `interp` gives the last of them; on reversed signs it gives the first.
    below_or_alike, above_or_alike = np.interp(score, knots, steps), np.interp(-score, -knots[::-1], steps)
    return (below_or_alike + 1.0 - above_or_alike) / 2.0
