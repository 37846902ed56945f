"""What the columns that members see are about: the evidence group of each, and within it the aspect.

In:  the names of an ensemble's columns (Inputs.names), of invoices or of readings.
Out: an Aspect for each column. An aspect is what one sentence can tell: the zeros, the remarks, the clearest change.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fairmeter.features.base import (
    DISCREPANCY,
    ENERGIES,
    FALL,
    HISTORY,
    IRREGULAR,
    LOW,
    PLACE,
    REASON_GROUP,
    REASON_GROUPS,
    TARIFF,
    UNUSUAL,
    Feature,
)
from fairmeter.features.invoices import consumption, meter_and_account
from fairmeter.features.readings.matrix import FEATURES as READING_FEATURES

INVOICES, READINGS = "invoices", "readings"
NEIGHBOURS, PEERS = "neighbours_", "_against_peers"


class Topic(NamedTuple):
    """What a sentence is about. [energy: elec, gas, or empty where it is of the client as a whole]"""

    group: str
    name: str
    energy: str


# By evidence group the aspects with the names that begin so; the last takes the rest of its group.
OF_INVOICES: dict[str, tuple[tuple[str, str], ...]] = {
    FALL: (("year_on_year", "year_on_year|yearly_fall"), ("years", r"year_\d"),
           ("drops", "change_|off_average|fall_"), ("change", "")),
    LOW: (("zero", "zero|near_zero"), ("sums", "consumption_level_|total_consumption|months_"),
          ("upper", "level_[234]"), ("level", "")),
    IRREGULAR: (("seasons", "winter|spring|summer|autumn"), ("same", "same"), ("jumps", "")),
    DISCREPANCY: (("remark", "remark"), ("index", "mismatch|rollback|stall"), ("meter", "")),
    TARIFF: (("price_levels", "level_|total_level"), ("periods", "months|not_4"), ("gas", "gas_share"),
             ("tariff", "")),
    PLACE: (("route", "neighbours_(route|first_day)"), ("creation", "neighbours_created"),
            ("meters", "neighbours_(exchange|meter)"), ("tariff", "neighbours_tariff"), ("place", "")),
    HISTORY: (("gaps", "gap|off_cycle|late|coverage"), ("creation", "created_on|first_invoice_after|n_before"),
              ("account", "")),
    UNUSUAL: (("average", "moving_average"), ("deviation", "")),
}  # fmt: skip
OF_READINGS: dict[str, tuple[tuple[str, str], ...]] = {
    FALL: (("year_on_year", ".*year_on_year"), ("last", "mean_|derivative|.*_last_|.*_(off|z|below)_|fall_.*(90|30)"),
           ("trend", ".*slope"), ("change", "")),
    LOW: (("hours", "zero_hours"), ("zero", "zero|near_zero|low"), ("level", "")),
    IRREGULAR: (("hours", "night|morning|afternoon|peak|zero_hours|profile|mirror|day_before"),
                ("season", "winter|spring|summer|autumn|cold|off_weather|sun"), ("week", "weekend|holiday|weekly"),
                ("high", "high"), ("spread", "")),
    UNUSUAL: (("ceiling", "ceiling|at_top|top|cut|.*off_ceiling|.*or_ceiling|upper"), ("flat", "flat"),
              ("repeat", "repeat|distinct|mode|near_mode|same_weekday"),
              ("hours", "peak_share|base_share|hour_deviation"),
              ("forecast", ".*_ahead_"), ("weeks", "weeks_"),
              ("deviation", "z_score|moving_average|quartiles|isolation_forest"), ("form", "")),
    PLACE: (("transformer", "transformer_"), ("neighbours", "")),
    HISTORY: (("missing", ""),),
}  # fmt: skip


def _of_invoices() -> dict[str, tuple[Feature, str, str]]:
    """Each feature by name: the feature, its energy, its name without the energy."""
    known = {}
    for block in (*consumption.BLOCKS, *meter_and_account.BLOCKS):
        names = [feature.name for feature in block.features]
        energies = ENERGIES if block.is_by_pair else ("",)
        for i, feature in enumerate(block.columns):
            known[feature.name] = feature, energies[i // len(names)], names[i % len(names)]
    return known


INVOICE_FEATURES = _of_invoices()
GROUP_OF_READING = {feature.name: feature.group for feature in READING_FEATURES}


def aspect_of(column: str, kind: str) -> Topic:
    """Neighbours' rates are of place. A deviation from peers is of its feature's own group, beside what it deviates in:
    half of a low level would otherwise be told as a matter of place."""
    if kind == READINGS:
        group = REASON_GROUP[GROUP_OF_READING.get(column, UNUSUAL)]
        return Topic(group, _first(OF_READINGS[group], column), "elec")
    if column.startswith(NEIGHBOURS):
        return Topic(PLACE, _first(OF_INVOICES[PLACE], column), "")
    name = column.removesuffix(PEERS)
    if name not in INVOICE_FEATURES:
        return Topic(UNUSUAL, _first(OF_INVOICES[UNUSUAL], name), "")
    feature, energy, own_name = INVOICE_FEATURES[name]
    return Topic(feature.group, _first(OF_INVOICES[feature.group], own_name), energy)


def _first(aspects: tuple[tuple[str, str], ...], name: str) -> str:
    return next(aspect for aspect, begins in aspects if re.match(begins, name))


class ColumnTopics(NamedTuple):
    """Columns by what they are about: each one's group (a place in REASON_GROUPS) and aspect (a place in `aspects`)."""

    group: np.ndarray
    aspects: tuple[Topic, ...]
    aspect: np.ndarray
    place: dict[str, int]  # of each column by its name

    def value(self, row: np.ndarray, name: str) -> float:
        """What a row has in a column; NaN where there is no such column."""
        place = self.place.get(name)
        return float("nan") if place is None else float(row[place])


@lru_cache(maxsize=8)
def layout_of(names: tuple[str, ...], kind: str) -> ColumnTopics:
    """Made once for the columns of an ensemble."""
    of_columns = [aspect_of(name, kind) for name in names]
    aspects = tuple(dict.fromkeys(of_columns))
    number = {aspect: i for i, aspect in enumerate(aspects)}
    group = np.array([REASON_GROUPS.index(aspect.group) for aspect in of_columns])
    return ColumnTopics(
        group, aspects, np.array([number[a] for a in of_columns]), {name: i for i, name in enumerate(names)}
    )
