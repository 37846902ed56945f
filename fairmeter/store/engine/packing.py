"""A client's latest invoices, small enough to keep for everybody.

In:  the canonical invoices (data/README.md, 'Input tables').
Out: a ledger a client: its last LATEST invoices, oldest first, as one structured array (INVOICE), NaN where missing;
     and the bytes that are kept: the array's own, as no packing makes a few hundred much smaller.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fairmeter.core.types import Table

LATEST = 12  # both energies together: two years of both where each comes every four months
INVOICE = np.dtype(
    [
        ("day", "<i4"),  # since 1970
        ("energy", "u1"),  # 0 electricity, 1 gas
        ("months", "<f2"),  # exact to 2,048
        ("coefficient", "<f4"),
        ("consumption", "<f4"),  # what was billed: kWh, or m3 of gas
        ("meter_id", "<f8"),
        ("old_index", "<f4"),  # exact to 16 million: more than a meter of seven digits shows
        ("new_index", "<f4"),
    ]
)
FAR_BACK = 2**20  # days before 1970 that a day may lie; as far after it, and all fit into 22 bits
LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))
Ledgers = Mapping[str, np.ndarray]


def ledgers_of(client_ids: Sequence[str], invoices: Table) -> dict[str, np.ndarray]:
    """The ledger of each client that has invoices. [client_ids: by row, as the invoices' column `client` counts]"""
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    # One number by client, day and energy: invoices come nearly in that order, and sorting one column sees it.
    key = (invoices["client"].astype(np.int64) << 22) | ((day + FAR_BACK) << 1) | invoices["energy"]
    order = np.argsort(key, kind="stable")
    counts = np.bincount(invoices["client"], minlength=len(client_ids))
    ends = np.cumsum(counts)
    kept = order[np.repeat(ends, counts) - np.arange(len(order)) <= LATEST]
    rows = _rows(invoices, day, kept)
    n_kept = np.minimum(counts, LATEST)
    starts = (np.cumsum(n_kept) - n_kept).tolist()
    told = zip(client_ids, starts, n_kept.tolist(), strict=True)
    return {str(client_id): rows[start : start + n] for client_id, start, n in told if n}


def _rows(invoices: Table, day: np.ndarray, kept: np.ndarray) -> np.ndarray:
    rows = np.empty(len(kept), INVOICE)
    levels = [invoices[name][kept] for name in LEVELS]
    is_unknown = np.logical_and.reduce([np.isnan(level) for level in levels])
    rows["day"] = day[kept]
    rows["consumption"] = np.where(is_unknown, np.nan, sum(np.nan_to_num(level, copy=False) for level in levels))
    for name in ("energy", "months", "coefficient", "meter_id", "old_index", "new_index"):
        rows[name] = invoices[name][kept]
    return rows


def packed(ledger: np.ndarray) -> bytes:
    return np.asarray(ledger, INVOICE).tobytes()


def unpacked(kept: bytes) -> np.ndarray:
    return np.frombuffer(kept, INVOICE)
