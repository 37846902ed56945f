"""The desk as an extension of the service: its routes and pages, its access, its errors as answers.

In:  a DeskService, the secret of the sessions' cookies, and which callers need no key.
Out: DeskExtension, which create_app() registers.
"""

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from flask import Flask, Response, request, session
from flask.sessions import NullSession

from fairmeter.casework.workflow import BadDay, CaseError, CaseNotFound, CaseTaken, ClientNotFound, FourEyesNeeded
from fairmeter.core.types import Score
from fairmeter.desk import runs
from fairmeter.desk.service import DeskService
from fairmeter.scoring.batches import Scorer
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import FieldProblem, Problem
from fairmeter.store import (
    BadQuery,
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
from fairmeter.web.app import Api
from fairmeter.web.desk_api import access, alerts, campaigns, fieldwork, gauges, imports, read, relations, write
from fairmeter.web.exports import files
from fairmeter.web.http import code_names, errors, observability, security_log, sessions
from fairmeter.web.http.auth import NO_ONE, AccessControl, DeskAccess, Identity
from fairmeter.web.http.key_rates import KeyRates
from fairmeter.web.pages import registry
from fairmeter.web.pages.site import PageSettings

DEFAULT_PAGES = PageSettings()
MIN_ROOM = 2**18  # bytes; SQLite writes pages of 4 kB, a photo has some 300 kB
STATIC_FILES = "desk.static"  # endpoint; the page that says what is wrong needs them
RETRY_AFTER = {"Retry-After": "5"}  # seconds; about the time that a database needs to restart


STATUS_OF = {
    **dict.fromkeys((NoSuchImport, NoSuchCrew, NoSuchPlan, NoSuchCampaign), (404, "not_found")),
    PlanChanged: (409, "plan_changed"),
    ImportConflict: (409, "import_conflict"),
    NoSuchName: (404, "not_found"),
    NameTaken: (409, "name_taken"),
    LastAdmin: (409, "last_admin"),
}


class DeskExtension:
    """The desk for create_app (scoring_api.routes.DeskRoutes)."""

    def __init__(
        self, service: DeskService, secret: str | None, open_to: str = NO_ONE, pages: PageSettings = DEFAULT_PAGES,
        opening: runs.DeskOpening | None = None,
    ) -> None:  # fmt: skip
        """secret: signs cookies, None: one that the database keeps. opening: None: the database is there."""
        self.service, self._secret, self._pages = service, secret, pages
        store = service.store
        self._opening = opening
        self.access = DeskAccess(
            self._once_open(partial(sessions.identity_of_key, store, KeyRates())),
            self._once_open(partial(sessions.identity_of_session, store)),
            open_to,
            sessions.is_valid_token,
        )

    def _once_open(self, identify: Callable[..., Identity | None]) -> Callable[..., Identity | None]:
        def checked(*given: str) -> Identity | None:
            if self._opening is not None:
                self._opening.check()
            return identify(*given)

        return checked

    def register(self, app: Api, guard: AccessControl) -> None:
        """Add sessions, errors, metrics, the JSON API and the pages."""
        self._await_database(app)
        code_names.register(app, self.service.store.code_names)
        register_errors(app)
        metrics = observability.metrics_of(app)
        metrics.add_source(gauges.run_metrics(self.service.store, metrics.store_errors.inc))
        files.record_exports(app, partial(self._record_export, guard))
        read.register(app, guard, self.service)
        for routes in (alerts, fieldwork, campaigns, relations):
            routes.register(app, guard, self.service)
        write.register(app, guard, self.service)
        access.register(app, guard, self.service)
        imports.register(app, guard, self.service.imports)
        registry.register(app, guard, self.service, self._pages)

    def _await_database(self, app: Api) -> None:
        """Answer requests of the desk with 503 until the database is there; scores do not wait for it."""
        store = self.service.store
        if self._opening is None:
            sessions.register(app, self._secret or store.secret("session"))
            return
        sessions.register(app, self._secret)
        if self._secret is None:
            self._opening.when_open(lambda: setattr(app, "secret_key", store.secret("session")))
        others = {*app.view_functions, STATIC_FILES}

        def check() -> None:
            if request.endpoint is None or request.endpoint in others:
                return
            self._opening.check()
            if isinstance(session._get_current_object(), NullSession):  # this request began before there was a secret
                raise StoreUnavailable("The database is there again; send the request once more.")

        app.before_request(check)

    def _record_export(self, guard: AccessControl, name: str, details: str) -> None:
        user = guard.identity().signature
        self.service.store.record_export(name, user, details)
        security_log.record("list_exported", user, list=name, what=details)

    def following(self, scorer: Scorer) -> Scorer:
        """The scorer, claiming no more than the desk's last run did."""
        return runs.following(scorer, self.service.store)

    def ready(self) -> None:
        """Raises StoreUnavailable where the database does not answer, Problem where a disk is full."""
        if self._opening is not None:
            self._opening.check()
        self.service.store.ping()
        check_room([self.service.photos.folder, self.service.store.folder])
        self.service.imports.sweep_if_due()  # an orchestrator asks every few seconds, also where no user comes

    def record(self, row: RawClient | AggregatedClient, score: Score) -> None:
        """Store a client that was scored. Raises Problem, StoreError."""
        self.service.record(row, score)


def check_room(folders: Iterable[Path | None]) -> None:
    """Raises Problem where a folder's disk is full. [a folder that is not there yet counts by the one above it]"""
    for folder in filter(None, folders):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if shutil.disk_usage(there).free < MIN_ROOM:
            raise Problem(503, "disk_full", f"Under {MIN_ROOM // 2**10} kB are free where the desk stores; make room.")


# --- errors -----------------------------------------------------------------------------------------------------------


def register_errors(app: Flask) -> None:
    """Answer errors of the store and of cases in the shape of all errors."""
    metrics = observability.metrics_of(app)

    def unavailable(error: StoreUnavailable) -> Response:
        metrics.store_errors.inc()
        return errors.error_response(Problem(503, "store_unavailable", str(error), headers=RETRY_AFTER))

    app.register_error_handler(StoreUnavailable, unavailable)
    app.register_error_handler(BadQuery, lambda error: errors.error_response(_bad_query(error)))
    for error, (status, code) in STATUS_OF.items():
        app.register_error_handler(error, _answer_as(status, code))
    app.register_error_handler(StoreError, lambda error: errors.error_response(Problem(422, "bad_value", str(error))))
    app.register_error_handler(CaseError, lambda error: errors.error_response(problem_of(error)))


def _answer_as(status: int, code: str) -> Callable[[StoreError], Response]:
    return lambda error: errors.error_response(Problem(status, code, str(error)))


def problem_of(error: CaseError) -> Problem:
    """The answer to an error of the case workflow."""
    if isinstance(error, CaseNotFound | ClientNotFound):
        return Problem(404, "not_found", str(error))
    if isinstance(error, BadDay):
        return Problem(422, "bad_value", str(error))
    if isinstance(error, FourEyesNeeded):
        return Problem(409, "four_eyes", str(error))
    code = "case_taken" if isinstance(error, CaseTaken) else "move_not_allowed"
    return Problem(409, code, str(error))


def _bad_query(error: BadQuery) -> Problem:
    return Problem(422, "bad_value", str(error), (FieldProblem(error.field, str(error).removesuffix(".")),))
