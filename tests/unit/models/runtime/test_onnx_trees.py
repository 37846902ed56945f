"""Trees as ONNX graphs take the same branches as the trees."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.models.runtime import onnx_trees
from fairmeter.models.runtime.onnx_trees import Tree, round_down


def stump(feature, threshold, left, right):
    """A tree of one split: the left value at or below the threshold."""
    return Tree(
        np.array([1, -1, -1]), np.array([2, -1, -1]), np.array([feature, 0, 0]),
        np.array([threshold, 0.0, 0.0]), np.array([0.0, left, right]),
    )  # fmt: skip


def scored(trees, *rows):
    features = np.array(rows, dtype=np.float32)
    return onnx_trees.run(onnx_trees.tree_ensemble_graph(trees, features.shape[1]), features)


def test_leaves_of_all_trees_add_up():
    trees = [stump(0, 1.5, 10.0, 20.0), stump(1, 0.0, 1.0, 2.0)]
    scores = scored(trees, [1.5, 0.0], [1.6, 0.0], [1.0, 0.1], [9.0, 9.0])
    assert scores.dtype == np.float32
    assert scores.tolist() == [[11], [21], [12], [22]]


def test_a_tree_of_one_leaf_gives_its_value():
    leaf = Tree(np.array([-1]), np.array([-1]), np.array([0]), np.array([0.0]), np.array([0.25]))
    assert scored([leaf, leaf], [1.0], [-1.0]).tolist() == [[0.5], [0.5]]


def test_a_value_near_a_threshold_takes_the_same_branch_as_in_double_precision():
    above = float(np.float32(0.1)) * (1 - 1e-9)  # just under the float32 0.1, and rounded it would be that
    assert scored([stump(0, above, 0.0, 1.0)], [0.1]).tolist() == [[1]]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(-1e30, 1e30))
def test_rounding_a_threshold_changes_no_comparison(value, threshold):
    rounded = round_down(np.array([threshold]))
    assert rounded.dtype == np.float32
    assert (np.float32(value) <= rounded[0]) == (value <= threshold)


def test_a_session_is_opened_once_and_runs_on_one_thread():
    graph = onnx_trees.tree_ensemble_graph([stump(0, 1.0, 0.0, 1.0)], 1)
    session = onnx_trees.session(graph)
    assert onnx_trees.session(bytes(bytearray(graph))) is session
    assert session.get_session_options().intra_op_num_threads == 1


def test_features_of_another_width_are_refused():
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        onnx_trees.run(onnx_trees.tree_ensemble_graph([stump(0, 1.0, 0.0, 1.0)], 2), np.zeros((1, 3), dtype=np.float32))


RUNS_A_GRAPH = """
import numpy as np
from fairmeter.models.runtime import onnx_trees
leaf = onnx_trees.Tree(*(np.array([value]) for value in (-1, -1, 0, 0.0, 0.0)))
onnx_trees.run(onnx_trees.tree_ensemble_graph([leaf], 1), np.zeros((1, 1), np.float32))
"""


def test_onnx_runtime_sends_no_telemetry_and_stores_no_device_id(tmp_path):
    known = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    options = {"cwd": Path(__file__).parents[4], "env": known | {"HOME": str(tmp_path)}}
    subprocess.run([sys.executable, "-B", "-c", RUNS_A_GRAPH], check=True, **options)
    assert list(tmp_path.iterdir()) == []
