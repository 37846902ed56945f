"""Clients with places, and an outline around them."""

from fairmeter.store import Store
from tests.builders.store import clients_of, score_of, write

SQUARE = [[10.0, 36.0], [11.0, 36.0], [11.0, 37.0], [10.0, 37.0], [10.0, 36.0]]


def place_clients(store: Store) -> None:
    """Four clients around 36.5 N, 10.5 E."""
    ids = [f"c-{i}" for i in range(4)]
    places = {"latitude": [36.2, 36.4, 36.6, 36.8], "longitude": [10.2, 10.4, 10.6, 10.8]}
    write(store, *map(score_of, ids), clients=clients_of(client_id=ids, **places))
