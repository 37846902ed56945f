"""A client's latest invoices, small enough to keep for everybody.

In:  the canonical invoices (data/README.md, 'Input tables').
Out: a ledger a client: its last LATEST invoices, oldest first, as one structured array (INVOICE), NaN where missing;
     and the bytes that are kept: the array's own, as no packing makes a few hundred much smaller.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fraud.records import Table

LATEST = 16  # both energies together: more than two years of both where each comes every four months
INVOICE = np.dtype(
    [
        ("day", "<i4"),  # since 1970
        ("energy", "u1"),  # 0 electricity, 1 gas
        ("months", "<f4"),
        ("coefficient", "<f4"),
        ("consumption", "<f4"),  # what was billed: kWh, or m3 of gas
        ("meter_id", "<f8"),
        ("old_index", "<f8"),
        ("new_index", "<f8"),
    ]
)
LEVELS = tuple(f"consumption_level_{i}" for i in (1, 2, 3, 4))
Ledgers = Mapping[str, np.ndarray]


def ledgers_of(client_ids: Sequence[str], invoices: Table) -> dict[str, np.ndarray]:
    """The ledger of each client that has invoices. [client_ids: by row, as the invoices' column `client` counts]"""
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((invoices["energy"], day, invoices["client"]))
    counts = np.bincount(invoices["client"], minlength=len(client_ids))
    ends = np.cumsum(counts)
    kept = order[np.repeat(ends, counts) - np.arange(len(order)) <= LATEST]
    rows = _rows({name: column[kept] for name, column in invoices.items()}, day[kept])
    n_kept = np.minimum(counts, LATEST)
    starts = (np.cumsum(n_kept) - n_kept).tolist()
    told = zip(client_ids, starts, n_kept.tolist(), strict=True)
    return {str(client_id): rows[start : start + n] for client_id, start, n in told if n}


def _rows(invoices: Table, day: np.ndarray) -> np.ndarray:
    rows = np.empty(len(day), INVOICE)
    levels = np.array([invoices[name] for name in LEVELS])
    rows["day"], rows["energy"] = day, invoices["energy"]
    rows["consumption"] = np.where(np.isnan(levels).all(axis=0), np.nan, np.nansum(levels, axis=0))
    for name in ("months", "coefficient", "meter_id", "old_index", "new_index"):
        rows[name] = invoices[name]
    return rows


def packed(ledger: np.ndarray) -> bytes:
    return np.asarray(ledger, INVOICE).tobytes()


def unpacked(kept: bytes) -> np.ndarray:
    return np.frombuffer(kept, INVOICE)
