"""Member of an ensemble that is a column of its input: log-odds that a network has already made of the series.

In:  the members' input [float32, (clients, width)], missing values NaN.
Out: log-odds of fraud [float64, (clients,)], 0 where the network has no score. NumPy only.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColumnMember:
    """The log-odds in one column. The other members are fitted without it."""

    column: int

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of fraud. [float32, (clients, width) -> float64, (clients,)]"""
        return np.nan_to_num(matrix[:, self.column].astype(np.float64))
