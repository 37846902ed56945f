"""Figures of the desk, each with the list behind it: one set of filters for the count and for the rows.

In:  the service; the user that looks.
Out: Figure. A page shows `count` and links to the page of `list_name` with `filters`; the API takes the same filters.
"""

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from fairmeter.casework.client_state import REVISIT
from fairmeter.casework.workflow import ASSIGNED
from fairmeter.core.types import INSPECT_NOW, SEVERITIES
from fairmeter.desk.client_states import CANDIDATE, IN_WORK, count_clients
from fairmeter.desk.service import DeskService

ALERTS, CASES, CLIENTS = "alerts", "cases", "clients"  # lists behind figures: routes of the API


class Figure(NamedTuple):
    """A count, and the list that it counts.

    list_name: alerts, cases or clients; filters: of that list's query (web/desk_api/requests.py), texts and days.
    """

    name: str
    count: int
    list_name: str
    filters: dict[str, Any]


def figures_of(desk: DeskService, user: str, today: date | None = None) -> list[Figure]:
    """The figures of the desk for a user.

    alerts, alerts.SEVERITY: open ones; alerts.mine: assigned to the user; cases.open; cases.mine: open, of the user;
    cases.due: planned or to come back until today; clients, clients.SEVERITY; clients.candidates: no case decides;
    clients.inspect_now; clients.in_work; clients.revisit: to come back after a visit without access.
    """
    today = today or datetime.now(UTC).date()
    severities = [(f".{name}", {"severity": name}) for name in SEVERITIES]
    wanted = [
        *((ALERTS + end, ALERTS, filters) for end, filters in [("", {}), *severities]),
        ("alerts.mine", ALERTS, {"assignee": user}),
        ("cases.open", CASES, {"is_open": True}),
        ("cases.mine", CASES, {"is_open": True, "assignee": user}),
        ("cases.due", CASES, {"is_open": True, "due_until": today}),
        ("cases.assigned", CASES, {"state": ASSIGNED}),
        *((CLIENTS + end, CLIENTS, filters) for end, filters in [("", {}), *severities]),
        ("clients.candidates", CLIENTS, {"state": CANDIDATE}),
        ("clients.inspect_now", CLIENTS, {"state": INSPECT_NOW}),
        ("clients.in_work", CLIENTS, {"state": IN_WORK}),
        ("clients.revisit", CLIENTS, {"state": REVISIT}),
    ]
    return [Figure(name, count_of(desk, list_name, filters), list_name, filters) for name, list_name, filters in wanted]


def count_of(desk: DeskService, list_name: str, filters: dict[str, Any]) -> int:
    """Number of rows of a list with these filters. Raises BadQuery."""
    if list_name == ALERTS:
        return desk.store.count_listed_alerts(**filters)
    return desk.store.count_listed_cases(**filters) if list_name == CASES else count_clients(desk, **filters)
