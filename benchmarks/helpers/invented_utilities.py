"""Two invented utilities with thefts, for models without labels: nothing in them is of a real client.

In:  a number of clients and a seed.
Out: `Utility`: canonical clients and invoices, and which clients steal. Labels are for counting only.

A theft hides 40 to 85 % of the consumption from a random month on; 10 to 12 % of the clients steal. Harmless changes
are as large: homes that stand empty, smaller and larger households, solar panels, new appliances, estimated invoices.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.json_records import tables_from_records

THEFT_SHARES, HIDDEN = (0.10, 0.12), (0.40, 0.85)
FIRST_ONSET = 6  # months: a client that stole from the first month on has nothing to be compared with
SLABS_KWH = (100.0, 100.0, 200.0)  # a month, of the Indian tariff; the fourth slab has no end
MIN_BILL_KWH = {1.0: 30.0, 2.0: 50.0, 3.0: 100.0}  # a Brazilian connection's least monthly bill, by its phases


class Utility(NamedTuple):
    """Canonical tables, and whether each client steals. [is_thief: bool, (clients,)]"""

    clients: Table
    invoices: Table
    is_thief: np.ndarray

    def plain_ratio(self) -> np.ndarray:
        """Minus the mean of the last six invoices over that of the earlier ones: what anyone would try first."""
        levels = np.nansum([self.invoices[f"consumption_level_{i}"] for i in (1, 2, 3, 4)], axis=0)
        series = np.split(levels, np.flatnonzero(np.diff(self.invoices["client"])) + 1)
        return np.array([-each[-6:].mean() / max(each[:-6].mean(), 1.0) for each in series])


def brazilian(n: int, seed: int) -> Utility:
    """36 monthly invoices a client, with a least bill by the number of phases."""
    rng = np.random.default_rng(seed)
    kwh, is_thief = _consumption(rng, n, months=36, season=0.12, noise=0.18)
    phases = rng.choice([1.0, 2.0, 3.0], n, p=[0.3, 0.4, 0.3])
    least = np.array([MIN_BILL_KWH[each] for each in phases])
    billed = np.round(np.maximum(kwh, least[:, None]))
    clients = [{"client_id": f"uc-{i}", "category": phases[i], "region": 1 + i % 7} for i in range(n)]
    return _utility(clients, [_monthly(row) for row in billed], is_thief)


def indian(n: int, seed: int) -> Utility:
    """A ledger of 30 monthly invoices with the meter's readings and slabs; some are estimated and made up for later."""
    rng = np.random.default_rng(seed)
    kwh, is_thief = _consumption(rng, n, months=30, season=0.35, noise=0.22)
    is_estimated = rng.random(kwh.shape) < 0.04
    is_estimated[:, [0, -1]] = False
    for month in range(1, kwh.shape[1] - 1):  # an estimate repeats the month before; the next reading makes up for it
        off = np.where(is_estimated[:, month], kwh[:, month - 1] - kwh[:, month], 0.0)
        kwh[:, month] += off
        kwh[:, month + 1] = np.maximum(kwh[:, month + 1] - off, 0.0)
    kwh = np.round(kwh)
    clients = [{"client_id": f"IN{i:06d}", "category": 1 + i % 3, "region": 1 + i % 5} for i in range(n)]
    first = np.round(rng.uniform(0, 20_000, n))
    return _utility(clients, [_ledger(row, start) for row, start in zip(kwh, first, strict=True)], is_thief)


UTILITIES: dict[str, Callable[[int, int], Utility]] = {"Brazilian": brazilian, "Indian": indian}


def _consumption(
    rng: np.random.Generator, n: int, months: int, season: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Monthly consumption that is registered, and which clients steal. [kWh, (n, months)]"""
    month = np.arange(months)
    base = rng.lognormal(np.log(190.0), 0.6, n)[:, None]
    warmth = rng.uniform(0.3, 1.7, n)[:, None] * season
    course = 1.0 + warmth * np.cos(2 * np.pi * (month - rng.normal(0, 0.7, n)[:, None]) / 12)
    shared = rng.normal(0, 0.05, months)
    own_noise = rng.lognormal(0, 1, n)[:, None] ** 0.3 * noise * rng.normal(0, 1, (n, months))
    kwh = base * course * np.exp(shared + own_noise)
    kwh *= _harmless_factor(rng, n, months)
    is_thief = np.zeros(n, dtype=bool)
    is_thief[rng.permutation(n)[: round(rng.uniform(*THEFT_SHARES) * n)]] = True
    onset = rng.integers(FIRST_ONSET, months - 1, n)[:, None]
    hidden = rng.uniform(*HIDDEN, n)[:, None] * rng.uniform(0.9, 1.0, (n, months))
    return np.where(is_thief[:, None] & (month >= onset), kwh * (1.0 - hidden), kwh), is_thief


def _harmless_factor(rng: np.random.Generator, n: int, months: int) -> np.ndarray:
    """What changes consumption without theft. [factor, (n, months)]"""
    month, factor = np.arange(months), np.ones((n, months))
    kinds = rng.choice(["none", "empty", "fewer", "more", "solar", "trend"], n, p=[0.6, 0.06, 0.08, 0.14, 0.03, 0.09])
    first = rng.integers(2, months - 1, n)
    for row, (kind, start) in enumerate(zip(kinds, first, strict=True)):
        if kind == "empty":
            factor[row, start : start + rng.integers(1, 6)] = rng.uniform(0.02, 0.3)
        elif kind == "trend":
            factor[row] = np.exp(rng.normal(0, 0.25) * month / months)
        elif kind != "none":
            low, high = {"fewer": (0.6, 0.9), "more": (1.15, 1.9), "solar": (0.3, 0.7)}[kind]
            factor[row, start:] = rng.uniform(low, high)
    return factor


def _monthly(kwh: np.ndarray) -> list[dict]:
    return [_invoice(month, {"consumption_level_1": value}) for month, value in enumerate(kwh.tolist())]


def _ledger(kwh: np.ndarray, first: float) -> list[dict]:
    """Invoices with readings and slabs."""
    readings = first + np.concatenate([[0.0], np.cumsum(kwh)])
    rows, edges = [], np.cumsum(SLABS_KWH)
    for month, value in enumerate(kwh.tolist()):
        below = np.minimum(value, [*edges, np.inf])
        slabs = {f"consumption_level_{i}": part for i, part in enumerate(np.diff(below, prepend=0.0).tolist(), 1)}
        index = {"old_index": readings[month], "new_index": readings[month + 1]}
        rows.append(_invoice(month, slabs | index))
    return rows


def _invoice(month: int, values: dict) -> dict:
    day = (np.datetime64("2022-01") + month).astype("datetime64[D]") + 4
    return {"invoice_on": str(day), "energy": "ELEC", "months": 1} | values


def _utility(clients: list[dict], invoices: list[list[dict]], is_thief: np.ndarray) -> Utility:
    tables = tables_from_records(clients, invoices)
    return Utility(*tables[:2], is_thief)
