"""What people and scripts do at the desk: sign in, open cases, move them, record visits, send readings.

In:  bodies, checked by desk_asked.
Out: the case, inspection or counts after it, written before the answer is. Who did it stands with every move.
"""

from typing import Any

from flask import Response, request, session

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import IngestionResult
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests as asks
from fairmeter.web.desk_api import schemas as told
from fairmeter.web.desk_api.read import SECURITY, answer
from fairmeter.web.http import observability, sessions
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR, NOBODY, AccessControl
from fairmeter.web.http.errors import JSON

CREATED = 201
KINDS = {"new": "n_new", "duplicate": "n_duplicate", "differing": "n_differing"}
KINDS |= {"late": "n_late", "out_of_order": "n_out_of_order"}
REFUSED = (400, 413, 415, 422)  # answers to readings that were sent by whoever may send some, and cannot be kept
READINGS = "Stores readings once, however often they come, and judges the clients anew whose consumption changed."
# A white picture of 16 x 16 pixels.
WHITE = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQAAAAA3iMLMAAAADklEQVR42mP4/5+BFAQA/U4f4d7IdZcAAAAASUVORK5CYII="
EXAMPLES = {
    "NewCase": {"client_id": "c-17", "why": "Fall since March; no harmless cause fits.", "assignee": "anna"},
    "NewMove": {"to": "inspecting", "why": "Crew 3 goes on Tuesday.", "version": 2},
    "NewInspection": {
        "outcome": "confirmed",
        "inspected_on": "2014-09-02",
        "note": "By-pass before the meter.",
        "photos": [WHITE],
    },
    "NewReadings": {
        "readings": [
            {"client_id": "c-17", "read_at": "2014-08-01", "consumption_kwh": 7.2},
            {"client_id": "c-17", "read_at": "2014-08-02", "consumption_kwh": 6.9},
        ]
    },
    "SignIn": {"name": "anna", "password": "four words of a poem"},
}


def sent(model: str) -> dict[str, Any]:
    """What the document says of a body: its schema, which parsing adds under this name, and an example."""
    example = {"summary": "an example", "value": EXAMPLES[model]}
    return {"content": {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}, "examples": {"one": example}}}}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    _add_sessions(app, guard, desk)
    _add_cases(app, guard, desk)
    _add_readings(app, desk)
    guard.set_roles(sign_in=ANYBODY, sign_out=ANYBODY, who_asks=ANYBODY)
    guard.set_roles(**dict.fromkeys(("open_case", "move_case", "record_inspection", "take_readings"), INVESTIGATOR))


def _add_sessions(app: Api, guard: AccessControl, desk: DeskService) -> None:
    @app.post("/session", responses={200: told.SessionResponse}, request_body=sent("SignIn"))
    def sign_in(body: asks.SignIn):
        """Sign in: sets the session's cookie."""
        guard.check_origin()
        who = sessions.sign_in(desk.store, body.name, body.password)
        return answer(told.SessionResponse(name=who.name, role=who.role, csrf_token=sessions.csrf_token()))

    @app.get("/session", responses={200: told.SessionResponse}, security=SECURITY)
    def who_asks():
        """Who asks, and the token that goes along with what they write."""
        who = guard.identity()
        if who is NOBODY:
            raise Problem(401, "unauthorized", "Nobody is signed in; POST /session with name and password.")
        return answer(told.SessionResponse(name=who.name, role=who.role, csrf_token=sessions.csrf_token()))

    @app.delete("/session", responses={204: None}, security=SECURITY)
    def sign_out():
        """Sign out."""
        if "user" in session:
            guard.check_origin()
            sessions.sign_out()
        return "", 204


def _add_cases(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    @app.post("/cases", responses={CREATED: told.CaseResponse}, request_body=sent("NewCase"), security=SECURITY)
    def open_case(body: asks.NewCase):
        """Open a case: work on a client begins. 409 where it has one."""
        options = {"assignee": body.assignee, "is_random": body.is_random}
        case = store.open_case(body.client_id, guard.identity().signature, body.why, **options)
        return answer(told.CaseResponse.model_validate(case), CREATED)

    moves = "/cases/<int:case_id>/moves"

    @app.post(moves, responses={200: told.CaseResponse}, request_body=sent("NewMove"), security=SECURITY)
    def move_case(path: asks.CasePath, body: asks.NewMove):
        """Move a case on. 409 where somebody was first, saying who has it."""
        options = {"version": body.version, "assignee": body.assignee}
        case = store.move_case(path.case_id, body.to, guard.identity().signature, body.why, **options)
        return answer(told.CaseResponse.model_validate(case))

    visits, body_of_visit = "/cases/<int:case_id>/inspections", sent("NewInspection")

    @app.post(visits, responses={CREATED: told.InspectionResponse}, request_body=body_of_visit, security=SECURITY)
    def record_inspection(path: asks.CasePath, body: asks.NewInspection):
        """Record what a visit found, with its photos; it closes the case."""
        found = body.model_dump(exclude={"outcome", "inspected_on", "photos"})
        asked = (path.case_id, body.outcome, body.inspected_on, guard.identity().signature)
        with desk.photos.saved(body.photos) as names:
            recorded = store.record_inspection(*asked, **found, photos=names)
        return answer(told.InspectionResponse.model_validate(recorded), CREATED)


def _add_readings(app: Api, desk: DeskService) -> None:
    body_sent = sent("NewReadings")

    @app.post(
        "/readings",
        description=READINGS,
        responses={200: told.ReadingsTaken},
        request_body=body_sent,
        security=SECURITY,
    )
    def take_readings(body: asks.NewReadings):
        """Take in readings of smart meters."""
        rows = [(r.client_id, r.read_at.replace(tzinfo=None), r.consumption_kwh) for r in body.readings]
        result = desk.take_readings(rows)
        count(observability.metrics_of(app), result)
        return answer(told.ReadingsTaken(**result.counts(), n_rescored=len(result.changed)))

    @app.after_request
    def note_refusal(response: Response) -> Response:
        # Not within the route: a body that does not fit never comes to it.
        if request.endpoint == "take_readings" and response.status_code in REFUSED:
            desk.count_rejected(response.json["error"]["message"])
        return response


def count(metrics: observability.Metrics, result: IngestionResult) -> None:
    for kind, field in KINDS.items():
        metrics.readings.labels(kind).inc(getattr(result, field))
