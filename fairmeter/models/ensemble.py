"""The fitted model as it serves: evidence -> the members' input -> log-odds of each member -> one calibrated score.

In:  FeatureMatrix (features.py, reading_model.py).
Out: log-odds a client. NumPy and ONNX Runtime only; fitting.py makes these objects, model_file.py keeps them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.models.detectors.classical import Detectors
from fairmeter.models.peer_groups import PeerGroups
from fairmeter.models.runtime.oblivious_trees import BLOCK, ObliviousTrees
from fairmeter.models.target_encoding import GroupRates


@dataclass(frozen=True)
class EnsembleInputs:
    """FeatureMatrix -> what the members see: chosen features, neighbours' rates, deviations from peers, detectors' scores.

    `names` are the members' columns, `columns` the places of the chosen features among all.
    """

    names: tuple[str, ...]
    columns: np.ndarray
    rates: GroupRates | None
    peers: PeerGroups | None
    detectors: Detectors | None

    def matrix(self, evidence: FeatureMatrix, rates: np.ndarray | None = None) -> np.ndarray:
        """[float32, (clients, len(names))]; `rates` replaces the fitted ones by those out of fold, in training."""
        parts = [evidence.features[:, self.columns]]
        if self.rates is not None:
            parts.append(self.rates.columns(evidence.cells) if rates is None else rates)
        if self.peers is not None:
            parts.append(self.peers.deviations(evidence.features))
        if self.detectors is not None:
            parts.append(self.detectors.scores(evidence.features))
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


class MemberModel(Protocol):
    """A fitted member as it serves: OnnxTrees, ObliviousTrees or DenseNetwork."""

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of fraud. [float32, (clients, width) -> float64, (clients,)]"""


@dataclass(frozen=True)
class Ensemble:
    """Members stacked by a logistic regression on their log-odds; `knots` and `heights` calibrate what comes out.

    For reasons: `typical` is the members' input of the typical client [float32, (len(inputs.names),)]; `usual` holds
    medians by region and category of the features that sentences name, where the clients have such places.
    `fingerprint`: what drift is measured from; None in files of before there was one.
    """

    inputs: EnsembleInputs
    members: dict[str, MemberModel]
    weights: np.ndarray
    intercept: float
    knots: np.ndarray
    heights: np.ndarray
    typical: np.ndarray | None = None
    usual: PeerGroups | None = None
    fingerprint: ReferenceDistribution | None = None

    def member_log_odds(self, matrix: np.ndarray) -> np.ndarray:
        """Each member's log-odds of fraud. [float64, (clients, members)]"""
        return np.stack([member.values(matrix) for member in self.members.values()], axis=1)

    def log_odds(self, matrix: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of fraud, from the members' input. [float64, one a client]"""
        return self.calibrated(self._stacked(self.member_log_odds(matrix)))

    def of_mixtures(self, row: np.ndarray, group: np.ndarray, member: np.ndarray) -> np.ndarray:
        """Log-odds before calibration of clients that have `row` in some groups of columns and are typical in others.

        [row: float32 (width,); group: int, each column's; member: bool (clients, groups)]
        """
        values = np.empty((len(member), len(self.members)))
        places = {name: i for i, name in enumerate(self.members)}
        rowwise = {name: each for name, each in self.members.items() if not isinstance(each, ObliviousTrees)}
        for name in self.members.keys() - rowwise.keys():
            values[:, places[name]] = self.members[name].of_mixtures(row, self.typical, group, member)
        for block in (slice(start, start + BLOCK) for start in range(0, len(member), BLOCK)):
            mixed = np.where(member[block][:, group], row, self.typical)
            for name, each in rowwise.items():
                values[block, places[name]] = each.values(mixed)
        return self._stacked(values)

    def _stacked(self, member_log_odds: np.ndarray) -> np.ndarray:
        # Not a matrix product: its last bit would depend on how many clients are scored together.
        return (member_log_odds * self.weights).sum(axis=1) + self.intercept

    def calibrated(self, log_odds: np.ndarray) -> np.ndarray:
        return calibrated(log_odds, self.knots, self.heights)

    def probability(self, evidence: FeatureMatrix) -> np.ndarray:
        """Calibrated probability of fraud, whatever is missing. [0..1, one a client]"""
        return probability_of(self.log_odds(self.inputs.matrix(evidence)))


def calibrated(log_odds: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Straight lines between the knots, parallel to the identity beyond them: order is never changed."""
    inside = np.interp(log_odds, knots, heights)
    return inside + np.minimum(log_odds - knots[0], 0.0) + np.maximum(log_odds - knots[-1], 0.0)


def log_odds_of(probability: np.ndarray) -> np.ndarray:
    """The inverse of probability_of, finite at 0 and 1."""
    inside = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.log(inside / (1.0 - inside))


def probability_of(log_odds: np.ndarray) -> np.ndarray:
    """[0..1]; beyond 40 the exponential gains nothing and would overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))
