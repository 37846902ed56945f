"""Chosen visits -> the visits of each crew: short ways, equal parts of kilometres and of energy at stake.

In:  distances [km] as route_order.distances makes them, energy at stake [kWh], the crews' numbers of visits, and which
     crew may make which visit; all visits must fit.
Out: the visits of each crew, by number.

A start by seeds far from each other, then the one exchange or move of visits that improves the plan most, again and
again, until none does. A plan's cost is the length of all ways, plus what it lacks in balance:

    sum L_c + LENGTH_WEIGHT * L * sum share_c * (L_c / (share_c * L) - 1)^2 + the same of the energy at stake

with L_c the way of crew c, L the sum at the start, and share_c the crew's part of all visits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.planning.crew_seats import CrewSeats
from fairmeter.planning.route_order import MIN_GAIN_KM, route_length, short_route

# With 1, a crew of ten that goes twice its part costs as much as a tenth of all ways.
LENGTH_WEIGHT, ENERGY_WEIGHT = 1.0, 0.5
MAX_STEPS_PER_VISIT = 4  # a bound that plans of hundreds of visits do not reach


class _Balance(NamedTuple):
    """What the cost of a plan needs besides the ways. [share: of the visits; scale: km; kwh: all]"""

    share: np.ndarray
    scale: float
    kwh: float

    def cost(self, crew: np.ndarray, length: np.ndarray, kwh: np.ndarray) -> np.ndarray:
        """The part of crews with these ways and energies. [arrays that broadcast]"""
        share = self.share[crew]
        uneven = LENGTH_WEIGHT * share * (length / (share * self.scale) - 1) ** 2
        if self.kwh > 0:
            uneven = uneven + ENERGY_WEIGHT * share * (kwh / (share * self.kwh) - 1) ** 2
        return length + self.scale * uneven


def divide(km: np.ndarray, kwh: np.ndarray, capacity: Sequence[int], may_go: np.ndarray) -> list[list[int]]:
    """The visits of each crew, in a short order. [may_go: (visits, crews)] Raises ValueError if they do not fit."""
    if not len(kwh):
        return [[] for _ in capacity]
    n = len(kwh)
    routes = [short_route(route, km, n + crew) for crew, route in enumerate(_start(km, capacity, may_go))]
    scale = max(_lengths(routes, km, n).sum(), 1.0)
    balance = _Balance(np.maximum(capacity, 1e-9) / sum(capacity), scale, float(kwh.sum()))
    for _ in range(MAX_STEPS_PER_VISIT * n):
        if not _improve(routes, km, kwh, capacity, may_go, balance):
            break
    return routes


def _lengths(routes: Sequence[Sequence[int]], km: np.ndarray, n: int) -> np.ndarray:
    """Length of each crew's way. [km]"""
    return np.array([route_length(route, km, n + crew) for crew, route in enumerate(routes)])


# --- the start --------------------------------------------------------------------------------------------------------


def _start(km: np.ndarray, capacity: Sequence[int], may_go: np.ndarray) -> list[list[int]]:
    """Each visit at the crew of the nearest seed with a free place; far seeds first serve those near to them."""
    n = len(may_go)
    to_seed = km[:n, _seeds(km[:n, :n], km[:n, n:], may_go)]
    to_seed = np.where(may_go, to_seed, np.inf)
    order = np.argsort(to_seed.min(axis=1), kind="stable").tolist()
    seats = CrewSeats(capacity)
    for visit in order:
        crews = [crew for crew in np.argsort(to_seed[visit], kind="stable").tolist() if may_go[visit, crew]]
        if not seats.accept(visit, crews):
            raise ValueError(f"Visit {visit} does not fit into the days of the crews that may make it.")
    routes: list[list[int]] = [[] for _ in capacity]
    for visit in order:
        routes[seats.crew_of(visit)].append(visit)
    return routes


def _seeds(km: np.ndarray, to_base: np.ndarray, may_go: np.ndarray) -> list[int]:
    """A visit for each crew, far from those of the crews before and near its base; crews with little choice first."""
    seeds = [0] * may_go.shape[1]
    taken: list[int] = []
    for crew in np.argsort(may_go.sum(axis=0), kind="stable").tolist():
        far = km[:, taken].min(axis=1) if taken else km.sum(axis=1)
        far = far - to_base[:, crew]
        seeds[crew] = int(np.where(may_go[:, crew], far, -np.inf).argmax())
        taken.append(seeds[crew])
    return seeds


# --- improvements -----------------------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """The visits of all crews in one row, with their neighbours. [arrays of one value per visit, or per crew]"""

    visit: np.ndarray
    crew: np.ndarray
    before: np.ndarray
    after: np.ndarray
    length: np.ndarray
    energy: np.ndarray


def _improve(routes, km, kwh, capacity, may_go, balance) -> bool:
    """Make the change that lowers the cost most; False if none does."""
    plan = _tabulated(routes, km, kwh)
    now = balance.cost(np.arange(len(routes)), plan.length, plan.energy)
    exchange, exchanged = _best_exchange(plan, km, kwh, may_go, balance, now)
    move, moved = _best_move(routes, plan, km, kwh, capacity, may_go, balance, now)
    if max(exchange, move) <= MIN_GAIN_KM:
        return False
    changed = _exchange(routes, *exchanged) if exchange >= move else _move(routes, *moved)
    for crew in changed:
        routes[crew] = _shorter(routes[crew], km, len(kwh) + crew)
    return True


def _shorter(route: list[int], km: np.ndarray, base: int) -> list[int]:
    """The shorter one of a way and of the same visits in a new order."""
    return min(short_route(route, km, base), route, key=lambda one: route_length(one, km, base))


def _tabulated(routes: Sequence[Sequence[int]], km: np.ndarray, kwh: np.ndarray) -> _Plan:
    n = len(kwh)
    crew = np.repeat(np.arange(len(routes)), [len(route) for route in routes])
    visit = np.array([visit for route in routes for visit in route])
    before = np.array([before for of, route in enumerate(routes) for before in [n + of, *route][: len(route)]])
    after = np.array([after for of, route in enumerate(routes) for after in [*route[1:], n + of][: len(route)]])
    length = _lengths(routes, km, n)
    energy = np.bincount(crew, kwh[visit], minlength=len(routes))
    return _Plan(visit, crew, before, after, length, energy)


def _best_exchange(plan: _Plan, km, kwh, may_go, balance, now) -> tuple[float, tuple[int, int]]:
    """Gain and positions of the best exchange of two visits of different crews, each at the other's place."""
    visit, crew = plan.visit, plan.crew
    there = km[np.ix_(visit, plan.before)] + km[np.ix_(visit, plan.after)]  # visit i at the place of visit j
    own = np.diagonal(there)
    length = plan.length[crew] + there - own  # of the crew of j, with i instead of j
    energy = plan.energy[crew] + kwh[visit][:, None] - kwh[visit]
    cost = balance.cost(crew[None, :], length, energy)
    gain = (now[crew] - cost) + (now[crew] - cost).T
    allowed = may_go[visit][:, crew]
    gain[~(allowed & allowed.T) | (crew[:, None] == crew)] = -np.inf
    best = np.unravel_index(gain.argmax(), gain.shape)
    return float(gain[best]), (int(best[0]), int(best[1]))


def _best_move(routes, plan: _Plan, km, kwh, capacity, may_go, balance, now) -> tuple[float, tuple[int, int, int]]:
    """Gain, position, crew and place of the best move of a visit into the way of another crew with a free place."""
    visit, crew = plan.visit, plan.crew
    freed = km[plan.before, visit] + km[visit, plan.after] - km[plan.before, plan.after]
    left = balance.cost(crew, plan.length[crew] - freed, plan.energy[crew] - kwh[visit])
    best: tuple[float, tuple[int, int, int]] = (-np.inf, (0, 0, 0))
    for to, route in enumerate(routes):
        if len(route) >= capacity[to]:
            continue
        ends = np.array([len(kwh) + to, *route, len(kwh) + to])
        added = km[np.ix_(visit, ends[:-1])] + km[np.ix_(visit, ends[1:])] - km[ends[:-1], ends[1:]]
        at = added.argmin(axis=1)
        joined = balance.cost(np.int64(to), plan.length[to] + added.min(axis=1), plan.energy[to] + kwh[visit])
        gain = np.where(may_go[visit, to] & (crew != to), now[crew] - left + now[to] - joined, -np.inf)
        position = int(gain.argmax())
        if gain[position] > best[0]:
            best = float(gain[position]), (position, to, int(at[position]))
    return best


def _exchange(routes: list[list[int]], one: int, other: int) -> tuple[int, int]:
    places = [(crew, at) for crew, route in enumerate(routes) for at in range(len(route))]
    (a, i), (b, j) = places[one], places[other]
    routes[a][i], routes[b][j] = routes[b][j], routes[a][i]
    return a, b


def _move(routes: list[list[int]], position: int, to: int, at: int) -> tuple[int, int]:
    crew, place = [(crew, at) for crew, route in enumerate(routes) for at in range(len(route))][position]
    routes[to].insert(at, routes[crew].pop(place))
    return crew, to
