"""Fit the members of an ensemble and export them to run without their libraries. Training only.

In:  the members' input [float32, (clients, width)], missing values NaN; labels 1 or 0; a seed; optional sample weights
     with a mean of 1.
Out: `FittedMember`: the exported model and the library's own, of which the report shows TreeSHAP.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.models.detectors import keras_fit
from fairmeter.models.runtime import oblivious_trees, onnx_trees
from fairmeter.models.runtime.column_member import ColumnMember
from fairmeter.models.runtime.dense_network import DenseNetwork, InputScaler
from fairmeter.models.runtime.oblivious_trees import ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees

# Frauds weigh more, so that trees use their splits on them; stacking removes the shift of the level.
POSITIVE_WEIGHT = 2.0
THREADS = 2
# Averaged CatBoost fits. On one fold of the public set (prospective), one fit reached a mean ROC-AUC of 0.7929 and
# PR-AUC of 0.2554, the average of three 0.7955 and 0.2600.
BAGS = 3
# Averaged dense networks: fits from different initial weights differ.
NETWORKS = 3


class FittedMember(NamedTuple):
    """`serving` gives the log-odds of `native` up to float32 rounding, averaged if `native` is a list of models."""

    serving: OnnxTrees | ObliviousTrees | DenseNetwork | ColumnMember
    native: object


def fit_xgboost(
    inputs: np.ndarray, label: np.ndarray, seed: int, quick: bool = False, weight: np.ndarray | None = None
) -> FittedMember:
    """Many shallow boosted trees, each on a sample of the clients and columns."""
    import xgboost

    model = xgboost.XGBClassifier(
        n_estimators=80 if quick else 450, learning_rate=0.1 if quick else 0.055, max_depth=4 if quick else 6,
        min_child_weight=20, subsample=0.55, colsample_bynode=0.1, reg_lambda=20.0, max_bin=64, tree_method="hist",
        scale_pos_weight=POSITIVE_WEIGHT, n_jobs=THREADS, random_state=seed,
    )  # fmt: skip
    model.fit(inputs, label, sample_weight=weight)
    return FittedMember(_xgboost_trees(model, inputs.shape[1]), model)


def fit_invoice_trees(
    inputs: np.ndarray, label: np.ndarray, weight: np.ndarray, seed: int, quick: bool = False
) -> OnnxTrees:
    """Boosted trees on single invoices, few and shallow enough to score a history in a tenth of a millisecond.

    One row is an invoice; label and weight are those of its client.
    """
    import xgboost

    model = xgboost.XGBClassifier(
        n_estimators=30 if quick else 160, learning_rate=0.3 if quick else 0.15, max_depth=4 if quick else 6,
        min_child_weight=20, subsample=0.6, colsample_bynode=0.4, reg_lambda=50.0, max_bin=64, tree_method="hist",
        n_jobs=THREADS, random_state=seed,
    )  # fmt: skip
    model.fit(inputs, label, sample_weight=weight)
    return _xgboost_trees(model, inputs.shape[1])


def fit_random_forest(
    inputs: np.ndarray, label: np.ndarray, seed: int, quick: bool = False, weight: np.ndarray | None = None
) -> FittedMember:
    """A random forest by XGBoost, so that missing values and export to ONNX work as for the boosted trees."""
    import xgboost

    model = xgboost.XGBRFClassifier(
        n_estimators=40 if quick else 60, max_depth=6 if quick else 10, min_child_weight=5, subsample=0.4,
        colsample_bynode=0.08, reg_lambda=1.0, max_bin=64, tree_method="hist", scale_pos_weight=POSITIVE_WEIGHT,
        n_jobs=THREADS, random_state=seed,
    )  # fmt: skip
    model.fit(inputs, label, sample_weight=weight)
    return FittedMember(_xgboost_trees(model, inputs.shape[1]), model)


def fit_catboost(
    inputs: np.ndarray, label: np.ndarray, seed: int, quick: bool = False, weight: np.ndarray | None = None
) -> FittedMember:
    """Boosted oblivious trees, the mean of BAGS fits with different seeds: they are cheap enough to serve.

    `native` is the list of fits.
    """
    from catboost import CatBoostClassifier, Pool

    pool, models = Pool(inputs, label.astype(int), weight=weight), []
    for bag in range(1 if quick else BAGS):
        model = CatBoostClassifier(
            iterations=80 if quick else 800, learning_rate=0.1 if quick else 0.06, depth=4 if quick else 6,
            l2_leaf_reg=20.0, rsm=0.1, border_count=64, bootstrap_type="Bernoulli", subsample=0.7,
            class_weights=[1.0, POSITIVE_WEIGHT], thread_count=THREADS, random_seed=BAGS * seed + bag, verbose=False,
            allow_writing_files=False,
        )  # fmt: skip
        models.append(model.fit(pool))
    return FittedMember(oblivious_trees.average_models([_as_json(model) for model in models]), models)


def fit_network(
    inputs: np.ndarray, label: np.ndarray, seed: int, quick: bool = False, weight: np.ndarray | None = None
) -> FittedMember:
    """The mean of NETWORKS dense networks with different seeds; they need many training clients.

    `native` is the list of networks.
    """
    scaling = InputScaler.fit(inputs)
    seen, n = scaling.transform(inputs), 1 if quick else NETWORKS
    models = [keras_fit.fit_dense(seen, label, n * seed + i, weight) for i in range(n)]
    return FittedMember(DenseNetwork.from_fits(scaling, [keras_fit.layers_of(model) for model in models]), models)


def _as_json(model: object) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "member.json"
        model.save_model(str(path), format="json")
        return json.loads(path.read_text())


def _xgboost_trees(model: object, width: int) -> OnnxTrees:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    exported = convert_xgboost(model, initial_types=[("features", FloatTensorType([None, width]))], target_opset=15)
    return OnnxTrees(onnx_trees.regressor_graph(exported.SerializeToString()))


def shap_values(xgboost_model: object, inputs: np.ndarray) -> np.ndarray:
    """TreeSHAP contribution of each column (Lundberg et al. 2020). [log-odds, float32, (clients, width)]"""
    import xgboost

    contributions = xgboost_model.get_booster().predict(xgboost.DMatrix(inputs), pred_contribs=True)
    return contributions[:, :-1]  # the last column is the expected value


def shap_sizes(xgboost_model: object, inputs: np.ndarray) -> np.ndarray:
    """Mean absolute TreeSHAP contribution of each column. [log-odds, float32, (width,)]"""
    return np.abs(shap_values(xgboost_model, inputs)).mean(axis=0)


MEMBERS: dict[str, Callable[..., FittedMember]] = {
    "xgboost": fit_xgboost, "catboost": fit_catboost, "random_forest": fit_random_forest, "dense_network": fit_network,
}  # fmt: skip
TREES = ("xgboost", "catboost", "random_forest")
