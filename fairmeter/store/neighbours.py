"""Who is near a client: the nearest ones, and those on its transformer.

In:  a client's id.
Out: Neighbours with their severities and links, the nearest first; those of whom no distance is known by score.
"""

from dataclasses import dataclass
from math import degrees

from sqlalchemy import Connection, Row, select

from fairmeter.core.geo import EARTH_RADIUS, distance, longitude_span
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import profiles

REACHES = (200.0, 1000.0, 5000.0)  # m, one after the other until there are enough


@dataclass(frozen=True, slots=True)
class Neighbour:
    """metres: as the crow flies, None where one of the two has no coordinates."""

    client_id: str
    severity: str
    probability: float | None
    transformer_id: str | None
    metres: float | None


class NeighbourStore(Database):
    """Clients by who is near them."""

    def neighbours_of(self, client_id: str, limit: int = 8) -> list[Neighbour]:
        """Nobody of a client without coordinates and transformer."""
        place = select(profiles.c.latitude, profiles.c.longitude, profiles.c.transformer_id)
        with self.reading() as connection:
            own = connection.execute(place.where(profiles.c.client_id == client_id)).first()
            if own is None:
                return []
            if own.latitude is not None and own.longitude is not None:
                return _nearest(connection, client_id, own, limit)
            return _on_transformer(connection, client_id, own.transformer_id, limit)


COLUMNS = ("client_id", "severity", "probability", "transformer_id", "latitude", "longitude")
ALL = select(*(profiles.c[name] for name in COLUMNS))


def _nearest(connection: Connection, client_id: str, own: Row, limit: int) -> list[Neighbour]:
    found: list[Neighbour] = []
    for reach in REACHES:
        high = degrees(reach / EARTH_RADIUS)
        wide = longitude_span(high, own.latitude)
        near = profiles.c.latitude.between(own.latitude - high, own.latitude + high)
        near &= profiles.c.longitude.between(own.longitude - wide, own.longitude + wide)
        rows = connection.execute(ALL.where(near, profiles.c.client_id != client_id))
        found = sorted((_neighbour(row, own) for row in rows), key=lambda one: (one.metres, one.client_id))
        if sum(one.metres <= reach for one in found) >= limit:  # corners of the square lie further than its sides
            break
    return found[:limit]


def _on_transformer(connection: Connection, client_id: str, transformer_id: str | None, limit: int) -> list[Neighbour]:
    if transformer_id is None:
        return []
    query = ALL.where(profiles.c.transformer_id == transformer_id, profiles.c.client_id != client_id)
    query = query.order_by(profiles.c.by_score.desc(), profiles.c.client_id).limit(limit)
    return [_neighbour(row, None) for row in connection.execute(query)]


def _neighbour(row: Row, own: Row | None) -> Neighbour:
    *told, latitude, longitude = row
    return Neighbour(*told, None if own is None else distance(own.latitude, own.longitude, latitude, longitude))
