"""The one state of a client: what its last case says, or where that says nothing, what its score recommends.

In:  a client's last case with its last visit, the moment of its score, the rules' quiet days; the recommendation.
Out: WorkState, and the state that every page, answer and export shows.

    new          a case is open, and nobody has it
    assigned     somebody has the case, without a day
    planned      the visit has a day (`on`) and a crew (`who`)
    inspecting   the crew is there: in visit
    revisit      nobody had access; come back on `on`
    confirmed, fault, cleared, refused, no_access, closed (without a visit)
                 of late: no candidate before `until`, and before it is scored anew
    inspect now, next round, watch, not enough data
                 no case decides: what the score recommends
"""

from datetime import date, datetime
from typing import NamedTuple

from fairmeter.casework.alert_rules import AlertRules, quiet_until
from fairmeter.casework.workflow import CLOSED, INSPECTING, METER_SEEN
from fairmeter.core.types import NOT_ENOUGH

PLANNED, REVISIT = "planned", "revisit"  # states of clients that cases do not have
OPEN_STATES = ("new", "assigned", PLANNED, "inspecting", REVISIT)
ENDED_STATES = ("confirmed", "fault", "cleared", "refused", "no_access", CLOSED)
WORK_STATES = (*OPEN_STATES, *ENDED_STATES)  # of clients that are no candidates


class LastCase(NamedTuple):
    """A client's last case, its last visit, and when the client was scored, each None where there is none."""

    case_id: int
    state: str
    outcome: str | None
    closed_at: datetime | None
    inspected_on: date | None
    scored_at: datetime | None
    assignee: str | None = None
    planned_on: date | None = None
    crew: str | None = None
    revisit_on: date | None = None


class WorkState(NamedTuple):
    """What a case decides of its client, which then is no candidate for a visit.

    state: one of WORK_STATES. why: the clause that says so. on: day of the plan, of coming back, or of the visit.
    who: crew, or user that has the case. until: first day on which it can be a candidate again; None while the case is
    open, or where it has to be scored anew first.
    """

    state: str
    why: str
    on: date | None = None
    who: str | None = None
    until: date | None = None
    case_id: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether a case is open; otherwise it ended of late."""
        return self.state in OPEN_STATES


def work_state(case: LastCase, rules: AlertRules, today: date) -> WorkState | None:
    """What the case decides; None where the score counts again, after the quiet days.

    A score of before the meter was seen says nothing any more, however long ago that was.
    """
    return _open_state(case) if case.state != CLOSED else _ended_state(case, rules, today)


def _open_state(case: LastCase) -> WorkState:
    why, who = f"case {case.case_id} is open", case.crew or case.assignee
    if case.state == INSPECTING:
        return WorkState(case.state, why, case.planned_on, who, case_id=case.case_id)
    if case.planned_on:
        return WorkState(PLANNED, f"planned for {case.planned_on}", case.planned_on, who, case_id=case.case_id)
    if case.revisit_on:
        return WorkState(REVISIT, f"to revisit on {case.revisit_on}", case.revisit_on, who, case_id=case.case_id)
    return WorkState(case.state, why, None, who, case_id=case.case_id)


def _ended_state(case: LastCase, rules: AlertRules, today: date) -> WorkState | None:
    ended_on = case.inspected_on or case.closed_at.date()
    until = quiet_until(rules, case.outcome, ended_on)
    is_outdated = case.outcome in METER_SEEN and case.scored_at is not None and case.scored_at <= case.closed_at
    if today >= until and not is_outdated:
        return None
    what = f"inspected on {ended_on}: {case.outcome}" if case.outcome else f"case {case.case_id} closed on {ended_on}"
    why = f"in peace until {until}" if today < until else "not scored since"
    return WorkState(
        case.outcome or CLOSED,
        f"{what}; {why}",
        ended_on,
        case.assignee,
        until if today < until else None,
        case.case_id,
    )


def client_state(work: WorkState | None, recommendation: str | None) -> str:
    """The state of a client: what its case decides, else its recommendation."""
    return work.state if work is not None else recommendation or NOT_ENOUGH
