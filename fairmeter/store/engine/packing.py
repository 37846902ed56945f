"""Packed columns of profiles: a client's consumption series and its latest invoices as bytes.

In:  values by day or by month; the canonical invoices (docs/data-dictionary.md, 'Input tables').
Out: Series and invoice histories, and their bytes: the arrays' own, as compression would save little on so few values.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.core.consumption import billed_consumption
from fairmeter.core.types import Table

MAX_INVOICES = 12  # per client, both energies together: two years of both where each comes every four months
INVOICE_DTYPE = np.dtype(
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
DAY_OFFSET = 2**20  # days before 1970 that a day may lie; as far after it, and all fit into 22 bits
InvoiceHistories = Mapping[str, np.ndarray]  # by client id [INVOICE_DTYPE, oldest first, NaN where missing]


class Series(NamedTuple):
    """Consumption by step ("day" or "month") from a first day on. [kWh a day, or a month's average kWh; NaN missing]"""

    step: str
    first_on: date
    kwh: np.ndarray


def pack_series(series: Series) -> bytes:
    return np.asarray(series.kwh, dtype="<f4").tobytes()


def unpack_series(step: str, first_on: date, kwh: bytes) -> Series:
    return Series(step, first_on, np.frombuffer(kwh, dtype="<f4"))


def invoice_histories(client_ids: Sequence[str], invoices: Table) -> dict[str, np.ndarray]:
    """The last MAX_INVOICES invoices of each client that has any, by client id.

    client_ids: by row, as the invoices' column `client` counts.
    """
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    # One number by client, day and energy: invoices come nearly in that order, and a sort of one column exploits it.
    key = (invoices["client"].astype(np.int64) << 22) | ((day + DAY_OFFSET) << 1) | invoices["energy"]
    order = np.argsort(key, kind="stable")
    counts = np.bincount(invoices["client"], minlength=len(client_ids))
    ends = np.cumsum(counts)
    latest = order[np.repeat(ends, counts) - np.arange(len(order)) <= MAX_INVOICES]
    rows = _rows(invoices, day, latest)
    n_latest = np.minimum(counts, MAX_INVOICES)
    starts = (np.cumsum(n_latest) - n_latest).tolist()
    clients = zip(client_ids, starts, n_latest.tolist(), strict=True)
    return {str(client_id): rows[start : start + n] for client_id, start, n in clients if n}


def _rows(invoices: Table, day: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    rows = np.empty(len(chosen), INVOICE_DTYPE)
    rows["day"] = day[chosen]
    rows["consumption"] = billed_consumption(invoices, chosen)
    for name in ("energy", "months", "coefficient", "meter_id", "old_index", "new_index"):
        rows[name] = invoices[name][chosen]
    return rows


def pack_invoices(history: np.ndarray) -> bytes:
    return np.asarray(history, INVOICE_DTYPE).tobytes()


def unpack_invoices(packed: bytes) -> np.ndarray:
    return np.frombuffer(packed, INVOICE_DTYPE)
