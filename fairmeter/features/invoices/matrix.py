"""Invoices -> one row of features a client. Written once; training, the server and Spark call the same function.

In:  clients, invoices (canonical tables, invoices sorted by client; see data/README.md, 'Input tables').
Out: FeatureMatrix: float32 features of shape (clients, len(FEATURES)), and the cells each client shares with its neighbours.

A client's row depends on its own rows alone, to the last bit; the order of its invoices does not matter; nothing
depends on today's date. Missing evidence stays NaN; only a count or a sum of nothing is 0. `after_detection` marks what
may be a consequence of an inspection (a meter exchanged, a code changed): the prospective view leaves it out.
"""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fairmeter.core.types import FeatureMatrix, Table
from fairmeter.features.base import (
    DISCREPANCY,
    EVIDENCE_GROUPS,
    FALL,
    HISTORY,
    IRREGULAR,
    LOW,
    PLACE,
    TARIFF,
    Block,
    Feature,
)
from fairmeter.features.invoices import consumption, meter_and_account
from fairmeter.features.invoices.group_keys import GROUP_KEYS, METER_GROUP_KEYS, account_group_keys, invoice_group_keys
from fairmeter.features.invoices.meter_and_account import AGGREGATES_BLOCK
from fairmeter.features.invoices.series import InvoiceSeries, as_float_days

__all__ = [
    "AGGREGATES_BLOCK",
    "BLOCKS",
    "DISCREPANCY",
    "EVIDENCE_GROUPS",
    "FALL",
    "FEATURES",
    "FEATURE_NAMES",
    "GROUP_KEYS",
    "HISTORY",
    "IRREGULAR",
    "LOW",
    "METER_GROUP_KEYS",
    "N_INVOICES",
    "PLACE",
    "TARIFF",
    "Block",
    "Feature",
    "client_features",
    "invoice_group_keys",
]

CHUNK = 500  # clients at a time: their series fit the processor's cache
THREADS = 2  # NumPy lets go of the interpreter in its loops; more threads wait for memory

BLOCKS: tuple[Block, ...] = (*consumption.BLOCKS, *meter_and_account.BLOCKS)
FEATURES: tuple[Feature, ...] = tuple(feature for block in BLOCKS for feature in block.columns)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
N_INVOICES = FEATURE_NAMES.index("n_invoices")


def client_features(clients: Table, invoices: Table, cells: Collection[str] = tuple(GROUP_KEYS)) -> FeatureMatrix:
    """Features and cells of every client, in the order of `clients`: canonical tables in, FeatureMatrix out.

    cells: names of those that are looked at; others may be left out.
    A client without invoices has the features of its account and counts of 0, all else NaN. No client gives length 0.
    """
    n = len(clients["client_id"])
    if n <= CHUNK:
        return _feature_matrix(clients, invoices, cells)
    bounds = [*range(0, n, CHUNK), n]
    edges = np.searchsorted(invoices["client"], bounds)

    def evidence_of(part: int) -> FeatureMatrix:
        theirs = _slice(invoices, edges[part], edges[part + 1])
        theirs["client"] = theirs["client"] - bounds[part]
        return _feature_matrix(_slice(clients, bounds[part], bounds[part + 1]), theirs, cells)

    with ThreadPoolExecutor(THREADS) as pool:
        return FeatureMatrix.concatenated(list(pool.map(evidence_of, range(len(bounds) - 1))))


def _slice(table: Table, start: int, stop: int) -> Table:
    return {name: column[start:stop] for name, column in table.items()}


def _feature_matrix(clients: Table, invoices: Table, cells: Collection[str]) -> FeatureMatrix:
    n, has_meter = len(clients["client_id"]), not METER_GROUP_KEYS.keys().isdisjoint(cells)
    if not len(invoices["client"]):
        return FeatureMatrix(
            _account_features(clients, n), np.zeros(n, np.int64), account_group_keys(clients, has_meter)
        )
    with np.errstate(all="ignore"):  # missing evidence is NaN; a division by nothing is missing evidence
        rows = InvoiceSeries.from_tables(clients, invoices)
        matrix = _matrix(rows, n)
    matrix[~np.isfinite(matrix)] = np.nan
    return FeatureMatrix(matrix, rows.by_client.counts, invoice_group_keys(rows, has_meter))


# --- pairs to clients -------------------------------------------------------------------------------------------------

PAIR_BLOCKS = tuple(block for block in BLOCKS if block.is_by_pair)
CLIENT_BLOCKS = tuple(block for block in BLOCKS if not block.is_by_pair)


def _pair_features(rows: InvoiceSeries) -> np.ndarray:
    """All features of the pairs that have invoices. [float64, (features, pairs)]"""
    return np.concatenate([block.compute(rows) for block in PAIR_BLOCKS])


def _computed_order() -> np.ndarray:
    """FEATURES as columns of a table that has all of electricity's first, then all of gas's, then the client's."""
    halves = [(block.columns[: len(block.features)], block.columns[len(block.features) :]) for block in PAIR_BLOCKS]
    computed = [f for half in zip(*halves, strict=True) for columns in half for f in columns]
    computed += [f for block in CLIENT_BLOCKS for f in block.columns]
    return np.array([computed.index(feature) for feature in FEATURES])


with np.errstate(all="ignore"):
    WITHOUT_INVOICES = _pair_features(InvoiceSeries.without_invoices())[:, 0].astype(np.float32)
ORDER = _computed_order()
ACCOUNT_COLUMNS = {name: FEATURE_NAMES.index(name) for name in ("category", "region", "district", "created_on")}
COUNTS = ("n_before_creation", "n_invoices", "n_invoice_dates", "n_tariffs")  # of the account


def _empty_account_features() -> np.ndarray:
    """Features of a client without one invoice of whose account nothing is known. [float32, (1, FEATURES)]

    Its NaN are all of one sign, as those of other rows are: the same features are the same bytes.
    """
    pairs = np.tile(WITHOUT_INVOICES, 2)
    matrix = np.append(pairs, np.full(len(FEATURES) - len(pairs), np.nan, np.float32))[None, ORDER]
    matrix[:, [FEATURE_NAMES.index(name) for name in COUNTS]] = 0.0
    return np.where(np.isnan(matrix), np.nan, matrix)


EMPTY_ACCOUNT = _empty_account_features()


def _matrix(rows: InvoiceSeries, n: int) -> np.ndarray:
    """float32 of shape (n clients, FEATURES)."""
    pairs = np.empty((2 * n, len(WITHOUT_INVOICES)), dtype=np.float32)
    if len(rows.pairs) < len(pairs):
        pairs[:] = WITHOUT_INVOICES
    pairs[rows.pairs] = _pair_features(rows).T
    clients = np.concatenate([block.compute(rows) for block in CLIENT_BLOCKS]).T
    return np.concatenate([pairs.reshape(n, 2 * pairs.shape[1]), clients], axis=1, dtype=np.float32).take(ORDER, axis=1)


def _account_features(clients: Table, n: int) -> np.ndarray:
    """The same of clients without one invoice: the account, counts of 0, and nothing else is known."""
    matrix = np.repeat(EMPTY_ACCOUNT, n, axis=0)
    for name, column in ACCOUNT_COLUMNS.items():
        matrix[:, column] = as_float_days(clients[name]) if name == "created_on" else clients[name]
    return matrix
