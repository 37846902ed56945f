"""What the desk keeps: clients that were judged, and readings, whose clients are judged anew.

In:  a store, the rules of alerts, `Science` and `Plan` (predict.py brings both: the wings never import each other).
Out: profiles and alerts in the store.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Protocol

from fairmeter.casework.alert_rules import AlertRules
from fairmeter.core.types import EnergyBalance, Score, Table
from fairmeter.desk.photos import Photos
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import bad_value
from fairmeter.store import (
    NO_REFERENCE_DATA,
    IngestionResult,
    InvoiceHistories,
    Profile,
    ReferenceData,
    Series,
    Store,
    StoreError,
)

AT_ONCE = 200  # clients judged anew in one go: bounds the memory that their readings take

LostDays = Mapping[str, Series]  # what transformers lost each day, by id


class ProfileUpdate(NamedTuple):
    """What is kept of clients beside their scores. [clients: canonical table; facts: of each, in order]

    The rest is as in Store.write_run.
    """

    clients: Table | None
    facts: Sequence[Mapping[str, float]]
    series: Mapping[str, Series]
    balances: Sequence[EnergyBalance] | None = None
    lasting_facts: Collection[str] = ()
    invoice_histories: InvoiceHistories | None = None
    reference: ReferenceData = NO_REFERENCE_DATA


class ScoringBackend(Protocol):
    """A model, as far as the desk needs it. [manifest: version, ...]"""

    manifest: dict

    def judged(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores of clients of whom nothing is kept. Raises Problem."""

    def recorded(
        self, row: RawClient | AggregatedClient, score: Score, before: Profile | None, readings: Table, losses: LostDays
    ) -> tuple[Score, ProfileUpdate]:
        """The score that is kept of a client that was judged: joined with what else is known of it, if anything is."""

    def timeline(self, series: Series) -> Mapping[str, Sequence[float]]:
        """By detector how unusual each day of a client was: from 1 on unusual, NaN unknown; nothing of months."""

    def judged_anew(
        self, client_ids: Sequence[str], profiles: Mapping[str, Profile], readings: Table, losses: LostDays
    ) -> tuple[list[Score], ProfileUpdate]:
        """Scores of clients by all their readings (client_id, read_at, consumption_kwh) and what else is known."""


class VisitPlanner(NamedTuple):
    """A place in the inspection list. [net: value less cost that the visit is expected to bring, low, high]"""

    score: Score
    is_random: bool
    net: tuple[float, float, float] | None = None


# scores, visits, cost of one, price of a kWh (None: each client's own) -> whom to visit, in order
Plan = Callable[[list[Score], int, float, float | None], Iterable[VisitPlanner]]


def by_score(scores: list[Score], visits: int, _cost: float, _price: float | None) -> Iterable[VisitPlanner]:
    """The highest scores; predict.py hands in a better plan where there is one."""
    return [VisitPlanner(score, False) for score in scores[:visits]]


class DeskService:
    """A store with what writes to it, and the photos. One for all threads of a worker; each worker has its own."""

    def __init__(
        self,
        store: Store,
        rules: AlertRules,
        science: ScoringBackend,
        plan: Plan = by_score,
        photos: Photos | None = None,
    ) -> None:
        self.store, self.rules, self.plan, self._science = store, rules, plan, science
        self.photos = photos or Photos()

    @property
    def manifest(self) -> dict:
        """What is known of the model."""
        return self._science.manifest

    def judged(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores that are shown and not kept. Raises Problem."""
        return self._science.judged(rows, with_reasons)

    def timeline(self, series: Series) -> Mapping[str, Sequence[float]]:
        """By detector how unusual each day of a client was (Science.timeline)."""
        return self._science.timeline(series)

    def record(self, row: RawClient | AggregatedClient, score: Score) -> None:
        """Keeps a client that was judged, and raises its alert where one is due. Raises Problem.

        Its score joins what was sent with the readings that are known, and readings with what its invoices said.
        """
        if not (client_id := score.client_id):
            raise bad_value("client.client_id", "empty; what is kept needs an id")
        before, readings = self.store.find_profile(client_id), self.store.readings_of([client_id])
        sent = row.client if isinstance(row, RawClient) else {}
        losses = self._losses_behind([sent, *([before.client] if before else [])])
        score, kept = self._science.recorded(row, score, before, readings, losses)
        self.write([score], kept)

    def take_readings(self, rows: list[tuple[str, datetime, float]]) -> tuple[IngestionResult, int]:
        """Keeps readings, then judges whose consumption changed anew; how many that were.

        The readings are kept before anything is judged: a worker that dies in between leaves the former score, and the
        client's next reading brings the new one.
        """
        arrived = self.store.add_readings(rows)
        for start in range(0, len(arrived.changed), AT_ONCE):
            self._judge_anew(arrived.changed[start : start + AT_ONCE])
        return arrived, len(arrived.changed)

    def refuse_readings(self, why: str, n: int = 1) -> None:
        """Notes that messages with readings were refused: a note alone, no reason to fail where it cannot be kept."""
        with suppress(StoreError):
            self.store.count_rejected(why, n)

    def _judge_anew(self, client_ids: Sequence[str]) -> None:
        profiles = {client_id: self.store.find_profile(client_id) for client_id in client_ids}
        known = {client_id: profile for client_id, profile in profiles.items() if profile is not None}
        losses = self._losses_behind([profile.client for profile in known.values()])
        scores, kept = self._science.judged_anew(client_ids, known, self.store.readings_of(client_ids), losses)
        self.write(scores, kept)

    def _losses_behind(self, clients: Iterable[Mapping]) -> LostDays:
        """What the transformers of some clients lost. [clients: as they are kept, or as they were sent]"""
        named = {client.get("transformer_id") for client in clients}
        return self.store.losses_of([str(id_) for id_ in named if id_ not in (None, "")])

    def write(
        self,
        scores: list[Score],
        kept: ProfileUpdate,
        is_run: bool = False,
        drift: Mapping | None = None,
        scored_at: datetime | None = None,
    ) -> None:
        """Profiles and alerts in one transaction. [is_run: of the client base, for the trend; drift: as likeness.py]

        scored_at: None is now.
        """
        told = kept._asdict() | {"is_run": is_run, "drift": drift, "scored_at": scored_at}
        self.store.write_run(scores, str(self._science.manifest["version"]), self.rules, **told)
