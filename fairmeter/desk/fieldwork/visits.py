"""The visits that a user has to make, in a short order.

In:  the store; a user's name.
Out: FieldVisit.
"""

from math import nan
from typing import Any, NamedTuple

from fairmeter.casework.types import Case
from fairmeter.casework.workflow import ASSIGNED, INSPECTING
from fairmeter.planning.route_order import visiting_order
from fairmeter.store import Profile, Store

MAX_VISITS = 40  # of one user; more than a day's work
Place = tuple[float, float] | None  # latitude, longitude


class FieldVisit(NamedTuple):
    """A case to visit; place is None for a client without coordinates."""

    case: Case
    profile: Profile | None
    place: Place


def planned_visits(store: Store, whose: str) -> list[FieldVisit]:
    """The open visits of a user, in visiting order."""
    cases = [
        case
        for state in (INSPECTING, ASSIGNED)
        for case in store.list_cases(state=state, assignee=whose, sort="severity", limit=MAX_VISITS).rows
    ][:MAX_VISITS]
    profiles = [store.find_profile(case.client_id) for case in cases]
    visits = [FieldVisit(case, profile, location_of(profile)) for case, profile in zip(cases, profiles, strict=True)]
    places = [visit.place or (nan, nan) for visit in visits]
    return [visits[i] for i in visiting_order(*zip(*places, strict=True))] if visits else []


def location_of(profile: Profile | None) -> Place:
    """Latitude and longitude of a client. [degrees]"""
    client: dict[str, Any] = profile.client if profile else {}
    place = client.get("latitude"), client.get("longitude")
    return None if None in place else place
