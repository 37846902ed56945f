"""What visits found -> labels beside those of the data, all as of the day before the visit, weights. Training only.

In:  InspectionLabels, one visit a client (fairmeter/casework/hit_rates.py); tables of the data.
Out: the same tables, their labels merged, invoices and readings cut at the visits; a weight a client.

A client is one row of features. So of several visits the newest that tells is its label, and what the ones before found
and changed is a part of the history that it saw. A visit counts before the data's own label, unless that is dated
(labelled_on) on the day of the visit or later. Whoever has a label of the data stands for itself; the others are stood
for by those of them who were visited, weighed by how these were chosen (weighing.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.reading_cleaning import clean_readings
from fairmeter.data.readings import ReadingTables
from fairmeter.data.tables import Tables
from fairmeter.training.sample_weights import design_weights, effective_size

AS_OF = "as_of"  # a column of the clients: the day of the visit, before which their history ends; NaT without one
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class InspectionLabels:
    """Visits that tell, a client each: label 1 or 0, inspected_on [datetime64[D]], whether drawn at random, and the
    client's score when the visit was decided [0..1, NaN unknown].

    scores: the newest of every client that has one, by its id; readings: of the visited, as the desk keeps them
    (client_id, read_at, consumption_kwh).
    """

    client_ids: np.ndarray
    label: np.ndarray
    inspected_on: np.ndarray
    is_random: np.ndarray
    score: np.ndarray
    scores: Mapping[str, float]
    readings: Table

    def merged(
        self, client_ids: Iterable[str], label: np.ndarray | None, labelled_on: np.ndarray | None = None
    ) -> "MergedLabels":
        """Of these clients, in their order. [label: of the data, NaN unknown; labelled_on: its day, NaT unknown]"""
        row_of = {str(client_id): row for row, client_id in enumerate(client_ids)}
        n, label = len(row_of), np.full(len(row_of), np.nan) if label is None else label
        visited = np.full(n, -1)  # each client's visit
        for visit, client_id in enumerate(self.client_ids):
            if client_id in row_of:
                visited[row_of[client_id]] = visit
        is_newer = visited >= 0
        if labelled_on is not None:
            is_newer &= ~(~np.isnan(label) & (labelled_on >= self.inspected_on[visited]))
        as_of = np.where(is_newer, self.inspected_on[visited], np.datetime64("NaT", "D"))
        weight = self._weight(list(row_of), np.isnan(label), np.where(is_newer, visited, -1))
        merged = np.where(is_newer, self.label[visited], label)
        return MergedLabels(
            merged, as_of, weight, int(is_newer.sum()), len(self.client_ids) - int((visited >= 0).sum())
        )

    def _weight(self, client_ids: list[str], is_unknown: np.ndarray, visited: np.ndarray) -> np.ndarray | None:
        """None where each stands for itself alone. [is_unknown: to the data; visited: each client's visit, -1 none]"""
        is_visited = visited >= 0
        score = np.array([self.scores.get(client_id, np.nan) for client_id in client_ids])
        then = np.where(is_visited, self.score[visited], np.nan)
        score = np.where(np.isnan(then), score, then)  # after a visit a score says what the visit did
        stood_for = is_unknown & ~np.isnan(score)
        if not (stood_for & is_visited).any():
            return None
        drawn = is_visited & self.is_random[visited]
        weight = np.ones(len(score))
        of_some = design_weights(score[stood_for], (is_visited & ~drawn)[stood_for], drawn[stood_for])
        weight[stood_for] = np.where(np.isnan(of_some), 1.0, of_some)
        return weight


class MergedLabels(NamedTuple):
    """Labels, the day of the visit where it is one's [NaT else], how many clients each stands for (None: itself).

    n_of_visits: labels that are a visit's; n_unknown: visits to clients that are not there.
    """

    label: np.ndarray
    as_of: np.ndarray
    weight: np.ndarray | None
    n_of_visits: int
    n_unknown: int


def beside(visits: InspectionLabels, tables: Tables, only_visits: bool) -> tuple[Tables, np.ndarray | None]:
    """The tables to learn from, and the clients' weights. [only_visits: the data's own labels are left out]"""
    clients = tables.clients
    label = None if only_visits else clients.get("label")
    found = visits.merged(clients["client_id"], label, clients.get("labelled_on"))
    clients = clients | {"label": found.label, AS_OF: found.as_of}
    until = found.as_of[tables.invoices["client"]]
    is_before = np.isnat(until) | (tables.invoices["invoice_on"] < until)
    invoices = {name: column[is_before] for name, column in tables.invoices.items()}
    flags = [*tables.flags, *_flags(found, int((~is_before).sum()))]
    return replace(tables, clients=clients, invoices=invoices, flags=flags), found.weight


def _flags(found: MergedLabels, n_cut: int) -> list[QualityFlag]:
    told = {
        "labels_of_visits": (found.n_of_visits, "Labels that are what a visit found"),
        "visits_of_unknown_clients": (found.n_unknown, "Visits to clients that are not in the data, left out"),
        "invoices_after_visits": (n_cut, "Invoices of the day of a visit or later, left out"),
    }
    return [QualityFlag(name, n, f"{text}: {n:,}.") for name, (n, text) in told.items() if n]


def weights_in_words(weight: np.ndarray) -> str:
    """[weight: of the clients that are learnt from]"""
    return (
        f"A visited client stands for as many as the way it was chosen says, here for {weight.min():,.1f} to "
        f"{weight.max():,.1f}; they tell as much as {effective_size(weight):,.0f} clients of equal weight. Figures on "
        "clients kept back are of those, as they were chosen."
    )


# --- readings ---------------------------------------------------------------------------------------------------------


def with_stored(tables: ReadingTables | None, stored: Table) -> ReadingTables | None:
    """With the desk's readings on days of which the data has none. [stored: client_id, read_at, consumption_kwh]"""
    if not len(stored["client_id"]):
        return tables
    known = [] if tables is None else tables.client_ids.tolist()
    row_of = {client_id: row for row, client_id in enumerate([*known, *sorted(set(stored["client_id"]) - set(known))])}
    client = np.array([row_of[client_id] for client_id in stored["client_id"]], np.int64)
    added = {"client": client, "read_at": stored["read_at"].astype("datetime64[m]")}
    added |= {"consumption_kwh": stored["consumption_kwh"].astype(np.float64)}
    n_more = len(row_of) - len(known)
    ids = np.array(list(row_of), object)
    if tables is None:
        return ReadingTables(ids, None, clean_readings(added)[0], [], [()] * n_more)
    is_new = ~np.isin(_days(added), _days(tables.readings))
    both = {name: np.concatenate([column, added[name][is_new]]) for name, column in tables.readings.items()}
    label = None if tables.label is None else np.append(tables.label, np.full(n_more, np.nan))
    quality = [*tables.quality, *[()] * n_more]
    return replace(tables, client_ids=ids, label=label, readings=clean_readings(both)[0], quality=quality)


def _days(readings: Table) -> np.ndarray:
    """A number for each client and day."""
    return readings["client"].astype(np.int64) * 2**32 + readings["read_at"].astype("datetime64[D]").astype(np.int64)


def until_visits(tables: ReadingTables, as_of: np.ndarray | None) -> ReadingTables:
    """Without readings of the day of a visit or later. [as_of: datetime64[D], a client; NaT without a visit]"""
    if as_of is None:
        return tables
    until = as_of[tables.readings["client"]]
    is_before = np.isnat(until) | (tables.readings["read_at"] < until)
    return replace(tables, readings={name: column[is_before] for name, column in tables.readings.items()})


def labelled(visits: InspectionLabels, tables: ReadingTables, only_visits: bool) -> tuple[ReadingTables, np.ndarray]:
    """Readings with labels of their own merged with those of visits, and the day of the visit where it is one's."""
    found = visits.merged(tables.client_ids, None if only_visits else tables.label)
    return replace(tables, label=found.label), found.as_of
