"""Without labels: the mean rank of the detectors' scores among the clients they were fitted on, as log-odds.

In:  the members' input [float32, (clients, width)], of which some columns are detectors' scores.
Out: log of (rank / (1 - rank)) [float64, (clients,)]: a place among clients, no probability.
"""

from dataclasses import dataclass

import numpy as np

STEPS = 200  # quantiles kept of each detector's scores
MOST = 1.0 - 1e-4  # a rank beyond would be sure of itself without end


@dataclass(frozen=True)
class MeanRank:
    """columns: the detectors' places in the input; knots: their scores' quantiles [float64, (detectors, STEPS + 1)]."""

    columns: np.ndarray
    knots: np.ndarray

    @classmethod
    def fit(cls, matrix: np.ndarray, columns: np.ndarray) -> "MeanRank":
        scores = np.nan_to_num(matrix[:, columns].astype(np.float64))
        return cls(columns, np.quantile(scores, np.linspace(0.0, 1.0, STEPS + 1), axis=0).T)

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """[float32, (clients, width) -> float64, (clients,)]; a missing score counts as 0, the least suspicious."""
        scores = np.nan_to_num(matrix[:, self.columns].astype(np.float64))
        ranks = [_rank(score, knots) for score, knots in zip(scores.T, self.knots, strict=True)]
        total = ranks[0]
        for rank in ranks[1:]:  # one by one: a mean over an axis would round by the number of clients
            total = total + rank
        rank = np.clip(total / len(ranks), 1.0 - MOST, MOST)
        return np.log(rank / (1.0 - rank))


def _rank(score: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Share of the clients below, those alike counted half. [0..1]"""
    steps = np.linspace(0.0, 1.0, len(knots))
    # Where knots are equal, `interp` answers with the last of them: seen from the other side, with the first.
    below_or_alike, above_or_alike = np.interp(score, knots, steps), np.interp(-score, -knots[::-1], steps)
    return (below_or_alike + 1.0 - above_or_alike) / 2.0
