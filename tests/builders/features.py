"""Canonical tables for the tests of features: by hand, drawn by hypothesis, or simulated; every row is made up."""

from functools import cache

import numpy as np
import pytest
from hypothesis import strategies as st

from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.invoices.series import LEVELS, TIE_BREAKS
from fairmeter.simulation.utility import simulate

NAN = float("nan")
ACCOUNT = {"category": 11.0, "region": 103.0, "district": 69.0, "created_on": "2003-08-12"}
USUAL = {
    "tariff": 11,
    "meter_id": 4711,
    "meter_status": 0,
    "meter_code": 203,
    "remark": 6,
    "coefficient": 1,
    "months": 1,
}
USUAL |= dict.fromkeys(LEVELS, 0) | {"old_index": 500, "new_index": 600}
UNKNOWN = dict.fromkeys(LEVELS, NAN)
ELEC, GAS = 0, 1
LN10 = float(np.log(10.0))  # 9, 99, 999 kWh a month lie at 1, 2, 3 times it


def an_invoice(invoice_on="2014-01-01", kwh=100, energy=ELEC, **changes):
    """One month's invoice, all of it at the first price level."""
    return {"invoice_on": invoice_on, "energy": energy, **USUAL, LEVELS[0]: kwh} | changes


def monthly(*kwh, first="2014-01", **changes):
    """Invoices of the first day of one month after the other; a change may be a list, a value an invoice."""
    months = np.datetime64(first) + np.arange(len(kwh))
    rows = [an_invoice(str(month) + "-01", units) for month, units in zip(months, kwh, strict=True)]
    for name, values in changes.items():
        for row, value in zip(rows, values if isinstance(values, list) else [values] * len(rows), strict=True):
            row[name] = value
    return rows


def client_table(accounts):
    ids = np.empty(len(accounts), dtype=object)
    ids[:] = [f"c-{i}" for i in range(len(accounts))]
    created = np.array([account["created_on"] for account in accounts], dtype="datetime64[D]")
    codes = {name: np.array([a[name] for a in accounts], dtype=float) for name in ("category", "region", "district")}
    return {"client_id": ids, **codes, "created_on": created}


def invoice_table(histories):
    rows = [row for history in histories for row in history]
    owner = np.repeat(np.arange(len(histories)), [len(history) for history in histories]).astype(np.int64)
    days = np.array([row["invoice_on"] for row in rows], dtype="datetime64[D]")
    energy = np.array([row["energy"] for row in rows], dtype=np.int8)
    return {"client": owner, "invoice_on": days, "energy": energy} | {
        name: np.array([row[name] for row in rows], dtype=np.float64) for name in TIE_BREAKS
    }


def tables_of(*histories, **account):
    """(clients, invoices): a client for each list of invoices, all with the same account."""
    return client_table([ACCOUNT | account] * len(histories)), invoice_table(histories)


def features_of(history, **account):
    """A single client's features by name."""
    evidence = client_features(*tables_of(history, **account))
    return dict(zip(FEATURE_NAMES, evidence.features[0].tolist(), strict=True))


def day(date):
    """Days since 1970."""
    return int(np.datetime64(date).astype(int))


def assert_by_hand(history, by_hand, energy):
    """The energy's features of a client with those invoices are these; NaN means missing."""
    found = features_of([invoice | {"energy": energy} for invoice in history])
    got = {name: found[("elec_", "gas_")[energy] + name] for name in by_hand}
    assert got == pytest.approx(by_hand, rel=1e-5, abs=1e-6, nan_ok=True)


def cut(tables, first, stop):
    """The clients first .. stop - 1 with their invoices, as tables of their own."""
    clients, invoices = tables
    edges = np.searchsorted(invoices["client"], [first, stop])
    theirs = {name: column[slice(*edges)] for name, column in invoices.items()}
    theirs["client"] = theirs["client"] - first
    return {name: column[first:stop] for name, column in clients.items()}, theirs


def one_by_one(tables):
    return [client_features(*cut(tables, i, i + 1)) for i in range(len(tables[0]["client_id"]))]


@cache
def simulated(n=40):
    clients, invoices, _ = simulate(n, 3)
    return clients, invoices


def one_of(*values):
    return st.sampled_from(values)


DAYS = one_of("2013-02-28", "2014-02-28", "2014-03-01", "2014-03-31", "2014-09-30", "2015-03-01", "2019-12-31")
INVOICES = st.fixed_dictionaries({
    "invoice_on": DAYS,
    "energy": one_of(ELEC, ELEC, GAS),
    "tariff": one_of(11, 40, NAN),
    "meter_id": one_of(0.0, 4711, 2_000_000_000_001, 2_000_000_000_002, NAN),
    "meter_status": one_of(0, 5, NAN),
    "meter_code": one_of(203, 413, NAN),
    "remark": one_of(6, 8, 9, NAN),
    "coefficient": one_of(1, 1.3, NAN),
    "months": one_of(1, 2, 4, 24, NAN),
    LEVELS[0]: one_of(0, 0.1, 100, 333.3, 1e7, NAN),
    LEVELS[1]: one_of(0, 50, NAN),
    LEVELS[2]: one_of(0, 7, NAN),
    LEVELS[3]: one_of(0, 1000, NAN),
    "old_index": one_of(0, 500, 600, NAN),
    "new_index": one_of(0, 500, 700, NAN),
})  # fmt: skip
HISTORIES = st.lists(INVOICES, max_size=7)
ACCOUNTS = st.fixed_dictionaries({
    "category": one_of(11, 51, NAN),
    "region": one_of(103, 104, NAN),
    "district": one_of(69, NAN),
    "created_on": one_of("1990-05-01", "2014-03-10", "NaT"),
})  # fmt: skip
TABLES = st.lists(st.tuples(ACCOUNTS, HISTORIES), min_size=1, max_size=5).map(
    lambda drawn: (client_table([account for account, _ in drawn]), invoice_table([history for _, history in drawn]))
)
