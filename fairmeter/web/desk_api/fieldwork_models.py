"""Models of crews, plans, campaigns, comments and notices: bodies and answers.

In:  bodies of requests; objects of the store, read by their attributes.
Out: models, by which requests are checked, answers written, and both documented.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fairmeter.web.desk_api.requests import Code, DeskRequest, Name, Number, Text
from fairmeter.web.desk_api.schemas import DeskResponse, NamedCode, Rate

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Members = Annotated[list[Name], Field(max_length=100)]
Place = Annotated[Text, StringConstraints(max_length=200)]
Choice = Literal["list", "random", "both"]


# --- crews ------------------------------------------------------------------------------------------------------------


class CrewPath(DeskRequest):
    crew_id: Number


class CrewQuery(DeskRequest):
    all: bool = Field(False, description="also crews that are no more")


class NewCrew(DeskRequest):
    """People who go out together."""

    name: Name
    base_place: Place = ""
    latitude: Latitude | None = Field(None, description="of the base, where the day begins")
    longitude: Longitude | None = None
    capacity: int = Field(8, ge=1, le=100, description="visits a day")
    members: Members = Field([], description="names of users, who see the crew's visits; may be empty")


class ChangedCrew(DeskRequest):
    """What changes of a crew; the rest stays. members replaces all of them."""

    name: Name | None = None
    base_place: Place | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    capacity: int | None = Field(None, ge=1, le=100)
    is_active: bool | None = None
    members: Members | None = None


class CrewResponse(DeskResponse):
    crew_id: int
    name: str
    base_place: str
    latitude: float | None
    longitude: float | None
    capacity: int = Field(description="visits a day")
    is_active: bool
    members: list[str]


class CrewList(DeskResponse):
    rows: list[CrewResponse]
    assignees: list[str] = Field(description="active users and crews to whom a case can be given")


# --- plans ------------------------------------------------------------------------------------------------------------


class PlanPath(DeskRequest):
    plan_id: Number


class PlanQuery(DeskRequest):
    since: date
    until: date = Field(description="inclusive")
    crew_id: Number | None = None


class NewPlanVisit(DeskRequest):
    client_id: Name
    is_fixed: bool = Field(False, description="stays with its crew and day when the day is planned anew")
    is_random: bool = Field(False, description="sampled at random, for comparison with the chosen ones")


class CrewPlan(DeskRequest):
    """The visits of one crew, in order. version: of the plan as you read it, 0 where there was none."""

    crew_id: Number
    visits: list[NewPlanVisit] = Field(max_length=200)
    version: int | None = Field(None, ge=0, le=2**31 - 1)
    note: Text | None = None


class NewPlans(DeskRequest):
    """The plans of some crews for a day, saved at once, so that visits may change crews."""

    planned_on: date
    plans: list[CrewPlan] = Field(min_length=1, max_length=100)


class PlanVisitResponse(DeskResponse):
    client_id: str
    is_fixed: bool
    is_random: bool
    case_id: int | None = Field(description="from the publication on")


class PlanResponse(DeskResponse):
    plan_id: int
    planned_on: date
    crew_id: int
    crew: str
    version: int
    note: str
    is_published: bool
    created_by: str
    updated_at: datetime
    published_at: datetime | None
    published_by: str | None
    visits: list[PlanVisitResponse]


class PlanList(DeskResponse):
    rows: list[PlanResponse]


class PublishedPlanResponse(DeskResponse):
    plan: PlanResponse
    refused: dict[str, str] = Field(description="clients that could not be planned, and why")


# --- campaigns --------------------------------------------------------------------------------------------------------


class CampaignPath(DeskRequest):
    campaign_id: Number


class NewCampaign(DeskRequest):
    """Inspections of a period, and of a region if one is given, to be judged together."""

    name: Name
    since: date
    until: date = Field(description="inclusive")
    choice: Choice = Field("both", description="visits that count: chosen from the list, random, or both")
    random_share: Share | None = Field(None, description="share of visits that is to be random")
    region: Code | None = None
    cost_per_visit: Amount = 0.0
    price_per_kwh: Amount = Field(0.0, description="where only energy was billed")
    note: Text = ""


class ChangedCampaign(DeskRequest):
    """What changes of a campaign; the rest stays."""

    name: Name | None = None
    since: date | None = None
    until: date | None = None
    choice: Choice | None = None
    random_share: Share | None = None
    region: Code | None = None
    cost_per_visit: Amount | None = None
    price_per_kwh: Amount | None = None
    note: Text | None = None


class CampaignResponse(DeskResponse):
    campaign_id: int
    name: str
    since: date
    until: date
    choice: str
    random_share: float | None
    region: NamedCode
    cost_per_visit: float
    price_per_kwh: float
    note: str
    created_by: str
    created_at: datetime


class RateDifferenceResponse(DeskResponse):
    """Hit rate of chosen less that of random visits, with a 95 % interval."""

    difference: float
    low: float
    high: float
    n_random: int = Field(description="random visits at which the meter was seen")
    is_own: bool = Field(description="they are of the campaign; else of the whole desk")


class CampaignResultResponse(CampaignResponse):
    """A campaign with what it brought. Hit rates count visits at which the meter was seen."""

    n_visits: int
    n_seen: int
    n_confirmed: int
    chosen: Rate | None
    random: Rate | None
    recovered_kwh: float
    recovered_value: float = Field(description="as billed, else the energy at the campaign's price")
    cost: float
    net: float
    against_random: RateDifferenceResponse | None
    visits_a_day: dict[str, float] = Field(description="by user, on days on which the user was out")


class CampaignRates(CampaignResultResponse):
    """A campaign's results, and its hit rates by region, crew, pattern and reason group."""

    hit_rates: dict[str, list[Rate]]


class CampaignList(DeskResponse):
    rows: list[CampaignResultResponse]


# --- comments and notices ---------------------------------------------------------------------------------------------


class NewComment(DeskRequest):
    """A comment on a case; users that it names as @name get a notice."""

    text: Text = Field(examples=["Ask the neighbours first, @anna."])


class CommentResponse(DeskResponse):
    comment_id: int
    case_id: int
    user: str
    text: str
    mentions: list[str]
    at: datetime


class CommentList(DeskResponse):
    rows: list[CommentResponse]


class NoticeQuery(DeskRequest):
    unread: bool = Field(False, description="only unread ones")


class ReadNotices(DeskRequest):
    up_to: Number | None = Field(None, description="the last notice that was read; left out: all")


class UserNoticeResponse(DeskResponse):
    """What one user is to notice. kind: mention (in a comment), assigned (a case or an alert)."""

    notice_id: int
    kind: str
    case_id: int | None
    comment_id: int | None
    alert_id: int | None
    sent_by: str
    at: datetime
    read_at: datetime | None


class UserNoticeList(DeskResponse):
    rows: list[UserNoticeResponse]
    n_unread: int


def given_changes(body: DeskRequest) -> dict[str, Any]:
    """The fields that a body names, null included where it clears a value."""
    return body.model_dump(exclude_unset=True)
