"""Routes that change the desk: cases and their moves, inspections, readings.

In:  bodies, checked by the models of requests.py.
Out: the case, the inspection or the counts after the change, which is stored before the answer is sent. Every move
     records its user or key.
"""

from flask import Response, request

from fairmeter.desk.service import DeskService
from fairmeter.store import IngestionResult, MeterReading, Sender
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.desk_api.bodies import body_of
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.http import observability
from fairmeter.web.http.auth import INVESTIGATOR, AccessControl
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


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes, each for the role investigator."""
    _add_cases(app, guard, desk)
    _add_readings(app, guard, desk)
    changing = "open_case", "move_case", "record_inspection", "correct_inspection", "take_readings", "delete_readings"
    guard.set_roles(**dict.fromkeys(changing, INVESTIGATOR))
    readings = min(MAX_READINGS_BYTES, app.max_body_bytes)
    app.set_policies(take_readings=RoutePolicy(policies.DESK, readings, policies.SMALL_BODY, policies.BATCHES))
    app.set_policies(record_inspection=RoutePolicy(max_bytes=app.max_body_bytes))  # with photos


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
