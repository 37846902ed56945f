"""A dense network on the members' input as it serves: what it sees of a client, and what its layers make of that.

In:  the members' input [float32, (clients, width)], missing values NaN.
Out: log-odds of fraud [float64, (clients,)]. NumPy and ONNX Runtime only; networks.py fits the layers.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.models.runtime import onnx_networks, onnx_trees

KNOWN_SHARE = 0.3  # of the clients: a column that fewer have is not looked at
MASKED_SHARE = 0.02  # of the clients, to whom a column is missing: from there on that it is missing is told too
AT_MOST = 1e4  # scales; beyond, the squashed value says the same, and the quotient of two infinities would be none
BEND = 3.0  # scales from the centre, where a value is squashed to half of that


@dataclass(frozen=True)
class InputScaler:
    """Columns -> numbers around 0 that no outlier dominates: 0 usual or missing, at most BEND either way.

    columns: those that are looked at; masked: places among them whose being missing is told by a 1 behind the others;
    centre, scale [float32]: of each column.
    """

    columns: np.ndarray
    masked: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray) -> "InputScaler":
        """By medians and quartiles; a sixth of what lies between the outermost hundredths where quartiles are alike."""
        known = (~np.isnan(inputs)).mean(axis=0)
        columns = np.flatnonzero(known > KNOWN_SHARE)
        cuts = np.nanquantile(inputs[:, columns], (0.01, 0.25, 0.5, 0.75, 0.99), axis=0)
        scale = np.maximum(cuts[3] - cuts[1], (cuts[4] - cuts[0]) / 6.0)
        # What nearly all have alike tells nothing, and must not be blown up where somebody differs.
        moves = scale > 0.0
        columns, centre, scale = columns[moves], cuts[2][moves], scale[moves]
        masked = np.flatnonzero(known[columns] < 1.0 - MASKED_SHARE)
        return cls(columns, masked, centre.astype(np.float32), scale.astype(np.float32))

    def seen(self, matrix: np.ndarray) -> np.ndarray:
        """[float32, (clients, width) -> float32, (clients, columns + masked)]"""
        values = matrix[:, self.columns]
        is_missing = np.isnan(values)
        with np.errstate(over="ignore"):
            off = np.clip((values - self.centre) / self.scale, -AT_MOST, AT_MOST)
        off = np.where(is_missing, np.float32(0.0), off / (1.0 + np.abs(off) / BEND))
        return np.concatenate([off, is_missing[:, self.masked]], axis=1, dtype=np.float32)


@dataclass(frozen=True)
class DenseNetwork:
    """A fitted network: the mean of several that were fitted from other beginnings."""

    scaling: InputScaler
    graph: bytes

    @classmethod
    def of(cls, scaling: InputScaler, fits: list[list[onnx_networks.Dense]]) -> "DenseNetwork":
        """[fits: of each network its layers]"""
        return cls(scaling, onnx_networks.of_dense(fits))

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """[float32, (clients, width) -> float64, (clients,)]"""
        return onnx_trees.run(self.graph, self.scaling.seen(matrix))[:, 0].astype(np.float64)
