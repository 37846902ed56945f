"""Security events in the log: who came in, who was turned away, what was changed in users and keys, what was exported.

In:  an event of EVENTS, within a request.
Out: a JSON line with "event": "security", its kind, the route, the caller's address and, once identified, its name;
     fairmeter_security_events by kind.

These lines alone name people and addresses: without them an intrusion cannot be traced. What a caller typed is in none
of them, as it may be a password.
"""

import logging
from typing import Any

from flask import current_app, request

from fairmeter.web.http.observability import metrics_of, route_name

EVENTS = {
    "signed_in": logging.INFO,
    "signed_out": logging.INFO,
    "password_changed": logging.INFO,
    "second_factor_changed": logging.INFO,
    "user_changed": logging.INFO,
    "user_invited": logging.INFO,
    "key_changed": logging.INFO,
    "list_exported": logging.INFO,
    "sign_in_failed": logging.WARNING,
    "sign_in_held_back": logging.WARNING,
    "single_sign_on_failed": logging.WARNING,
    "key_refused": logging.WARNING,
    "key_held_back": logging.WARNING,
    "role_refused": logging.WARNING,
    "origin_refused": logging.WARNING,
    "token_refused": logging.WARNING,
    "forwarded_refused": logging.WARNING,
    "forwarded_unexpected": logging.WARNING,
}

log = logging.getLogger(__name__)


def record(kind: str, name: str | None = None, **fields: Any) -> None:
    """Write and count an event. [name: of the user or key, where it is one of ours]"""
    named = {} if name is None else {"name": name}
    line = {"kind": kind, "route": route_name(), "address": request.remote_addr or ""} | named | fields
    metrics_of(current_app).security_events.labels(kind).inc()
    log.log(EVENTS[kind], "security", extra={"fields": line})
