"""Who shares what with a client: a section of its page, and the page at /desk/client/ID/relations for another day.

In:  the client's relations (fairmeter/desk/client_profile.py).
Out: rows for the template, and RelationGraph: points and lines of an SVG, mirrored for languages from right to left.
"""

from datetime import date, datetime
from typing import Any, NamedTuple

from flask import request

from fairmeter.desk.client_profile import ClientRelations, RelatedRow, client_relations
from fairmeter.store import MAX_SHARING
from fairmeter.web.http import i18n
from fairmeter.web.pages.site import Site, render

WIDTH, ROW, HUB_ROW = 360.0, 22.0, 44.0  # of the view box; height of a client and of a group
CLIENT_X, HUB_X, RELATED_X = 14.0, 122.0, 232.0
HUB_WIDTH, LABEL_LENGTH = 150.0, 17  # of a group; of a client's id, in characters
RIGHT_TO_LEFT = "rtl"


class GraphHub(NamedTuple):
    """A group in the graph. [x, y: its middle; left: of its frame; way: from the client, a path]"""

    kind: str
    n_clients: int | None
    n_confirmed: int | None
    x: float
    y: float
    left: float
    way: str


class GraphClient(NamedTuple):
    """A client in the graph. [label_x: where its label begins; ways: from its groups, paths]"""

    row: RelatedRow
    label: str
    x: float
    y: float
    label_x: float
    ways: tuple[str, ...]


class RelationGraph(NamedTuple):
    """The client, the groups in the middle, the clients that share. [height: of the view box; x, y: of the client]"""

    height: float
    x: float
    y: float
    hubs: tuple[GraphHub, ...]
    related: tuple[GraphClient, ...]
    is_mirrored: bool


def register(site: Site) -> None:
    @site.page("/client/<path:client_id>/relations")
    def client_relations_of(client_id: str):
        return render("relations.html", client_id=client_id, **relations_context(site, client_id))


def relations_context(site: Site, client_id: str) -> dict[str, Any]:
    """What the templates receive: relations, graph, relations_today, max_sharing. Raises Problem."""
    today = datetime.now(site.settings.time_zone).date()
    found = client_relations(site.desk, client_id, parse_until(request.args.get("until", "")) or today, today)
    is_mirrored = i18n.current_locale().direction == RIGHT_TO_LEFT
    values = {"relations": found, "graph": relation_graph(found, is_mirrored)}
    return values | {"relations_today": today, "max_sharing": MAX_SHARING}


def parse_until(text: str) -> date | None:
    """A day in ISO format; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# --- the graph --------------------------------------------------------------------------------------------------------


def relation_graph(found: ClientRelations, is_mirrored: bool = False) -> RelationGraph | None:
    """The graph of a client's relations; None without any."""
    if not found.groups:
        return None
    height = max(HUB_ROW * len(found.groups), ROW * len(found.related)) + ROW
    start, centre = (_mirrored(CLIENT_X, is_mirrored), height / 2), _mirrored(HUB_X, is_mirrored)
    places = zip(found.groups, _spread(len(found.groups), height), strict=True)
    hubs = [
        GraphHub(*group, centre, y, centre - HUB_WIDTH / 2, _way(*start, _edge(centre, start[0]), y))
        for group, y in places
    ]
    related = zip(found.related, _spread(len(found.related), height), strict=True)
    clients = tuple(_client(row, y, hubs, is_mirrored) for row, y in related)
    return RelationGraph(height, *start, tuple(hubs), clients, is_mirrored)


def _client(row: RelatedRow, y: float, hubs: list[GraphHub], is_mirrored: bool) -> GraphClient:
    x, label_x = (_mirrored(at, is_mirrored) for at in (RELATED_X, RELATED_X + 11))
    ways = tuple(_way(_edge(hub.x, x), hub.y, x, y) for hub in hubs if hub.kind in row.kinds)
    label = row.client_id if len(row.client_id) <= LABEL_LENGTH else f"{row.client_id[: LABEL_LENGTH - 1]}…"
    return GraphClient(row, label, x, y, label_x, ways)


def _spread(n: int, height: float) -> list[float]:
    return [round(height * (i + 0.5) / n, 1) for i in range(n)]


def _mirrored(x: float, is_mirrored: bool) -> float:
    return WIDTH - x if is_mirrored else x


def _edge(hub_x: float, towards: float) -> float:
    """The side of a group's frame that faces a point."""
    return hub_x + (HUB_WIDTH / 2 if towards > hub_x else -HUB_WIDTH / 2)


def _way(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (x + to_x) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"
