"""Low-voltage network of a simulated utility: places of clients, energy delivered by transformers.

In:  regions and reading routes of clients; daily consumption of the clients of each transformer.
Out: transformers with coordinates, a place for each client; delivered energy and technical losses. [kWh per day]

Delivered energy less losses and registered energy is unaccounted for. Coordinates are around real towns of Tunisia; the
assignment of regions to towns is invented, because the public set does not give it.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import N_ROUTES

CLIENTS_PER_TRANSFORMER = 25  # simulated ones with closed accounts; a real transformer supplies 50 to 200
SMART_SHARE = 0.82  # of transformers with a meter, whose clients have smart meters
TOWNS = {
    101: (36.80, 10.18), 103: (36.85, 10.30), 104: (36.73, 10.25), 105: (36.40, 10.14), 106: (36.18, 8.71),
    107: (36.73, 9.18), 301: (35.83, 10.63), 302: (35.50, 11.06), 303: (35.78, 10.82), 304: (35.68, 10.10),
    305: (36.08, 9.37), 306: (36.45, 10.73), 307: (35.17, 8.83), 308: (35.04, 9.48), 309: (36.50, 8.78),
    310: (34.74, 10.76), 311: (33.88, 10.09), 312: (34.42, 8.78), 313: (33.92, 8.13), 371: (33.35, 10.49),
    372: (32.93, 10.45), 379: (33.70, 8.97),
}  # fmt: skip
TOWN_SPREAD, STREET_SPREAD = 0.05, 0.0015  # degrees: 5 km around a town, 150 m around a transformer

# Technical losses of a transformer and its lines, as shares of its usual load: iron constant, copper quadratic.
IRON, COPPER = (0.008, 0.016), (0.015, 0.035)


@dataclass(frozen=True)
class DistributionNetwork:
    """Transformers, and the clients that each one supplies."""

    transformers: Table  # transformer_id, region, latitude, longitude, has_meter
    transformer: np.ndarray  # of each client: row in transformers
    places: Table  # latitude, longitude of each client

    @classmethod
    def draw(
        cls, rng: np.random.Generator, region: np.ndarray, route: np.ndarray, first: int, n_metered: int = 0
    ) -> "DistributionNetwork":
        """Draw a network for clients of these regions; neighbours on a route share a transformer. Ids start at first.

        The transformers of the first n_metered clients have a meter.
        """
        codes, row, n_clients = np.unique(region, return_inverse=True, return_counts=True)
        # A region has at most one per route; in larger regions they supply more clients.
        n_in_region = np.clip(np.rint(n_clients / CLIENTS_PER_TRANSFORMER).astype(int), 1, N_ROUTES)
        n, first_row = n_in_region.sum(), np.cumsum(n_in_region) - n_in_region
        towns = np.repeat(np.array([TOWNS[code] for code in codes]), n_in_region, axis=0)
        site = towns + rng.normal(0, TOWN_SPREAD, (n, 2))
        transformer = first_row[row] + route * n_in_region[row] // N_ROUTES
        transformers = {
            "transformer_id": np.array([f"t-{first + number:05d}" for number in range(n)], object),
            "region": np.repeat(codes, n_in_region),
            **coordinates(site),
            "has_meter": (rng.random(n) < SMART_SHARE) | np.isin(np.arange(n), transformer[:n_metered]),
        }
        client_site = site[transformer] + rng.normal(0, STREET_SPREAD, (len(region), 2))
        return cls(transformers, transformer, coordinates(client_site))


def coordinates(site: np.ndarray) -> Table:
    """Columns latitude and longitude, rounded to about a metre."""
    latitude, longitude = np.round(site, 5).T
    return {"latitude": latitude, "longitude": longitude}


def draw_losses(rng: np.random.Generator, load: np.ndarray) -> np.ndarray:
    """Technical losses of each transformer at its load. [kWh per day, (transformer, day)]"""
    usual = load.mean(axis=1, keepdims=True)
    iron, copper = (rng.uniform(*limits, (len(load), 1)) for limits in (IRON, COPPER))
    return usual * iron + copper * np.square(load) / np.where(usual > 0, usual, 1)


def sum_by(transformer: np.ndarray, kwh: np.ndarray, n: int) -> np.ndarray:
    """Sum over the clients of each of n transformers. [(transformer, day)]"""
    total = np.zeros((n, kwh.shape[1]))
    np.add.at(total, transformer, kwh)
    return total


def draw_totals(
    rng: np.random.Generator, transformer: np.ndarray, used: np.ndarray, registered: np.ndarray, n: int
) -> Table:
    """Daily totals of each transformer. [kWh rounded to watt-hours, (transformer, day)]

    delivered_kwh: consumption plus losses; losses_kwh: computed from the load; unregistered_kwh: the truth, used but
    not registered, negative where a stalled meter catches up.
    """
    load = sum_by(transformer, used, n)
    losses = draw_losses(rng, load)
    unregistered = load - sum_by(transformer, registered, n)
    grids = {"delivered_kwh": load + losses, "losses_kwh": losses, "unregistered_kwh": unregistered}
    return {name: np.round(grid, 3) + 0.0 for name, grid in grids.items()}  # + 0.0 turns -0.0 into 0.0
