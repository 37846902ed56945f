"""Rows of clients with the one state that every page, answer and export shows, and the rule that speaks first.

In:  rows of the store, the desk's service with its rules.
Out: ListedClient. Where a case decides the state there is no recommendation: a confirmed client needs no inspection.
     Counts of the same filters, so that a figure and the list behind it agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fairmeter.casework.alert_rules import SCORE
from fairmeter.casework.client_state import OPEN_STATES, WORK_STATES, WorkState, client_state
from fairmeter.casework.types import Alert
from fairmeter.core.types import INSPECT_NOW, NEXT_ROUND, NOT_ENOUGH, WATCH
from fairmeter.desk.service import DeskService
from fairmeter.store import BadQuery, Page, ProfileRow

CANDIDATE, IN_WORK = "candidate", "in work"  # no case decides; a case is open
RECOMMENDATIONS = (INSPECT_NOW, NEXT_ROUND, WATCH, NOT_ENOUGH)
STATE_FILTERS = (CANDIDATE, IN_WORK, *WORK_STATES, *RECOMMENDATIONS)


@dataclass(frozen=True, slots=True)
class ListedClient(ProfileRow):
    """A client in a list with its state (fairmeter/casework/client_state.py), and its alert if one counts.

    work: what a case decides, None for a candidate. alert: the open one, else that of the open case.
    """

    state: str = ""
    work: WorkState | None = None
    alert: Alert | None = None

    @property
    def state_on(self) -> date | None:
        """The day of the plan, of coming back, or of the visit that ended the case."""
        return self.work and self.work.on

    @property
    def state_who(self) -> str | None:
        """The crew of the planned visit, or the user that has the case."""
        return self.work and self.work.who

    @property
    def state_until(self) -> date | None:
        """The first day on which the client can be a candidate again."""
        return self.work and self.work.until

    @property
    def state_why(self) -> str | None:
        """Why the client is no candidate, as a clause."""
        return self.work and self.work.why

    @property
    def case_id(self) -> int | None:
        """The case that decides the state."""
        return self.work and self.work.case_id

    @property
    def first_rule(self) -> dict[str, Any] | None:
        """The rule that speaks first (first_rule_of)."""
        return self.alert and first_rule_of(self.alert)

    @property
    def first_reason(self) -> str | None:
        """The sentence of the rule that speaks first; None without an alert."""
        return self.first_rule and self.first_rule["sentence"]


def first_rule_of(alert: Alert) -> dict[str, Any]:
    """The rule that speaks first on lists, case and client page: the most severe one.

    Of equally severe ones a rule on a fact or an anomaly goes before the score, whose reasons are shown anyway.
    """
    most = alert.rules[0]["severity"]
    return next((rule for rule in alert.rules if rule["severity"] == most and rule["rule"] != SCORE), alert.rules[0])


def list_clients(desk: DeskService, *, state: str | None = None, **options: Any) -> Page:
    """A page of ListedClient. [state: of STATE_FILTERS; options: as Store.list_profiles takes them] Raises BadQuery."""
    page = desk.store.list_profiles(**options, **state_filter(desk, state))
    return page._replace(rows=with_states(desk, page.rows))


def count_clients(desk: DeskService, *, state: str | None = None, **filters: Any) -> int:
    """Number of clients that list_clients lists with the same filters. Raises BadQuery."""
    return desk.store.count_profiles(**filters, **state_filter(desk, state))


def state_filter(desk: DeskService, state: str | None) -> dict[str, Any]:
    """Filters of the store for clients of a state. Raises BadQuery.

    candidate: no case decides; in work: a case is open; a state of a case; or a recommendation without a case.
    """
    if state is None:
        return {}
    if state not in STATE_FILTERS:
        raise BadQuery("state", f"state is {state!r}; use one of {', '.join(STATE_FILTERS)}.")
    decided = desk.store.work_states(desk.rules)
    if state == CANDIDATE:
        return {"left_out": decided.keys()}
    if state in RECOMMENDATIONS:
        return {"left_out": decided.keys(), "recommendation": state}
    wanted = OPEN_STATES if state == IN_WORK else (state,)
    return {"among": [client_id for client_id, work in decided.items() if work.state in wanted]}


def with_states(desk: DeskService, rows: Sequence[ProfileRow]) -> list[ListedClient]:
    """The rows with the state and the alert of each client."""
    ids = [row.client_id for row in rows]
    found, alerts = desk.store.work_states(desk.rules, ids=ids), desk.store.alerts_of(ids)
    names = ProfileRow.__dataclass_fields__
    listed = []
    for row in rows:
        work = found.get(row.client_id)
        values = {name: getattr(row, name) for name in names}
        values["recommendation"] = None if work else row.recommendation
        state = client_state(work, row.recommendation)
        listed.append(ListedClient(**values, state=state, work=work, alert=alerts.get(row.client_id)))
    return listed
