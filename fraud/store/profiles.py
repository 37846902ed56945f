"""What is known of clients: lists, one client's profile, the trend, the numbers of the dashboard.

In:  filters, a sort, a cursor.
Out: pages of ProfileRow, one Profile, an Overview.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

import fraud.store.schema as schema
from fraud.alerts import RANKS
from fraud.records import INSUFFICIENT_HISTORY, SEVERITIES, Explanation, QualityFlag, Reason, Recovery, Score
from fraud.store.database import Database
from fraud.store.paging import BadQuery, Order, Page, by_moment, chosen, page_of, starting_with
from fraud.store.schema import clients, findings, profiles
from fraud.store.series import Series, unpacked

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
    """All that is kept of a client: its master data, the newest score with its reasons, facts and consumption."""

    client: dict[str, Any]
    score: Score
    facts: Mapping[str, float]
    series: Series | None
    model_version: str
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One scoring of the client base."""

    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]


@dataclass(frozen=True, slots=True)
class HotSpot:
    """A region: its clients, how many are suspected, what their visits are expected to bring."""

    region: float | None
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


WHOLE = select(profiles, *(column for column in findings.columns if column.name != "client_id"))
WHOLE = WHOLE.join_from(profiles, findings, findings.c.client_id == profiles.c.client_id)
IS_SUSPECTED = profiles.c.by_score >= profiles.c.threshold  # as its index says it
ROW_COLUMNS = [profiles.c[name] for name in ProfileRow.__dataclass_fields__]


class Profiles(Database):
    """Clients and their newest scores."""

    def list_profiles(self, *, sort: str = "score", limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of ProfileRow. sort: score, severity, recovery, scored (each the highest first), id.

        filters, each optional: severity, region, category, district, id_prefix, least_score, scored_since (included),
        scored_until (not). Raises BadQuery.
        """
        order = chosen(sort, PROFILE_ORDERS)
        query = select(*ROW_COLUMNS, *(key for key in order.by if key not in ROW_COLUMNS))
        with self.reading() as connection:
            query = query.where(*conditions(filters))
            return page_of(connection, query, order, profiles.c.client_id, profile_row_of, limit, after)

    def count_profiles(self, **filters) -> int:
        """How many clients the same filters leave."""
        query = select(func.count()).select_from(profiles).where(*conditions(filters))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def client_ids(self, **filters) -> list[str]:
        """The ids of all clients that the same filters leave and whom a score can be told of, sorted."""
        query = select(profiles.c.client_id).where(profiles.c.probability.is_not(None), *conditions(filters))
        with self.reading() as connection:
            return list(connection.execute(query.order_by(profiles.c.client_id)).scalars())

    def all_scores(self) -> list[float]:
        """The score of each client who has one, the highest first."""
        query = select(profiles.c.by_score).where(profiles.c.by_score >= 0).order_by(profiles.c.by_score.desc())
        with self.reading() as connection:
            return list(connection.execute(query).scalars())

    def list_codes(self) -> dict[str, list[float]]:
        """The regions and categories that clients have, rising: what a list can be filtered by."""
        with self.reading() as connection:
            return {
                column.name: list(
                    connection.execute(select(column).where(column.is_not(None)).distinct().order_by(column)).scalars()
                )
                for column in (profiles.c.region, profiles.c.category)
            }

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
        return Profile(client, score_of(row), json.loads(row["facts"]), series, row["model_version"], row["scored_at"])

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
        return [Run(**{**row, "n_by_severity": json.loads(row["n_by_severity"])}) for row in reversed(rows)]

    def count_severities(self) -> dict[str, int]:
        """How many clients each severity has, "insufficient history" among them."""
        query = select(profiles.c.by_severity, func.count()).group_by(profiles.c.by_severity)
        with self.reading() as connection:
            found = dict(connection.execute(query).all())
        return {severity: found.get(RANKS[severity], 0) for severity in (*SEVERITIES, INSUFFICIENT_HISTORY)}

    def hot_spots(self, limit: int = 20) -> list[HotSpot]:
        """Regions with suspected clients, the largest share first."""
        region, recovery = profiles.c.region, func.sum(profiles.c.expected_recovery_kwh)
        everybody = select(region, func.count()).group_by(region)
        suspected = select(region, func.count(), recovery).where(IS_SUSPECTED).group_by(region)
        with self.reading() as connection:
            n_clients = dict(connection.execute(everybody).all())
            found = {code: told for code, *told in connection.execute(suspected)}
        spots = [HotSpot(code, n_clients[code], n, n / n_clients[code], kwh or 0.0) for code, (n, kwh) in found.items()]
        return sorted(spots, key=lambda spot: (-spot.suspected_share, -spot.n_clients))[:limit]

    def stored_scores(self, *, limit: int = 5000, **filters) -> list[Score]:
        """The highest scores as planning takes them (with recovery and reasons), the highest first; same filters."""
        query = WHOLE.where(*conditions(filters)).order_by(profiles.c.by_score.desc(), profiles.c.client_id.desc())
        with self.reading() as connection:
            return [score_of(row) for row in connection.execute(query.limit(limit)).mappings()]


def conditions(filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    """What filters of a list mean; None filters nothing. Raises BadQuery."""
    unknown = set(filters) - set(FILTERS)
    if unknown:
        name = min(unknown)
        raise BadQuery(name, f"There is no filter {name!r}; filters are {', '.join(FILTERS)}.")
    return [FILTERS[name](value) for name, value in filters.items() if value is not None]


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
}


def profile_row_of(row) -> ProfileRow:
    return ProfileRow(**{name: row[name] for name in ProfileRow.__dataclass_fields__})


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
        tuple(Explanation(**explanation) for explanation in json.loads(row["explanations"])),
        recovery and Recovery(**json.loads(recovery)),
        row["recommendation"],
    )
