"""Outcomes of inspections -> labels, history truncated at the inspection, sample weights. Training only.

In:  InspectionLabels, one inspection for each client (fairmeter/casework/hit_rates.py); tables of the data.
Out: the tables with merged labels, without invoices and readings from the inspection on; a weight for each client.

A client is one row of features. Of several inspections the newest one with an outcome is its label; earlier ones are
part of the client's history. An inspection replaces the data's own label unless that is dated (labelled_on) on the day
of the inspection or later. Clients labelled in the data get weight 1. Inspected clients get the inverse of their
selection probability (sample_weights.py), so that they represent the unlabelled clients.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.maps.settling.readings import concatenate_readings
from fairmeter.data.reading_cleaning import clean_readings
from fairmeter.data.readings import ReadingTables
from fairmeter.data.tables import Tables
from fairmeter.training.sample_weights import design_weights, effective_size

AS_OF = "as_of"  # column of clients: day of the inspection, where the client's history is cut; NaT without one
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class InspectionLabels:
    """One inspection with an outcome for each client.

    label: 1 or 0. inspected_on: datetime64[D]. is_random: whether the client was sampled at random. score: the client's
    score when the inspection was decided [0..1, NaN unknown]. scores: the newest score of every client, by id.
    readings: of the inspected clients, as the desk stores them (client_id, read_at, consumption_kwh).
    """

    client_ids: np.ndarray
    label: np.ndarray
    inspected_on: np.ndarray
    is_random: np.ndarray
    score: np.ndarray
    scores: Mapping[str, float]
    readings: Table

    def merge(
        self, client_ids: Iterable[str], label: np.ndarray | None, labelled_on: np.ndarray | None = None
    ) -> "MergedLabels":
        """Merge with the data's labels, in the order of client_ids. [label: NaN unknown; labelled_on: NaT unknown]"""
        row_of = {str(client_id): row for row, client_id in enumerate(client_ids)}
        n, label = len(row_of), np.full(len(row_of), np.nan) if label is None else label
        inspection_of = np.full(n, -1)  # row of each client's inspection
        for row, client_id in enumerate(self.client_ids):
            if client_id in row_of:
                inspection_of[row_of[client_id]] = row
        is_newer = inspection_of >= 0
        if labelled_on is not None:
            is_newer &= ~(~np.isnan(label) & (labelled_on >= self.inspected_on[inspection_of]))
        as_of = np.where(is_newer, self.inspected_on[inspection_of], np.datetime64("NaT", "D"))
        weight = self._weight(list(row_of), np.isnan(label), np.where(is_newer, inspection_of, -1))
        merged = np.where(is_newer, self.label[inspection_of], label)
        return MergedLabels(
            merged, as_of, weight, int(is_newer.sum()), len(self.client_ids) - int((inspection_of >= 0).sum())
        )

    def _weight(self, client_ids: list[str], is_unlabelled: np.ndarray, inspection_of: np.ndarray) -> np.ndarray | None:
        """None where no inspection represents others. [is_unlabelled: in the data; inspection_of: rows, -1 without]"""
        is_inspected = inspection_of >= 0
        score = np.array([self.scores.get(client_id, np.nan) for client_id in client_ids])
        then = np.where(is_inspected, self.score[inspection_of], np.nan)
        score = np.where(np.isnan(then), score, then)  # a score after the inspection reflects its outcome
        is_represented = is_unlabelled & ~np.isnan(score)
        if not (is_represented & is_inspected).any():
            return None
        is_random = is_inspected & self.is_random[inspection_of]
        weight = np.ones(len(score))
        design_weight = design_weights(
            score[is_represented], (is_inspected & ~is_random)[is_represented], is_random[is_represented]
        )
        weight[is_represented] = np.where(np.isnan(design_weight), 1.0, design_weight)
        return weight


class MergedLabels(NamedTuple):
    """Labels, days of the inspections they come from [NaT for labels of the data], and weights (None: all 1).

    n_from_inspections: labels taken from inspections; n_unknown: inspections of clients that the data does not hold.
    """

    label: np.ndarray
    as_of: np.ndarray
    weight: np.ndarray | None
    n_from_inspections: int
    n_unknown: int


def merge_inspections(
    inspections: InspectionLabels, tables: Tables, only_inspections: bool
) -> tuple[Tables, np.ndarray | None]:
    """Merge labels and truncate histories; returns tables and weights. [only_inspections: ignore the data's labels]"""
    clients = tables.clients
    label = None if only_inspections else clients.get("label")
    merged = inspections.merge(clients["client_id"], label, clients.get("labelled_on"))
    clients = clients | {"label": merged.label, AS_OF: merged.as_of}
    until = merged.as_of[tables.invoices["client"]]
    is_before = np.isnat(until) | (tables.invoices["invoice_on"] < until)
    invoices = {name: column[is_before] for name, column in tables.invoices.items()}
    flags = [*tables.flags, *_flags(merged, int((~is_before).sum()))]
    return replace(tables, clients=clients, invoices=invoices, flags=flags), merged.weight


def _flags(merged: MergedLabels, n_cut: int) -> list[QualityFlag]:
    texts = {
        "labels_of_visits": (merged.n_from_inspections, "Labels that are what a visit found"),
        "visits_of_unknown_clients": (merged.n_unknown, "Visits to clients that are not in the data, left out"),
        "invoices_after_visits": (n_cut, "Invoices of the day of a visit or later, left out"),
    }
    return [QualityFlag(name, n, f"{text}: {n:,}.") for name, (n, text) in texts.items() if n]


def describe_weights(weight: np.ndarray) -> str:
    """A sentence for the report on the weights of the training clients."""
    return (
        f"A visited client stands for as many as the way it was chosen says, here for {weight.min():,.1f} to "
        f"{weight.max():,.1f}; they tell as much as {effective_size(weight):,.0f} clients of equal weight. Figures on "
        "clients kept back are of those, as they were chosen."
    )


# --- readings ---------------------------------------------------------------------------------------------------------


def add_stored_readings(tables: ReadingTables | None, stored: Table) -> ReadingTables | None:
    """Add the desk's readings on days without any in the data. [stored: client_id, read_at, consumption_kwh]"""
    if not len(stored["client_id"]):
        return tables
    present = [] if tables is None else tables.client_ids.tolist()
    row_of = {
        client_id: row for row, client_id in enumerate([*present, *sorted(set(stored["client_id"]) - set(present))])
    }
    client = np.array([row_of[client_id] for client_id in stored["client_id"]], np.int64)
    added = {"client": client, "read_at": stored["read_at"].astype("datetime64[m]")}
    others = {name: column for name, column in stored.items() if name not in ("client_id", "read_at")}
    added |= others
    n_more = len(row_of) - len(present)
    ids = np.array(list(row_of), object)
    if tables is None:
        return ReadingTables(ids, None, clean_readings(added)[0], [], [()] * n_more)
    is_new = ~np.isin(_days(added), _days(tables.readings))
    both = concatenate_readings([tables.readings, {name: column[is_new] for name, column in added.items()}])
    label = None if tables.label is None else np.append(tables.label, np.full(n_more, np.nan))
    quality = [*tables.quality, *[()] * n_more]
    return replace(tables, client_ids=ids, label=label, readings=clean_readings(both)[0], quality=quality)


def _days(readings: Table) -> np.ndarray:
    """One number for each pair of client and day."""
    return readings["client"].astype(np.int64) * 2**32 + readings["read_at"].astype("datetime64[D]").astype(np.int64)


def truncate_at_inspection(tables: ReadingTables, as_of: np.ndarray | None) -> ReadingTables:
    """Drop readings from the inspection's day on. [as_of: datetime64[D], one a client, NaT without an inspection]"""
    if as_of is None:
        return tables
    until = as_of[tables.readings["client"]]
    is_before = np.isnat(until) | (tables.readings["read_at"] < until)
    return replace(tables, readings={name: column[is_before] for name, column in tables.readings.items()})


def label_readings(
    inspections: InspectionLabels, tables: ReadingTables, only_inspections: bool
) -> tuple[ReadingTables, np.ndarray]:
    """Merge labels of inspections into those of readings; returns the days of these inspections too. [NaT without]"""
    merged = inspections.merge(tables.client_ids, None if only_inspections else tables.label)
    return replace(tables, label=merged.label), merged.as_of
