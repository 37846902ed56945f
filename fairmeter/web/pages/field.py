"""Visits on a phone: whom to see next, and what was found, in three taps.

In:  the cases that somebody has; what a visit found, sent once the phone has a connection, maybe twice.
Out: the page at /desk/field; an inspection for each visit, once, however often it is sent.
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
from fairmeter.web.desk_api import requests as asks
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.cases import found_or_404, me
from fairmeter.web.pages.forms import assignable_users, check_not_in_future, parse_form
from fairmeter.web.pages.site import Site, render, static

MOST = 40  # visits of one person; more is no day's work
SAVED, ALREADY = "saved", "already"
Place = tuple[float, float] | None  # latitude, longitude


class FieldVisit(NamedTuple):
    """A case to go to; place is None where nobody knows it."""

    case: Case
    profile: Profile | None
    place: Place


class RecordedVisit(asks.NewInspection):
    """What was found, and who had the case when the phone last heard of it."""

    assignee: asks.Name


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/field")
    def field():
        whose = request.args.get("of") or me(site)
        visits = visits_of(store, whose)
        data = {"whose": whose, "texts": i18n.texts_below("field.script"), "outcomes": i18n.texts_below("outcome")}
        return render(
            "field.html",
            visits=visits,
            whose=whose,
            me=me(site),
            people=assignable_users(site.desk),
            outcomes=OUTCOMES,
            takes_photos=site.desk.photos.folder is not None,
            data=data,
            now=datetime.now(UTC),
        )

    @site.page("/worker.js", ANYBODY)
    def worker():
        # Not among the files: a worker sees to pages below its own address alone, and is asked for anew each time.
        return static("", "worker.js", is_kept=False)

    @site.page("/field/<int:case_id>", INVESTIGATOR, methods=("POST",))
    def field_record(case_id: int):
        try:
            given = request.get_json(silent=True)
            given = given if isinstance(given, dict) else {}
            photos = given.pop("photos", [])
            found = parse_form(RecordedVisit, {name: str(value) for name, value in given.items()}, photos=photos)
            check_not_in_future(found.inspected_on, site.settings.time_zone)
            return jsonify(state=recorded(site.desk, case_id, me(site), found))
        except StoreUnavailable:
            raise
        except (CaseError, StoreError, Problem, RequestEntityTooLarge) as error:
            return jsonify(message=error_pages.sentence_of(error)), error_pages.meant(error)[0]


def visits_of(store: Store, whose: str) -> list[FieldVisit]:
    """Whom they have to see, in the order of the way."""
    found = [
        case
        for state in (INSPECTING, ASSIGNED)
        for case in store.list_cases(state=state, assignee=whose, sort="severity", limit=MOST).rows
    ][:MOST]
    profiles = [store.find_profile(case.client_id) for case in found]
    visits = [FieldVisit(case, profile, place_of(profile)) for case, profile in zip(found, profiles, strict=True)]
    return [visits[i] for i in on_the_way([visit.place for visit in visits])]


def place_of(profile: Profile | None) -> Place:
    client: dict[str, Any] = profile.client if profile else {}
    place = client.get("latitude"), client.get("longitude")
    return None if None in place else place


def on_the_way(places: Sequence[Place]) -> list[int]:
    """From the first place always to the nearest one that is left; those without a place come last, as they were."""
    left = [i for i, place in enumerate(places) if place]
    way = left[:1]
    left = left[1:]
    while left:
        way.append(min(left, key=lambda i: squared_degrees(places[way[-1]], places[i])))
        left.remove(way[-1])
    return way + [i for i, place in enumerate(places) if not place]


def recorded(desk: DeskService, case_id: int, user: str, found: RecordedVisit) -> str:
    """SAVED; ALREADY where the same user sent the same outcome before: a phone that heard no answer sends again.

    Raises CaseNotFound, CaseTaken, Problem.
    """
    store = desk.store
    case = found_or_404(store, case_id)
    if case.state == CLOSED and case.outcome == found.outcome and store.moves_of(case_id)[-1].user == user:
        return ALREADY
    if case.assignee != found.assignee or case.state not in (ASSIGNED, INSPECTING):
        raise case_taken_error(case)
    with desk.photos.saved(found.photos) as names:
        if case.state == ASSIGNED:
            case = store.move_case(case_id, INSPECTING, user, i18n.text("field.why"), version=case.version)
        more = {"note": found.note, "version": case.version, "photos": names}
        store.record_inspection(case_id, found.outcome, found.inspected_on, user, **more)
    return SAVED
