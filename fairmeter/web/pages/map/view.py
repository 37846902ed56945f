"""The map's page: suspected clients, transformers and hot spots, on a plain background or a base map.

In:  the address: severity, region, period of the onset, radius of hot spots, a day of crews' ways; the view, as the
     middle and a zoom, or as a box.
Out: the page at /desk/map. Where no client has coordinates, it shows regions instead (regions.py).
"""

import math
import re
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from flask import request, url_for
from markupsafe import escape

from fairmeter.core.types import SEVERITIES, EnergyBalance
from fairmeter.data.tables import parse_code
from fairmeter.store import Area, Cell, PlacedClient, Store, Transformer
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.basemap import Land, land_around, map_tiles, visible_lines
from fairmeter.web.pages.forms import address_with
from fairmeter.web.pages.map import regions
from fairmeter.web.pages.map.hot_spots import (
    MIN_CLIENTS,
    RADII,
    SpatialCluster,
    hot_spot_marks,
    hot_spot_outlines,
    hot_spots,
)
from fairmeter.web.pages.plan.day_view import Card, CrewColumn, columns_of
from fairmeter.web.pages.site import PageSettings, Site, render

N_CELLS_ACROSS = 24  # cells in each direction
PLANNED_AHEAD = timedelta(days=14)  # days whose ways can be shown
MAX_ZOOM = 6  # steps; each shows a third of the width of the one before
ZOOM_FACTOR = 3
HOT_SPOT_MARGIN = 2  # a viewed hot spot takes at most half of the map
DEFAULT_RADIUS = RADII[1]
MAX_CLIENTS, MAX_TRANSFORMERS, N_ROWS = 400, 200, 10  # on the map; in a table beside it
MAX_CLUSTERED = 2000  # suspected clients in which clusters are searched: a tenth of a second where all are near
MAX_CELL_SIZE = 40  # pixels
MAX_LOST_SHARE = 0.2  # of the delivered energy; from here on the colour is the strongest


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/map")
    def map():  # noqa: A001  the endpoint's name
        whole = store.area()
        filters = parse_filters()
        shared = {"filters": filters, "severities": SEVERITIES, "regions": store.list_codes()["region"]}
        if whole is None:
            return render("map_regions.html", **shared, **regions.regions_context(store, filters))
        today = datetime.now(site.settings.time_zone).date()
        ways = ways_context(store, today)
        return render(
            "map.html", **shared, radii=RADII, **map_context(store, whole, filters, site.settings, ways), **ways
        )


def parse_filters() -> dict[str, Any]:
    """The filters of the address; invalid ones are left out."""
    severity = request.args.get("severity")
    days = {name: parse_day(request.args.get(name, "")) for name in ("onset_since", "onset_until")}
    found = {
        "severity": severity if severity in SEVERITIES else None,
        "region": request.args.get("region", type=parse_region),
    }
    return {name: value for name, value in (found | days).items() if value is not None}


def parse_day(text: str) -> date | None:
    """A day in ISO format; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_region(text: str) -> float:
    """The code of a region, given by its number or its name. Raises ValueError."""
    return parse_finite(parse_code(text))


def parse_finite(text: str | float) -> float:
    """A finite number. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def map_context(
    store: Store, whole: Area, filters: dict[str, Any], settings: PageSettings, ways: dict[str, Any]
) -> dict[str, Any]:
    """What the template of the map receives."""
    near = min(max(request.args.get("near", 0, int), 0), MAX_ZOOM)
    middle = [request.args.get(name, 0.0, parse_finite) for name in ("lat", "lon")]
    area = zoomed_area(whole, middle[0], middle[1], near) if near else whole
    box = parse_box()
    if box:
        area, near = box, zoom_of(box, whole)
    radius = parse_radius()
    cells = store.cells(area, N_CELLS_ACROSS, **filters)
    suspected = store.placed_clients(area, MAX_CLUSTERED, **filters)
    spots, n_spots = hot_spots(suspected, radius, lambda part: store.count_placed(part, **filters))
    links = [hot_spot_address(spot, whole, near) for spot in spots]
    transformers = store.transformers(area, MAX_TRANSFORMERS, **filters)
    lost = store.balances_of([one.transformer_id for one in transformers])
    chart = map_chart(area, cells, suspected[:MAX_CLIENTS], transformers, lost, near)
    add_base_map(chart, settings)
    chart["data"] += way_traces(ways["ways"])
    if spots:
        chart["data"].append(hot_spot_marks(spots, links))
        chart["layout"]["shapes"] = hot_spot_outlines(spots, radius)
    return {
        "near": near,
        "radius": radius,
        "least": MIN_CLIENTS,
        "n_clients": sum(cell.n_clients for cell in cells),
        "n_suspected": sum(cell.n_suspected for cell in cells),
        "places": [
            (one, zoom_address(one.latitude, one.longitude, near + 1)) for one in cells[:N_ROWS] if one.n_suspected
        ],
        "spots": list(zip(spots, links, strict=True)),
        "n_spots": n_spots,
        "transformers": worst_transformers(transformers, lost),
        "lost": lost,
        "suspected": suspected[:N_ROWS],
        "legend": legend_of(store, area, filters),
        "n_drawn": min(len(suspected), MAX_CLIENTS),
        "chart": chart,
        "credit": settings.credit,
        "back": address_with(near=None, lat=None, lon=None, box=None) if near or box else None,
    }


class LegendEntry(NamedTuple):
    """A severity with its number of suspected clients here. link: shows it alone, or all of them again."""

    severity: str
    n: int
    link: str
    is_chosen: bool


def legend_of(store: Store, area: Area, filters: dict[str, Any]) -> list[LegendEntry]:
    """The severities that the map draws, with counts under the other filters: legend and filter are one."""
    others = {name: value for name, value in filters.items() if name != "severity"}
    counts, chosen = store.count_suspected(area, **others), filters.get("severity")
    return [
        LegendEntry(name, counts.get(name, 0), address_with(severity=None if name == chosen else name), name == chosen)
        for name in SEVERITIES
    ]


def parse_box() -> Area | None:
    """The area of the address, as the map was moved: south, west, north, east. [degrees] None without a valid one."""
    try:
        south, west, north, east = (parse_finite(part) for part in request.args.get("box", "").split(","))
    except ValueError:
        return None
    is_area = -90 <= south < north <= 90 and -360 <= west < east <= 360
    return Area(south, west, north, east) if is_area else None


def zoom_of(area: Area, whole: Area) -> int:
    """The zoom step whose view is about as wide as an area."""
    width = max(area.east - area.west, 1e-9)
    steps = math.log(max(whole.east - whole.west, 1e-9) / width, ZOOM_FACTOR)
    return min(max(round(steps), 0), MAX_ZOOM)


# --- ways of crews ----------------------------------------------------------------------------------------------------


def ways_context(store: Store, today: date) -> dict[str, Any]:
    """The days with plans that can be shown, the chosen one, and its ways."""
    plans = store.list_plans(today, today + PLANNED_AHEAD)
    days = sorted({plan.planned_on for plan in plans if plan.visits})
    chosen = parse_day(request.args.get("ways", ""))
    columns = columns_of(store, store.list_crews(), [plan for plan in plans if plan.planned_on == chosen])
    return {"way_days": days, "way_day": chosen, "ways": columns}


def way_traces(columns: list[CrewColumn]) -> list[dict]:
    """A line with numbered points for each crew, each point with the link to its client."""
    return [way_trace(column, stops) for column in columns if (stops := placed_stops(column))]


def placed_stops(column: CrewColumn) -> list[Card]:
    return [card for card in column.cards if card.site and card.site.has_place]


def way_trace(column: CrewColumn, stops: list[Card]) -> dict:
    """The way of a crew from visit to visit."""
    x, y = [round(stop.site.longitude, 5) for stop in stops], [round(stop.site.latitude, 5) for stop in stops]
    colour = f"var(--crew-{column.colour})"
    hover_texts = [f"{escape(column.crew.name)}, {stop.number}: {escape(stop.visit.client_id)}" for stop in stops]
    links = [url_for("desk.client", client_id=stop.visit.client_id) for stop in stops]
    trace = charts.line(x, y, column.crew.name, colour=colour, text=hover_texts, hoverinfo="text", customdata=links)
    marker = {"size": 16, "color": "var(--card)", "line": {"width": 2, "color": colour}}
    return trace | {"mode": "lines+markers", "marker": marker}


def parse_radius() -> int:
    """The radius of hot spots in the address, or the default. [metres]"""
    radius = request.args.get("radius", type=int)
    return radius if radius in RADII else DEFAULT_RADIUS


def worst_transformers(transformers: list[Transformer], lost: dict[str, EnergyBalance]) -> list[Transformer]:
    """The transformers with most lost energy; without measurements, those with the most suspected clients."""
    lost_kwh = {id_: one.lost_kwh for id_, one in lost.items() if one.lost_share is not None}
    listed = [one for one in transformers if one.n_suspected or lost_kwh.get(one.transformer_id, 0.0) > 0]
    return sorted(listed, key=lambda one: -lost_kwh.get(one.transformer_id, 0.0))[:N_ROWS]


def zoomed_area(whole: Area, latitude: float, longitude: float, near: int) -> Area:
    """The part of the whole area that is visible at a zoom."""
    high, wide = (
        (whole.north - whole.south) / ZOOM_FACTOR**near / 2,
        (whole.east - whole.west) / ZOOM_FACTOR**near / 2,
    )
    return Area(latitude - high, longitude - wide, latitude + high, longitude + wide)


def zoom_address(latitude: float, longitude: float, near: int) -> str | None:
    """The address of the map at a place and a zoom; None beyond the highest zoom."""
    return address_with(near=near, lat=f"{latitude:.5f}", lon=f"{longitude:.5f}") if near <= MAX_ZOOM else None


def zoom_addresses(cells: list[Cell], near: int) -> list[str | None]:
    """`zoom_address` of many places: the rest of the address is written once."""
    pattern = address_with(near=near, lat="LAT", lon="LON") if near <= MAX_ZOOM else None
    if pattern is None:
        return [None] * len(cells)
    before, between, after = re.split("(?<=lat=)LAT|(?<=lon=)LON", pattern)
    return [f"{before}{cell.latitude:.5f}{between}{cell.longitude:.5f}{after}" for cell in cells]


def hot_spot_address(spot: SpatialCluster, whole: Area, near: int) -> str | None:
    """The address of the highest zoom that shows a whole hot spot, at least one step closer."""
    south, west, north, east, _ = spot.area
    part = max(
        (north - south) / max(whole.north - whole.south, 1e-9), (east - west) / max(whole.east - whole.west, 1e-9)
    )
    steps = math.floor(math.log(1 / max(HOT_SPOT_MARGIN * part, 1e-9), ZOOM_FACTOR))
    return zoom_address(*spot.middle, max(near + 1, min(steps, MAX_ZOOM)))


# --- the chart --------------------------------------------------------------------------------------------------------


def map_chart(
    area: Area,
    cells: list[Cell],
    suspected: list[PlacedClient],
    transformers: list[Transformer],
    lost: dict[str, EnergyBalance],
    near: int,
) -> charts.Chart:
    """The map as a chart, without its base map and hot spots."""
    traces = [cell_trace(cells, near), *transformer_traces(transformers, lost)]
    traces += [client_trace(suspected, severity) for severity in reversed(SEVERITIES)]
    bare = {
        "fixedrange": False,
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "showline": False,
        "ticks": "",
    }
    margin = 0.04 * (area.east - area.west + 1e-3), 0.04 * (area.north - area.south + 1e-3)
    ratio = 1 / max(math.cos(math.radians((area.south + area.north) / 2)), 0.01)
    layout = {
        "xaxis": bare | {"range": [area.west - margin[0], area.east + margin[0]]},
        "yaxis": bare
        | {"range": [area.south - margin[1], area.north + margin[1]], "scaleanchor": "x", "scaleratio": ratio},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "hovermode": "closest",
        "dragmode": "pan",
    }
    return charts.chart(*(trace for trace in traces if trace["x"]), **layout, showlegend=False)


def add_base_map(chart: charts.Chart, settings: PageSettings) -> None:
    """Add land or tiles, and outlines, of the visible area below all other traces."""
    (west, east), (south, north) = (chart["layout"][axis]["range"] for axis in ("xaxis", "yaxis"))
    if settings.tiles:
        chart["layout"]["images"] = [
            {"source": one.source, "xref": "x", "yref": "y", "x": one.west, "y": one.north, "sizing": "stretch",
             "sizex": one.east - one.west, "sizey": one.north - one.south, "layer": "below"}
            for one in map_tiles(settings.tiles, south, west, north, east)
        ]  # fmt: skip
    lines, land = visible_lines(settings.outlines, south, west, north, east), None
    if not settings.tiles:
        land = land_around(south, west, north, east)
    if lines:
        x, y = ([round(point[i], 4) if point else None for line in lines for point in (*line, None)] for i in (0, 1))
        bare = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 1}}
        chart["data"].insert(0, charts.line(x, y, colour=charts.QUIET, **bare))
    if land:
        chart["layout"]["plot_bgcolor"] = "var(--sea)"
        chart["data"][:0] = land_traces(land)


def land_traces(land: Land) -> list[dict]:
    """Land as a filled area, and borders."""
    bare = {"hoverinfo": "skip", "showlegend": False}
    area, border = ({"width": 0.8, "color": f"var(--{name})"} for name in ("coast", "border"))
    return [
        charts.line(*_joined(land.areas), fill="toself", fillcolor="var(--land)", line=area, **bare),
        charts.line(*_joined(land.borders), line=border | {"dash": "4px,3px"}, **bare),
    ]


def _joined(lines: list[np.ndarray]) -> tuple[list[float | None], list[float | None]]:
    """Longitudes and latitudes of lines, with a gap between two."""
    points = [[*line.round(4).tolist(), [None, None]] for line in lines]
    return tuple([point[axis] for line in points for point in line] for axis in (0, 1))


def cell_trace(cells: list[Cell], near: int) -> dict:
    """Circles, sized by number of clients and coloured by their suspected share."""
    most = max((cell.n_clients for cell in cells), default=1)
    marker = {
        "size": [6 + (MAX_CELL_SIZE - 6) * math.sqrt(cell.n_clients / most) for cell in cells],
        "color": [cell.n_suspected / cell.n_clients for cell in cells],
        "colorscale": [[0, "var(--line-2)"], [1, "var(--critical)"]],
        "cmin": 0,
        "cmax": max((cell.n_suspected / cell.n_clients for cell in cells), default=0) or 1,
        "opacity": 0.45,
        "line": {"width": 0},
    }
    return point_trace(
        cells, i18n.text("map.cells"), marker,
        [i18n.text("map.cell_hover", n=c.n_clients, suspected=c.n_suspected) for c in cells],
        zoom_addresses(cells, near + 1),
    )  # fmt: skip


def transformer_traces(transformers: list[Transformer], lost: dict[str, EnergyBalance]) -> list[dict]:
    """Squares, coloured by lost share, open ones without a measurement, each with a link to its page."""
    shares = [one.lost_share if (one := lost.get(each.transformer_id)) else None for each in transformers]
    measured, others = (
        [i for i, share in enumerate(shares) if (share is None) is is_open] for is_open in (False, True)
    )
    filled = {
        "size": 15, "symbol": "square",
        "color": [max(shares[i], 0.0) for i in measured], "cmin": 0, "cmax": MAX_LOST_SHARE,
        "colorscale": [[0, "var(--card)"], [1, "var(--bad)"]], "line": {"width": 1.5, "color": "var(--ink-3)"},
    }  # fmt: skip
    bare = {"size": 9, "symbol": "square-open", "color": "var(--ink-3)", "line": {"width": 1.5}}
    traces = []
    for rows, marker, name in ((measured, filled, "map.measured"), (others, bare, "map.transformers")):
        hover_texts = [describe_transformer(transformers[i], shares[i]) for i in rows]
        links = [url_for("desk.transformer", transformer_id=transformers[i].transformer_id) for i in rows]
        traces.append(point_trace([transformers[i] for i in rows], i18n.text(name), marker, hover_texts, links))
    return traces


def describe_transformer(one: Transformer, share: float | None) -> str:
    """The hover text of a transformer."""
    text = i18n.text("map.transformer_hover", id=escape(one.transformer_id), n=one.n_clients, suspected=one.n_suspected)
    return text if share is None else i18n.text("map.transformer_lost", text=text, share=i18n.percent(share, 1))


def client_trace(suspected: list[PlacedClient], severity: str) -> dict:
    """Suspected clients of one severity, with links to their pages."""
    own = [client for client in suspected if client.severity == severity]
    outline = {"width": 1, "color": "var(--card)"}
    marker = {"size": 11, "symbol": charts.SHAPES[severity], "color": charts.COLOURS[severity], "line": outline}
    hover_texts = [f"{escape(client.client_id)}: {i18n.score(client)}" for client in own]
    links = [url_for("desk.client", client_id=client.client_id) for client in own]
    return point_trace(own, i18n.text(f"severity.{severity}"), marker, hover_texts, links)


def point_trace(rows: list, name: str, marker: dict, hover_texts: list[str], links: list[str | None]) -> dict:
    """Points with their hover texts and the links of clicks."""
    x, y = [round(row.longitude, 5) for row in rows], [round(row.latitude, 5) for row in rows]
    return charts.points(x, y, name, text=hover_texts, hoverinfo="text", customdata=links) | {"marker": marker}
