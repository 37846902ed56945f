"""The low-voltage network of a simulated utility: where clients live, what each transformer delivers.

In:  clients' regions and reading routes; what the clients of each transformer use a day.
Out: transformers with coordinates, a place for each client; delivered energy and technical losses. [kWh a day]

Delivered less losses less what the clients' meters registered is energy not accounted for. Coordinates lie about real
towns of Tunisia, but which region lies where is made up: the public set does not say.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import N_ROUTES

CLIENTS_A_TRANSFORMER = 25  # drawn ones, closed accounts included; a real transformer feeds 50 to 200
SMART_SHARE = 0.82  # of transformers that measure, and whose clients have smart meters
TOWNS = {
    101: (36.80, 10.18), 103: (36.85, 10.30), 104: (36.73, 10.25), 105: (36.40, 10.14), 106: (36.18, 8.71),
    107: (36.73, 9.18), 301: (35.83, 10.63), 302: (35.50, 11.06), 303: (35.78, 10.82), 304: (35.68, 10.10),
    305: (36.08, 9.37), 306: (36.45, 10.73), 307: (35.17, 8.83), 308: (35.04, 9.48), 309: (36.50, 8.78),
    310: (34.74, 10.76), 311: (33.88, 10.09), 312: (34.42, 8.78), 313: (33.92, 8.13), 371: (33.35, 10.49),
    372: (32.93, 10.45), 379: (33.70, 8.97),
}  # fmt: skip
TOWN_SPREAD, STREET_SPREAD = 0.05, 0.0015  # degrees: 5 km about a town, 150 m about a transformer

# Technical losses of a transformer and its lines, as shares of its usual load: iron always, copper with the square.
IRON, COPPER = (0.008, 0.016), (0.015, 0.035)


@dataclass(frozen=True)
class DistributionNetwork:
    """Transformers, and who hangs on which."""

    transformers: Table  # transformer_id, region, latitude, longitude, has_meter
    transformer: np.ndarray  # of each client: row in transformers
    places: Table  # latitude, longitude of each client

    @classmethod
    def draw(
        cls, rng: np.random.Generator, region: np.ndarray, route: np.ndarray, first: int, n_metered: int = 0
    ) -> "DistributionNetwork":
        """A network for clients of these regions; neighbours on a route share a transformer. Ids from first on.

        The transformers of the first n_metered clients have a meter.
        """
        codes, row, n_clients = np.unique(region, return_inverse=True, return_counts=True)
        # A region has at most one a route: beyond that, they feed more clients.
        n_in_region = np.clip(np.rint(n_clients / CLIENTS_A_TRANSFORMER).astype(int), 1, N_ROUTES)
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
    """Two columns of degrees, to about a metre."""
    latitude, longitude = np.round(site, 5).T
    return {"latitude": latitude, "longitude": longitude}


def draw_losses(rng: np.random.Generator, load: np.ndarray) -> np.ndarray:
    """Technical losses of each transformer at its load. [transformer, day, kWh a day]"""
    usual = load.mean(axis=1, keepdims=True)
    iron, copper = (rng.uniform(*limits, (len(load), 1)) for limits in (IRON, COPPER))
    return usual * iron + copper * np.square(load) / np.where(usual > 0, usual, 1)


def sum_by(transformer: np.ndarray, kwh: np.ndarray, n: int) -> np.ndarray:
    """Sum of the clients of each of n transformers. [transformer, day]"""
    total = np.zeros((n, kwh.shape[1]))
    np.add.at(total, transformer, kwh)
    return total


def draw_totals(
    rng: np.random.Generator, transformer: np.ndarray, used: np.ndarray, registered: np.ndarray, n: int
) -> Table:
    """What each transformer delivers a day, and where it goes: grids [transformer, day], to the watt-hour.

    delivered_kwh is what the clients used and the losses; losses_kwh what an engineer computes for the load;
    unregistered_kwh the truth: used, but not registered. It is below zero where a stalled meter catches up.
    """
    load = sum_by(transformer, used, n)
    losses = draw_losses(rng, load)
    unregistered = load - sum_by(transformer, registered, n)
    grids = {"delivered_kwh": load + losses, "losses_kwh": losses, "unregistered_kwh": unregistered}
    return {name: np.round(grid, 3) + 0.0 for name, grid in grids.items()}  # + 0.0: no minus zero in the file
