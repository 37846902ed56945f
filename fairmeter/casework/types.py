"""Alerts, cases, moves, inspections, crews, plans, campaigns, comments: the records that casework is about."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Alert:
    """The system's advice to look at a client. A client has at most one open alert, which a new scoring updates.

    state: open, snoozed (until snoozed_until), dismissed, in case (a user works on it), lapsed (no rule fires any
    more). rules: the rules that fired, each {"rule", "severity", "sentence", "fact", "value", "limit"}; the score
    itself is the rule "score". assignee: the user who is to look at it, before there is a case.
    """

    alert_id: int
    client_id: str
    severity: str
    state: str
    rules: tuple[dict, ...]
    raised_at: datetime
    updated_at: datetime
    region: float | None = None
    probability: float | None = None
    assignee: str | None = None
    snoozed_until: date | None = None


@dataclass(frozen=True, slots=True)
class AlertAction:
    """What a user did about an alert: dismissed, snoozed (until a day), assigned, reopened; and why."""

    action_id: int
    alert_id: int
    action: str
    user: str
    why: str
    assignee: str | None
    until: date | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """A user's work on a client. version: number of its moves; a move must name the version that it changes.

    planned_on, crew: of the next visit, where one is planned. revisit_on: the day to come back, after a visit at which
    nobody could see the meter; its outcome is then that of the open case.
    """

    case_id: int
    client_id: str
    state: str
    version: int
    severity: str
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    assignee: str | None = None
    outcome: str | None = None
    closed_at: datetime | None = None
    alert_id: int | None = None
    is_random: bool = False
    region: float | None = None
    planned_on: date | None = None
    crew: str | None = None
    revisit_on: date | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a case's state: by whom, when and why. seq counts all moves, version those of the case."""

    seq: int
    case_id: int
    version: int
    from_state: str | None
    to_state: str
    user: str
    why: str
    assignee: str | None
    outcome: str | None
    at: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """A visit and its outcome, with severity, probability, reason group and region as of the opening of the case.

    recovered_kwh, recovered_value: billed after confirmation; photos: file names. crew: that went, where one was
    planned; patterns: of the client's anomalies when the visit was recorded. fraud_type, seal, index_read: what was
    noted; sent_key: the phone's own key of the visit.
    """

    inspection_id: int
    case_id: int | None
    client_id: str
    inspected_on: date
    outcome: str
    user: str
    is_random: bool
    recorded_at: datetime
    note: str = ""
    recovered_kwh: float | None = None
    recovered_value: float | None = None
    photos: tuple[str, ...] = ()
    severity: str | None = None
    probability: float | None = None
    reason_group: str | None = None
    region: float | None = None
    crew: str | None = None
    patterns: tuple[str, ...] = ()
    fraud_type: str | None = None
    seal: str | None = None
    index_read: float | None = None
    sent_key: str | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """What a user wrote about a case. mentions: names of users in it, each written as @name."""

    comment_id: int
    case_id: int
    user: str
    text: str
    mentions: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class UserNotice:
    """What one user is to notice at the desk: the bell. kind: mention, assigned. read_at: None while it is unread."""

    notice_id: int
    user: str
    kind: str
    case_id: int | None
    comment_id: int | None
    alert_id: int | None
    sent_by: str
    at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Crew:
    """People who go out together. capacity: visits a day; base_place, latitude, longitude: where their day begins.

    members: names of users, who see the crew's visits in the field; may be empty.
    """

    crew_id: int
    name: str
    base_place: str
    latitude: float | None
    longitude: float | None
    capacity: int
    is_active: bool
    created_at: datetime
    members: tuple[str, ...] = ()


class PlanVisit(NamedTuple):
    """One visit of a plan. is_fixed: stays where it is when the day is planned anew; is_random: for comparison.

    case_id: the client's case, from the plan's publication on.
    """

    client_id: str
    is_fixed: bool = False
    is_random: bool = False
    case_id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The visits of a crew on a day, in their order. A draft until it is published; version counts its changes."""

    plan_id: int
    planned_on: date
    crew_id: int
    crew: str
    version: int
    note: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    published_by: str | None
    visits: tuple[PlanVisit, ...] = ()

    @property
    def is_published(self) -> bool:
        return self.published_at is not None


@dataclass(frozen=True, slots=True)
class Campaign:
    """Inspections of a period, and of a region if one is given. [both days inclusive; costs in the desk's currency]

    choice: visits that count: list (chosen), random, both. random_share: share of visits that is to be random.
    """

    campaign_id: int
    name: str
    since: date
    until: date
    choice: str
    random_share: float | None
    region: float | None
    cost_per_visit: float
    price_per_kwh: float
    note: str
    created_by: str
    created_at: datetime


class ChainBreak(NamedTuple):
    """The first move of the chain that differs from what was written, and what is wrong with it."""

    seq: int
    text: str
