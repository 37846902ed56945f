"""Hot spots of the map: clusters of suspected clients by DBSCAN (fairmeter/core/geo.py).

In:  suspected clients with their places; the radius of a neighbourhood.
Out: SpatialCluster, those with most suspected clients first; their outlines and marks on the chart.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fairmeter.core.geo import METRES_PER_DEGREE, NOISE, dbscan, longitude_span
from fairmeter.store import Area, PlacedClient
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts

RADII = (250, 500, 1000, 3000)  # metres; a street, a quarter, a village, a town with its surroundings
MIN_CLIENTS = 4  # suspected clients within the radius
N_SPOTS = 10


class SpatialCluster(NamedTuple):
    """A cluster of suspected clients. [area: its bounding box; n_clients: all clients in the area]

    region, district: the most frequent codes of its suspected clients, by which it is named.
    """

    area: Area
    n_suspected: int
    n_clients: int
    expected_recovery_kwh: float
    region: float | None = None
    district: float | None = None

    @property
    def middle(self) -> tuple[float, float]:
        """Latitude and longitude."""
        return (self.area.south + self.area.north) / 2, (self.area.west + self.area.east) / 2


def hot_spots(
    suspected: Sequence[PlacedClient], radius: int, count: Callable[[Area], int]
) -> tuple[list[SpatialCluster], int]:
    """The largest clusters and the number of all. [radius: metres; count: number of clients in an area]"""
    places = np.array([(one.latitude, one.longitude) for one in suspected], float).reshape(-1, 2)
    kwh = np.array([one.expected_recovery_kwh or 0.0 for one in suspected])
    cluster = dbscan(*places.T, radius, MIN_CLIENTS)
    found = []
    for number in range(min(cluster.max(initial=NOISE) + 1, N_SPOTS)):
        is_in = cluster == number
        (south, west), (north, east) = places[is_in].min(axis=0), places[is_in].max(axis=0)
        area = Area(float(south), float(west), float(north), float(east))
        own = [suspected[row] for row in np.flatnonzero(is_in).tolist()]
        place = _most_frequent((one.region, one.district) for one in own)
        found.append(SpatialCluster(area, len(own), count(area), float(kwh[is_in].sum()), *place))
    return found, int(cluster.max(initial=NOISE)) + 1


def _most_frequent(places: Iterable[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    """The region and district of most clients."""
    return Counter(places).most_common(1)[0][0]


def hot_spot_outlines(spots: Sequence[SpatialCluster], radius: int) -> list[dict[str, Any]]:
    """An ellipse around each cluster, half a radius wider than its area."""
    line = {"color": "var(--bad)", "width": 2, "dash": "dot"}
    shapes = []
    for spot in spots:
        south, west, north, east, _ = spot.area
        high = radius / 2 / METRES_PER_DEGREE
        wide = longitude_span(high, spot.middle[0])
        # With these half axes the ellipse passes through the corners of the area, so it contains every client.
        half = (north - south) / math.sqrt(2) + high, (east - west) / math.sqrt(2) + wide
        corners = {"x0": spot.middle[1] - half[1], "x1": spot.middle[1] + half[1]}
        corners |= {"y0": spot.middle[0] - half[0], "y1": spot.middle[0] + half[0]}
        shapes.append({"type": "circle", "line": line, "layer": "below", **corners})
    return shapes


def hot_spot_marks(spots: Sequence[SpatialCluster], links: Sequence[str | None]) -> dict[str, Any]:
    """A cross in the middle of each cluster, with its hover text and the link of a click."""
    x, y = [round(spot.middle[1], 5) for spot in spots], [round(spot.middle[0], 5) for spot in spots]
    hover_texts = [i18n.text("map.spot_hover", n=spot.n_suspected, clients=spot.n_clients) for spot in spots]
    marker = {"symbol": "cross-thin-open", "size": 14, "color": "var(--bad)", "line": {"width": 2}}
    trace = charts.points(x, y, i18n.text("map.spots"), text=hover_texts, hoverinfo="text", customdata=list(links))
    return trace | {"marker": marker}
