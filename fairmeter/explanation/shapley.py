"""Effect of each evidence group on a client's score: exact Shapley values of the whole calibrated model.

In:  a client's input to each ensemble and the typical client's, which is part of the ensemble; for invoices that are
     no longer available, the log-odds of the score that they gave.
Out: effects in probability, one for each group of REASON_GROUPS and one for a stored score. They sum to the score less
     the typical client's score. For sentences, also the change of the log-odds if one topic alone becomes typical.

The value of a coalition of groups is the probability of a client that has these groups' columns and is typical in all
others. All coalitions are one batch. A group in which the client is typical needs no computation and has the effect 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np

from fairmeter.explanation.topics import ColumnTopics, Topic, column_topics
from fairmeter.features.base import REASON_GROUPS
from fairmeter.models.ensemble import Ensemble, probability_of

N_GROUPS = len(REASON_GROUPS)


@dataclass(frozen=True)
class EnsembleInput:
    """A client's input to one ensemble. [row: float32, (width,); kind: INVOICES or READINGS]"""

    ensemble: Ensemble
    kind: str
    row: np.ndarray

    @property
    def columns(self) -> ColumnTopics:
        return column_topics(self.ensemble.inputs.names, self.kind)

    @property
    def differs(self) -> np.ndarray:
        """Mask of the columns in which the client is not typical. [bool, (width,)]"""
        row, typical = self.row, self.ensemble.typical
        return (row != typical) & ~(np.isnan(row) & np.isnan(typical))

    @property
    def groups(self) -> list[int]:
        """Groups in which the client is not typical, ascending. [places in REASON_GROUPS]"""
        return np.unique(self.columns.group[self.differs]).tolist()


class CombinedModel(NamedTuple):
    """A part of the score of which only the result is known: the client's log-odds and the typical client's."""

    log_odds: float
    typical: float


@dataclass(frozen=True)
class ShapleyValues:
    """A score and the effects that it consists of.

    typical: the typical client's score; effects: float64, in the order of REASON_GROUPS [in probability];
    moves: change of the log-odds by part and topic; stored_effect: effect of a stored score, 0 without one.
    """

    probability: float
    typical: float
    effects: np.ndarray
    moves: dict[tuple[int, Topic], float]
    stored_effect: float = 0.0


def shapley_values(
    parts: list[EnsembleInput], constant: float, min_effect: float, stored: CombinedModel | None = None
) -> ShapleyValues:
    """Shapley values of one client, whose log-odds are the sum of the parts' log-odds and a constant.

    moves: for topics of groups whose effect is at least `min_effect` in size; above 0 if the topic raises the score.
    stored: joins and leaves coalitions as one, like a group.
    """
    active = sorted({group for part in parts for group in part.groups})
    log_odds = np.full(2 ** len(active), constant)
    for part in parts:
        log_odds += _coalition_log_odds(part, active)
    if stored is not None:  # it is the last of all groups: coalitions without it come first
        log_odds = np.concatenate([log_odds + stored.typical, log_odds + stored.log_odds])
    value = probability_of(log_odds)
    effects, found = np.zeros(N_GROUPS), _shapley(value, len(active) + (stored is not None))
    effects[active] = found[: len(active)]
    selected = np.flatnonzero(np.abs(effects) >= min_effect)
    moves = {(i, topic): move for i, part in enumerate(parts) for topic, move in _moves(part, selected).items()}
    return ShapleyValues(float(value[-1]), float(value[0]), effects, moves, float(found[len(active) :].sum()))


def _coalition_log_odds(part: EnsembleInput, active: list[int]) -> np.ndarray:
    """Calibrated log-odds of a part for every coalition; coalitions that are alike for this part are computed once."""
    mine = part.groups
    place = np.full(N_GROUPS + 1, len(mine))
    place[mine] = np.arange(len(mine))
    group = place[np.where(part.differs, part.columns.group, N_GROUPS)]
    value = part.ensemble.calibrate(part.ensemble.coalition_log_odds(part.row, group, len(mine)))
    places = [active.index(each) for each in mine]
    return value[_coalitions(len(active))[:, places] @ (1 << np.arange(len(mine)))]


def _moves(part: EnsembleInput, groups: np.ndarray) -> dict[Topic, float]:
    """Loss of log-odds if one topic of these groups alone becomes typical. [before calibration]"""
    columns = part.columns
    is_wanted = part.differs & np.isin(columns.group, groups)
    wanted, place = np.unique(columns.topic[is_wanted], return_inverse=True)
    topic = np.full(len(columns.topic), len(wanted))
    topic[is_wanted] = place
    lost = part.ensemble.log_odds_losses(part.row, topic, len(wanted))
    return {columns.topics[j]: float(x) for j, x in zip(wanted, lost, strict=True)}


@lru_cache(maxsize=N_GROUPS + 2)
def _coalitions(n: int) -> np.ndarray:
    """Every coalition of n groups, the empty one first and the full one last. [bool, (2^n, n)]"""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


def _shapley(value: np.ndarray, n: int) -> np.ndarray:
    """Mean contribution of each group over all orders of joining (Shapley 1953). [value: (2^n,), as _coalitions]"""
    number = np.arange(len(value))
    weight = _weights(n)
    without = [number[number >> group & 1 == 0] for group in range(n)]
    return np.array([(weight[s] * (value[s | 1 << group] - value[s])).sum() for group, s in enumerate(without)])


@lru_cache(maxsize=N_GROUPS + 2)
def _weights(n: int) -> np.ndarray:
    """Share of the orders in which exactly this coalition comes before a given group outside it. [(2^n,)]"""
    size = _coalitions(n).sum(axis=1)
    by_size = [factorial(s) * factorial(n - s - 1) / factorial(n) if s < n else 0.0 for s in range(n + 1)]
    return np.array(by_size)[size]
