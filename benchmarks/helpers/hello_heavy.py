"""The same app in a worker that holds what a model pickled in its native library needs. It loads no model."""

import catboost  # noqa: F401
import pandas as pd  # noqa: F401
import sklearn.ensemble  # noqa: F401
import xgboost  # noqa: F401

from benchmarks.helpers.hello import app

__all__ = ["app"]
