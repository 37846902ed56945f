"""Fitted ensemble: features -> the members' input -> log-odds of each member -> calibrated log-odds.

In:  FeatureMatrix of invoices or of readings.
Out: calibrated log-odds, one a client. NumPy and ONNX Runtime only; training makes these objects, model_file.py stores
     them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.core.types import FeatureMatrix, JudgedClients
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.models.detectors.classical import Detectors
from fairmeter.models.invoice_evidence import InvoiceEvidence
from fairmeter.models.peer_groups import PeerGroups
from fairmeter.models.runtime.oblivious_trees import BLOCK, ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.models.runtime.tree_arrays import TreeArrays, tree_arrays
from fairmeter.models.target_encoding import GroupRates


class OutOfFold(NamedTuple):
    """Columns of training clients from other clients' labels: target encodings, and the evidence of single invoices.

    In training they stand for the columns of what is fitted on all; None where there are none.
    """

    rates: np.ndarray | None = None
    invoices: np.ndarray | None = None


IN_SERVING = OutOfFold()


@dataclass(frozen=True)
class EnsembleInputs:
    """FeatureMatrix -> the members' input: selected features, target encodings, deviations from peers, detector scores.

    Last come the columns of single invoices, where the ensemble was fitted with them.
    `names` are the members' columns; `columns` are the places of the selected features among all.
    """

    names: tuple[str, ...]
    columns: np.ndarray
    rates: GroupRates | None
    peers: PeerGroups | None
    detectors: Detectors | None
    invoices: InvoiceEvidence | None = None

    def matrix(self, features: FeatureMatrix, training: OutOfFold = IN_SERVING) -> np.ndarray:
        """The members' input. [float32, (clients, len(names)); training: columns of the clients fitted on]"""
        parts = [features.features[:, self.columns]]
        if self.rates is not None:
            parts.append(self.rates.columns(features.group_keys) if training.rates is None else training.rates)
        if self.peers is not None:
            parts.append(self.peers.deviations(features.features))
        if self.detectors is not None:
            parts.append(self.detectors.scores(features.features))
        if self.invoices is not None:
            parts.append(self.invoices.columns(features.invoices) if training.invoices is None else training.invoices)
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


class MemberModel(Protocol):
    """A fitted member: OnnxTrees, ObliviousTrees, DenseNetwork, ColumnMember or MeanRank."""

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of fraud. [float32, (clients, width) -> float64, (clients,)]"""


class Branching(Protocol):
    """Trees that sum mixtures of two rows without evaluating each: ObliviousTrees, TreeArrays."""

    def coalition_values(self, own: np.ndarray, other: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """Sums for all mixtures of n groups. [float64, (2^n,)]"""

    def losses(self, own: np.ndarray, other: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
        """The sum of `own`, less that with one part as in `other`. [float64, (n_parts,)]"""


@dataclass(frozen=True)
class Ensemble:
    """Members stacked by a logistic regression on their log-odds; `knots` and `heights` calibrate the result.

    For reasons: `typical` is the members' input of the typical client [float32, (len(inputs.names),)]; `usual` holds
    medians by region and category of the features that sentences mention, if the clients have these codes.
    `fingerprint`: reference distribution for drift; None in files of older versions.
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
        used = [member.values(matrix) if w else np.zeros(len(matrix)) for member, w in self._weighted_members]
        return self.calibrate(self._stacked(np.stack(used, axis=1)))

    def judge(self, features: FeatureMatrix, min_records: int = 1) -> FeatureMatrix:
        """The features with the members' input and the log-odds of all clients that have so many records."""
        rows = np.flatnonzero(features.n_records >= min_records)
        if not len(rows):
            return features
        is_all = len(rows) == len(features)
        judged = self.judged(features if is_all else features.of(rows))
        if not is_all:
            judged = JudgedClients(self, *(_placed(each, rows, len(features)) for each in judged[1:]))
        return replace(features, judged=judged)

    def judged(self, features: FeatureMatrix) -> JudgedClients:
        """The members' input and the log-odds of all clients, from `judge` if this ensemble has judged them."""
        if self._has_judged(features):
            return features.judged
        inputs = self.inputs.matrix(features)
        return JudgedClients(self, inputs, self.log_odds(inputs))

    def inputs_of(self, features: FeatureMatrix) -> np.ndarray:
        """The members' input alone. [float32, (clients, len(inputs.names))]"""
        return features.judged.inputs if self._has_judged(features) else self.inputs.matrix(features)

    def _has_judged(self, features: FeatureMatrix) -> bool:
        return features.judged is not None and features.judged.ensemble is self

    def coalition_log_odds(self, row: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """Log-odds before calibration of all mixtures of a client and the typical one. [float64, (2^n_groups,)]

        Bit g of a mixture's number is set where the columns of group g are the client's.
        row: float32, (width,); group: of each column, n_groups for columns in which the client is typical.
        """
        branching, others = self._by_evaluation
        out = sum(weight * trees.coalition_values(row, self.typical, group, n_groups) for trees, weight in branching)
        if others:
            number = np.arange(2**n_groups)
            member = np.append(number[:, None] >> np.arange(n_groups) & 1, np.zeros((len(number), 1), int), axis=1) > 0
            out = out + self._rowwise(row, group, member, others)
        return out + self.intercept

    def log_odds_losses(self, row: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
        """Log-odds before calibration that a client loses if one part becomes typical. [float64, (n_parts,)]

        part: of each column, n_parts for columns that no part is about.
        """
        branching, others = self._by_evaluation
        out = sum(weight * trees.losses(row, self.typical, part, n_parts) for trees, weight in branching)
        if others:
            wanted = np.append(np.unique(part), n_parts)  # the last row is the client itself
            value = self._rowwise(row, part, np.arange(n_parts + 1) != wanted[:, None], others, is_own_rest=True)
            lost = np.zeros(n_parts + 1)
            lost[wanted] = value[-1] - value
            out = out + lost[:n_parts]
        return out

    @cached_property
    def _by_evaluation(self) -> tuple[list[tuple[Branching, float]], list[tuple[MemberModel, float]]]:
        """Members whose mixtures branch, the general trees of all as one, and the others; each with its weight."""
        branching, general, others = [], [], []
        for member, weight in self._weighted_members:
            if not weight:
                continue
            arrays = tree_arrays(member.graph) if isinstance(member, OnnxTrees) else None
            if arrays is not None:
                general.append((arrays, weight))
            elif isinstance(member, ObliviousTrees):
                branching.append((member, weight))
            else:
                others.append((member, weight))
        if general:
            joined = TreeArrays.weighted_sum(general)
            branching.append((joined.compiled() or joined, 1.0))
        return branching, others

    def _rowwise(
        self,
        row: np.ndarray,
        group: np.ndarray,
        member: np.ndarray,
        models: list[tuple[MemberModel, float]],
        is_own_rest: bool = False,
    ) -> np.ndarray:
        """Weighted sum of models that judge each mixture. [member: bool, (mixtures, groups + 1)]"""
        member = member.copy()
        member[:, -1] = is_own_rest
        parts = []
        for block in (slice(start, start + BLOCK) for start in range(0, len(member), BLOCK)):
            mixed = np.where(member[block][:, group], row, self.typical)
            parts.append(sum(weight * model.values(mixed) for model, weight in models))
        return np.concatenate(parts)

    @property
    def _weighted_members(self) -> Iterable[tuple[MemberModel, float]]:
        return zip(self.members.values(), self.weights.tolist(), strict=True)

    def _stacked(self, member_log_odds: np.ndarray) -> np.ndarray:
        # No matrix product, because its last bit depends on how many clients are scored together.
        return (member_log_odds * self.weights).sum(axis=1) + self.intercept

    def calibrate(self, log_odds: np.ndarray) -> np.ndarray:
        """Calibrated log-odds, from the weighted sum of the members. [float64]"""
        return calibrate(log_odds, self.knots, self.heights)

    def probability(self, features: FeatureMatrix) -> np.ndarray:
        """Calibrated probability of fraud, also with missing values. [0..1, one a client]"""
        return probability_of(self.judged(features).log_odds)


def _placed(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """The values of some clients among all, NaN for the others. [(rows, ...) -> (n, ...)]"""
    out = np.full((n, *values.shape[1:]), np.nan, values.dtype)
    out[rows] = values
    return out


def calibrate(log_odds: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Interpolate between the knots, with slope 1 beyond them, so that the order never changes."""
    inside = np.interp(log_odds, knots, heights)
    return inside + np.minimum(log_odds - knots[0], 0.0) + np.maximum(log_odds - knots[-1], 0.0)


def log_odds_of(probability: np.ndarray) -> np.ndarray:
    """Inverse of probability_of, finite at 0 and 1."""
    inside = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.log(inside / (1.0 - inside))


def probability_of(log_odds: np.ndarray) -> np.ndarray:
    """Logistic function of log-odds, clipped at 40 so that the exponential does not overflow. [0..1]"""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))
