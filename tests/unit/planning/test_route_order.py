"""The order of a day's visits."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.planning.route_order import distances, route_length, short_route, visiting_order
from tests.builders.examples import fewer


def on_a_line(*north):
    return np.array(north, dtype=float), np.full(len(north), 10.0)


def test_a_line_is_walked_from_end_to_end():
    assert visiting_order(*on_a_line(36.2, 36.0, 36.3, 36.1)) in ([1, 3, 0, 2], [2, 0, 3, 1])


def test_places_that_are_unknown_come_last_in_their_order():
    assert visiting_order([np.nan, 36.0, np.nan], [10.0, 10.0, 10.0]) == [1, 0, 2]
    assert visiting_order([], []) == []


def test_distances_are_kilometres_and_from_the_base():
    km = distances(*on_a_line(36.0, 36.1), bases=np.array([(36.2, 10.0), (np.nan, np.nan)]))
    assert km == pytest.approx(np.array([[0, 11.12, 22.24, 0], [11.12, 0, 11.12, 0], [22.24, 11.12, 0, 0], [0] * 4]))


def test_without_coordinates_neighbours_are_those_of_the_same_district():
    nowhere = np.full(3, np.nan)
    km = distances(nowhere, nowhere, np.array([1.0, 1.0, 2.0]))
    assert km[0, 1] < km[0, 2] == km[1, 2]


@fewer(15)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1), st.booleans())
def test_it_is_hardly_longer_than_the_shortest_of_all_orders(n, seed, has_base):
    drawn = np.random.default_rng(seed)
    bases = drawn.random((1, 2)) if has_base else np.full((1, 2), np.nan)
    km = distances(*drawn.random((2, n)), bases=bases)
    route = short_route(list(range(n)), km)
    assert sorted(route) == list(range(n))
    assert route_length(route, km) <= 1.25 * min(route_length(order, km) for order in permutations(range(n)))
