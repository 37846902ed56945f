"""What a feature is, its evidence groups, and how features that are computed together are declared.

Modules of fairmeter/features/invoices and fairmeter/features/readings each declare a tuple BLOCKS; their matrix.py
concatenates them.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

FALL = "fall in consumption"
LOW = "low or zero use"
IRREGULAR = "irregular use"
DISCREPANCY = "discrepancies of index, remarks and meter status"
TARIFF = "tariff and invoice configuration"
PLACE = "place, category and neighbours"
HISTORY = "account history"
EVIDENCE_GROUPS = (FALL, LOW, IRREGULAR, DISCREPANCY, TARIFF, PLACE, HISTORY)
UNUSUAL = "unusual shape"  # the scores of detectors and networks, which no single figure expresses
REASON_GROUPS = (*EVIDENCE_GROUPS, UNUSUAL)
SHAPE = "flat, clipped or repeated readings"
SEASON = "season, weather, weekdays and time of day"
READING_GROUPS = (FALL, LOW, IRREGULAR, SHAPE, SEASON, PLACE, HISTORY)
# In reasons: a curve that is clipped or copied is unusual in shape; hours and weekdays out of order are irregular use.
REASON_GROUP = {name: name for name in REASON_GROUPS} | {SHAPE: UNUSUAL, SEASON: IRREGULAR}

ENERGY_NAMES = {"elec": "electricity", "gas": "gas"}  # prefix of a feature's name: the energy in its sentence
ENERGIES = tuple(ENERGY_NAMES)

SeriesT = TypeVar("SeriesT")  # InvoiceSeries or DailySeries


class Feature(NamedTuple):
    """A column of the feature matrix: its evidence group, its unit, and a sentence for people.

    `after_detection`: it may be a consequence of an inspection (a meter exchanged, a code changed), so the prospective
    view leaves it out.
    """

    name: str
    group: str
    unit: str
    text: str
    after_detection: bool = False


class Block(NamedTuple, Generic[SeriesT]):
    """Features that are computed together from one kind of series, in the order of `compute`'s rows.

    `compute` gives float64 of shape (features, clients), or (features, pairs with invoices) where `is_by_pair`: a pair
    is one client's electricity or one client's gas.
    """

    features: tuple[Feature, ...]
    compute: Callable[[SeriesT], np.ndarray]
    is_by_pair: bool = False

    @property
    def columns(self) -> tuple[Feature, ...]:
        """The features of a client: by pair, first those of its electricity, then those of its gas."""
        if not self.is_by_pair:
            return self.features
        return tuple(
            feature._replace(name=f"{energy}_{feature.name}", text=f"{word}: {feature.text}")
            for energy, word in ENERGY_NAMES.items()
            for feature in self.features
        )
