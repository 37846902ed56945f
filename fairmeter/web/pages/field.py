"""The field page: a crew's visits on a phone, and a form that records each in three taps.

In:  the open cases of a user; the result of a visit, sent once the phone has a connection, possibly twice.
Out: the page at /desk/field; one inspection for each visit, however often it is sent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.casework.types import Case
from fairmeter.casework.workflow import ASSIGNED, CLOSED, INSPECTING, OUTCOMES, CaseError
from fairmeter.core.geo import squared_degrees
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import Profile, Store, StoreError, StoreUnavailable
from fairmeter.store.cases import case_taken_error
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.cases import find_case_or_raise, signature_of
from fairmeter.web.pages.forms import assignable_users, check_not_in_future, parse_form
from fairmeter.web.pages.site import Site, render, static

MAX_VISITS = 40  # of one user; more than a day's work
SAVED, ALREADY_SAVED = "saved", "already"
Place = tuple[float, float] | None  # latitude, longitude


class FieldVisit(NamedTuple):
    """A case to visit; place is None for a client without coordinates."""

    case: Case
    profile: Profile | None
    place: Place


class RecordedVisit(requests.NewInspection):
    """The result of a visit, with the assignee that the phone last received."""

    assignee: requests.Name


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/field")
    def field():
        whose = request.args.get("of") or signature_of(site)
        visits = planned_visits(store, whose)
        data = {"whose": whose, "texts": i18n.texts_below("field.script"), "outcomes": i18n.texts_below("outcome")}
        return render(
            "field.html",
            visits=visits,
            whose=whose,
            me=signature_of(site),
            people=assignable_users(site.desk),
            outcomes=OUTCOMES,
            takes_photos=site.desk.photos.folder is not None,
            data=data,
            now=datetime.now(UTC),
        )

    @site.page("/worker.js", ANYBODY)
    def worker():
        # A route of its own: a service worker controls only pages below its address, and must not be cached.
        return static("", "worker.js", is_cached=False)

    @site.page("/field/<int:case_id>", INVESTIGATOR, methods=("POST",))
    def field_record(case_id: int):
        try:
            body = request.get_json(silent=True)
            body = body if isinstance(body, dict) else {}
            photos = body.pop("photos", [])
            visit = parse_form(RecordedVisit, {name: str(value) for name, value in body.items()}, photos=photos)
            check_not_in_future(visit.inspected_on, site.settings.time_zone)
            return jsonify(state=record_visit(site.desk, case_id, signature_of(site), visit))
        except StoreUnavailable:
            raise
        except (CaseError, StoreError, Problem, RequestEntityTooLarge) as error:
            return jsonify(message=error_pages.error_sentence(error)), error_pages.describe_error(error)[0]


def planned_visits(store: Store, whose: str) -> list[FieldVisit]:
    """The open visits of a user, in visiting order."""
    cases = [
        case
        for state in (INSPECTING, ASSIGNED)
        for case in store.list_cases(state=state, assignee=whose, sort="severity", limit=MAX_VISITS).rows
    ][:MAX_VISITS]
    profiles = [store.find_profile(case.client_id) for case in cases]
    visits = [FieldVisit(case, profile, location_of(profile)) for case, profile in zip(cases, profiles, strict=True)]
    return [visits[i] for i in visiting_order([visit.place for visit in visits])]


def location_of(profile: Profile | None) -> Place:
    """Latitude and longitude of a client. [degrees]"""
    client: dict[str, Any] = profile.client if profile else {}
    place = client.get("latitude"), client.get("longitude")
    return None if None in place else place


def visiting_order(places: Sequence[Place]) -> list[int]:
    """Indices in the order of a route from the first place always to the nearest one left (nearest neighbour).

    Visits without a place come last, in their order.
    """
    left = [i for i, place in enumerate(places) if place]
    route = left[:1]
    left = left[1:]
    while left:
        route.append(min(left, key=lambda i: squared_degrees(places[route[-1]], places[i])))
        left.remove(route[-1])
    return route + [i for i, place in enumerate(places) if not place]


def record_visit(desk: DeskService, case_id: int, user: str, visit: RecordedVisit) -> str:
    """Record a visit. [SAVED, or ALREADY_SAVED where the same user sent the same outcome before]

    A phone that received no answer sends again. Raises CaseNotFound, CaseTaken, Problem.
    """
    store = desk.store
    case = find_case_or_raise(store, case_id)
    if case.state == CLOSED and case.outcome == visit.outcome and store.moves_of(case_id)[-1].user == user:
        return ALREADY_SAVED
    if case.assignee != visit.assignee or case.state not in (ASSIGNED, INSPECTING):
        raise case_taken_error(case)
    with desk.photos.saved(visit.photos) as names:
        if case.state == ASSIGNED:
            case = store.move_case(case_id, INSPECTING, user, i18n.text("field.why"), version=case.version)
        more = {"note": visit.note, "version": case.version, "photos": names}
        store.record_inspection(case_id, visit.outcome, visit.inspected_on, user, **more)
    return SAVED
