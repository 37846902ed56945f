"""The routes.

In:  a scorer (judging.Scorer: a model behind two forms of a client), limits, access, and the desk where it is on.
Out: a Flask app: POST /predict, POST /batch, GET /health, /ready, /model, /metrics, /docs, /openapi.json, /v2/...
"""

from collections.abc import Iterator
from io import BytesIO
from threading import Lock
from typing import Any, Protocol

from flask import Request, Response, redirect, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi import Info, OpenAPI, Schema
from flask_openapi_swagger.plugins import RegisterPlugin as SwaggerUI
from pydantic_core import from_json, to_json
from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.core.types import QualityFlag, Score
from fairmeter.scoring import examples
from fairmeter.scoring.batches import Outcome, Scorer, judged, judged_one
from fairmeter.scoring.payloads import (
    BYTE_ORDER_MARK,
    RequestLimits,
    Row,
    json_of,
    row_of,
    rows_of_json,
    rows_of_ndjson,
)
from fairmeter.scoring.problems import Problem, bad_value
from fairmeter.scoring.uploads import read_upload
from fairmeter.web.http import errors, observability
from fairmeter.web.http.auth import ANYBODY, INVESTIGATOR, SCORING, VIEWER, AccessControl, DeskAccess
from fairmeter.web.http.errors import JSON
from fairmeter.web.scoring_api import open_inference, schemas
from fairmeter.web.scoring_api.responses import answer_of, batch_answer_of

ABOUT = "Which clients of a utility are worth an inspection. A high score is a reason to look, not a finding."
FORMS = "A client with its invoices, its readings or both; or features that were aggregated before. "
FORMS += "?reasons=0 leaves the reasons and harmless causes out and answers in a third of the time."
BATCH = "A list of what /predict takes, the same as NDJSON, or CSV files. A bad row does not spoil the others. "
BATCH += "Reasons and harmless causes are given with ?reasons=1 only: each client then takes some 15 ms more."
READY = "Judges an example. The service does not start without a readable model, so a 503 is a fault that came later."
NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data"
RECORD = "With ?record=1 the desk keeps the client's profile, and an alert where one is due. Readings that it has, and "
RECORD += "what invoices said before, count there too; the answer is of what was sent."
METRICS = "For Prometheus. Asks for a key where scoring does, and where the desk is on."
API_VERSION = "1"
DOCUMENTS = ("home", "docs", "docs_with_slash", "document")
DOCUMENTS += ("swagger.swagger", "swagger.static", "swagger.oauth2-redirect")
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "fairmeter", "description": "whoever signed in"},
}
SWAGGER_CONFIG = {"validatorUrl": None}  # else Swagger UI asks a validator on the internet about our document


class DeskRoutes(Protocol):
    """The desk, as far as the scoring routes know it (desk_api.py is loaded only where there is one)."""

    access: DeskAccess

    def install(self, app: "Api", guard: AccessControl) -> None: ...

    def ready(self) -> None:
        """Raises Problem where the database does not answer."""

    def record(self, row: Any, score: Score) -> None:
        """Keeps a client that was judged. Raises Problem."""


class InMemory(Request):
    """A request whose uploads stay in memory: bodies are bounded, and a container's root may be read-only."""

    def _get_file_stream(self, *_args, **_kwargs) -> BytesIO:
        return BytesIO()

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = False) -> Any:
        """Read once: else a body of photos is held twice, as bytes and as texts, while they are made smaller."""
        return super().get_json(force, silent, cache)


class OneParser(DefaultJSONProvider):
    """Reads JSON as /predict does. Python's own parser falls over lists within lists, and takes NaN."""

    def loads(self, text: str | bytes, **_options) -> Any:
        """Raises ValueError."""
        data = text.encode() if isinstance(text, str) else text
        return from_json(data.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False)


class Api(OpenAPI):
    """A Flask app that documents its routes as OpenAPI 3.1 and shows them at /docs."""

    request_class = InMemory
    json_provider_class = OneParser

    def __init__(self, limits: RequestLimits) -> None:
        # Every operation names its errors as "default"; the library would add a 422 of another shape to each.
        answer = {"description": "what is wrong", "content": {JSON: {"schema": schemas.reference(schemas.ErrorAnswer)}}}
        info = Info(title="Fairmeter", version=API_VERSION, description=ABOUT)
        super().__init__(
            "fairmeter.web",
            info=info,
            doc_ui=False,
            responses={"default": answer},
            security_schemes=SCHEMES,
            validation_error_callback=errors.bad_parameters,
            validation_error_status="default",
            validation_error_model=schemas.ErrorAnswer,
            static_folder=None,
        )
        self.openapi_version = "3.1.0"
        self.json.sort_keys = False
        self.components_schemas.update({name: Schema(**schema) for name, schema in schemas.components().items()})
        self.config |= {"MAX_CONTENT_LENGTH": limits.body_bytes, "SWAGGER_CONFIG": SWAGGER_CONFIG}


def create_app(
    scorer: Scorer, limits: RequestLimits, api_key: str | None = None, desk: DeskRoutes | None = None
) -> Api:
    """The service of one model. [api_key: what scoring asks for; without one it asks for nothing]"""
    app = Api(limits)
    errors.install(app)
    app.after_request(_with_headers)
    meters = observability.install(app, scorer.manifest)
    guard = AccessControl(app, api_key, desk and desk.access)
    _add_scoring(app, guard, scorer, limits, desk)
    _add_state(app, guard, scorer, desk)
    _add_documents(app, "docs" if desk is None else "desk/")
    guard.needed(**dict.fromkeys(DOCUMENTS, ANYBODY))
    _add_protocol(app, guard, scorer, limits, meters, desk)
    if desk is not None:
        desk.install(app, guard)
    return app


def _add_scoring(
    app: Api, guard: AccessControl, scorer: Scorer, limits: RequestLimits, desk: DeskRoutes | None
) -> None:
    model = _model_name(scorer)
    meters = observability.meters_of(app)
    one_batch = Lock()  # a parsed body takes ten times its size; on one core two at once are no faster either
    guard.needed(predict=SCORING, batch=SCORING)
    forms = FORMS if desk is None else f"{FORMS} {RECORD}"

    @app.post("/predict", description=forms, request_body=schemas.PREDICT_BODY, responses={200: schemas.Answer})
    def predict():
        """Judge one client."""
        _check_type(JSON)
        is_kept = _is_kept(guard, desk)
        row = row_of(json_of(_body(limits)), limits)
        score = judged_one(row, scorer, with_reasons=_flag("reasons", "1"))
        meters.scored([score])
        if is_kept:
            desk.record(row, score)
        return _json(answer_of(score) | {"model": model})

    @app.post("/batch", description=BATCH, request_body=schemas.BATCH_BODY, responses={200: schemas.BatchAnswer})
    def batch():
        """Judge many clients and rank them."""
        kind, with_reasons = _check_type(JSON, NDJSON, MULTIPART), _flag("reasons", "0")
        sent = request.files if kind == MULTIPART else _body(limits)
        with one_batch:
            rows, quality = _rows(kind, sent, limits)
            outcomes = list(judged(rows, scorer, with_reasons))
            meters.scored(outcome for outcome in outcomes if not isinstance(outcome, Problem))
            answer = batch_answer_of(outcomes, quality)
        return _json(answer | {"model": model})


def _is_kept(guard: AccessControl, desk: DeskRoutes | None) -> bool:
    """Whether the client is to be kept. Raises Problem."""
    wish = request.args.get("record", "0")
    if wish not in ("0", "1"):
        raise bad_value("record", "neither 0 nor 1")
    if wish == "1" and desk is None:
        raise bad_value("record", "1 where nothing is kept; start the service with DATABASE_URL")
    if wish == "1":
        guard.demand(INVESTIGATOR)
    return wish == "1"


def _flag(name: str, otherwise: str) -> bool:
    """A parameter of the address that is 0 or 1. Raises Problem."""
    wish = request.args.get(name, otherwise)
    if wish not in ("0", "1"):
        raise bad_value(name, "neither 0 nor 1")
    return wish == "1"


def _rows(kind: str, sent, limits: RequestLimits) -> tuple[Iterator[Row], list[QualityFlag]]:
    if kind == MULTIPART:
        return read_upload(sent, limits)
    return (rows_of_ndjson if kind == NDJSON else rows_of_json)(sent, limits), []


def _add_state(app: Api, guard: AccessControl, scorer: Scorer, desk: DeskRoutes | None) -> None:
    model, manifest = _model_name(scorer), to_json(scorer.manifest, inf_nan_mode="null")
    check_ready = _readiness(app, scorer, desk)
    guard.needed(health=ANYBODY, ready=ANYBODY, model_manifest=ANYBODY)
    guard.needed(metrics=SCORING if desk is None or guard.asks_to_score else VIEWER)

    @app.get("/health", responses={200: schemas.Alive})
    def health():
        """Is the process alive?"""
        return _json({"status": "alive"})

    @app.get("/ready", description=READY, responses={200: schemas.Ready})
    def ready():
        """Does the model judge?"""
        check_ready()
        return _json({"status": "ready", "model": model})

    @app.get("/model", responses={200: schemas.Manifest})
    def model_manifest():
        """What is known of the model."""
        return Response(manifest, mimetype=JSON)

    @app.get("/metrics", description=METRICS, responses={200: {"description": "counts", "content": {"text/plain": {}}}})
    def metrics():
        """What was counted since the start."""
        return observability.metrics_answer(observability.meters_of(app))


def _readiness(app: Api, scorer: Scorer, desk: DeskRoutes | None):
    """A check that raises Problem where the model or the desk's database does not work."""
    example = row_of(examples.RAW, RequestLimits(0, 1, len(examples.RAW["invoices"]), 0))

    def check() -> None:
        try:
            judged_one(example, scorer)
        except Exception:
            app.logger.exception("the example cannot be judged")
            raise Problem(503, "not_ready", "The model does not judge; it is in the service's log.") from None
        if desk is not None:
            desk.ready()

    return check


def _add_protocol(
    app: Api,
    guard: AccessControl,
    scorer: Scorer,
    limits: RequestLimits,
    meters: observability.Metrics,
    desk: DeskRoutes | None,
) -> None:
    def judge(rows: Iterator[Row]) -> list[Outcome]:
        outcomes = list(judged(rows, scorer))
        meters.scored(outcome for outcome in outcomes if not isinstance(outcome, Problem))
        return outcomes

    features = tuple(getattr(scorer, "aggregates", ()))
    ready = _readiness(app, scorer, desk)
    service = open_inference.Service(judge, _body, ready, limits, _model_name(scorer), features)
    open_inference.install(app, guard, service)


def _add_documents(app: Api, home: str) -> None:
    """[home: where / leads to]"""
    app.register_blueprint(SwaggerUI.register(doc_url="openapi.json"))
    app.add_url_rule("/docs", "docs", app.view_functions["swagger.swagger"])
    app.add_url_rule("/docs/", "docs_with_slash", lambda: redirect("../docs"))  # as other services write it
    app.add_url_rule("/openapi.json", "document", lambda: app.api_doc)
    app.add_url_rule("/", "home", lambda: redirect(home))


def _model_name(scorer: Scorer) -> dict:
    return {name: scorer.manifest[name] for name in ("version", "view", "trained_at")}


def _check_type(*taken: str) -> str:
    """The content type of the request, JSON where it names none. Raises Problem."""
    kind = request.mimetype or JSON
    if kind not in taken or request.content_encoding not in (None, "", "identity"):
        message = f"Send the body uncompressed, with the header Content-Type: {' or '.join(taken)}."
        raise Problem(415, "unsupported_media_type", message)
    return kind


def _body(limits: RequestLimits) -> bytes:
    """The whole body. Raises Problem, or 413 by Flask."""
    data, length = request.get_data(cache=False), request.content_length
    # Of a body sent in chunks, without a length, Werkzeug hands out what is within the limit and drops the rest.
    if length is None and len(data) >= limits.body_bytes:
        raise RequestEntityTooLarge
    if length is not None and len(data) < length:
        raise Problem(400, "bad_request", "The body broke off; send it again.")
    return data


def _json(answer: dict) -> Response:
    return Response(to_json(answer, inf_nan_mode="null"), mimetype=JSON)


def _with_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")  # answers are about people
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
