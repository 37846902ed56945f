"""Classical detectors without labels: `fit` on all clients, `score` each client, higher = more suspicious.

In:  features [float32, (clients, k)], missing values NaN.
Out: one score a client [float64]. A missing value counts as an ordinary one, so that it raises no suspicion.

Some features are changes, of which only falls are suspicious. For these, detectors are fitted with `only_falls`, which
sets all values above 0 to 0.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairmeter.models.runtime import onnx_trees

CAP = 10.0  # standard deviations: one absurd value must not dominate all others
TREES = 100
SUBSAMPLE = 256  # clients a tree, enough according to Liu, Ting and Zhou (2008)
EULER = 0.5772156649015329


class Detector(Protocol):
    """Interface of the detectors. [features: float32, (clients, k)]"""

    @classmethod
    def fit(cls, features: np.ndarray, seed: int, only_falls: bool = False) -> "Detector":
        """Fit a detector to which these clients are usual; the same seed gives the same detector."""

    def score(self, features: np.ndarray) -> np.ndarray:
        """Score of each client, higher = more suspicious. [float64]"""


@dataclass(frozen=True)
class ZScore:
    """Root mean square of the deviations from the mean. [standard deviations]"""

    mean: np.ndarray
    deviation: np.ndarray
    only_falls: bool = False

    @classmethod
    def fit(cls, features: np.ndarray, seed: int = 0, only_falls: bool = False) -> "ZScore":  # noqa: ARG003
        return cls(*_mean_and_deviation(_clipped(features, only_falls)), only_falls)

    def score(self, features: np.ndarray) -> np.ndarray:
        z = _deviations(features, self.mean, self.deviation, self.only_falls)
        return np.sqrt(np.mean(np.minimum(z * z, CAP * CAP), axis=1))


@dataclass(frozen=True)
class MovingAverage:
    """Largest deviation from a moving average, to either side. [standard deviations over all clients]

    Its features are each client's extremes of an invoice less the mean of the three before.
    """

    mean: np.ndarray
    deviation: np.ndarray
    only_falls: bool = False

    @classmethod
    def fit(cls, features: np.ndarray, seed: int = 0, only_falls: bool = False) -> "MovingAverage":  # noqa: ARG003
        return cls(*_mean_and_deviation(_clipped(features, only_falls)), only_falls)

    def score(self, features: np.ndarray) -> np.ndarray:
        z = np.abs(_deviations(features, self.mean, self.deviation, self.only_falls))
        return np.minimum(z, CAP).max(axis=1)


@dataclass(frozen=True)
class Quartiles:
    """Share of features outside Tukey's fences (1.5 interquartile ranges beyond the quartiles), plus the distance."""

    low: np.ndarray
    high: np.ndarray
    spread: np.ndarray
    only_falls: bool = False

    @classmethod
    def fit(cls, features: np.ndarray, seed: int = 0, only_falls: bool = False) -> "Quartiles":  # noqa: ARG003
        features = _clipped(features, only_falls)
        with _without_warnings():
            first, third = (_or_zero(np.nanquantile(features, share, axis=0)) for share in (0.25, 0.75))
        spread = np.where(third > first, third - first, 1.0)
        return cls(first - 1.5 * spread, third + 1.5 * spread, spread, only_falls)

    def score(self, features: np.ndarray) -> np.ndarray:
        features = _clipped(features, self.only_falls)
        beyond = np.maximum(self.low - features, features - self.high) / self.spread
        beyond = np.clip(_or_zero(beyond), 0.0, CAP)
        return np.mean((beyond > 0) + beyond / CAP, axis=1)


@dataclass(frozen=True)
class IsolationForest:
    """Isolation forest (Liu, Ting and Zhou 2008): 2^(-mean path length / c(n)). [0..1]

    Few cuts isolate a client that is unlike the others.
    """

    graph: bytes
    filling: np.ndarray
    usual_path: float
    only_falls: bool = False

    @classmethod
    def fit(cls, features: np.ndarray, seed: int = 0, only_falls: bool = False) -> "IsolationForest":
        from sklearn.ensemble import IsolationForest as Forest

        features = _clipped(features, only_falls)
        with _without_warnings():
            filling = _or_zero(np.nanmedian(features, axis=0)).astype(np.float32)
        n = min(SUBSAMPLE, len(features))
        forest = Forest(n_estimators=TREES, max_samples=n, random_state=seed).fit(_filled(features, filling))
        trees = [
            _path_lengths(estimator.tree_, columns)
            for estimator, columns in zip(forest.estimators_, forest.estimators_features_, strict=True)
        ]
        graph = onnx_trees.tree_ensemble_graph(trees, features.shape[1])
        return cls(graph, filling, float(expected_path_length(np.array([n]))[0]), only_falls)

    def score(self, features: np.ndarray) -> np.ndarray:
        features = _clipped(features, self.only_falls)
        path = onnx_trees.tree_sums(self.graph, _filled(features, self.filling)).astype(np.float32) / TREES
        return np.exp2(-path.astype(np.float64) / self.usual_path)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence NumPy's warning about a feature that no client has; `_or_zero` handles it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _mean_and_deviation(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with _without_warnings():
        mean, deviation = (_or_zero(reduce(features, axis=0, dtype=np.float64)) for reduce in (np.nanmean, np.nanstd))
    return mean, np.where(deviation > 0, deviation, 1.0)


def _deviations(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray, only_falls: bool) -> np.ndarray:
    """Deviations from the mean; 0 for missing values and, with only_falls, for values above the mean."""
    z = _or_zero((_clipped(features, only_falls) - mean) / deviation)
    return np.minimum(z, 0.0) if only_falls else z


def _clipped(features: np.ndarray, only_falls: bool) -> np.ndarray:
    return np.minimum(features, np.float32(0.0)) if only_falls else features


def _or_zero(values: np.ndarray) -> np.ndarray:
    """Replace NaN by 0."""
    return np.where(np.isnan(values), 0.0, values)


def _filled(features: np.ndarray, filling: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(features), filling, features).astype(np.float32)


def expected_path_length(n: np.ndarray) -> np.ndarray:
    """Mean path length of an unsuccessful search in a binary tree of n leaves: c(n) of Liu, Ting and Zhou (2008)."""
    n = np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        path = 2.0 * (np.log(n - 1.0) + EULER) - 2.0 * (n - 1.0) / n
    return np.where(n > 2, path, np.where(n == 2, 1.0, 0.0))


def _path_lengths(tree: object, columns: np.ndarray) -> onnx_trees.Tree:
    """A fitted tree with the path length as value of each leaf: its depth plus c(n) for its n clients."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        if tree.children_left[node] >= 0:
            depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    is_leaf = tree.children_left < 0
    value = np.where(is_leaf, depth + expected_path_length(tree.n_node_samples), 0.0)
    feature = np.where(is_leaf, 0, columns[np.maximum(tree.feature, 0)])
    return onnx_trees.Tree(tree.children_left, tree.children_right, feature, tree.threshold, value)


@dataclass(frozen=True)
class Detectors:
    """Detectors of an ensemble by name, each with the columns of its features."""

    fitted: dict[str, Detector]
    columns: dict[str, np.ndarray]

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        names: tuple[str, ...],
        looks_at: Mapping[str, tuple[str, ...]],
        seed: int,
        only_falls: bool = False,
    ) -> "Detectors":
        """Fit each detector on its features.

        [features: float32, (clients, len(names)); looks_at: names of features by names in DETECTORS]
        """
        columns = {name: np.array([names.index(n) for n in wanted]) for name, wanted in looks_at.items()}
        return cls(
            {name: DETECTORS[name].fit(features[:, at], seed, only_falls) for name, at in columns.items()}, columns
        )

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Score of each client by each detector. [float32, (clients, detectors)]"""
        return np.stack(
            [detector.score(features[:, self.columns[name]]) for name, detector in self.fitted.items()], axis=1
        ).astype(np.float32)


DETECTORS: dict[str, type[Detector]] = {
    "z_score": ZScore, "moving_average": MovingAverage, "quartiles": Quartiles, "isolation_forest": IsolationForest,
}  # fmt: skip
