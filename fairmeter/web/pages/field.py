"""The field page: a crew's visits on a phone, and a form that records each in three taps.

In:  the open cases of a user; the result of a visit, sent once the phone has a connection, possibly twice.
Out: the page at /desk/field; one inspection for each visit, however often it is sent.
"""

from datetime import UTC, datetime

from flask import jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.casework.workflow import ASSIGNED, INSPECTING, OUTCOMES, CaseError
from fairmeter.desk.fieldwork.visits import planned_visits
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.store.cases import case_taken_error
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.cases import find_case_or_raise, signature_of
from fairmeter.web.pages.forms import assignable_users, check_not_in_future, parse_form
from fairmeter.web.pages.site import Site, render, static

SAVED, ALREADY_SAVED = "saved", "already"


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


def record_visit(desk: DeskService, case_id: int, user: str, visit: RecordedVisit) -> str:
    """Record a visit. [SAVED, or ALREADY_SAVED where the same user sent the same outcome before]

    A phone that received no answer sends again. Raises CaseNotFound, CaseTaken, Problem.
    """
    store = desk.store
    case = find_case_or_raise(store, case_id)
    if case.outcome == visit.outcome and store.moves_of(case_id)[-1].user == user:
        return ALREADY_SAVED
    if case.assignee != visit.assignee or case.state not in (ASSIGNED, INSPECTING):
        raise case_taken_error(case)
    with desk.photos.saved(visit.photos) as names:
        if case.state == ASSIGNED:
            case = store.move_case(case_id, INSPECTING, user, i18n.text("field.why"), version=case.version)
        more = {"note": visit.note, "version": case.version, "photos": names}
        store.record_inspection(case_id, visit.outcome, visit.inspected_on, user, **more)
    return SAVED
