"""Canonical tables -> request bodies: the inverse of fairmeter/data/tables.py, for simulated clients.

In:  clients and invoices (canonical tables, invoices sorted by client).
Out: JSON objects, one per client, and the HTTP requests that carry them.
"""

import json
from typing import Any

import numpy as np

from benchmarks.helpers.servers import posted
from fairmeter.core.types import Table

ENERGY_NAMES = np.array(["ELEC", "GAZ"], object)


def bodies_of(clients: Table, invoices: Table) -> list[dict]:
    """What /predict takes, of each client; the label stays here."""
    ends = np.searchsorted(invoices["client"], np.arange(len(clients["client_id"]) + 1)).tolist()
    named = invoices | {"energy": ENERGY_NAMES[invoices["energy"]]}
    rows = records({name: column for name, column in named.items() if name != "client"})
    accounts = records({name: column for name, column in clients.items() if name != "label"})
    return [{"client": account, "invoices": rows[ends[i] : ends[i + 1]]} for i, account in enumerate(accounts)]


def records(table: Table) -> list[dict]:
    """One object a row."""
    columns = [plain(column) for column in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]


def plain(column: np.ndarray) -> list:
    """Texts, numbers (whole ones without a point), and dates as texts; None where a value is missing."""
    if column.dtype.kind == "M":
        return [None if text == "NaT" else text for text in np.datetime_as_string(column).tolist()]
    return [None if value != value else whole(value) for value in column.tolist()]


def whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def with_invoices(bodies: list[dict], n: int) -> list[dict]:
    """Those with n invoices."""
    return [body for body in bodies if len(body["invoices"]) == n]


def requests_of(bodies: list[dict]) -> list[bytes]:
    return [posted("/predict?reasons=0", as_json(body)) for body in bodies]


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
