"""Tree ensembles as ONNX graphs, written in training; the only module that runs ONNX Runtime.

In:  fitted trees, or a member's own ONNX export.
Out: the graph as bytes; `run` gives its output [float32, (clients, 1)].
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairmeter.core import memory
from fairmeter.models.runtime.tree_arrays import compiled_trees

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnxruntime import InferenceSession

OPSET = 3  # of ai.onnx.ml: the newest that all ONNX Runtimes of recent years read
IR_VERSION = 8  # the one for that version
MAX_SESSIONS = 64  # cached; a model has ten graphs


class Tree(NamedTuple):
    """Nodes of one tree: child numbers (below 0 at a leaf), split by feature <= threshold, value at a leaf."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


def tree_ensemble_graph(trees: list[Tree], n_features: int) -> bytes:
    """Graph of one TreeEnsembleRegressor that sums the leaves."""
    from onnx import helper

    sizes = [len(tree.left) for tree in trees]
    number = np.repeat(np.arange(len(trees)), sizes)
    node = np.concatenate([np.arange(size) for size in sizes])
    left, right, feature, threshold, value = (np.concatenate(columns) for columns in zip(*trees, strict=True))
    leaf = left < 0
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["score"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=number.tolist(), nodes_nodeids=node.tolist(),
        nodes_featureids=np.where(leaf, 0, feature).tolist(),
        nodes_values=round_down(np.where(leaf, 0.0, threshold)).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=np.where(leaf, 0, left).tolist(), nodes_falsenodeids=np.where(leaf, 0, right).tolist(),
        target_treeids=number[leaf].tolist(), target_nodeids=node[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()), target_weights=value[leaf].tolist(),
    )  # fmt: skip
    return _graph_of(ensemble, n_features)


def round_down(thresholds: np.ndarray) -> np.ndarray:
    """Largest float32 not above each threshold, so that a float32 value takes the same branch as in float64."""
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)


def regressor_graph(classifier: bytes) -> bytes:
    """The trees alone of a binary classifier's graph, with the log-odds of class 1 as output.

    Libraries also export labels and lists of dicts, which take more time than the trees.
    """
    import onnx
    from onnx import helper

    model = onnx.load_from_string(classifier)
    trees = next(node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier")
    attributes = {a.name: helper.get_attribute_value(a) for a in trees.attribute}
    weights, ids = np.array(attributes["class_weights"]), np.array(attributes["class_ids"])
    one = ids == ids.max()
    regressor = helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["score"], domain="ai.onnx.ml", n_targets=1,
        target_treeids=np.array(attributes["class_treeids"])[one].tolist(),
        target_nodeids=np.array(attributes["class_nodeids"])[one].tolist(),
        target_ids=[0] * int(one.sum()), target_weights=weights[one].tolist(),
        base_values=[float(attributes["base_values"][-1])] if attributes.get("base_values") else [0.0],
    )  # fmt: skip
    regressor.attribute.extend(a for a in trees.attribute if a.name.startswith("nodes_"))
    return _graph_of(regressor, model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)


def _graph_of(trees: "NodeProto", n_features: int) -> bytes:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [trees],
        "trees",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, n_features])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


@lru_cache(maxsize=MAX_SESSIONS)
def session(graph: bytes) -> "InferenceSession":
    """Cached session of one thread, because the threads of the server already share the cores."""
    # Without this, importing ONNX Runtime contacts its telemetry server; its own switch takes effect only afterwards.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    memory.release_free_memory()  # reading a graph takes twice the memory of its session
    return made


@dataclass(frozen=True)
class OnnxTrees:
    """Trees of a graph. The compiled ones evaluate them, or ONNX Runtime, with equal sums."""

    graph: bytes

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Sum of the leaves. [float32, (clients, width) -> float64, (clients,)]"""
        return tree_sums(self.graph, matrix)


def tree_sums(graph: bytes, matrix: np.ndarray) -> np.ndarray:
    """Sum of the leaves of a graph's trees, added in float32. [float32, (clients, width) -> float64, (clients,)]"""
    trees = compiled_trees(graph)
    return run(graph, matrix)[:, 0].astype(np.float64) if trees is None else trees.values(matrix)


def run(graph: bytes, features: np.ndarray) -> np.ndarray:
    """Output of a graph. [features: float32, (clients, n_features) -> float32, (clients, 1)]"""
    return session(graph).run(None, {"features": features})[0]
