"""The minimal app in a worker that imports the libraries of natively pickled models. It loads no model."""

import catboost  # noqa: F401
import pandas as pd  # noqa: F401
import sklearn.ensemble  # noqa: F401
import xgboost  # noqa: F401

from benchmarks.helpers.hello import app

__all__ = ["app"]
