"""Smoothed target encoding: the share of frauds among clients of the same group, such as reading route or tariff.

In:  FeatureMatrix.group_keys: the keys of the groups to which each client belongs; labels in training.
Out: columns [float32, (clients, k)]: smoothed shares of frauds, and the number of clients in the groups.

A training client's own label must not leak into its encoding: `out_of_fold` fits each fold on the other folds.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import GroupKeys

MIN_CLIENTS = 5  # in a stored group: smaller groups would disclose single clients to everyone who has model.bin
SALT = np.uint64(0x9E3779B97F4A7C15)  # an odd number without a pattern: multiplying by it spreads small ones
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
        names, of_names = tuple(self.keys), [groups[name] for name in self.keys]
        counts = np.stack([group.counts for group in of_names])
        n_keys = counts.sum(axis=1)
        rate, n = self._look_up(np.concatenate([group.keys for group in of_names]), n_keys)
        # The groups of all names are segments of one series: (names, clients).
        segments, size = Segments(counts.ravel()), np.log1p(n)
        # A small group is more specific to this client than the reading day of a whole town.
        weight = 1.0 / (1.0 + n / 50.0)
        totals = segments.total(np.stack([rate, rate * weight, weight, size]))
        with np.errstate(invalid="ignore"):
            mean, weighted = totals[0] / segments.counts, totals[1] / totals[2]
            mean_size = totals[3] / segments.counts
        ends = segments.largest(rate), segments.smallest(rate), segments.last(rate)
        found = np.stack([mean, weighted, *ends, mean_size]).reshape(len(MULTI_KEY_STATISTICS), *counts.shape)
        return found.transpose(2, 1, 0).reshape(counts.shape[1], -1)[:, _statistic_places(names)].astype(np.float32)

    @cached_property
    def _joined(self) -> "JoinedGroups":
        return JoinedGroups.of(self)

    def _look_up(self, wanted: np.ndarray, n_wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smoothed share of frauds [0..1] and number of clients of each wanted group. [n_wanted: keys of each name]"""
        n, frauds = self._joined.look_up(wanted, n_wanted)
        return (frauds + PRIOR_CLIENTS * self.base_rate) / (n + PRIOR_CLIENTS), n


class JoinedGroups(NamedTuple):
    """The groups of all names in one order, so that one search finds all of a client's groups.

    salt: uint64, one a name, by which keys of different names differ; keys: salted, ascending; owner: number of the
    name of each.
    """

    salt: np.ndarray
    keys: np.ndarray
    owner: np.ndarray
    n_clients: np.ndarray
    n_frauds: np.ndarray

    @classmethod
    def of(cls, rates: GroupRates) -> "JoinedGroups":
        names = np.arange(len(rates.keys), dtype=np.uint8)
        owner = np.repeat(names, [len(keys) for keys in rates.keys.values()])
        keys, clients, frauds = (
            np.concatenate([np.empty(0, dtype), *of_names.values()])
            for of_names, dtype in (
                (rates.keys, np.uint64),
                (rates.n_clients, np.float32),
                (rates.n_frauds, np.float32),
            )
        )
        salt, salted = np.zeros(len(rates.keys), np.uint64), keys
        while len(np.unique(salted)) < len(salted):  # two names have the same key
            salt = (salt + np.arange(1, len(salt) + 1, dtype=np.uint64)) * SALT
            salted = keys ^ salt[owner]
        order = np.argsort(salted)
        return cls(salt, salted[order], owner[order], clients[order], frauds[order])

    def look_up(self, wanted: np.ndarray, n_wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of clients and frauds of each wanted group, 0 where it is unknown. [n_wanted: keys of each name]"""
        if not len(self.keys):
            return np.zeros(len(wanted)), np.zeros(len(wanted))
        wanted = wanted ^ np.repeat(self.salt, n_wanted)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        is_known = (self.keys.take(at) == wanted) & (
            self.owner.take(at) == np.repeat(np.arange(len(n_wanted)), n_wanted)
        )
        n_clients, n_frauds = (np.where(is_known, n.take(at), 0.0) for n in (self.n_clients, self.n_frauds))
        return n_clients.astype(np.float64), n_frauds


@lru_cache(maxsize=16)
def _statistic_places(names: tuple[str, ...]) -> np.ndarray:
    """Places of the columns of `column_names` among MULTI_KEY_STATISTICS of every name."""
    wanted = [
        (i, ("mean" if name in SINGLE_KEY_GROUPS and statistic == "rate" else statistic))
        for i, name in enumerate(names)
        for statistic in (SINGLE_KEY_STATISTICS if name in SINGLE_KEY_GROUPS else MULTI_KEY_STATISTICS)
    ]
    n = len(MULTI_KEY_STATISTICS)
    return np.array([n * i + MULTI_KEY_STATISTICS.index(statistic) for i, statistic in wanted])


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
