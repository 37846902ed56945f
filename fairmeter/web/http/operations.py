"""What the OpenAPI document says of every operation alike: its tag, and the errors that callers can expect.

In:  the app's documented operations, and the role that each route requires.
Out: a tag and the answers 4xx and 503 beside those that the route names itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flask_openapi import Reference, Tag
from flask_openapi.models import MediaType, Operation, Response

from fairmeter.web.http.errors import JSON

ANYBODY = "anybody"
# By the beginning of the path; the first that fits.
TAGS = {
    "/v2": ("inference", "Open Inference Protocol v2"),
    "/predict": ("scoring", "Scores of clients that are sent"),
    "/batch": ("scoring", ""),
    "/model": ("service", ""),
    "/health": ("service", "State of the service and its model"),
    "/ready": ("service", ""),
    "/metrics": ("service", ""),
    "/session": ("access", "Users, keys and sessions"),
    "/users": ("access", ""),
    "/keys": ("access", ""),
    "/import": ("imports", "Files of a utility on their way into the desk"),
    **dict.fromkeys(("/crews", "/plans", "/campaigns"), ("fieldwork", "Crews, plans of their days, campaigns")),
    "/": ("desk", "Clients, alerts, cases and inspections"),
}
METHODS = ("get", "post", "put", "patch", "delete")
CLOSED = {401: "no key, and nobody is signed in", 403: "the role is too low, or the session's token is missing"}
WITH_BODY = {400: "the body cannot be read", 413: "the body is too large", 415: "another content type is wanted"}
LIMITED = {429: "too many failed attempts or requests; Retry-After says when to go on"}
BUSY = {503: "the database does not answer, or as much work waits as may; try again after Retry-After"}


def describe_operations(app: Any, roles: Mapping[str, str], error_model: str, protocol_error: str) -> None:
    """Complete the document. [app: an Api; roles: by endpoint; error_model, protocol_error: names of schemas]"""
    endpoints = {(_documented(rule.rule), method.lower()): rule.endpoint for rule in app.url_map.iter_rules()
                 for method in rule.methods}  # fmt: skip
    tags: dict[str, str] = {}
    for path, method, operation in _operations(app):
        name, description = next(tag for prefix, tag in TAGS.items() if path.startswith(prefix))
        tags[name] = tags.get(name) or description
        operation.tags = [name]
        is_open = roles.get(endpoints.get((path, method), ""), "") == ANYBODY
        model = protocol_error if path.startswith("/v2") else error_model
        for status, text in _errors(path, operation, is_open).items():
            operation.responses.setdefault(str(status), _answer(text, model))
    app.tags = [Tag(name=name, description=description) for name, description in tags.items()]


def _operations(app: Any) -> Iterator[tuple[str, str, Operation]]:
    for path, item in app.paths.items():
        for method in METHODS:
            operation = getattr(item, method, None)
            if operation is not None:
                yield path, method, operation


def _errors(path: str, operation: Operation, is_open: bool) -> dict[int, str]:
    """Errors of an operation by status."""
    errors = {} if is_open else CLOSED
    if operation.requestBody is not None:
        errors |= WITH_BODY
    if operation.requestBody is not None or operation.parameters:
        errors |= {400 if path.startswith("/v2") else 422: "a value is wrong; `fields` names its place"}
    if "{" in path:
        errors |= {404: "there is none of this name or number"}
    return errors | LIMITED | BUSY


def _answer(description: str, model: str) -> Response:
    reference = Reference(**{"$ref": f"#/components/schemas/{model}"})
    return Response(description=description, content={JSON: MediaType(schema=reference)})


def _documented(rule: str) -> str:
    """/cases/{case_id} of /cases/<int:case_id>."""
    return "".join(
        f"{{{part.partition('>')[0].rpartition(':')[2]}}}{part.partition('>')[2]}" if i else part
        for i, part in enumerate(rule.split("<"))
    )
