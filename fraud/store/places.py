"""Where clients are: cells of a grid with how many are suspected, clients and transformers within an area.

In:  an area in degrees; filters.
Out: Cell, PlacedClient, Transformer; None of an area where no client has coordinates.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, select

from fraud.store.database import Database
from fraud.store.paging import conditions
from fraud.store.profiles import FILTERS, IS_SUSPECTED
from fraud.store.schema import clients, profiles

LEAST = 1e-4  # degrees that an area is high and wide at least, some ten metres
HAS_PLACE = clients.c.latitude.is_not(None) & clients.c.longitude.is_not(None)
N_SUSPECTED = func.sum(case((IS_SUSPECTED, 1), else_=0))


class Area(NamedTuple):
    """From south-west to north-east. [degrees]"""

    south: float
    west: float
    north: float
    east: float


@dataclass(frozen=True, slots=True)
class Cell:
    """Clients that are near each other, at their middle. expected_recovery_kwh: of the suspected ones."""

    latitude: float
    longitude: float
    n_clients: int
    n_suspected: int
    expected_recovery_kwh: float


@dataclass(frozen=True, slots=True)
class PlacedClient:
    """A client with its newest score and where it is."""

    client_id: str
    latitude: float
    longitude: float
    severity: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer in the middle of its clients."""

    transformer_id: str
    latitude: float
    longitude: float
    n_clients: int
    n_suspected: int


class Places(Database):
    """Clients by where they are. Filters: those of lists, and onset_since, onset_until (both included)."""

    def area(self) -> Area | None:
        """What all clients with coordinates lie in."""
        south, west = func.min(clients.c.latitude), func.min(clients.c.longitude)
        north, east = func.max(clients.c.latitude), func.max(clients.c.longitude)
        with self.reading() as connection:
            found = connection.execute(select(south, west, north, east).where(HAS_PLACE)).one()
        return None if None in found else Area(*found)

    def cells(self, area: Area, n_across: int, **filters) -> list[Cell]:
        """The area in so many cells each way: those with clients, the most suspected first."""
        # round() goes to the nearest in both databases, floor() is not in every SQLite.
        row = func.round((clients.c.latitude - area.south) / max((area.north - area.south) / n_across, LEAST))
        column = func.round((clients.c.longitude - area.west) / max((area.east - area.west) / n_across, LEAST))
        recovery = func.sum(case((IS_SUSPECTED, profiles.c.expected_recovery_kwh)))
        middle = func.avg(clients.c.latitude), func.avg(clients.c.longitude)
        query = _within(select(*middle, func.count(), N_SUSPECTED, recovery), area, filters).group_by(row, column)
        with self.reading() as connection:
            found = [Cell(*told, kwh or 0.0) for *told, kwh in connection.execute(query)]
        return sorted(found, key=lambda cell: (-cell.n_suspected, -cell.n_clients, cell.latitude, cell.longitude))

    def placed_clients(self, area: Area, limit: int, **filters) -> list[PlacedClient]:
        """Suspected clients of the area, the highest score first."""
        columns = (
            profiles.c.client_id, clients.c.latitude, clients.c.longitude, profiles.c.severity, profiles.c.probability,
        )  # fmt: skip
        query = _within(select(*columns), area, filters).where(IS_SUSPECTED)
        query = query.order_by(profiles.c.by_score.desc(), profiles.c.client_id.desc()).limit(limit)
        with self.reading() as connection:
            return [PlacedClient(*row) for row in connection.execute(query)]

    def transformers(self, area: Area, limit: int, **filters) -> list[Transformer]:
        """Transformers whose clients are in the area, the most suspected clients first."""
        id_, n = clients.c.transformer_id, func.count()
        query = select(id_, func.avg(clients.c.latitude), func.avg(clients.c.longitude), n, N_SUSPECTED)
        query = _within(query, area, filters).where(id_.is_not(None)).group_by(id_)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(N_SUSPECTED.desc(), n.desc(), id_).limit(limit))
            return [Transformer(*row) for row in rows]


def _within(query, area: Area, filters: dict):
    south, west, north, east = area
    since, until = (filters.pop(name, None) for name in ("onset_since", "onset_until"))
    here = clients.c.latitude.between(south, north) & clients.c.longitude.between(west, east)
    query = query.select_from(clients).join(profiles, profiles.c.client_id == clients.c.client_id)
    return query.where(here, *_began(since, until), *conditions(filters, FILTERS))


def _began(since: date | None, until: date | None) -> list[ColumnElement[bool]]:
    """[since, until: when the change in consumption began, both included]"""
    onset = profiles.c.onset_on
    return [] if since is None and until is None else [onset >= (since or date.min), onset <= (until or date.max)]
