"""Evidence of an anomaly: a value for each client, and where in its history that is.

Out: Evidence, which limits.py compares with what honest clients reach; Occurrence, for the sentence in wording.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Occurrence(NamedTuple):
    """When an anomaly was [days since 1970], and the numbers of its sentence by name."""

    since: int
    until: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """One kind of evidence of some clients.

    kind: a key of wording.KINDS; value: how clear it is, in the kind's own unit, NaN or negative for none [(clients,)];
    occurrence: of one of these clients, computed only where the value is beyond its limit.
    """

    kind: str
    value: np.ndarray
    occurrence: Callable[[int], Occurrence]


# --- reductions of matrices with one row a client ---------------------------------------------------------------------
# They are quicker than NumPy's of the same purpose, which matters where the matrix has a single row.


def picked(matrix: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The value of one column of each row. [(clients, columns), (clients,) -> (clients,)]"""
    return matrix[np.arange(len(matrix)), column]


def or_else(values: np.ndarray, otherwise: float) -> np.ndarray:
    """The values with a number for missing ones."""
    return np.where(np.isnan(values), otherwise, values)


def largest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(largest known value of each row, NaN without any; its column, the first of several)."""
    column = or_else(values, -np.inf).argmax(axis=1)
    return picked(values, column), column


def last_largest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(largest value of each row, its column, the last of several). [no value is missing]"""
    column = values.shape[1] - 1 - values[:, ::-1].argmax(axis=1)
    return picked(values, column), column


def row_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the last axis, added from left to right: the order does not depend on the number of rows."""
    return values.cumsum(axis=-1)[..., -1]


def above_zero(values: np.ndarray) -> np.ndarray:
    """The positive values, NaN for others."""
    return np.where(values > 0, values, np.nan)


def quantile(values: np.ndarray, share: float, min_known: int = 1) -> np.ndarray:
    """Lower quantile of the known values over the last axis; NaN with fewer than `min_known`."""
    ordered, n = np.sort(values, axis=-1), (~np.isnan(values)).sum(axis=-1)
    place = (share * np.maximum(n - 1, 0)).astype(np.int64)
    first = np.arange(n.size).reshape(n.shape) * values.shape[-1]
    return np.where(n >= min_known, ordered.take(first + place), np.nan)
