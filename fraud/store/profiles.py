"""What is known of clients: lists, one client's profile, the trend, the numbers of the dashboard.

In:  filters, a sort, a cursor.
Out: pages of ProfileRow, one Profile, an Overview.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import fraud.store.schema as schema
from fraud.records import Score
from fraud.store.database import Database
from fraud.store.paging import Order, Page, by_moment
from fraud.store.series import Series

table = schema.profiles
PROFILE_ORDERS = {
    "score": Order(table.c.by_score),
    "severity": Order(table.c.by_severity),
    "recovery": Order(table.c.by_recovery),
    "scored": by_moment(table.c.scored_at),
    "id": Order(table.c.client_id, is_falling=False),
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


ROW_COLUMNS = [table.c[name] for name in ProfileRow.__dataclass_fields__]


class Profiles(Database):
    """Clients and their newest scores."""

    def list_profiles(self, *, sort: str = "score", limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of ProfileRow. sort: score, severity, recovery, scored (each the highest first), id.

        filters, each optional: severity, region, category, district, id_prefix, least_score, scored_since,
        scored_until (moments). Raises BadQuery.
        """
        raise NotImplementedError

    def count_profiles(self, **filters) -> int:
        """How many clients the same filters leave."""
        raise NotImplementedError

    def find_profile(self, client_id: str) -> Profile | None:
        raise NotImplementedError

    def trend_of(self, client_id: str, limit: int = 100) -> list[dict]:
        """Past scores of a client, the oldest first: {"scored_at", "probability", "severity", "model_version"}."""
        raise NotImplementedError

    def list_runs(self, limit: int = 30) -> list[Run]:
        """The last runs, the oldest first."""
        raise NotImplementedError

    def count_severities(self) -> dict[str, int]:
        """How many clients each severity has, "insufficient history" among them."""
        raise NotImplementedError

    def hot_spots(self, limit: int = 20) -> list[HotSpot]:
        """Regions with the largest share of suspected clients first."""
        raise NotImplementedError

    def stored_scores(self, *, limit: int = 5000, **filters) -> list[Score]:
        """The highest scores as planning takes them (with recovery and reasons), the highest first."""
        raise NotImplementedError
