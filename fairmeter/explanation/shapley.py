"""How much each evidence group adds to a client's score: exact Shapley values of the whole calibrated model.

In:  a client's input to each ensemble, and the typical client's, which the ensemble keeps; or of invoices that are not
     at hand any more what they said.
Out: effects in probability, one a group of REASON_GROUPS, and one of those invoices; they sum to the score less the
     typical client's. Beside them, what the score loses where one aspect alone is taken from the typical client: what a
     sentence is to be about.

The value of a coalition of groups is the probability of a client that has these groups' columns and is typical in all
others. All coalitions are one batch; where a client is typical in a group nothing is computed for it, and it gets 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np

from fairmeter.explanation.topics import ColumnTopics, Topic, layout_of
from fairmeter.features.base import REASON_GROUPS
from fairmeter.models.ensemble import Ensemble, probability_of

N_GROUPS = len(REASON_GROUPS)


@dataclass(frozen=True)
class EnsembleInput:
    """A client's input to one ensemble [float32, (width,)]; kind: of its columns (aspects.py)."""

    ensemble: Ensemble
    kind: str
    row: np.ndarray

    @property
    def layout(self) -> ColumnTopics:
        return layout_of(self.ensemble.inputs.names, self.kind)

    @property
    def differs(self) -> np.ndarray:
        """Where the client is not typical. [bool, (width,)]"""
        row, typical = self.row, self.ensemble.typical
        return (row != typical) & ~(np.isnan(row) & np.isnan(typical))

    @property
    def groups(self) -> list[int]:
        """Those in which the client is not typical, ascending. [places in REASON_GROUPS]"""
        return np.unique(self.layout.group[self.differs]).tolist()


class CombinedModel(NamedTuple):
    """A part of which nothing but what it came to is known: the client's log-odds by it, and the typical client's."""

    log_odds: float
    typical: float


@dataclass(frozen=True)
class ShapleyValues:
    """A score and what it is made of. [effects: float64, by REASON_GROUPS; moves: log-odds, by part and aspect]

    earlier: the effect of the part that is known as a whole, 0 without one. [in probability]
    """

    probability: float
    typical: float
    effects: np.ndarray
    moves: dict[tuple[int, Topic], float]
    earlier: float = 0.0


def shares(
    parts: list[EnsembleInput], constant: float, least: float, earlier: CombinedModel | None = None
) -> ShapleyValues:
    """Of one client, whose score is that of the parts' log-odds and a constant added up.

    moves: for aspects of groups whose effect is `least` or more in size; above 0 where the aspect raises the score.
    earlier: joins and leaves coalitions as one, like a group.
    """
    active = sorted({group for part in parts for group in part.groups})
    log_odds = np.full(2 ** len(active), constant)
    for part in parts:
        log_odds += _of_coalitions(part, active)
    if earlier is not None:  # as the last group of all: coalitions without it first
        log_odds = np.concatenate([log_odds + earlier.typical, log_odds + earlier.log_odds])
    value = probability_of(log_odds)
    effects, found = np.zeros(N_GROUPS), _shapley(value, len(active) + (earlier is not None))
    effects[active] = found[: len(active)]
    told = np.flatnonzero(np.abs(effects) >= least)
    moves = {(i, aspect): move for i, part in enumerate(parts) for aspect, move in _moves(part, told).items()}
    return ShapleyValues(float(value[-1]), float(value[0]), effects, moves, float(found[len(active) :].sum()))


def _of_coalitions(part: EnsembleInput, active: list[int]) -> np.ndarray:
    """The part's calibrated log-odds of every coalition; those that differ in no group of its own are computed once."""
    mine = part.groups
    is_own = np.zeros((2 ** len(mine), N_GROUPS), dtype=bool)
    is_own[:, mine] = _coalitions(len(mine))
    value = part.ensemble.calibrated(part.ensemble.of_mixtures(part.row, part.layout.group, is_own))
    places = [active.index(group) for group in mine]
    return value[_coalitions(len(active))[:, places] @ (1 << np.arange(len(mine)))]


def _moves(part: EnsembleInput, groups: np.ndarray) -> dict[Topic, float]:
    """What the score loses where one aspect of these groups alone becomes typical. [log-odds before calibration]"""
    layout = part.layout
    asked = np.unique(layout.aspect[part.differs & np.isin(layout.group, groups)])
    is_own = np.arange(len(layout.aspects)) != np.append(asked, -1)[:, None]  # the last row is the client as it is
    value = part.ensemble.of_mixtures(part.row, layout.aspect, is_own)
    lost = value[-1] - value[:-1]
    return {layout.aspects[j]: float(x) for j, x in zip(asked, lost, strict=True)}


@lru_cache(maxsize=N_GROUPS + 2)
def _coalitions(n: int) -> np.ndarray:
    """Every coalition of n groups, the empty one first and the full one last. [bool, (2^n, n)]"""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


def _shapley(value: np.ndarray, n: int) -> np.ndarray:
    """Shapley 1953: each group's mean contribution over all orders of joining. [value: (2^n,) as _coalitions]"""
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
