"""What the desk knows, to be read: profiles, the dashboard, alerts, cases, inspections, whom to visit.

In:  the desk (its store); filters, a sort, a cursor.
Out: JSON, or a file where ?format= asks for one (exports.py): the same rows, from the cursor to the end.
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
from fairmeter.store import Profile, Store, StoredDrift
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests as asks
from fairmeter.web.desk_api import schemas as told
from fairmeter.web.exports.files import CSV, document_exports, export_response
from fairmeter.web.http.auth import VIEWER, AccessControl
from fairmeter.web.http.errors import JSON

JPEG = "image/jpeg"
AS_PHOTO = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}
MOST_A_PAGE = 1000
EPOCH, ENERGIES = date(1970, 1, 1), ("electricity", "gas")  # of packed invoices
N_PAST = 100  # of a client
N_TRANSFORMERS = 10
SECURITY = [{"bearer": []}, {"key": []}, {"session": []}]
GROUPS = {"all": hit_rates.overall, "week": hit_rates.week, "region": hit_rates.region}
GROUPS |= {"reason_group": hit_rates.reason_group}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    _add_clients(app, desk)
    _add_lists(app, desk)
    _add_plan(app, desk)
    _add_photos(app, desk)
    document_exports(app, "/clients", "/alerts", "/cases", "/list")
    names = ("consumer", "clients", "dashboard", "alerts", "cases", "case", "inspections_csv", "inspection_list")
    guard.set_roles(**dict.fromkeys((*names, "photo"), VIEWER))


def _add_clients(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/consumer/<path:client_id>", responses={200: told.RiskProfile}, security=SECURITY)
    def consumer(path: asks.ClientPath):
        """A client's risk profile."""
        return answer(profile_of(desk.store, path.client_id))

    @app.get("/clients", responses={200: told.ClientPage}, security=SECURITY)
    def clients(query: asks.ClientQuery):
        """Clients by score, severity, expected recovery, moment or id."""
        return listed(store.list_profiles, query, told.ClientPage, told.ClientRow, "clients")

    @app.get("/dashboard", responses={200: told.Dashboard}, security=SECURITY)
    def dashboard():
        """The desk in numbers: clients, alerts, cases, trend, hit rates, hot spots."""
        return answer(dashboard_of(desk))


def _add_lists(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/alerts", responses={200: told.AlertPage}, security=SECURITY)
    def alerts(query: asks.AlertQuery):
        """What the system says: look at these clients."""
        fixed = {"state": None if query.state == "all" else query.state}
        return listed(store.list_alerts, query, told.AlertPage, told.AlertResponse, "alerts", **fixed)

    @app.get("/cases", responses={200: told.CasePage}, security=SECURITY)
    def cases(query: asks.CaseQuery):
        """Who works on which client."""
        return listed(store.list_cases, query, told.CasePage, told.CaseResponse, "cases")

    @app.get("/cases/<int:case_id>", responses={200: told.CaseWithMoves}, security=SECURITY)
    def case(path: asks.CasePath):
        """A case and its moves."""
        return answer(case_with_moves(desk, path.case_id))

    csv = {200: {"description": "a line an inspection", "content": {CSV: {}}}}

    @app.get("/inspections.csv", responses=csv, security=SECURITY, endpoint="inspections_csv")
    def inspections_csv(query: asks.InspectionQuery):
        """All visits and their outcomes, the newest first, for a spreadsheet."""
        return whole(store.list_inspections, query.model_dump(), None, told.InspectionResponse, "inspections")


def _add_plan(app: Api, desk: DeskService) -> None:
    @app.get("/list", responses={200: told.VisitList}, security=SECURITY, endpoint="inspection_list")
    def inspection_list(query: asks.ListQuery):
        """Whom to visit, in order; who has a case or was visited of late is left out."""
        visits = visits_of(desk, query)
        if query.format != "json":
            asked = query.model_dump(exclude={"format"}, exclude_none=True)
            return export_response(query.format, told.VisitResponse, visits.rows, "list", asked)
        return answer(visits)


def _add_photos(app: Api, desk: DeskService) -> None:
    pictures = {200: {"description": "the picture", "content": {JPEG: {}}}}

    @app.get("/photos/<name>", responses=pictures, security=SECURITY)
    def photo(path: asks.PhotoPath):
        """A photo of a visit, by its name in the inspection."""
        picture = desk.photos.find(path.name)
        if picture is None:
            raise Problem(404, "not_found", "There is no photo of this name.")
        answer = Response(picture, mimetype=JPEG, headers=AS_PHOTO)
        answer.headers["Content-Disposition"] = f'inline; filename="{path.name}"'
        answer.set_etag(path.name)
        return answer.make_conditional(request)


# --- what is told -----------------------------------------------------------------------------------------------------


def profile_of(store: Store, client_id: str) -> told.RiskProfile:
    """Raises Problem."""
    return risk_profile(store, stored_profile(store, client_id))


def stored_profile(store: Store, client_id: str) -> Profile:
    """The profile of a client. Raises Problem."""
    profile = store.find_profile(client_id)
    if profile is None:
        raise Problem(404, "not_found", "There is no client of this id: score it first, with ?record=1 or score.py.")
    return profile


def risk_profile(store: Store, profile: Profile) -> told.RiskProfile:
    """A profile as the API gives it, with the client's trend, alert, case and inspections."""
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
    own = set(told.RiskProfile.model_fields) - set(parts)
    return told.RiskProfile.model_validate(parts | {name: getattr(score, name) for name in own})


def _series(series) -> dict:
    kwh = [None if value != value else round(value, 3) for value in series.kwh.tolist()]
    return {"step": series.step, "first_on": series.first_on, "kwh": kwh}


def invoices_of(history: np.ndarray) -> list[dict]:
    """Each with what it contradicts."""
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


def dashboard_of(desk: DeskService) -> told.Dashboard:
    store = desk.store
    by_severity, inspections = store.count_severities(), store.inspections()
    rates = {name: hit_rates.hit_rates(inspections, group) for name, group in GROUPS.items()}
    return told.Dashboard(
        n_clients=sum(by_severity.values()),
        clients_by_severity=by_severity,
        alerts_by_severity=store.count_alerts(),
        cases_by_state=store.count_cases(),
        n_readings=store.count_readings(),
        notices=store.count_notices(),
        trend=[told.RunResponse.model_validate(run) for run in store.list_runs()],
        hot_spots=[told.RegionCountResponse.model_validate(spot) for spot in store.count_by_region()],
        transformers=[told.TransformerResponse.model_validate(one) for one in store.worst_transformers(N_TRANSFORMERS)],
        hit_rates={name: [told.Rate.model_validate(r._asdict()) for r in found] for name, found in rates.items()},
        drift=_drift(store.last_drift()),
    )


def _drift(last: StoredDrift | None) -> told.DriftResponse | None:
    if last is None:
        return None
    parts = {name: told.DriftPart.model_validate(part) for name, part in last.found["parts"].items()}
    return told.DriftResponse(scored_at=last.scored_at, model_version=last.model_version, parts=parts)


def case_with_moves(desk: DeskService, case_id: int) -> told.CaseWithMoves:
    """Raises Problem."""
    case = desk.store.find_case(case_id)
    if case is None:
        raise Problem(404, "not_found", f"There is no case {case_id}.")
    fields = {name: getattr(case, name) for name in told.CaseResponse.model_fields}
    return told.CaseWithMoves.model_validate(fields | {"moves": desk.store.moves_of(case_id)})


def visits_of(desk: DeskService, query: asks.ListQuery) -> told.VisitList:
    found = plan_of(desk, **query.plan_options())
    rows = [_visit(n, planned) for n, planned in enumerate(with_reasons(desk, found.rows()), 1)]
    return told.VisitList(rows=rows, n_left_out=found.n_left_out)


def _visit(number: int, planned: RankedVisit) -> told.VisitResponse:
    score, is_random, net = planned
    parts = {"visit": number, "is_random": is_random, "reason": score.main_reason and score.main_reason.text}
    parts["expected_net_value"] = net and net[0]
    own = set(told.VisitResponse.model_fields) - set(parts)
    return told.VisitResponse.model_validate(parts | {name: getattr(score, name) for name in own})


# --- how it is told ---------------------------------------------------------------------------------------------------


def answer(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, mimetype=JSON)


def listed(
    fetch: Callable, query: asks.Paged, page: type[BaseModel], row: type[BaseModel], name: str, **fixed
) -> Response:
    """A page of a list, or all of it as a file. [fetch: of the store; fixed: filters beside the query's]"""
    filters = query.model_dump(exclude={"limit", "after", "format"}, exclude_none=True) | fixed
    if query.format != "json":
        return whole(fetch, filters, query.after, row, name, query.format)
    found = fetch(**filters, limit=query.limit, after=query.after)
    return answer(page(rows=[row.model_validate(one) for one in found.rows], next=found.next))


def whole(
    fetch: Callable, filters: dict, after: str | None, row: type[BaseModel], name: str, kind: str = "csv"
) -> Response:
    """Every row, page by page. What is wrong with the filters shows on the first, before anything is sent."""
    first = fetch(**filters, limit=MOST_A_PAGE, after=after)
    return export_response(kind, row, (row.model_validate(one) for one in _all(fetch, filters, first)), name, filters)


def _all(fetch: Callable, filters: dict, page) -> Iterator:
    yield from page.rows
    while page.next:
        page = fetch(**filters, limit=MOST_A_PAGE, after=page.next)
        yield from page.rows
