"""The desk's service: it stores scored clients and readings, and rescores clients whose readings changed.

In:  a store, the alert rules, a scoring backend (rescoring.py) and a visit planner (runs.py).
Out: profiles and alerts in the store.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.analysis.shared_traits import SharedTraits
from fairmeter.casework import workflow
from fairmeter.casework.alert_rules import AlertRules
from fairmeter.casework.types import Case
from fairmeter.core.claims import run_ranks_of
from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import EnergyBalance, Score, Table
from fairmeter.desk.import_files import ImportFiles
from fairmeter.desk.imports import Imports
from fairmeter.desk.photos import Photos
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import bad_value
from fairmeter.store import (
    NO_REFERENCE_DATA,
    UNNAMED,
    IngestionResult,
    InvoiceHistories,
    Mark,
    MeterReading,
    Profile,
    ReferenceData,
    RunSummary,
    Sender,
    Series,
    Store,
    StoreError,
    StoreUnavailable,
)

RESCORED_AT_ONCE = 200  # clients; bounds the memory that their readings take
# After which a client that waits was left by a worker that died, or by a database that did not answer.
PATIENCE = timedelta(minutes=1)

log = logging.getLogger(__name__)

DailyLosses = Mapping[str, Series]  # daily losses of transformers, by transformer id [kWh]


class ProfileUpdate(NamedTuple):
    """What is stored of clients besides their scores. [clients: canonical table; facts: per client, in order]

    All fields are keyword arguments of Store.write_run.
    """

    clients: Table | None
    facts: Sequence[Mapping[str, float]]
    series: Mapping[str, Series]
    balances: Sequence[EnergyBalance] | None = None
    lasting_facts: Collection[str] = ()
    invoice_histories: InvoiceHistories | None = None
    reference: ReferenceData = NO_REFERENCE_DATA
    code_names: CodeNames = NO_CODE_NAMES
    traits: Mapping[str, SharedTraits] | None = None


class ScoringBackend(Protocol):
    """What the desk needs of a model. [manifest: version, ...]"""

    manifest: dict

    def score(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores by the given data alone. Raises Problem."""

    def score_to_store(
        self, row: RawClient | AggregatedClient, score: Score, before: Profile | None, readings: Table,
        losses: DailyLosses,
    ) -> tuple[Score, ProfileUpdate]:  # fmt: skip
        """The score to store for a client that was scored by `row`: combined with its stored data, if there are any."""

    def anomaly_timeline(self, series: Series) -> Mapping[str, np.ndarray]:
        """By detector, how unusual each day was (1 and more: unusual; NaN: unknown); empty for monthly series."""

    def rescore(
        self, client_ids: Sequence[str], profiles: Mapping[str, Profile], readings: Table, losses: DailyLosses,
        lost: Collection[str] = (),
    ) -> tuple[list[Score], ProfileUpdate]:  # fmt: skip
        """Scores by all stored readings (client_id, read_at, consumption_kwh), profiles and transformer losses.

        lost: clients whose readings were deleted, so that a former score by readings must not stay.
        """


class Judged(NamedTuple):
    """Numbers of clients that were rescored, and of those asked for that still wait."""

    n_rescored: int
    n_waiting: int


class TakenReadings(NamedTuple):
    """What was stored, and how many clients were rescored and wait."""

    stored: IngestionResult
    n_rescored: int
    n_waiting: int


class DeletedReadings(NamedTuple):
    """Numbers of deleted readings, and of clients that were rescored and wait."""

    n_deleted: int
    n_rescored: int
    n_waiting: int


class RankedVisit(NamedTuple):
    """A visit in a plan. [net: expected value less cost, as (mean, low, high)]"""

    score: Score
    is_random: bool
    net: tuple[float, float, float] | None = None


# scores, number of visits, cost of a visit, price of a kWh (None: each client's own) -> visits in order
VisitPlanner = Callable[[list[Score], int, float, float | None], Iterable[RankedVisit]]


def rank_by_score(scores: list[Score], visits: int, _cost: float, _price: float | None) -> Iterable[RankedVisit]:
    """The highest scores: the planner where no other one is given."""
    return [RankedVisit(score, False) for score in scores[:visits]]


class DeskService:
    """The store with everything that writes to it, and the photos. Threads share one, each worker has its own."""

    def __init__(
        self,
        store: Store,
        rules: AlertRules,
        backend: ScoringBackend,
        plan: VisitPlanner = rank_by_score,
        photos: Photos | None = None,
    ) -> None:
        self.store, self.rules, self.backend, self.plan = store, rules, backend, plan
        self.photos = photos or Photos()
        self.imports = Imports(store, ImportFiles(), lambda: None)  # refused, until the service has a folder for them

    @property
    def manifest(self) -> dict:
        """The manifest of the model."""
        return self.backend.manifest

    def run_ranks(self) -> Mapping | None:
        """Why the scores of the last run are ranks (core/claims.py); None where they are what the model claims."""
        return run_ranks_of(self.store.last_run_drift())

    def record(self, row: RawClient | AggregatedClient, score: Score) -> None:
        """Store a scored client, and raise its alert if one is due. Raises Problem.

        New invoices are combined with stored readings, and new readings with the stored score by invoices.
        """
        if not (client_id := score.client_id):
            raise bad_value("client.client_id", "empty; give an id, which recording needs")
        before, readings = self.store.find_profile(client_id), self.store.readings_of([client_id])
        sent = row.client if isinstance(row, RawClient) else {}
        losses = self._losses_of([sent, *([before.client] if before else [])])
        score, update = self.backend.score_to_store(row, score, before, readings, losses)
        self.save_scores([score], update)

    def take_readings(self, rows: Sequence[MeterReading], sender: Sender = UNNAMED) -> TakenReadings:
        """Store readings, then rescore the clients whose readings changed.

        The readings are stored first, and their clients marked: whatever happens in between, they are judged by a later
        call. Raises StoreError; then nothing was stored.
        """
        result = self.store.add_readings(rows, sender=sender)
        return TakenReadings(result, *self.judge_waiting({row[0] for row in rows}))

    def delete_readings(self, client_id: str, since: datetime, until: datetime, user: str, why: str) -> DeletedReadings:
        """Delete a client's readings as Store.delete_readings does, then rescore it. Raises StoreError, CaseError."""
        n_deleted = self.store.delete_readings(client_id, since, until, user, why)
        return DeletedReadings(n_deleted, *self.judge_waiting([client_id]))

    def judge_waiting(self, client_ids: Collection[str] = (), patience: timedelta = PATIENCE) -> Judged:
        """Rescore those of some clients whose readings changed, and clients that wait for longer than `patience`.

        Where the database does not answer they stay marked, for a later call.
        """
        n_judged, marked = 0, []
        try:
            marked = sorted(self.store.unjudged(client_ids))
            overdue = self.store.claim_unjudged(datetime.now(UTC) - patience, RESCORED_AT_ONCE)
            ids = sorted({*marked, *overdue})
            for start in range(0, len(ids), RESCORED_AT_ONCE):
                n_judged += self._rescore(ids[start : start + RESCORED_AT_ONCE])
            return Judged(n_judged, len(self.store.unjudged(client_ids)))
        except StoreUnavailable as error:
            log.warning("clients wait to be judged: %s", error)
            return Judged(n_judged, max(len(marked) - n_judged, 0) if marked else len({*client_ids}))

    def count_rejected(self, why: str, n: int = 1) -> None:
        """Count rejected messages; an unavailable store is ignored, as the count is only for display."""
        with suppress(StoreError):
            self.store.count_rejected(why, n)

    def ensure_inspecting(self, client_id: str, user: str, why: str) -> Case:
        """The client's case in state `inspecting`; it is opened, assigned and started first where necessary.

        Raises CaseError, StoreError.
        """
        case = self.store.open_case_of(client_id) or self.store.open_case(client_id, user, why)
        if case.state == workflow.NEW:
            case = self.store.move_case(case.case_id, workflow.ASSIGNED, user, why, version=case.version, assignee=user)
        if case.state == workflow.ASSIGNED:
            case = self.store.move_case(case.case_id, workflow.INSPECTING, user, why, version=case.version)
        return case

    def save_scores(
        self,
        scores: list[Score],
        update: ProfileUpdate,
        is_run: bool = False,
        drift: Mapping | None = None,
        scored_at: datetime | None = None,
        marks: Mapping[str, Mark] | None = None,
    ) -> RunSummary:
        """Write profiles and alerts in one transaction. [options: as Store.write_run takes them]"""
        options = update._asdict() | {"is_run": is_run, "drift": drift, "scored_at": scored_at, "marks": marks}
        return self.store.write_run(scores, str(self.manifest["version"]), self.rules, **options)

    def _rescore(self, client_ids: Sequence[str]) -> int:
        """Rescore those that are marked; their number."""
        marks = self.store.unjudged(client_ids)  # before the readings: with later ones it is another mark
        client_ids = sorted(marks)
        if not client_ids:
            return 0
        found = {client_id: self.store.find_profile(client_id) for client_id in client_ids}
        profiles = {client_id: profile for client_id, profile in found.items() if profile is not None}
        losses = self._losses_of([profile.client for profile in profiles.values()])
        readings = self.store.readings_of(client_ids)
        lost = {client_id for client_id, mark in marks.items() if mark.has_lost}
        scores, update = self.backend.rescore(client_ids, profiles, readings, losses, lost)
        return self.save_scores(scores, update, marks=marks).n_profiles

    def _losses_of(self, clients: Iterable[Mapping]) -> DailyLosses:
        """Daily losses of the clients' transformers. [clients: as stored or as sent]"""
        ids = {client.get("transformer_id") for client in clients}
        return self.store.losses_of([str(id_) for id_ in ids if id_ not in (None, "")])
