"""Invoices that are there twice, cancelled, or credited -> invoices that state what was used.

In:  invoices sorted by client, as parsed (fairmeter/data/tables.py).
Out: the same table without copies; cancellations netted with what they cancel, credits joined to what they correct.
     For each kind the client of each invoice that was changed or left out. The order of the rows does not matter.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.types import Table

ROUNDING = 1.0  # consumption is billed in whole units, even where the coefficient is 1.3
MAX_CREDIT_DAYS = 730  # before a credit, for the invoices that it may correct
MAX_CREDITED = 3  # invoices that one credit corrects
SAME_INVOICE = ("meter_id", "old_index", "new_index")
COPIES = ("duplicate_invoices", "Exact copies of an invoice, dropped")
REPEATED = ("repeated_invoices", "Invoices of one meter, day and index that came twice, counted once")
CANCELLED = ("cancelled_invoices", "Invoices that were cancelled, left out with their cancellations")
CREDITED = ("credited_invoices", "Credits, taken off the invoices before them")


class Corrections(NamedTuple):
    """Corrected invoices, and for each (flag, text) the clients of the invoices that it counts."""

    invoices: Table
    found: list[tuple[tuple[str, str], np.ndarray]]


def correct_invoices(invoices: Table) -> Corrections:
    """Drop copies, then net cancellations and credits."""
    invoices, found = _without_copies(invoices)
    consumption = billed_consumption(invoices)
    with np.errstate(invalid="ignore"):
        is_negative = consumption < 0
    if not is_negative.any():
        return Corrections(invoices, found)
    invoices, of_credits = _without_credits(invoices, consumption, is_negative)
    return Corrections(invoices, found + of_credits)


# --- copies -----------------------------------------------------------------------------------------------------------


def _without_copies(invoices: Table) -> tuple[Table, list[tuple[tuple[str, str], np.ndarray]]]:
    rows, key = _rows_of_shared_days(invoices)
    if not len(rows):
        return invoices, []
    others = [name for name in sorted(invoices) if name not in (*SAME_INVOICE, "client", "energy", "invoice_on")]
    order = np.lexsort([*(invoices[name][rows] for name in (*others, *SAME_INVOICE)), key])
    rows, key = rows[order], key[order]
    is_same = (key[1:] == key[:-1]) & _are_equal(invoices, rows, SAME_INVOICE)
    is_copy = is_same & _are_equal(invoices, rows, others)
    old, new = (invoices[name][rows[1:]] for name in ("old_index", "new_index"))
    with np.errstate(invalid="ignore"):
        is_repeated = is_same & ~is_copy & ((new != old) & ~np.isnan(new - old) | _are_equal(invoices, rows, LEVELS))
    is_repeated &= ~np.isnan(new)
    dropped = is_copy | is_repeated
    kept = np.ones(len(invoices["client"]), bool)
    kept[rows[1:][dropped]] = False
    clients = invoices["client"][rows[1:]]
    found = [(kind, clients[mask]) for kind, mask in ((COPIES, is_copy), (REPEATED, is_repeated)) if mask.any()]
    return ({name: column[kept] for name, column in invoices.items()} if found else invoices), found


def _rows_of_shared_days(invoices: Table) -> tuple[np.ndarray, np.ndarray]:
    """Rows that share client, energy and day with another, by these; and a number for each such group."""
    day = invoices["invoice_on"].astype("datetime64[D]").view(np.int64) + (1 << 20)
    key = ((invoices["client"] << 2 | (invoices["energy"] + 1).astype(np.int64)) << 22) | day
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_repeated = ordered[1:] == ordered[:-1]
    is_shared = np.append(is_repeated, False)
    is_shared[1:] |= is_repeated
    return order[is_shared], ordered[is_shared]


def _are_equal(invoices: Table, rows: np.ndarray, names) -> np.ndarray:
    """Whether each row equals the one before in these columns; missing values are equal. [(rows - 1,)]"""
    equal = np.ones(len(rows) - 1, bool)
    for name in names:
        values = invoices[name][rows]
        equal &= (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    return equal


# --- cancellations and credits ----------------------------------------------------------------------------------------


def _without_credits(
    invoices: Table, consumption: np.ndarray, is_negative: np.ndarray
) -> tuple[Table, list[tuple[tuple[str, str], np.ndarray]]]:
    """Net negative invoices, pair by pair of client and energy; what nothing accounts for stays negative."""
    pair = invoices["client"] * 3 + invoices["energy"]
    day = invoices["invoice_on"].astype("datetime64[D]").view(np.int64)
    out = {name: column.copy() for name, column in invoices.items()}
    kept = np.ones(len(pair), bool)
    cancelled, credited = [], []
    order = np.lexsort((invoices["new_index"], invoices["meter_id"], consumption, day, pair))
    order = order[np.isin(pair[order], np.unique(pair[is_negative]))]
    for rows in np.split(order, 1 + np.flatnonzero(np.diff(pair[order]))):
        netted = _Pair(out, consumption, day, rows)
        cancelled += netted.cancel()
        credited += netted.credit()
        kept[rows[~netted.is_left]] = False
    client = invoices["client"]
    found = [(kind, np.sort(client[rows])) for kind, rows in ((CANCELLED, cancelled), (CREDITED, credited)) if rows]
    return {name: column[kept] for name, column in out.items()}, found


class _Pair:
    """The invoices of one client and energy in order of time; `is_left` marks those that stay."""

    def __init__(self, table: Table, consumption: np.ndarray, day: np.ndarray, rows: np.ndarray) -> None:
        self._table, self._rows, self._day = table, rows, day[rows]
        self._kwh = consumption[rows].copy()
        self.is_left = np.ones(len(rows), bool)

    def cancel(self) -> list[int]:
        """Leave out each negative invoice with the last one before it of the same amount. Returns their rows."""
        out = []
        for i in np.flatnonzero(self._kwh < 0):
            fits = np.abs(self._kwh + self._kwh[i]) <= ROUNDING
            fits &= self.is_left & (self._kwh > 0) & (self._day <= self._day[i])
            if fits.any():
                j = max(np.flatnonzero(fits), key=lambda j: (self._is_same_meter(i, j), self._day[j], j))
                self.is_left[[i, j]] = False
                out += [int(self._rows[i]), int(self._rows[j])]
        return out

    def credit(self) -> list[int]:
        """Join each other negative invoice to those before it that are large enough for it. Returns its rows."""
        out = []
        for i in np.flatnonzero((self._kwh < 0) & self.is_left):
            before = self._corrected_by(i)
            if before:
                self._join(i, before)
                out.append(int(self._rows[i]))
        return out

    def _is_same_meter(self, i: int, j: int) -> bool:
        meter = self._table["meter_id"]
        return bool(meter[self._rows[i]] == meter[self._rows[j]])

    def _corrected_by(self, i: int) -> list[int]:
        """The fewest invoices before a credit that outweigh it; none where no MAX_CREDITED do. [the latest first]"""
        before = np.flatnonzero(self.is_left & (self._kwh >= 0) & (self._day <= self._day[i]))
        before = before[(before != i) & (self._day[before] >= self._day[i] - MAX_CREDIT_DAYS)][::-1][:MAX_CREDITED]
        enough = np.flatnonzero(np.cumsum(self._kwh[before]) + self._kwh[i] >= 0)
        return before[: enough[0] + 1].tolist() if len(enough) else []

    def _join(self, i: int, before: list[int]) -> None:
        """One invoice for a credit and those it corrects: their sum, over the months of all that follow one another."""
        joined = [*before, i]
        total = max(float(self._kwh[joined].sum()), 0.0)
        first, last, credit = self._rows[before[-1]], self._rows[before[0]], self._rows[i]
        months, old, new = (self._table[name] for name in ("months", "old_index", "new_index"))
        goes_on = bool(old[credit] == new[last]) and self._day[i] > self._day[before[0]]
        months[last] = months[self._rows[before]].sum() + (months[credit] if goes_on else 0.0)
        if goes_on:
            self._table["invoice_on"][last] = self._table["invoice_on"][credit]
            new[last] = new[credit]
        old[last] = old[first]
        self._spread(last, total, float(self._kwh[before].sum()), self._rows[before])
        self._kwh[before[0]], self._day[before[0]] = total, self._day[i] if goes_on else self._day[before[0]]
        self.is_left[[i, *before[1:]]] = False

    def _spread(self, last: int, total: float, gross: float, rows: np.ndarray) -> None:
        """Give an invoice this total, its price levels in proportion to those of the invoices that it joins."""
        for name in LEVELS:
            summed = self._table[name][rows].sum()
            self._table[name][last] = summed * total / gross if gross else summed
        if "consumption" in self._table:
            self._table["consumption"][last] = total
