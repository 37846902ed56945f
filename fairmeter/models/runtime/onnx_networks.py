"""Networks as ONNX graphs, written from their weights, so that neither a converter nor Keras is needed for serving.

In:  weights as Keras orders them, float32.
Out: the graph as bytes for `onnx_trees.run`: one input `features`, one output.
"""

from typing import TYPE_CHECKING

import numpy as np

from fairmeter.models.runtime.onnx_trees import IR_VERSION

if TYPE_CHECKING:
    from onnx import NodeProto

OPSET = 15  # the newest for that IR version

Dense = tuple[np.ndarray, np.ndarray]  # kernel (in, out), bias (out,)


def autoencoder_graph(encoder: list[Dense], decoder: list[Dense]) -> bytes:
    """Graph of an autoencoder of dense layers, with ReLU after all but the last layer of each half.

    (rows, width) -> (rows, decoded + code): the reconstruction, then the code.
    """
    from onnx import helper

    nodes, weights = dense_layers(encoder, "features", "code")
    decoding, more = dense_layers(decoder, "code", "decoded")
    both = helper.make_node("Concat", ["decoded", "code"], ["answer"], axis=1)
    return graph([*nodes, *decoding, both], weights | more, [None, encoder[0][0].shape[0]])


def dense_graph(fits: list[list[Dense]]) -> bytes:
    """Graph of the mean of dense networks, with ReLU after all but the last layer. (rows, width) -> (rows, 1)"""
    from onnx import helper

    nodes, weights, answers = [], {}, [f"answer_{i}" for i in range(len(fits))]
    for layers, answer in zip(fits, answers, strict=True):
        theirs, more = dense_layers(layers, "features", answer)
        nodes, weights = nodes + theirs, weights | more
    nodes.append(helper.make_node("Mean", answers, ["answer"]))
    return graph(nodes, weights, [None, fits[0][0][0].shape[0]])


def lstm_graph(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, head: Dense) -> bytes:
    """Graph of an LSTM with zero initial state and a dense layer on its output at every step.

    (steps, rows, width) -> (steps, rows, out); kernel (width, 4 units), recurrent (units, 4 units), bias (4 units,).
    """
    from onnx import helper

    n_units = recurrent.shape[0]
    weights = {
        "kernel": _gates(kernel)[None],
        "recurrent": _gates(recurrent)[None],
        "bias": np.concatenate([_gates(bias[None])[:, 0], np.zeros(4 * n_units, np.float32)])[None],
        "head_kernel": head[0],
        "head_bias": head[1],
        "directions": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("LSTM", ["features", "kernel", "recurrent", "bias"], ["hidden"], hidden_size=n_units),
        helper.make_node("Squeeze", ["hidden", "directions"], ["units"]),  # one direction: forwards
        helper.make_node("MatMul", ["units", "head_kernel"], ["heads"]),
        helper.make_node("Add", ["heads", "head_bias"], ["answer"]),
    ]
    return graph(nodes, weights, [None, None, kernel.shape[0]])


def _gates(weights: np.ndarray) -> np.ndarray:
    """Reorder gates. [(n, 4 units), input, forget, cell, output -> (4 units, n), input, output, forget, cell]"""
    at_input, forget, cell, at_output = np.split(weights, 4, axis=1)
    return np.concatenate([at_input, at_output, forget, cell], axis=1).T


def dense_layers(layers: list[Dense], start: str, end: str) -> tuple[list["NodeProto"], dict[str, np.ndarray]]:
    """Nodes and weights of dense layers with ReLU between them. [start, end: names of input and output]"""
    from onnx import helper

    nodes, weights, source = [], {}, start
    for i, (kernel, bias) in enumerate(layers):
        names = [f"{end}_kernel_{i}", f"{end}_bias_{i}"]
        weights |= dict(zip(names, (kernel, bias), strict=True))
        is_last = i == len(layers) - 1
        target = end if is_last else f"{end}_{i}"
        nodes.append(helper.make_node("Gemm", [source, *names], [target if is_last else f"{target}_linear"]))
        if not is_last:
            nodes.append(helper.make_node("Relu", [f"{target}_linear"], [target]))
        source = target
    return nodes, weights


def graph(
    nodes: list["NodeProto"], weights: dict[str, np.ndarray], shape: list[int | None], rank: int | None = None
) -> bytes:
    """A graph of these nodes. [shape: of the input; rank: of the output, that of the input if None]"""
    from onnx import TensorProto, helper, numpy_helper

    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None] * (rank or len(shape)))],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
