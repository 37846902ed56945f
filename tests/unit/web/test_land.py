"""Land and borders under maps: the file of arcs, rings cut at the edges of a view, nothing where it would be wrong."""

import json

import numpy as np
import pytest

from fairmeter.web.pages.basemap import land
from fairmeter.web.pages.basemap.land import cut_ring, land_around, read_world, thinned

SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
INSTALLED = pytest.mark.skipif(not land.WORLD.is_file(), reason="world-atlas is not installed")
TUNISIA = (30.2, 7.5, 37.4, 11.6)  # south, west, north, east


def area_of(ring: np.ndarray) -> float:
    """The shoelace formula."""
    x, y = ring.T
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2 if len(ring) else 0.0


@pytest.mark.parametrize(
    ("box", "area"),
    [
        ((-1, -1, 5, 5), 16.0),  # the whole
        ((1, 1, 3, 3), 4.0),  # from within
        ((2, -1, 9, 9), 8.0),  # half
        ((3, 3, 9, 9), 1.0),  # a corner
        ((5, 5, 9, 9), 0.0),  # beside it
    ],
)
def test_a_ring_is_cut_at_the_edges_of_a_box(box, area):
    cut = cut_ring(SQUARE, np.array(box, float))
    assert area_of(cut) == pytest.approx(area)
    assert np.all((cut >= box[:2]) & (cut <= box[2:]))


def test_a_slanted_edge_is_cut_where_it_crosses():
    triangle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert area_of(cut_ring(triangle, np.array([-1.0, -1.0, 2.0, 5.0]))) == pytest.approx(6.0)


@pytest.fixture
def two_countries(tmp_path):
    """Two squares side by side, in tenths of a degree from (10, 30): arc 0 is their border, 1 and 2 are coasts."""
    arcs = [[[10, 0], [0, 10]], [[10, 10], [-10, 0], [0, -10], [10, 0]], [[10, 10], [10, 0], [0, -10], [-10, 0]]]
    west, east = {"type": "Polygon", "arcs": [[0, 1]]}, {"type": "MultiPolygon", "arcs": [[[~0, ~2]]]}
    both = {"type": "Polygon", "arcs": [[1, ~2]]}
    shape = {
        "type": "Topology",
        "objects": {
            "countries": {"type": "GeometryCollection", "geometries": [west, east]},
            "land": {"type": "GeometryCollection", "geometries": [both]},
        },
        "arcs": arcs,
        "transform": {"scale": [0.1, 0.1], "translate": [10, 30]},
    }
    path = tmp_path / "countries.json"
    path.write_text(json.dumps(shape, separators=(",", ":")))
    return path


def test_arcs_make_rings_of_land_and_an_arc_of_two_countries_is_a_border(two_countries):
    world = read_world(two_countries)
    assert [border.round(3).tolist() for border in world.borders.lines] == [[[11.0, 30.0], [11.0, 31.0]]]
    assert [area_of(ring) for ring in world.rings.lines] == [pytest.approx(2.0, abs=1e-4)]
    assert world.rings.bounds.round(3).tolist() == [[10.0, 30.0, 12.0, 31.0]]


def test_without_the_file_or_very_near_there_is_no_land(tmp_path, monkeypatch):
    assert land_around(36.80, 10.10, 36.85, 10.15) is None
    monkeypatch.setattr(land, "WORLD", tmp_path / "nothing.json")
    land_around.cache_clear()
    assert land_around(*TUNISIA) is None
    land_around.cache_clear()


def test_lines_with_many_points_keep_their_ends():
    long = [np.arange(20_000.0).reshape(-1, 2) for _ in range(3)]
    short = thinned(long)
    assert sum(map(len, short)) <= land.MAX_POINTS + 2 * len(long)
    assert all((a[0] == b[0]).all() and (a[-1] == b[-1]).all() for a, b in zip(short, long, strict=True))


def covers(rings: list[np.ndarray], longitude: float, latitude: float) -> bool:
    """Whether a place lies in an odd number of rings: each edge that a ray to the east crosses counts."""
    n = 0
    for ring in rings:
        (x, y), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
        crosses = (y > latitude) != (y2 > latitude)
        at = x + (latitude - y) / np.where(crosses, y2 - y, 1.0) * (x2 - x)
        n += int((crosses & (at > longitude)).sum())
    return n % 2 == 1


@INSTALLED
@pytest.mark.parametrize(
    ("longitude", "latitude", "is_land"),
    [(10.1, 35.68, True), (9.87, 37.0, True), (10.8, 34.0, False), (10.9, 33.8, True), (11.3, 36.0, False)],
    ids=["Kairouan", "north of Mateur", "gulf of Gabes", "Djerba", "off Sousse"],
)
def test_places_are_on_land_or_at_sea(longitude, latitude, is_land):
    assert covers(land_around(*TUNISIA).areas, longitude, latitude) == is_land


@INSTALLED
def test_the_border_with_algeria_is_drawn_and_what_is_sent_is_bounded():
    found = land_around(*TUNISIA)
    near = np.vstack(found.borders)
    assert ((np.abs(near[:, 1] - 36.0) < 0.3) & (near[:, 0] > 8.0) & (near[:, 0] < 8.6)).any()
    assert max(sum(map(len, found.areas)), sum(map(len, found.borders))) < 2 * land.MAX_POINTS
