"""Scores -> profiles, past scores and alerts, in one transaction: a crash half-way leaves what was there before.

In:  scores with the clients they are of; facts, series, ledgers and balances where there are some; the rules of alerts.
Out: Written, what changed.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, delete, insert, select, text

from fairmeter.casework.alert_rules import RANKS, AlertRules
from fairmeter.core.sampling import sample_key
from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES, EnergyBalance, Score, Table
from fairmeter.evaluation.drift import MAX_OVERLAP_LENGTH, list_overlap
from fairmeter.store.alerts import RaisedAlerts, raise_alerts
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.packing import Ledgers
from fairmeter.store.engine.packing import packed as packed_ledger
from fairmeter.store.engine.schema import ABSENT, COUNTED
from fairmeter.store.engine.series import Series, packed
from fairmeter.store.engine.upsert import FILL, KEEP, among, write_rows
from fairmeter.store.reference import NOTHING_AROUND, ReferenceData, write_around
from fairmeter.store.transformers import write_balances

OF_CLIENT = ("region", "category", "district", "latitude", "longitude", "transformer_id")  # that profiles have too
CLIENT_COLUMNS = tuple(column.name for column in schema.clients.columns)
PROFILE_COLUMNS = tuple(column.name for column in schema.profiles.columns if column.computed is None)
FINDING_COLUMNS = tuple(column.name for column in schema.findings.columns)
KEPT_COLUMNS = ("series_step", "series_from", "series_kwh", "invoices")  # of these: what a run does not bring stays
SCORE_COLUMNS = ("client_id", "scored_at", "probability", "severity", "model_version")
MANY = 1000  # rows after which the database counts anew what its indexes hold


class BadRun(StoreError):
    """The scores cannot be kept; one sentence."""


class RunSummary(NamedTuple):
    """What a run changed: profiles written; alerts raised, updated, lapsed."""

    n_profiles: int
    n_raised: int
    n_updated: int
    n_lapsed: int


class PopulationCounts(NamedTuple):
    """The client base of which a run brings a part. drawn: those of the part who were drawn at random of them all."""

    n_clients: int
    n_suspected: int
    n_by_severity: Mapping[str, int]
    drawn: Collection[str]


class RunStore(Database):
    """Writing scores."""

    def write_run(
        self,
        scores: Sequence[Score],
        model_version: str,
        rules: AlertRules,
        *,
        clients: Table | None = None,
        facts: Sequence[Mapping[str, float]] | None = None,
        series: Mapping[str, Series] | None = None,
        ledgers: Ledgers | None = None,
        around: ReferenceData = NOTHING_AROUND,
        balances: Sequence[EnergyBalance] | None = None,
        lasting: Collection[str] = (),
        drift: Mapping | None = None,
        whole: PopulationCounts | None = None,
        scored_at: datetime | None = None,
        is_run: bool = True,
    ) -> RunSummary:
        """Profiles, past scores and alerts of some clients; those that are not among them stay as they are.

        clients: the canonical table (data/README.md), any order; what it leaves empty, or None, keeps what is known.
        facts: of each score, in order; None keeps those that are known. series, ledgers: by client id; a client
        without one keeps its own. around: what was learnt of all clients together. balances: of all transformers that
        were measured; None keeps those that are known. lasting: names of facts that stay as they are known where the
        new ones do not tell them. drift: how far the clients are from those that the model learnt from, as JSON takes
        it. whole: where these are not all that were scored; None where they are. is_run: a scoring of the client base,
        which the trend counts; False for single clients.
        Raises BadRun (an id twice or empty, facts of another length), StoreUnavailable.
        """
        _check(scores, facts)
        now = scored_at or datetime.now(UTC)
        # One order for all: two writers that share clients wait for each other and never block each other for good.
        order = sorted(range(len(scores)), key=lambda i: scores[i].client_id)
        scores, facts = [scores[i] for i in order], facts and [facts[i] for i in order]
        with self.writing() as connection:
            former = first_clients(connection) if is_run else []
            write_rows(connection, schema.clients, CLIENT_COLUMNS, _client_rows(scores, clients), FILL)
            known = _known_clients(connection, scores)
            drawn = None if whole is None else frozenset(whole.drawn)
            rows = (_profile_row(score, known[score.client_id], model_version, now, drawn) for score in scores)
            write_rows(connection, schema.profiles, PROFILE_COLUMNS, rows)
            if facts is None or lasting:
                old = _known_facts(connection, scores)
                facts = [_joined(old.get(s.client_id, {}), facts and facts[i], lasting) for i, s in enumerate(scores)]
            found = _finding_rows(scores, facts, series or {}, ledgers or {})
            write_rows(connection, schema.findings, FINDING_COLUMNS, found, filled=KEPT_COLUMNS)
            past = ((s.client_id, now, s.probability, s.severity, model_version) for s in scores)
            write_rows(connection, schema.scores, SCORE_COLUMNS, past, KEEP)
            write_around(connection, around, now)
            if balances is not None:
                write_balances(connection, balances, now)
            raised = raise_alerts(connection, scores, facts, known, rules, now)
            if is_run:
                told = {
                    "drift": drift,
                    "stability": list_overlap(first_clients(connection), former) if former else None,
                }
                told = {name: None if value is None else json.dumps(value) for name, value in told.items()}
                run = _counts(whole or whole_of(scores)) | {"scored_at": now, "model_version": model_version}
                connection.execute(insert(schema.runs).values(run | told))
            if len(scores) >= MANY:
                connection.execute(text("ANALYZE"))
        if len(scores) >= MANY:
            self.vacuum(*COUNTED)
        return _written(scores, raised)

    def forget_scores(self, before: datetime) -> int:
        """Deletes past scores from before a moment; how many. Profiles and the counts of runs stay."""
        with self.writing() as connection:
            return connection.execute(delete(schema.scores).where(schema.scores.c.scored_at < before)).rowcount


def first_clients(connection: Connection) -> list[str]:
    """Who has the highest scores, the highest first, as lists show them: what stability is told of."""
    profiles = schema.profiles.c
    query = select(profiles.client_id).where(profiles.by_score >= 0.0)
    order = profiles.by_score.desc(), profiles.client_id.desc()
    return list(connection.scalars(query.order_by(*order).limit(MAX_OVERLAP_LENGTH)))


# --- rows -------------------------------------------------------------------------------------------------------------


def _check(scores: Sequence[Score], facts: Sequence | None) -> None:
    ids = [score.client_id for score in scores]
    if facts is not None and len(facts) != len(scores):
        raise BadRun(f"There are {len(scores)} scores and facts of {len(facts)}; give facts for each score, in order.")
    if not all(ids) or any("\0" in id_ or (not id_.isprintable() and "\ud800" <= max(id_) <= "\udfff") for id_ in ids):
        raise BadRun("A client's id is empty or holds a character that no text may hold; give every client an id.")
    twice = [id_ for id_, n in Counter(ids).items() if n > 1]
    if twice:
        raise BadRun(f"{len(twice)} clients have two scores, {twice[0]!r} for one; score each client once a run.")


def _client_rows(scores: list[Score], clients: Table | None) -> Iterator[tuple]:
    """A row of each client that is scored, None where the table says nothing."""
    clients = clients or {}
    row_of = {str(id_): row for row, id_ in enumerate(clients.get("client_id", ()))}
    columns = [_values(clients[name]) if name in clients else None for name in CLIENT_COLUMNS[1:]]
    for score in scores:
        row = row_of.get(score.client_id)
        yield score.client_id, *(None if row is None or values is None else values[row] for values in columns)


def _values(column: np.ndarray) -> list:
    """Python's own values; None for NaN, NaT and an empty text."""
    return [value if value == value and value != "" else None for value in column.tolist()]


def _known_clients(connection: Connection, scores: list[Score]) -> dict[str, Row]:
    """OF_CLIENT of each client, after its id, as they are known now. [scores: by client]"""
    columns = schema.clients.c
    query = select(columns.client_id, *(columns[name] for name in OF_CLIENT))
    query = query.where(among(columns.client_id, [score.client_id for score in scores]))
    return {row.client_id: row for row in connection.execute(query)}


def _known_facts(connection: Connection, scores: list[Score]) -> dict[str, dict[str, float]]:
    columns = schema.findings.c
    query = select(columns.client_id, columns.facts).where(columns.facts != "{}")
    query = query.where(among(columns.client_id, [score.client_id for score in scores]))
    return {client_id: json.loads(facts) for client_id, facts in connection.execute(query)}


def _joined(known: dict[str, float], new: Mapping[str, float] | None, lasting: Collection[str]) -> Mapping[str, float]:
    return known if new is None else {name: known[name] for name in lasting if name in known} | dict(new)


def _profile_row(score: Score, client: Row, model_version: str, now: datetime, drawn: Collection[str] | None) -> tuple:
    recovery = score.expected_recovery_kwh
    return (
        score.client_id,
        score.probability,
        ABSENT if score.probability is None else score.probability,
        score.severity,
        RANKS[score.severity],
        score.threshold,
        *client[1:],
        recovery,
        ABSENT if recovery is None else recovery,
        score.recommendation,
        next((reason.group for reason in score.reasons if reason.effect > 0), None),
        score.onset_on and date.fromisoformat(score.onset_on),
        model_version,
        now,
        sample_key(score.client_id) if drawn is None or score.client_id in drawn else None,
    )


def _finding_rows(
    scores: list[Score], facts: Sequence[Mapping[str, float]], series: Mapping[str, Series], ledgers: Ledgers
) -> Iterator[tuple]:
    again = lru_cache(2**10)(_json)  # many clients of a run have the same flags and the same causes
    for score, seen in zip(scores, facts, strict=True):
        course, ledger = series.get(score.client_id), ledgers.get(score.client_id)
        yield (
            score.client_id,
            score.typical,
            _json(score.reasons),
            again(score.explanations),
            again(score.quality),
            score.recovery and _json((score.recovery,))[1:-1],
            json.dumps({name: float(value) for name, value in seen.items() if math.isfinite(value)}) if seen else "{}",
            *((course.step, course.first_on, packed(course)) if course else (None, None, None)),
            None if ledger is None else packed_ledger(ledger),
        )


def _json(records: tuple) -> str:
    """A list of flat records; dataclasses.asdict copies so deeply that it would take half the time of a run."""
    return (
        json.dumps([{name: getattr(r, name) for name in r.__dataclass_fields__} for r in records]) if records else "[]"
    )


def whole_of(scores: Sequence[Score]) -> PopulationCounts:
    """Of a run that brings everybody."""
    n_suspected = sum(score.probability is not None and score.probability >= score.threshold for score in scores)
    return PopulationCounts(len(scores), n_suspected, Counter(score.severity for score in scores), ())


def _counts(whole: PopulationCounts) -> dict[str, Any]:
    n_by_severity = dict.fromkeys((*SEVERITIES, INSUFFICIENT_HISTORY), 0) | whole.n_by_severity
    told = {"n_clients": whole.n_clients, "n_suspected": whole.n_suspected}
    return told | {"n_by_severity": json.dumps(n_by_severity)}


def _written(scores: list[Score], raised: RaisedAlerts) -> RunSummary:
    return RunSummary(len(scores), raised.n_raised, raised.n_updated, raised.n_lapsed)
