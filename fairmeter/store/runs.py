"""Scores -> profiles, past scores and alerts, in one transaction: a crash leaves the previous state.

In:  scores and master data of their clients; optionally facts, series, invoices and balances; the alert rules.
Out: RunSummary: the numbers of changed profiles and alerts.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, insert, select, text

from fairmeter.analysis.shared_traits import SharedTraits
from fairmeter.casework.alert_rules import RANKS, AlertRules
from fairmeter.core.client_ids import problem_with_id
from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.sampling import sample_key
from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES, DataIncident, EnergyBalance, Score, Table
from fairmeter.evaluation.drift import MAX_OVERLAP_LENGTH, list_overlap
from fairmeter.store.alerts import raise_alerts
from fairmeter.store.corrections import Mark, take_marks
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.packing import InvoiceHistories, Series, pack_invoices, pack_series
from fairmeter.store.engine.schema import ABSENT, COUNTED_TABLES
from fairmeter.store.engine.upsert import FILL, KEEP, covers_ids, write_rows
from fairmeter.store.lookup.relations import relation_rows
from fairmeter.store.reference import NO_REFERENCE_DATA, ReferenceData, write_code_names, write_reference
from fairmeter.store.transformers import write_balances
from fairmeter.wording.phrases import data_of

# Columns of clients that profiles repeat.
PROFILE_CLIENT_COLUMNS = ("region", "category", "district", "latitude", "longitude", "transformer_id")
CLIENT_COLUMNS = tuple(column.name for column in schema.clients.columns)
PROFILE_COLUMNS = tuple(column.name for column in schema.profiles.columns if column.computed is None)
FINDING_COLUMNS = tuple(column.name for column in schema.findings.columns)
# Columns of findings that keep their values where a run brings none.
LASTING_COLUMNS = ("series_step", "series_from", "series_kwh", "invoices")
RELATION_COLUMNS = tuple(column.name for column in schema.relations.columns)
SCORE_COLUMNS = ("client_id", "scored_at", "probability", "severity", "model_version")
MIN_ANALYZE_ROWS = 1000  # from this many rows the planner's statistics are refreshed


class BadRun(StoreError):
    """The scores cannot be stored."""


class RunSummary(NamedTuple):
    """Numbers of profiles written, and of alerts raised, updated and lapsed."""

    n_profiles: int
    n_raised: int
    n_updated: int
    n_lapsed: int


class PopulationCounts(NamedTuple):
    """The client base, where a run stores only a part of it. sampled: ids of the part's random sample of the base."""

    n_clients: int
    n_suspected: int
    n_by_severity: Mapping[str, int]
    sampled: Collection[str]


class RunStore(Database):
    """Writes scores."""

    def write_run(
        self,
        scores: Sequence[Score],
        model_version: str,
        rules: AlertRules,
        *,
        clients: Table | None = None,
        facts: Sequence[Mapping[str, float]] | None = None,
        series: Mapping[str, Series] | None = None,
        invoice_histories: InvoiceHistories | None = None,
        traits: Mapping[str, SharedTraits] | None = None,
        reference: ReferenceData = NO_REFERENCE_DATA,
        balances: Sequence[EnergyBalance] | None = None,
        lasting_facts: Collection[str] = (),
        drift: Mapping | None = None,
        incidents: Sequence[DataIncident] = (),
        population: PopulationCounts | None = None,
        code_names: CodeNames = NO_CODE_NAMES,
        scored_at: datetime | None = None,
        is_run: bool = True,
        marks: Mapping[str, Mark] | None = None,
    ) -> RunSummary:
        """Write profiles, past scores and alerts of some clients; other clients stay unchanged.

        clients: canonical table (docs/data-dictionary.md), in any order; missing values and None keep the stored ones.
        facts: per score, in order; None keeps the stored ones. series, invoice_histories, traits: by client id; clients
        without one keep theirs. reference: data of all clients together. balances: of all measured transformers; None
        keeps the stored ones. lasting_facts: names of facts that keep their stored value where the new facts lack them.
        drift: of the clients against the training data, as JSON. incidents: of the run's data. population:
        counts of the client base if these scores are only a part of it. is_run: True for a scoring of the client base,
        which the trend counts; False for single clients. code_names: of codes that are texts, added to the stored ones.
        scored_at: None is now. marks: of clients to be judged, as they were before their readings were read. Clients
        that another worker judged since, or that got further readings, are left out.
        Raises BadRun (an id that is empty or occurs twice, facts of another length), StoreUnavailable.
        """
        _check(scores, facts)
        now = scored_at or datetime.now(UTC)
        # One lock order for all writers: two that share clients wait for each other, and never deadlock.
        order = sorted(range(len(scores)), key=lambda i: scores[i].client_id)
        scores, facts = [scores[i] for i in order], facts and [facts[i] for i in order]
        with self.writing() as connection:
            former = top_clients(connection) if is_run else []
            write_rows(connection, schema.clients, CLIENT_COLUMNS, _client_rows(scores, clients), FILL)
            if marks is not None:
                taken = take_marks(connection, marks)
                chosen = [i for i, score in enumerate(scores) if score.client_id in taken]
                scores, facts = [scores[i] for i in chosen], facts and [facts[i] for i in chosen]
                if not scores:
                    return RunSummary(0, 0, 0, 0)
            places = _client_columns(connection, scores)
            sampled = None if population is None else frozenset(population.sampled)
            rows = (_profile_row(score, places[score.client_id], model_version, now, sampled) for score in scores)
            write_rows(connection, schema.profiles, PROFILE_COLUMNS, rows)
            if facts is None or lasting_facts:
                facts = _with_stored_facts(connection, scores, facts, lasting_facts)
            found = _finding_rows(scores, facts, series or {}, invoice_histories or {})
            write_rows(connection, schema.findings, FINDING_COLUMNS, found, fill_columns=LASTING_COLUMNS)
            shared = relation_rows((score.client_id for score in scores), traits or {}, places)
            write_rows(connection, schema.relations, RELATION_COLUMNS, shared)
            past = ((s.client_id, now, s.probability, s.severity, model_version) for s in scores)
            write_rows(connection, schema.scores, SCORE_COLUMNS, past, KEEP)
            write_reference(connection, reference, now)
            write_code_names(connection, code_names)
            if balances is not None:
                write_balances(connection, balances, now)
            raised = raise_alerts(connection, scores, facts, places, rules, now)
            if is_run:
                overlap = list_overlap(top_clients(connection), former) if former else None
                found = {"drift": drift, "stability": overlap, "incidents": _incidents_json(incidents)}
                found = {name: None if value is None else json.dumps(value) for name, value in found.items()}
                run = _counts(population or population_of(scores)) | {"scored_at": now, "model_version": model_version}
                connection.execute(insert(schema.runs).values(run | found))
            if len(scores) >= MIN_ANALYZE_ROWS:
                connection.execute(text("ANALYZE"))
        if len(scores) >= MIN_ANALYZE_ROWS:
            self.vacuum(*COUNTED_TABLES)
        return RunSummary(len(scores), *raised)


def top_clients(connection: Connection) -> list[str]:
    """Ids of the clients with the highest scores, in the order of lists: the input of list_overlap()."""
    profiles = schema.profiles.c
    query = select(profiles.client_id).where(profiles.by_score >= 0.0)
    order = profiles.by_score.desc(), profiles.client_id.desc()
    return list(connection.scalars(query.order_by(*order).limit(MAX_OVERLAP_LENGTH)))


# --- rows -------------------------------------------------------------------------------------------------------------


def _check(scores: Sequence[Score], facts: Sequence | None) -> None:
    ids = [score.client_id for score in scores]
    if facts is not None and len(facts) != len(scores):
        raise BadRun(f"There are {len(scores)} scores but facts for {len(facts)}; give facts for each score, in order.")
    if not all(ids) or any("\0" in id_ or (not id_.isprintable() and "\ud800" <= max(id_) <= "\udfff") for id_ in ids):
        raise BadRun(
            "A client_id is empty or holds a character that cannot be stored (NUL or a surrogate). "
            "Give every client an id without them."
        )
    if problem := next(filter(None, map(problem_with_id, ids)), None):
        raise BadRun(f"A client_id {problem}.")
    twice = [id_ for id_, n in Counter(ids).items() if n > 1]
    if twice:
        raise BadRun(f"{len(twice)} clients have two scores, such as {twice[0]!r}; score each client once per run.")


def _client_rows(scores: list[Score], clients: Table | None) -> Iterator[tuple]:
    """A row of each scored client, None where the table has no value."""
    clients = clients or {}
    row_of = {str(id_): row for row, id_ in enumerate(clients.get("client_id", ()))}
    columns = [_values(clients[name]) if name in clients else None for name in CLIENT_COLUMNS[1:]]
    for score in scores:
        row = row_of.get(score.client_id)
        yield score.client_id, *(None if row is None or values is None else values[row] for values in columns)


def _values(column: np.ndarray) -> list:
    """The column as Python values, None for NaN, NaT and an empty text."""
    return [value if value == value and value != "" else None for value in column.tolist()]


def _client_columns(connection: Connection, scores: list[Score]) -> dict[str, Row]:
    """Stored PROFILE_CLIENT_COLUMNS of each client, after its id. [scores: sorted by client id]"""
    columns = schema.clients.c
    query = select(columns.client_id, *(columns[name] for name in PROFILE_CLIENT_COLUMNS))
    query = query.where(covers_ids(columns.client_id, [score.client_id for score in scores]))
    return {row.client_id: row for row in connection.execute(query)}


def _with_stored_facts(
    connection: Connection,
    scores: list[Score],
    facts: Sequence[Mapping[str, float]] | None,
    lasting_facts: Collection[str],
) -> list[Mapping[str, float]]:
    """The facts of each score with the stored values of lasting_facts; all stored facts if `facts` is None."""
    columns = schema.findings.c
    query = select(columns.client_id, columns.facts).where(columns.facts != "{}")
    query = query.where(covers_ids(columns.client_id, [score.client_id for score in scores]))
    stored = {client_id: json.loads(found) for client_id, found in connection.execute(query)}
    before = [stored.get(score.client_id, {}) for score in scores]
    if facts is None:
        return before
    return [
        {name: old[name] for name in lasting_facts if name in old} | dict(new)
        for old, new in zip(before, facts, strict=True)
    ]


def _profile_row(
    score: Score, client: Row, model_version: str, now: datetime, sampled: Collection[str] | None
) -> tuple:
    recovery = score.expected_recovery_kwh
    return (
        score.client_id,
        score.probability,
        ABSENT if score.value is None else score.value,
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
        sample_key(score.client_id) if sampled is None or score.client_id in sampled else None,
        patterns_of(score),
    )


def patterns_of(score: Score) -> str | None:
    """The patterns of the anomalies as profiles hold them, each between bars; None without any."""
    return f"|{'|'.join(anomaly.pattern for anomaly in score.anomalies)}|" if score.anomalies else None


def _finding_rows(
    scores: list[Score],
    facts: Sequence[Mapping[str, float]],
    series: Mapping[str, Series],
    invoice_histories: InvoiceHistories,
) -> Iterator[tuple]:
    cached_json = lru_cache(2**10)(_json)  # many clients of a run have the same flags and the same causes
    for score, values in zip(scores, facts, strict=True):
        course, invoices = series.get(score.client_id), invoice_histories.get(score.client_id)
        yield (
            score.client_id,
            score.typical,
            _json(score.reasons),
            cached_json(score.explanations),
            cached_json(score.quality),
            score.recovery and _json((score.recovery,))[1:-1],
            _facts_json(values),
            *((course.step, course.first_on, pack_series(course)) if course else (None, None, None)),
            None if invoices is None else pack_invoices(invoices),
            _json(score.anomalies) if score.anomalies else None,
        )


def _facts_json(facts: Mapping[str, float]) -> str:
    return json.dumps({name: float(value) for name, value in facts.items() if math.isfinite(value)}) if facts else "{}"


def _json(records: tuple) -> str:
    """Records as a JSON list, sentences as code and values.

    The deep copies of dataclasses.asdict would take half the time of a run.
    """
    rows = [{name: data_of(getattr(r, name)) for name in r.__dataclass_fields__} for r in records]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if records else "[]"


def _incidents_json(incidents: Sequence[DataIncident]) -> list[dict] | None:
    """The incidents as JSON's values; None without any."""
    return [asdict(one) | {"since_on": one.since_on and one.since_on.isoformat()} for one in incidents] or None


def population_of(scores: Sequence[Score]) -> PopulationCounts:
    """The counts of a run that stores the whole client base."""
    n_suspected = sum(score.is_suspected for score in scores)
    return PopulationCounts(len(scores), n_suspected, Counter(score.severity for score in scores), ())


def _counts(population: PopulationCounts) -> dict[str, Any]:
    n_by_severity = dict.fromkeys((*SEVERITIES, INSUFFICIENT_HISTORY), 0) | population.n_by_severity
    counts = {"n_clients": population.n_clients, "n_suspected": population.n_suspected}
    return counts | {"n_by_severity": json.dumps(n_by_severity)}
