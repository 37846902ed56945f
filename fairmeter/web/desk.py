"""The desk as an extension of the service: its routes and pages, its access, its errors as answers.

In:  a DeskService, the secret of the sessions' cookies, and which callers need no key.
Out: DeskExtension, which create_app() registers.
"""

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from flask import Flask, Response

from fairmeter.casework.workflow import BadDay, CaseError, CaseNotFound, CaseTaken, ClientNotFound
from fairmeter.core.types import Score
from fairmeter.desk import runs
from fairmeter.desk.service import DeskService
from fairmeter.scoring.batches import Scorer
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import FieldProblem, Problem
from fairmeter.store import (
    BadQuery,
    ImportConflict,
    NoSuchCampaign,
    NoSuchCrew,
    NoSuchImport,
    NoSuchPlan,
    PlanChanged,
    StoreError,
    StoreUnavailable,
)
from fairmeter.web.app import Api
from fairmeter.web.desk_api import alerts, campaigns, fieldwork, gauges, imports, read, write
from fairmeter.web.http import code_names, errors, observability, sessions
from fairmeter.web.http.auth import NO_ONE, AccessControl, DeskAccess
from fairmeter.web.pages import registry
from fairmeter.web.pages.site import PageSettings

DEFAULT_PAGES = PageSettings()
MIN_ROOM = 2**18  # bytes; SQLite writes pages of 4 kB, a photo has some 300 kB
RETRY_AFTER = {"Retry-After": "5"}  # seconds; about the time that a database needs to restart


class DeskExtension:
    """The desk for create_app (scoring_api.routes.DeskRoutes)."""

    def __init__(
        self, service: DeskService, secret: str, open_to: str = NO_ONE, pages: PageSettings = DEFAULT_PAGES
    ) -> None:
        self.service, self._secret, self._pages = service, secret, pages
        store = service.store
        self.access = DeskAccess(
            partial(sessions.identity_of_key, store),
            partial(sessions.identity_of_session, store),
            open_to,
            sessions.is_valid_token,
        )

    def register(self, app: Api, guard: AccessControl) -> None:
        """Add sessions, errors, metrics, the JSON API and the pages."""
        sessions.register(app, self._secret)
        code_names.register(app, self.service.store.code_names)
        register_errors(app)
        metrics = observability.metrics_of(app)
        metrics.add_source(gauges.run_metrics(self.service.store, metrics.store_errors.inc))
        read.register(app, guard, self.service)
        for routes in (alerts, fieldwork, campaigns):
            routes.register(app, guard, self.service)
        write.register(app, guard, self.service)
        imports.register(app, guard, self.service.imports)
        registry.register(app, guard, self.service, self._pages)

    def following(self, scorer: Scorer) -> Scorer:
        """The scorer, claiming no more than the desk's last run did."""
        return runs.following(scorer, self.service.store)

    def ready(self) -> None:
        """Raises StoreUnavailable where the database does not answer, Problem where a disk is full."""
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
    for missing in (NoSuchImport, NoSuchCrew, NoSuchPlan, NoSuchCampaign):
        app.register_error_handler(missing, _answer_as(404, "not_found"))
    for error, code in ((ImportConflict, "import_conflict"), (PlanChanged, "plan_changed")):
        app.register_error_handler(error, _answer_as(409, code))
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
    code = "case_taken" if isinstance(error, CaseTaken) else "move_not_allowed"
    return Problem(409, code, str(error))


def _bad_query(error: BadQuery) -> Problem:
    return Problem(422, "bad_value", str(error), (FieldProblem(error.field, str(error).removesuffix(".")),))
