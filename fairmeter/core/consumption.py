"""Consumption of invoices, whether price levels state it or one figure does.

In:  canonical invoices: consumption_level_1 to _4, and consumption where the levels do not state it.
Out: the consumption of each invoice.
"""

import numpy as np

from fairmeter.core.types import Table

LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))


def billed_consumption(invoices: Table, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The given consumption, else the sum of the known levels; NaN without any. [kWh, or m3 of gas; rows: which]"""
    levels = np.array([invoices[name][rows] for name in LEVELS])
    unknown = np.isnan(levels)
    total = np.where(unknown.all(axis=0), np.nan, np.where(unknown, 0.0, levels).sum(axis=0))
    given = invoices.get("consumption")
    return total if given is None else np.where(np.isnan(given[rows]), total, given[rows])
