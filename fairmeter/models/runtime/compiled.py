"""The compiled trees, where build.py made them of the source that is here; else None, and NumPy computes the same.

In:  arrays of trees as tree_arrays.py and oblivious_trees.py hold them.
Out: CORE, the module _trees; CompiledTrees, the sums of one forest in it.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fairmeter.models.runtime.build import NAME, source_digest

MAX_PARTS = 255  # of one call, as in _trees.c


def compiled_core() -> ModuleType | None:
    """The module; None where it was not built, or was made of another source, which may compute something else."""
    try:
        core = importlib.import_module(f"fairmeter.models.runtime.{NAME}")
    except ImportError:
        return None
    return core if source_digest() == core.SOURCE else None


CORE = compiled_core()


class CompiledTrees:
    """Sums of one forest. [dtype: of its sums]"""

    def __init__(self, forest: Any, dtype: type) -> None:
        self._forest, self._dtype = forest, dtype

    @classmethod
    def made(cls, make: Callable[[ModuleType], Any], dtype: type = np.float64) -> "CompiledTrees | None":
        """A forest; None without the module, or where the arrays are none that it takes."""
        if CORE is None:
            return None
        try:
            return cls(make(CORE), dtype)
        except (TypeError, ValueError, BufferError):
            return None

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Sum of the leaves of each row. [float32, (clients, width) -> dtype, (clients,)]"""
        out = np.empty(len(matrix), self._dtype)
        self._forest.values(np.ascontiguousarray(matrix, np.float32), out)
        return out

    def coalition_values(self, own: np.ndarray, other: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
        """Sums for all mixtures of n groups, at most MAX_GROUPS. [dtype, (2^n,)]"""
        out = np.empty(2**n_groups, self._dtype)
        self._forest.coalition_values(*_rows(own, other), group.astype(np.uint8), n_groups, out)
        return out

    def losses(self, own: np.ndarray, other: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
        """The sum of `own`, less that with one part as in `other`. [dtype, (n_parts,)]"""
        rows, out = _rows(own, other), np.empty(n_parts, self._dtype)
        for start in range(0, n_parts, MAX_PARTS):
            some = out[start : start + MAX_PARTS]
            is_some = (part >= start) & (part < start + len(some))
            self._forest.losses(*rows, np.where(is_some, part - start, MAX_PARTS).astype(np.uint8), len(some), some)
        return out


def _rows(*rows: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(row, np.float32) for row in rows)
