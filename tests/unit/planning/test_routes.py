"""Near addresses on one day."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.planning.routes import day_routes
from tests.builders.examples import fewer

NORTH, SOUTH = (36.8, 10.2), (33.9, 10.1)


def routes_of(places, a_day):
    latitude, longitude = np.array(places, dtype=float).reshape(-1, 2).T
    return day_routes(latitude, longitude, a_day).tolist()


def test_two_towns_are_two_days_the_northern_one_first():
    places = [(SOUTH[0] + i / 1000, SOUTH[1]) for i in range(3)] + [(NORTH[0], NORTH[1] + i / 1000) for i in range(3)]
    assert routes_of(places, 3) == [2, 2, 2, 1, 1, 1]


def test_an_unknown_place_has_no_route():
    assert routes_of([NORTH, (np.nan, 10.0), (36.8, np.nan)], 5) == [1, 0, 0]
    assert routes_of([], 5) == []


def test_one_address_visited_often_fills_several_days():
    assert sorted(routes_of([NORTH] * 5, 2)) in ([1, 1, 2, 2, 3], [1, 2, 2, 3, 3], [1, 1, 2, 3, 3])


@fewer(4)  # an example plans the routes of several days
@given(st.lists(st.tuples(st.floats(30, 38), st.floats(7, 12)), min_size=1, max_size=25), st.integers(1, 8))
def test_no_day_holds_more_than_it_can_and_no_more_days_are_made_than_needed(places, a_day):
    routes = np.array(routes_of(places, a_day))
    assert (routes >= 1).all()
    assert np.bincount(routes).max() <= a_day
    assert routes.max() <= -(-len(places) // a_day)


def test_days_without_a_visit_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        routes_of([NORTH], 0)
