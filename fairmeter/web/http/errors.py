"""Errors -> answers of one shape, for every route.

In:  a Problem (scoring/problems.py), an HTTP error (raised by Flask), or an unexpected exception.
Out: {"error": {"code": "bad_value", "message": "...", "fields": [{"path": "invoices.3.new_index", "message": "..."}]}}
An answer names the place of a bad value and never repeats it: bodies hold personal data.
"""

from flask import Flask, Response, request
from pydantic import ValidationError
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException

from fairmeter.core.caller import CallerGone
from fairmeter.scoring.problems import FieldProblem, Problem, error_of

JSON = "application/json"
CALLER_GONE = 499  # as nginx counts them; nobody reads it
SWALLOWED_BYTES = (
    2**28
)  # read of a body that is too large: a caller that is cut off while it sends never reads the reason
UNEXPECTED = "Internal error, not caused by your request; see the service's log."
HTTP_MESSAGES = {
    400: ("bad_request", "The request cannot be read; send it again as /docs shows."),
    404: ("not_found", "There is nothing at this address; /docs lists the routes."),
    405: ("method_not_allowed", "This address accepts other methods; the Allow header lists them."),
    413: (
        "too_large",
        "The body is larger than this address takes (MAX_CLIENT_BYTES of one client, MAX_BODY_BYTES of a batch, "
        "MAX_IMPORT_BYTES of an import); send less at a time.",
    ),
    500: ("internal", UNEXPECTED),
}


def error_response(problem: Problem) -> Response:
    """The answer to a problem; under /v2 in that protocol's shape."""
    error, status = error_of(problem), problem.status
    if request.path.startswith("/v2/"):  # its clients read the shape of the Open Inference Protocol
        error, status = problem.message, 400 if status == 422 else status
    return Response(to_json({"error": error}), status, problem.headers, mimetype=JSON)


def validation_error_response(error: ValidationError) -> Response:
    """The answer to a body, query or path that its model refuses."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["loc"] == ():  # not a field: there was no object at all
        return error_response(Problem(400, "bad_json", "The body is not a JSON object; /docs has an example."))
    fields = tuple(FieldProblem(".".join(map(str, bad["loc"])), _clause(bad["msg"])) for bad in found)
    return error_response(Problem(422, "bad_value", f"{fields[0].path}: {fields[0].message}.", fields))


def _clause(message: str) -> str:
    message = message.removeprefix("Value error, ").removesuffix(".")
    return message[:1].lower() + message[1:]


def register(app: Flask) -> None:
    """Answer every error of the app in that shape."""
    app.register_error_handler(Problem, error_response)
    app.register_error_handler(CallerGone, lambda _error: Response(status=CALLER_GONE))
    app.register_error_handler(HTTPException, _answer_to_http)
    app.register_error_handler(Exception, lambda _error: _answer_to_unexpected(app))


def _answer_to_http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error  # a redirect
    if error.code == 413:
        _swallow_body()
    code, message = HTTP_MESSAGES.get(error.code, (error.name.lower().replace(" ", "_"), f"{error.name}."))
    answer = error_response(Problem(error.code, code, message))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(allowed)
    return answer


def _swallow_body() -> None:
    left = SWALLOWED_BYTES
    while left > 0 and (read := request.environ["wsgi.input"].read(2**16)):
        left -= len(read)


def _answer_to_unexpected(app: Flask) -> Response:
    # The route, not the path, which may hold a client's id.
    app.logger.exception("%s %s failed", request.method, request.url_rule or "a request")
    return error_response(Problem(500, "internal", UNEXPECTED))
