"""Facts about clients: codes by name with their counts, ids, labels.

In:  canonical clients (fairmeter/data/tables.py) and the names of their codes.
Out: ClientChecks.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fairmeter.core.code_names import CodeNames
from fairmeter.core.types import Table

CODES = ("category", "region", "district")


@dataclass(frozen=True)
class InspectedCounts:
    """Labels of clients: how many were inspected, and of these how many are frauds."""

    n: int
    n_inspected: int
    n_frauds: int

    def sentence(self) -> str:
        """The counts in words, as "74 of 136 inspected clients are frauds, 664 unknown"."""
        if not self.n_inspected:
            return f"no labels: {self.n:,} clients unknown"
        unknown = self.n - self.n_inspected
        return f"{self.n_frauds:,} of {self.n_inspected:,} inspected clients are frauds, {unknown:,} unknown"


@dataclass(frozen=True)
class ClientChecks:
    """Facts about the clients. [codes: (name, clients) by column, the most frequent first]"""

    n: int
    n_without_invoices: int
    n_without_readings: int | None
    codes: dict[str, list[tuple[str, int]]]
    labels: InspectedCounts | None
    created: tuple[str, str] | None

    @classmethod
    def of(cls, clients: Table, invoices: Table, names: CodeNames, n_days: np.ndarray | None) -> "ClientChecks":
        """The facts of all clients. [n_days: days with readings per client, None without readings]"""
        n = len(clients["client_id"])
        without = int((np.bincount(invoices["client"], minlength=n) == 0).sum())
        codes = {column: counted_codes(clients[column], column, names) for column in CODES if column in clients}
        return cls(
            n,
            without,
            None if n_days is None else int((n_days == 0).sum()),
            {column: counts for column, counts in codes.items() if counts},
            _labels(clients),
            _range(clients.get("created_on")),
        )


def counted_codes(codes: np.ndarray, column: str, names: CodeNames) -> list[tuple[str, int]]:
    """(name, rows) of each code, the most frequent first; missing ones are left out."""
    counts = Counter(codes[~np.isnan(codes)].tolist())
    return [(names.name(column, code), n) for code, n in counts.most_common()]


def _labels(clients: Table) -> InspectedCounts | None:
    label = clients.get("label")
    if label is None:
        return None
    known = ~np.isnan(label)
    return InspectedCounts(len(label), int(known.sum()), int(label[known].sum()))


def _range(days: np.ndarray | None) -> tuple[str, str] | None:
    known = days[~np.isnat(days)] if days is not None else ()
    return (str(known.min()), str(known.max())) if len(known) else None
