"""Routes that read the desk: profiles, the dashboard, alerts, cases, inspections, the inspection list.

In:  the desk service with its store; filters, a sort order, a cursor.
Out: JSON, or with ?format= a file (fairmeter/web/exports) of the same rows, from the cursor to the end.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np
from flask import Response, request
from pydantic import BaseModel

from fairmeter.analysis.invoice_checks import check_invoices
from fairmeter.casework import hit_rates
from fairmeter.desk.service import DeskService, RankedVisit
from fairmeter.desk.visit_plan import plan_of, with_reasons
from fairmeter.scoring.problems import Problem
from fairmeter.store import Page, Profile, Series, Store, StoredDrift
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.exports.files import CSV, document_exports, export_response
from fairmeter.web.http.auth import VIEWER, AccessControl
from fairmeter.web.http.errors import JSON

JPEG = "image/jpeg"
PHOTO_HEADERS = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}
MAX_ROWS_PER_QUERY = 1000
EPOCH, ENERGIES = date(1970, 1, 1), ("electricity", "gas")  # by which packed invoices count days and energies
N_PAST = 100  # scores and inspections of a client
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
    document_exports(app, "/clients", "/alerts", "/cases", "/list")
    names = ("consumer", "clients", "dashboard", "alerts", "cases", "case", "inspections_csv", "inspection_list")
    guard.set_roles(**dict.fromkeys((*names, "photo"), VIEWER))


def _add_clients(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/consumer/<path:client_id>", responses={200: schemas.RiskProfile}, security=SECURITY)
    def consumer(path: requests.ClientPath):
        """A client's risk profile."""
        return json_response(profile_of(desk.store, path.client_id))

    @app.get("/clients", responses={200: schemas.ClientPage}, security=SECURITY)
    def clients(query: requests.ClientQuery):
        """Clients by score, severity, expected recovery, moment or id."""
        return rows_response(store.list_profiles, query, schemas.ClientPage, schemas.ClientRow, "clients")

    @app.get("/dashboard", responses={200: schemas.Dashboard}, security=SECURITY)
    def dashboard():
        """The desk in numbers: clients, alerts, cases, trend, hit rates, hot spots."""
        return json_response(dashboard_of(desk))


def _add_lists(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/alerts", responses={200: schemas.AlertPage}, security=SECURITY)
    def alerts(query: requests.AlertQuery):
        """Clients that the system recommends to examine."""
        fixed = {"state": None if query.state == "all" else query.state}
        return rows_response(store.list_alerts, query, schemas.AlertPage, schemas.AlertResponse, "alerts", **fixed)

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


def profile_of(store: Store, client_id: str) -> schemas.RiskProfile:
    """The risk profile of a client. Raises Problem."""
    return risk_profile(store, stored_profile(store, client_id))


def stored_profile(store: Store, client_id: str) -> Profile:
    """The stored profile of a client. Raises Problem."""
    profile = store.find_profile(client_id)
    if profile is None:
        raise Problem(404, "not_found", "There is no client of this id: score it first, with ?record=1 or score.py.")
    return profile


def risk_profile(store: Store, profile: Profile) -> schemas.RiskProfile:
    """A stored profile with the client's past scores, latest alert and case, and inspections."""
    client_id = profile.score.client_id
    score = profile.score
    newest = {"client_id": client_id, "sort": "id", "limit": 1}
    parts = {
        "client": profile.client,
        "facts": dict(profile.facts),
        "series": profile.series and _series(profile.series),
        "invoices": [] if profile.invoices is None else invoices_of(profile.invoices),
        "model_version": profile.model_version,
        "scored_at": profile.scored_at,
        "trend": store.trend_of(client_id, N_PAST),
        "alert": next(iter(store.list_alerts(state=None, **newest).rows), None),
        "case": next(iter(store.list_cases(**newest).rows), None),
        "inspections": store.list_inspections(client_id=client_id, limit=N_PAST).rows,
    }
    own = set(schemas.RiskProfile.model_fields) - set(parts)
    return schemas.RiskProfile.model_validate(parts | {name: getattr(score, name) for name in own})


def _series(series: Series) -> dict:
    kwh = [None if value != value else round(value, 3) for value in series.kwh.tolist()]
    return {"step": series.step, "first_on": series.first_on, "kwh": kwh}


def invoices_of(history: np.ndarray) -> list[dict]:
    """The packed invoices of a client, each with the issues that check_invoices finds."""
    numbers = [name for name in history.dtype.names if name not in ("day", "energy")]
    rows = zip(
        history["day"].tolist(), history["energy"].tolist(), *(history[n].tolist() for n in numbers), strict=True
    )
    return [
        {
            "invoice_on": EPOCH + timedelta(days=day),
            "energy": ENERGIES[energy],
            "findings": [found._asdict() for found in findings],
        }
        | {name: None if value != value else value for name, value in zip(numbers, values, strict=True)}
        for (day, energy, *values), findings in zip(rows, check_invoices(history), strict=True)
    ]


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
        hit_rates={name: [schemas.Rate.model_validate(r._asdict()) for r in found] for name, found in rates.items()},
        drift=_drift(store.last_drift()),
    )


def _drift(last: StoredDrift | None) -> schemas.DriftResponse | None:
    if last is None:
        return None
    parts = {name: schemas.DriftPart.model_validate(part) for name, part in last.found["parts"].items()}
    return schemas.DriftResponse(scored_at=last.scored_at, model_version=last.model_version, parts=parts)


def case_with_moves(desk: DeskService, case_id: int) -> schemas.CaseWithMoves:
    """A case with its history. Raises Problem."""
    case = desk.store.find_case(case_id)
    if case is None:
        raise Problem(404, "not_found", f"There is no case {case_id}.")
    fields = {name: getattr(case, name) for name in schemas.CaseResponse.model_fields}
    return schemas.CaseWithMoves.model_validate(fields | {"moves": desk.store.moves_of(case_id)})


def visits_of(desk: DeskService, query: requests.ListQuery) -> schemas.VisitList:
    """The inspection list of a query. Raises Problem."""
    found = plan_of(desk, **query.plan_options())
    rows = [_visit(n, planned) for n, planned in enumerate(with_reasons(desk, found.rows()), 1)]
    return schemas.VisitList(rows=rows, n_left_out=found.n_left_out)


def _visit(number: int, planned: RankedVisit) -> schemas.VisitResponse:
    score, is_random, net = planned
    parts = {"visit": number, "is_random": is_random, "reason": score.main_reason and score.main_reason.text}
    parts["expected_net_value"] = net and net[0]
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
    return export_response(
        kind, row, (row.model_validate(one) for one in _all_rows(fetch, filters, first)), name, filters
    )


def _all_rows(fetch: Callable, filters: dict, page: Page) -> Iterator:
    yield from page.rows
    while page.next:
        page = fetch(**filters, limit=MAX_ROWS_PER_QUERY, after=page.next)
        yield from page.rows
