"""What the columns that members see mean, for reports: a sentence each, beside its evidence group.

In:  a column's name (Inputs.names) of an ensemble on invoices or on readings.
Out: {"group", "text"}; the group as in reasons.
"""

from fairmeter.explanation.topics import INVOICE_FEATURES, INVOICES, NEIGHBOURS, PEERS, READINGS, aspect_of
from fairmeter.features.invoices.group_keys import GROUP_KEYS
from fairmeter.features.readings.matrix import FEATURES as READING_FEATURES

OF_READING = {feature.name: feature.text for feature in READING_FEATURES}


def described(column: str, kind: str = INVOICES) -> dict[str, str]:
    """Evidence group and sentence. [kind: INVOICES or READINGS of aspects.py]"""
    return {"group": aspect_of(column, kind).group, "text": meaning_of(column, kind)}


def meaning_of(column: str, kind: str = INVOICES) -> str:
    if kind == READINGS:
        return OF_READING.get(column) or f"score of the detector or network {column.replace('_', ' ')}"
    if column in INVOICE_FEATURES:
        return INVOICE_FEATURES[column][0].text
    if column.startswith(NEIGHBOURS):
        cell, _, short = column.removeprefix(NEIGHBOURS).rpartition("_")
        return f"share of frauds among clients of {GROUP_KEYS[cell]} ({short})"
    if column.endswith(PEERS):
        return f"{meaning_of(column.removesuffix(PEERS))}, against region and category"
    return f"score of the detector {column.replace('_', ' ')}"
