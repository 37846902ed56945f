"""A day's visits of several crews."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.planning.crew_plan import BEST, FIXED, RANDOM, Clients, assign_visits, choose_visits, plan_crews
from fairmeter.planning.route_order import distances, nearest_neighbours, route_length
from tests.builders.examples import fewer

TUNIS, SFAX, GABES = (36.8, 10.2), (34.7, 10.8), (33.9, 10.1)


def clients_at(places, value=None, kwh=None, district=None):
    latitude, longitude = np.array(places, dtype=float).reshape(-1, 2).T
    n = len(latitude)
    value = np.arange(n, 0, -1.0) if value is None else np.array(value, dtype=float)
    kwh = np.full(n, 100.0) if kwh is None else np.array(kwh, dtype=float)
    return Clients(value, latitude, longitude, kwh, np.full(n, np.nan) if district is None else np.array(district))


def anywhere(n, n_crews):
    return np.ones((n, n_crews), dtype=bool)


def near(place, n):
    return [(place[0] + i / 500, place[1]) for i in range(n)]


def random_clients(n, seed):
    drawn = np.random.default_rng(seed)
    kwh = drawn.gamma(2, 500, n)
    places = drawn.normal(0, 0.3, (n, 2)) + TUNIS
    return Clients(kwh * drawn.random(n), *places.T, kwh, np.full(n, np.nan))


def greedy_km(clients, rows, capacity):
    """Ways where each visit, in the list's order, goes to the crew that is nearest to it then."""
    km = distances(clients.latitude[rows], clients.longitude[rows])
    routes = [[] for _ in capacity]
    for visit in range(len(rows)):
        free = [crew for crew in range(len(capacity)) if len(routes[crew]) < capacity[crew]]
        routes[min(free, key=lambda crew: km[routes[crew][-1], visit] if routes[crew] else 30.0)].append(visit)
    return sum(route_length(nearest_neighbours(route, km), km) for route in routes)


# --- which clients ----------------------------------------------------------------------------------------------------


def test_the_best_clients_are_chosen_and_those_without_a_value_never():
    chosen = choose_visits(np.array([1.0, 5.0, np.nan, 3.0, 4.0]), [2, 1], anywhere(5, 2))
    assert (chosen.rows, chosen.kinds) == ([1, 4, 3], [BEST] * 3)


def test_a_crew_goes_only_where_it_may_and_a_place_is_made_for_one_who_has_no_other_crew():
    # The first crew may go anywhere, the second to the first two clients alone: both best clients fit.
    may_go = np.array([[True, True], [True, True], [True, False]])
    chosen = choose_visits(np.array([3.0, 1.0, 2.0]), [1, 1], may_go)
    assert chosen.rows == [0, 2]
    routes = assign_visits(clients_at(near(TUNIS, 3)), chosen, [1, 1], may_go)
    assert [route.rows for route in routes] == [[2], [0]]


def test_fixed_visits_come_first_and_those_that_do_not_fit_are_said():
    may_go = np.array([[True, False]] * 3 + [[True, True]])
    chosen = choose_visits(np.array([9.0, 1.0, 1.0, 1.0]), [2, 1], may_go, fixed=[1, 2, 0])
    assert (chosen.rows, chosen.kinds, chosen.refused) == ([1, 2, 3], [FIXED, FIXED, BEST], [0])


def test_a_share_is_random_and_stays_the_same_for_a_seed():
    value = np.arange(1000.0)
    one, same, other = (
        choose_visits(value, [10, 10], anywhere(1000, 2), random_share=0.2, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same
    assert one.kinds.count(RANDOM) == 4
    sampled, others = ({row for row, kind in zip(c.rows, c.kinds, strict=True) if kind == RANDOM} for c in (one, other))
    assert sampled != others
    assert len(set(one.rows)) == 20


def test_random_visits_are_equally_likely_for_all_clients():
    n_times = np.zeros(8)
    for seed in range(400):
        chosen = choose_visits(np.arange(8.0), [2, 2], anywhere(8, 2), random_share=0.5, seed=seed)
        n_times[chosen.rows[:2]] += 1
    assert n_times.sum() == 800
    assert (abs(n_times - 100) < 40).all()  # four standard deviations


@pytest.mark.parametrize(
    ("capacity", "share", "n_rows"), [([2, 2], 1.1, 3), ([2, 2], -0.1, 3), ([-1, 2], 0.1, 3), ([2, 2], 0.1, 4)]
)
def test_numbers_out_of_range_are_refused(capacity, share, n_rows):
    with pytest.raises(ValueError, match="random share must be from 0 to 1"):
        choose_visits(np.ones(3), capacity, anywhere(n_rows, 2), random_share=share)


# --- which crew -------------------------------------------------------------------------------------------------------


def test_each_town_is_one_crews():
    routes, _ = plan_crews(clients_at([*near(TUNIS, 4), *near(SFAX, 4), *near(GABES, 4)]), [4, 4, 4], anywhere(12, 3))
    assert sorted(sorted(route.rows) for route in routes) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_a_crew_goes_to_the_town_of_its_base():
    places = [*near(TUNIS, 3), *near(SFAX, 3)]
    for bases, of_first in (([TUNIS, SFAX], [0, 1, 2]), ([SFAX, TUNIS], [3, 4, 5])):
        routes, _ = plan_crews(clients_at(places), [3, 3], anywhere(6, 2), bases=np.array(bases))
        assert sorted(routes[0].rows) == of_first


def test_the_way_from_the_base_and_back_counts():
    routes, _ = plan_crews(clients_at([(36.8, 10.0)]), [1], anywhere(1, 1), bases=np.array([(36.7, 10.0)]))
    assert routes[0].km == pytest.approx(2 * 11.12)


def test_energy_at_stake_is_divided_evenly_where_all_are_neighbours():
    kwh = [900, 800, 100, 100, 50, 50]
    routes, _ = plan_crews(clients_at([TUNIS] * 6, kwh=kwh), [3, 3], anywhere(6, 2))
    assert sorted(route.kwh for route in routes) == [1000, 1000]


def test_clients_of_one_district_stay_together_without_coordinates():
    nowhere = [(np.nan, np.nan)] * 6
    routes, _ = plan_crews(clients_at(nowhere, district=[1.0, 2.0] * 3), [3, 3], anywhere(6, 2))
    assert sorted(sorted(route.rows) for route in routes) == [[0, 2, 4], [1, 3, 5]]
    assert [route.km for route in routes] == [0.0, 0.0]


def test_without_clients_the_days_are_empty():
    routes, refused = plan_crews(clients_at([]), [8, 8], anywhere(0, 2))
    assert ([route.rows for route in routes], refused) == ([[], []], [])


@pytest.mark.parametrize("seed", range(4))
def test_all_ways_together_are_far_shorter_than_greedy_ones(seed):
    clients = random_clients(2000, seed)
    capacity = [8] * 5
    routes, _ = plan_crews(clients, capacity, anywhere(2000, 5), random_share=0.05, seed=seed)
    rows = choose_visits(clients.value, capacity, anywhere(2000, 5), random_share=0.05, seed=seed).rows
    km, kwh = (np.array([getattr(route, name) for route in routes]) for name in ("km", "kwh"))
    assert km.sum() < 0.7 * greedy_km(clients, rows, capacity)
    assert km.max() < 2 * km.mean()
    assert kwh.max() < 1.3 * kwh.mean()


@fewer(20)
@given(
    st.integers(0, 40),
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_plan_keeps_its_promises(n, capacity, share, seed):
    drawn = np.random.default_rng(seed)
    clients = random_clients(n, seed)
    clients.value[drawn.random(n) < 0.1] = np.nan
    clients.latitude[drawn.random(n) < 0.1] = np.nan
    may_go = drawn.random((n, len(capacity))) < 0.6
    fixed = drawn.permutation(n)[:3].tolist()
    options = {"fixed": fixed, "random_share": share, "seed": seed}
    routes, refused = plan_crews(clients, capacity, may_go, **options)
    rows = [row for route in routes for row in route.rows]
    assert len(set(rows)) == len(rows)
    assert all(len(route.rows) <= limit for route, limit in zip(routes, capacity, strict=True))
    assert all(may_go[row, crew] for crew, route in enumerate(routes) for row in route.rows)
    assert set(fixed) - set(refused) <= set(rows)
    kinds = [kind for route in routes for kind in route.kinds]
    assert kinds.count(RANDOM) <= round(share * sum(capacity))
    assert kinds.count(FIXED) == len(fixed) - len(refused)
    assert plan_crews(clients, capacity, may_go, **options) == (routes, refused)


@fewer(20)
@given(st.integers(1, 12), st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_a_place_stays_empty_only_if_nobody_fits_into_it(n, capacity, seed):
    may_go = np.random.default_rng(seed).random((n, len(capacity))) < 0.4
    chosen = choose_visits(np.ones(n), capacity, may_go)
    assert len(chosen.rows) == n_fitting(may_go, capacity)


def n_fitting(may_go, capacity):
    """The largest number of visits that fit.

    By König's theorem: the least, over all sets of crews, of their places and the clients that have other crews too.
    """
    n_crews = len(capacity)
    sets = (np.array([bool(bits >> crew & 1) for crew in range(n_crews)]) for bits in range(2**n_crews))
    return min(int(np.array(capacity)[cut].sum() + (may_go[:, ~cut].any(axis=1)).sum()) for cut in sets)


def test_a_day_of_forty_visits_out_of_135_000_clients_is_planned_at_once():
    clients = random_clients(135_000, 1)
    routes, _ = plan_crews(clients, [8] * 5, anywhere(135_000, 5), random_share=0.05)
    assert [len(route.rows) for route in routes] == [8] * 5
