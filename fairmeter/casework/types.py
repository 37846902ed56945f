"""Alerts, cases, their moves, and inspections: the records that the rules of casework work on."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Alert:
    """The system's advice to look at a client. A client has at most one open alert, which a new scoring updates.

    state: open, in case (a user works on it), lapsed (no rule fires any more). rules: the rules that fired, each
    {"rule", "severity", "sentence", "fact", "value", "limit"}; the score itself is the rule "score".
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


@dataclass(frozen=True, slots=True)
class Case:
    """A user's work on a client. version: number of its moves; a move must name the version that it changes."""

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

    recovered_kwh, recovered_value: billed after confirmation; photos: file names.
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


class ChainBreak(NamedTuple):
    """The first move of the chain that differs from what was written, and what is wrong with it."""

    seq: int
    text: str
