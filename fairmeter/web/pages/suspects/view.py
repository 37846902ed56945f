"""The page Suspects: all clients by filter and sort.

In:  the address: filters, sort, cursor.
Out: the page at /desk/suspects.
"""

from typing import Any
from zoneinfo import ZoneInfo

from fairmeter.desk.client_states import list_clients
from fairmeter.desk.service import DeskService
from fairmeter.store import BadQuery
from fairmeter.web.desk_api import requests
from fairmeter.web.pages.forms import first_page_with, pager, parse_query, start_of_day
from fairmeter.web.pages.inspection_list import N_ROWS, choices_context, file_addresses
from fairmeter.web.pages.site import Site, render

SORTS = ("score", "severity", "recovery", "scored", "id")


def register(site: Site) -> None:
    desk, zone = site.desk, site.settings.time_zone

    @site.page("/suspects")
    def suspects():
        return render("suspects.html", **choices_context(desk), **clients_context(desk, zone))


def clients_context(desk: DeskService, zone: ZoneInfo) -> dict[str, Any]:
    """What the template of all clients receives."""
    moments = {name: start_of_day(name, zone) for name in ("scored_since", "scored_until")}
    query, problems = parse_query(requests.ClientQuery, limit=N_ROWS, **moments)
    filters = query.model_dump(exclude={"limit", "after", "format", "sort"}, exclude_none=True)
    try:
        page = list_clients(desk, **filters, sort=query.sort, limit=N_ROWS, after=query.after)
    except BadQuery as bad:
        problems.append(str(bad))
        page = list_clients(desk, limit=N_ROWS)
    return {
        "query": query,
        "problems": problems,
        "rows": page.rows,
        "cases": desk.store.open_cases_of([row.client_id for row in page.rows]),
        "n_clients": desk.store.count_profiles(**filters),
        "pager": pager(page.next),
        "sorts": {name: first_page_with(sort=name) for name in SORTS},
        "files": file_addresses("clients", query, (*filters, "sort")),
    }
