"""Invoices -> one row of features per client, by the same function in training, service and Spark.

In:  clients, invoices (canonical tables, invoices sorted by client; see data/README.md, 'Input tables').
Out: FeatureMatrix: float32 features of shape (clients, len(FEATURES)), and group keys for target encoding.

A client's row depends on its own rows alone, to the last bit, and neither on their order nor on today's date. Missing
evidence stays NaN; only an empty count or sum is 0. `after_detection` marks features that may be a consequence of an
inspection (a meter exchanged, a code changed): the prospective view leaves them out.
"""

import re
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
from fairmeter.features.invoices import billing_pattern, consumption, meter_and_account
from fairmeter.features.invoices.group_keys import GROUP_KEYS, METER_GROUP_KEYS, account_group_keys, invoice_group_keys
from fairmeter.features.invoices.invoice_rows import INVOICE_ROWS, invoice_rows, no_invoice_rows
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

CHUNK = 500  # clients computed at a time: their series fit the processor's cache
THREADS = 2  # NumPy releases the GIL in its loops; more threads wait for memory

BLOCKS: tuple[Block, ...] = (*consumption.BLOCKS, *meter_and_account.BLOCKS, *billing_pattern.BLOCKS)
FEATURES: tuple[Feature, ...] = tuple(feature for block in BLOCKS for feature in block.columns)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
LEVEL_FEATURE = re.compile(r"level_[1-4]|_upper$")  # what is computed from single price levels
ALL_KEYS = (*GROUP_KEYS, INVOICE_ROWS)
N_INVOICES = FEATURE_NAMES.index("n_invoices")


def client_features(
    clients: Table, invoices: Table, group_keys: Collection[str] = ALL_KEYS, series: InvoiceSeries | None = None
) -> FeatureMatrix:
    """Features and group keys of every client, in the order of `clients`.

    clients, invoices: canonical tables; group_keys: names of those that are needed, others may be left out;
    INVOICE_ROWS among them asks for the values of every invoice; series: of the same tables, if there already.
    A client without invoices has the features of its account, counts of 0, and NaN otherwise. No clients give length 0.
    """
    n = len(clients["client_id"])
    if n <= CHUNK:
        return _feature_matrix(clients, invoices, group_keys, series)
    bounds = [*range(0, n, CHUNK), n]
    edges = np.searchsorted(invoices["client"], bounds)

    def matrix_of(chunk: int) -> FeatureMatrix:
        own = _slice(invoices, edges[chunk], edges[chunk + 1])
        own["client"] = own["client"] - bounds[chunk]
        return _feature_matrix(_slice(clients, bounds[chunk], bounds[chunk + 1]), own, group_keys)

    with ThreadPoolExecutor(THREADS) as pool:
        return FeatureMatrix.concatenated(list(pool.map(matrix_of, range(len(bounds) - 1))))


def _slice(table: Table, start: int, stop: int) -> Table:
    return {name: column[start:stop] for name, column in table.items()}


def _feature_matrix(
    clients: Table, invoices: Table, group_keys: Collection[str], series: InvoiceSeries | None = None
) -> FeatureMatrix:
    n, has_meter = len(clients["client_id"]), not METER_GROUP_KEYS.keys().isdisjoint(group_keys)
    if not len(invoices["client"]):
        return FeatureMatrix(
            _account_features(clients, n),
            np.zeros(n, np.int64),
            account_group_keys(clients, has_meter),
            no_invoice_rows(clients) if INVOICE_ROWS in group_keys else None,
        )
    with np.errstate(all="ignore"):  # missing evidence is NaN, and so is a division by zero
        rows = series or InvoiceSeries.from_tables(clients, invoices)
        matrix = _matrix(rows, n)
        each = invoice_rows(rows) if INVOICE_ROWS in group_keys else None
    matrix[~np.isfinite(matrix)] = np.nan
    return FeatureMatrix(matrix, rows.by_client.counts, invoice_group_keys(rows, has_meter), each)


# --- pairs to clients -------------------------------------------------------------------------------------------------

PAIR_BLOCKS = tuple(block for block in BLOCKS if block.is_by_pair)
CLIENT_BLOCKS = tuple(block for block in BLOCKS if not block.is_by_pair)


def _pair_features(rows: InvoiceSeries) -> np.ndarray:
    """All features by pair, for pairs with invoices. [float64, (features, pairs)]"""
    features = np.concatenate([block.compute(rows) for block in PAIR_BLOCKS])
    if "consumption" in rows.columns:  # counts and sums of levels are 0 where no level is known
        n_levels = rows.by_pair.total((~np.isnan(rows.levels)).any(axis=0).astype(np.float64))
        features[np.ix_(OF_LEVELS, n_levels == 0)] = np.nan
    return features


def _computed_order() -> np.ndarray:
    """Positions of FEATURES among columns in the order electricity, gas, client."""
    halves = [(block.columns[: len(block.features)], block.columns[len(block.features) :]) for block in PAIR_BLOCKS]
    computed = [f for half in zip(*halves, strict=True) for columns in half for f in columns]
    computed += [f for block in CLIENT_BLOCKS for f in block.columns]
    return np.array([computed.index(feature) for feature in FEATURES])


PAIR_NAMES = [feature.name for block in PAIR_BLOCKS for feature in block.columns[: len(block.features)]]
OF_LEVELS = np.array([bool(LEVEL_FEATURE.search(name)) for name in PAIR_NAMES])
with np.errstate(all="ignore"):
    WITHOUT_INVOICES = _pair_features(InvoiceSeries.without_invoices())[:, 0].astype(np.float32)
ORDER = _computed_order()
ACCOUNT_COLUMNS = {name: FEATURE_NAMES.index(name) for name in ("category", "region", "district", "created_on")}
OF_ACCOUNTS = ("n_before_creation", "n_invoices", "n_invoice_dates", "n_tariffs")
COUNTS = (*OF_ACCOUNTS, *billing_pattern.COUNTS)  # 0 without invoices


def _empty_account_features() -> np.ndarray:
    """Features of a client without invoices and with an unknown account. [float32, (1, FEATURES)]

    All NaN have the same sign bit as in other rows, so that equal features are equal bytes.
    """
    pairs = np.tile(WITHOUT_INVOICES, 2)
    matrix = np.append(pairs, np.full(len(FEATURES) - len(pairs), np.nan, np.float32))[None, ORDER]
    matrix[:, [FEATURE_NAMES.index(name) for name in COUNTS]] = 0.0
    return np.where(np.isnan(matrix), np.nan, matrix)


EMPTY_ACCOUNT = _empty_account_features()


def _matrix(rows: InvoiceSeries, n: int) -> np.ndarray:
    """Join features by pair and by client. [float32, (n clients, FEATURES)]"""
    pairs = np.empty((2 * n, len(WITHOUT_INVOICES)), dtype=np.float32)
    if len(rows.pairs) < len(pairs):
        pairs[:] = WITHOUT_INVOICES
    pairs[rows.pairs] = _pair_features(rows).T
    clients = np.concatenate([block.compute(rows) for block in CLIENT_BLOCKS]).T
    return np.concatenate([pairs.reshape(n, 2 * pairs.shape[1]), clients], axis=1, dtype=np.float32).take(ORDER, axis=1)


def _account_features(clients: Table, n: int) -> np.ndarray:
    """Features of clients without invoices: the account, counts of 0, NaN otherwise. [float32, (n, FEATURES)]"""
    matrix = np.repeat(EMPTY_ACCOUNT, n, axis=0)
    for name, column in ACCOUNT_COLUMNS.items():
        matrix[:, column] = as_float_days(clients[name]) if name == "created_on" else clients[name]
    return matrix
