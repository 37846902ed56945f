"""Routes that change the desk: sessions, cases and their moves, inspections, readings.

In:  bodies, checked by the models of requests.py.
Out: the case, the inspection or the counts after the change, which is stored before the answer is sent. Every move
     records its user or key.
"""

from typing import Any

from flask import Response, request, session

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import IngestionResult, MeterReading, Sender
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.http import observability, sessions
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR, NOBODY, AccessControl, Identity
from fairmeter.web.http.errors import JSON
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

CREATED = 201
MAX_READINGS_BYTES = 8 * 2**20  # of 20,000 readings with all that may be said of each
READING_COUNTS = {"new": "n_new", "duplicate": "n_duplicate", "differing": "n_differing"}
READING_COUNTS |= {"late": "n_late", "out_of_order": "n_out_of_order"}
REJECTED = (400, 413, 415, 422)  # statuses of readings that an authorized caller sent and that cannot be stored
READINGS = (
    "Stores each reading once, however often it is sent, and rescores the clients whose readings changed. A later "
    "value of a client and time replaces the former one, which is kept as history; an estimate replaces no actual one."
)
# A white picture of 16 x 16 pixels.
WHITE_PNG = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQAAAAA3iMLMAAAADklEQVR42mP4/5+BFAQA/U4f4d7IdZcAAAAASUVORK5CYII="
EXAMPLES = {
    "NewCase": {"client_id": "c-17", "why": "Fall since March; no harmless cause fits.", "assignee": "anna"},
    "NewMove": {"to": "inspecting", "why": "Crew 3 goes on Tuesday.", "version": 2},
    "NewInspection": {
        "outcome": "confirmed",
        "inspected_on": "2014-09-02",
        "note": "By-pass before the meter.",
        "photos": [WHITE_PNG],
    },
    "Correction": {"outcome": "cleared", "why": "The by-pass was next door."},
    "NewReadings": {
        "readings": [
            {"client_id": "c-17", "read_at": "2014-08-01", "consumption_kwh": 7.2},
            {"client_id": "c-17", "read_at": "2014-08-02", "consumption_kwh": 6.9, "quality": "estimated"},
        ]
    },
    "SignIn": {"name": "anna", "password": "four words of a poem"},
}


def body_of(model: str) -> dict[str, Any]:
    """The OpenAPI description of a body: a reference to its model's schema, and an example."""
    example = {"summary": "an example", "value": EXAMPLES[model]}
    return {"content": {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}, "examples": {"one": example}}}}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes: sessions for everybody, the others for the role investigator."""
    _add_sessions(app, guard, desk)
    _add_cases(app, guard, desk)
    _add_readings(app, guard, desk)
    guard.set_roles(sign_in=ANYBODY, sign_out=ANYBODY, read_session=ANYBODY)
    changing = "open_case", "move_case", "record_inspection", "correct_inspection", "take_readings", "delete_readings"
    guard.set_roles(**dict.fromkeys(changing, INVESTIGATOR))
    readings = min(MAX_READINGS_BYTES, app.max_body_bytes)
    app.set_policies(take_readings=RoutePolicy(policies.DESK, readings, policies.SMALL_BODY, policies.BATCHES))
    app.set_policies(record_inspection=RoutePolicy(max_bytes=app.max_body_bytes))  # with photos


def _add_sessions(app: Api, guard: AccessControl, desk: DeskService) -> None:
    @app.post("/session", responses={200: schemas.SessionResponse}, request_body=body_of("SignIn"))
    def sign_in(body: requests.SignIn):
        """Sign in; the answer sets the session's cookie."""
        guard.check_origin()
        identity = sessions.sign_in(desk.store, body.name, body.password)
        return json_response(_session_of(identity))

    @app.get("/session", responses={200: schemas.SessionResponse}, security=SECURITY)
    def read_session():
        """The signed-in user and the CSRF token of the session."""
        identity = guard.identity()
        if identity is NOBODY:
            raise Problem(401, "unauthorized", "No user is signed in; POST /session with name and password.")
        return json_response(_session_of(identity))

    @app.delete("/session", responses={204: None}, security=SECURITY)
    def sign_out():
        """Sign out."""
        if "user" in session:
            guard.check_origin()
            sessions.sign_out()
        return "", 204


def _session_of(identity: Identity) -> schemas.SessionResponse:
    return schemas.SessionResponse(name=identity.name, role=identity.role, csrf_token=sessions.csrf_token())


def _add_cases(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    @app.post("/cases", responses={CREATED: schemas.CaseResponse}, request_body=body_of("NewCase"), security=SECURITY)
    def open_case(body: requests.NewCase):
        """Open a case for a client. 409 where the client has an open one."""
        options = {"assignee": body.assignee, "is_random": body.is_random}
        case = store.open_case(body.client_id, guard.identity().signature, body.why, **options)
        return json_response(schemas.CaseResponse.model_validate(case), CREATED)

    moves = "/cases/<int:case_id>/moves"

    @app.post(moves, responses={200: schemas.CaseResponse}, request_body=body_of("NewMove"), security=SECURITY)
    def move_case(path: requests.CasePath, body: requests.NewMove):
        """Change the state of a case. 409 where another user changed it first; the message names the assignee."""
        options = body.model_dump(include={"version", "assignee", "planned_on", "crew"})
        case = store.move_case(path.case_id, body.to, guard.identity().signature, body.why, **options)
        return json_response(schemas.CaseResponse.model_validate(case))

    inspections, inspection_body = "/cases/<int:case_id>/inspections", body_of("NewInspection")

    @app.post(
        inspections, responses={CREATED: schemas.InspectionResponse}, request_body=inspection_body, security=SECURITY
    )
    def record_inspection(path: requests.CasePath, body: requests.NewInspection):
        """Record the outcome of an inspection, with photos; this closes the case, unless nobody had access."""
        details = body.model_dump(exclude={"outcome", "inspected_on", "photos"})
        required = (path.case_id, body.outcome, body.inspected_on, guard.identity().signature)
        with desk.photos.saved(body.photos) as names:
            recorded = store.record_inspection(*required, **details, photos=names)
        return json_response(schemas.InspectionResponse.model_validate(recorded), CREATED)

    correction = body_of("Correction")

    @app.patch(
        "/inspections/<int:inspection_id>",
        responses={200: schemas.InspectionResponse},
        request_body=correction,
        security=SECURITY,
    )
    def correct_inspection(path: requests.InspectionPath, body: requests.Correction):
        """Correct the outcome or the day of an inspection; the audit chain keeps what it was, and the case follows."""
        changes = body.model_dump(include={"outcome", "inspected_on", "revisit_on"})
        corrected = store.correct_inspection(path.inspection_id, guard.identity().signature, body.why, **changes)
        return json_response(schemas.InspectionResponse.model_validate(corrected))


def _add_readings(app: Api, guard: AccessControl, desk: DeskService) -> None:
    @app.post(
        "/readings",
        description=READINGS,
        responses={200: schemas.ReadingsTaken},
        request_body=body_of("NewReadings"),
        security=SECURITY,
    )
    def take_readings(body: requests.NewReadings):
        """Store readings of smart meters."""
        rows = [MeterReading(**reading.model_dump()) for reading in body.readings]
        taken = desk.take_readings(rows, Sender(guard.identity().signature, "POST /readings"))
        count_readings(observability.metrics_of(app), taken.stored)
        counts = taken.stored.counts() | {"n_rescored": taken.n_rescored, "n_waiting": taken.n_waiting}
        return json_response(schemas.ReadingsTaken(**counts))

    @app.delete("/readings", responses={200: schemas.ReadingsDeleted}, security=SECURITY)
    def delete_readings(query: requests.DeletedPeriod):
        """Delete readings of a client that should never have come; they are kept as history, the client is rescored."""
        period = query.client_id, query.since, query.until
        return json_response(
            schemas.ReadingsDeleted.model_validate(desk.delete_readings(*period, guard.identity().signature, query.why))
        )

    @app.after_request
    def record_rejection(response: Response) -> Response:
        # Not in the route: a body that its model refuses never reaches it.
        if request.endpoint == "take_readings" and response.status_code in REJECTED:
            desk.count_rejected(response.json["error"]["message"])
        return response


def count_readings(metrics: observability.Metrics, result: IngestionResult) -> None:
    """Add stored readings to the metrics, by kind."""
    for kind, field in READING_COUNTS.items():
        metrics.readings.labels(kind).inc(getattr(result, field))
