"""Where clients are: cells of a grid with how many are suspected, clients and transformers within an area.

In:  an area in degrees; filters.
Out: Cell, PlacedClient, Transformer; None of an area where no client has coordinates.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import case, extract, func, select

from fraud.store.database import Database
from fraud.store.paging import conditions
from fraud.store.profiles import FILTERS, IS_SUSPECTED
from fraud.store.schema import clients, profiles

LEAST = 1e-4  # degrees that an area is high and wide at least, some ten metres
HAS_PLACE = clients.c.latitude.is_not(None) & clients.c.longitude.is_not(None)
N_SUSPECTED = func.sum(case((IS_SUSPECTED, 1), else_=0))


class Area(NamedTuple):
    """From south-west to north-east. is_whole: every client with coordinates lies in it. [degrees]"""

    south: float
    west: float
    north: float
    east: float
    is_whole: bool = False


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
    expected_recovery_kwh: float | None


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer in the middle of its clients."""

    transformer_id: str
    latitude: float
    longitude: float
    n_clients: int
    n_suspected: int


class Places(Database):
    """Clients by where they are. Filters: those of lists."""

    def area(self) -> Area | None:
        """What all clients with coordinates lie in."""
        south, west = func.min(clients.c.latitude), func.min(clients.c.longitude)
        north, east = func.max(clients.c.latitude), func.max(clients.c.longitude)
        with self.reading() as connection:
            found = connection.execute(select(south, west, north, east).where(HAS_PLACE)).one()
        return None if None in found else Area(*found, is_whole=True)

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

    def count_placed(self, area: Area, **filters) -> int:
        """How many clients the area holds."""
        with self.reading() as connection:
            return connection.execute(_within(select(func.count()), area, filters)).scalar_one()

    def placed_clients(self, area: Area, limit: int, **filters) -> list[PlacedClient]:
        """Suspected clients of the area, the highest score first."""
        columns = (
            profiles.c.client_id, clients.c.latitude, clients.c.longitude, profiles.c.severity, profiles.c.probability,
            profiles.c.expected_recovery_kwh,
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

    def began_by_month(self, **filters) -> dict[tuple[float | None, date], int]:
        """Suspected clients by their region and the month in which the change in their consumption began."""
        onset = profiles.c.onset_on
        parts = profiles.c.region, extract("year", onset), extract("month", onset)
        query = select(*parts, func.count()).where(IS_SUSPECTED, onset.is_not(None), *conditions(filters, FILTERS))
        query = query.group_by(*parts)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return {(code, date(int(year), int(month), 1)): n for code, year, month, n in rows}


def _within(query, area: Area, filters: dict):
    # Of all clients bounds leave none out, and SQLite would go through their index, which takes five times as long.
    here = HAS_PLACE
    if not area.is_whole:
        here = clients.c.latitude.between(area.south, area.north) & clients.c.longitude.between(area.west, area.east)
    query = query.select_from(clients).join(profiles, profiles.c.client_id == clients.c.client_id)
    return query.where(here, *conditions(filters, FILTERS))
