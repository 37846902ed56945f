"""What is known of clients: lists, one client's profile, the trend, the numbers of the dashboard.

In:  filters, a sort, a cursor.
Out: pages of ProfileRow, one Profile, an Overview.
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
    HarmlessCause,
    QualityFlag,
    Reason,
    RecoveryEstimate,
    Score,
)
from fairmeter.store.engine import packing as ledgers
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import (
    BadQuery,
    Order,
    Page,
    by_moment,
    check_text,
    chosen,
    conditions,
    page_of,
    starting_with,
)
from fairmeter.store.engine.schema import clients, findings, profiles
from fairmeter.store.engine.series import Series, unpacked
from fairmeter.store.engine.upsert import FEW

AT_ONCE = 2000  # rows read at a time where all are looked at
# Widths of the ranges of sample keys that clients are sampled from; the last one holds all.
STRETCHES = tuple(N_SAMPLE_KEYS >> bits for bits in (16, 12, 8, 4, 0))
# Clients of a stretch, at least, and for each who is drawn. Stretches hold not quite as many clients each: with so many
# in it none is more than a few hundredths likelier to be drawn than others are.
ENOUGH, ENOUGH_EACH = 1000, 100
PROFILE_ORDERS = {
    "score": Order((profiles.c.by_score,)),
    "severity": Order((profiles.c.by_severity, profiles.c.by_score)),
    "recovery": Order((profiles.c.by_recovery,)),
    "scored": by_moment(profiles.c.scored_at),
    "id": Order((profiles.c.client_id,), is_falling=False),
}


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A client as lists show it: the newest score and what it is worth."""

    client_id: str
    probability: float | None
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
    """All that is kept of a client: master data, the newest score with reasons, facts, consumption, invoices."""

    client: dict[str, Any]
    score: Score
    facts: Mapping[str, float]
    series: Series | None
    ledger: np.ndarray | None
    model_version: str
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One scoring of the client base; stability: of its list beside the former one, empty where there was none."""

    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]
    stability: list[dict]


@dataclass(frozen=True, slots=True)
class StoredDrift:
    """What a run found of drift (a dict, as likeness.py tells it), and of which model."""

    scored_at: datetime
    model_version: str
    found: dict


@dataclass(frozen=True, slots=True)
class RegionCount:
    """A region: its clients, how many are suspected, what their visits are expected to bring."""

    region: float | None
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


OF_CLIENT = findings.c.client_id == profiles.c.client_id
WHOLE = select(profiles, *(column for column in findings.columns if column.name != "client_id"))
WHOLE = WHOLE.join_from(profiles, findings, OF_CLIENT)
EXPLAINING = [findings.c[name] for name in ("typical", "reasons", "explanations", "quality", "recovery")]
EXPLAINED = select(profiles, *EXPLAINING).join_from(profiles, findings, OF_CLIENT)
PLANNED = select(
    *(profiles.c[name] for name in ("client_id", "probability", "severity", "threshold", "recommendation")),
    findings.c.recovery,
).join_from(profiles, findings, OF_CLIENT)
ROW_COLUMNS = [profiles.c[name] for name in ProfileRow.__dataclass_fields__]


class ProfileStore(Database):
    """Clients and their newest scores."""

    def list_profiles(self, *, sort: str = "score", limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of ProfileRow. sort: score, severity, recovery, scored (each the highest first), id.

        filters, each optional: severity, region, category, district, reason_group, id_prefix, least_score, scored_since
        (included), scored_until (not), onset_since, onset_until (both included). Raises BadQuery.
        """
        order = chosen(sort, PROFILE_ORDERS)
        query = select(*ROW_COLUMNS, *(key for key in order.by if key not in ROW_COLUMNS))
        with self.reading() as connection:
            query = query.where(*conditions(filters, FILTERS))
            return page_of(connection, query, order, profiles.c.client_id, profile_row_of, limit, after)

    def count_profiles(self, **filters) -> int:
        """How many clients the same filters leave."""
        query = select(func.count()).select_from(profiles).where(*conditions(filters, FILTERS))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def draw_clients(self, n: int, seed: str, left_out: Collection[str] = (), **filters) -> list[str]:
        """Clients drawn at random of all whom the same filters leave and a score can be told of; the same for a seed.

        Each is as likely as another, and stays drawn or not whoever else comes or goes. Of a large base those whose
        lots lie in the seed's own stretch take part, the shortest one that has enough of them: nobody reads millions
        of ids for a page. Whoever was kept for a high score alone has no lot, and is never drawn.
        """
        query = select(profiles.c.client_id).where(profiles.c.probability.is_not(None), *conditions(filters, FILTERS))

        def place(client_id: str) -> bytes:
            return blake2b(f"{seed}\0{client_id}".encode(), digest_size=16).digest()

        with self.reading() as connection:
            for width in STRETCHES:
                first = sample_key(seed) // width * width
                inside = query.where(profiles.c.lot.between(first, first + width - 1))
                ids = connection.execute(inside, execution_options={"yield_per": AT_ONCE}).scalars()
                free = [client_id for client_id in ids if client_id not in left_out]
                if len(free) >= max(ENOUGH, ENOUGH_EACH * n):
                    break
        return nsmallest(n, free, key=place)

    def count_from(self, least: Sequence[float]) -> np.ndarray:
        """How many clients have each of these scores or more. [least: falling, none below 0; int64, as many]"""
        least = [float(score) for score in least]
        steps = values(column("i", Integer), column("low", Double), column("high", Double), name="steps")
        steps = steps.data(list(zip(range(len(least)), least, [math.inf, *least[:-1]], strict=True))).cte()
        counted = select(func.count()).where(profiles.c.by_score >= steps.c.low, profiles.c.by_score < steps.c.high)
        with self.reading() as connection:
            counts = dict(connection.execute(select(steps.c.i, counted.scalar_subquery())).all())
        return np.cumsum([counts[i] for i in range(len(least))])

    def newest_scores(self) -> dict[str, float]:
        """The score of each client who has one, by its id. [0..1]"""
        query = select(profiles.c.client_id, profiles.c.by_score).where(profiles.c.by_score >= 0)
        with self.reading() as connection:
            rows = connection.execute(query, execution_options={"yield_per": AT_ONCE})
            return {client_id: score for client_id, score in rows}  # noqa: C416  (dict() would take rows for a mapping)

    def count_scores(self, n_steps: int) -> list[tuple[int, float]]:
        """How many scores lie in each of so many equal steps from 0 to 1, and their sum."""
        step = profiles.c.by_score * n_steps
        step = cast(step if self.is_sqlite else func.floor(step), Integer)  # SQLite's own cast cuts off, without floor
        query = select(step, func.count(), func.sum(profiles.c.by_score)).where(profiles.c.by_score >= 0).group_by(step)
        counts = [(0, 0.0)] * n_steps
        with self.reading() as connection:
            for i, n, total in connection.execute(query):
                at = min(i, n_steps - 1)  # a score of 1 is in the last step
                counts[at] = (counts[at][0] + n, counts[at][1] + total)
        return counts

    def list_codes(self) -> dict[str, list]:
        """The regions, categories and main evidence that clients have, rising: what a list can be filtered by."""
        columns = (profiles.c.region, profiles.c.category, profiles.c.reason_group)
        with self.reading() as connection:
            return {column.name: list(connection.scalars(values_of(column))) for column in columns}

    def find_profile(self, client_id: str) -> Profile | None:
        """All that is kept of a client that was scored."""
        query = WHOLE.where(profiles.c.client_id == client_id)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            of_client = select(clients).where(clients.c.client_id == client_id)
            client = dict(connection.execute(of_client).mappings().one())
        step, first_on, kwh = row["series_step"], row["series_from"], row["series_kwh"]
        series = unpacked(step, first_on, bytes(kwh)) if kwh is not None else None
        ledger = row["invoices"] and ledgers.unpacked(bytes(row["invoices"]))
        kept = json.loads(row["facts"]), series, ledger
        return Profile(client, score_of(row), *kept, row["model_version"], row["scored_at"])

    def trend_of(self, client_id: str, limit: int = 100) -> list[dict]:
        """Past scores of a client, the oldest first: {"scored_at", "probability", "severity", "model_version"}."""
        columns = [schema.scores.c[name] for name in ("scored_at", "probability", "severity", "model_version")]
        query = select(*columns).where(schema.scores.c.client_id == client_id)
        with self.reading() as connection:
            newest = connection.execute(query.order_by(schema.scores.c.scored_at.desc()).limit(limit)).mappings().all()
        return [dict(row) for row in reversed(newest)]

    def list_runs(self, limit: int = 30) -> list[Run]:
        """The last runs, the oldest first."""
        query = select(*(schema.runs.c[name] for name in Run.__dataclass_fields__))
        with self.reading() as connection:
            rows = connection.execute(query.order_by(schema.runs.c.run_id.desc()).limit(limit)).mappings().all()
        return [run_of(row) for row in reversed(rows)]

    def last_drift(self) -> StoredDrift | None:
        """Of the last run that measured it; None where none did."""
        runs = schema.runs.c
        query = select(runs.scored_at, runs.model_version, runs.drift).where(runs.drift.is_not(None))
        with self.reading() as connection:
            row = connection.execute(query.order_by(runs.run_id.desc()).limit(1)).first()
        return row and StoredDrift(row.scored_at, row.model_version, json.loads(row.drift))

    def count_severities(self) -> dict[str, int]:
        """How many clients each severity has, "insufficient history" among them."""
        query = select(profiles.c.by_severity, func.count()).group_by(profiles.c.by_severity)
        with self.reading() as connection:
            found = dict(connection.execute(query).all())
        return {severity: found.get(RANKS[severity], 0) for severity in (*SEVERITIES, INSUFFICIENT_HISTORY)}

    def hot_spots(self, limit: int = 20) -> list[RegionCount]:
        """Regions with suspected clients, the largest share first."""
        region, recovery = profiles.c.region, func.sum(profiles.c.expected_recovery_kwh)
        everybody = select(region, func.count()).group_by(region)
        suspected = select(region, func.count(), recovery).where(profiles.c.is_suspected).group_by(region)
        with self.reading() as connection:
            n_clients = dict(connection.execute(everybody).all())
            found = {code: told for code, *told in connection.execute(suspected)}
        spots = [
            RegionCount(code, n_clients[code], n, n / n_clients[code], kwh or 0.0) for code, (n, kwh) in found.items()
        ]
        return sorted(spots, key=lambda spot: (-spot.suspected_share, -spot.n_clients))[:limit]

    def stored_scores(self, *, limit: int = 5000, is_whole: bool = True, **filters) -> list[Score]:
        """The highest scores as planning takes them, the highest first; same filters.

        is_whole: with reasons, explanations and flags, which are most of what there is to read.
        """
        query = (EXPLAINED if is_whole else PLANNED).where(*conditions(filters, FILTERS))
        query = query.order_by(profiles.c.by_score.desc(), profiles.c.client_id.desc()).limit(limit)
        with self.reading() as connection:
            return [(score_of if is_whole else planned_of)(row) for row in connection.execute(query).mappings()]

    def scores_of(self, client_ids: Sequence[str]) -> dict[str, Score]:
        """The whole scores of some clients, by client."""
        found = {}
        with self.reading() as connection:
            for i in range(0, len(client_ids), FEW):
                query = EXPLAINED.where(profiles.c.client_id.in_(client_ids[i : i + FEW]))
                found |= {row["client_id"]: score_of(row) for row in connection.execute(query).mappings()}
        return found


def values_of(column: Column) -> Select:
    """The values of an indexed column, rising. Each is looked up after the one before: PostgreSQL would find those of
    a DISTINCT by reading the index of all clients."""
    least = select(func.min(column).label("value"))
    values = least.where(column.is_not(None)).cte("found", recursive=True)
    following = least.where(column > values.c.value).scalar_subquery()
    values = values.union_all(select(following).where(values.c.value.is_not(None)))
    return select(values.c.value).where(values.c.value.is_not(None))


def _of_severity(severity: str) -> ColumnElement[bool]:
    if severity not in RANKS:
        raise BadQuery("severity", f"severity is {severity!r}; it must be one of {', '.join(RANKS)}.")
    return profiles.c.by_severity == RANKS[severity]


FILTERS = {
    "severity": _of_severity,
    "region": lambda code: profiles.c.region == float(code),
    "category": lambda code: profiles.c.category == float(code),
    "district": lambda code: profiles.c.district == float(code),
    "id_prefix": lambda prefix: starting_with(profiles.c.client_id, prefix),
    "least_score": lambda score: profiles.c.by_score >= float(score),
    "scored_since": lambda moment: profiles.c.scored_at >= moment,
    "scored_until": lambda moment: profiles.c.scored_at < moment,
    "reason_group": lambda group: profiles.c.reason_group == check_text("reason_group", group),
    "onset_since": lambda day: profiles.c.onset_on >= day,
    "onset_until": lambda day: profiles.c.onset_on <= day,
}


def profile_row_of(row) -> ProfileRow:
    return ProfileRow(**{name: row[name] for name in ProfileRow.__dataclass_fields__})


def run_of(row) -> Run:
    told = {"n_by_severity": json.loads(row["n_by_severity"]), "stability": json.loads(row["stability"] or "[]")}
    return Run(**{**row, **told})


def planned_of(row) -> Score:
    """The Score that was written, without what explains it."""
    recovery = row["recovery"] and RecoveryEstimate(**json.loads(row["recovery"]))
    told = {name: row[name] for name in ("client_id", "probability", "severity", "threshold", "recommendation")}
    return Score(**told, recovery=recovery)


def score_of(row) -> Score:
    """The Score that was written."""
    recovery = row["recovery"]
    return Score(
        row["client_id"],
        row["probability"],
        row["severity"],
        row["threshold"],
        tuple(Reason(**reason) for reason in json.loads(row["reasons"])),
        tuple(QualityFlag(**flag) for flag in json.loads(row["quality"])),
        row["onset_on"] and row["onset_on"].isoformat(),
        row["typical"],
        tuple(HarmlessCause(**explanation) for explanation in json.loads(row["explanations"])),
        recovery and RecoveryEstimate(**json.loads(recovery)),
        row["recommendation"],
    )
