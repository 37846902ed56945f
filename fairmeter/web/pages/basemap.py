"""What lies under the map: outlines from a GeoJSON file, tiles of a map server. [degrees]

In:  the settings MAP_OUTLINES and MAP_TILES; the area that is looked at.
Out: lines to draw, and tiles with the corners that they fill. With neither the ground is plain, and no server is asked.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MOST_POINTS = 5000  # of outlines on one page, some 100 kB of it
MOST_TILES = 24  # on one page: 256 pixels each
NEAREST = 18  # a map server's steps
POLES = 85.0511  # latitude: the projection of tiles ends there
TILES = re.compile(r"https?://[\w.-]+(?::\d+)?/[^\s{}'\";,]*(?:\{[xyz]\}[^\s{}'\";,]*){3}")
LINES = {"LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}  # how deep lines of points lie

Line = tuple[tuple[float, float], ...]  # (longitude, latitude) of each point


class MapTile(NamedTuple):
    """A picture of the ground and the corners that it fills."""

    source: str
    north: float
    west: float
    south: float
    east: float


# --- outlines ---------------------------------------------------------------------------------------------------------


def read_outlines(path: Path) -> tuple[Line, ...]:
    """The lines of a GeoJSON file (RFC 7946), rings of areas among them. Raises ValueError."""
    try:
        found = tuple(_lines(json.loads(path.read_text("utf-8"))))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{path} is no GeoJSON of lines or areas in degrees") from None
    if not found:
        raise ValueError(f"{path} holds no line and no area")
    return found


def _lines(part: dict[str, Any]) -> Iterator[Line]:
    """Raises ValueError and its like where it is none."""
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


def seen_of(lines: Sequence[Line], south: float, west: float, north: float, east: float) -> list[Line]:
    """Those that come into an area, with fewer points where they have too many."""
    seen = [
        line
        for line in lines
        if min(x for x, _ in line) <= east and max(x for x, _ in line) >= west
        and min(y for _, y in line) <= north and max(y for _, y in line) >= south
    ]  # fmt: skip
    every = -(-sum(map(len, seen)) // MOST_POINTS) or 1
    return [(*line[:-1:every], line[-1]) for line in seen]


# --- tiles ------------------------------------------------------------------------------------------------------------


def tile_address(text: str) -> str:
    """The address of a server's tiles, with {z}, {x} and {y} in it once each. Raises ValueError."""
    if not TILES.fullmatch(text) or any(text.count(f"{{{name}}}") != 1 for name in "zxy"):
        raise ValueError(
            "must be an address with {z}, {x} and {y} in it, such as https://tiles.example/{z}/{x}/{y}.png"
        )
    return text


def tiles_of(address: str, south: float, west: float, north: float, east: float) -> list[MapTile]:
    """As many as are needed for an area, at the nearest step that takes no more than MOST_TILES.

    Tiles divide the world in Web Mercator's square; within one of them latitudes are as good as even.
    """
    south, north = max(south, -POLES), min(north, POLES)
    for step in range(NEAREST, -1, -1):
        n = 2**step
        columns = range(_within(_column(west), n), _within(_column(east), n) + 1)
        rows = range(_within(_row(north), n), _within(_row(south), n) + 1)
        if len(columns) * len(rows) <= MOST_TILES:
            break
    return [
        MapTile(
            address.format(z=step, x=x, y=y),
            _latitude(y / n), x / n * 360 - 180, _latitude((y + 1) / n), (x + 1) / n * 360 - 180,
        )
        for y in rows for x in columns
    ]  # fmt: skip


def _column(longitude: float) -> float:
    """From the west of the square to its east. [0..1]"""
    return (longitude + 180) / 360


def _row(latitude: float) -> float:
    """From the north of the square to its south. [0..1]"""
    return (1 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2


def _latitude(row: float) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row))))


def _within(share: float, n: int) -> int:
    return min(max(int(share * n), 0), n - 1)
