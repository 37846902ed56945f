"""Clients worth a visit -> one day's visits of several crews, each in a short order.

In:  values, places and energy at stake of the clients; for each crew the number of visits and where it may go.
Out: CrewRoute for each crew. The same input gives the same plan.

The best clients that fit into the crews' days are chosen, and a share at random. They are then divided among the crews
so that the ways are short, and each crew has its part of the kilometres and of the energy at stake.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.planning.crew_seats import CrewSeats
from fairmeter.planning.route_division import divide
from fairmeter.planning.route_order import distances, is_known, route_length


class Clients(NamedTuple):
    """Clients that may be visited, each an array of one value per client.

    value: of a visit, NaN where none is possible. [degrees, NaN if unknown; kWh; districts: codes, NaN if unknown]
    """

    value: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    kwh: np.ndarray
    district: np.ndarray


class ChosenVisits(NamedTuple):
    """Rows of the chosen clients, and the kind of each: fixed, random or best. refused: fixed ones that do not fit."""

    rows: list[int]
    kinds: list[str]
    refused: list[int]


class CrewRoute(NamedTuple):
    """A crew's visits in order. [rows: of clients; kinds: as ChosenVisits; kWh]

    km: of the way from the base through the known places and back; without a base, between the places.
    """

    rows: list[int]
    kinds: list[str]
    km: float
    kwh: float


FIXED, RANDOM, BEST = "fixed", "random", "best"


def plan_crews(
    clients: Clients,
    capacity: Sequence[int],
    may_go: np.ndarray,
    *,
    fixed: Sequence[int] = (),
    random_share: float = 0.0,
    seed: int = 0,
    bases: np.ndarray | None = None,
) -> tuple[list[CrewRoute], list[int]]:
    """A route for each crew, and the fixed visits that do not fit. Raises ValueError.

    may_go: whether a crew may visit a client. [bool, (clients, crews)] fixed: rows that have to be visited.
    bases: latitude and longitude of each crew's base. [degrees, (crews, 2), NaN without one]
    """
    chosen = choose_visits(clients.value, capacity, may_go, fixed=fixed, random_share=random_share, seed=seed)
    return assign_visits(clients, chosen, capacity, may_go, bases), chosen.refused


def choose_visits(
    value: np.ndarray,
    capacity: Sequence[int],
    may_go: np.ndarray,
    *,
    fixed: Sequence[int] = (),
    random_share: float = 0.0,
    seed: int = 0,
) -> ChosenVisits:
    """Fixed visits, then a random sample, then the best by value, as many as fit. [random_share: of all visits]"""
    if not 0 <= random_share <= 1 or min(capacity, default=0) < 0 or may_go.shape != (len(value), len(capacity)):
        raise ValueError(
            f"The random share must be from 0 to 1, visits at least 0, and may_go {len(value)} x {len(capacity)}; got "
            f"{random_share}, {list(capacity)} and {may_go.shape}."
        )
    seats = CrewSeats(capacity)
    n_random = round(random_share * seats.n_free)
    crews_of = _crews_by_row(may_go)
    rows = [row for row in fixed if seats.accept(row, crews_of(row))]
    refused = [row for row in fixed if row not in set(rows)]
    kinds = [FIXED] * len(rows)
    free = np.flatnonzero(~np.isnan(value) & may_go.any(axis=1))
    free = free[~np.isin(free, fixed)]
    sampled = _accepted(seats, np.random.default_rng(seed).permutation(free).tolist(), crews_of, n_random)
    left = free[~np.isin(free, sampled)]
    best = _accepted(seats, left[np.argsort(-value[left], kind="stable")].tolist(), crews_of, seats.n_free)
    return ChosenVisits([*rows, *sampled, *best], [*kinds, *[RANDOM] * len(sampled), *[BEST] * len(best)], refused)


def _crews_by_row(may_go: np.ndarray):
    return lambda row: np.flatnonzero(may_go[row]).tolist()


def _accepted(seats: CrewSeats, rows: Sequence[int], crews_of, n: int) -> list[int]:
    """The first n rows that fit."""
    accepted: list[int] = []
    for row in rows:
        if len(accepted) >= n or not seats.n_free:
            break
        if seats.accept(row, crews_of(row)):
            accepted.append(row)
    return accepted


def assign_visits(
    clients: Clients,
    chosen: ChosenVisits,
    capacity: Sequence[int],
    may_go: np.ndarray,
    bases: np.ndarray | None = None,
) -> list[CrewRoute]:
    """Divide the chosen visits among the crews. Raises ValueError if they do not fit."""
    rows = np.array(chosen.rows, dtype=np.int64)
    latitude, longitude = clients.latitude[rows], clients.longitude[rows]
    bases = np.full((len(capacity), 2), np.nan) if bases is None else bases
    km = distances(latitude, longitude, clients.district[rows], bases)
    kwh = np.nan_to_num(clients.kwh[rows])
    routes = divide(km, kwh, capacity, may_go[rows])
    known = is_known(latitude, longitude)
    return [_route(route, chosen, km, len(rows) + crew, kwh, known) for crew, route in enumerate(routes)]


def _route(
    route: list[int], chosen: ChosenVisits, km: np.ndarray, base: int, kwh: np.ndarray, known: np.ndarray
) -> CrewRoute:
    length = route_length([visit for visit in route if known[visit]], km, base)
    rows, kinds = [chosen.rows[visit] for visit in route], [chosen.kinds[visit] for visit in route]
    return CrewRoute(rows, kinds, length, float(kwh[route].sum()))
