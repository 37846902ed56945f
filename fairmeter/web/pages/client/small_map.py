"""A small map of a client's neighbourhood, drawn by the server as points of an SVG.

In:  the places of the client and of its neighbours.
Out: SmallMap, for client.html.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairmeter.core.geo import EARTH_RADIUS
from fairmeter.store import Neighbour

WIDTH, HEIGHT, MARGIN = 200.0, 120.0, 14.0  # of the view box
MIN_RADIUS = 20.0  # m; neighbours of one building would else seem far apart


class MapPoint(NamedTuple):
    """A client on the map. [x, y: in the view box]"""

    client_id: str
    severity: str
    x: float
    y: float


class SmallMap(NamedTuple):
    """The client is in the middle. metres: from the middle to the upper edge."""

    points: list[MapPoint]
    metres: int


def small_map(
    client_id: str, neighbours: Sequence[Neighbour], places: Mapping[str, tuple[float, float]]
) -> SmallMap | None:
    """The neighbours around the client; None where it has no place. [places: degrees, by client id]"""
    if client_id not in places:
        return None
    latitude, longitude = places[client_id]
    offsets = []
    for one in neighbours:
        if one.client_id in places:
            north, east = places[one.client_id][0] - latitude, places[one.client_id][1] - longitude
            metres = (math.radians(east) * math.cos(math.radians(latitude)), math.radians(north))
            offsets.append((one, metres[0] * EARTH_RADIUS, metres[1] * EARTH_RADIUS))
    radius = max([MIN_RADIUS, *(max(abs(y), abs(x) * HEIGHT / WIDTH) for _, x, y in offsets)])
    scale = (HEIGHT / 2 - MARGIN) / radius
    points = [
        MapPoint(one.client_id, one.severity, round(WIDTH / 2 + x * scale, 1), round(HEIGHT / 2 - y * scale, 1))
        for one, x, y in offsets
    ]
    return SmallMap(points, round(HEIGHT / 2 / scale))
