"""The one state of a client: what its last case says, or where that says nothing, what its score recommends.

In:  a client's last case with its outcome, the moment of its score, the rules' quiet days; the recommendation.
Out: WorkState, and the state that every page, answer and export shows.
"""

from datetime import date, datetime
from typing import NamedTuple

from fairmeter.casework.alert_rules import AlertRules, quiet_until
from fairmeter.casework.workflow import CLOSED, METER_SEEN
from fairmeter.core.types import NOT_ENOUGH


class LastCase(NamedTuple):
    """A client's last case, the visit that closed it, and when the client was scored, each None where there is none."""

    case_id: int
    state: str
    outcome: str | None
    closed_at: datetime | None
    inspected_on: date | None
    scored_at: datetime | None


class WorkState(NamedTuple):
    """What a case decides of its client: its state while it is open, then the outcome, or "closed" without a visit.

    why: the clause that says so.
    """

    state: str
    why: str


def work_state(case: LastCase, rules: AlertRules, today: date) -> WorkState | None:
    """What the case decides; None where the score counts again, after the quiet days.

    A score of before the meter was seen says nothing any more, however long ago that was.
    """
    if case.state != CLOSED:
        return WorkState(case.state, f"case {case.case_id} is open")
    ended_on = case.inspected_on or case.closed_at.date()
    until = quiet_until(rules, case.outcome, ended_on)
    is_outdated = case.outcome in METER_SEEN and case.scored_at is not None and case.scored_at <= case.closed_at
    if today >= until and not is_outdated:
        return None
    what = f"inspected on {ended_on}: {case.outcome}" if case.outcome else f"case {case.case_id} closed on {ended_on}"
    why = f"in peace until {until}" if today < until else "not scored since"
    return WorkState(case.outcome or CLOSED, f"{what}; {why}")


def client_state(work: WorkState | None, recommendation: str | None) -> str:
    """The state of a client: what its case decides, else its recommendation."""
    return work.state if work is not None else recommendation or NOT_ENOUGH
