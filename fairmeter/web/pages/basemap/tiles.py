"""Outlines from a GeoJSON file and tiles of a map server. [degrees]

In:  the settings MAP_OUTLINES and MAP_TILES; the visible area.
Out: lines, and tiles with their corners. Without tiles no server is contacted.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MAX_POINTS = 5000  # of outlines on one page, some 100 kB
MAX_TILES = 24  # on one page, 256 pixels each
MAX_ZOOM = 18  # zoom levels of map servers
MAX_LATITUDE = 85.0511  # of the Web Mercator projection
TILES = re.compile(r"https?://[\w.-]+(?::\d+)?/[^\s{}'\";,]*(?:\{[xyz]\}[^\s{}'\";,]*){3}")
LINES = {"LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}  # nesting depth of their lines

Line = tuple[tuple[float, float], ...]  # (longitude, latitude) of each point


class MapTile(NamedTuple):
    """The address of a tile's image, and the edges of the area that it covers. [degrees]"""

    source: str
    north: float
    west: float
    south: float
    east: float


# --- outlines ---------------------------------------------------------------------------------------------------------


def read_outlines(path: Path) -> tuple[Line, ...]:
    """Read the lines and the rings of areas of a GeoJSON file (RFC 7946). Raises ValueError."""
    try:
        found = tuple(_lines(json.loads(path.read_text("utf-8"))))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{path} is not GeoJSON with lines or areas in degrees") from None
    if not found:
        raise ValueError(f"{path} contains no line and no area")
    return found


def _lines(part: dict[str, Any]) -> Iterator[Line]:
    """Yield the lines of a GeoJSON object; malformed objects raise what `read_outlines` catches."""
    kind = part["type"]
    if kind in ("FeatureCollection", "GeometryCollection"):
        for inner in part["features" if kind == "FeatureCollection" else "geometries"]:
            yield from _lines(inner)
    elif kind == "Feature":
        if part["geometry"] is not None:
            yield from _lines(part["geometry"])
    elif kind in LINES:
        yield from map(_line, _at_depth(part["coordinates"], LINES[kind]))


def _at_depth(coordinates: list, depth: int) -> Iterator[list]:
    if depth == 1:
        yield coordinates
    else:
        for inner in coordinates:
            yield from _at_depth(inner, depth - 1)


def _line(points: list[list[float]]) -> Line:
    line = tuple((float(point[0]), float(point[1])) for point in points)
    if not all(abs(longitude) <= 180 and abs(latitude) <= 90 for longitude, latitude in line):
        raise ValueError
    return line


def visible_lines(lines: Sequence[Line], south: float, west: float, north: float, east: float) -> list[Line]:
    """Lines that intersect an area, thinned out to MAX_POINTS points in all."""
    visible = [
        line
        for line in lines
        if min(x for x, _ in line) <= east and max(x for x, _ in line) >= west
        and min(y for _, y in line) <= north and max(y for _, y in line) >= south
    ]  # fmt: skip
    every = -(-sum(map(len, visible)) // MAX_POINTS) or 1
    return [(*line[:-1:every], line[-1]) for line in visible]


# --- tiles ------------------------------------------------------------------------------------------------------------


def parse_tile_address(text: str) -> str:
    """Check the address of a tile server, which contains {z}, {x} and {y} once each. Raises ValueError."""
    if not TILES.fullmatch(text) or any(text.count(f"{{{name}}}") != 1 for name in "zxy"):
        raise ValueError(
            "must be an address with {z}, {x} and {y} in it, such as https://tiles.example/{z}/{x}/{y}.png"
        )
    return text


def map_tiles(address: str, south: float, west: float, north: float, east: float) -> list[MapTile]:
    """Tiles that cover an area, at the highest zoom with at most MAX_TILES of them.

    Tiles divide the square of the Web Mercator projection; within one tile latitudes are nearly linear.
    """
    south, north = max(south, -MAX_LATITUDE), min(north, MAX_LATITUDE)
    for zoom in range(MAX_ZOOM, -1, -1):
        n = 2**zoom
        columns = range(_clamped(_column(west), n), _clamped(_column(east), n) + 1)
        rows = range(_clamped(_row(north), n), _clamped(_row(south), n) + 1)
        if len(columns) * len(rows) <= MAX_TILES:
            break
    return [
        MapTile(
            address.format(z=zoom, x=x, y=y),
            _latitude(y / n), x / n * 360 - 180, _latitude((y + 1) / n), (x + 1) / n * 360 - 180,
        )
        for y in rows for x in columns
    ]  # fmt: skip


def _column(longitude: float) -> float:
    """Place between the western and the eastern edge of the square. [0..1]"""
    return (longitude + 180) / 360


def _row(latitude: float) -> float:
    """Place between the northern and the southern edge of the square. [0..1]"""
    return (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2


def _latitude(row: float) -> float:
    """The latitude of a place between the northern and the southern edge: inverse of `_row`."""
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row))))


def _clamped(share: float, n: int) -> int:
    return min(max(int(share * n), 0), n - 1)
