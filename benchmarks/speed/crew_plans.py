"""Ways and balance of crews' plans, beside a greedy division: `python -m benchmarks.speed.crew_plans`.

In:  135,000 invented clients around a town; crews and visits a day.
Out: a table: seconds, kilometres of all ways and those of the greedy division, smallest and largest part of a crew.
"""

import time
from collections.abc import Sequence

import numpy as np

from fairmeter.planning.crew_plan import Clients, choose_visits, plan_crews
from fairmeter.planning.route_order import distances, nearest_neighbours, route_length

N_CLIENTS, RANDOM_SHARE, SEEDS = 135_000, 0.05, (0, 1, 2)
DAYS = ((5, 8), (10, 8), (20, 10), (10, 40))  # crews, visits of each
TOWN, SPREAD = (36.8, 10.2), 0.3  # degrees
FIRST_KM = 30.0  # at which a visit takes a new crew rather than one on its way


def invented_clients(seed: int) -> Clients:
    """Clients around a town; the value of a visit is energy at stake times a score."""
    drawn = np.random.default_rng(seed)
    kwh = drawn.gamma(2, 500, N_CLIENTS)
    places = drawn.normal(0, SPREAD, (N_CLIENTS, 2)) + TOWN
    return Clients(kwh * drawn.random(N_CLIENTS), *places.T, kwh, np.full(N_CLIENTS, np.nan))


def greedy_km(km: np.ndarray, capacity: Sequence[int]) -> float:
    """All ways where each visit, in the list's order, goes to the crew that is nearest to it then."""
    routes: list[list[int]] = [[] for _ in capacity]
    for visit in range(sum(capacity)):
        free = [crew for crew in range(len(capacity)) if len(routes[crew]) < capacity[crew]]
        nearest = min(free, key=lambda crew: km[routes[crew][-1], visit] if routes[crew] else FIRST_KM)
        routes[nearest].append(visit)
    return sum(route_length(nearest_neighbours(route, km), km) for route in routes)


def main() -> None:
    print("| crews x visits | s | km | greedy km | km of a crew | kWh of a crew |\n|---|---:|---:|---:|---:|---:|")
    for n_crews, n_visits in DAYS:
        for seed in SEEDS:
            clients, capacity = invented_clients(seed), [n_visits] * n_crews
            may_go = np.ones((N_CLIENTS, n_crews), dtype=bool)
            start = time.perf_counter()
            routes, _ = plan_crews(clients, capacity, may_go, random_share=RANDOM_SHARE, seed=seed)
            seconds = time.perf_counter() - start
            rows = choose_visits(clients.value, capacity, may_go, random_share=RANDOM_SHARE, seed=seed).rows
            greedy = greedy_km(distances(clients.latitude[rows], clients.longitude[rows]), capacity)
            km, kwh = ([getattr(route, name) for route in routes] for name in ("km", "kwh"))
            ends = " | ".join(f"{min(part):,.0f} to {max(part):,.0f}" for part in (km, kwh))
            print(f"| {n_crews} x {n_visits} | {seconds:.2f} | {sum(km):,.0f} | {greedy:,.0f} | {ends} |")


if __name__ == "__main__":
    main()
