"""The ways of crews as a drawing: points and lines for an SVG, in the colours of the page.

In:  places in visiting order; outlines of the base map. [degrees]
Out: RouteMap, whose units are those of its own view box.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fairmeter.casework.types import PlanVisit
from fairmeter.core.geo import KM_PER_DEGREE
from fairmeter.web.pages.basemap import Line, land_around, visible_lines

WIDTH, MIN_HEIGHT, MAX_HEIGHT = 480, 400, 600
MARGIN = 34
MIN_SPAN = 0.01  # degrees, about a kilometre: a single place is not enlarged beyond this
BARS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # km, of which the longest that fits is drawn
MAX_BAR = 120  # units


class Way(NamedTuple):
    """A crew's visits with a place, in order: (latitude, longitude, number, visit). base: where the way begins."""

    colour: int
    name: str
    stops: list[tuple[float, float, int, PlanVisit]]
    base: tuple[float, float] | None


class Stop(NamedTuple):
    """A visit on the map."""

    x: float
    y: float
    number: int
    visit: PlanVisit


class DrawnWay(NamedTuple):
    """A way on the map. path: the points of its line, as SVG takes them."""

    colour: int
    name: str
    path: str
    stops: list[Stop]
    base: tuple[float, float] | None


class RouteMap(NamedTuple):
    """The drawing. areas, borders, outlines: points of land, of borders, of the utility's own lines.

    bar: kilometres of the scale's bar and its length.
    """

    width: int
    height: int
    ways: list[DrawnWay]
    outlines: list[str]
    areas: list[str]
    borders: list[str]
    bar: tuple[float, float]


class _Frame(NamedTuple):
    """West and north edge [degrees], units per degree of longitude and of latitude, size."""

    west: float
    north: float
    per_longitude: float
    per_latitude: float
    height: int

    def point(self, latitude: float, longitude: float) -> tuple[float, float]:
        x, y = (longitude - self.west) * self.per_longitude, (self.north - latitude) * self.per_latitude
        return round(x, 1), round(y, 1)


def draw_ways(ways: Sequence[Way], outlines: Sequence[Line]) -> RouteMap | None:
    """The map of some ways; None where no visit has a place."""
    places = [(latitude, longitude) for way in ways for latitude, longitude, *_ in way.stops]
    if not places:
        return None
    frame = _frame([*places, *(way.base for way in ways if way.base)])
    drawn = [_drawn(way, frame) for way in ways]
    areas, borders = _land(frame)
    return RouteMap(WIDTH, frame.height, drawn, _lines(outlines, frame), areas, borders, _bar(frame))


def _frame(places: Sequence[tuple[float, float]]) -> _Frame:
    """The frame that shows all places, with a margin."""
    south, north = min(lat for lat, _ in places), max(lat for lat, _ in places)
    west, east = min(lon for _, lon in places), max(lon for _, lon in places)
    shrink = max(math.cos(math.radians((south + north) / 2)), 0.01)
    wide, high = max((east - west) * shrink, MIN_SPAN), max(north - south, MIN_SPAN)
    scale = min((WIDTH - 2 * MARGIN) / wide, (MAX_HEIGHT - 2 * MARGIN) / high)
    height = max(round(high * scale + 2 * MARGIN), MIN_HEIGHT)
    left = (west + east) / 2 - WIDTH / 2 / scale / shrink
    top = (south + north) / 2 + height / 2 / scale
    return _Frame(left, top, scale * shrink, scale, height)


def _drawn(way: Way, frame: _Frame) -> DrawnWay:
    stops = [Stop(*frame.point(latitude, longitude), number, visit) for latitude, longitude, number, visit in way.stops]
    base = frame.point(*way.base) if way.base else None
    ends = [base] if base and stops else []
    points = [*ends, *((stop.x, stop.y) for stop in stops), *ends]
    return DrawnWay(way.colour, way.name, _path(points), stops, base)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _lines(outlines: Sequence[Line], frame: _Frame) -> list[str]:
    """The outlines that cross the frame."""
    return [_placed(line, frame) for line in visible_lines(outlines, *_edges(frame))]


def _land(frame: _Frame) -> tuple[list[str], list[str]]:
    """Land and borders in the frame; none in one that is too narrow for them."""
    land = land_around(*_edges(frame))
    if land is None:
        return [], []
    areas, borders = ([_placed(line.tolist(), frame) for line in lines] for lines in land)
    return areas, borders


def _edges(frame: _Frame) -> tuple[float, float, float, float]:
    """South, west, north, east. [degrees]"""
    east, south = frame.west + WIDTH / frame.per_longitude, frame.north - frame.height / frame.per_latitude
    return south, frame.west, frame.north, east


def _placed(line: Iterable[Sequence[float]], frame: _Frame) -> str:
    return _path([frame.point(latitude, longitude) for longitude, latitude in line])


def _bar(frame: _Frame) -> tuple[float, float]:
    """The scale's bar: kilometres, length."""
    per_km = frame.per_latitude / KM_PER_DEGREE
    km = max((km for km in BARS if km * per_km <= MAX_BAR), default=BARS[0])
    return km, round(km * per_km, 1)
