"""Routes that read the desk: profiles, the dashboard, cases, inspections, the inspection list.

In:  the desk service with its store; filters, a sort order, a cursor.
Out: JSON, or with ?format= a file (fairmeter/web/exports) of the same rows, from the cursor to the end.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Response, request, stream_with_context
from pydantic import BaseModel

from fairmeter.casework import hit_rates
from fairmeter.casework.client_state import client_state
from fairmeter.core.claims import run_ranks_of, severity_promises
from fairmeter.desk.client_profile import client_profile, stored_profile
from fairmeter.desk.client_states import list_clients
from fairmeter.desk.service import DeskService, RankedVisit
from fairmeter.desk.visit_plan import plan_of, with_reasons
from fairmeter.scoring.problems import Problem
from fairmeter.store import Page, StoredDrift
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.exports.files import CSV, document_exports, export_response
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import VIEWER, AccessControl
from fairmeter.web.http.code_names import named
from fairmeter.web.http.errors import JSON
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

JPEG = "image/jpeg"
PHOTO_HEADERS = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}
MAX_ROWS_PER_QUERY = 1000
N_TRANSFORMERS = 10
SECURITY = [{"bearer": []}, {"key": []}, {"session": []}]
GROUPS = {"all": hit_rates.overall, "week": hit_rates.week, "region": hit_rates.region}
GROUPS |= {"reason_group": hit_rates.reason_group}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes, each for the role viewer."""
    _add_clients(app, desk)
    _add_lists(app, desk)
    _add_plan(app, desk)
    _add_photos(app, desk)
    document_exports(app, "/clients", "/cases", "/list")
    names = ("consumer", "clients", "dashboard", "cases", "case", "inspections_csv", "inspection_list")
    guard.set_roles(**dict.fromkeys((*names, "photo"), VIEWER))
    exported = ("clients", "cases")
    app.set_policies(**dict.fromkeys(exported, RoutePolicy(heavy_queries=policies.EXPORTS)))
    app.set_policies(inspections_csv=RoutePolicy(policies.FILES))
    app.set_policies(inspection_list=RoutePolicy(heavy_queries=(*policies.EXPORTS, *policies.PROMISE)))


def _add_clients(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/consumer/<path:client_id>", responses={200: schemas.RiskProfile}, security=SECURITY)
    def consumer(path: requests.ClientPath):
        """A client's risk profile."""
        profile = client_profile(desk, stored_profile(store, path.client_id))
        return json_response(schemas.RiskProfile.model_validate(profile))

    @app.get("/clients", responses={200: schemas.ClientPage}, security=SECURITY)
    def clients(query: requests.ClientQuery):
        """Clients by score, severity, expected recovery, moment or id."""
        return rows_response(partial(list_clients, desk), query, schemas.ClientPage, schemas.ClientRow, "clients")

    @app.get("/dashboard", responses={200: schemas.Dashboard}, security=SECURITY)
    def dashboard():
        """The desk in numbers: clients, alerts, cases, trend, hit rates, hot spots."""
        return json_response(dashboard_of(desk))


def _add_lists(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/cases", responses={200: schemas.CasePage}, security=SECURITY)
    def cases(query: requests.CaseQuery):
        """Cases: the work on clients, and who does it."""
        return rows_response(store.list_cases, query, schemas.CasePage, schemas.CaseResponse, "cases")

    @app.get("/cases/<int:case_id>", responses={200: schemas.CaseWithMoves}, security=SECURITY)
    def case(path: requests.CasePath):
        """A case and its moves."""
        return json_response(case_with_moves(desk, path.case_id))

    csv = {200: {"description": "one line per inspection", "content": {CSV: {}}}}

    @app.get("/inspections.csv", responses=csv, security=SECURITY, endpoint="inspections_csv")
    def inspections_csv(query: requests.InspectionQuery):
        """All inspections and their outcomes, the newest first, as CSV."""
        return file_response(
            store.list_inspections, query.model_dump(), None, schemas.InspectionResponse, "inspections"
        )


def _add_plan(app: Api, desk: DeskService) -> None:
    @app.get("/list", responses={200: schemas.VisitList}, security=SECURITY, endpoint="inspection_list")
    def inspection_list(query: requests.ListQuery):
        """Clients to inspect, in order; those with an open case or a recent inspection are left out."""
        visits = visits_of(desk, query)
        if query.format != "json":
            filters = query.model_dump(exclude={"format"}, exclude_none=True)
            return export_response(query.format, schemas.VisitResponse, visits.rows, "list", filters)
        return json_response(visits)


def _add_photos(app: Api, desk: DeskService) -> None:
    pictures = {200: {"description": "the picture", "content": {JPEG: {}}}}

    @app.get("/photos/<name>", responses=pictures, security=SECURITY)
    def photo(path: requests.PhotoPath):
        """A photo of an inspection, by the name that the inspection gives."""
        picture = desk.photos.find(path.name)
        if picture is None:
            raise Problem(404, "not_found", "There is no photo of this name.")
        response = Response(picture, mimetype=JPEG, headers=PHOTO_HEADERS)
        response.headers["Content-Disposition"] = f'inline; filename="{path.name}"'
        response.set_etag(path.name)
        return response.make_conditional(request)


# --- contents of answers ----------------------------------------------------------------------------------------------


def dashboard_of(desk: DeskService) -> schemas.Dashboard:
    """Counts, trend, hot spots and hit rates of the store."""
    store = desk.store
    by_severity, inspections = store.count_severities(), store.inspections()
    rates = {name: hit_rates.hit_rates(inspections, group) for name, group in GROUPS.items()}
    return schemas.Dashboard(
        n_clients=sum(by_severity.values()),
        clients_by_severity=by_severity,
        alerts_by_severity=store.count_alerts(),
        cases_by_state=store.count_cases(),
        n_readings=store.count_readings(),
        notices=store.count_notices(),
        trend=[schemas.RunResponse.model_validate(run) for run in store.list_runs()],
        hot_spots=[schemas.RegionCountResponse.model_validate(spot) for spot in store.count_by_region()],
        transformers=[
            schemas.TransformerResponse.model_validate(one) for one in store.worst_transformers(N_TRANSFORMERS)
        ],
        hit_rates={
            by: [schemas.Rate.model_validate(r._asdict() | {"group": _group_name(by, r.group)}) for r in found]
            for by, found in rates.items()
        },
        drift=_drift(store.last_drift()),
        incidents=[schemas.IncidentResponse.model_validate(one) for one in store.last_incidents()],
        n_unjudged=store.count_unjudged(),
        severities=[schemas.SeverityPromiseResponse.model_validate(one) for one in severity_promises(desk.manifest)],
    )


def _group_name(by: str, group: Any) -> Any:
    return named(by, group) if by == "region" else group


def _drift(last: StoredDrift | None) -> schemas.DriftResponse | None:
    if last is None:
        return None
    parts = {name: schemas.DriftPart.model_validate(part) for name, part in last.found["parts"].items()}
    ranks = run_ranks_of(last.found)
    return schemas.DriftResponse(
        scored_at=last.scored_at, model_version=last.model_version, parts=parts, ranks_why=ranks and ranks["why"]
    )


def case_with_moves(desk: DeskService, case_id: int) -> schemas.CaseWithMoves:
    """A case with its history. Raises Problem."""
    case = desk.store.find_case(case_id)
    if case is None:
        raise Problem(404, "not_found", f"There is no case {case_id}.")
    fields = {name: getattr(case, name) for name in schemas.CaseResponse.model_fields}
    alert = case.alert_id and desk.store.find_alert(case.alert_id)
    more = {"moves": desk.store.moves_of(case_id), "rules": list(alert.rules) if alert else []}
    return schemas.CaseWithMoves.model_validate(fields | more)


def visits_of(desk: DeskService, query: requests.ListQuery) -> schemas.VisitList:
    """The inspection list of a query. Raises Problem."""
    found = plan_of(desk, **query.plan_options())
    found_rows = enumerate(with_reasons(desk, found.rows()), 1)
    rows = [_visit(n, planned, is_for_people=query.format == "pdf") for n, planned in found_rows]
    return schemas.VisitList(rows=rows, n_left_out=found.n_left_out)


def _visit(number: int, planned: RankedVisit, *, is_for_people: bool) -> schemas.VisitResponse:
    """A row of the list. [is_for_people: its sentence is in the reader's language, else in English]"""
    score, is_random, net = planned
    reason = score.main_reason and score.main_reason.text
    parts = {"visit": number, "is_random": is_random, "reason": i18n.worded(reason) if is_for_people else reason}
    parts["expected_net_value"] = net and net[0]
    parts["state"] = client_state(None, score.recommendation)  # clients whose case decides are not on the list
    own = set(schemas.VisitResponse.model_fields) - set(parts)
    return schemas.VisitResponse.model_validate(parts | {name: getattr(score, name) for name in own})


# --- forms of answers -------------------------------------------------------------------------------------------------


def json_response(model: BaseModel, status: int = 200) -> Response:
    """An answer with the model as JSON."""
    return Response(model.model_dump_json(), status, mimetype=JSON)


def rows_response(
    fetch: Callable, query: requests.Paged, page: type[BaseModel], row: type[BaseModel], name: str, **fixed
) -> Response:
    """A page of a list, or all of it as a file.

    fetch: the method of the store; page, row: models of the answer; name: of the list, for exports; fixed: filters in
    addition to those of the query.
    """
    filters = query.model_dump(exclude={"limit", "after", "format"}, exclude_none=True) | fixed
    if query.format != "json":
        return file_response(fetch, filters, query.after, row, name, query.format)
    found = fetch(**filters, limit=query.limit, after=query.after)
    return json_response(page(rows=[row.model_validate(one) for one in found.rows], next=found.next))


def file_response(
    fetch: Callable, filters: dict, after: str | None, row: type[BaseModel], name: str, kind: str = "csv"
) -> Response:
    """A file of all rows, fetched page by page.

    The first page is fetched before the answer begins, so that wrong filters are an error and no broken file.
    """
    first = fetch(**filters, limit=MAX_ROWS_PER_QUERY, after=after)
    # The rows are made while they are sent, and their codes are named by the request's app.
    rows = stream_with_context(row.model_validate(one) for one in _all_rows(fetch, filters, first))
    return export_response(kind, row, rows, name, filters)


def _all_rows(fetch: Callable, filters: dict, page: Page) -> Iterator:
    yield from page.rows
    while page.next:
        page = fetch(**filters, limit=MAX_ROWS_PER_QUERY, after=page.next)
        yield from page.rows
