"""The base map: outlines of a file and tiles of a server, worked by hand and on the page."""

import json
import math

import pytest

from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.basemap import (
    MAX_POINTS,
    MAX_TILES,
    map_tiles,
    parse_tile_address,
    read_outlines,
    visible_lines,
)
from fairmeter.web.pages.basemap.land import WORLD
from fairmeter.web.pages.site import PageSettings
from tests.builders.desk import desk_app
from tests.builders.map import SQUARE, place_clients
from tests.builders.pages import seen

ADDRESS = "https://tiles.example/{z}/{x}/{y}.png"


def geojson(path, *geometries):
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return path


# --- outlines ---------------------------------------------------------------------------------------------------------


def test_lines_and_the_rings_of_areas_are_read_and_points_are_not(tmp_path):
    line = {"type": "LineString", "coordinates": [[9.0, 35.0, 120.0], [9.5, 35.5]]}
    areas = {"type": "MultiPolygon", "coordinates": [[SQUARE, SQUARE[::-1]], [SQUARE]]}
    both = {"type": "GeometryCollection", "geometries": [line, {"type": "Point", "coordinates": [1.0, 2.0]}]}
    lines = read_outlines(geojson(tmp_path / "x.geojson", both, areas, None))
    assert [len(one) for one in lines] == [2, 5, 5, 5]
    assert lines[0] == ((9.0, 35.0), (9.5, 35.5))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "not GeoJSON"),
        ("[]", "not GeoJSON"),
        ('{"type": "Polygon", "coordinates": 7}', "not GeoJSON"),
        (
            '{"type": "LineString", "coordinates": [[500000.0, 4000000.0]]}',
            "not GeoJSON with lines or areas in degrees",
        ),
        ('{"type": "FeatureCollection", "features": []}', "no line and no area"),
        ("[" * 100_000, "not GeoJSON"),
    ],
)
def test_a_file_of_anything_else_is_refused_in_a_sentence(tmp_path, text, says):
    path = tmp_path / "x.geojson"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        read_outlines(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        read_outlines(tmp_path / "nowhere")


def test_outlines_within_the_area_keep_their_ends_and_are_thinned_out():
    square = tuple(map(tuple, SQUARE))
    circle = tuple((10 + math.cos(i / 1e3), 36 + math.sin(i / 1e3)) for i in range(4 * MAX_POINTS))
    [near, thinned] = visible_lines([square, circle], 36.5, 10.5, 38.0, 12.0)
    assert (near, visible_lines([square], 40.0, 10.0, 41.0, 11.0)) == (square[::5] + square[-1:], [])
    assert len(near) + len(thinned) <= MAX_POINTS + 2
    assert (thinned[0], thinned[-1]) == (circle[0], circle[-1])
    assert visible_lines([square], 36.5, 10.5, 38.0, 12.0) == [square]


# --- tiles ------------------------------------------------------------------------------------------------------------


def test_one_tile_holds_the_world():
    [world] = map_tiles(ADDRESS, -80.0, -170.0, 80.0, 175.0)[:1]
    tiles = map_tiles(ADDRESS, -89.0, -180.0, 89.0, 180.0)
    assert len(tiles) == 16
    assert world.source.startswith("https://tiles.example/2/0/")
    assert max(one.north for one in tiles) == pytest.approx(85.0511, abs=1e-4)
    assert (min(one.west for one in tiles), max(one.east for one in tiles)) == (-180.0, 180.0)


def test_tiles_cover_the_area_side_by_side_at_the_highest_zoom_that_needs_few():
    south, west, north, east = 36.70, 10.05, 36.90, 10.30
    tiles = map_tiles(ADDRESS, south, west, north, east)
    assert 4 < len(tiles) <= MAX_TILES
    assert min(one.west for one in tiles) <= west < east <= max(one.east for one in tiles)
    assert min(one.south for one in tiles) <= south < north <= max(one.north for one in tiles)
    assert len({one.source for one in tiles}) == len(tiles)
    [first, second] = tiles[:2]
    assert (first.east, first.north) == (second.west, second.north)


def test_rows_of_the_second_zoom_end_where_web_mercator_has_them():
    norths = sorted({round(one.north, 4) for one in map_tiles(ADDRESS, -89.0, -180.0, 89.0, 180.0)}, reverse=True)
    assert norths == [85.0511, 66.5133, 0.0, -66.5133]


@pytest.mark.parametrize("good", [ADDRESS, "http://127.0.0.1:8080/t/{x}/{y}/{z}", "https://a.b/wmts?z={z}&x={x}&y={y}"])
def test_an_address_with_zoom_column_and_row_is_accepted(good):
    assert parse_tile_address(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "https://tiles.example/", "ftp://tiles.example/{z}/{x}/{y}", "https://{s}.tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}/{x}", "https://tiles.example/;script-src/{z}/{x}/{y}", "{z}{x}{y}",
        "https://tiles.example/{z}/{x}/{y}/{s}", "https://tiles.example/ {z}/{x}/{y}",
    ],
)  # fmt: skip
def test_any_other_address_of_tiles_is_refused(bad):
    with pytest.raises(ValueError, match="must be an address with"):
        parse_tile_address(bad)


# --- on the page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def app_with(store):
    """A desk with clients on its map, by the settings of its pages."""
    place_clients(store)
    return lambda settings: desk_app(store, THIS_MACHINE, None, None, settings)


def test_without_settings_the_map_is_plain_and_no_other_host_is_allowed(app_with):
    answer = app_with(PageSettings()).test_client().get("/desk/map")
    assert '"images"' not in answer.text
    assert "img-src 'self' data: blob:;" in answer.headers["Content-Security-Policy"]


def test_tiles_lie_below_the_clients_and_only_their_host_is_allowed_for_images(app_with):
    settings = PageSettings(tiles=ADDRESS, credit="<b>someone</b>")
    answer = app_with(settings).test_client().get("/desk/map")
    assert answer.text.count("https://tiles.example/") > 4
    assert "img-src 'self' data: blob: https://tiles.example/;" in answer.headers["Content-Security-Policy"]
    assert "Ground: <b>someone</b>." in seen(answer).text
    assert "<b>someone</b>" not in answer.text


def test_outlines_are_drawn_below_all_else(app_with):
    square = tuple(map(tuple, SQUARE))
    page = app_with(PageSettings(outlines=(square,))).test_client().get("/desk/map").text
    chart = json.loads(page.split('id="chart-map">')[1].split("</script>")[0])
    traces = [list(zip(trace["x"], trace["y"], strict=True)) for trace in chart["data"]]
    at = traces.index([*square, (None, None)])
    assert chart["data"][at]["mode"] == "lines"
    assert all(trace["hoverinfo"] == "skip" for trace in chart["data"][:at]), "land alone lies below"


@pytest.mark.skipif(not WORLD.is_file(), reason="world-atlas is not installed")
@pytest.mark.parametrize(("tiles", "has_land"), [("", True), (ADDRESS, False)])
def test_land_is_drawn_where_no_tiles_are(app_with, tiles, has_land):
    page = app_with(PageSettings(tiles=tiles)).test_client().get("/desk/map").text
    chart = json.loads(page.split('id="chart-map">')[1].split("</script>")[0])
    assert [trace.get("fillcolor") for trace in chart["data"]].count("var(--land)") == int(has_land)
    assert ("plot_bgcolor" in chart["layout"]) == has_land
