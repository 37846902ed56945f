"""Clients and their newest scores: lists, one client's profile, past runs, counts for the dashboard.

In:  filters, a sort, a cursor.
Out: pages of ProfileRow; Profile, Run, StoredDrift; scores and counts.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from heapq import nsmallest
from typing import Any

import numpy as np
from sqlalchemy import Column, ColumnElement, Double, Integer, Select, cast, column, func, select, values

from fairmeter.casework.alert_rules import RANKS
from fairmeter.core.sampling import N_SAMPLE_KEYS, sample_key
from fairmeter.core.types import (
    INSUFFICIENT_HISTORY,
    SEVERITIES,
    Anomaly,
    DataIncident,
    HarmlessCause,
    QualityFlag,
    Reason,
    RecoveryEstimate,
    Score,
)
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import Series, unpack_invoices, unpack_series
from fairmeter.store.engine.paging import (
    BadQuery,
    Order,
    Page,
    by_moment,
    check_pattern,
    check_text,
    conditions,
    has_prefix,
    in_many,
    order_named,
    page_of,
)
from fairmeter.store.engine.schema import clients, findings, profiles
from fairmeter.store.engine.upsert import MAX_IDS
from fairmeter.wording.phrases import text_of

FETCH_SIZE = 2000  # rows to fetch at a time from a large result
SAMPLE_RANGES = tuple(N_SAMPLE_KEYS >> bits for bits in (16, 12, 8, 4, 0))  # of sampling keys; the last has all
# Smallest number of clients in a range, in all and per sampled client. Ranges differ in their numbers of clients: with
# this many, the sampling probabilities of clients differ by a few per cent at most.
MIN_SAMPLED_FROM, MIN_SAMPLED_FROM_EACH = 1000, 100
PROFILE_ORDERS = {
    "score": Order((profiles.c.by_score,)),
    "severity": Order((profiles.c.by_severity, profiles.c.by_score)),
    "recovery": Order((profiles.c.by_recovery,)),
    "scored": by_moment(profiles.c.scored_at),
    "id": Order((profiles.c.client_id,), is_falling=False),
}


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A client in a list, with its newest score and the expected recovery. percentile: as in core.types.Score."""

    client_id: str
    probability: float | None
    percentile: float | None
    severity: str
    threshold: float
    region: float | None
    category: float | None
    district: float | None
    expected_recovery_kwh: float | None
    recommendation: str | None
    reason_group: str | None
    onset_on: date | None
    model_version: str
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """All stored data of a client: master data, newest score with reasons, facts, consumption, latest invoices.

    series, invoices: None where the client has none. [invoices: packing.INVOICE_DTYPE, oldest first]
    """

    client: dict[str, Any]
    score: Score
    facts: Mapping[str, float]
    series: Series | None
    invoices: np.ndarray | None
    model_version: str
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One scoring of the client base. stability: overlap of its top list with that of the previous run, if any."""

    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]
    stability: list[dict]


@dataclass(frozen=True, slots=True)
class StoredDrift:
    """Drift that a run measured (a dict, as scoring/population_drift.py makes it), and its model version."""

    scored_at: datetime
    model_version: str
    found: dict


@dataclass(frozen=True, slots=True)
class RegionCount:
    """Counts of a region: clients, suspected clients, and the expected recovery of the suspected ones."""

    region: float | None
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


OF_CLIENT = findings.c.client_id == profiles.c.client_id
FULL_PROFILES = select(profiles, *(column for column in findings.columns if column.name != "client_id"))
FULL_PROFILES = FULL_PROFILES.join_from(profiles, findings, OF_CLIENT)
EXPLANATION_NAMES = ("typical", "reasons", "explanations", "quality", "recovery", "anomalies")
EXPLANATION_COLUMNS = [findings.c[name] for name in EXPLANATION_NAMES]
EXPLAINED_SCORES = select(profiles, *EXPLANATION_COLUMNS).join_from(profiles, findings, OF_CLIENT)
PLANNING_SCORES = select(
    *(profiles.c[name] for name in ("client_id", "probability", "by_score", "severity", "threshold", "recommendation")),
    findings.c.recovery,
).join_from(profiles, findings, OF_CLIENT)
ROW_COLUMNS = [profiles.c[name] for name in ProfileRow.__dataclass_fields__ if name != "percentile"]
ROW_COLUMNS.append(profiles.c.by_score)


class ProfileStore(Database):
    """Reads clients and their newest scores."""

    def list_profiles(self, *, sort: str = "score", limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of ProfileRow. sort: score, severity, recovery, scored (each highest first), id.

        filters, each optional: severity, region, category, district, reason_group, pattern (of an anomaly), id_prefix,
        least_score, scored_since (inclusive), scored_until (exclusive), onset_since, onset_until (both inclusive),
        recommendation, among and left_out (client ids, however many). Raises BadQuery.
        """
        order = order_named(sort, PROFILE_ORDERS)
        query = select(*ROW_COLUMNS, *(key for key in order.by if key not in ROW_COLUMNS))
        with self.reading() as connection:
            query = query.where(*conditions(filters, FILTERS))
            return page_of(connection, query, order, profiles.c.client_id, profile_row_of, limit, after)

    def count_profiles(self, **filters) -> int:
        """Number of clients that match the same filters."""
        query = select(func.count()).select_from(profiles).where(*conditions(filters, FILTERS))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def sample_clients(self, n: int, seed: str, left_out: Collection[str] = (), **filters) -> list[str]:
        """A random sample of the scored clients that match the same filters; the same for the same seed.

        All clients are equally likely, and a client's inclusion does not depend on others that come or go. A large base
        is sampled from the shortest range of sampling keys around the seed that holds enough clients, so that no page
        reads millions of ids. Clients stored for a high score alone have no sampling key, and are never sampled.
        """
        query = select(profiles.c.client_id).where(profiles.c.by_score >= 0, *conditions(filters, FILTERS))

        def place(client_id: str) -> bytes:
            return blake2b(f"{seed}\0{client_id}".encode(), digest_size=16).digest()

        with self.reading() as connection:
            for width in SAMPLE_RANGES:
                first = sample_key(seed) // width * width
                inside = query.where(profiles.c.lot.between(first, first + width - 1))
                ids = connection.execute(inside, execution_options={"yield_per": FETCH_SIZE}).scalars()
                free = [client_id for client_id in ids if client_id not in left_out]
                if len(free) >= max(MIN_SAMPLED_FROM, MIN_SAMPLED_FROM_EACH * n):
                    break
        return nsmallest(n, free, key=place)

    def count_at_least(self, least: Sequence[float]) -> np.ndarray:
        """Number of clients with each of these scores or more. [least: descending, from 0 on -> int64, same length]"""
        least = [float(score) for score in least]
        steps = values(column("i", Integer), column("low", Double), column("high", Double), name="steps")
        steps = steps.data(list(zip(range(len(least)), least, [math.inf, *least[:-1]], strict=True))).cte()
        counted = select(func.count()).where(profiles.c.by_score >= steps.c.low, profiles.c.by_score < steps.c.high)
        with self.reading() as connection:
            counts = dict(connection.execute(select(steps.c.i, counted.scalar_subquery())).all())
        return np.cumsum([counts[i] for i in range(len(least))])

    def newest_scores(self) -> dict[str, float]:
        """The newest score of each scored client, by id. [0..1]"""
        query = select(profiles.c.client_id, profiles.c.by_score).where(profiles.c.by_score >= 0)
        with self.reading() as connection:
            rows = connection.execute(query, execution_options={"yield_per": FETCH_SIZE})
            return {client_id: score for client_id, score in rows}  # noqa: C416  (dict() would take rows for a mapping)

    def count_scores(self, n_steps: int) -> list[tuple[int, float]]:
        """Number and sum of the scores in each of n_steps equal steps from 0 to 1."""
        step = profiles.c.by_score * n_steps
        # SQLite's cast truncates, and some builds lack floor().
        step = cast(step if self.is_sqlite else func.floor(step), Integer)
        query = select(step, func.count(), func.sum(profiles.c.by_score)).where(profiles.c.by_score >= 0).group_by(step)
        counts = [(0, 0.0)] * n_steps
        with self.reading() as connection:
            for i, n, total in connection.execute(query):
                at = min(i, n_steps - 1)  # a score of 1 is in the last step
                counts[at] = (counts[at][0] + n, counts[at][1] + total)
        return counts

    def list_codes(self) -> dict[str, list]:
        """The distinct regions, categories and main evidence groups of clients, ascending: choices of filters."""
        columns = (profiles.c.region, profiles.c.category, profiles.c.reason_group)
        with self.reading() as connection:
            return {column.name: list(connection.scalars(distinct_values(column))) for column in columns}

    def find_profile(self, client_id: str) -> Profile | None:
        """All stored data of a scored client; None if there is no score."""
        query = FULL_PROFILES.where(profiles.c.client_id == client_id)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            of_client = select(clients).where(clients.c.client_id == client_id)
            client = dict(connection.execute(of_client).mappings().one())
        step, first_on, kwh = row["series_step"], row["series_from"], row["series_kwh"]
        series = unpack_series(step, first_on, bytes(kwh)) if kwh is not None else None
        invoices = row["invoices"] and unpack_invoices(bytes(row["invoices"]))
        facts = json.loads(row["facts"])
        return Profile(client, score_of(row), facts, series, invoices, row["model_version"], row["scored_at"])

    def trend_of(self, client_id: str, limit: int = 100) -> list[dict]:
        """Past scores of a client, oldest first: {"scored_at", "probability", "severity", "model_version"}."""
        columns = [schema.scores.c[name] for name in ("scored_at", "probability", "severity", "model_version")]
        query = select(*columns).where(schema.scores.c.client_id == client_id)
        with self.reading() as connection:
            newest = connection.execute(query.order_by(schema.scores.c.scored_at.desc()).limit(limit)).mappings().all()
        return [dict(row) for row in reversed(newest)]

    def list_runs(self, limit: int = 30) -> list[Run]:
        """The last runs, oldest first."""
        query = select(*(schema.runs.c[name] for name in Run.__dataclass_fields__))
        with self.reading() as connection:
            rows = connection.execute(query.order_by(schema.runs.c.run_id.desc()).limit(limit)).mappings().all()
        return [run_of(row) for row in reversed(rows)]

    def last_drift(self) -> StoredDrift | None:
        """The drift of the last run that measured it; None if none did."""
        runs = schema.runs.c
        query = select(runs.scored_at, runs.model_version, runs.drift).where(runs.drift.is_not(None))
        with self.reading() as connection:
            row = connection.execute(query.order_by(runs.run_id.desc()).limit(1)).first()
        return row and StoredDrift(row.scored_at, row.model_version, json.loads(row.drift))

    def last_run_drift(self, model_version: str | None = None) -> dict | None:
        """The drift stored with the last run, whose claims it holds; None where it has none, or is of another model.

        model_version: None for the last run of any model.
        """
        runs = schema.runs.c
        query = select(runs.model_version, runs.drift).order_by(runs.run_id.desc()).limit(1)
        with self.reading() as connection:
            row = connection.execute(query).first()
        if row is None or row.drift is None or model_version not in (None, row.model_version):
            return None
        return json.loads(row.drift)

    def last_incidents(self) -> list[DataIncident]:
        """What the last run found to be the data's fault at many clients."""
        runs = schema.runs.c
        with self.reading() as connection:
            found = connection.execute(select(runs.incidents).order_by(runs.run_id.desc()).limit(1)).scalar()
        rows = json.loads(found) if found else []
        return [
            DataIncident(**row | {"since_on": row["since_on"] and date.fromisoformat(row["since_on"])}) for row in rows
        ]

    def count_severities(self) -> dict[str, int]:
        """Number of clients by severity, including "insufficient history"."""
        query = select(profiles.c.by_severity, func.count()).group_by(profiles.c.by_severity)
        with self.reading() as connection:
            found = dict(connection.execute(query).all())
        return {severity: found.get(RANKS[severity], 0) for severity in (*SEVERITIES, INSUFFICIENT_HISTORY)}

    def count_by_region(self, limit: int = 20) -> list[RegionCount]:
        """Counts of regions with suspected clients, the largest suspected share first."""
        region, recovery = profiles.c.region, func.sum(profiles.c.expected_recovery_kwh)
        everybody = select(region, func.count()).group_by(region)
        suspected = select(region, func.count(), recovery).where(profiles.c.is_suspected).group_by(region)
        with self.reading() as connection:
            n_clients = dict(connection.execute(everybody).all())
            found = connection.execute(suspected).all()
        regions = [RegionCount(code, n_clients[code], n, n / n_clients[code], kwh or 0.0) for code, n, kwh in found]
        return sorted(regions, key=lambda region: (-region.suspected_share, -region.n_clients))[:limit]

    def stored_scores(self, *, limit: int = 5000, with_explanations: bool = True, **filters) -> list[Score]:
        """The highest scores, highest first; same filters.

        with_explanations: with reasons, harmless causes and flags, which are most of the data to read.
        """
        query = (EXPLAINED_SCORES if with_explanations else PLANNING_SCORES).where(*conditions(filters, FILTERS))
        query = query.order_by(profiles.c.by_score.desc(), profiles.c.client_id.desc()).limit(limit)
        with self.reading() as connection:
            convert = score_of if with_explanations else planning_score_of
            return [convert(row) for row in connection.execute(query).mappings()]

    def scores_of(self, client_ids: Sequence[str]) -> dict[str, Score]:
        """The scores of some clients with reasons, harmless causes and flags, by client id."""
        found = {}
        with self.reading() as connection:
            for i in range(0, len(client_ids), MAX_IDS):
                query = EXPLAINED_SCORES.where(profiles.c.client_id.in_(client_ids[i : i + MAX_IDS]))
                found |= {row["client_id"]: score_of(row) for row in connection.execute(query).mappings()}
        return found


def distinct_values(column: Column) -> Select:
    """The distinct values of an indexed column, ascending, each looked up after the previous one.

    PostgreSQL would read the index of all clients for a DISTINCT.
    """
    least = select(func.min(column).label("value"))
    values = least.where(column.is_not(None)).cte("found", recursive=True)
    following = least.where(column > values.c.value).scalar_subquery()
    values = values.union_all(select(following).where(values.c.value.is_not(None)))
    return select(values.c.value).where(values.c.value.is_not(None))


def _of_severity(severity: str) -> ColumnElement[bool]:
    if severity not in RANKS:
        raise BadQuery("severity", f"severity is {severity!r}; use one of {', '.join(RANKS)}.")
    return profiles.c.by_severity == RANKS[severity]


def _of_pattern(pattern: str) -> ColumnElement[bool]:
    is_of = profiles.c.patterns.contains(f"|{check_pattern(pattern)}|", autoescape=True)
    return profiles.c.patterns.is_not(None) & is_of


FILTERS = {
    "among": lambda ids: in_many(profiles.c.client_id, ids),
    "left_out": lambda ids: ~in_many(profiles.c.client_id, ids),
    "recommendation": lambda name: profiles.c.recommendation == check_text("recommendation", name),
    "severity": _of_severity,
    "region": lambda code: profiles.c.region == float(code),
    "category": lambda code: profiles.c.category == float(code),
    "district": lambda code: profiles.c.district == float(code),
    "id_prefix": lambda prefix: has_prefix(profiles.c.client_id, prefix),
    "least_score": lambda score: profiles.c.by_score >= float(score),
    "scored_since": lambda moment: profiles.c.scored_at >= moment,
    "scored_until": lambda moment: profiles.c.scored_at < moment,
    "reason_group": lambda group: profiles.c.reason_group == check_text("reason_group", group),
    "pattern": _of_pattern,
    "onset_since": lambda day: profiles.c.onset_on >= day,
    "onset_until": lambda day: profiles.c.onset_on <= day,
}


def profile_row_of(row) -> ProfileRow:
    found = {name: row[name] for name in ProfileRow.__dataclass_fields__ if name != "percentile"}
    return ProfileRow(**found, percentile=percentile_of(row["probability"], row["by_score"]))


def rank_share_of(probability: float | None, by_score: float) -> float | None:
    """The stored rank of a model without labels: what a score without a probability is ordered by. [0..1]"""
    return by_score if probability is None and by_score >= 0 else None


def percentile_of(probability: float | None, by_score: float) -> float | None:
    """The stored rank as Score.percentile gives it. [0..100]"""
    share = rank_share_of(probability, by_score)
    return None if share is None else 100.0 * share


def run_of(row) -> Run:
    parsed = {"n_by_severity": json.loads(row["n_by_severity"]), "stability": json.loads(row["stability"] or "[]")}
    return Run(**{**row, **parsed})


def planning_score_of(row) -> Score:
    """The stored Score without reasons, harmless causes and flags."""
    recovery = row["recovery"] and RecoveryEstimate(**_with_text(json.loads(row["recovery"])))
    fields = {name: row[name] for name in ("client_id", "probability", "severity", "threshold", "recommendation")}
    return Score(**fields, recovery=recovery, rank_share=rank_share_of(row["probability"], row["by_score"]))


def _records(kind: type, rows: str) -> tuple:
    """Records that `runs._json` wrote; earlier versions wrote sentences as texts."""
    return tuple(kind(**_with_text(row)) for row in json.loads(rows))


def _with_text(row: dict) -> dict:
    return row | {"text": text_of(row["text"])}


def score_of(row) -> Score:
    """The stored Score."""
    recovery = row["recovery"]
    return Score(
        row["client_id"],
        row["probability"],
        row["severity"],
        row["threshold"],
        _records(Reason, row["reasons"]),
        _records(QualityFlag, row["quality"]),
        row["onset_on"] and row["onset_on"].isoformat(),
        row["typical"],
        _records(HarmlessCause, row["explanations"]),
        recovery and RecoveryEstimate(**_with_text(json.loads(recovery))),
        row["recommendation"],
        rank_share_of(row["probability"], row["by_score"]),
        anomalies=_records(Anomaly, row["anomalies"] or "[]"),
    )
