"""Changes of a day's plans by hand: move, fix, take out or add a visit.

In:  the plans of a day, the wanted change.
Out: the visits of the crews that change, for Store.save_plans.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from fairmeter.casework.types import Plan, PlanVisit
from fairmeter.store import PlanChanged

Act = Literal["move", "earlier", "later", "fix", "free", "remove", "add"]
Visits = dict[int, list[PlanVisit]]  # by crew_id


class DayChange(NamedTuple):
    """A change. crew_id: where a visit is moved or added; position: from 0, None for the end."""

    act: Act
    client_id: str
    crew_id: int | None = None
    position: int | None = None


def changed_visits(plans: Sequence[Plan], change: DayChange) -> Visits:
    """The visits of the crews that change, after the change. Raises PlanChanged.

    A visit that is moved or added by hand is fixed from then on.
    """
    visits = {plan.crew_id: list(plan.visits) for plan in plans}
    if change.act == "add":
        return _inserted(visits, PlanVisit(change.client_id, is_fixed=True), change)
    crew_id, at = _found(visits, change.client_id)
    visit = visits[crew_id][at]
    match change.act:
        case "earlier" | "later":
            _shift(visits[crew_id], at, -1 if change.act == "earlier" else 1)
        case "fix" | "free":
            visits[crew_id][at] = visit._replace(is_fixed=change.act == "fix")
        case "remove":
            del visits[crew_id][at]
        case "move":
            del visits[crew_id][at]
            to = crew_id if change.crew_id is None else change.crew_id
            moved = _inserted(visits, visit._replace(is_fixed=True), change._replace(crew_id=to))
            return {crew_id: visits[crew_id], **moved}
    return {crew_id: visits[crew_id]}


def _found(visits: Visits, client_id: str) -> tuple[int, int]:
    """Crew and place of a client's visit."""
    for crew_id, of_crew in visits.items():
        for at, visit in enumerate(of_crew):
            if visit.client_id == client_id:
                return crew_id, at
    raise PlanChanged(f"Client {client_id!r} is not planned on this day any more. Load the day again.")


def _shift(visits: list[PlanVisit], at: int, step: int) -> None:
    to = min(max(at + step, 0), len(visits) - 1)
    visits.insert(to, visits.pop(at))


def _inserted(visits: Visits, visit: PlanVisit, change: DayChange) -> Visits:
    of_crew = visits.get(change.crew_id, [])
    at = len(of_crew) if change.position is None else min(max(change.position, 0), len(of_crew))
    return {change.crew_id: [*of_crew[:at], visit, *of_crew[at:]]}
