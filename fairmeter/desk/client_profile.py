"""Everything that the desk shows of one client: score, evidence, invoices with their issues, and work done.

In:  a stored profile, and the store for past scores, the latest alert and case, and inspections.
Out: ClientProfile and ClientRelations, for the JSON API and the client's page alike.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from fairmeter.analysis.invoice_checks import InvoiceIssue, check_invoices
from fairmeter.casework.client_state import client_state
from fairmeter.casework.types import Alert, Case, Inspection
from fairmeter.core.types import Anomaly, HarmlessCause, QualityFlag, Reason, RecoveryEstimate
from fairmeter.desk.client_states import list_clients
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import Profile, RelatedClient, RelationGroup, Series, Store

EPOCH, ENERGIES = date(1970, 1, 1), ("electricity", "gas")  # by which packed invoices count days and energies
CONFIRMED = "confirmed"
N_PAST = 100  # scores and inspections of a client


class ConsumptionHistory(NamedTuple):
    """Consumption by step ("day" or "month") from a first day on. [kWh, None where missing]"""

    step: str
    first_on: date
    kwh: list[float | None]


class StoredScore(NamedTuple):
    """A past score of a client."""

    scored_at: datetime
    probability: float | None
    severity: str
    model_version: str


class RelatedRow(NamedTuple):
    """A client that shares something, nearest first. [kinds: of RELATION_KINDS; metres: None without both places]

    severity: of its newest score. state: as in every list; of a day that is past `confirmed` or None, as what was found
    later does not count.
    """

    client_id: str
    kinds: tuple[str, ...]
    severity: str
    state: str | None
    is_confirmed: bool
    metres: float | None


class ClientRelations(NamedTuple):
    """Who shares what with a client, with the cases that were confirmed on the day `until` or before."""

    client_id: str
    until: date
    groups: tuple[RelationGroup, ...]
    related: tuple[RelatedRow, ...]


class InvoiceLine(NamedTuple):
    """One invoice with its issues; consumption in kWh, of gas in m3; None where missing."""

    invoice_on: date
    energy: str
    months: float | None
    consumption: float | None
    old_index: float | None
    new_index: float | None
    coefficient: float | None
    meter_id: float | str | None
    findings: tuple[InvoiceIssue, ...]


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """A client at the desk. Score fields are as in core.types.Score; invoices are oldest first.

    state: as in every list (fairmeter/casework/client_state.py), with its day, crew or user, and why the client is no
    candidate; recommendation: None where a case decides the state. alert: the open one or that of the open case, whose
    rules are the first reasons (client_states.first_rule_of); else the newest one.
    """

    client: dict[str, Any]
    probability: float | None
    percentile: float | None
    severity: str
    threshold: float
    typical: float | None
    reasons: tuple[Reason, ...]
    explanations: tuple[HarmlessCause, ...]
    quality: tuple[QualityFlag, ...]
    recovery: RecoveryEstimate | None
    expected_recovery_kwh: float | None
    anomalies: tuple[Anomaly, ...]
    recommendation: str | None
    state: str
    onset_on: str | None
    facts: dict[str, float]
    series: ConsumptionHistory | None
    invoices: list[InvoiceLine]
    model_version: str
    scored_at: datetime
    trend: list[StoredScore]
    alert: Alert | None
    case: Case | None
    inspections: list[Inspection]
    state_on: date | None = None
    state_who: str | None = None
    state_until: date | None = None
    state_why: str | None = None


SCORE_FIELDS = (
    "probability", "percentile", "severity", "threshold", "typical", "reasons", "explanations", "quality", "recovery",
    "expected_recovery_kwh", "onset_on", "anomalies",
)  # fmt: skip


def stored_profile(store: Store, client_id: str) -> Profile:
    """The stored profile of a client. Raises Problem."""
    profile = store.find_profile(client_id)
    if profile is None:
        raise Problem(404, "not_found", "There is no client of this id: score it first, with ?record=1 or score.py.")
    return profile


def client_profile(desk: DeskService, stored: Profile) -> ClientProfile:
    """The profile with the client's state, past scores, latest alert and case, and inspections."""
    store, client_id = desk.store, stored.score.client_id
    work = store.work_states(desk.rules, ids=[client_id]).get(client_id)
    alert, decided = store.alerts_of([client_id]).get(client_id), {}
    if work is not None:
        decided = {"state_on": work.on, "state_who": work.who, "state_until": work.until, "state_why": work.why}
    newest = {"client_id": client_id, "sort": "id", "limit": 1}
    return ClientProfile(
        client=stored.client,
        **{name: getattr(stored.score, name) for name in SCORE_FIELDS},
        recommendation=None if work else stored.score.recommendation,
        state=client_state(work, stored.score.recommendation),
        facts=dict(stored.facts),
        series=stored.series and consumption_history(stored.series),
        invoices=[] if stored.invoices is None else _with_meter_names(store, invoice_lines(stored.invoices)),
        model_version=stored.model_version,
        scored_at=stored.scored_at,
        trend=[StoredScore(**row) for row in store.trend_of(client_id, N_PAST)],
        alert=alert or next(iter(store.list_alerts(state=None, **newest).rows), None),
        case=next(iter(store.list_cases(**newest).rows), None),
        inspections=store.list_inspections(client_id=client_id, limit=N_PAST).rows,
        **decided,
    )


def client_relations(desk: DeskService, client_id: str, until: date, today: date) -> ClientRelations:
    """Who shares what with a client. Raises Problem."""
    found = desk.store.relations_of(client_id, until)
    if not found.groups:
        stored_profile(desk.store, client_id)
    ids = [one.client_id for one in found.related]
    listed = {row.client_id: row for row in list_clients(desk, among=ids, limit=len(ids)).rows} if ids else {}
    related = [
        RelatedRow(
            *one[:2], listed[one.client_id].severity, _state_then(listed[one.client_id].state, one, until < today),
            *one[2:],
        )
        for one in found.related
        if one.client_id in listed
    ]  # fmt: skip
    return ClientRelations(client_id, until, found.groups, tuple(related))


def _state_then(state: str, one: RelatedClient, is_past: bool) -> str | None:
    if not is_past:
        return state
    return CONFIRMED if one.is_confirmed else None


def _with_meter_names(store: Store, invoices: list[InvoiceLine]) -> list[InvoiceLine]:
    """The invoices with the names of meters whose numbers are texts."""
    meters = {invoice.meter_id for invoice in invoices if invoice.meter_id is not None}
    names = store.code_names(("meter_id",), meters).by_column.get("meter_id", {})
    return [invoice._replace(meter_id=names.get(invoice.meter_id, invoice.meter_id)) for invoice in invoices]


def consumption_history(series: Series) -> ConsumptionHistory:
    """A stored series with rounded values, None for missing ones."""
    kwh = [None if value != value else round(value, 3) for value in series.kwh.tolist()]
    return ConsumptionHistory(series.step, series.first_on, kwh)


def invoice_lines(history: np.ndarray) -> list[InvoiceLine]:
    """The packed invoices of a client, each with the issues that check_invoices finds."""
    names = [name for name in history.dtype.names if name not in ("day", "energy")]
    rows = zip(*(history[name].tolist() for name in ("day", "energy", *names)), strict=True)
    return [
        InvoiceLine(
            invoice_on=EPOCH + timedelta(days=day),
            energy=ENERGIES[energy],
            findings=tuple(findings),
            **{name: None if value != value else value for name, value in zip(names, values, strict=True)},
        )
        for (day, energy, *values), findings in zip(rows, check_invoices(history), strict=True)
    ]
