"""Routes that score and that describe the model: /predict, /batch, /health, /ready, /model, /metrics, /v2/...

In:  a scorer (batches.Scorer), request limits, access control, and the desk where it is on.
Out: the routes, registered with the app.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from threading import Lock
from typing import Any, Protocol

from flask import Response, request
from pydantic_core import to_json
from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.core.types import QualityFlag, Score
from fairmeter.scoring import examples
from fairmeter.scoring.batches import MonitoredScorer, Outcome, Scorer, score_one, score_rows
from fairmeter.scoring.mapped_uploads import MAP, MappedScores, csv_upload, mapped_upload
from fairmeter.scoring.payloads import RequestLimits, Row, parse_client, parse_row, rows_of_json, rows_of_ndjson
from fairmeter.scoring.problems import Problem, bad_value
from fairmeter.scoring.uploads import read_upload
from fairmeter.web.http import observability
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR, SCORING, VIEWER, AccessControl, DeskAccess
from fairmeter.web.http.errors import JSON
from fairmeter.web.http.openapi_app import Api
from fairmeter.web.scoring_api import open_inference, schemas
from fairmeter.web.scoring_api.responses import batch_response, score_response
from fairmeter.web.scoring_api.table_process import read_apart
from fairmeter.web.scoring_api.together import JointScoring
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

FORMS = "A client with its invoices, its readings or both; or features that were aggregated before. "
FORMS += "?reasons=0 leaves the reasons and harmless causes out and answers in half the time."
BATCH = "A list of what /predict takes, the same as NDJSON, or CSV files. A bad row does not spoil the others. "
BATCH += "Files of other columns come with a part `map`, one CSV file as text/csv with ?map=NAME of a shipped map. "
BATCH += "Reasons and harmless causes are given with ?reasons=1 only: each client then takes some 8 ms more."
READY = "Scores an example; where the desk is on, its database answers and its disk has room. The service does not "
READY += "start without a readable model, so a 503 is a fault that came later."
READY_SCORING = "The same without the desk: a database that is away keeps nobody from scoring."
NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data"
CSV = "text/csv"
RECORD = "With ?record=1 the desk keeps the client's profile, and an alert where one is due. Readings that it has, and "
RECORD += "what invoices said before, count there too; the answer is of what was sent."
METRICS = "For Prometheus. Asks for a key where scoring does, and where the desk is on."


class DeskRoutes(Protocol):
    """The desk, as far as the scoring routes use it; its modules are loaded only where there is one."""

    access: DeskAccess

    def register(self, app: Api, guard: AccessControl) -> None: ...

    def following(self, scorer: Scorer) -> Scorer:
        """The scorer, claiming no more than the desk's last run did."""

    def ready(self) -> None:
        """Raises Problem where the database does not answer, or the disk is full."""

    def record(self, row: Any, score: Score) -> None:
        """Stores a client that was scored. Raises Problem."""


def register(app: Api, guard: AccessControl, scorer: Scorer, limits: RequestLimits, desk: DeskRoutes | None) -> None:
    """Add the routes of scoring, of the service's state and of the Open Inference Protocol."""
    scorer = scorer if desk is None else desk.following(scorer)
    _add_scoring(app, guard, scorer, limits, desk)
    _add_state(app, guard, scorer, desk)
    _add_protocol(app, guard, scorer, limits, desk)


def _add_scoring(
    app: Api, guard: AccessControl, scorer: Scorer, limits: RequestLimits, desk: DeskRoutes | None
) -> None:
    model = _model_name(scorer)
    metrics = observability.metrics_of(app)
    together = JointScoring(scorer)
    one_batch = (
        Lock()
    )  # of a large one: a parsed body takes ten times its size; on one core two at once are no faster either
    guard.set_roles(predict=SCORING, batch=SCORING)
    of_client = min(limits.client_bytes, limits.body_bytes)
    app.set_policies(
        predict=RoutePolicy(
            policies.CLIENTS, of_client, min(of_client, policies.LIGHT_BODY), heavy_place=policies.SCORING
        ),
        batch=RoutePolicy(policies.SCORING, limits.body_bytes, policies.LIGHT_BODY, policies.BATCHES),
    )
    forms = FORMS if desk is None else f"{FORMS} {RECORD}"

    @app.post("/predict", description=forms, request_body=schemas.PREDICT_BODY, responses={200: schemas.Answer})
    def predict():
        """Score one client."""
        _check_type(JSON)
        is_recorded = _is_recorded(guard, desk)
        row = parse_client(_body(), limits)
        score = together.score_one(row, with_reasons=_flag("reasons", "1"))
        metrics.count_scores([score])
        if is_recorded:
            desk.record(row, score)
        return _json(score_response(score) | {"model": model})

    @app.post("/batch", description=BATCH, request_body=schemas.BATCH_BODY, responses={200: schemas.BatchAnswer})
    def batch():
        """Score many clients and rank them."""
        kind, with_reasons = _check_type(JSON, NDJSON, MULTIPART, CSV), _flag("reasons", "0")
        body = request.files if kind == MULTIPART else _body()
        with one_batch if (request.content_length or 0) > policies.LIGHT_BODY else nullcontext():
            monitored = MonitoredScorer(scorer)
            if kind == CSV or (kind == MULTIPART and MAP in body):
                by_map = _tables(kind, body, limits)
                outcomes, quality = list(by_map.scored(monitored, with_reasons)), by_map.quality
            else:
                rows, quality = _rows(kind, body, limits)
                outcomes = list(score_rows(rows, monitored, with_reasons))
                monitored.check_unit()
            metrics.count_scores(outcome for outcome in outcomes if not isinstance(outcome, Problem))
            answer = batch_response(outcomes, quality, monitored.drift(), model)
        return Response(answer, mimetype=JSON)


def _is_recorded(guard: AccessControl, desk: DeskRoutes | None) -> bool:
    """Whether the desk is to store the client. Raises Problem."""
    is_asked = _flag("record", "0")
    if is_asked and desk is None:
        raise bad_value("record", "1 where nothing is kept; start the service with DATABASE_URL")
    if is_asked:
        guard.require(INVESTIGATOR)
    return is_asked


def _tables(kind: str, body, limits: RequestLimits) -> MappedScores:
    """Files by their own map, or one CSV file by the shipped map that the address names. Raises Problem."""
    if kind == MULTIPART:
        return mapped_upload(body, limits, read_apart)
    return csv_upload(body, request.args.get(MAP), limits)


def _flag(name: str, default: str) -> bool:
    """A parameter of the address that is 0 or 1. Raises Problem."""
    value = request.args.get(name, default)
    if value not in ("0", "1"):
        raise bad_value(name, "neither 0 nor 1")
    return value == "1"


def _rows(kind: str, body, limits: RequestLimits) -> tuple[Iterator[Row], list[QualityFlag]]:
    if kind == MULTIPART:
        return read_upload(body, limits)
    return (rows_of_ndjson if kind == NDJSON else rows_of_json)(body, limits), []


def _add_state(app: Api, guard: AccessControl, scorer: Scorer, desk: DeskRoutes | None) -> None:
    model, manifest = _model_name(scorer), to_json(scorer.manifest, inf_nan_mode="null")
    check_scoring, check_ready = _scoring_readiness(app, scorer), _readiness(app, scorer, desk)
    guard.set_roles(health=ANYBODY, ready=ANYBODY, ready_scoring=ANYBODY, model_manifest=ANYBODY)
    app.set_policies(health=RoutePolicy(policies.HEALTH), ready=RoutePolicy(policies.DESK_READINESS))
    app.set_policies(ready_scoring=RoutePolicy(policies.READINESS))
    guard.set_roles(metrics=SCORING if desk is None or guard.scoring_needs_key else VIEWER)

    @app.get("/health", responses={200: schemas.Alive})
    def health():
        """Is the process alive?"""
        return _json({"status": "alive"})

    @app.get("/ready", description=READY, responses={200: schemas.Ready})
    def ready():
        """Does the model score, and the desk store?"""
        check_ready()
        return _json({"status": "ready", "model": model})

    @app.get("/ready/scoring", description=READY_SCORING, responses={200: schemas.Ready})
    def ready_scoring():
        """Does the model score?"""
        check_scoring()
        return _json({"status": "ready", "model": model})

    @app.get("/model", responses={200: schemas.Manifest})
    def model_manifest():
        """The model's manifest."""
        return Response(manifest, mimetype=JSON)

    @app.get("/metrics", description=METRICS, responses={200: {"description": "counts", "content": {"text/plain": {}}}})
    def metrics():
        """Counts since the start."""
        return observability.metrics_response(observability.metrics_of(app))


def _readiness(app: Api, scorer: Scorer, desk: DeskRoutes | None) -> Callable[[], None]:
    """A check that raises Problem where the model does not work, or the desk's database or disk."""
    check_scoring = _scoring_readiness(app, scorer)

    def check() -> None:
        check_scoring()
        if desk is not None:
            desk.ready()

    return check


def _scoring_readiness(app: Api, scorer: Scorer) -> Callable[[], None]:
    """A check that raises Problem where the model does not work."""
    example = parse_row(examples.RAW, RequestLimits(0, 1, len(examples.RAW["invoices"]), 0))

    def check() -> None:
        try:
            score_one(example, scorer)
        except Exception:
            app.logger.exception("the example cannot be scored")
            raise Problem(503, "not_ready", "The model does not score; see the service's log.") from None

    return check


def _add_protocol(
    app: Api, guard: AccessControl, scorer: Scorer, limits: RequestLimits, desk: DeskRoutes | None
) -> None:
    metrics = observability.metrics_of(app)

    def score(rows: Iterator[Row]) -> list[Outcome]:
        outcomes = list(score_rows(rows, scorer))
        metrics.count_scores(outcome for outcome in outcomes if not isinstance(outcome, Problem))
        return outcomes

    features = tuple(getattr(scorer, "aggregates", ()))
    ready = _readiness(app, scorer, desk)
    service = open_inference.Service(score, _body, ready, limits, _model_name(scorer), features)
    open_inference.register(app, guard, service)


def _model_name(scorer: Scorer) -> dict:
    return {name: scorer.manifest[name] for name in ("version", "view", "trained_at")}


def _check_type(*taken: str) -> str:
    """The content type of the request, JSON where it names none. Raises Problem."""
    kind = request.mimetype or JSON
    if kind not in taken or request.content_encoding not in (None, "", "identity"):
        message = f"Send the body uncompressed, with the header Content-Type: {' or '.join(taken)}."
        raise Problem(415, "unsupported_media_type", message)
    return kind


def _body() -> bytes:
    """The whole body. Raises Problem, or 413 by Flask."""
    data, length = request.get_data(cache=False), request.content_length
    # Of a body sent in chunks, without a length, Werkzeug hands out what is within the limit and drops the rest.
    if length is None and len(data) >= request.max_content_length:
        raise RequestEntityTooLarge
    if length is not None and len(data) < length:
        raise Problem(400, "bad_request", "The body broke off; send it again.")
    return data


def _json(answer: dict) -> Response:
    return Response(to_json(answer, inf_nan_mode="null"), mimetype=JSON)
