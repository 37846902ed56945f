"""Clients by place: grid cells with counts, clients and transformers within an area, neighbours of a client.

In:  an area in degrees; filters; a client's id.
Out: Cell, PlacedClient, Transformer, Neighbour.
"""

from dataclasses import dataclass
from datetime import date
from math import degrees
from typing import NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Integer, Row, Select, cast, extract, func, select

from fairmeter.core.geo import EARTH_RADIUS, distance, longitude_span
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import conditions
from fairmeter.store.engine.schema import profiles
from fairmeter.store.profiles import FILTERS, percentile_of

MIN_EXTENT = 1e-4  # degrees, some ten metres: smallest height and width of an area
MAX_COLUMNS = 1000  # of a grid of cells
SEARCH_RADII = (200.0, 1000.0, 5000.0)  # m, tried in turn until there are enough neighbours
HAS_PLACE = profiles.c.latitude.is_not(None) & profiles.c.longitude.is_not(None)


class Area(NamedTuple):
    """A box from south-west to north-east. is_whole: it contains all clients with coordinates. [degrees]"""

    south: float
    west: float
    north: float
    east: float
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A grid cell at the mean place of its clients. expected_recovery_kwh: sum over suspected clients."""

    latitude: float
    longitude: float
    n_clients: int
    n_suspected: int
    expected_recovery_kwh: float


@dataclass(frozen=True, slots=True)
class PlacedClient:
    """A client with its place and newest score."""

    client_id: str
    latitude: float
    longitude: float
    severity: str
    probability: float | None
    expected_recovery_kwh: float | None
    region: float | None = None
    district: float | None = None
    percentile: float | None = None


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer at the mean place of its clients."""

    transformer_id: str
    latitude: float
    longitude: float
    n_clients: int
    n_suspected: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A client near another one. metres: great-circle distance, None if either has no coordinates."""

    client_id: str
    severity: str
    probability: float | None
    transformer_id: str | None
    metres: float | None


NEIGHBOUR_COLUMNS = ("client_id", "severity", "probability", "transformer_id", "latitude", "longitude")
NEIGHBOURS = select(*(profiles.c[name] for name in NEIGHBOUR_COLUMNS))


class PlaceStore(Database):
    """Reads clients by place. Filters are those of ProfileStore.list_profiles."""

    def area(self) -> Area | None:
        """The area of all clients with coordinates; None if there are none."""
        # One subquery per bound: PostgreSQL takes one bound from an index, but scans the table for two.
        places, ends = (profiles.c.latitude, profiles.c.longitude), (func.min, func.max)
        sides = [select(end(place)).where(HAS_PLACE).scalar_subquery() for end in ends for place in places]
        with self.reading() as connection:
            found = connection.execute(select(*sides)).one()
        return None if None in found else Area(*found, is_whole=True)

    def cells(self, area: Area, n_across: int, **filters) -> list[Cell]:
        """Cells with clients, of a grid of n_across cells each way; the most suspected clients first."""
        row = self._step(profiles.c.latitude, area.south, (area.north - area.south) / n_across)
        column = self._step(profiles.c.longitude, area.west, (area.east - area.west) / n_across)
        cell = (row * MAX_COLUMNS + column).label("cell")  # SQLite groups by one number in half the time of two
        middle = func.avg(profiles.c.latitude), func.avg(profiles.c.longitude)
        all_ = _within(select(cell, *middle, func.count()), area, filters).group_by(cell)
        of_suspected = select(cell, func.count(), func.sum(profiles.c.expected_recovery_kwh))
        of_suspected = _suspected(of_suspected, area, filters).group_by(cell)
        with self.reading() as connection:
            suspected = {one: (n, kwh or 0.0) for one, n, kwh in connection.execute(of_suspected)}
            rows = connection.execute(all_).all()
        found = [Cell(*values, *suspected.get(one, (0, 0.0))) for one, *values in rows]
        return sorted(found, key=lambda cell: (-cell.n_suspected, -cell.n_clients, cell.latitude, cell.longitude))

    def _step(self, place: Column, first: float, length: float) -> ColumnElement[int]:
        """The number of the step on which a place lies, the nearest one. [degrees]"""
        steps = (place - first) / max(length, MIN_EXTENT)
        # A cast of SQLite cuts off, and takes less time than its round(); one of PostgreSQL rounds by itself.
        return cast(steps + 0.5 if self.is_sqlite else steps, Integer)

    def count_placed(self, area: Area, **filters) -> int:
        """Number of clients in the area."""
        with self.reading() as connection:
            return connection.execute(_within(select(func.count()), area, filters)).scalar_one()

    def placed_clients(self, area: Area, limit: int, **filters) -> list[PlacedClient]:
        """Suspected clients in the area, highest score first."""
        score, where = profiles.c, (profiles.c.latitude, profiles.c.longitude)
        query = select(score.client_id, *where, score.severity, score.probability, score.expected_recovery_kwh)
        query = query.add_columns(score.region, score.district, score.by_score)
        query = _suspected(query, area, filters).order_by(score.by_score.desc(), score.client_id.desc()).limit(limit)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [PlacedClient(*row[:-1], percentile_of(row.probability, row.by_score)) for row in rows]

    def count_suspected(self, area: Area, **filters) -> dict[str, int]:
        """Number of suspected clients in the area by severity, of those that have any."""
        severity = profiles.c.severity
        query = _suspected(select(severity, func.count()), area, filters).group_by(severity)
        with self.reading() as connection:
            return dict(connection.execute(query).all())

    def transformers(self, area: Area, limit: int, **filters) -> list[Transformer]:
        """Transformers with clients in the area, the most suspected clients first."""
        id_, n = profiles.c.transformer_id, func.count()
        middle = func.avg(profiles.c.latitude), func.avg(profiles.c.longitude)
        suspected = _suspected(select(id_, n), area, filters).where(id_.is_not(None))
        suspected = suspected.group_by(id_).order_by(n.desc(), id_).limit(limit)
        placed = _within(select(id_, *middle, n), area, filters).group_by(id_).order_by(n.desc(), id_)
        with self.reading() as connection:
            n_suspected = dict(connection.execute(suspected).all())
            found = connection.execute(placed.where(id_.in_(n_suspected))).all()
            if len(found) < limit:  # only then are the transformers of all clients counted, which takes longer
                others = placed.where(id_.is_not(None), id_.not_in(n_suspected)).limit(limit - len(found))
                found += connection.execute(others).all()
        found = [Transformer(*row, n_suspected.get(row.transformer_id, 0)) for row in found]
        return sorted(found, key=lambda one: -one.n_suspected)

    def onsets_by_month(self, **filters) -> dict[tuple[float | None, date], int]:
        """Number of suspected clients by region and by the month in which their consumption began to change."""
        onset = profiles.c.onset_on
        parts = profiles.c.region, extract("year", onset), extract("month", onset)
        query = select(*parts, func.count()).where(profiles.c.is_suspected, onset.is_not(None))
        query = query.where(*conditions(filters, FILTERS)).group_by(*parts)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return {(code, date(int(year), int(month), 1)): n for code, year, month, n in rows}

    def neighbours_of(self, client_id: str, limit: int = 8) -> list[Neighbour]:
        """The nearest clients; without coordinates, those of the same transformer by score."""
        place = select(profiles.c.latitude, profiles.c.longitude, profiles.c.transformer_id)
        with self.reading() as connection:
            own = connection.execute(place.where(profiles.c.client_id == client_id)).first()
            if own is None:
                return []
            if own.latitude is not None and own.longitude is not None:
                return _nearest(connection, client_id, own, limit)
            return _on_transformer(connection, client_id, own.transformer_id, limit)


def _within(query: Select, area: Area, filters: dict) -> Select:
    # Bounds of the whole area exclude no client: comparing millions with them would only take time.
    return query.where(HAS_PLACE if area.is_whole else _bounds(area), *conditions(filters, FILTERS))


def _suspected(query: Select, area: Area, filters: dict) -> Select:
    # A sum matches no index: SQLite would else scan the index of all places instead of the few suspected clients.
    has_place = (profiles.c.latitude + profiles.c.longitude).is_not(None)
    here = has_place if area.is_whole else _bounds(area)
    return query.where(profiles.c.is_suspected, here, *conditions(filters, FILTERS))


def _bounds(area: Area) -> ColumnElement[bool]:
    is_between = profiles.c.latitude.between(area.south, area.north)
    return is_between & profiles.c.longitude.between(area.west, area.east)


# --- neighbours -------------------------------------------------------------------------------------------------------


def _nearest(connection: Connection, client_id: str, own: Row, limit: int) -> list[Neighbour]:
    found: list[Neighbour] = []
    for radius in SEARCH_RADII:
        high = degrees(radius / EARTH_RADIUS)
        wide = longitude_span(high, own.latitude)
        near = profiles.c.latitude.between(own.latitude - high, own.latitude + high)
        near &= profiles.c.longitude.between(own.longitude - wide, own.longitude + wide)
        rows = connection.execute(NEIGHBOURS.where(near, profiles.c.client_id != client_id))
        found = sorted((_neighbour(row, own) for row in rows), key=lambda one: (one.metres, one.client_id))
        if sum(one.metres <= radius for one in found) >= limit:  # the square's corners lie outside the radius
            break
    return found[:limit]


def _on_transformer(connection: Connection, client_id: str, transformer_id: str | None, limit: int) -> list[Neighbour]:
    if transformer_id is None:
        return []
    query = NEIGHBOURS.where(profiles.c.transformer_id == transformer_id, profiles.c.client_id != client_id)
    query = query.order_by(profiles.c.by_score.desc(), profiles.c.client_id).limit(limit)
    return [_neighbour(row, None) for row in connection.execute(query)]


def _neighbour(row: Row, own: Row | None) -> Neighbour:
    *values, latitude, longitude = row
    return Neighbour(*values, None if own is None else distance(own.latitude, own.longitude, latitude, longitude))
