"""The convolution over weeks as an ONNX graph, written from its weights.

In:  ConvolutionWeights, as Keras orders them, float32.
Out: the graph as bytes for `onnx_trees.run`: (clients, weeks, channels) -> (clients, 1).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairmeter.models.runtime import onnx_networks
from fairmeter.models.runtime.onnx_networks import Dense

if TYPE_CHECKING:
    from onnx import NodeProto

LATE_WEEKS = 26  # the last half year is pooled by itself too


class ConvolutionWeights(NamedTuple):
    """Layers of a network: one convolution of single weeks, then residual ones of three; two dense layers at the end.

    layers: (kernel (width, in, out), bias); dilations: of the residual ones; known: channel that is 1 in known weeks.
    """

    layers: list[Dense]
    dilations: tuple[int, ...]
    known: int
    heads: list[Dense]


def folded(
    kernel: np.ndarray, bias: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray,
    epsilon: float,
) -> Dense:  # fmt: skip
    """A convolution and its batch normalisation as one convolution."""
    scale = gamma / np.sqrt(variance + epsilon)
    return (kernel * scale).astype(np.float32), ((bias - mean) * scale + beta).astype(np.float32)


def convolution_graph(weights: ConvolutionWeights, n_weeks: int) -> bytes:
    """Graph of the network. [n_weeks: of each series]"""
    from onnx import helper

    late = np.zeros((1, 1, n_weeks), np.float32)
    late[..., -LATE_WEEKS:] = 1.0
    constants = {
        "known_channel": np.array([weights.known], np.int64), "late": late, "early": 1.0 - late,
        "one": np.ones(1, np.float32), "far": np.full(1, 1e3, np.float32), "least": np.full(1, 1e-3, np.float32),
        "weeks_axis": np.array([2], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("Transpose", ["features"], ["channels"], perm=[0, 2, 1]),
        helper.make_node("Gather", ["channels", "known_channel"], ["known"], axis=1),
    ]
    source = "channels"
    for i, (kernel, bias) in enumerate(weights.layers):
        constants |= {f"kernel_{i}": kernel.transpose(2, 1, 0), f"bias_{i}": bias}
        dilation = weights.dilations[i - 1] if i else 1
        nodes += _layer(source, i, dilation if len(kernel) > 1 else 0)
        source = f"hidden_{i}"
    nodes += _pooled(source)
    heads, more = onnx_networks.dense_layers(weights.heads, "pooled", "answer")
    return onnx_networks.graph([*nodes, *heads], constants | more, [None, n_weeks, weights.layers[0][0].shape[1]], 2)


def _layer(source: str, i: int, dilation: int) -> list["NodeProto"]:
    """A convolution, added to its input where it has a dilation. [dilation: weeks, 0 for single weeks]"""
    from onnx import helper

    padding = [dilation, dilation] if dilation else [0, 0]
    given = [source, f"kernel_{i}", f"bias_{i}"]
    nodes = [
        helper.make_node("Conv", given, [f"linear_{i}"], dilations=[max(dilation, 1)], pads=padding),
        helper.make_node("Relu", [f"linear_{i}"], [f"found_{i}"]),
    ]
    found = f"found_{i}"
    if dilation:
        nodes.append(helper.make_node("Add", [source, found], [f"sum_{i}"]))
        found = f"sum_{i}"
    return [*nodes, helper.make_node("Mul", [found, "known"], [f"hidden_{i}"])]


def _pooled(source: str) -> list["NodeProto"]:
    """Means over the known, the late and the earlier weeks, highest and lowest."""
    from onnx import helper

    nodes = []
    for mask, part in (("known", None), ("known_late", "late"), ("known_early", "early")):
        if part:
            nodes.append(helper.make_node("Mul", ["known", part], [mask]))
        nodes += [
            helper.make_node("Mul", [source, mask], [f"{mask}_part"]),
            helper.make_node("ReduceSum", [f"{mask}_part", "weeks_axis"], [f"{mask}_total"], keepdims=0),
            helper.make_node("ReduceSum", [mask, "weeks_axis"], [f"{mask}_n"], keepdims=0),
            helper.make_node("Add", [f"{mask}_n", "least"], [f"{mask}_weight"]),
            helper.make_node("Div", [f"{mask}_total", f"{mask}_weight"], [f"{mask}_mean"]),
        ]
    means = ["known_mean", "known_late_mean", "known_early_mean"]
    return [
        *nodes,
        helper.make_node("Sub", ["one", "known"], ["unknown"]),
        helper.make_node("Mul", ["unknown", "far"], ["out_of_reach"]),
        helper.make_node("Sub", [source, "out_of_reach"], ["below"]),
        helper.make_node("Add", [source, "out_of_reach"], ["above"]),
        helper.make_node("ReduceMax", ["below"], ["highest"], axes=[2], keepdims=0),
        helper.make_node("ReduceMin", ["above"], ["lowest"], axes=[2], keepdims=0),
        helper.make_node("Concat", [*means, "highest", "lowest"], ["pooled"], axis=1),
    ]
