"""Models of the desk's queries, paths and bodies, by which requests are checked and documented.

In:  queries, paths and bodies of requests.
Out: models. An unknown key, or a text that databases cannot hold, is a 422.
"""

from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from fairmeter.casework.alert_rules import ALERT_STATES
from fairmeter.casework.workflow import FRAUD_TYPES, SEALS
from fairmeter.core.client_ids import problem_with_id
from fairmeter.core.types import ANOMALY_PATTERNS
from fairmeter.data.readings import parse_moment
from fairmeter.data.tables import parse_code
from fairmeter.desk.client_states import STATE_FILTERS
from fairmeter.desk.photos import MAX_PHOTOS
from fairmeter.desk.visit_plan import PLAN_FILTERS
from fairmeter.store import QUALITIES

Severity = Literal["critical", "high", "medium", "low", "insufficient history"]
Pattern = Literal[ANOMALY_PATTERNS]
Format = Literal["json", "csv", "xlsx", "pdf"]
SentKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{8,64}$")]


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds the character U+0000; leave it out")
    return text


def _reading_moment(value: Any) -> datetime:
    """The moment, in the formats of files; numbers and 20261025 are refused."""
    if not isinstance(value, str):
        raise ValueError("not a moment; write 2014-03-24 or 2014-03-24T13:30")
    return parse_moment(value)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _local_time(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except (TypeError, ValueError):
        raise ValueError("is no date or time; write 2026-10-25 or 2026-10-25T13:00") from None


Moment = Annotated[datetime, AfterValidator(_in_utc), Field(description="without an offset it is UTC")]
Code = Annotated[
    float,
    BeforeValidator(parse_code),
    Field(allow_inf_nan=False, description="a code or its name"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]
LocalTime = Annotated[datetime, BeforeValidator(_local_time)]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable)]


def _address(text: str) -> str:
    if problem := problem_with_id(text):
        raise ValueError(problem)
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
Energy = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1, le=2**53)]


StorableText = Annotated[str, AfterValidator(_storable)]
NewName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_storable)
]


class DeskRequest(BaseModel):
    """Base of the models. Unknown keys are errors, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args, **options) -> dict[str, Any]:
        """Cached where it is plain: flask-openapi reads it with each query, and making it takes ten times the query."""
        return super().model_json_schema(*args, **options) if args or options else _plain_schema(cls)


@cache
def _plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    return super(DeskRequest, model).model_json_schema()


class ClientPath(DeskRequest):
    client_id: Name


class CasePath(DeskRequest):
    case_id: Number


class PhotoPath(DeskRequest):
    name: Name


class ImportPath(DeskRequest):
    import_id: Number


class ConfirmQuery(DeskRequest):
    accept_fewer: bool = Field(False, description="also where far fewer clients are judged than in the last run")


class NewMap(DeskRequest):
    """What the columns of a utility's files mean, as TOML."""

    map: str = Field(max_length=100_000, examples=['[clients]\nclient_id = "CONSUMER_NO"'])


class Paged(DeskRequest):
    """A page of a list."""

    limit: int = Field(50, ge=1, le=1000, description="rows on a page")
    after: Text | None = Field(None, description='"next" of the previous page')
    format: Format = Field(
        "json", description="csv, xlsx: all rows from the cursor on; pdf: for print, at most 2,000 rows"
    )


class Filtered(Paged):
    """Filters that the lists of clients, alerts and cases have in common."""

    severity: Severity | None = None
    region: Code | None = None


class ClientQuery(Filtered):
    sort: Literal["score", "severity", "recovery", "scored", "id"] = "score"
    category: Code | None = None
    district: Code | None = None
    state: Literal[STATE_FILTERS] | None = Field(
        None, description="candidate: no case decides; in work: a case is open; or one state, as the rows have it"
    )
    reason_group: Name | None = Field(None, description="the evidence group that raises the score most")
    pattern: Pattern | None = Field(None, description="clients with an anomaly of this pattern")
    id_prefix: Name | None = None
    least_score: float | None = Field(None, ge=0, le=1)
    scored_since: Moment | None = None
    scored_until: Moment | None = None
    onset_since: date | None = Field(None, description="when the change in consumption began")
    onset_until: date | None = None


class AlertQuery(Filtered):
    sort: Literal["severity", "raised", "id"] = "severity"
    state: Literal[(*ALERT_STATES, "all")] = "open"
    client_id: Name | None = None
    rule: Name | None = Field(None, description="the name of a rule that fired; score for the score itself")
    assignee: Name | None = Field(None, description="the user or crew that is to look at it")
    mine: bool = Field(False, description="assigned to the caller")
    pattern: Pattern | None = Field(None, description="alerts by a rule on this pattern")
    raised_since: Moment | None = None
    raised_until: Moment | None = None


class CaseQuery(Filtered):
    sort: Literal["id", "severity", "updated"] = "id"
    state: Literal["new", "assigned", "inspecting", "closed"] | None = None
    assignee: Name | None = None
    client_id: Name | None = None
    crew: Name | None = None
    planned_on: date | None = None
    due_until: date | None = Field(None, description="planned, or to come back, until that day")
    is_open: bool | None = None


class InspectionQuery(DeskRequest):
    since: date | None = None
    until: date | None = None
    client_id: Name | None = None


class ListQuery(DeskRequest):
    """The number of visits, what they cost and bring, and the filters of clients."""

    visits: int = Field(50, ge=1, le=1000)
    random_share: float = Field(
        0.05, ge=0, le=1, description="share of the visits that go to randomly sampled clients, for comparison"
    )
    cost: float = Field(0, ge=0, le=1e9, description="of a visit; clients with a lower expected value are left out")
    price: float | None = Field(None, ge=0, le=1e6, description="of a kWh, for clients whose own price is unknown")
    false_alarms: float | None = Field(
        None, gt=0, le=1, description="expected share of the list that may be false alarms"
    )
    severity: Severity | None = None
    region: Code | None = None
    category: Code | None = None
    reason_group: Name | None = None
    pattern: Pattern | None = None
    onset_since: date | None = None
    onset_until: date | None = None
    format: Format = "json"

    def plan_options(self) -> dict[str, Any]:
        """The query as keyword arguments of visit_plan.plan_of."""
        options = self.model_dump(include={"visits", "random_share", "cost", "price", "false_alarms"})
        return options | {"filters": self.model_dump(include=PLAN_FILTERS, exclude_none=True)}


class NewCase(DeskRequest):
    """A case to open."""

    client_id: Name
    why: Text = Field(examples=["Fall since March, no harmless cause fits."])
    assignee: Name | None = Field(None, description="if given, the case is assigned at once")
    is_random: bool = Field(False, description="the client was sampled at random, for comparison with the chosen ones")


class NewMove(DeskRequest):
    """A change of a case's state; new or assigned opens a closed case again."""

    to: Literal["new", "assigned", "inspecting", "closed"]
    why: Text
    version: Number | None = Field(
        None, description="of the case as you read it; a later move by another user is a 409"
    )
    assignee: Name | None = Field(None, description="for assigned: the user's or the crew's name")
    planned_on: date | None = Field(None, description="for assigned: the day of the visit")
    crew: Name | None = Field(None, description="for assigned: the crew of the visit")


class NewInspection(DeskRequest):
    """The outcome of an inspection; it closes the case, unless nobody had access."""

    outcome: Literal["confirmed", "fault", "cleared", "no_access", "refused"]
    inspected_on: date
    version: Number | None = None
    note: Text = ""
    recovered_kwh: Energy | None = Field(None, ge=0)
    recovered_value: Energy | None = Field(None, ge=0, description="in the utility's currency")
    revisit_on: date | None = Field(
        None,
        description="to come back, after no_access (left out: 14 days later) or refused; the case stays open",
    )
    photos: list[Base64Bytes] = Field([], max_length=MAX_PHOTOS, description="JPEG or PNG, each as Base64")
    fraud_type: Literal[FRAUD_TYPES] | None = Field(None, description="of a confirmed theft")
    seal: Literal[SEALS] | None = None
    index_read: Energy | None = Field(None, ge=0, description="on the meter's display")
    sent_key: SentKey | None = Field(None, description="the sender's own key: a visit sent twice is recorded once")


class InspectionPath(DeskRequest):
    inspection_id: Number


class Correction(DeskRequest):
    """What an inspection found in truth, or on which day."""

    outcome: Literal["confirmed", "fault", "cleared", "no_access", "refused"] | None = None
    inspected_on: date | None = None
    revisit_on: date | None = None
    why: Text


class AlertPath(DeskRequest):
    alert_id: Number


class Why(DeskRequest):
    why: Text = Field(description="a few words for later readers", examples=["A bakery, open at night."])


class Snooze(Why):
    until: date = Field(description="the day on which the alert is open again")


class Assignment(Why):
    assignee: Name | None = Field(description="a user or crew; null gives it back")


class NewReading(DeskRequest):
    """Consumption of one day or hour by a smart meter."""

    client_id: Annotated[Name, AfterValidator(_address)]
    read_at: Annotated[datetime, BeforeValidator(_reading_moment)] = Field(
        description="start of the interval in local time: 2014-03-24, 2014-03-24T13:00 or, day first, 24/03/2014 "
        "13:00; an offset is ignored"
    )
    quality: Literal[QUALITIES] | None = Field(None, description="left out, it is actual")
    consumption_kwh: Energy | None = Field(description="null where the quality is missing")
    minutes: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="length of the interval; left out, its neighbours show it"
    )
    export_kwh: Energy | None = Field(None, ge=0, description="energy fed into the grid")

    @field_validator("consumption_kwh")
    @classmethod
    def _is_there(cls, kwh: float | None, others: ValidationInfo) -> float | None:
        if kwh is None and others.data.get("quality") != QUALITIES[-1]:
            raise ValueError(f"is null; send what was read, or the quality {QUALITIES[-1]}")
        return kwh


class NewReadings(DeskRequest):
    """Readings of any clients, in any order."""

    readings: list[NewReading] = Field(min_length=1, max_length=20_000)


class DeletedPeriod(DeskRequest):
    """A client and a period of its readings."""

    client_id: Name
    since: LocalTime = Field(description="the first moment, in local time; an offset is ignored")
    until: LocalTime = Field(description="the first moment after the period")
    why: Text = Field(description="for later readers of the audit chain")

    @field_validator("until")
    @classmethod
    def _is_after(cls, until: datetime, others: ValidationInfo) -> datetime:
        if (since := others.data.get("since")) and until <= since:
            raise ValueError(f"is {until}, which is not after since, {since}")
        return until
