"""Route of a client's relations: who shares its reading route, meter, creation day, meter codes, transformer.

In:  a client's id; the last day on which a confirmed case counts.
Out: groups with their numbers, and the nearest clients (fairmeter/desk/client_profile.py).
"""

from datetime import UTC, date, datetime

from pydantic import Field

from fairmeter.desk.client_profile import client_relations
from fairmeter.desk.service import DeskService
from fairmeter.store import MAX_SHARING
from fairmeter.web.app import Api
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.desk_api.requests import ClientPath, DeskRequest
from fairmeter.web.desk_api.schemas import DeskResponse
from fairmeter.web.http.auth import VIEWER, AccessControl

KINDS = (
    "meter (a number), transformer, created (account opened on the same day), codes (of the meters before and after "
)
KINDS += "the latest exchange), route (two successive invoices read on the same two days); but for meter and "
KINDS += "transformer in the same region and district"
TOO_MANY = f"null: more than {MAX_SHARING:,}, which are not read"


class RelationQuery(DeskRequest):
    until: date | None = Field(None, description="cases confirmed later do not count; without it, today")


class RelationGroupResponse(DeskResponse):
    """The other clients at the desk that share something."""

    kind: str = Field(description=KINDS)
    n_clients: int | None = Field(description=TOO_MANY)
    n_confirmed: int | None = Field(description="of them, with a case confirmed on the day `until` or before")


class RelatedClientResponse(DeskResponse):
    """A client that shares something."""

    client_id: str
    kinds: list[str]
    severity: str = Field(description="of the newest score")
    state: str | None = Field(description="as in every list; for a day that is past, confirmed or null")
    is_confirmed: bool = Field(description="on the day `until` or before")
    metres: float | None = Field(description="null without both places")


class RelationsResponse(DeskResponse):
    """Who shares what with a client. Outcomes of its own visits count in none of these numbers."""

    client_id: str
    until: date
    groups: list[RelationGroupResponse]
    related: list[RelatedClientResponse] = Field(description="at most 12: first who shares most, then the nearest")


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the route, for viewers."""

    @app.get("/consumer/<path:client_id>/relations", responses={200: RelationsResponse}, security=SECURITY)
    def relations(path: ClientPath, query: RelationQuery):
        """Who shares what with a client, and how many of them have a confirmed case."""
        today = datetime.now(UTC).date()
        found = client_relations(desk, path.client_id, query.until or today, today)
        return json_response(RelationsResponse.model_validate(found))

    guard.set_roles(relations=VIEWER)
