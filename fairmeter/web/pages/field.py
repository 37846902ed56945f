"""The field page: a crew's visits on a phone, and a form that records each in three taps.

In:  the open cases of a user and its crews; a visit's result, sent once the phone has a connection, possibly twice.
Out: the page at /desk/field, which phones can install; one inspection for each visit, however often it is sent.
"""

import json
from datetime import UTC, datetime

from flask import Response, jsonify, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.casework.workflow import ASSIGNED, FRAUD_TYPES, INSPECTING, OUTCOMES, SEALS, CaseError
from fairmeter.desk.fieldwork.visits import visits_by_day
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.store.cases import case_taken_error
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.cases import find_case_or_raise, signature_of
from fairmeter.web.pages.client.visit_checks import visit_checks
from fairmeter.web.pages.forms import assignable_users, check_not_in_future, parse_form
from fairmeter.web.pages.site import Site, file_address, render, static

SAVED, ALREADY_SAVED = "saved", "already"
MANIFEST = "application/manifest+json"
NOT_STORED = {"assignee", "outcome", "inspected_on", "photos", "version"}


class RecordedVisit(requests.NewInspection):
    """The result of a visit, with the assignee that the phone last received."""

    assignee: requests.Name


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/field")
    def field():
        whose = request.args.get("of") or signature_of(site)
        today = datetime.now(site.settings.time_zone).date()
        days = visits_by_day(store, whose, today)
        data = {
            "whose": whose,
            "now": datetime.now(UTC).isoformat(),
            "texts": i18n.texts_below("field.script"),
            "outcomes": i18n.texts_below("outcome"),
        }
        return render(
            "field.html",
            days=days,
            n_visits=sum(len(day.visits) for day in days),
            today=today,
            whose=whose,
            me=signature_of(site),
            people=assignable_users(site.desk),
            outcomes=OUTCOMES,
            fraud_types=FRAUD_TYPES,
            seals=SEALS,
            checks_of=lambda visit: visit_checks(visit.reason_groups, (one.pattern for one in visit.anomalies)),
            takes_photos=site.desk.photos.folder is not None,
            data=data,
            now=datetime.now(UTC),
        )

    @site.page("/worker.js", ANYBODY)
    def worker():
        # A route of its own: a service worker controls only pages below its address, and must not be cached.
        return static("", "worker.js", is_cached=False)

    @site.page("/manifest.webmanifest", ANYBODY)
    def manifest():
        return Response(json.dumps(web_manifest()), content_type=MANIFEST)

    @site.page("/field/<int:case_id>", INVESTIGATOR, methods=("POST",))
    def field_record(case_id: int):
        try:
            body = request.get_json(silent=True)
            body = body if isinstance(body, dict) else {}
            photos = body.pop("photos", [])
            texts = {name: str(value) for name, value in body.items() if value is not None}
            visit = parse_form(RecordedVisit, texts, photos=photos)
            check_not_in_future(visit.inspected_on, site.settings.time_zone)
            return jsonify(state=record_visit(site.desk, case_id, signature_of(site), visit))
        except StoreUnavailable:
            raise
        except (CaseError, StoreError, Problem, RequestEntityTooLarge) as error:
            return jsonify(message=error_pages.error_sentence(error)), error_pages.describe_error(error)[0]


def web_manifest() -> dict:
    """What a phone needs to install the page of visits as an app of its own. (W3C, Web Application Manifest)"""
    return {
        "name": i18n.text("field.app"),
        "short_name": i18n.text("site.name"),
        "start_url": url_for("desk.field"),
        "scope": url_for("desk.field"),
        "display": "standalone",
        "background_color": "#f4f6f7",
        "theme_color": "#10262e",
        "icons": [{"src": file_address("mark.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
    }


def record_visit(desk: DeskService, case_id: int, user: str, visit: RecordedVisit) -> str:
    """Record a visit. [SAVED, or ALREADY_SAVED where it was sent before]

    A phone that received no answer sends again, with the same key; without a key, the same outcome of the same user
    counts as sent before. Raises CaseNotFound, CaseTaken, Problem.
    """
    store = desk.store
    case = find_case_or_raise(store, case_id)
    if visit.sent_key and store.has_visit(visit.sent_key):
        return ALREADY_SAVED
    if not visit.sent_key and case.outcome == visit.outcome and store.moves_of(case_id)[-1].user == user:
        return ALREADY_SAVED
    if case.assignee != visit.assignee or case.state not in (ASSIGNED, INSPECTING):
        raise case_taken_error(case)
    with desk.photos.saved(visit.photos) as names:
        if case.state == ASSIGNED:
            case = store.move_case(case_id, INSPECTING, user, i18n.text("field.why"), version=case.version)
        more = visit.model_dump(exclude=NOT_STORED) | {
            "version": case.version,
            "photos": names,
        }
        store.record_inspection(case_id, visit.outcome, visit.inspected_on, user, **more)
    return SAVED
