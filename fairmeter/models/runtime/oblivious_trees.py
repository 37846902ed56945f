"""Oblivious boosted trees (CatBoost) as arrays: all nodes of a level have the same split, which is fast in NumPy.

In:  CatBoost models as their JSON; a matrix [float32, (clients, width)], missing values NaN.
Out: ObliviousTrees; `values` gives the sum of the leaves [float64, (clients,)].

Measured against the same trees as an ONNX graph: a twentieth of the memory, six times as fast in batches, half as fast
for one client (benchmarks/speed/trees.py).
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 64  # clients at a time: their comparisons stay in the processor's cache
MIXTURE_BLOCK = 16  # mixtures at a time: a server process does not return this memory to the system
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
        parts = [self._of_block(matrix[start : start + BLOCK]) for start in range(0, len(matrix), BLOCK)]
        return np.concatenate(parts) * STEP + self.bias if parts else np.empty(0)

    def mixture_values(self, own: np.ndarray, other: np.ndarray, group: np.ndarray, member: np.ndarray) -> np.ndarray:
        """`values` of mixtures that have some groups of columns from `own` and the rest from `other`, to the last bit.

        own, other: float32 (width,); group: int, the group of each column; member: bool (mixtures, groups). The number
        of a leaf is a sum over levels, and so over groups: each level is compared twice for any number of mixtures.
        """
        (depth, n_trees), n_groups = self.columns.shape, member.shape[1]
        bit = (1 << np.arange(depth - 1, -1, -1))[:, None]
        above = np.stack([row.take(self.columns) > self.borders for row in (own, other)]).astype(np.int64)
        place = group.take(self.columns) * n_trees + np.arange(n_trees)
        gain = np.bincount(place.ravel(), ((above[0] - above[1]) * bit).ravel(), n_groups * n_trees)
        gain = gain.reshape(n_groups, n_trees).astype(np.int16)
        first = (np.arange(n_trees) * self.leaves.shape[1] + (above[1] * bit).sum(axis=0)).astype(np.int32)
        blocks = [member[start : start + MIXTURE_BLOCK] for start in range(0, len(member), MIXTURE_BLOCK)]
        parts = [self.leaves.ravel().take(_leaves(block, gain) + first).sum(axis=1) for block in blocks]
        return np.concatenate(parts) * STEP + self.bias if parts else np.empty(0)

    def _of_block(self, matrix: np.ndarray) -> np.ndarray:
        by_column = np.ascontiguousarray(matrix.T)
        n_trees, n_leaves = self.leaves.shape
        leaf = np.zeros((n_trees, len(matrix)), dtype=np.int32)
        for columns, borders in zip(self.columns, self.borders, strict=True):
            leaf += leaf
            leaf += by_column.take(columns, axis=0) > borders[:, None]
        leaf += np.arange(n_trees, dtype=np.int32)[:, None] * np.int32(n_leaves)
        return self.leaves.ravel().take(leaf).sum(axis=0)


def _leaves(member: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Sum of the groups' parts of each tree's leaf number. [bool (mixtures, groups), int16 (groups, trees)]"""
    leaf = np.zeros((len(member), gain.shape[1]), dtype=np.int16)
    for i in range(len(gain)):  # no matrix product, because its threads wait for each other on busy cores
        leaf[member[:, i]] += gain[i]
    return leaf


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
