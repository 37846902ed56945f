"""The service of one model as a Flask app: scoring routes, documentation, and the desk where it is on."""

from flask import Response, redirect
from flask_openapi_swagger.plugins import RegisterPlugin as SwaggerUI

from fairmeter.scoring.batches import Scorer
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.web.http import errors, observability
from fairmeter.web.http.auth import ANYBODY, AccessControl
from fairmeter.web.http.openapi_app import Api, raise_refusal
from fairmeter.web.http.operations import describe_operations
from fairmeter.web.scoring_api import routes, schemas

DOCUMENTS = ("home", "docs", "docs_with_slash", "document")
DOCUMENTS += ("swagger.swagger", "swagger.static", "swagger.oauth2-redirect")


def create_app(
    scorer: Scorer, limits: RequestLimits, api_key: str | None = None, desk: routes.DeskRoutes | None = None
) -> Api:
    """The service of one model. [api_key: what scoring asks for; without one it asks for nothing]"""
    app = Api(limits.body_bytes, schemas.ErrorAnswer, schemas.components())
    errors.register(app)
    app.after_request(_with_headers)
    observability.register(app, scorer.manifest)
    app.before_request(raise_refusal)
    guard = AccessControl(app, api_key, desk and desk.access)
    _add_documents(app, "docs" if desk is None else "desk/")
    guard.set_roles(**dict.fromkeys(DOCUMENTS, ANYBODY))
    routes.register(app, guard, scorer, limits, desk)
    if desk is not None:
        desk.register(app, guard)
    describe_operations(app, guard.roles, schemas.ErrorAnswer.__name__, schemas.ProtocolError.__name__)
    return app


def _add_documents(app: Api, home: str) -> None:
    """Swagger UI at /docs, and where / leads to."""
    app.register_blueprint(SwaggerUI.register(doc_url="openapi.json"))
    app.add_url_rule("/docs", "docs", app.view_functions["swagger.swagger"])
    app.add_url_rule("/docs/", "docs_with_slash", lambda: redirect("../docs"))  # other services' spelling
    app.add_url_rule("/openapi.json", "document", lambda: app.api_doc)
    app.add_url_rule("/", "home", lambda: redirect(home))


def _with_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")  # answers are about people
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
