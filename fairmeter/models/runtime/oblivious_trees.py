"""Oblivious boosted trees (CatBoost) as arrays: all nodes of a level have the same split, which is fast in NumPy.

In:  CatBoost models as their JSON; a matrix [float32, (clients, width)], missing values NaN.
Out: ObliviousTrees; `values` gives the sum of the leaves [float64, (clients,)].

Measured against the same trees as an ONNX graph: a twentieth of the memory, six times as fast in batches, half as fast
for one client (benchmarks/speed/trees.py).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairmeter.models.runtime.compiled import CompiledTrees

BLOCK = 64  # clients at a time: their comparisons stay in the processor's cache
# Leaves are integer multiples of this. Integers have the same sum in any order, so a client's value is the same, to the
# last bit, alone and in a batch.
STEP = 2.0**-40


@dataclass(frozen=True)
class ObliviousTrees:
    """Trees of one depth. At each level a client goes to the side given by `matrix[:, column] > border`.

    columns [int32] and borders [float32]: (depth, trees); leaves [int64, in STEPs]: (trees, 2^depth); bias: of the sum.
    """

    columns: np.ndarray
    borders: np.ndarray
    leaves: np.ndarray
    bias: float

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Sum of the leaves. [float32, (clients, width) -> float64, (clients,)] A missing value is above no border."""
        if self._compiled is not None:
            return self._compiled.values(matrix) * STEP + self.bias
        parts = [self._of_block(matrix[start : start + BLOCK]) for start in range(0, len(matrix), BLOCK)]
        return np.concatenate(parts) * STEP + self.bias if parts else np.empty(0)

    def coalition_values(self, own: np.ndarray, other: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """`values` of all mixtures of n groups, to the last bit. [float64, (2^n,): bit g is set where g is `own`]

        own, other: float32, (width,); group: of each column, n_groups for columns in which the rows are equal. A tree
        differs by the groups that it asks about: its leaves' differences are summed by sets of groups, and these over
        the subsets of each coalition.
        """
        if self._compiled is not None:
            return self._compiled.coalition_values(own, other, group, n_groups) * STEP + self.bias
        tree, asked, gain, first = self._changes(own, other, group, n_groups)
        found = np.zeros(2**n_groups)  # whole numbers, exact in float64
        found[0] = self._leaves_at(first).sum()
        n_asked = np.bincount(tree, minlength=len(first))
        starts = np.cumsum(n_asked) - n_asked
        for k in np.unique(n_asked[n_asked > 0]).tolist():
            trees = np.flatnonzero(n_asked == k)
            entries = starts[trees][:, None] + np.arange(k)
            leaf, groups = first[trees][:, None], np.zeros((len(trees), 1), np.int64)
            for at in entries.T:
                leaf = np.concatenate([leaf, leaf + gain[at][:, None]], axis=1)
                groups = np.concatenate([groups, groups | 1 << asked[at][:, None]], axis=1)
            value = self._leaves_at(leaf)
            for bit in range(k):
                halves = value.reshape(len(trees), -1, 2, 1 << bit)
                halves[:, :, 1] -= halves[:, :, 0]
            found += np.bincount(groups[:, 1:].ravel(), value[:, 1:].ravel(), len(found))
        for bit in range(n_groups):
            halves = found.reshape(-1, 2, 1 << bit)
            halves[:, 1] += halves[:, 0]
        return found * STEP + self.bias

    def losses(self, own: np.ndarray, other: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
        """`values` of `own`, less that with one part of the columns as in `other`. [float64, (n_parts,)]

        part: of each column, n_parts for columns that no part is about.
        """
        if self._compiled is not None:
            return self._compiled.losses(own, other, part, n_parts) * STEP
        tree, asked, gain, first = self._changes(own, other, part, n_parts, from_own=True)
        lost = self._leaves_at(first[tree]) - self._leaves_at(first[tree] + gain)
        return np.bincount(asked, lost, n_parts) * STEP

    @cached_property
    def _compiled(self) -> CompiledTrees | None:
        """The same trees in C, where that was built."""
        levels = self.columns, self.borders, self.leaves
        return CompiledTrees.made(lambda core: core.SymmetricForest(*levels, len(self.columns)), np.int64)

    def _changes(
        self, own: np.ndarray, other: np.ndarray, group: np.ndarray, n_groups: int, from_own: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(tree, group, change of the leaf's place) by tree and group where the rows differ; each tree's first place.

        The first place is that of `other`, which a group of `own` changes; or the other way round.
        """
        depth = len(self.columns)
        above = [row.take(self.columns) > self.borders for row in ((other, own) if from_own else (own, other))]
        bit = (1 << np.arange(depth - 1, -1, -1))[:, None]
        first = np.arange(len(self.leaves)) * self.leaves.shape[1] + (above[1] * bit).sum(axis=0)
        level, tree = np.nonzero(above[0] != above[1])
        asked = group.take(self.columns[level, tree])
        level, tree, asked = (each[asked < n_groups] for each in (level, tree, asked))
        change = np.where(above[0][level, tree], bit[level, 0], -bit[level, 0])
        key, place = np.unique(tree * n_groups + asked, return_inverse=True)
        gain = np.bincount(place, change, len(key)).astype(np.int64)
        return key // n_groups, key % n_groups, gain, first

    def _leaves_at(self, place: np.ndarray) -> np.ndarray:
        return self.leaves.ravel().take(place)

    def _of_block(self, matrix: np.ndarray) -> np.ndarray:
        by_column = np.ascontiguousarray(matrix.T)
        n_trees, n_leaves = self.leaves.shape
        leaf = np.zeros((n_trees, len(matrix)), dtype=np.int32)
        for columns, borders in zip(self.columns, self.borders, strict=True):
            leaf += leaf
            leaf += by_column.take(columns, axis=0) > borders[:, None]
        leaf += np.arange(n_trees, dtype=np.int32)[:, None] * np.int32(n_leaves)
        return self.leaves.ravel().take(leaf).sum(axis=0)


def average_models(models: list[dict]) -> ObliviousTrees:
    """One set of trees that gives the mean of several CatBoost models. [models: parsed JSON]"""
    trees = [tree for model in models for tree in model["oblivious_trees"]]
    splits = [tree["splits"] or [] for tree in trees]  # null: a tree of one leaf
    depth = max(map(len, splits))
    columns, borders = np.zeros((depth, len(trees)), np.int32), np.full((depth, len(trees)), np.inf, np.float32)
    leaves = np.zeros((len(trees), 2**depth))
    for i, tree in enumerate(trees):
        # CatBoost's first split is the lowest bit of the leaf's number. A tree of fewer levels begins with splits at
        # infinity.
        for level, split in enumerate(reversed(splits[i]), start=depth - len(splits[i])):
            columns[level, i], borders[level, i] = split["float_feature_index"], split["border"]
        leaves[i, : len(tree["leaf_values"])] = tree["leaf_values"]
    scales, biases = zip(*((scale, bias) for scale, (bias,) in (m["scale_and_bias"] for m in models)), strict=True)
    leaves *= np.repeat(scales, [len(m["oblivious_trees"]) for m in models])[:, None] / len(models)
    return ObliviousTrees(columns, borders, np.rint(leaves / STEP).astype(np.int64), float(np.mean(biases)))
