"""Ways of crews as a drawing."""

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.web.pages.plan.route_map import MARGIN, WIDTH, Way, draw_ways


def way(*places, base=None):
    return Way(0, "North", [(*place, n, PlanVisit(f"c-{n}")) for n, place in enumerate(places, 1)], base)


def test_north_is_up_and_east_is_right_within_the_margins():
    drawn = draw_ways([way((36.0, 10.0), (36.5, 10.5))], ())
    south_west, north_east = drawn.ways[0].stops
    assert south_west.x < north_east.x
    assert south_west.y > north_east.y
    assert all(MARGIN - 1 <= stop.x <= WIDTH - MARGIN + 1 for stop in drawn.ways[0].stops)
    assert all(MARGIN - 1 <= stop.y <= drawn.height - MARGIN + 1 for stop in drawn.ways[0].stops)


def test_kilometres_are_as_long_in_both_directions():
    drawn = draw_ways([way((60.0, 10.0), (60.1, 10.0), (60.0, 10.2))], ())  # at 60 degrees north, a square
    corner, north, east = drawn.ways[0].stops
    assert corner.y - north.y == pytest.approx(east.x - corner.x, rel=0.01)


def test_a_way_with_a_base_begins_and_ends_there():
    drawn = draw_ways([way((36.0, 10.0), base=(36.2, 10.0))], ())
    points = drawn.ways[0].path.split(" ")
    assert len(points) == 3
    assert points[0] == points[2] == ",".join(f"{value:g}" for value in drawn.ways[0].base)


def test_the_bar_is_that_many_kilometres_long():
    drawn = draw_ways([way((36.0, 10.0), (36.9, 10.0))], ())  # 100 km
    top, bottom = sorted(stop.y for stop in drawn.ways[0].stops)
    km, length = drawn.bar
    assert length / km == pytest.approx((bottom - top) / 100.08, rel=0.01)


def test_outlines_that_cross_the_map_are_drawn_and_others_are_not():
    near, far = ((9.0, 36.0), (11.0, 36.1)), ((50.0, 0.0), (51.0, 1.0))
    assert len(draw_ways([way((36.0, 10.0), (36.5, 10.5))], (near, far)).outlines) == 1


def test_one_place_or_none_is_no_failure():
    assert draw_ways([way((36.0, 10.0))], ()).ways[0].stops[0].x == WIDTH / 2
    assert draw_ways([way()], ()) is None
