"""The visits of a user and of its crews, by day, each day in the order of its plan or in a short one.

In:  the store; a user's or a crew's name.
Out: VisitDay with its FieldVisits.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from math import nan
from typing import Any, NamedTuple

import numpy as np

from fairmeter.casework.types import Case
from fairmeter.casework.workflow import ASSIGNED, INSPECTING
from fairmeter.core.types import Anomaly
from fairmeter.planning.route_order import visiting_order
from fairmeter.store import Profile, Store

MAX_VISITS = 60  # of one user: a day's work of three crews
AHEAD = timedelta(days=14)  # days whose visits a phone has with it
ELECTRICITY = 0  # by packing.INVOICE_DTYPE
EPOCH = date(1970, 1, 1)
Place = tuple[float, float] | None  # latitude, longitude


class MeterIndex(NamedTuple):
    """The last billed index of a client's meter. [number: as the utility numbers meters]"""

    number: float
    index: float | None
    on: date


class FieldVisit(NamedTuple):
    """A case to visit; place is None for a client without coordinates, meter None without an invoice of it."""

    case: Case
    profile: Profile | None
    place: Place
    meter: MeterIndex | None

    @property
    def reason_groups(self) -> list[str]:
        """The evidence groups that raise the score, the strongest first."""
        return [reason.group for reason in self.profile.score.reasons if reason.effect > 0] if self.profile else []

    @property
    def anomalies(self) -> Sequence[Anomaly]:
        return self.profile.score.anomalies if self.profile else ()


class VisitDay(NamedTuple):
    """The visits of a day in order. on: None for those that have no day."""

    on: date | None
    visits: list[FieldVisit]


def visits_by_day(store: Store, whose: str, today: date) -> list[VisitDay]:
    """The open visits of a user and of the crews that it belongs to; what is late is of today."""
    names = [whose, *store.crews_of_user(whose)]
    cases = [
        case
        for state in (INSPECTING, ASSIGNED)
        for case in store.list_cases(state=state, assigned_to=names, sort="severity", limit=MAX_VISITS).rows
    ]
    by_day: dict[date | None, list[Case]] = defaultdict(list)
    for case in cases[:MAX_VISITS]:
        by_day[day_of(case, today)].append(case)
    days = sorted(by_day, key=lambda on: on or today)
    return [VisitDay(on, _in_order(store, by_day[on])) for on in days if on is None or on <= today + AHEAD]


def day_of(case: Case, today: date) -> date | None:
    """The day of a case's next visit, today where it is late; None where it has none."""
    on = case.planned_on or case.revisit_on
    return None if on is None else max(on, today)


def _in_order(store: Store, cases: Sequence[Case]) -> list[FieldVisit]:
    """Visits in the order of their plans, then the others in a short order."""
    visits = [field_visit(store, case) for case in cases]
    planned = _plan_positions(store, cases)
    first = sorted((v for v in visits if v.case.case_id in planned), key=lambda visit: planned[visit.case.case_id])
    others = [visit for visit in visits if visit.case.case_id not in planned]
    places = [visit.place or (nan, nan) for visit in others]
    return first + ([others[i] for i in visiting_order(*zip(*places, strict=True))] if others else [])


def _plan_positions(store: Store, cases: Sequence[Case]) -> dict[int, tuple]:
    """Day, crew and place in the plan by case_id, of the cases that a plan has."""
    days = [case.planned_on for case in cases if case.planned_on]
    plans = store.list_plans(min(days), max(days)) if days else []
    return {
        visit.case_id: (plan.planned_on, plan.crew, position)
        for plan in plans
        for position, visit in enumerate(plan.visits)
        if visit.case_id
    }


def field_visit(store: Store, case: Case) -> FieldVisit:
    """The visit of a case with what a crew has to know of its client."""
    profile = store.find_profile(case.client_id)
    return FieldVisit(case, profile, location_of(profile), last_index(profile))


def location_of(profile: Profile | None) -> Place:
    """Latitude and longitude of a client. [degrees]"""
    client: dict[str, Any] = profile.client if profile else {}
    place = client.get("latitude"), client.get("longitude")
    return None if None in place else place


def last_index(profile: Profile | None) -> MeterIndex | None:
    """The last index that was billed for electricity; None without an invoice that names a meter."""
    if profile is None or profile.invoices is None:
        return None
    rows = profile.invoices
    rows = rows[(rows["energy"] == ELECTRICITY) & ~np.isnan(rows["meter_id"])]
    if not len(rows):
        return None
    last = rows[-1]
    index = float(last["new_index"])
    return MeterIndex(float(last["meter_id"]), None if np.isnan(index) else index, EPOCH + timedelta(int(last["day"])))
