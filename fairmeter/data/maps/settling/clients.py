"""The client-wise stage of clients: all rows of a client -> its one row.

In:  canonical rows of the clients' tables of a map, in any order; ids and codes as texts.
Out: columns that data/tables.py cleans. Equal rows count once, of versions the greatest; of several inspections of one
     client a 1 counts before a 0, then the latest. Other differences are refused.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.layouts import CodedColumn
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows
from fairmeter.data.maps.values.columns import combine_codes
from fairmeter.data.parsing import NAT
from fairmeter.data.tables import DuplicateClient

LABEL_COLUMNS = ("label", "labelled_on")


def distinct_clients(rows: CanonicalRows) -> CanonicalRows:
    """Rows of which equal ones count once, in the order of their first."""
    if not rows.n_rows:
        return rows
    codes, _ = combine_codes([rows.client.codes, *(_codes(rows, name) for name in (*rows.columns, *rows.texts))])
    _, first = np.unique(codes, return_index=True)
    return rows.select(np.sort(first))


def settle_clients(rows: CanonicalRows, place: str) -> tuple[np.ndarray, CanonicalRows]:
    """(ids, their rows), a row a client, in the order of first appearance. Raises DuplicateClient."""
    rows = distinct_clients(rows)
    client = _first_appearance(rows.client.codes)
    nothing = np.zeros(rows.n_rows)
    version = np.nan_to_num(rows.columns.get("version", nothing), nan=-np.inf, neginf=-np.inf)
    label = np.nan_to_num(rows.columns.get("label", nothing), nan=-1.0)
    day = rows.columns.get("labelled_on", nothing.astype(np.int64))
    order = np.lexsort((-day.astype(np.float64), -label, -version, client))
    rows, client, version = rows.select(order), client[order], version[order]
    is_first = np.append(True, client[1:] != client[:-1])[: rows.n_rows]
    _refuse_differences(rows, is_first, version, place)
    rows = rows.select(is_first)
    ids = np.array([*rows.client.values, ""], object)[:-1][rows.client.codes]
    return ids, rows


def _refuse_differences(rows: CanonicalRows, is_first: np.ndarray, version: np.ndarray, place: str) -> None:
    """Raise DuplicateClient for two rows of one client and version that differ in more than the label."""
    if is_first.all():
        return
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    is_rival = ~is_first & (version == version[first])
    for name in (*rows.columns, *rows.texts):
        if name in (*LABEL_COLUMNS, "version"):
            continue
        codes = _codes(rows, name)
        differs = np.flatnonzero(is_rival & (codes != codes[first]))
        if len(differs):
            row = int(differs[0])
            client_id = rows.client.values[rows.client.codes[row]]
            values = [_shown(rows, name, at) for at in (int(first[row]), row)]
            raise DuplicateClient(
                f"{place} has two rows for client {client_id!r}, with {name} {values[0]} and {values[1]}; keep one row "
                'a client, or write version = "COLUMN": the row with the greatest counts.'
            )


def _codes(rows: CanonicalRows, name: str) -> np.ndarray:
    if name in rows.texts:
        return rows.texts[name].codes
    column = rows.columns[name]
    values = np.where(np.isnan(column), np.inf, column) if column.dtype.kind == "f" else column
    return np.unique(values, return_inverse=True)[1]


def _shown(rows: CanonicalRows, name: str, row: int) -> str:
    if name in rows.texts:
        return repr(rows.texts[name].values[rows.texts[name].codes[row]])
    value = rows.columns[name][row]
    if name == "created_on":
        return "missing" if value == NAT else str(np.datetime64(int(value), "D"))
    return f"{value:g}"


def _first_appearance(codes: np.ndarray) -> np.ndarray:
    """Codes numbered by the first row in which they stand."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def client_table(ids: np.ndarray, rows: CanonicalRows, codes: dict[str, np.ndarray]) -> Table:
    """Columns of clients as data/tables.py cleans them. [codes: columns of codes as numbers]"""
    table: Table = {"client_id": ids}
    for name, column in rows.columns.items():
        if name in ("created_on", "labelled_on"):
            table[name] = column.view("datetime64[D]")
        elif name not in ("version", "series"):
            table[name] = column
    if "transformer_id" in rows.texts:
        table["transformer_id"] = _texts(rows.texts["transformer_id"])
    return table | codes


def _texts(column: CodedColumn) -> np.ndarray:
    return np.array([*column.values, ""], object)[:-1][column.codes]
