"""The map: where suspected clients are, and where they crowd; on a plain ground, or on what the settings lay under it.

In:  the address: severity, region, when it began, how near is near; where one looks, and how near.
Out: the page at /desk/map. Where no client has coordinates, regions take the place of the map (map_regions.py).
"""

import math
from datetime import date
from typing import Any

from flask import request, url_for
from markupsafe import escape

from fairmeter.core.types import SEVERITIES, EnergyBalance
from fairmeter.store import Area, Cell, PlacedClient, Store, Transformer
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.basemap import seen_of, tiles_of
from fairmeter.web.pages.forms import address_with
from fairmeter.web.pages.map import regions
from fairmeter.web.pages.map.hot_spots import LEAST, RADII, SpatialCluster, hot_spots, marks, outlines
from fairmeter.web.pages.site import PageSettings, Site, render

N_ACROSS = 24  # cells each way: heat in space
NEAREST = 6  # each step shows a third of the one before
STEP = 3
ROOM = 2  # a hot spot that is looked at takes half of the map
RADIUS = RADII[1]
MOST_CLIENTS, MOST_TRANSFORMERS, N_ROWS = 400, 200, 10  # drawn; of a table beside the map
MOST_CLUSTERED = 5000  # suspected clients among whom hot spots are looked for: half a second where all crowd
LARGEST = 40  # pixels of the largest cell
MOST_LOST = 0.2  # of what a transformer delivers: from there on its colour is the strongest


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/map")
    def map():  # noqa: A001  its name is the address's
        whole = store.area()
        filters = filters_asked()
        shared = {"filters": filters, "severities": SEVERITIES, "regions": store.list_codes()["region"]}
        if whole is None:
            return render("map_regions.html", **shared, **regions.shown(store, filters))
        return render("map.html", **shared, radii=RADII, **shown(store, whole, filters, site.settings))


def filters_asked() -> dict[str, Any]:
    """What the address says, less what cannot be used."""
    severity = request.args.get("severity")
    days = {name: day_of(request.args.get(name, "")) for name in ("onset_since", "onset_until")}
    found = {
        "severity": severity if severity in SEVERITIES else None,
        "region": request.args.get("region", type=code_of),
    }
    return {name: value for name, value in (found | days).items() if value is not None}


def day_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def code_of(text: str) -> float:
    """Raises ValueError."""
    code = float(text)
    if not math.isfinite(code):
        raise ValueError
    return code


def shown(store: Store, whole: Area, filters: dict[str, Any], settings: PageSettings) -> dict[str, Any]:
    near = min(max(request.args.get("near", 0, int), 0), NEAREST)
    middle = [request.args.get(name, 0.0, code_of) for name in ("lat", "lon")]
    area = around(whole, middle[0], middle[1], near) if near else whole
    radius = radius_asked()
    cells = store.cells(area, N_ACROSS, **filters)
    suspected = store.placed_clients(area, MOST_CLUSTERED, **filters)
    spots, n_spots = hot_spots(suspected, radius, lambda part: store.count_placed(part, **filters))
    links = [towards(spot, whole, near) for spot in spots]
    transformers = store.transformers(area, MOST_TRANSFORMERS, **filters)
    lost = store.balances_of([one.transformer_id for one in transformers])
    drawn = chart(area, cells, suspected[:MOST_CLIENTS], transformers, lost, near)
    lay_under(drawn, settings)
    if spots:
        drawn["data"].append(marks(spots, links))
        drawn["layout"]["shapes"] = outlines(spots, radius)
    return {
        "near": near,
        "radius": radius,
        "least": LEAST,
        "n_clients": sum(cell.n_clients for cell in cells),
        "n_suspected": sum(cell.n_suspected for cell in cells),
        "places": [(one, nearer(one.latitude, one.longitude, near + 1)) for one in cells[:N_ROWS] if one.n_suspected],
        "spots": list(zip(spots, links, strict=True)),
        "n_spots": n_spots,
        "transformers": worst(transformers, lost),
        "lost": lost,
        "suspected": suspected[:N_ROWS],
        "chart": drawn,
        "credit": settings.credit,
        "back": address_with(near=None, lat=None, lon=None) if near else None,
    }


def radius_asked() -> int:
    asked = request.args.get("radius", type=int)
    return asked if asked in RADII else RADIUS


def worst(transformers: list[Transformer], lost: dict[str, EnergyBalance]) -> list[Transformer]:
    """Those with most energy not accounted for; where nothing was measured, with the most suspected clients."""
    lost_kwh = {id_: one.lost_kwh for id_, one in lost.items() if one.lost_share is not None}
    shown = [one for one in transformers if one.n_suspected or lost_kwh.get(one.transformer_id, 0.0) > 0]
    return sorted(shown, key=lambda one: -lost_kwh.get(one.transformer_id, 0.0))[:N_ROWS]


def around(whole: Area, latitude: float, longitude: float, near: int) -> Area:
    """The part of the whole that is looked at."""
    high, wide = ((whole.north - whole.south) / STEP**near / 2, (whole.east - whole.west) / STEP**near / 2)
    return Area(latitude - high, longitude - wide, latitude + high, longitude + wide)


def nearer(latitude: float, longitude: float, near: int) -> str | None:
    """The address of the map looked at from there."""
    return address_with(near=near, lat=f"{latitude:.5f}", lon=f"{longitude:.5f}") if near <= NEAREST else None


def towards(spot: SpatialCluster, whole: Area, near: int) -> str | None:
    """As near to a hot spot as all of it is still seen, one step at least."""
    south, west, north, east, _ = spot.area
    part = max(
        (north - south) / max(whole.north - whole.south, 1e-9), (east - west) / max(whole.east - whole.west, 1e-9)
    )
    steps = math.floor(math.log(1 / max(ROOM * part, 1e-9), STEP))
    return nearer(*spot.middle, max(near + 1, min(steps, NEAREST)))


# --- the chart --------------------------------------------------------------------------------------------------------


def chart(
    area: Area,
    cells: list[Cell],
    suspected: list[PlacedClient],
    transformers: list[Transformer],
    lost: dict[str, EnergyBalance],
    near: int,
) -> charts.Chart:
    traces = [cells_of(cells, near), *transformers_of(transformers, lost)]
    traces += [clients_of(suspected, severity) for severity in reversed(SEVERITIES)]
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False, "ticks": ""}
    room = 0.04 * (area.east - area.west + 1e-3), 0.04 * (area.north - area.south + 1e-3)
    ratio = 1 / max(math.cos(math.radians((area.south + area.north) / 2)), 0.01)
    layout = {
        "xaxis": bare | {"range": [area.west - room[0], area.east + room[0]], "constrain": "domain"},
        "yaxis": bare
        | {"range": [area.south - room[1], area.north + room[1]], "scaleanchor": "x", "scaleratio": ratio},
        "margin": {"l": 8, "r": 8, "t": 34, "b": 8},
        "hovermode": "closest",
    }
    return charts.chart(*(trace for trace in traces if trace["x"]), **layout, showlegend=True)


def lay_under(drawn: charts.Chart, settings: PageSettings) -> None:
    """Below all else the tiles, then the outlines, of the part that the axes show."""
    (west, east), (south, north) = (drawn["layout"][axis]["range"] for axis in ("xaxis", "yaxis"))
    if settings.tiles:
        drawn["layout"]["images"] = [
            {"source": one.source, "xref": "x", "yref": "y", "x": one.west, "y": one.north, "sizing": "stretch",
             "sizex": one.east - one.west, "sizey": one.north - one.south, "layer": "below"}
            for one in tiles_of(settings.tiles, south, west, north, east)
        ]  # fmt: skip
    lines = seen_of(settings.outlines, south, west, north, east)
    if lines:
        x, y = ([round(point[i], 4) if point else None for line in lines for point in (*line, None)] for i in (0, 1))
        bare = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 1}}
        drawn["data"].insert(0, charts.line(x, y, colour=charts.QUIET, **bare))


def cells_of(cells: list[Cell], near: int) -> dict:
    """Circles as large as their clients are many, the darker the larger the suspected share."""
    most = max((cell.n_clients for cell in cells), default=1)
    marker = {
        "size": [6 + (LARGEST - 6) * math.sqrt(cell.n_clients / most) for cell in cells],
        "color": [cell.n_suspected / cell.n_clients for cell in cells],
        "colorscale": [[0, "var(--line-2)"], [1, "var(--critical)"]],
        "cmin": 0,
        "cmax": max((cell.n_suspected / cell.n_clients for cell in cells), default=0) or 1,
        "opacity": 0.45,
        "line": {"width": 0},
    }
    return placed(
        cells, i18n.text("map.cells"), marker,
        [i18n.text("map.cell_told", n=c.n_clients, suspected=c.n_suspected) for c in cells],
        [nearer(c.latitude, c.longitude, near + 1) for c in cells],
    )  # fmt: skip


def transformers_of(transformers: list[Transformer], lost: dict[str, EnergyBalance]) -> list[dict]:
    """Squares, the stronger their colour the more is lost; open ones cannot be judged. A click leads to the page."""
    shares = [one.lost_share if (one := lost.get(each.transformer_id)) else None for each in transformers]
    judged, others = ([i for i, share in enumerate(shares) if (share is None) is is_open] for is_open in (False, True))
    filled = {
        "size": 15, "symbol": "square", "color": [max(shares[i], 0.0) for i in judged], "cmin": 0, "cmax": MOST_LOST,
        "colorscale": [[0, "var(--card)"], [1, "var(--bad)"]], "line": {"width": 1.5, "color": "var(--ink-3)"},
    }  # fmt: skip
    bare = {"size": 9, "symbol": "square-open", "color": "var(--ink-3)", "line": {"width": 1.5}}
    traces = []
    for rows, marker, name in ((judged, filled, "map.measured"), (others, bare, "map.transformers")):
        told = [told_of(transformers[i], shares[i]) for i in rows]
        links = [url_for("desk.transformer", transformer_id=transformers[i].transformer_id) for i in rows]
        traces.append(placed([transformers[i] for i in rows], i18n.text(name), marker, told, links))
    return traces


def told_of(one: Transformer, share: float | None) -> str:
    told = i18n.text("map.transformer_told", id=escape(one.transformer_id), n=one.n_clients, suspected=one.n_suspected)
    return told if share is None else i18n.text("map.transformer_lost", told=told, share=i18n.percent(share, 1))


def clients_of(suspected: list[PlacedClient], severity: str) -> dict:
    own = [client for client in suspected if client.severity == severity]
    outline = {"width": 1, "color": "var(--card)"}
    marker = {"size": 11, "symbol": charts.SHAPES[severity], "color": charts.COLOURS[severity], "line": outline}
    told = [f"{escape(client.client_id)}: {i18n.percent(client.probability)}" for client in own]
    links = [url_for("desk.client", client_id=client.client_id) for client in own]
    return placed(own, i18n.text(f"severity.{severity}"), marker, told, links)


def placed(rows: list, name: str, marker: dict, told: list[str], links: list[str | None]) -> dict:
    """Points with what is said of them and where a click leads."""
    x, y = [round(row.longitude, 5) for row in rows], [round(row.latitude, 5) for row in rows]
    return charts.points(x, y, name, text=told, hoverinfo="text", customdata=links) | {"marker": marker}
