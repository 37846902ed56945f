"""Several readings of one client and moment -> one: registers are added, copies dropped, actual values preferred.

In:  readings as a Table by client, time and value, missing values last; optionally minutes, is_estimated.
Out: the Table with one row per client, moment and length, and the clients of what was merged.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import Table

MIN_MOMENTS = 10  # of a client: fewer show no pattern
SAME_SHARE = 0.9  # of a client's moments that have the same number of readings: registers or phases
DIFFERENT_SHARE = 0.5  # of these moments whose readings differ; with fewer they are copies
ROUNDING = 0.02  # of the larger value: two feeds may round one reading differently
SUM_SHARE = 0.9  # of the moments whose largest reading is the sum of the others: a register of the total


class MergedMoments(NamedTuple):
    """The merged readings; of each kind the clients, one a row or moment."""

    readings: Table
    copies: np.ndarray
    conflicts: np.ndarray
    registers: np.ndarray
    estimates: np.ndarray


def is_in_order(client: np.ndarray, minute: np.ndarray) -> bool:
    """Whether each row is of a later client than the row before, or of the same one and a later moment."""
    if (client[1:] < client[:-1]).any():
        return False
    before = np.flatnonzero(minute[1:] <= minute[:-1])  # one a client, where rows are in order
    return bool((client[before + 1] > client[before]).all())


def first_of_moment(readings: Table) -> np.ndarray:
    """Mark the first row of each client, moment and length. [bool, rows sorted]"""
    client, read_at = readings["client"], readings["read_at"]
    is_first = np.ones(len(client), bool)
    is_first[1:] = (client[1:] != client[:-1]) | (read_at[1:] != read_at[:-1])
    if "minutes" in readings:
        stated = readings["minutes"]
        is_first[1:] |= (stated[1:] != stated[:-1]) & ~(np.isnan(stated[1:]) & np.isnan(stated[:-1]))
    return is_first


def merge_moments(readings: Table, is_doubled: np.ndarray) -> MergedMoments:
    """Merge the readings of each moment; more than one of a moment must be there.

    Where nearly all of a client's moments have the same number of different readings, these are registers or phases,
    which are added. Elsewhere the mean of different values is kept, and copies count once; a missing value is a copy
    of a present one. [is_doubled: moments that a clock change repeated, which are neither]
    """
    readings, is_first, estimates = _without_estimates(readings)
    client, kwh = readings["client"], readings["consumption_kwh"]
    moments = Segments(np.diff(np.append(np.flatnonzero(is_first), len(is_first))))
    is_copy = ~is_first
    is_copy[1:] &= (kwh[1:] == kwh[:-1]) | np.isnan(kwh[1:])
    total, n = moments.total(np.array([np.where(is_copy, 0.0, kwh), ~is_copy]))
    merged, of = total / n, client[is_first]
    is_sum, sums = _register_sums(of, moments, kwh)
    is_other = ~is_doubled & ~is_sum
    copies = client[is_copy & moments.spread(is_other)]
    table = {name: column[is_first] for name, column in readings.items()}
    table["consumption_kwh"] = np.where(is_sum, sums, merged)
    return MergedMoments(table, copies, of[(n > 1) & is_other], of[is_sum], estimates)


def _without_estimates(readings: Table) -> tuple[Table, np.ndarray, np.ndarray]:
    """(the readings without estimates beside an actual value, the first rows of moments, clients of what went)."""
    is_first = first_of_moment(readings)
    if "is_estimated" not in readings:
        return readings, is_first, readings["client"][:0]
    moments = Segments(np.diff(np.append(np.flatnonzero(is_first), len(is_first))))
    is_actual = ~readings["is_estimated"] & ~np.isnan(readings["consumption_kwh"])
    has_actual = moments.spread(moments.total(is_actual.astype(np.int64)) > 0)
    is_replaced = readings["is_estimated"] & has_actual
    kept = {name: column[~is_replaced] for name, column in readings.items()}
    return kept, first_of_moment(kept), readings["client"][is_replaced]


def _register_sums(client: np.ndarray, moments: Segments, kwh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(whether the readings of each moment are registers, their energy). [client: of each moment]

    The energy is NaN where one register is missing.
    """
    n = moments.counts
    by_client = Segments(np.bincount(client))
    usual = np.zeros(len(by_client), np.int64)
    most = np.zeros(len(by_client), np.int64)
    for k in range(2, int(min(n.max(), 9)) + 1):
        n_alike = by_client.total((n == k).astype(np.int64))
        usual, most = np.where(n_alike > most, k, usual), np.maximum(n_alike, most)
    largest, smallest = moments.largest(kwh), moments.smallest(kwh)
    with np.errstate(invalid="ignore"):
        differs = (largest - smallest > ROUNDING * largest) & (n == by_client.spread(usual))
    n_used = by_client.total(((n == by_client.spread(usual)) & (largest > 0)).astype(np.int64))
    is_register = (most >= MIN_MOMENTS) & (most >= SAME_SHARE * by_client.counts)
    is_register &= by_client.total(differs.astype(np.int64)) >= DIFFERENT_SHARE * np.maximum(n_used, 1)
    is_sum = by_client.spread(is_register)
    if not is_sum.any():
        return is_sum, largest
    total = moments.total(np.nan_to_num(kwh))
    is_whole = (n == by_client.spread(usual)) & (moments.total(np.isnan(kwh).astype(np.int64)) == 0)
    others = total - largest
    with np.errstate(invalid="ignore"):
        adds_up = (n > 2) & (np.abs(largest - others) <= ROUNDING * largest) & is_whole & (largest > 0)
    has_total = by_client.total(adds_up.astype(np.int64)) >= SUM_SHARE * np.maximum(
        by_client.total((is_whole & (largest > 0)).astype(np.int64)), 1
    )
    return is_sum, np.where(is_whole, np.where(by_client.spread(has_total), largest, total), np.nan)
