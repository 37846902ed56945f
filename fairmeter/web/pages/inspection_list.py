"""The page of planned visits.

In:  the address: visits, cost, price, share at random, promise, filters. A form: cases to open.
Out: the page at /desk/list; new and assigned cases in the store.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any
from urllib.parse import urlencode

from flask import flash, redirect, request, url_for

from fairmeter.casework.types import Case
from fairmeter.casework.workflow import ASSIGNED, NEW, CaseError, ClientHasCase
from fairmeter.core.types import ANOMALY_PATTERNS, INSUFFICIENT_HISTORY, SEVERITIES
from fairmeter.desk.service import DeskService, RankedVisit
from fairmeter.desk.visit_plan import PLAN_FILTERS, VisitPlan, plan_of, with_reasons
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import charts, error_pages
from fairmeter.web.pages.forms import (
    Pager,
    address_with,
    assignable_users,
    local_address,
    parse_query,
)
from fairmeter.web.pages.site import Site, ranks_why, render

N_ROWS = 50  # on a page
MAX_CASES = 200  # that one form opens
CURVE_FACTOR = 3  # length of the curve in lists, to show what more visits would yield
PROMISES = ("0.2", "0.3", "0.5", "0.7")
PLAN_ARGUMENTS = ("visits", "cost", "price", "random_share", "false_alarms", *sorted(PLAN_FILTERS))
FILE_KINDS = ("csv", "xlsx", "pdf")  # formats of a list as a file


def register(site: Site) -> None:
    desk = site.desk

    @site.page("/list")
    def list():  # noqa: A001  the endpoint's name
        if request.args.get("show") == "all":  # the address until version 2
            return redirect(url_for("desk.suspects", **request.args.to_dict() | {"show": None}))
        return render("list.html", **choices_context(desk), **visits_context(desk))

    @site.page("/list/cases", INVESTIGATOR, methods=("POST",))
    def list_open_cases():
        ids = request.form.getlist("client")[:MAX_CASES]
        why, assignee = request.form.get("why", ""), request.form.get("assignee", "").strip() or None
        sampled = set(request.form.getlist("drawn"))
        user = site.guard.identity().signature
        flash_opened(open_cases(desk, user, ids, sampled, why=why, assignee=assignee), assignee)
        return redirect(local_address(request.form.get("next", ""), url_for("desk.list")))


def choices_context(desk: DeskService) -> dict[str, Any]:
    """The choices of the filters, and the users whom a case can be given to."""
    return {
        "codes": desk.store.list_codes(),
        "names": assignable_users(desk),
        "severities": (*SEVERITIES, INSUFFICIENT_HISTORY),
        "patterns": ANOMALY_PATTERNS,
    }


# --- planned visits ---------------------------------------------------------------------------------------------------


def visits_context(desk: DeskService) -> dict[str, Any]:
    """What the template of planned visits receives."""
    query, problems = parse_query(requests.ListQuery)
    try:
        plan = plan_of(desk, **query.plan_options())
    except Problem as problem:
        problems.append(problem.message)
        query = query.model_copy(update={"false_alarms": None})
        plan = plan_of(desk, **query.plan_options())
    rows = plan.rows()
    number = min(max(request.args.get("page", 1, int), 1), max(-(-len(rows) // N_ROWS), 1))
    first = (number - 1) * N_ROWS
    return {
        "query": query,
        "problems": problems,
        "rows": enumerate_from(first, with_reasons(desk, rows[first : first + N_ROWS])),
        "n_rows": len(rows),
        "expected": expected_results(rows),
        "curve": yield_chart(plan, has_value=any(planned.net for planned in plan.ranked)),
        "n_left_out": plan.n_left_out,
        "promises": PROMISES if desk.manifest.get("promise") and ranks_why(desk) is None else (),
        "pager": page_links(number, first + N_ROWS < len(rows)),
        "files": file_addresses("inspection_list", query, PLAN_ARGUMENTS),
    }


def enumerate_from(first: int, rows: list[RankedVisit]) -> list[tuple[int, RankedVisit]]:
    """Number visits by their place in the whole list."""
    return [(first + n, planned) for n, planned in enumerate(rows, 1)]


def expected_results(rows: Sequence[RankedVisit]) -> dict[str, Any]:
    """Expected results of visits by their scores: confirmations, energy [kWh], value less cost where prices exist."""
    nets = [planned.net[0] for planned in rows if planned.net]
    n_confirmed = sum(planned.score.probability or 0.0 for planned in rows)
    return {
        "n_confirmed": n_confirmed,
        "hit_rate": n_confirmed / len(rows) if rows else None,
        "kwh": sum(planned.score.expected_recovery_kwh or 0.0 for planned in rows),
        "net": sum(nets) if nets else None,
        "n_random": sum(planned.is_random for planned in rows),
    }


def yield_chart(plan: VisitPlan, has_value: bool) -> charts.Chart:
    """Expected cumulative yield by number of visits, with the chosen number marked."""
    n = min(len(plan.ranked), max(CURVE_FACTOR * plan.n_best, 60))
    best = plan.ranked[:n]
    yields = [planned.net[0] if planned.net else 0.0 for planned in best] if has_value else None
    yields = yields or [planned.score.expected_recovery_kwh or 0.0 for planned in best]
    y = [0.0, *accumulate(yields)]
    x, chosen = [*range(len(y))], min(plan.n_best, len(y) - 1)
    title = i18n.text("list.net" if has_value else "list.kwh")
    whole = charts.line(x, y, title, hovertemplate="%{x}: %{y:,.0f}<extra></extra>")
    point = charts.points([chosen], [y[chosen]], marker={"size": 13, "line": {"width": 2, "color": "var(--card)"}})
    mark = {"x": chosen, "y": y[chosen], "text": i18n.text("list.chosen_point", n=chosen), "showarrow": False}
    mark |= {"yanchor": "bottom", "xanchor": "right", "yshift": 10, "xshift": 8 if chosen > n / 8 else 60}
    axes = {"xaxis": {"title": i18n.text("list.visits"), "rangemode": "tozero"}, "yaxis": {"title": title}}
    return charts.chart(whole, point | {"hoverinfo": "skip"}, **axes, annotations=[mark])


def page_links(number: int, has_next: bool) -> Pager:
    """Links around a page of planned visits, which are numbered."""
    first, previous = (address_with(page=None), address_with(page=number - 1)) if number > 1 else (None, None)
    return Pager(first, previous, address_with(page=number + 1) if has_next else None, number)


def file_addresses(endpoint: str, query: requests.DeskRequest, names: Iterable[str]) -> dict[str, str]:
    """The API's addresses of the same rows as a file, by format."""
    given = query.model_dump(mode="json", include=set(names), exclude_none=True, exclude_defaults=True)
    return {kind: f"{url_for(endpoint)}?{urlencode(given | {'format': kind})}" for kind in FILE_KINDS}


# --- cases ------------------------------------------------------------------------------------------------------------


def flash_opened(results: tuple[list[int], list[int], list[str]], assignee: str | None) -> None:
    """Say on the next page what `open_cases` did."""
    opened, assigned, refused = results
    if opened:
        flash(i18n.text("list.opened", n=len(opened), to=assignee or i18n.text("list.unassigned")), "done")
    if assigned:
        flash(i18n.text("list.given", n=len(assigned), to=assignee), "done")
    for sentence in refused[:3]:
        flash(sentence, "error")
    if len(refused) > 3:
        flash(i18n.text("list.refused", n=len(refused) - 3), "error")


def open_cases(
    desk: DeskService, user: str, client_ids: Iterable[str], sampled: set[str], *, why: str, assignee: str | None
) -> tuple[list[int], list[int], list[str]]:
    """Open a case for each client, or assign its open one.

    Returns numbers of opened cases, numbers of assigned cases, and sentences on failures. Raises StoreUnavailable.
    """
    opened, assigned, refused = [], [], []
    for client_id in client_ids:
        try:
            case, is_new = open_or_assign(desk, client_id, user, client_id in sampled, why=why, assignee=assignee)
            (opened if is_new else assigned).append(case.case_id)
        except StoreUnavailable:
            raise
        except (CaseError, StoreError) as error:
            refused.append(error_pages.error_sentence(error))
    return opened, assigned, refused


def open_or_assign(
    desk: DeskService, client_id: str, user: str, is_random: bool, *, why: str, assignee: str | None
) -> tuple[Case, bool]:
    """A new case, or the client's open and unassigned one after its assignment. [case, is new]

    Raises CaseError, StoreError.
    """
    try:
        return desk.store.open_case(client_id, user, why, assignee=assignee, is_random=is_random), True
    except ClientHasCase as error:
        case = error.case
        if assignee is None or case.state != NEW:
            raise
        options = {"version": case.version, "assignee": assignee}
        return desk.store.move_case(case.case_id, ASSIGNED, user, why, **options), False
