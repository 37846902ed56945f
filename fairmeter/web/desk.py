"""The desk: its routes, who may call them, and its errors as answers.

In:  what keeps (keeping.py), a secret for the sessions' cookies, to whom the desk is open without a key.
Out: what create_app() adds to the service.
"""

from flask import Flask, Response

from fairmeter.casework.workflow import CaseError, CaseNotFound, CaseTaken, ClientNotFound
from fairmeter.core.types import Score
from fairmeter.desk.service import DeskService
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import FieldProblem, Problem
from fairmeter.store import BadQuery, StoreError, StoreUnavailable
from fairmeter.web.app import Api
from fairmeter.web.desk_api import gauges, read, write
from fairmeter.web.http import errors, observability, sessions
from fairmeter.web.http.auth import NO_ONE, AccessControl, DeskAccess
from fairmeter.web.pages import registry
from fairmeter.web.pages.site import PageSettings

PAGES_AS_SET = PageSettings()
AGAIN = {"Retry-After": "5"}  # seconds; a database that restarts needs about that


class DeskExtension:
    """The desk as api.py takes it (DeskRoutes)."""

    def __init__(
        self, keeping: DeskService, secret: str, open_to: str = NO_ONE, pages: PageSettings = PAGES_AS_SET
    ) -> None:
        self.keeping, self._secret, self._pages = keeping, secret, pages
        store = keeping.store
        who_has_key, who_signed_in = lambda key: sessions.who_has_key(store, key), lambda: sessions.who_signed_in(store)
        self.access = DeskAccess(who_has_key, who_signed_in, open_to)

    def register(self, app: Api, guard: AccessControl) -> None:
        sessions.register(app, self._secret)
        install_errors(app)
        meters = observability.meters_of(app)
        meters.also(gauges.of_runs(self.keeping.store, meters.store_errors.inc))
        read.register(app, guard, self.keeping)
        write.register(app, guard, self.keeping)
        registry.register(app, guard, self.keeping, self._pages)

    def ready(self) -> None:
        self.keeping.store.ping()

    def record(self, row: RawClient | AggregatedClient, score: Score) -> None:
        self.keeping.record(row, score)


# --- errors -----------------------------------------------------------------------------------------------------------


def install_errors(app: Flask) -> None:
    """The store's errors, and those of cases, as answers of the one shape."""
    meters = observability.meters_of(app)

    def unavailable(error: StoreUnavailable) -> Response:
        meters.store_errors.inc()
        return errors.answer_to(Problem(503, "store_unavailable", str(error), headers=AGAIN))

    app.register_error_handler(StoreUnavailable, unavailable)
    app.register_error_handler(BadQuery, lambda error: errors.answer_to(_bad_query(error)))
    app.register_error_handler(StoreError, lambda error: errors.answer_to(Problem(422, "bad_value", str(error))))
    app.register_error_handler(CaseError, lambda error: errors.answer_to(problem_of(error)))


def problem_of(error: CaseError) -> Problem:
    if isinstance(error, CaseNotFound | ClientNotFound):
        return Problem(404, "not_found", str(error))
    code = "case_taken" if isinstance(error, CaseTaken) else "move_not_allowed"
    return Problem(409, code, str(error))


def _bad_query(error: BadQuery) -> Problem:
    return Problem(422, "bad_value", str(error), (FieldProblem(error.field, str(error).removesuffix(".")),))
