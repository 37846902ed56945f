"""Networks as ONNX graphs have the output of their formulas."""

import numpy as np
import pytest

from fairmeter.models.runtime import onnx_networks, onnx_trees


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return lambda *shape: rng.normal(size=shape).astype(np.float32)


def test_an_autoencoder_answers_its_reconstruction_and_then_its_code(drawn):
    encoder = [(drawn(6, 5), drawn(5)), (drawn(5, 2), drawn(2))]
    decoder = [(drawn(2, 4), drawn(4)), (drawn(4, 3), drawn(3))]
    rows = drawn(9, 6)
    code = np.maximum(rows @ encoder[0][0] + encoder[0][1], 0) @ encoder[1][0] + encoder[1][1]
    decoded = np.maximum(code @ decoder[0][0] + decoder[0][1], 0) @ decoder[1][0] + decoder[1][1]
    answer = onnx_trees.run(onnx_networks.autoencoder_graph(encoder, decoder), rows)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, np.concatenate([decoded, code], axis=1), atol=1e-5)


def test_dense_networks_answer_their_mean(drawn):
    fits = [[(drawn(6, 5), drawn(5)), (drawn(5, 4), drawn(4)), (drawn(4, 1), drawn(1))] for _ in range(3)]
    rows, expected = drawn(9, 6), np.zeros((9, 1))
    for (k1, b1), (k2, b2), (k3, b3) in fits:
        expected += (np.maximum(np.maximum(rows @ k1 + b1, 0) @ k2 + b2, 0) @ k3 + b3) / 3
    np.testing.assert_allclose(onnx_trees.run(onnx_networks.dense_graph(fits), rows), expected, atol=1e-4)


def test_an_lstm_has_its_gates_in_the_order_of_keras(drawn):
    """Input, forget, cell, output: c = f c + i tanh(g), h = o tanh(c)."""
    kernel, recurrent, bias, head = drawn(3, 8), drawn(2, 8), drawn(8), (drawn(2, 1), drawn(1))
    series = drawn(7, 4, 3)
    hidden = cell = np.zeros((4, 2))
    expected = []
    for step in series:
        i, f, g, o = np.split(step @ kernel + hidden @ recurrent + bias, 4, axis=1)
        cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        hidden = np.tanh(cell) / (1 + np.exp(-o))
        expected.append(hidden @ head[0] + head[1])
    graph = onnx_networks.lstm_graph(kernel, recurrent, bias, head)
    np.testing.assert_allclose(onnx_trees.run(graph, series), expected, atol=1e-5)
