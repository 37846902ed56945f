"""A client against its peers in training: clients of the same region and category.

In:  features [float32, (clients, features)] and their names.
Out: deviations from the peers' median [float32, (clients, selected features)], NaN for the client's missing values;
     and the medians themselves, for sentences.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MIN_PEERS = 30  # a median of fewer depends too much on single clients
PEER_FEATURES = (
    "elec_level_mean", "elec_level_median", "elec_level_last", "elec_level_std", "elec_total_monthly",
    "elec_change_min", "elec_jump_mean", "elec_year_on_year_median", "elec_zero_share", "elec_gap_mean",
    "elec_gap_excess_max", "elec_summer_level", "elec_winter_level", "elec_year_0_level", "gas_level_mean",
    "gas_level_std", "n_invoices", "age_months",
)  # fmt: skip
USUAL_FEATURES = (
    *(
        f"{energy}_{name}"
        for energy in ("elec", "gas")
        for name in (
            "split_level_size", "year_on_year_min", "fall_n", "year_0_level", "monthly_mean", "near_zero_share",
            "near_zero_longest", "level_2_share", "level_3_share", "level_4_share", "jump_mean", "same_share",
            "summer_level", "winter_level", "mismatch_n", "rollback_n", "stall_n", "remark_6_share", "remark_8_share",
            "remark_9_share", "level_1_share_mean", "not_4_months_share", "gap_mean", "gap_max", "late_n", "n",
            "meter_distinct", "tariff_distinct",
        )
    ),
    "n_invoices", "age_months", "gas_share", "n_tariffs", "total_consumption_mean", "consumption_level_1_mean",
)  # fmt: skip


@dataclass(frozen=True)
class PeerGroups:
    """Medians by group: `groups` holds rows of (region, category), ascending; the last row of `medians` is the default.

    `columns` are the numbers of the selected features among all, `place` those of region and category.
    """

    columns: np.ndarray
    place: np.ndarray
    groups: np.ndarray
    medians: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        names: tuple[str, ...],
        wanted: tuple[str, ...] = PEER_FEATURES,
        default: float = 0.0,
    ) -> "PeerGroups":
        """Fit groups of at least MIN_PEERS clients; a missing region or category counts as a code of its own.

        default: the median if no peer has a value; with 0 the deviation is the value itself.
        """
        columns = np.array([names.index(name) for name in wanted])
        place = np.array([names.index("region"), names.index("category")])
        groups, member, n = np.unique(
            np.nan_to_num(features[:, place], nan=-1.0), axis=0, return_inverse=True, return_counts=True
        )
        selected = np.flatnonzero(n >= MIN_PEERS)
        values = features[:, columns]
        medians = [_median(values[member.ravel() == group], default) for group in selected]
        return cls(columns, place, groups[selected].astype(np.float64), np.stack([*medians, _median(values, default)]))

    @cached_property
    def places(self) -> dict[int, int]:
        """Column of `medians` by the number of its feature among all."""
        return {column: place for place, column in enumerate(self.columns.tolist())}

    def deviations(self, features: np.ndarray) -> np.ndarray:
        """Each client's value less its peers' median. [float32, (clients, selected features)]"""
        return features[:, self.columns] - self.medians[self.group(features[:, self.place])]

    def deviation_of(self, column: int, features: np.ndarray) -> np.ndarray | None:
        """Each client's value of one feature less its peers' median; None where no median of it is kept. [(clients,)]

        column: number of the feature among all.
        """
        place = np.flatnonzero(self.columns == column)
        if not len(place):
            return None
        return features[:, column] - self.medians[self.group(features[:, self.place]), place[0]]

    def group(self, place: np.ndarray) -> np.ndarray:
        """Number of each client's row of `medians`. [place: (clients, 2), region and category]"""
        pairs = np.nan_to_num(place, nan=-1.0).tolist()
        return np.array([self._numbers.get((region, category), len(self.groups)) for region, category in pairs], int)

    @cached_property
    def _numbers(self) -> dict[tuple[float, float], int]:
        """Number of each group."""
        return {(region, category): number for number, (region, category) in enumerate(self.groups.tolist())}


def _median(values: np.ndarray, default: float) -> np.ndarray:
    known = ~np.isnan(values).all(axis=0)
    out = np.full(values.shape[1], default, dtype=np.float32)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out
