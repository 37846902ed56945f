"""The routes.

In:  a scorer (judging.Scorer: a model behind two forms of a client) and limits.
Out: a Flask app: POST /predict, POST /batch, GET /health, /ready, /model, /docs, /openapi.json.
"""

from collections.abc import Iterator
from io import BytesIO
from threading import Lock

from flask import Request, Response, redirect, request
from flask_openapi import Info, OpenAPI, Schema
from flask_openapi_swagger.plugins import RegisterPlugin as SwaggerUI
from pydantic_core import to_json
from werkzeug.exceptions import RequestEntityTooLarge

from fraud.records import QualityFlag
from fraud.web import errors, examples, schemas
from fraud.web.answers import answer_of, batch_answer_of
from fraud.web.bodies import Limits, Row, json_of, row_of, rows_of_json, rows_of_ndjson
from fraud.web.errors import JSON, Problem
from fraud.web.judging import Scorer, judged, judged_one
from fraud.web.uploads import read_upload

ABOUT = "Which clients of a utility are worth an inspection. A high score is a reason to look, not a finding."
FORMS = "A client with its invoices, its readings or both; or features that were aggregated before."
BATCH = "A list of what /predict takes, the same as NDJSON, or CSV files. A bad row does not spoil the others."
READY = "Judges an example. The service does not start without a readable model, so a 503 is a fault that came later."
NDJSON = "application/x-ndjson"
MULTIPART = "multipart/form-data"
API_VERSION = "1"
SWAGGER_CONFIG = {"validatorUrl": None}  # else Swagger UI asks a validator on the internet about our document


class InMemory(Request):
    """A request whose uploads stay in memory: bodies are bounded, and a container's root may be read-only."""

    def _get_file_stream(self, *_args, **_kwargs) -> BytesIO:
        return BytesIO()


class Api(OpenAPI):
    """A Flask app that documents its routes as OpenAPI 3.1 and shows them at /docs."""

    request_class = InMemory

    def __init__(self, limits: Limits) -> None:
        # Every operation names its errors as "default"; the library would add a 422 of another shape to each.
        answer = {"description": "what is wrong", "content": {JSON: {"schema": schemas.reference(schemas.ErrorAnswer)}}}
        info = Info(title="Fairmeter", version=API_VERSION, description=ABOUT)
        super().__init__(
            "fraud.web",
            info=info,
            doc_ui=False,
            responses={"default": answer},
            validation_error_status="default",
            validation_error_model=schemas.ErrorAnswer,
            static_folder=None,
        )
        self.openapi_version = "3.1.0"
        self.json.sort_keys = False
        self.components_schemas.update({name: Schema(**schema) for name, schema in schemas.components().items()})
        self.config |= {"MAX_CONTENT_LENGTH": limits.body_bytes, "SWAGGER_CONFIG": SWAGGER_CONFIG}


def create_app(scorer: Scorer, limits: Limits) -> Api:
    """The service of one model."""
    app = Api(limits)
    errors.install(app)
    app.after_request(_with_headers)
    _add_scoring(app, scorer, limits)
    _add_state(app, scorer)
    _add_documents(app)
    return app


def _add_scoring(app: Api, scorer: Scorer, limits: Limits) -> None:
    model = _model_name(scorer)
    one_batch = Lock()  # a parsed body takes ten times its size; on one core two at once are no faster either

    @app.post("/predict", description=FORMS, request_body=schemas.PREDICT_BODY, responses={200: schemas.Answer})
    def predict():
        """Judge one client."""
        _check_type(JSON)
        score = judged_one(row_of(json_of(_body(limits)), limits), scorer)
        return _json(answer_of(score) | {"model": model})

    @app.post("/batch", description=BATCH, request_body=schemas.BATCH_BODY, responses={200: schemas.BatchAnswer})
    def batch():
        """Judge many clients and rank them."""
        kind = _check_type(JSON, NDJSON, MULTIPART)
        sent = request.files if kind == MULTIPART else _body(limits)
        with one_batch:
            rows, quality = _rows(kind, sent, limits)
            answer = batch_answer_of(judged(rows, scorer), quality)
        return _json(answer | {"model": model})


def _rows(kind: str, sent, limits: Limits) -> tuple[Iterator[Row], list[QualityFlag]]:
    if kind == MULTIPART:
        return read_upload(sent, limits)
    return (rows_of_ndjson if kind == NDJSON else rows_of_json)(sent, limits), []


def _add_state(app: Api, scorer: Scorer) -> None:
    model, manifest = _model_name(scorer), to_json(scorer.manifest, inf_nan_mode="null")
    example = row_of(examples.RAW, Limits(0, 1, len(examples.RAW["invoices"]), 0))

    @app.get("/health", responses={200: schemas.Alive})
    def health():
        """Is the process alive?"""
        return _json({"status": "alive"})

    @app.get("/ready", description=READY, responses={200: schemas.Ready})
    def ready():
        """Does the model judge?"""
        try:
            judged_one(example, scorer)
        except Exception:
            app.logger.exception("the example cannot be judged")
            raise Problem(503, "not_ready", "The model does not judge; it is in the service's log.") from None
        return _json({"status": "ready", "model": model})

    @app.get("/model", responses={200: schemas.Manifest})
    def model_manifest():
        """What is known of the model."""
        return Response(manifest, mimetype=JSON)


def _add_documents(app: Api) -> None:
    app.register_blueprint(SwaggerUI.register(doc_url="openapi.json"))
    app.add_url_rule("/docs", view_func=app.view_functions["swagger.swagger"])
    app.add_url_rule("/docs/", "docs_with_slash", lambda: redirect("../docs"))  # as other services write it
    app.add_url_rule("/openapi.json", "document", lambda: app.api_doc)
    app.add_url_rule("/", "home", lambda: redirect("docs"))


def _model_name(scorer: Scorer) -> dict:
    return {name: scorer.manifest[name] for name in ("version", "view", "trained_at")}


def _check_type(*taken: str) -> str:
    """The content type of the request, JSON where it names none. Raises Problem."""
    kind = request.mimetype or JSON
    if kind not in taken or request.content_encoding not in (None, "", "identity"):
        message = f"Send the body uncompressed, with the header Content-Type: {' or '.join(taken)}."
        raise Problem(415, "unsupported_media_type", message)
    return kind


def _body(limits: Limits) -> bytes:
    """The whole body. Raises Problem, or 413 by Flask."""
    data, length = request.get_data(cache=False), request.content_length
    # Of a body sent in chunks, without a length, Werkzeug hands out what is within the limit and drops the rest.
    if length is None and len(data) >= limits.body_bytes:
        raise RequestEntityTooLarge
    if length is not None and len(data) < length:
        raise Problem(400, "bad_request", "The body broke off; send it again.")
    return data


def _json(answer: dict) -> Response:
    return Response(to_json(answer), mimetype=JSON)


def _with_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")  # answers are about people
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
