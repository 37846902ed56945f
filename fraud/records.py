"""The nouns that cross rooms. No room computes here.

A table is a dict of equally long NumPy columns: it needs no data-frame library, so the server can do without one.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Table = dict[str, np.ndarray]

INSUFFICIENT_HISTORY = "insufficient history"
SEVERITIES = ("critical", "high", "medium", "low")


class Cells(NamedTuple):
    """What clients share with neighbours: `counts` keys a client [int64], the keys one after the other [uint64]."""

    counts: np.ndarray
    keys: np.ndarray


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of some clients: features [float32, (clients, features)], how much they rest on, cells by name.

    n_records: a client's invoices, or its days with readings; 0 where there is nothing to judge by.
    """

    features: np.ndarray
    n_records: np.ndarray
    cells: dict[str, Cells]

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def concatenated(cls, parts: list["Evidence"]) -> "Evidence":
        cells = {
            name: Cells(
                *(np.concatenate(columns) for columns in zip(*(part.cells[name] for part in parts), strict=True))
            )
            for name in parts[0].cells
        }
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.n_records for part in parts]),
            cells,
        )

    def of(self, clients: np.ndarray) -> "Evidence":
        """The evidence of some clients. [mask or row numbers, ascending]"""
        keep = np.zeros(len(self), dtype=bool)
        keep[clients] = True
        cells = {name: Cells(c.counts[keep], c.keys[np.repeat(keep, c.counts)]) for name, c in self.cells.items()}
        return Evidence(self.features[keep], self.n_records[keep], cells)


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """A named data problem, how many rows have it, and what was done about it."""

    flag: str
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One evidence group's part in a score. [effect: log-odds, above 0 raises the score]"""

    group: str
    effect: float
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """What the model says of one client; probability is None where there is too little to judge.

    The client is suspected when its probability reaches the threshold; onset_on is then the most likely first day of
    the change in its readings, where it has some.
    """

    client_id: str
    probability: float | None
    severity: str
    threshold: float
    reasons: tuple[Reason, ...] = field(default=())
    quality: tuple[QualityFlag, ...] = field(default=())
    onset_on: str | None = None
