"""Keys by which clients are grouped for target encoding: reading route, day of account creation, place, tariff, meter.

In:  InvoiceSeries (fairmeter/features/invoices/series.py).
Out: GroupKeys by name (fairmeter/core/types.py): the keys of the groups that each client belongs to. Training fits the
     share of frauds per group (fairmeter/models/target_encoding.py); a key alone contains no other client's data.
"""

import numpy as np

from fairmeter.core.types import GroupKeys, Table
from fairmeter.features.invoices.series import InvoiceSeries, as_float_days, fill_missing

GROUP_KEYS = {
    "place": "the same region, district and category",
    "tariff": "the same region, tariff and energy",
    "route_day": "the same region, invoiced on the same day",
    "route_step": "the same region, invoiced on the same two days in a row",
    "first_day": "the same region, first invoiced on the same day",
    "created_day": "the same region, account created on the same day",
    "created_month": "the same region, account created in the same month",
    "created_year": "the same region, account created in the same year",
}
# These may be a consequence of an inspection: only the view `all` uses them. A meter exchanged alone is stronger
# evidence than one exchanged in a campaign with the whole street.
METER_GROUP_KEYS = {
    "exchange_day": "the same region, meter exchanged on the same day",
    "exchange_month": "the same region, meter exchanged in the same month",
    "exchange_codes": "the same meter codes before and after an exchange",
    "exchange_codes_year": "the same meter codes before and after an exchange, in the same year",
    "meter_code": "the same region, meter code and energy",
    "meter_status": "the same region, meter status and reader's remark",
}
GROUP_KEYS |= METER_GROUP_KEYS
CREATED = ("created_day", "created_month", "created_year")
SEED = {name: np.uint64(i) for i, name in enumerate(GROUP_KEYS, start=1)}
MATES_SEED = np.uint64(len(GROUP_KEYS) + 1)
MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Fibonacci hashing): spreads adjacent codes


def invoice_group_keys(rows: InvoiceSeries, has_meter: bool = True) -> dict[str, GroupKeys]:
    """Group keys by the names of GROUP_KEYS, without METER_GROUP_KEYS if not `has_meter`.

    The keys of a client are in the order of its rows; a missing code counts as a code.
    """
    of_client, of_row = _client_keys(rows.clients, rows.by_client.smallest(rows.day)), _row_keys(rows)
    is_later, filled = ~rows.by_pair.is_first, rows.by_client.filled
    one, n_rows = np.ones(len(filled), dtype=np.int64), rows.by_client.counts
    n_later = rows.by_client.total(is_later.astype(np.int64))
    return {
        "place": GroupKeys(one, of_client["place"]),
        "tariff": GroupKeys(n_rows, of_row["tariff"]),
        "route_day": GroupKeys(n_rows, of_row["route_day"]),
        "route_step": GroupKeys(n_later, of_row["route_step"][is_later]),
        "first_day": GroupKeys(filled.astype(np.int64), of_client["first_day"][filled]),
        **{name: GroupKeys(one, of_client[name]) for name in CREATED},
        **(_meter_keys(rows.of_meters) if has_meter else {}),
    }


def account_group_keys(clients: Table, has_meter: bool = True) -> dict[str, GroupKeys]:
    """Group keys of clients without any invoice: those of their accounts only."""
    n = len(clients["client_id"])
    keys = _client_keys(clients, np.full(n, np.nan))
    one, none = np.ones(n, dtype=np.int64), GroupKeys(np.zeros(n, dtype=np.int64), np.empty(0, dtype=np.uint64))
    names = [name for name in GROUP_KEYS if has_meter or name not in METER_GROUP_KEYS]
    return {name: GroupKeys(one, keys[name]) if name in ("place", *CREATED) else none for name in names}


def mate_keys(rows: InvoiceSeries) -> np.ndarray:
    """Key of each invoice's mates: the same region, energy and day. [uint64, (rows,)]"""
    region = rows.by_client.spread(fill_missing(rows.clients["region"], -1.0))
    keys = np.full((1, len(region)), MATES_SEED)
    for code in (region, rows["energy"], rows.day):
        keys = _mix(keys, code)
    return keys[0]


def _meter_keys(rows: InvoiceSeries) -> dict[str, GroupKeys]:
    """Keys of METER_GROUP_KEYS: a key per meter exchange for those of exchanges, a key per row for the others."""
    pairs, region = rows.by_pair, rows.by_client.spread(fill_missing(rows.clients["region"], -1.0))
    meter, code, status, remark = (
        fill_missing(rows[name], -1.0) for name in ("meter_id", "meter_code", "meter_status", "remark")
    )
    former = np.where(pairs.is_first, code, pairs.lag(code))
    is_exchange = ((meter != pairs.lag(meter)) | (code != former)) & ~pairs.is_first
    month = rows["invoice_on"].astype("datetime64[M]").astype(np.int64)
    names = tuple(METER_GROUP_KEYS)
    keys = _keys(
        names,
        np.array([region, region, former, former, region, region]),
        np.array([rows.day, month, code, code, code, status]),
        np.array([np.zeros(len(code)), np.zeros(len(code)), np.zeros(len(code)), month // 12, rows["energy"], remark]),
    )
    n_exchanges = rows.by_client.total(is_exchange.astype(np.int64))
    exchange_keys = {name: GroupKeys(n_exchanges, keys[i][is_exchange]) for i, name in enumerate(names[:4])}
    return exchange_keys | {
        name: GroupKeys(rows.by_client.counts, keys[i]) for i, name in enumerate(names[4:], start=4)
    }


def _client_keys(clients: Table, first_day: np.ndarray) -> dict[str, np.ndarray]:
    """Keys with one value per client. [first_day: of its first invoice, NaN without one; uint64]"""
    region, district, category = (fill_missing(clients[name], -1.0) for name in ("region", "district", "category"))
    created, first_day = fill_missing(as_float_days(clients["created_on"]), -1.0), fill_missing(first_day, -1.0)
    names = ("place", "first_day", *CREATED)
    keys = _keys(names, region, np.array([district, first_day, created, created // 30, created // 365]))
    return dict(zip(names, (_mix(keys[0], category), *keys[1:]), strict=True))


def _row_keys(rows: InvoiceSeries) -> dict[str, np.ndarray]:
    """Keys with one value per row. [uint64]"""
    region = rows.by_client.spread(fill_missing(rows.clients["region"], -1.0))
    names = ("tariff", "route_step", "route_day")
    keys = _keys(names, region, np.array([fill_missing(rows["tariff"], -1.0), rows.day, rows.day]))
    longer = _mix(keys[:2], np.array([rows["energy"], fill_missing(rows.gap, 0.0)]))
    return dict(zip(names, (*longer, keys[2]), strict=True))


def _keys(names: tuple[str, ...], *codes: np.ndarray) -> np.ndarray:
    """Hash several codes to one 64-bit key, for several names at once. [uint64, (len(names), n)]"""
    keys = np.array([SEED[name] for name in names])[:, None]
    for code in codes:
        keys = _mix(keys, code)
    return keys


def _mix(keys: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Add one more code to the hash of each key."""
    keys = (keys ^ codes.astype(np.int64).view(np.uint64)) * MIX
    return keys ^ (keys >> np.uint64(29))
