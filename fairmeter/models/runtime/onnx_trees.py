"""Trees as ONNX graphs: made in training, run in serving. The only room that knows ONNX.

In:  fitted trees, or a member's own ONNX export.
Out: the graph as bytes; `run` gives its output [float32, (clients, 1)].
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairmeter.core import memory

if TYPE_CHECKING:
    from onnx import NodeProto
    from onnxruntime import InferenceSession

OPSET = 3  # of ai.onnx.ml: the newest that every ONNX Runtime of the last years reads
IR_VERSION = 8  # the one that goes with it
SESSIONS = 64  # kept open; a model has ten graphs


class Tree(NamedTuple):
    """Nodes of one tree: child rows (below 0 at a leaf), feature <= threshold goes left, value at a leaf."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


def of_trees(trees: list[Tree], n_features: int) -> bytes:
    """One TreeEnsembleRegressor that sums the leaves."""
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
        nodes_values=rounded_down(np.where(leaf, 0.0, threshold)).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=np.where(leaf, 0, left).tolist(), nodes_falsenodeids=np.where(leaf, 0, right).tolist(),
        target_treeids=number[leaf].tolist(), target_nodeids=node[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()), target_weights=value[leaf].tolist(),
    )  # fmt: skip
    return _graph_of(ensemble, n_features)


def rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 not above each threshold: a float32 value then goes the way it went in float64."""
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)


def regressor_of(classifier: bytes) -> bytes:
    """A binary tree classifier's graph cut down to its trees: the output is the log-odds of class 1.

    Libraries export labels and lists of dicts besides, which cost more than the trees.
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


@lru_cache(maxsize=SESSIONS)
def session(graph: bytes) -> "InferenceSession":
    """A session of one thread: gunicorn's threads already share the cores."""
    # It would look up its maker's server and report there; its own function for that comes after the first look-up.
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    made = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    memory.release_free_memory()  # reading a graph takes twice what its session keeps
    return made


@dataclass(frozen=True)
class OnnxTrees:
    """Trees that ONNX Runtime adds up."""

    graph: bytes

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """[float32, (clients, width) -> float64, (clients,)]"""
        return run(self.graph, matrix)[:, 0].astype(np.float64)


def run(graph: bytes, features: np.ndarray) -> np.ndarray:
    """The graph's output for these clients. [features: float32, (clients, n_features) -> float32, (clients, 1)]"""
    return session(graph).run(None, {"features": features})[0]
