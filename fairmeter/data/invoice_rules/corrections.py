"""Invoices that are there twice, cancelled, or credited -> invoices that state what was used.

In:  invoices sorted by client, as parsed (fairmeter/data/tables.py).
Out: the same table without copies; cancellations netted with what they cancel, credits joined to what they correct.
     For each kind the client of each invoice that was changed or left out. The order of the rows does not matter.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.core.consumption import LEVELS, billed_consumption
from fairmeter.core.types import Table

ROUNDING = 1.0  # consumption is billed in whole units, even where the coefficient is 1.3
MAX_CREDIT_DAYS = 730  # before a credit, for the invoices that it may correct
MAX_CREDITED = 3  # invoices that one credit corrects
ROW = "row"  # the row number among all invoices
SERVICE = ("client", "energy", "invoice_on", ROW)
SAME_INVOICE = ("meter_id", "old_index", "new_index")
SAME_AMOUNT = (*LEVELS, "consumption", "months")
COPIES = ("duplicate_invoices", "Exact copies of an invoice, dropped")
REPEATED = ("repeated_invoices", "Invoices of one meter, day and index that came twice, counted once")
CANCELLED = ("cancelled_invoices", "Invoices that were cancelled, left out with their cancellations")
CREDITED = ("credited_invoices", "Credits, taken off the invoices before them")

IsSame = Callable[[Table], np.ndarray]
Found = list[tuple[tuple[str, str], np.ndarray]]


class Corrections(NamedTuple):
    """Corrected invoices, and for each (flag, text) the clients of the invoices that it counts."""

    invoices: Table
    found: Found


def correct_invoices(invoices: Table) -> Corrections:
    """Drop exact copies, net cancellations and credits, then drop what two feeds state alike.

    In this order: an invoice, its cancellation and the one that replaces it often have the same meter, day and index.
    """
    rows = _concerned(invoices)
    if not len(rows):
        return Corrections(invoices, [])
    before = {name: column[rows] for name, column in invoices.items()} | {ROW: rows}
    some, found = _without_copies(before, _is_copy, COPIES)
    consumption = billed_consumption(some)
    is_negative = consumption < 0
    if is_negative.any():
        some, of_credits = _without_credits(some, consumption, is_negative)
        found += of_credits
    some, repeated = _without_copies(some, _is_repeated, REPEATED)
    found += repeated
    return Corrections(_replaced(invoices, rows, some) if found else invoices, found)


def _concerned(invoices: Table) -> np.ndarray:
    """Rows that share client, energy and day with another, and all of clients with a negative amount. [ascending]"""
    rows = np.sort(_rows_of_shared_days(invoices).rows)
    amounts = (invoices[name] for name in (*LEVELS, "consumption") if name in invoices)
    negative = [np.flatnonzero(amount < 0) for amount in amounts]
    if not any(map(len, negative)):
        return rows
    owners = np.unique(invoices["client"][np.concatenate(negative)])
    return np.union1d(rows, np.flatnonzero(np.isin(invoices["client"], owners)))


def _replaced(invoices: Table, rows: np.ndarray, some: Table) -> Table:
    """The invoices with these `rows` as they are in `some`, without those that it lacks."""
    kept = np.ones(len(invoices["client"]), bool)
    kept[rows] = False
    kept[some[ROW]] = True
    place = np.cumsum(kept)[some[ROW]] - 1
    out = {name: column[kept] for name, column in invoices.items()}
    for name, column in out.items():
        column[place] = some[name]
    return out


# --- copies -----------------------------------------------------------------------------------------------------------


class _SharedDays(NamedTuple):
    """Rows that share client, energy and day with another, and a number for each such group. [by this number]"""

    rows: np.ndarray
    group: np.ndarray


def _rows_of_shared_days(invoices: Table) -> _SharedDays:
    day = invoices["invoice_on"].astype("datetime64[D]").view(np.int64) + (1 << 20)
    key = ((invoices["client"] << 2 | (invoices["energy"] + 1).astype(np.int64)) << 22) | day
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_repeated = ordered[1:] == ordered[:-1]
    is_shared = np.zeros(len(order), bool)
    is_shared[:-1] = is_repeated
    is_shared[1:] |= is_repeated
    return _SharedDays(order[is_shared], ordered[is_shared])


def _with_equal_index(invoices: Table, shared: _SharedDays) -> _SharedDays:
    """Those rows that have the meter and index of another one of their day: few, so that all columns may be sorted."""
    if not len(shared.rows):
        return shared
    order = np.lexsort([*(invoices[name][shared.rows] for name in SAME_INVOICE), shared.group])
    rows, group = shared.rows[order], shared.group[order]
    is_same = (group[1:] == group[:-1]) & _equals_last(
        {name: invoices[name][rows] for name in SAME_INVOICE}, SAME_INVOICE
    )
    is_one = np.append(is_same, False) | np.append(False, is_same)
    return _SharedDays(rows[is_one], group[is_one])


def _without_copies(invoices: Table, is_same: IsSame, kind: tuple[str, str]) -> tuple[Table, Found]:
    """Keep the first of each run of alike rows of a day, in an order that the columns alone decide.

    is_same: (table of the rows in that order) -> whether each equals the one before.
    """
    shared = _with_equal_index(invoices, _rows_of_shared_days(invoices))
    if not len(shared.rows):
        return invoices, []
    others = [name for name in sorted(invoices) if name not in (*SERVICE, *SAME_INVOICE, "quality")]
    keys = (*others, *(("quality",) if "quality" in invoices else ()), *SAME_INVOICE)
    order = np.lexsort([*(invoices[name][shared.rows] for name in keys), shared.group])
    rows, group = shared.rows[order], shared.group[order]
    dropped = (group[1:] == group[:-1]) & is_same({name: invoices[name][rows] for name in keys})
    if not dropped.any():
        return invoices, []
    kept = np.ones(len(invoices["client"]), bool)
    kept[rows[1:][dropped]] = False
    found = [(kind, np.sort(invoices["client"][rows[1:][dropped]]))]
    return {name: column[kept] for name, column in invoices.items()}, found


def _is_copy(rows: Table) -> np.ndarray:
    return _equals_last(rows, tuple(rows))


def _is_repeated(rows: Table) -> np.ndarray:
    """Mark rows with the meter and index of the row before; where no index moved, with its amounts too.

    Two rows without any energy stay: they may be registers that both stood still.
    """
    old, new = rows["old_index"][1:], rows["new_index"][1:]
    with np.errstate(invalid="ignore"):
        has_moved = np.abs(new - old) > 0
        has_amount = billed_consumption(rows)[1:] > 0
    amounts = [name for name in SAME_AMOUNT if name in rows]
    return _equals_last(rows, SAME_INVOICE) & (has_moved | has_amount & _equals_last(rows, amounts))


def _equals_last(rows: Table, names: Sequence[str]) -> np.ndarray:
    """Whether each row equals the one before in these columns; missing values are equal. [(rows - 1,)]"""
    equal = np.ones(len(rows["new_index"]) - 1, bool)
    for name in names:
        values = rows[name]
        equal &= (values[1:] == values[:-1]) | ((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    return equal


# --- cancellations and credits ----------------------------------------------------------------------------------------


def _without_credits(invoices: Table, consumption: np.ndarray, is_negative: np.ndarray) -> tuple[Table, Found]:
    """Net negative invoices, pair by pair of client and energy; what nothing accounts for stays negative."""
    pair = invoices["client"] * 3 + invoices["energy"]
    day = invoices["invoice_on"].astype("datetime64[D]").view(np.int64)
    out = {name: column.copy() for name, column in invoices.items()}
    kept = np.ones(len(pair), bool)
    cancelled, credited = [], []
    chosen = np.flatnonzero(np.isin(pair, np.unique(pair[is_negative])))
    ties = (invoices[name][chosen] for name in sorted(invoices) if name not in SERVICE)
    order = chosen[np.lexsort([*ties, consumption[chosen], day[chosen], pair[chosen]])]
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
        """The fewest invoices before a credit that outweigh it; none where no MAX_CREDITED do. [the latest first]

        Those of the credit's own meter, where it has any.
        """
        is_before = self.is_left & (self._kwh >= 0) & (self._day <= self._day[i])
        before = np.flatnonzero(is_before & (self._day >= self._day[i] - MAX_CREDIT_DAYS))[::-1]
        own = before[[self._is_same_meter(i, j) for j in before]] if len(before) else before
        before = (own if len(own) else before)[:MAX_CREDITED]
        enough = np.flatnonzero(np.cumsum(self._kwh[before]) + self._kwh[i] >= 0)
        return before[: enough[0] + 1].tolist() if len(enough) else []

    def _join(self, i: int, before: list[int]) -> None:
        """One invoice for a credit and those it corrects: their sum, over the months of all that follow one another.

        A credit whose index goes back from where the last of them ended is a reading of its own, on a later day.
        """
        total = max(float(self._kwh[[*before, i]].sum()), 0.0)
        first, last, credit = self._rows[before[-1]], self._rows[before[0]], self._rows[i]
        table = self._table
        start, end = table["old_index"][credit], table["new_index"][credit]
        is_next = bool(start == table["new_index"][last] and end < start)
        is_later = is_next and bool(self._day[i] > self._day[before[0]])
        months = table["months"]
        months[last] = months[self._rows[before]].sum() + (months[credit] if is_later else 0.0)
        moved = (*(("new_index",) if is_next else ()), *(("invoice_on", "quality") if is_later else ()))
        for name in (name for name in moved if name in table):
            table[name][last] = table[name][credit]
        self._spread(last, total, float(self._kwh[before].sum()), self._rows[before])
        table["old_index"][last] = self._start_of(first, last, total)
        self._kwh[before[0]], self._day[before[0]] = total, self._day[i] if is_later else self._day[before[0]]
        self.is_left[[i, *before[1:]]] = False

    def _start_of(self, first: int, last: int, total: float) -> float:
        """The index where a joined invoice starts; missing where it contradicts the total that was credited."""
        old = self._table["old_index"][first]
        coefficient = np.nan_to_num(self._table["coefficient"][last], nan=1.0)
        differs = abs((self._table["new_index"][last] - old) * coefficient - total) > ROUNDING
        return np.nan if differs else float(old)

    def _spread(self, last: int, total: float, gross: float, rows: np.ndarray) -> None:
        """Give an invoice this total, its price levels in proportion to those of the invoices that it joins."""
        for name in LEVELS:
            summed = self._table[name][rows].sum()
            self._table[name][last] = summed * total / gross if gross else summed
        if "consumption" in self._table:
            self._table["consumption"][last] = total
