"""Topics of the columns that an ensemble's members take: evidence group, topic within it, and a description.

In:  names of an ensemble's columns (EnsembleInputs.names), of invoices or of readings.
Out: a Topic for each column. A topic is what one sentence can be about: the zeros, the remarks, the clearest change.
     For reports, the description of a column: {"group", "text"}.
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
from fairmeter.features.invoices.group_keys import GROUP_KEYS
from fairmeter.features.invoices.matrix import BLOCKS
from fairmeter.features.readings.matrix import FEATURES as READING_FEATURES

INVOICES, READINGS = "invoices", "readings"
FALL_DETECTOR_PREFIX = "falls_by_"  # of a detector that looks at falls in consumption alone
NEIGHBOUR_PREFIX, PEER_SUFFIX = "neighbours_", "_against_peers"
MATES_PREFIX, TREES_PREFIX = "mates_", "invoice_trees_"
# Columns that are made of other clients in training, and of the client itself too where it is scored again.
FITTED_ON_OTHERS = (NEIGHBOUR_PREFIX, MATES_PREFIX, TREES_PREFIX)


MATE_STATISTICS = {
    "mean": "mean of the {}", "std": "standard deviation of the {}", "max": "highest {}", "min": "lowest {}",
    "slope": "trend of the {}", "recent": "{} of the last two years against all",
}  # fmt: skip
MATE_SERIES = {
    "elec_level": "log consumption a month, electricity", "gas_level": "log consumption a month, gas",
    "months": "months an invoice covers", "gap": "time between invoices", "zero": "share of zero consumption",
    "change": "change from one invoice to the next",
}  # fmt: skip
TREE_TEXTS = {
    "mean": "mean", "std": "standard deviation", "max": "highest", "q90": "90 % quantile", "median": "median",
    "min": "lowest", "last": "of the last day", "top_3": "mean of the three highest", "odds": "log of the mean odds",
    "recent": "mean of the last two years", "recent_max": "highest of the last two years",
    "peak_ago": "time from the highest to the last invoice", "elec": "mean, electricity", "gas": "mean, gas",
}  # fmt: skip


class Topic(NamedTuple):
    """What a sentence is about. [energy: elec, gas, or empty for the client as a whole]"""

    group: str
    name: str
    energy: str


# Topics by evidence group, each with a pattern for the beginning of the names; the last topic takes all others.
INVOICE_TOPICS: dict[str, tuple[tuple[str, str], ...]] = {
    FALL: (("year_on_year", "year_on_year|yearly_fall"), ("years", r"year_\d"),
           ("drops", "change_|off_average|fall_"), ("change", "")),
    LOW: (("zero", "zero|near_zero"), ("sums", "consumption_level_|total_consumption|months_"),
          ("upper", "level_[234]"), ("level", "")),
    IRREGULAR: (("both", "both_"), ("uncommon", "odd_|long_"), ("seasons", "winter|spring|summer|autumn"),
                ("same", "same"), ("jumps", "")),
    DISCREPANCY: (("remark", "remark"), ("index", "mismatch|rollback|stall"), ("meter", "")),
    TARIFF: (("first_level", "full_level"), ("uncommon", "period_|both_months"), ("price_levels", "level_|total_level"),
             ("periods", "months|not_4"), ("gas", "gas_share"), ("tariff", "")),
    PLACE: (("mates", MATES_PREFIX), ("route", "neighbours_(route|first_day)"), ("creation", "neighbours_created"),
            ("meters", "neighbours_(exchange|meter)"), ("tariff", "neighbours_tariff"), ("place", "")),
    HISTORY: (("uncommon", "odd_period|gap_variation"), ("both", "electricity_alone|gas_alone"),
              ("gaps", "gap|off_cycle|late|coverage"), ("creation", "created_on|first_invoice_after|n_before"),
              ("account", "")),
    UNUSUAL: (("invoices", TREES_PREFIX), ("average", "moving_average"), ("deviation", "")),
}  # fmt: skip
READING_TOPICS: dict[str, tuple[tuple[str, str], ...]] = {
    FALL: (("year_on_year", ".*year_on_year"), ("last", "mean_|derivative|.*_last_|.*_(off|z|below)_|fall_.*(90|30)"),
           ("trend", ".*slope"), ("change", "")),
    LOW: (("hours", "zero_hours"), ("levels", "levels_|low_weeks"), ("zero", "zero|near_zero|low"), ("level", "")),
    IRREGULAR: (("hours", "night|morning|afternoon|peak|zero_hours|profile|mirror|day_before"),
                ("week", "weekend|holiday|weekly|.*day_"),
                ("season", "winter|spring|summer|autumn|cold|off_weather|sun"),
                ("levels", "levels_|low_weeks"), ("high", "high"), ("spread", "")),
    UNUSUAL: (("ceiling", "ceiling|at_top|top|cut|.*off_ceiling|.*or_ceiling|upper"), ("flat", "flat"),
              ("repeat", "repeat|distinct|mode|near_mode|same_weekday"),
              ("hours", "peak_share|base_share|hour_deviation"),
              ("forecast", ".*_ahead_"), ("weeks", "weeks_"),
              ("deviation", "z_score|moving_average|quartiles|isolation_forest"), ("form", "")),
    PLACE: (("transformer", "transformer_"), ("neighbours", "")),
    HISTORY: (("missing", ""),),
}  # fmt: skip


def _invoice_features() -> dict[str, tuple[Feature, str, str]]:
    """The features of invoices by name: the feature, its energy, its name without the energy."""
    found = {}
    for block in BLOCKS:
        names = [feature.name for feature in block.features]
        energies = ENERGIES if block.is_by_pair else ("",)
        for i, feature in enumerate(block.columns):
            found[feature.name] = feature, energies[i // len(names)], names[i % len(names)]
    return found


INVOICE_FEATURES = _invoice_features()
READING_TEXTS = {feature.name: feature.text for feature in READING_FEATURES}
READING_GROUPS = {feature.name: feature.group for feature in READING_FEATURES}


def topic_of(column: str, kind: str) -> Topic:
    """Topic of a column. [kind: INVOICES or READINGS]

    Target encodings and differences from mates belong to the evidence group of places. A deviation from peers stays in
    its feature's own group: half of a low level would otherwise count as a matter of place.
    """
    if kind == READINGS:
        group = REASON_GROUP[READING_GROUPS.get(column, UNUSUAL)]
        return Topic(group, _first(READING_TOPICS[group], column), "elec")
    if column.startswith((NEIGHBOUR_PREFIX, MATES_PREFIX)):
        energy = "gas" if column.startswith(f"{MATES_PREFIX}gas") else "elec"
        is_of_mates = column.startswith(MATES_PREFIX)
        return Topic(PLACE, _first(INVOICE_TOPICS[PLACE], column), energy if is_of_mates else "")
    if column.startswith(FALL_DETECTOR_PREFIX):
        return Topic(FALL, "change", "elec")
    name = column.removesuffix(PEER_SUFFIX)
    if name not in INVOICE_FEATURES:
        return Topic(UNUSUAL, _first(INVOICE_TOPICS[UNUSUAL], name), "")
    feature, energy, own_name = INVOICE_FEATURES[name]
    return Topic(feature.group, _first(INVOICE_TOPICS[feature.group], own_name), energy)


def _first(topics: tuple[tuple[str, str], ...], name: str) -> str:
    """The first topic whose pattern matches the beginning of a name."""
    return next(topic for topic, pattern in topics if re.match(pattern, name))


class ColumnTopics(NamedTuple):
    """Groups and topics of an ensemble's columns.

    group: int, each column's place in REASON_GROUPS; topic: int, its place in `topics`.
    """

    group: np.ndarray
    topics: tuple[Topic, ...]
    topic: np.ndarray
    place: dict[str, int]  # number of a column by its name

    def value(self, row: np.ndarray, name: str) -> float:
        """Value of a column in a row; NaN if there is no such column."""
        place = self.place.get(name)
        return float("nan") if place is None else float(row[place])


@lru_cache(maxsize=8)
def column_topics(names: tuple[str, ...], kind: str) -> ColumnTopics:
    """Groups and topics of an ensemble's columns, cached because they are the same for all clients."""
    each = [topic_of(name, kind) for name in names]
    topics = tuple(dict.fromkeys(each))
    number = {topic: i for i, topic in enumerate(topics)}
    group = np.array([REASON_GROUPS.index(topic.group) for topic in each])
    return ColumnTopics(group, topics, np.array([number[a] for a in each]), {name: i for i, name in enumerate(names)})


def describe_column(column: str, kind: str = INVOICES) -> dict[str, str]:
    """Evidence group and description of a column, for reports. [kind: INVOICES or READINGS]"""
    return {"group": topic_of(column, kind).group, "text": column_text(column, kind)}


def column_text(column: str, kind: str = INVOICES) -> str:
    """Description of a column."""
    if kind == READINGS:
        return READING_TEXTS.get(column) or f"score of the detector or network {column.replace('_', ' ')}"
    if column in INVOICE_FEATURES:
        return INVOICE_FEATURES[column][0].text
    if column.startswith(NEIGHBOUR_PREFIX):
        cell, _, short = column.removeprefix(NEIGHBOUR_PREFIX).rpartition("_")
        return f"share of frauds among clients of {GROUP_KEYS[cell]} ({short})"
    if column.startswith(MATES_PREFIX):
        series, _, statistic = column.removeprefix(MATES_PREFIX).rpartition("_")
        text = MATE_STATISTICS[statistic].format(MATE_SERIES[series])
        return f"{text}, against clients of its region invoiced on the same day"
    if column.startswith(TREES_PREFIX):
        return f"scores of single invoices: {TREE_TEXTS[column.removeprefix(TREES_PREFIX)]}"
    if column.endswith(PEER_SUFFIX):
        return f"{column_text(column.removesuffix(PEER_SUFFIX))}, against region and category"
    return f"score of the detector {column.replace('_', ' ')}"
