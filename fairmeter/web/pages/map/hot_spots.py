"""Hot spots of the map: where suspected clients crowd, by DBSCAN (fairmeter/core/geo.py).

In:  suspected clients with their places; how near to each other is near.
Out: SpatialCluster, those with most suspected clients first; their outlines and marks on the chart.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fairmeter.core.geo import METRES_PER_DEGREE, NOISE, dbscan, longitude_span
from fairmeter.store import Area, PlacedClient
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts

RADII = (250, 500, 1000, 3000)  # metres; a street, a quarter, a village, a town with its surroundings
LEAST = 4  # suspected clients within the radius
N_SPOTS = 10


class SpatialCluster(NamedTuple):
    """A crowd of suspected clients. area: what it lies in; n_clients: all who live there."""

    area: Area
    n_suspected: int
    n_clients: int
    expected_recovery_kwh: float

    @property
    def middle(self) -> tuple[float, float]:
        """Latitude and longitude."""
        return (self.area.south + self.area.north) / 2, (self.area.west + self.area.east) / 2


def hot_spots(
    suspected: Sequence[PlacedClient], radius: int, count: Callable[[Area], int]
) -> tuple[list[SpatialCluster], int]:
    """The largest ones, and how many there are. [radius: metres; count: how many clients an area holds]"""
    places = np.array([(one.latitude, one.longitude) for one in suspected], float).reshape(-1, 2)
    kwh = np.array([one.expected_recovery_kwh or 0.0 for one in suspected])
    cluster = dbscan(*places.T, radius, LEAST)
    found = []
    for number in range(min(cluster.max(initial=NOISE) + 1, N_SPOTS)):
        is_in = cluster == number
        (south, west), (north, east) = places[is_in].min(axis=0), places[is_in].max(axis=0)
        area = Area(float(south), float(west), float(north), float(east))
        found.append(SpatialCluster(area, int(is_in.sum()), count(area), float(kwh[is_in].sum())))
    return found, int(cluster.max(initial=NOISE)) + 1


def outlines(spots: Sequence[SpatialCluster], radius: int) -> list[dict[str, Any]]:
    """An ellipse around each, half a radius wider than its clients."""
    line = {"color": "var(--bad)", "width": 2, "dash": "dot"}
    shapes = []
    for spot in spots:
        south, west, north, east, _ = spot.area
        high = radius / 2 / METRES_PER_DEGREE
        wide = longitude_span(high, spot.middle[0])
        # Through the corners of the area: an ellipse of these half axes holds all of it.
        half = (north - south) / math.sqrt(2) + high, (east - west) / math.sqrt(2) + wide
        corners = {"x0": spot.middle[1] - half[1], "x1": spot.middle[1] + half[1]}
        corners |= {"y0": spot.middle[0] - half[0], "y1": spot.middle[0] + half[0]}
        shapes.append({"type": "circle", "line": line, "layer": "below", **corners})
    return shapes


def marks(spots: Sequence[SpatialCluster], links: Sequence[str | None]) -> dict[str, Any]:
    """A cross in the middle of each, with what is said of it and where a click leads."""
    x, y = [round(spot.middle[1], 5) for spot in spots], [round(spot.middle[0], 5) for spot in spots]
    told = [i18n.text("map.spot_told", n=spot.n_suspected, clients=spot.n_clients) for spot in spots]
    marker = {"symbol": "cross-thin-open", "size": 14, "color": "var(--bad)", "line": {"width": 2}}
    trace = charts.points(x, y, i18n.text("map.spots"), text=told, hoverinfo="text", customdata=list(links))
    return trace | {"marker": marker}
