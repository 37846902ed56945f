"""Smoothed target encoding: the share of frauds among clients of the same group, such as reading route or tariff.

In:  FeatureMatrix.group_keys: the keys of the groups to which each client belongs; labels in training.
Out: columns [float32, (clients, k)]: smoothed shares of frauds, and the number of clients in the groups.

A training client's own label must not leak into its encoding: `out_of_fold` fits each fold on the other folds.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import GroupKeys

MIN_CLIENTS = 5  # in a stored group: smaller groups would disclose single clients to everyone who has model.bin
PRIOR_CLIENTS = 15.0  # weight of the mean share, in clients added to each group
SINGLE_KEY_STATISTICS = ("rate", "size")
MULTI_KEY_STATISTICS = ("mean", "weighted", "max", "min", "last", "size")
SINGLE_KEY_GROUPS = frozenset({"place", "first_day", "created_day", "created_month", "created_year"})


def column_names(groups: tuple[str, ...]) -> list[str]:
    """Names of the columns of `GroupRates.columns` and `out_of_fold` for these groups, in their order."""
    return [
        f"neighbours_{name}_{short}"
        for name in groups
        for short in (SINGLE_KEY_STATISTICS if name in SINGLE_KEY_GROUPS else MULTI_KEY_STATISTICS)
    ]


@dataclass(frozen=True)
class GroupRates:
    """Fitted groups by name: keys [uint64, ascending], numbers of clients and frauds; and the mean share of frauds."""

    keys: dict[str, np.ndarray]
    n_clients: dict[str, np.ndarray]
    n_frauds: dict[str, np.ndarray]
    base_rate: float

    @classmethod
    def fit(cls, groups: dict[str, GroupKeys], label: np.ndarray) -> "GroupRates":
        """Fit groups of at least MIN_CLIENTS clients. [label: 1 or 0, one a client]"""
        counts = {name: LabelCounts.from_group_keys(group) for name, group in groups.items()}
        return cls._from_counts(counts, label, np.ones(len(label), dtype=bool))

    @classmethod
    def _from_counts(cls, counts: dict[str, "LabelCounts"], label: np.ndarray, used: np.ndarray) -> "GroupRates":
        keys, n_clients, n_frauds = {}, {}, {}
        for name, of_group in counts.items():
            n = of_group.count(used)
            selected = n >= MIN_CLIENTS
            keys[name] = of_group.keys[selected]
            n_clients[name] = n[selected].astype(np.float32)
            n_frauds[name] = of_group.count(used & (label == 1))[selected].astype(np.float32)
        return cls(keys, n_clients, n_frauds, float(label[used].mean()))

    def columns(self, groups: dict[str, GroupKeys]) -> np.ndarray:
        """Encodings of each client. [float32, (clients, columns)]

        An unknown group has the mean share and size 0; a client without a group has NaN.
        """
        parts = [self._columns(name, groups[name]) for name in self.keys]
        return np.concatenate(parts).T.astype(np.float32)

    def _columns(self, name: str, group: GroupKeys) -> np.ndarray:
        rate, n = self._look_up(name, group.keys)
        if name in SINGLE_KEY_GROUPS:  # at most one group a client
            out = np.full((len(SINGLE_KEY_STATISTICS), len(group.counts)), np.nan)
            out[:, group.counts > 0] = rate, np.log1p(n)
            return out
        segments = Segments(group.counts)
        size = segments.mean(np.log1p(n))
        # A small group is more specific to this client than the reading day of a whole town.
        weight = 1.0 / (1.0 + n / 50.0)
        weighted, weights = segments.total(np.stack([rate * weight, weight]))
        with np.errstate(invalid="ignore"):
            weighted /= weights
        ends = segments.largest(rate), segments.smallest(rate), segments.last(rate)
        return np.stack([segments.mean(rate), weighted, *ends, size])

    def _look_up(self, name: str, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smoothed share of frauds [0..1] and number of clients of each wanted group."""
        keys = self.keys[name]
        if not len(keys):
            return np.full(len(wanted), self.base_rate), np.zeros(len(wanted))
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_present = keys[at] == wanted
        n = np.where(is_present, self.n_clients[name][at], 0.0).astype(np.float64)
        frauds = np.where(is_present, self.n_frauds[name][at], 0.0)
        return (frauds + PRIOR_CLIENTS * self.base_rate) / (n + PRIOR_CLIENTS), n


def out_of_fold(groups: dict[str, GroupKeys], label: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Encodings of every client, fitted on the clients of the other folds. [float32, (clients, columns)]"""
    counts = {name: LabelCounts.from_group_keys(group) for name, group in groups.items()}
    out = np.empty((len(label), len(column_names(tuple(groups)))), dtype=np.float32)
    for fold in np.unique(folds):
        mine = folds == fold
        out[mine] = GroupRates._from_counts(counts, label, ~mine).columns(
            {name: of_group.group_keys_of(mine) for name, of_group in counts.items()}
        )
    return out


@dataclass(frozen=True)
class LabelCounts:
    """Each client once in each of its groups, so that long histories do not outweigh short ones.

    `keys` holds each group once, ascending; `group` and `client` have one row for each pair of client and group.
    """

    keys: np.ndarray
    group: np.ndarray
    client: np.ndarray
    source: GroupKeys

    @classmethod
    def from_group_keys(cls, source: GroupKeys) -> "LabelCounts":
        keys, group = np.unique(source.keys, return_inverse=True)
        client = np.repeat(np.arange(len(source.counts)), source.counts)
        pair = np.unique(group * len(source.counts) + client)
        return cls(keys, pair // len(source.counts), pair % len(source.counts), source)

    def count(self, used: np.ndarray) -> np.ndarray:
        """Number of used clients in each group. [used: mask of the clients]"""
        return np.bincount(self.group[used[self.client]], minlength=len(self.keys))

    def group_keys_of(self, clients: np.ndarray) -> GroupKeys:
        """Group keys of the selected clients. [clients: mask]"""
        return GroupKeys(self.source.counts[clients], self.source.keys[np.repeat(clients, self.source.counts)])
