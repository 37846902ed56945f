"""What the desk's routes take and answer: the one definition by which they are checked, written and documented.

In:  queries, paths and bodies (a key that is not known, or a text that no database can hold, is a 422).
Out: models made of the store's own objects, by their attributes.
"""

from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Severity = Literal["critical", "high", "medium", "low", "insufficient history"]
Format = Literal["json", "csv"]


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds the character U+0000; leave it out")
    return text


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


Moment = Annotated[datetime, AfterValidator(_in_utc), Field(description="without an offset it is UTC")]
Code = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_storable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
Energy = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=1, le=2**53)]


class Sent(BaseModel):
    """What is sent; a misspelt key is an error rather than nothing."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args, **options) -> dict[str, Any]:
        """Kept where it is plain: the library asks for it with each query, and making it takes ten times the query."""
        return super().model_json_schema(*args, **options) if args or options else _plain_schema(cls)


@cache
def _plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    return super(Sent, model).model_json_schema()


class Told(BaseModel):
    """What is answered, made of the store's objects."""

    model_config = ConfigDict(from_attributes=True)


# --- sent -------------------------------------------------------------------------------------------------------------


class ClientPath(Sent):
    client_id: Name


class CasePath(Sent):
    case_id: Number


class Paged(Sent):
    """Part of a list."""

    limit: int = Field(50, ge=1, le=1000, description="rows of a page")
    after: Text | None = Field(None, description='"next" of the page before')
    format: Format = Field("json", description="csv: all rows from here on, for a spreadsheet")


class ClientQuery(Paged):
    sort: Literal["score", "severity", "recovery", "scored", "id"] = "score"
    severity: Severity | None = None
    region: Code | None = None
    category: Code | None = None
    district: Code | None = None
    id_prefix: Name | None = None
    least_score: float | None = Field(None, ge=0, le=1)
    scored_since: Moment | None = None
    scored_until: Moment | None = None


class AlertQuery(Paged):
    sort: Literal["severity", "raised", "id"] = "severity"
    state: Literal["open", "in case", "lapsed", "all"] = "open"
    severity: Severity | None = None
    region: Code | None = None
    client_id: Name | None = None
    raised_since: Moment | None = None
    raised_until: Moment | None = None


class CaseQuery(Paged):
    sort: Literal["id", "severity", "updated"] = "id"
    state: Literal["new", "assigned", "inspecting", "closed"] | None = None
    assignee: Name | None = None
    severity: Severity | None = None
    region: Code | None = None
    client_id: Name | None = None


class InspectionQuery(Sent):
    since: date | None = None
    until: date | None = None
    client_id: Name | None = None


class ListQuery(Sent):
    """How many visits there are for, and of whom."""

    visits: int = Field(50, ge=1, le=1000)
    random_share: float = Field(0.05, ge=0, le=1, description="of the visits: drawn from all clients, to compare with")
    cost: float = Field(0, ge=0, le=1e9, description="of a visit: who is expected to bring less is left out")
    price: float | None = Field(None, ge=0, le=1e6, description="of a kWh, for clients whose own price is not known")
    false_alarms: float | None = Field(None, gt=0, le=1, description="share of the list that may be false, on average")
    severity: Severity | None = None
    region: Code | None = None
    category: Code | None = None
    format: Format = "json"


class NewCase(Sent):
    """Work on a client begins."""

    client_id: Name
    why: Text = Field(examples=["Fall since March, no harmless cause fits."])
    assignee: Name | None = Field(None, description="given: assigned at once")
    is_random: bool = Field(False, description="drawn at random, to know what chance would find")


class NewMove(Sent):
    """A case goes on."""

    to: Literal["new", "assigned", "inspecting", "closed"]
    why: Text
    version: Number | None = Field(None, description="of the case as you saw it: somebody else's move since is a 409")
    assignee: Name | None = Field(None, description="for assigned: to whom")


class NewInspection(Sent):
    """What a visit found; it closes the case."""

    outcome: Literal["confirmed", "fault", "cleared", "no_access", "refused"]
    inspected_on: date
    version: Number | None = None
    note: Text = ""
    recovered_kwh: Energy | None = Field(None, ge=0)
    recovered_value: Energy | None = Field(None, ge=0, description="in the utility's currency")


class NewReading(Sent):
    """What a smart meter counted in one day or hour."""

    client_id: Name
    read_at: datetime = Field(description="start of the day or hour, as the clock there shows; an offset is left out")
    consumption_kwh: Energy


class NewReadings(Sent):
    """Readings of any clients, in any order."""

    readings: list[NewReading] = Field(min_length=1, max_length=20_000)


class SignIn(Sent):
    """A user's name and password."""

    name: Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
    password: Annotated[str, StringConstraints(max_length=200)]


# --- told -------------------------------------------------------------------------------------------------------------


class SessionTold(Told):
    """Who asks; csrf_token goes back as X-CSRF-Token with everything that a signed-in page writes."""

    name: str
    role: str
    csrf_token: str | None


class ClientRow(Told):
    """A client in a list: its newest score, and what a visit is worth."""

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


class AlertTold(Told):
    """The system says: look at this client."""

    alert_id: int
    client_id: str
    severity: str
    state: str
    rules: list[dict[str, Any]]
    raised_at: datetime
    updated_at: datetime
    region: float | None
    probability: float | None


class CaseTold(Told):
    """A person's work on a client."""

    case_id: int
    client_id: str
    state: str
    version: int = Field(description="send it with the next move")
    severity: str
    assignee: str | None
    outcome: str | None
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    alert_id: int | None
    is_random: bool
    region: float | None


class MoveTold(Told):
    """One change of a case's state."""

    seq: int
    from_state: str | None
    to_state: str
    user: str
    why: str
    assignee: str | None
    outcome: str | None
    at: datetime


class CaseWithMoves(CaseTold):
    """A case and how it came there."""

    moves: list[MoveTold]


class InspectionTold(Told):
    """A visit and its outcome."""

    inspection_id: int
    case_id: int | None
    client_id: str
    inspected_on: date
    outcome: str
    user: str
    is_random: bool
    recorded_at: datetime
    note: str
    recovered_kwh: float | None
    recovered_value: float | None
    severity: str | None
    probability: float | None
    reason_group: str | None
    region: float | None


class ClientPage(Told):
    rows: list[ClientRow]
    next: str | None


class AlertPage(Told):
    rows: list[AlertTold]
    next: str | None


class CasePage(Told):
    rows: list[CaseTold]
    next: str | None


class Visit(Told):
    """One line of the inspection list."""

    visit: int
    client_id: str
    probability: float | None
    severity: str
    is_random: bool
    expected_recovery_kwh: float | None
    expected_net_value: float | None
    recommendation: str | None
    reason: str | None


class VisitList(Told):
    """Whom to visit, in order, those drawn at random last; n_left_out have a case or were visited of late."""

    rows: list[Visit]
    n_left_out: int


class ReasonTold(Told):
    group: str
    effect: float
    text: str


class FlagTold(Told):
    flag: str
    text: str


class ExplanationTold(Told):
    """A harmless cause of what looks suspicious, and whether it fits."""

    cause: str
    verdict: str
    text: str


class RecoveryTold(Told):
    """What may be billed back if the client steals."""

    kwh: float
    low_kwh: float
    high_kwh: float
    months: float
    text: str
    value: float | None


class SeriesTold(Told):
    """Consumption from a first day on, by day or month; null where it is missing."""

    step: str
    first_on: date
    kwh: list[float | None]


class PastScore(Told):
    scored_at: datetime
    probability: float | None
    severity: str
    model_version: str


class RiskProfile(Told):
    """All that the desk knows of a client."""

    client: dict[str, Any]
    probability: float | None
    severity: str
    threshold: float
    typical: float | None
    reasons: list[ReasonTold]
    explanations: list[ExplanationTold]
    quality: list[FlagTold]
    recovery: RecoveryTold | None
    expected_recovery_kwh: float | None
    recommendation: str | None
    onset_on: str | None
    facts: dict[str, float]
    series: SeriesTold | None
    model_version: str
    scored_at: datetime
    trend: list[PastScore]
    alert: AlertTold | None
    case: CaseTold | None
    inspections: list[InspectionTold]


class Rate(Told):
    """Confirmed among inspected, with a 95 % interval."""

    group: str | float | date | None
    is_random: bool
    n_inspected: int
    n_seen: int
    n_confirmed: int
    hit_rate: float
    low: float
    high: float


class Run(Told):
    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]


class HotSpot(Told):
    region: float | None
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


class Dashboard(Told):
    """The desk in numbers."""

    n_clients: int
    clients_by_severity: dict[str, int]
    alerts_by_severity: dict[str, int]
    cases_by_state: dict[str, int]
    n_readings: int
    notices: dict[str, int]
    trend: list[Run]
    hot_spots: list[HotSpot]
    hit_rates: dict[str, list[Rate]] = Field(description="by: all, week, region, reason_group")


class ReadingsTaken(Told):
    """What became of the readings; n_late and n_out_of_order count among the new ones."""

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    n_rescored: int
