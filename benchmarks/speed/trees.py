"""CatBoost's trees as arrays (models/runtime/oblivious_trees.py), in C and in NumPy, against them as an ONNX graph.

    python -m benchmarks.speed.trees               as many trees and columns as one bag of the model has
    python -m benchmarks.speed.trees --trees 50    a small trial

Out: for each, the processor time for one client alone and among 1,000, and the memory [MB, growth of the process after
     its first answer]; the largest difference from the graph [log-odds]. Data are random: cost depends on number and
     depth of the trees.
"""

import argparse
import ctypes
import json
import multiprocessing
import pickle
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import psutil

from fairmeter.models.runtime import compiled, oblivious_trees, onnx_trees
from fairmeter.models.runtime.oblivious_trees import ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees

WIDTH, CLIENTS, DEPTH, TREES = 650, 1000, 6, 800
TURNS = 20
SEED = 1
COMPILED = "arrays (C)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="trees.py", description="CatBoost's trees in C, NumPy and ONNX Runtime.")
    parser.add_argument("--trees", type=int, default=TREES, help=f"how many ({TREES})")
    forms, matrix = fitted(parser.parse_args().trees)
    results = {name: in_process_of_its_own(trees, matrix, name == COMPILED) for name, trees in forms.items()}
    print("| trees as | alone, us | among 1,000, us a client | memory, MB |\n|---|---|---|---|")
    for name, (alone, among, megabytes, _) in results.items():
        print(f"| {name} | {alone:.1f} | {among:.1f} | {megabytes:.1f} |")
    *arrays, graph = (result[-1] for result in results.values())
    print(f"\nLargest difference: {max(np.abs(each - graph).max() for each in arrays):.1e}")


def fitted(trees: int) -> tuple[dict[str, ObliviousTrees | OnnxTrees], np.ndarray]:
    """One model in its forms, and clients to be judged. [float32, (CLIENTS, WIDTH)]"""
    from catboost import CatBoostClassifier

    rng = np.random.default_rng(SEED)
    inputs = rng.normal(size=(5 * CLIENTS, WIDTH)).astype(np.float32)
    label = (inputs[:, :20].sum(axis=1) + rng.normal(size=len(inputs)) > 0).astype(int)
    model = CatBoostClassifier(
        iterations=trees, depth=DEPTH, rsm=0.1, thread_count=2, random_seed=SEED, verbose=False,
        allow_writing_files=False,
    ).fit(inputs, label)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        as_json, as_onnx = Path(folder, "trees.json"), Path(folder, "trees.onnx")
        model.save_model(str(as_json), format="json")
        model.save_model(str(as_onnx), format="onnx")
        arrays = oblivious_trees.average_models([json.loads(as_json.read_text())])
        graph = OnnxTrees(onnx_trees.regressor_graph(as_onnx.read_bytes()))
    forms = {"arrays (NumPy)": arrays, "a graph (ONNX Runtime)": graph}
    return ({COMPILED: arrays} if compiled.CORE else {}) | forms, inputs[:CLIENTS]


def in_process_of_its_own(trees: ObliviousTrees | OnnxTrees, matrix: np.ndarray, is_compiled: bool) -> tuple:
    """(us alone, us a client among all, MB, values): the memory of one form must not be that of the other."""
    leaf = onnx_trees.Tree(np.array([-1]), np.array([-1]), np.array([0]), np.array([0.0]), np.array([0.0]))
    any_graph = onnx_trees.tree_ensemble_graph([leaf], 1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (pickle.dumps(trees), any_graph, matrix, is_compiled))


def measured(packed: bytes, any_graph: bytes, matrix: np.ndarray, is_compiled: bool) -> tuple:
    """As in_process_of_its_own. ONNX Runtime itself is there either way, for other members."""
    if not is_compiled:
        compiled.CORE = None
    onnx_trees.run(any_graph, np.zeros((1, 1), np.float32))
    before = memory()
    trees = pickle.loads(packed)  # noqa: S301  (made above)
    trees.values(matrix[:1])
    took = memory() - before
    alone, among = (1e6 * median_seconds(trees, rows) / len(rows) for rows in (matrix[:1], matrix))
    return alone, among, took, trees.values(matrix)


def memory() -> float:
    """Of this process, after what is free was given back. [MB]"""
    ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss / 2**20


def median_seconds(trees: ObliviousTrees | OnnxTrees, rows: np.ndarray) -> float:
    marks = [process_time()]
    for _ in range(TURNS * (20 if len(rows) == 1 else 1)):
        trees.values(rows)
        marks.append(process_time())
    return float(np.median(np.diff(marks)))


if __name__ == "__main__":
    main()
