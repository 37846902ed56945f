"""A client against its peers: the same region and category, as they were in training.

In:  features [float32, (clients, features)] and their names.
Out: deviations from the peers' median [float32, (clients, len(PEER_FEATURES))]; NaN where the client's own is missing.
"""

from dataclasses import dataclass

import numpy as np

LEAST_PEERS = 30  # a median of fewer says more of them than of the place
PEER_FEATURES = (
    "elec_level_mean", "elec_level_median", "elec_level_last", "elec_level_std", "elec_total_monthly",
    "elec_change_min", "elec_jump_mean", "elec_year_on_year_median", "elec_zero_share", "elec_gap_mean",
    "elec_gap_excess_max", "elec_summer_level", "elec_winter_level", "elec_year_0_level", "gas_level_mean",
    "gas_level_std", "n_invoices", "age_months",
)  # fmt: skip


@dataclass(frozen=True)
class Peers:
    """Medians: `groups` holds (region, category) a row, ascending; the last row of `medians` serves everybody else.

    `columns` are the places of PEER_FEATURES among all features, `place` those of region and category.
    """

    columns: np.ndarray
    place: np.ndarray
    groups: np.ndarray
    medians: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, names: tuple[str, ...]) -> "Peers":
        """Groups of at least LEAST_PEERS clients; those without a region or category are a group of their own."""
        columns = np.array([names.index(name) for name in PEER_FEATURES])
        place = np.array([names.index("region"), names.index("category")])
        groups, member, n = np.unique(
            np.nan_to_num(features[:, place], nan=-1.0), axis=0, return_inverse=True, return_counts=True
        )
        kept = np.flatnonzero(n >= LEAST_PEERS)
        values = features[:, columns]
        medians = [_median(values[member.ravel() == group]) for group in kept]
        return cls(columns, place, groups[kept].astype(np.float64), np.stack([*medians, _median(values)]))

    def deviations(self, features: np.ndarray) -> np.ndarray:
        """Each client's own value less its peers' median. [float32, (clients, len(PEER_FEATURES))]"""
        place = np.nan_to_num(features[:, self.place], nan=-1.0)
        is_group = (place[:, None, :] == self.groups[None]).all(axis=2)
        group = np.append(is_group, np.ones((len(place), 1), dtype=bool), axis=1).argmax(axis=1)
        return features[:, self.columns] - self.medians[group]


def _median(values: np.ndarray) -> np.ndarray:
    """Median of each column; 0 where no peer has a value, so that the deviation is the value itself."""
    known = ~np.isnan(values).all(axis=0)
    out = np.zeros(values.shape[1], dtype=np.float32)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out
