"""What the desk's routes answer: the one definition by which it is written and documented.

In:  the store's own objects, by their attributes.
Out: models. What is asked for is in desk_asked.py.
"""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class DeskResponse(BaseModel):
    """What is answered, made of the store's objects."""

    model_config = ConfigDict(from_attributes=True)


class SessionResponse(DeskResponse):
    """Who asks; csrf_token goes back as X-CSRF-Token with everything that a signed-in page writes."""

    name: str
    role: str
    csrf_token: str | None


class ClientRow(DeskResponse):
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


class AlertResponse(DeskResponse):
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


class CaseResponse(DeskResponse):
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


class MoveResponse(DeskResponse):
    """One change of a case's state."""

    seq: int
    from_state: str | None
    to_state: str
    user: str
    why: str
    assignee: str | None
    outcome: str | None
    at: datetime


class CaseWithMoves(CaseResponse):
    """A case and how it came there."""

    moves: list[MoveResponse]


class InspectionResponse(DeskResponse):
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
    photos: list[str] = Field(description="names, for GET /photos/{name}")
    severity: str | None
    probability: float | None
    reason_group: str | None
    region: float | None


class ClientPage(DeskResponse):
    rows: list[ClientRow]
    next: str | None


class AlertPage(DeskResponse):
    rows: list[AlertResponse]
    next: str | None


class CasePage(DeskResponse):
    rows: list[CaseResponse]
    next: str | None


class VisitResponse(DeskResponse):
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


class VisitList(DeskResponse):
    """Whom to visit, in order, those drawn at random last; n_left_out have a case or were visited of late."""

    rows: list[VisitResponse]
    n_left_out: int


class ProfileReasonResponse(DeskResponse):
    group: str
    effect: float
    text: str


class QualityFlagResponse(DeskResponse):
    flag: str
    text: str


class HarmlessCauseResponse(DeskResponse):
    """A harmless cause of what looks suspicious, and whether it fits."""

    cause: str
    verdict: str
    text: str


class RecoveryResponse(DeskResponse):
    """What may be billed back if the client steals."""

    kwh: float
    low_kwh: float
    high_kwh: float
    months: float
    text: str
    value: float | None


class SeriesResponse(DeskResponse):
    """Consumption from a first day on, by day or month; null where it is missing."""

    step: str
    first_on: date
    kwh: list[float | None]


class InvoiceIssueResponse(DeskResponse):
    """What an invoice contradicts; size: of the index, in consumption, or in months."""

    kind: str
    size: float


class InvoiceResponse(DeskResponse):
    """One of the latest invoices, the oldest first; consumption in kWh, of gas in m3; null where it is missing."""

    invoice_on: date
    energy: str
    months: float | None
    consumption: float | None
    old_index: float | None
    new_index: float | None
    coefficient: float | None
    meter_id: float | None
    findings: list[InvoiceIssueResponse]


class PastScore(DeskResponse):
    scored_at: datetime
    probability: float | None
    severity: str
    model_version: str


class RiskProfile(DeskResponse):
    """All that the desk knows of a client."""

    client: dict[str, Any]
    probability: float | None
    severity: str
    threshold: float
    typical: float | None
    reasons: list[ProfileReasonResponse]
    explanations: list[HarmlessCauseResponse]
    quality: list[QualityFlagResponse]
    recovery: RecoveryResponse | None
    expected_recovery_kwh: float | None
    recommendation: str | None
    onset_on: str | None
    facts: dict[str, float]
    series: SeriesResponse | None
    invoices: list[InvoiceResponse]
    model_version: str
    scored_at: datetime
    trend: list[PastScore]
    alert: AlertResponse | None
    case: CaseResponse | None
    inspections: list[InspectionResponse]


class Rate(DeskResponse):
    """Confirmed among inspected, with a 95 % interval."""

    group: str | float | date | None
    is_random: bool
    n_inspected: int
    n_seen: int
    n_confirmed: int
    hit_rate: float
    low: float
    high: float


class ListOverlapResponse(DeskResponse):
    """How many of the first k clients of a list were among the first k of the one before."""

    k: int
    n_both: int
    jaccard: float = Field(description="those on both lists by those on either")


class RunResponse(DeskResponse):
    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]
    stability: list[ListOverlapResponse] = Field(
        description="of its list beside that of the run before; empty without one"
    )


class DriftOfScore(DeskResponse):
    level: str = Field(description="stable, shifting, shifted, too few clients")
    psi: float = Field(description="population stability index against the training")


class DriftPart(DeskResponse):
    """How far the clients that were scored are from those that one ensemble learnt from."""

    n_now: int
    n_features: int
    n_shifted: int
    n_shifting: int
    max_psi: float
    score: DriftOfScore


class DriftResponse(DeskResponse):
    """The last run that measured drift."""

    scored_at: datetime
    model_version: str
    parts: dict[str, DriftPart] = Field(description="by what they see: invoices, readings")


class RegionCountResponse(DeskResponse):
    region: float | None
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


class TransformerResponse(DeskResponse):
    """Where a transformer's energy went in its last 90 days, over n_days of them; shares are of delivered_kwh."""

    transformer_id: str
    until_on: date
    n_clients: int
    n_read: int = Field(description="clients whose meters were read")
    n_days: int = Field(description="days on which enough of them were")
    delivered_kwh: float
    losses_kwh: float = Field(description="technical losses")
    registered_kwh: float
    estimated_kwh: float = Field(description="of clients whose meters were not read")
    lost_kwh: float = Field(description="delivered less losses, registered and estimated")
    lost_share: float | None
    low_share: float | None = Field(description="of a 95 % band")
    high_share: float | None
    before_share: float | None = Field(description="the same days a year before")
    since_on: date | None
    region: float | None


class Dashboard(DeskResponse):
    """The desk in numbers."""

    n_clients: int
    clients_by_severity: dict[str, int]
    alerts_by_severity: dict[str, int]
    cases_by_state: dict[str, int]
    n_readings: int
    notices: dict[str, int]
    trend: list[RunResponse]
    hot_spots: list[RegionCountResponse]
    transformers: list[TransformerResponse] = Field(
        description="most energy not accounted for, where totals were given"
    )
    hit_rates: dict[str, list[Rate]] = Field(description="by: all, week, region, reason_group")
    drift: DriftResponse | None = Field(description="null where no run has measured it")


class ReadingsTaken(DeskResponse):
    """What became of the readings; n_late and n_out_of_order count among the new ones."""

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    n_rescored: int
