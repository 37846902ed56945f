"""Fitted dense network: scale the members' input, then run the layers.

In:  the members' input [float32, (clients, width)], missing values NaN.
Out: log-odds of fraud [float64, (clients,)]. NumPy and ONNX Runtime only; keras_fit.py fits the layers.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.models.runtime import onnx_networks, onnx_trees

MIN_KNOWN_SHARE = 0.3  # of the clients: a column that is known for fewer is left out
MIN_MISSING_SHARE = 0.02  # of the clients: a column that is missing for more also has a mask column
MAX_SCALES = 1e4  # scales: the squashed value hardly changes beyond, and must not be a quotient of infinities
BEND = 3.0  # scales from the centre, at which a value is squashed to half


@dataclass(frozen=True)
class InputScaler:
    """Scale columns to values around 0 that no outlier dominates: 0 if usual or missing, at most BEND either way.

    columns: the columns used; masked: places among them that have a mask column, 1 if missing, after the others;
    centre, scale [float32]: of each column.
    """

    columns: np.ndarray
    masked: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray) -> "InputScaler":
        """Fit medians and interquartile ranges; the scale is at least a sixth of the range from 1 % to 99 %."""
        known = (~np.isnan(inputs)).mean(axis=0)
        columns = np.flatnonzero(known > MIN_KNOWN_SHARE)
        quantiles = np.nanquantile(inputs[:, columns], (0.01, 0.25, 0.5, 0.75, 0.99), axis=0)
        scale = np.maximum(quantiles[3] - quantiles[1], (quantiles[4] - quantiles[0]) / 6.0)
        # A column that is the same for nearly all clients carries no information, and would be scaled without limit.
        moves = scale > 0.0
        columns, centre, scale = columns[moves], quantiles[2][moves], scale[moves]
        masked = np.flatnonzero(known[columns] < 1.0 - MIN_MISSING_SHARE)
        return cls(columns, masked, centre.astype(np.float32), scale.astype(np.float32))

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """Scaled input of the network. [float32, (clients, width) -> float32, (clients, columns + masked)]"""
        values = matrix[:, self.columns]
        is_missing = np.isnan(values)
        with np.errstate(over="ignore"):
            off = np.clip((values - self.centre) / self.scale, -MAX_SCALES, MAX_SCALES)
        off = np.where(is_missing, np.float32(0.0), off / (1.0 + np.abs(off) / BEND))
        return np.concatenate([off, is_missing[:, self.masked]], axis=1, dtype=np.float32)


@dataclass(frozen=True)
class DenseNetwork:
    """A fitted network: the mean of several that were fitted from different seeds."""

    scaling: InputScaler
    graph: bytes

    @classmethod
    def from_fits(cls, scaling: InputScaler, fits: list[list[onnx_networks.Dense]]) -> "DenseNetwork":
        """A network from the layers of each fit."""
        return cls(scaling, onnx_networks.dense_graph(fits))

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of fraud. [float32, (clients, width) -> float64, (clients,)]"""
        return onnx_trees.run(self.graph, self.scaling.transform(matrix))[:, 0].astype(np.float64)
