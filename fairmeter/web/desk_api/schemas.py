"""Models of the desk's answers, by which they are written and documented.

In:  objects of the store, read by their attributes.
Out: models. Those of requests are in requests.py.
"""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from fairmeter.core.code_names import PLACES
from fairmeter.web.http.code_names import named


def _name_of(code: float | str | None, info: ValidationInfo) -> float | str | None:
    return named(info.field_name, code)


def _with_names(client: dict[str, Any]) -> dict[str, Any]:
    return client | {name: named(name, client[name]) for name in PLACES if name in client}


NamedCode = Annotated[
    float | str | None, BeforeValidator(_name_of), Field(description="a number, or the name where it was a text")
]

PERCENTILE = (
    "where scores are ranks and the probability is null: of a model without labels, training clients with a lower "
)
PERCENTILE += "score, in 100; after a run whose clients are too far from those in training, clients of that run"
STATE = (
    "of the open case: new, assigned, planned (on a day, by a crew), inspecting, revisit (on a day); of the last "
    "visit: confirmed, fault, cleared, no_access, refused, or closed without one; else as recommended. The same in "
    "every list, answer and file"
)
STATE_ON = "day of the plan, of coming back, or of the last visit"
STATE_UNTIL = "the first day on which the client can be a candidate again"
RECOMMENDED = "by the score; null where a case or a visit decides the state"


class DeskResponse(BaseModel):
    """Base of the models, made from objects of the store."""

    model_config = ConfigDict(from_attributes=True)


class ClientRow(DeskResponse):
    """A client in a list: its latest score, and the expected value of a visit."""

    client_id: str
    probability: float | None
    percentile: float | None = Field(None, description=PERCENTILE)
    severity: str
    threshold: float
    region: NamedCode
    category: NamedCode
    district: NamedCode
    expected_recovery_kwh: float | None
    recommendation: str | None = Field(description=RECOMMENDED)
    state: str = Field(description=STATE)
    reason_group: str | None
    onset_on: date | None
    model_version: str
    scored_at: datetime
    state_on: date | None = Field(None, description=STATE_ON)
    state_who: str | None = Field(None, description="the crew of the planned visit, or the user that has the case")
    state_until: date | None = Field(None, description=STATE_UNTIL)
    state_why: str | None = Field(None, description="why the client is no candidate")
    case_id: int | None = Field(None, description="the case that decides the state")
    first_reason: str | None = Field(None, description="the sentence of the alert's rule that speaks first")


class AlertResponse(DeskResponse):
    """A recommendation to examine a client."""

    alert_id: int
    client_id: str
    severity: str
    state: str
    rules: list[dict[str, Any]]
    raised_at: datetime
    updated_at: datetime
    region: NamedCode
    probability: float | None
    assignee: str | None = None
    snoozed_until: date | None = None


class AlertActionResponse(DeskResponse):
    """What a user did about an alert: dismissed, snoozed, assigned, reopened."""

    action: str
    user: str
    why: str
    assignee: str | None
    until: date | None
    at: datetime


class AlertWithActions(AlertResponse):
    """An alert and what was done about it, oldest first."""

    actions: list[AlertActionResponse]


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
    region: NamedCode
    planned_on: date | None = None
    crew: str | None = None
    revisit_on: date | None = Field(None, description="the day to come back, after a visit without access")


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
    """A case, its history, and the rules of its alert."""

    moves: list[MoveResponse]
    rules: list[dict[str, Any]] = Field([], description="of its alert: why it is of that severity, the first one first")


class InspectionResponse(DeskResponse):
    """An inspection and its outcome."""

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
    region: NamedCode
    crew: str | None = None
    patterns: list[str] = []
    fraud_type: str | None = None
    seal: str | None = None
    index_read: float | None = None


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
    percentile: float | None = Field(None, description=PERCENTILE)
    severity: str
    is_random: bool
    expected_recovery_kwh: float | None
    expected_net_value: float | None
    recommendation: str | None
    state: str = Field(description=STATE)
    reason: str | None


class VisitList(DeskResponse):
    """Clients to inspect in order, randomly sampled ones last; n_left_out have a case or a recent inspection."""

    rows: list[VisitResponse]
    n_left_out: int


class ProfileReasonResponse(DeskResponse):
    group: str
    effect: float
    text: str


class QualityFlagResponse(DeskResponse):
    flag: str
    text: str


class StoredAnomalyResponse(DeskResponse):
    """An unusual pattern, as /predict answers it."""

    pattern: str
    severity: str
    since: date
    until: date
    strength: float = Field(description="times the limit from which it counts")
    text: str


class HarmlessCauseResponse(DeskResponse):
    """A harmless cause of a suspicious pattern, and whether it fits."""

    cause: str
    verdict: str
    text: str


class RecoveryResponse(DeskResponse):
    """The estimate of what may be billed back if theft is confirmed."""

    kwh: float
    low_kwh: float
    high_kwh: float
    months: float
    text: str
    value: float | None


class SeriesResponse(DeskResponse):
    """Consumption by day or month from first_on; null where it is missing."""

    step: str
    first_on: date
    kwh: list[float | None]


class InvoiceIssueResponse(DeskResponse):
    """A contradiction in an invoice. size: in units of the index, of consumption, or in months."""

    kind: str
    size: float


class InvoiceResponse(DeskResponse):
    """One of the latest invoices, oldest first; consumption in kWh, of gas in m3; null where it is missing."""

    invoice_on: date
    energy: str
    months: float | None
    consumption: float | None
    old_index: float | None
    new_index: float | None
    coefficient: float | None
    meter_id: float | str | None
    findings: list[InvoiceIssueResponse]


class PastScore(DeskResponse):
    scored_at: datetime
    probability: float | None
    severity: str
    model_version: str


class RiskProfile(DeskResponse):
    """The stored score, evidence, invoices, alert, case and inspections of a client."""

    client: Annotated[dict[str, Any], BeforeValidator(_with_names)]
    probability: float | None
    percentile: float | None = Field(None, description=PERCENTILE)
    severity: str
    threshold: float
    typical: float | None
    reasons: list[ProfileReasonResponse]
    explanations: list[HarmlessCauseResponse]
    quality: list[QualityFlagResponse]
    recovery: RecoveryResponse | None
    expected_recovery_kwh: float | None
    anomalies: list[StoredAnomalyResponse] = Field(description="unusual patterns; no sign of theft by themselves")
    recommendation: str | None = Field(description=RECOMMENDED)
    state: str = Field(description=STATE)
    state_on: date | None = Field(None, description=STATE_ON)
    state_who: str | None = None
    state_until: date | None = Field(None, description=STATE_UNTIL)
    state_why: str | None = None
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
    """Share of confirmed among the visits at which the meter was seen (n_seen), with a 95 % interval; null without."""

    group: str | float | date | None
    is_random: bool
    n_inspected: int
    n_seen: int
    n_confirmed: int
    hit_rate: float | None
    low: float | None
    high: float | None


class ListOverlapResponse(DeskResponse):
    """Overlap of the first k clients of a list with the first k of the previous one."""

    k: int
    n_both: int
    jaccard: float = Field(description="clients on both lists divided by clients on either")


class RunResponse(DeskResponse):
    scored_at: datetime
    model_version: str
    n_clients: int
    n_suspected: int
    n_by_severity: dict[str, int]
    stability: list[ListOverlapResponse] = Field(
        description="overlap of its list with that of the previous run; empty without one"
    )


class DriftOfScore(DeskResponse):
    level: str = Field(description="stable, shifting, shifted, too few clients")
    psi: float = Field(description="population stability index against the training data")


class DriftPart(DeskResponse):
    """Drift of the scored clients against the training data of one ensemble."""

    n_now: int
    n_features: int
    n_shifted: int
    n_shifting: int
    max_psi: float
    score: DriftOfScore


class DriftResponse(DeskResponse):
    """Drift as the last run measured it."""

    scored_at: datetime
    model_version: str
    parts: dict[str, DriftPart] = Field(description="by the ensemble's evidence: invoices, readings")
    ranks_why: str | None = Field(
        None, description="why scores are ranks and no probabilities: the clients are too far from those in training"
    )


class RegionCountResponse(DeskResponse):
    region: NamedCode
    n_clients: int
    n_suspected: int
    suspected_share: float
    expected_recovery_kwh: float


class TransformerResponse(DeskResponse):
    """The energy balance of a transformer on n_days of its last 90 days; shares are of delivered_kwh."""

    transformer_id: str
    until_on: date
    n_clients: int
    n_read: int = Field(description="clients whose meters were read")
    n_days: int = Field(description="days with readings of enough clients")
    delivered_kwh: float
    losses_kwh: float = Field(description="technical losses")
    registered_kwh: float
    estimated_kwh: float = Field(description="of clients without readings")
    lost_kwh: float = Field(description="delivered less technical losses, registered and estimated energy")
    lost_share: float | None
    low_share: float | None = Field(description="lower end of a 95 % interval")
    high_share: float | None
    before_share: float | None = Field(description="on the same days a year before")
    since_on: date | None
    region: NamedCode


class IncidentResponse(DeskResponse):
    """A fault of the data at many clients alike."""

    kind: str
    text: str
    n_clients: int
    since_on: date | None
    n_held_back: int = Field(description="clients whose scores are held back for it")


class SeverityPromiseResponse(DeskResponse):
    """What a severity promised in training: a share of true cases among the clients that have it or a higher one."""

    severity: str
    score: float | None = Field(description="from which a client has it; null where no client can")
    promised: float | None = Field(description="share of true cases that was asked for; null of ranks")
    precision: float | None = Field(description="measured on clients that the model had not seen")
    low: float | None = Field(description="of its 95 % interval")
    high: float | None
    n: int | None


class Dashboard(DeskResponse):
    """Counts, trend, hot spots, transformers, hit rates and drift."""

    n_clients: int
    clients_by_severity: dict[str, int]
    alerts_by_severity: dict[str, int]
    cases_by_state: dict[str, int]
    n_readings: int
    notices: dict[str, int]
    trend: list[RunResponse]
    hot_spots: list[RegionCountResponse]
    transformers: list[TransformerResponse] = Field(
        description="those with the most unaccounted energy, where totals were given"
    )
    hit_rates: dict[str, list[Rate]] = Field(description="by: all, week, region, reason_group")
    drift: DriftResponse | None = Field(description="null before a run measured it")
    incidents: list[IncidentResponse] = Field(description="of the last run: the data's fault, not the clients'")
    n_unjudged: int = Field(description="clients whose readings changed since they were judged")
    severities: list[SeverityPromiseResponse] = Field([], description="one scale for all clients, the highest first")


class ReadingsTaken(DeskResponse):
    """Counts of the readings sent; n_late and n_out_of_order are among the new ones."""

    n_new: int
    n_duplicate: int
    n_differing: int = Field(description="stored before with another value, which they replaced")
    n_late: int
    n_out_of_order: int
    n_rescored: int
    n_waiting: int = Field(description="clients of these readings that are still to be rescored; no need to send again")


class ReadingsDeleted(DeskResponse):
    """What DELETE /readings did; days that came in files count as one reading each."""

    n_deleted: int
    n_rescored: int
    n_waiting: int = Field(description="1 if the client is still to be rescored")


class ImportResponse(DeskResponse):
    """Files of a utility on their way into the desk.

    After `guess` there is a map, after `check` what looks wrong, after `score` a trial, after `confirm` a run.
    """

    import_id: int
    state: str = Field(description="uploaded, mapped, checked, scored, stored or cancelled")
    step: str | None = Field(description="guess, check, score or confirm where it waits or runs, else null")
    is_running: bool
    error: str | None = Field(description="why the last step failed")
    progress: dict[str, Any] | None
    files: list[dict[str, Any]]
    headers: dict[str, Any] | None = Field(description="the columns of the files")
    map: str | None = Field(validation_alias="map_text", description="TOML")
    kept: dict[str, Any] | None = Field(description="who confirmed this map for such files, and when")
    checked: dict[str, Any] | None
    trial: dict[str, Any] | None
    outcome: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class ImportList(DeskResponse):
    """Imports of one user."""

    rows: list[ImportResponse]
