"""Fit the model of another server and save it in that server's format.

In:  random numbers: it is the size that counts, and so every tree has all its leaves.
Out: FOLDER holds the model. Runs in the tool's own environment, with the XGBoost there.
"""

import sys
from pathlib import Path

import numpy as np
import xgboost

SEED, N_ROWS = 1, 20_000


def main(tool: str, folder: str, n_columns: str, n_trees: str, depth: str) -> None:
    rng = np.random.default_rng(SEED)
    table = rng.normal(size=(N_ROWS, int(n_columns))).astype(np.float32)
    model = xgboost.XGBClassifier(
        n_estimators=int(n_trees), max_depth=int(depth), learning_rate=0.05, min_child_weight=0, n_jobs=1
    )
    model.fit(table, rng.random(N_ROWS) < 0.5)
    SAVERS[tool](model, Path(folder))


def for_bentoml(model: xgboost.XGBClassifier, _folder: Path) -> None:
    import bentoml  # puts it into the store under $BENTOML_HOME

    bentoml.xgboost.save_model("scorer", model.get_booster())


def for_mlserver(model: xgboost.XGBClassifier, folder: Path) -> None:
    model.save_model(folder / "model.json")


def for_mlflow(model: xgboost.XGBClassifier, folder: Path) -> None:
    import mlflow

    mlflow.xgboost.save_model(model, folder / "model")


SAVERS = {"bentoml": for_bentoml, "mlserver": for_mlserver, "mlflow": for_mlflow}

if __name__ == "__main__":
    main(*sys.argv[1:])
