"""The share of frauds among a client's neighbours: same reading route, same day of creation, same place and tariff.

In:  Evidence.cells (features.py): keys of the cells each client belongs to; labels in training.
Out: columns of shape (clients, k), float32: shrunk shares of frauds, and how many clients the cells hold.

A training client's own label must not come back to it: `out_of_fold` fits each part of the clients on the others.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import GroupKeys

LEAST_CLIENTS = 5  # of a cell that is kept: below, a cell would tell of single clients, and model.bin leaves the house
PRIOR_CLIENTS = 15.0  # a cell's share is drawn to the mean as if so many average clients were in it
ONE_CELL = ("rate", "size")
MANY_CELLS = ("mean", "weighted", "max", "min", "last", "size")
SINGLE = frozenset({"place", "first_day", "created_day", "created_month", "created_year"})


def column_names(cells: tuple[str, ...]) -> list[str]:
    """Names of the columns that `GroupRates.columns` and `out_of_fold` give for these cells, in their order."""
    return [f"neighbours_{name}_{short}" for name in cells for short in (ONE_CELL if name in SINGLE else MANY_CELLS)]


@dataclass(frozen=True)
class GroupRates:
    """Fitted cells by name: keys [uint64, ascending], clients and frauds in each; and the mean share of frauds."""

    keys: dict[str, np.ndarray]
    n_clients: dict[str, np.ndarray]
    n_frauds: dict[str, np.ndarray]
    base_rate: float

    @classmethod
    def fit(cls, cells: dict[str, GroupKeys], label: np.ndarray) -> "GroupRates":
        """Cells of at least LEAST_CLIENTS clients. [label: 1 or 0, one a client]"""
        votes = {name: LabelCounts.of(cell) for name, cell in cells.items()}
        return cls._of(votes, label, np.ones(len(label), dtype=bool))

    @classmethod
    def _of(cls, votes: dict[str, "LabelCounts"], label: np.ndarray, used: np.ndarray) -> "GroupRates":
        keys, n_clients, n_frauds = {}, {}, {}
        for name, vote in votes.items():
            n = vote.count(used)
            kept = n >= LEAST_CLIENTS
            keys[name] = vote.keys[kept]
            n_clients[name] = n[kept].astype(np.float32)
            n_frauds[name] = vote.count(used & (label == 1))[kept].astype(np.float32)
        return cls(keys, n_clients, n_frauds, float(label[used].mean()))

    def columns(self, cells: dict[str, GroupKeys]) -> np.ndarray:
        """[float32, (clients, columns)]. The mean share and size 0 in unknown cells; NaN where a client has no cell."""
        parts = [self._columns(name, cells[name]) for name in self.keys]
        return np.concatenate(parts).T.astype(np.float32)

    def _columns(self, name: str, cell: GroupKeys) -> np.ndarray:
        rate, n = self._look_up(name, cell.keys)
        if name in SINGLE:  # at most one cell a client
            out = np.full((len(ONE_CELL), len(cell.counts)), np.nan)
            out[:, cell.counts > 0] = rate, np.log1p(n)
            return out
        segments = Segments(cell.counts)
        size = segments.mean(np.log1p(n))
        # A cell of few clients says more of this client than the whole town's day does.
        weight = 1.0 / (1.0 + n / 50.0)
        weighted, weights = segments.total(np.stack([rate * weight, weight]))
        with np.errstate(invalid="ignore"):
            weighted /= weights
        ends = segments.largest(rate), segments.smallest(rate), segments.last(rate)
        return np.stack([segments.mean(rate), weighted, *ends, size])

    def _look_up(self, name: str, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shrunk share of frauds in each wanted cell [0..1], and its clients."""
        keys = self.keys[name]
        if not len(keys):
            return np.full(len(wanted), self.base_rate), np.zeros(len(wanted))
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_known = keys[at] == wanted
        n = np.where(is_known, self.n_clients[name][at], 0.0).astype(np.float64)
        frauds = np.where(is_known, self.n_frauds[name][at], 0.0)
        return (frauds + PRIOR_CLIENTS * self.base_rate) / (n + PRIOR_CLIENTS), n


def out_of_fold(cells: dict[str, GroupKeys], label: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Columns of every client, from cells fitted on the clients of the other folds. [float32, (clients, columns)]"""
    votes = {name: LabelCounts.of(cell) for name, cell in cells.items()}
    out = np.empty((len(label), len(column_names(tuple(cells)))), dtype=np.float32)
    for fold in np.unique(folds):
        mine = folds == fold
        out[mine] = GroupRates._of(votes, label, ~mine).columns(
            {name: vote.cells_of(mine) for name, vote in votes.items()}
        )
    return out


@dataclass(frozen=True)
class LabelCounts:
    """Each client once in each of its cells, so that long histories do not outvote short ones.

    `keys` holds each cell once, ascending; `cell` and `client` are one row a vote.
    """

    keys: np.ndarray
    cell: np.ndarray
    client: np.ndarray
    source: GroupKeys

    @classmethod
    def of(cls, source: GroupKeys) -> "LabelCounts":
        keys, cell = np.unique(source.keys, return_inverse=True)
        client = np.repeat(np.arange(len(source.counts)), source.counts)
        pair = np.unique(cell * len(source.counts) + client)
        return cls(keys, pair // len(source.counts), pair % len(source.counts), source)

    def count(self, used: np.ndarray) -> np.ndarray:
        """Clients of each cell among those used."""
        return np.bincount(self.cell[used[self.client]], minlength=len(self.keys))

    def cells_of(self, clients: np.ndarray) -> GroupKeys:
        """The cells of some clients. [mask]"""
        return GroupKeys(self.source.counts[clients], self.source.keys[np.repeat(clients, self.source.counts)])
