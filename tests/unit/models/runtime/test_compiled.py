"""Compiled trees: the same sums as NumPy and ONNX Runtime, no array is read outside, and all works without them."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fairmeter.models.runtime import build, compiled, onnx_trees, tree_arrays
from fairmeter.models.runtime.build import SOURCE_FILE, source_digest
from fairmeter.models.runtime.compiled import CompiledTrees
from fairmeter.models.runtime.oblivious_trees import ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees, Tree, tree_ensemble_graph

WIDTH = 12


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    """The module, built of the source that is here."""
    folder = tmp_path_factory.mktemp("core")
    try:
        file = build.build(folder)
    except FileNotFoundError:
        pytest.skip("no C compiler is here")
    loader = importlib.machinery.ExtensionFileLoader(build.NAME, str(file))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(build.NAME, loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def with_core(core, monkeypatch):
    monkeypatch.setattr(compiled, "CORE", core)
    monkeypatch.setattr(tree_arrays, "compiled_trees", tree_arrays.compiled_trees.__wrapped__)
    monkeypatch.setattr(onnx_trees, "compiled_trees", tree_arrays.compiled_trees)


@pytest.fixture
def without_core(monkeypatch):
    monkeypatch.setattr(compiled, "CORE", None)
    monkeypatch.setattr(onnx_trees, "compiled_trees", tree_arrays.compiled_trees.__wrapped__)


def drawn_tree(rng, depth):
    """A tree of random shape; children are below 0 at a leaf."""
    left, right, feature, threshold, value = [], [], [], [], []

    def grow(level):
        node = len(left)
        for column in (left, right):
            column.append(-1)
        feature.append(int(rng.integers(WIDTH)))
        threshold.append(float(rng.normal()))
        value.append(float(rng.normal()))
        if level < depth and rng.random() < 0.9:
            left[node] = grow(level + 1)
            right[node] = grow(level + 1)
        return node

    grow(0)
    return Tree(*(np.array(column) for column in (left, right, feature, threshold, value)))


def drawn_graph(seed, n_trees=30, depth=6):
    rng = np.random.default_rng(seed)
    return tree_ensemble_graph([drawn_tree(rng, depth) for _ in range(n_trees)], WIDTH)


def drawn_rows(seed, n):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, WIDTH)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def drawn_oblivious(seed, depth=6, n_trees=40):
    rng = np.random.default_rng(seed)
    return ObliviousTrees(
        rng.integers(0, WIDTH, (depth, n_trees)).astype(np.int32),
        rng.normal(size=(depth, n_trees)).astype(np.float32),
        rng.integers(-(2**40), 2**40, (n_trees, 2**depth)),
        0.25,
    )


def parts_of(seed, own, other, n):
    is_equal = (own == other) | (np.isnan(own) & np.isnan(other))
    return np.where(is_equal, n, np.random.default_rng(seed).integers(0, n, len(own)))


def compiled_oblivious(core, trees):
    levels = trees.columns, trees.borders, trees.leaves
    return CompiledTrees(core.SymmetricForest(*levels, len(trees.columns)), np.int64)


@pytest.mark.usefixtures("with_core")
@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65, 200])
def test_sums_are_those_of_onnx_runtime_to_the_last_bit(n):
    graph, rows = drawn_graph(n), drawn_rows(n, n)
    by_runtime = onnx_trees.run(graph, rows)[:, 0].astype(np.float64)
    np.testing.assert_array_equal(OnnxTrees(graph).values(rows), by_runtime)
    alone = np.concatenate([OnnxTrees(graph).values(row[None]) for row in rows])
    np.testing.assert_array_equal(alone, by_runtime)


@pytest.mark.usefixtures("with_core")
def test_no_graph_is_run_where_trees_are_compiled(monkeypatch):
    monkeypatch.setattr(onnx_trees, "run", lambda *_: pytest.fail("a graph was run"))
    assert len(OnnxTrees(drawn_graph(1)).values(drawn_rows(1, 5))) == 5


@pytest.mark.usefixtures("without_core")
@pytest.mark.parametrize("n", [1, 8, 9, 64, 65, 130])
def test_oblivious_trees_sum_to_the_last_bit(core, n):
    trees, rows = drawn_oblivious(n), drawn_rows(n, n)
    own = compiled_oblivious(core, trees).values(rows)
    np.testing.assert_array_equal(own * 2.0**-40 + trees.bias, trees.values(rows))


@pytest.mark.usefixtures("without_core")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 3, 8])
def test_mixtures_are_those_of_numpy(core, seed, n):
    own, other = drawn_rows(seed, 2)
    group = parts_of(seed, own, other, n)
    arrays = tree_arrays.tree_arrays(drawn_graph(seed))
    forest = CompiledTrees(core.Forest(*nodes_of(arrays), arrays.base), np.float64)
    for name in ("coalition_values", "losses"):
        found, expected = (getattr(each, name)(own, other, group, n) for each in (forest, arrays))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    trees = drawn_oblivious(seed)
    symmetric = compiled_oblivious(core, trees)
    values = symmetric.coalition_values(own, other, group, n) * 2.0**-40 + trees.bias
    np.testing.assert_array_equal(values, trees.coalition_values(own, other, group, n))
    losses = symmetric.losses(own, other, group, n) * 2.0**-40
    np.testing.assert_array_equal(losses, trees.losses(own, other, group, n))


@pytest.mark.usefixtures("without_core")
def test_more_parts_than_fit_into_one_call_are_asked_for_in_several(core):
    trees, (own, other) = drawn_oblivious(3), drawn_rows(3, 2)
    part = parts_of(3, own, other, 600)
    losses = compiled_oblivious(core, trees).losses(own, other, part, 600) * 2.0**-40
    np.testing.assert_array_equal(losses, trees.losses(own, other, part, 600))


# --- what would read outside of its arrays ----------------------------------------------------------------------------


def nodes_of(arrays, **changes):
    each = replace(arrays, **changes)
    return (
        each.children, each.column, each.threshold, each.missing_is_below, each.is_leaf, each.value, each.roots,
    )  # fmt: skip


def stump(**changes):
    """One split and its two leaves."""
    nodes = {
        "children": np.array([1, 2, 1, 1, 2, 2], np.int32), "column": np.array([0, 0, 0], np.int32),
        "threshold": np.zeros(3, np.float32), "missing_is_below": np.zeros(3, bool),
        "is_leaf": np.array([False, True, True]), "value": np.array([0.0, 1.0, 2.0]), "roots": np.zeros(1, np.int32),
    }  # fmt: skip
    return tuple((nodes | changes).values())


@pytest.mark.parametrize(
    "change",
    [
        {"children": np.array([1, 3, 1, 1, 2, 2], np.int32)},
        {"children": np.array([-1, 2, 1, 1, 2, 2], np.int32)},
        {"children": np.array([0, 2, 1, 1, 2, 2], np.int32)},
        {"children": np.array([1, 1, 1, 1, 2, 2], np.int32)},
        {"children": np.array([1, 2], np.int32)},
        {"column": np.array([-1, 0, 0], np.int32)},
        {"column": np.array([70_000, 0, 0], np.int32)},
        {"roots": np.array([3], np.int32)},
        {"roots": np.array([-1], np.int32)},
        {"roots": np.array([0, 0], np.int32)},
        {"value": np.zeros(2)},
        {"threshold": np.zeros(3)},
        {"children": np.array([1, 2, 1, 1, 2, 2])},
        {"is_leaf": np.zeros(3, bool)},
    ],
    ids=[
        "child beyond", "child before", "its own child", "one child twice", "too few children", "column before",
        "column beyond", "root beyond", "root before", "root twice", "too few values", "thresholds of float64",
        "children of int64", "no leaf",
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused(core, change):
    with pytest.raises((TypeError, ValueError)):
        core.Forest(*stump(**change), 0.0)


@pytest.mark.parametrize(
    ("columns", "leaves", "depth"),
    [
        ([[0]], [[1, 2, 3]], 1),
        ([[0]], [[1, 2]], 2),
        ([[-1]], [[1, 2]], 1),
        ([[0]], [[1, 2]], -1),
        ([[0]], [[1, 2]], 40),
    ],
)
def test_levels_that_do_not_fit_their_leaves_are_refused(core, columns, leaves, depth):
    with pytest.raises(ValueError):  # noqa: PT011  which of the sentences is no matter
        core.SymmetricForest(np.array(columns, np.int32), np.zeros((1, 1), np.float32), np.array(leaves), depth)


@pytest.mark.parametrize("kind", ["general", "symmetric"])
def test_rows_and_results_that_do_not_fit_are_refused(core, kind):
    if kind == "general":
        forest, whole = core.Forest(*stump(column=np.array([5, 0, 0], np.int32)), 0.0), np.float64
    else:
        forest, whole = core.SymmetricForest(np.full((1, 1), 5, np.int32), np.zeros((1, 1), np.float32),
                                             np.array([[1, 2]]), 1), np.int64  # fmt: skip
    row, group, out = np.zeros(6, np.float32), np.zeros(6, np.uint8), np.zeros(2, whole)
    forest.coalition_values(row, row, group, 1, out)
    bad = [
        lambda: forest.values(np.zeros((2, 5), np.float32), np.zeros(2, whole)),
        lambda: forest.values(np.zeros(13, np.float32), np.zeros(2, whole)),
        lambda: forest.values(np.zeros((2, 6)), np.zeros(2, whole)),
        lambda: forest.values(np.zeros((2, 12), np.float32)[:, ::2], np.zeros(2, whole)),
        lambda: forest.values(np.zeros((2, 6), np.float32), np.frombuffer(bytes(16), whole)),
        lambda: forest.coalition_values(row[:5], row[:5], group[:5], 1, out),
        lambda: forest.coalition_values(row, row[:5], group, 1, out),
        lambda: forest.coalition_values(row, row, group[:5], 1, out),
        lambda: forest.coalition_values(row, row, group, 2, out),
        lambda: forest.coalition_values(row, row, group, -1, out),
        lambda: forest.coalition_values(row, row, group, 40, out),
        lambda: forest.losses(row, row, group, 3, out),
        lambda: forest.losses(row, row, group, 256, np.zeros(256, whole)),
        lambda: forest.losses(row, row, group, -2, out),
    ]
    for call in bad:
        with pytest.raises((TypeError, ValueError, BufferError)):
            call()


def test_a_model_whose_trees_are_none_is_left_to_the_slow_way(core, monkeypatch):
    monkeypatch.setattr(compiled, "CORE", core)
    assert CompiledTrees.made(lambda module: module.Forest(*stump(is_leaf=np.zeros(3, bool)), 0.0)) is None


# --- without it -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_core")
def test_without_a_module_graphs_are_run():
    graph, rows = drawn_graph(2), drawn_rows(2, 3)
    np.testing.assert_array_equal(OnnxTrees(graph).values(rows), onnx_trees.run(graph, rows)[:, 0].astype(np.float64))


def test_a_module_of_another_source_is_not_used(monkeypatch):
    monkeypatch.setattr(compiled, "source_digest", lambda: "another")
    assert compiled.compiled_core() is None


def test_without_a_compiler_it_says_so_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(build, "COMPILER", str(tmp_path / "none"))
    monkeypatch.setattr(build, "is_current", lambda: False)
    before = sorted(SOURCE_FILE.parent.iterdir())
    assert build.main([]) == 1
    assert "run in NumPy" in capsys.readouterr().err
    assert build.main(["--quiet"]) == 1
    assert capsys.readouterr().err == ""
    assert sorted(SOURCE_FILE.parent.iterdir()) == before


def test_it_builds_without_any_library(tmp_path):
    """As the stage of the image does, with nothing but Python."""
    code = f"import sys; sys.path.insert(0, {str(SOURCE_FILE.parent)!r}); import build; print(build.source_digest())"
    found = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.strip() == source_digest(), found.stderr
