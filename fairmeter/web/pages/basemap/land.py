"""Land and borders of Natural Earth (public domain, 1:10 million) within an area, for maps that ask nobody for tiles.

In:  countries-10m.json of the package world-atlas, which npm installs; the visible area. [degrees]
Out: Land; None where the package is not installed, or the view is so near that coasts would be wrong.
"""

import json
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WORLD = Path(__file__).parents[4] / "node_modules" / "world-atlas" / "countries-10m.json"
MIN_WIDTH = 0.3  # degrees, some 30 km: coasts are off by up to a kilometre
BESIDE, ABOVE = 1.25, 0.5  # lengths of the area around it, which the page and moving the map show
SMALLEST = 1 / 1000  # of the width: an island below it is left out
MAX_POINTS = 4000  # of each kind; more are thinned out
ARCS = '"arcs":[[['  # where the points begin


class Land(NamedTuple):
    """Rings of land, cut at the edges of an area; borders as lines. [longitude, latitude; (points, 2)]"""

    areas: list[np.ndarray]
    borders: list[np.ndarray]


class Bounded(NamedTuple):
    """Lines with the edges of each: west, south, east, north. [(lines, 4)]"""

    lines: list[np.ndarray]
    bounds: np.ndarray

    def within(self, box: np.ndarray) -> list[np.ndarray]:
        """The lines whose bounds meet a box, without those that would be points in it."""
        west, south, east, north = self.bounds.T
        meets = (west <= box[2]) & (east >= box[0]) & (south <= box[3]) & (north >= box[1])
        is_seen = np.maximum(east - west, north - south) >= SMALLEST * (box[2] - box[0])
        return [self.lines[i] for i in np.flatnonzero(meets & is_seen)]


class World(NamedTuple):
    """All land and borders."""

    rings: Bounded
    borders: Bounded


@lru_cache(maxsize=32)  # the first view of a map is the same for everybody
def land_around(south: float, west: float, north: float, east: float) -> Land | None:
    """The land of an area and of its surroundings."""
    world = read_world(WORLD)
    if world is None or max(east - west, north - south) < MIN_WIDTH:
        return None
    length = max(east - west, north - south)  # a map is as wide as its page, whatever the shape of the area
    wide, high = BESIDE * length, ABOVE * length
    box = np.array([west - wide, south - high, east + wide, north + high])
    rings = world.rings.within(box)
    areas = cut_rings(rings, box)
    if (every := step_of(areas)) > 1:  # thinned out before they are cut: the corners of the box stay
        areas = cut_rings([ring[::every] for ring in rings], box)
    return Land(areas, thinned(world.borders.within(box)))


def step_of(lines: list[np.ndarray]) -> int:
    """How many points of lines are to become one, so that MAX_POINTS are left."""
    return -(-sum(map(len, lines)) // MAX_POINTS) or 1


def thinned(lines: list[np.ndarray]) -> list[np.ndarray]:
    """Every n-th point of lines with more than MAX_POINTS in all, their last ones kept."""
    every = step_of(lines)
    return lines if every == 1 else [np.vstack([line[:-1:every], line[-1:]]) for line in lines]


def cut_rings(rings: list[np.ndarray], box: np.ndarray) -> list[np.ndarray]:
    """The parts of rings within a box, but of those that miss it."""
    return [cut for ring in rings if len(cut := cut_ring(ring, box))]


def cut_ring(ring: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The part of a ring within a box. (Sutherland and Hodgman, 1974)"""
    for axis, limit, sign in ((0, box[0], 1.0), (0, box[2], -1.0), (1, box[1], 1.0), (1, box[3], -1.0)):
        if not len(ring):
            return ring
        beyond = sign * (ring[:, axis] - limit)
        following, after = np.roll(ring, -1, axis=0), np.roll(beyond, -1)
        is_inside, is_crossing = beyond >= 0, (beyond >= 0) != (after >= 0)
        part = np.divide(beyond, beyond - after, out=np.zeros_like(beyond), where=is_crossing)
        crossing = ring + part[:, None] * (following - ring)
        both = np.stack([ring, crossing], axis=1).reshape(-1, 2)
        ring = both[np.stack([is_inside, is_crossing], axis=1).ravel()]
    return ring


# --- the file ---------------------------------------------------------------------------------------------------------


@cache
def read_world(path: Path) -> World | None:
    """The land of a TopoJSON file; None without the file."""
    if not path.is_file():
        return None
    text = path.read_text("utf-8")
    start = text.rindex(ARCS)
    end = text.index("]]]", start)
    shape = json.loads(f'{text[:start]}"arcs":[]{text[end + 3 :]}')
    arcs = _arcs(text[start + len(ARCS) : end], shape["transform"])
    rings = [_ring(arcs, ring) for ring in _rings(shape["objects"]["land"])]
    countries = shape["objects"]["countries"]["geometries"]
    uses = [i for one in countries for i in {abs_of(i) for ring in _rings(one) for i in ring}]
    is_border = np.bincount(uses, minlength=len(arcs)) > 1  # an arc of two countries
    return World(_bounded(rings), _bounded([arcs[i] for i in np.flatnonzero(is_border)]))


def _arcs(text: str, transform: dict[str, list[float]]) -> list[np.ndarray]:
    """The arcs in degrees. They are read as text: as lists of Python they would take 50 MB of a worker."""
    steps = [np.array(arc.replace("],[", ",").split(","), np.int32).reshape(-1, 2) for arc in text.split("]],[[")]
    scale, first = np.array(transform["scale"]), np.array(transform["translate"])
    return [(np.cumsum(arc, axis=0) * scale + first).astype(np.float32) for arc in steps]


def abs_of(number: int) -> int:
    """The number of an arc; a reversed one is its complement."""
    return number if number >= 0 else ~number


def _rings(geometry: dict[str, Any]) -> Iterator[list[int]]:
    """The rings of an object, each as numbers of arcs."""
    for inner in geometry.get("geometries", ()):
        yield from _rings(inner)
    polygons = geometry.get("arcs", ())
    for polygon in polygons if geometry["type"] == "MultiPolygon" else [polygons]:
        yield from polygon


def _ring(arcs: list[np.ndarray], numbers: list[int]) -> np.ndarray:
    """The points of a ring; the last of each arc is the first of the next."""
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in numbers]
    return np.vstack([part[:-1] for part in parts])


def _bounded(lines: list[np.ndarray]) -> Bounded:
    return Bounded(lines, np.array([[*line.min(axis=0), *line.max(axis=0)] for line in lines]))
