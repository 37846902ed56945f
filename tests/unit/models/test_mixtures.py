"""Trees whose mixtures of two rows are summed by branching: the same as evaluating every mixture."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.paths import PROJECT
from fairmeter.models import model_file
from fairmeter.models.runtime import onnx_trees
from fairmeter.models.runtime.oblivious_trees import ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees, Tree, tree_ensemble_graph
from fairmeter.models.runtime.tree_arrays import TreeArrays, tree_arrays


@pytest.fixture(scope="module")
def delivered():
    return model_file.load(PROJECT / "model.bin")


def drawn_oblivious(rng, width, depth=4, n_trees=50):
    return ObliviousTrees(
        rng.integers(0, width, (depth, n_trees)).astype(np.int32),
        rng.normal(size=(depth, n_trees)).astype(np.float32),
        rng.integers(-(2**40), 2**40, (n_trees, 2**depth)),
        0.25,
    )


def two_rows(rng, typical, share=0.5):
    """A client that differs from the typical one in some columns, a few of them missing."""
    own = np.where(rng.random(len(typical)) < share, rng.normal(size=len(typical)) * 30, typical).astype(np.float32)
    own[rng.random(len(typical)) < 0.05] = np.nan
    return own


def parts_of(rng, own, other, n):
    """A part of each column, n where the rows are equal."""
    is_equal = (own == other) | (np.isnan(own) & np.isnan(other))
    return np.where(is_equal, n, rng.integers(0, n, len(own)))


def coalitions_one_by_one(trees, own, other, group, n):
    member = np.append(np.arange(2**n)[:, None] >> np.arange(n) & 1, np.zeros((2**n, 1), int), axis=1) > 0
    return trees.values(np.where(member[:, group], own, other))


def losses_one_by_one(trees, own, other, part, n):
    value = trees.values(np.where(part == np.arange(n + 1)[:, None], other, own)[:n])
    return trees.values(own[None])[0] - value


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_oblivious_trees_sum_to_the_last_bit(seed, n):
    rng = np.random.default_rng(seed)
    other = rng.normal(size=12).astype(np.float32)
    trees, own = drawn_oblivious(rng, 12), two_rows(rng, other)
    group = parts_of(rng, own, other, n)
    found = trees.coalition_values(own, other, group, n)
    assert np.array_equal(found, coalitions_one_by_one(trees, own, other, group, n))
    expected = losses_one_by_one(trees, own, other, group, n)
    assert trees.losses(own, other, group, n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_delivered_trees_sum_as_their_graphs_do(delivered, seed):
    rng = np.random.default_rng(seed)
    for ensemble in (delivered.invoices, delivered.readings.ensemble):
        other = ensemble.typical
        own = two_rows(rng, other, rng.random())
        few, many = parts_of(rng, own, other, 8), parts_of(rng, own, other, 80)
        for member in (each for each in ensemble.members.values() if isinstance(each, OnnxTrees)):
            arrays = tree_arrays(member.graph)
            assert isinstance(arrays, TreeArrays)
            expected = coalitions_one_by_one(member, own, other, few, 8)
            assert arrays.coalition_values(own, other, few, 8) == pytest.approx(expected, abs=1e-5)
            expected = losses_one_by_one(member, own, other, many, 80)
            assert arrays.losses(own, other, many, 80) == pytest.approx(expected, abs=1e-5)


def test_the_score_is_that_of_the_coalition_of_all(delivered):
    ensemble, rng = delivered.invoices, np.random.default_rng(5)
    own = two_rows(rng, ensemble.typical)
    value = ensemble.coalition_log_odds(own, parts_of(rng, own, ensemble.typical, 8), 8)
    expected = ensemble.log_odds(np.stack([ensemble.typical, own]))
    assert ensemble.calibrate(value[[0, -1]]) == pytest.approx(expected, abs=1e-5)


class Refusing:
    def values(self, _matrix):
        raise AssertionError("a member of weight 0 is not evaluated")


def test_a_member_of_weight_zero_is_not_evaluated(delivered):
    given = delivered.invoices
    members = given.members | {"none": Refusing()}
    more = replace(given, members=members, weights=np.append(given.weights, 0.0))
    rows = np.stack([given.typical, two_rows(np.random.default_rng(1), given.typical)])
    assert np.array_equal(more.log_odds(rows), given.log_odds(rows))
    group = np.zeros(len(given.typical), int)
    assert np.array_equal(more.coalition_log_odds(rows[1], group, 1), given.coalition_log_odds(rows[1], group, 1))


def test_a_graph_of_other_splits_has_to_be_run():
    leaf = np.array([-1, -1])
    tree = Tree(
        np.array([1, *leaf]), np.array([2, *leaf]), np.zeros(3, int), np.array([0.5, 0, 0]), np.array([0, 1.0, 2.0])
    )
    graph = tree_ensemble_graph([tree], 1)
    below = np.nextafter(np.float32(0.5), np.float32(np.inf))
    assert tree_arrays(graph).threshold[0] == below, "at most a half is below the next number"
    assert tree_arrays(graph.replace(b"BRANCH_LEQ", b"BRANCH_GTE")) is None
    assert tree_arrays(b"") is None
    assert tree_arrays(b"no graph at all") is None
    assert onnx_trees.run(tree_ensemble_graph([tree], 1), np.zeros((1, 1), np.float32)).tolist() == [[1.0]]
