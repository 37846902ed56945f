"""The page Suspects: all clients by filter and sort, each row with a drawer.

In:  the address: filters, sort, cursor. A form: clients to give to somebody.
Out: the page at /desk/suspects, the drawer of a row; new and assigned cases in the store.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from flask import redirect, request, url_for
from werkzeug.exceptions import NotFound

from fairmeter.desk.client_states import CANDIDATE, STATE_FILTERS, count_clients, list_clients, with_states
from fairmeter.desk.service import DeskService
from fairmeter.store import BadQuery
from fairmeter.web.desk_api import requests
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages.cases import signature_of
from fairmeter.web.pages.forms import first_page_with, local_address, pager, parse_form, parse_query, start_of_day
from fairmeter.web.pages.inspection_list import MAX_CASES, choices_context, file_addresses, flash_opened, open_cases
from fairmeter.web.pages.site import Site, render
from fairmeter.web.pages.suspects.reasons import first_reasons
from fairmeter.web.pages.suspects.sparkline import sparkline
from fairmeter.web.pages.today.alerts import default_until

N_ROWS = 50  # on a page
MOMENTS = ("scored_since", "scored_until")  # filters that are days in an address
SORTS = ("score", "severity", "recovery", "scored", "id")
N_REASONS = 3  # in a drawer
ALL = "all"  # the state in the address that lists every client
MORE_FILTERS = ("category", "reason_group", "least_score", "onset_since", "onset_until", "scored_since", "scored_until")


def register(site: Site) -> None:
    desk = site.desk

    @site.page("/suspects")
    def suspects():
        values = choices_context(desk) | clients_context(desk, site.settings.time_zone)
        return render("suspects.html", **values, me=signature_of(site))

    @site.page("/suspects/drawer")
    def suspects_drawer():
        return render(
            "suspects_drawer.html",
            **drawer_context(desk, request.args.get("client", "")),
            me=signature_of(site),
            until=default_until(site),
        )

    @site.page("/suspects/cases", INVESTIGATOR, methods=("POST",))
    def suspects_assign():
        form = request.form
        ids = form.getlist("client")[:MAX_CASES]
        if form.get("everything"):
            ids = ids_of(desk, site.settings.time_zone, dict(parse_qsl(form.get("query", ""))))
        assignee = form.get("assignee", "").strip() or None
        flash_opened(
            open_cases(desk, signature_of(site), ids, set(), why=form.get("why", ""), assignee=assignee), assignee
        )
        return redirect(local_address(form.get("next", ""), url_for("desk.suspects")))


def clients_context(desk: DeskService, zone: ZoneInfo) -> dict[str, Any]:
    """What the template of all clients receives."""
    moments = {name: start_of_day(name, zone) for name in MOMENTS}
    query, problems = parse_query(requests.ClientQuery, limit=N_ROWS, **moments, **asked_state())
    filters = filters_of(query)
    try:
        page = list_clients(desk, **filters, sort=query.sort, limit=N_ROWS, after=query.after)
    except BadQuery as bad:
        problems.append(str(bad))
        page = list_clients(desk, limit=N_ROWS)
    ids = [row.client_id for row in page.rows]
    series = desk.store.series_of(ids)
    lines = {
        row.client_id: sparkline(series[row.client_id], row.onset_on) for row in page.rows if row.client_id in series
    }
    return {
        "query": query,
        "problems": problems,
        "rows": page.rows,
        "lines": lines,
        "reasons": first_reasons(desk, page.rows),
        "cases": desk.store.open_cases_of(ids),
        "n_clients": count_clients(desk, **filters),
        "pager": pager(page.next),
        "sorts": {name: first_page_with(sort=name) for name in SORTS},
        "states": STATE_FILTERS,
        "link": first_page_with,
        "n_more": sum(bool(request.args.get(name)) for name in MORE_FILTERS),
        "max_cases": MAX_CASES,
        "files": file_addresses("clients", query, (*filters, "sort")),
    }


def asked_state() -> dict[str, str | None]:
    """The state that the address asks for; without one, clients that can be inspected. [state=all: every client]"""
    state = request.args.get("state")
    return {} if state and state != ALL else {"state": None if state == ALL else CANDIDATE}


def filters_of(query: requests.ClientQuery) -> dict[str, Any]:
    """The filters among the values of a query."""
    return query.model_dump(exclude={"limit", "after", "format", "sort"}, exclude_none=True)


def ids_of(desk: DeskService, zone: ZoneInfo, arguments: Mapping[str, str]) -> list[str]:
    """The clients that an address lists, at most MAX_CASES. [arguments: of the address] Raises Problem, BadQuery."""
    state = {"all": None}.get(arguments.get("state") or CANDIDATE, arguments.get("state") or CANDIDATE)
    moments = {name: start_of_day(name, zone, arguments) for name in MOMENTS}
    query = parse_form(requests.ClientQuery, arguments, limit=MAX_CASES, after=None, state=state, **moments)
    return [row.client_id for row in list_clients(desk, **filters_of(query), sort=query.sort, limit=MAX_CASES).rows]


def drawer_context(desk: DeskService, client_id: str) -> dict[str, Any]:
    """What the drawer of a client receives. Raises NotFound."""
    store = desk.store
    score = store.scores_of([client_id]).get(client_id)
    rows = with_states(desk, store.list_profiles(id_prefix=client_id, sort="id", limit=1).rows) if score else []
    if not rows or rows[0].client_id != client_id:
        raise NotFound
    row, series = rows[0], store.series_of([client_id]).get(client_id)
    return {
        "row": row,
        "score": score,
        "reasons": [reason for reason in score.reasons if reason.effect > 0][:N_REASONS],
        "line": sparkline(series, row.onset_on) if series else None,
        "case": store.open_case_of(client_id),
        "alert": row.alert,
    }
