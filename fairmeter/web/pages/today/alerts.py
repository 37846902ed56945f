"""The page of all open alerts, the most severe first.

In:  the address: severity, pattern, region, cursor.
Out: the page at /desk/alerts.
"""

from typing import Any

from fairmeter.desk.service import DeskService
from fairmeter.store import BadQuery
from fairmeter.web.desk_api import requests
from fairmeter.web.pages.forms import pager, parse_query
from fairmeter.web.pages.inspection_list import N_ROWS, choices_context
from fairmeter.web.pages.site import Site, render

FILTERS = ("severity", "pattern", "region")


def register(site: Site) -> None:
    desk = site.desk

    @site.page("/alerts")
    def alerts():
        return render("alerts.html", **choices_context(desk), **alerts_context(desk))


def alerts_context(desk: DeskService) -> dict[str, Any]:
    """What the template of alerts receives."""
    query, problems = parse_query(requests.AlertQuery, limit=N_ROWS)
    filters = query.model_dump(include=set(FILTERS), exclude_none=True)
    try:
        page = desk.store.list_alerts(**filters, limit=N_ROWS, after=query.after)
    except BadQuery as bad:
        problems.append(str(bad))
        page = desk.store.list_alerts(limit=N_ROWS)
    ids = sorted({alert.client_id for alert in page.rows})
    return {
        "query": query,
        "problems": problems,
        "alerts": page.rows,
        "scores": desk.store.scores_of(ids),
        "n_open": sum(desk.store.count_alerts().values()),
        "pager": pager(page.next),
    }
