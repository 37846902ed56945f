"""Rules of alerts, cases and inspections, without a database."""

from fairmeter.casework.alert_rules import AlertRules, read_rules
from fairmeter.casework.types import Alert, Case, Inspection, Move
from fairmeter.casework.workflow import (
    MOVES,
    OUTCOMES,
    CaseError,
    CaseNotFound,
    CaseTaken,
    ClientHasCase,
    ClientNotFound,
    MoveNotAllowed,
)

__all__ = [
    "MOVES",
    "OUTCOMES",
    "Alert",
    "AlertRules",
    "Case",
    "CaseError",
    "CaseNotFound",
    "CaseTaken",
    "ClientHasCase",
    "ClientNotFound",
    "Inspection",
    "Move",
    "MoveNotAllowed",
    "read_rules",
]
