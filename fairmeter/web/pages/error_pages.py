"""Error pages of the dashboard.

In:  the exception that a view, access control or the store raised.
Out: a page with the status, what happened and what to do; for 401 a redirect to the sign-in page.
"""

from flask import Response, current_app, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from fairmeter.casework.workflow import BadDay, CaseError, CaseNotFound, ClientNotFound
from fairmeter.scoring.problems import Problem
from fairmeter.store import (
    ImportConflict,
    LastAdmin,
    NameTaken,
    NoSuchCampaign,
    NoSuchCrew,
    NoSuchImport,
    NoSuchName,
    NoSuchPlan,
    PlanChanged,
    StoreError,
    StoreUnavailable,
)
from fairmeter.web.http import i18n, observability

TEXT_STATUSES = (400, 403, 404, 405, 409, 413, 422, 429, 500, 503, 507)  # statuses with texts of their own


def render_error(error: Exception) -> Response | HTTPException | tuple:
    """Render the page of an error; a redirect for 401."""
    if isinstance(error, HTTPException) and (error.code is None or error.code < 400):
        return error  # a redirect
    status, message, headers = describe_error(error)
    if status == 401:
        back = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("desk.sign_in", next=back))
    if status == 500:
        current_app.logger.exception("%s %s failed", request.method, request.url_rule or "a request")
    with_text = status if status in TEXT_STATUSES else 500 if status >= 500 else 400
    key = f"failure.s{with_text}"
    message = i18n.readable(message, f"{key}.text")
    page = render_template("failure.html", status=status, key=key, message=message)
    return page, status, headers


def describe_error(error: Exception) -> tuple[int, str, dict[str, str]]:
    """HTTP status, the error's own sentence (may be empty) and headers."""
    match error:
        case Problem():
            return error.status, error.message, error.headers
        case HTTPException():
            return error.code, "", {}
        case StoreUnavailable():
            observability.metrics_of(current_app).store_errors.inc()
            return 503, _own_message(error), {"Retry-After": "5"}
        case CaseNotFound() | ClientNotFound() | NoSuchName():
            return 404, _own_message(error), {}
        case NoSuchImport() | NoSuchCrew() | NoSuchPlan() | NoSuchCampaign():
            return 404, _own_message(error), {}
        case BadDay():
            return 422, _own_message(error), {}
        case CaseError() | ImportConflict() | PlanChanged() | NameTaken() | LastAdmin():
            return 409, _own_message(error), {}
        case StoreError():
            return 422, _own_message(error), {}
    return 500, "", {}


def _own_message(error: Exception) -> str:
    """What the error says; a text of the pages stays one, which str() would not leave."""
    return error.args[0] if error.args and isinstance(error.args[0], i18n.PageText) else str(error)


def error_sentence(error: Exception) -> str:
    """The sentence of an error that a page shows and continues after."""
    status, message, _ = describe_error(error)
    return i18n.readable(message, f"failure.s{status if status in TEXT_STATUSES else 500}.text")
