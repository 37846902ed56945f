"""What a feature is, which evidence group it belongs to, and how features that are computed together are held.

A room of blocks (fairmeter/features/invoices/consumption.py, fairmeter/features/invoices/meter_and_account.py) gives a tuple BLOCKS; features.py joins them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairmeter.features.invoices.series import ENERGIES, InvoiceSeries

FALL = "fall in consumption"
LOW = "low or zero use"
IRREGULAR = "irregular use"
DISCREPANCY = "discrepancies of index, remarks and meter status"
TARIFF = "tariff and invoice configuration"
PLACE = "place, category and neighbours"
HISTORY = "account history"
EVIDENCE_GROUPS = (FALL, LOW, IRREGULAR, DISCREPANCY, TARIFF, PLACE, HISTORY)
UNUSUAL = "unusual shape"  # what no single figure says: the scores of detectors and networks
REASON_GROUPS = (*EVIDENCE_GROUPS, UNUSUAL)
SHAPE = "flat, clipped or repeated readings"
SEASON = "season, weather, weekdays and time of day"
READING_GROUPS = (FALL, LOW, IRREGULAR, SHAPE, SEASON, PLACE, HISTORY)
# In reasons: a curve that is clipped or copied is unusual in shape; hours and weekdays out of order are irregular use.
REASON_GROUP = {name: name for name in REASON_GROUPS} | {SHAPE: UNUSUAL, SEASON: IRREGULAR}

ENERGY_NAMES = dict(zip(ENERGIES, ("electricity", "gas"), strict=True))


class Feature(NamedTuple):
    """A column of the evidence: its evidence group, its unit, and a sentence for people.

    `after_detection`: it may be a consequence of an inspection (a meter exchanged, a code changed), so the prospective
    view leaves it out.
    """

    name: str
    group: str
    unit: str
    text: str
    after_detection: bool = False


class Block(NamedTuple):
    """Features that are computed together, in the order of `compute`'s rows.

    `compute` gives float64 of shape (features, pairs with invoices), or (features, clients) where not `is_by_pair`.
    """

    features: tuple[Feature, ...]
    compute: Callable[[InvoiceSeries], np.ndarray]
    is_by_pair: bool = True

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
