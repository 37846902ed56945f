"""What goes wrong on a page -> a page that says so in words.

In:  whatever a view, the guard or the store raised.
Out: a page with the status, what happened and what to do; whoever is not signed in is led to where they can.
"""

from flask import Response, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from fairmeter.casework.workflow import CaseError, CaseNotFound, ClientNotFound
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.http import i18n, observability

IN_WORDS = (400, 403, 404, 405, 409, 413, 422, 429, 500, 503, 507)  # statuses that the texts know


def shown(error: Exception) -> Response | HTTPException | tuple:
    """The answer to an error of a page."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error  # a redirect
    status, message, headers = meant(error)
    if status == 401:
        back = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("desk.sign_in", next=back))
    if status == 500:
        current_app.logger.exception("%s %s failed", request.method, request.url_rule or "a request")
    known = status if status in IN_WORDS else 500 if status >= 500 else 400
    page = render_template("failure.html", status=status, key=f"failure.s{known}", message=message)
    return page, status, headers


def meant(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, the sentence that came with it (may be empty), headers."""
    match error:
        case Problem():
            return error.status, error.message, error.headers
        case HTTPException():
            return error.code, "", {}
        case StoreUnavailable():
            observability.metrics_of(current_app).store_errors.inc()
            return 503, str(error), {"Retry-After": "5"}
        case CaseNotFound() | ClientNotFound():
            return 404, str(error), {}
        case CaseError():
            return 409, str(error), {}
        case StoreError():
            return 422, str(error), {}
    return 500, "", {}


def sentence_of(error: Exception) -> str:
    """What is flashed where the page itself can go on."""
    status, message, _ = meant(error)
    return message or i18n.text(f"failure.s{status if status in IN_WORDS else 500}.text")
