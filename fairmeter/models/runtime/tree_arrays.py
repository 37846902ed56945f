"""The trees of an ONNX graph as arrays, and their sums for rows that are mixed of a client's and the typical one's.

In:  the bytes of a graph of one TreeEnsembleRegressor, as training writes it (onnx_trees.py).
Out: TreeArrays. Where the client and the typical one take the same side of a split, so does every mixture: only where
     they differ does a tree branch. This takes a sixth of the time of running the graph on every mixture.

The library `onnx` is not part of the service, so the few fields that are needed are read here from the graph's own
encoding (protobuf; field numbers are those of onnx.proto).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fairmeter.models.runtime import compiled
from fairmeter.models.runtime.compiled import CompiledTrees

# Fields of messages: of the model its graph, of the graph its nodes, of a node its attributes.
GRAPH, NODE, ATTRIBUTE, NAME, FLOATS, INTS = 7, 1, 5, 1, 7, 8
VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5  # wire types
MAX_GRAPHS = 64  # cached, as sessions are
LESS, LESS_OR_EQUAL = b"BRANCH_LT", b"BRANCH_LEQ"
OTHER_MODES = (b"BRANCH_GT", b"BRANCH_GTE", b"BRANCH_EQ", b"BRANCH_NEQ", b"BRANCH_MEMBER")


@dataclass(frozen=True)
class TreeArrays:
    """Nodes of all trees. A row takes the side `row[column] < threshold`; a missing value that of `missing_is_below`.

    children: int32, (2 nodes,): of node i those at 2 i (not below) and 2 i + 1 (below); value: float64, of leaves;
    roots: int32, (trees,); base: float64, of the sum.
    """

    children: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    missing_is_below: np.ndarray
    is_leaf: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    base: float

    @classmethod
    def weighted_sum(cls, trees: Sequence[tuple["TreeArrays", float]]) -> "TreeArrays":
        """The trees of all, their leaves times a weight."""
        sizes = [len(each.column) for each, _ in trees]
        first = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        columns = {
            name: np.concatenate([getattr(each, name) for each, _ in trees])
            for name in ("column", "threshold", "missing_is_below", "is_leaf")
        }
        return cls(
            children=np.concatenate([each.children + start for (each, _), start in zip(trees, first, strict=True)]),
            value=np.concatenate([each.value * weight for each, weight in trees]),
            roots=np.concatenate([each.roots + start for (each, _), start in zip(trees, first, strict=True)]),
            base=sum(each.base * weight for each, weight in trees),
            **columns,
        )

    def compiled(self) -> CompiledTrees | None:
        """The same trees in C, where that was built."""
        nodes = self.children, self.column, self.threshold, self.missing_is_below, self.is_leaf, self.value, self.roots
        return CompiledTrees.made(lambda core: core.Forest(*nodes, self.base))

    def coalition_values(self, own: np.ndarray, other: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """Sums of the leaves for all mixtures of n groups. [float64, (2^n,): bit g is set where group g is `own`]

        own, other: float32, (width,); group: of each column, n_groups for columns in which the rows are equal.
        """
        # A digit for each group: 0 not asked about, 1 the way of `own`, 2 the way of `other`.
        digit = np.append(3 ** np.arange(n_groups, dtype=np.int32), np.int32(0)).take(group)
        node, state = self.roots, np.zeros(len(self.roots), np.int32)
        found = np.zeros(3**n_groups)
        while len(node):
            below, other_below = self._sides(node, own), self._sides(node, other)
            place = digit.take(self.column.take(node))
            asked = state // np.maximum(place, 1) % 3
            branches = np.flatnonzero((below != other_below) & (asked == 0))
            first, back = node + node, place.take(branches)
            node = np.concatenate([
                self.children.take(first + np.where(asked == 2, other_below, below)),
                self.children.take(first.take(branches) + other_below.take(branches)),
            ])  # fmt: skip
            state = np.concatenate([state, state.take(branches) + back + back])
            state[branches] += back
            node, state = self._collected(node, state, found)
        for _ in range(n_groups):  # what does not ask about a group counts with it and without it
            by_digit = found.reshape(3, -1)
            found = np.stack([by_digit[0] + by_digit[2], by_digit[0] + by_digit[1]], axis=-1).ravel()
        return found + self.base

    def losses(self, own: np.ndarray, other: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
        """Sum of the leaves of `own`, less that with one part of the columns as in `other`. [float64, (n_parts,)]

        part: of each column, n_parts for columns that no part is about.
        """
        node, tree = self.roots, np.arange(len(self.roots))
        lacks = np.full(len(node), n_parts)  # the part that is not the client's; n_parts for none
        is_done = np.zeros((len(node), n_parts + 1), bool)  # parts that a tree has asked `own` about
        is_done[:, n_parts] = True
        of_own, lost = np.zeros(len(self.roots)), np.zeros(n_parts + 1)
        while len(node):
            below, other_below = self._sides(node, own), self._sides(node, other)
            asks = part.take(self.column.take(node))
            branches = np.flatnonzero((below != other_below) & (lacks == n_parts) & ~is_done[tree, asks])
            is_done[tree[branches], asks[branches]] = True
            first = node + node
            node = np.concatenate([
                self.children.take(first + np.where((lacks == asks) & (asks < n_parts), other_below, below)),
                self.children.take(first.take(branches) + other_below.take(branches)),
            ])  # fmt: skip
            tree, lacks = np.concatenate([tree, tree[branches]]), np.concatenate([lacks, asks[branches]])
            is_leaf, value = self.is_leaf.take(node), self.value.take(node)
            is_own = is_leaf & (lacks == n_parts)
            of_own[tree[is_own]] = value[is_own]
            is_other = is_leaf & ~is_own
            lost -= np.bincount(lacks[is_other], value[is_other], n_parts + 1)
            going = np.flatnonzero(~is_leaf)
            node, tree, lacks = node[going], tree[going], lacks[going]
        return lost[:n_parts] + of_own @ is_done[:, :n_parts]

    def _sides(self, node: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Whether a row is below the threshold of each node."""
        value = row.take(self.column.take(node))
        return (value < self.threshold.take(node)) | (np.isnan(value) & self.missing_is_below.take(node))

    def _collected(self, node: np.ndarray, state: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nodes that are no leaves, with their states; leaves are added to `found`."""
        is_leaf = self.is_leaf.take(node)
        ends = np.flatnonzero(is_leaf)
        if not len(ends):
            return node, state
        found += np.bincount(state.take(ends), self.value.take(node.take(ends)), len(found))
        going = np.flatnonzero(~is_leaf)
        return node.take(going), state.take(going)


# --- reading a graph --------------------------------------------------------------------------------------------------


def tree_arrays(graph: bytes) -> TreeArrays | None:
    """The trees of a graph; None for a graph of anything else, which has to be run."""
    if any(mode in graph for mode in OTHER_MODES) or (LESS in graph and LESS_OR_EQUAL in graph):
        return None
    try:
        [node] = _fields(_fields(graph)[GRAPH][0])[NODE]
        attributes = [_fields(attribute) for attribute in _fields(node)[ATTRIBUTE]]
        lists = {bytes(own[NAME][0]).decode(): own.get(FLOATS, own.get(INTS)) for own in attributes}
        arrays = {name: np.concatenate(parts) for name, parts in lists.items() if parts}
        if LESS_OR_EQUAL in graph:  # of float32 numbers, those below the next one
            arrays["nodes_values"] = np.nextafter(arrays["nodes_values"], np.float32(np.inf))
        return _arrays_of(arrays)
    except (KeyError, IndexError, ValueError):
        return None


@lru_cache(maxsize=MAX_GRAPHS)
def compiled_trees(graph: bytes) -> CompiledTrees | None:
    """The trees of a graph in C; None where that was not built, or for a graph of anything else."""
    trees = None if compiled.CORE is None else tree_arrays(graph)
    return None if trees is None else trees.compiled()


def _arrays_of(lists: dict[str, np.ndarray]) -> TreeArrays:
    """The arrays of a TreeEnsembleRegressor's attributes, whose nodes are named by tree and number."""
    tree, number = lists["nodes_treeids"], lists["nodes_nodeids"]
    key = (tree << 32) + number
    order = np.argsort(key)

    def places(trees: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return order[np.searchsorted(key, (trees << 32) + numbers, sorter=order)]

    value, is_leaf = np.zeros(len(key)), np.zeros(len(key), bool)
    leaves = places(lists["target_treeids"], lists["target_nodeids"])
    value[leaves], is_leaf[leaves] = lists["target_weights"], True
    children = [places(tree, np.where(is_leaf, number, lists[f"nodes_{side}nodeids"])) for side in ("false", "true")]
    return TreeArrays(
        np.stack(children, axis=1).ravel().astype(np.int32),
        lists["nodes_featureids"].astype(np.int32),
        lists["nodes_values"],
        lists.get("nodes_missing_value_tracks_true", np.zeros(len(key))).astype(bool),
        is_leaf,
        value,
        np.flatnonzero(number == 0).astype(np.int32),
        float(lists.get("base_values", np.zeros(1)).sum()),
    )


def _fields(message: bytes) -> dict[int, list]:
    """The fields of a message by number: bytes, whole numbers, or arrays where many numbers follow each other."""
    found: dict[int, list] = {}
    at, content = 0, np.frombuffer(message, np.uint8)
    while at < len(message):
        tag, start = _varint(message, at)
        field, kind = tag >> 3, tag & 7
        if kind == LENGTH:
            length, start = _varint(message, start)
            value, at = message[start : start + length], start + length
        elif kind == FIXED_32:
            value, at = _float_run(content, at)
        elif kind == VARINT:
            value, at = _varint_run(content, at) if field == INTS else _varint(message, start)
        else:
            raise ValueError(f"wire type {kind}")
        found.setdefault(field, []).append(value)
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """(a whole number of seven bits a byte, the place after it)"""
    value = shift = 0
    while True:
        byte = message[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _float_run(content: np.ndarray, at: int) -> tuple[np.ndarray, int]:
    """(float32 of the fields of one tag that follow each other, the place after them)"""
    tags = content[at::5]
    n = int(np.argmin(np.append(tags == tags[0], False)))
    return content[at : at + 5 * n].reshape(n, 5)[:, 1:].copy().view("<f4")[:, 0], at + 5 * n


def _varint_run(content: np.ndarray, at: int) -> tuple[np.ndarray, int]:
    """(int64 of the fields of one tag that follow each other, the place after them)"""
    last = np.flatnonzero(content[at:] < 0x80) + at  # of each tag and each number
    first = np.append(at, last[:-1] + 1)
    is_tag = (content[first[::2]] == content[at]) & (first[::2] == last[::2])
    n = int(np.argmin(np.append(is_tag[: len(last) // 2], False)))
    begins, ends = first[1 : 2 * n : 2], last[1 : 2 * n : 2]
    value = np.zeros(n, np.int64)
    for place in range(int((ends - begins).max(initial=-1)) + 1):
        has = begins + place <= ends
        value[has] |= (content[begins[has] + place] & 0x7F).astype(np.int64) << (7 * place)
    return value, int(ends[-1]) + 1
