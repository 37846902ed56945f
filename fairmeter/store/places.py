"""Where clients are: cells of a grid with how many are suspected, clients and transformers within an area.

In:  an area in degrees; filters.
Out: Cell, PlacedClient, Transformer; None of an area where no client has coordinates.
"""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, extract, func, select

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import conditions
from fairmeter.store.engine.schema import profiles
from fairmeter.store.profiles import FILTERS

LEAST = 1e-4  # degrees that an area is high and wide at least, some ten metres
HAS_PLACE = profiles.c.latitude.is_not(None) & profiles.c.longitude.is_not(None)


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


class PlaceStore(Database):
    """Clients by where they are. Filters: those of lists."""

    def area(self) -> Area | None:
        """What all clients with coordinates lie in."""
        # Each end for itself: PostgreSQL takes one from an index, and reads everybody for two.
        places, ends = (profiles.c.latitude, profiles.c.longitude), (func.min, func.max)
        sides = [select(end(place)).where(HAS_PLACE).scalar_subquery() for end in ends for place in places]
        with self.reading() as connection:
            found = connection.execute(select(*sides)).one()
        return None if None in found else Area(*found, is_whole=True)

    def cells(self, area: Area, n_across: int, **filters) -> list[Cell]:
        """The area in so many cells each way: those with clients, the most suspected first."""
        # round() goes to the nearest in both databases, floor() is not in every SQLite.
        row = func.round((profiles.c.latitude - area.south) / max((area.north - area.south) / n_across, LEAST))
        column = func.round((profiles.c.longitude - area.west) / max((area.east - area.west) / n_across, LEAST))
        middle = func.avg(profiles.c.latitude), func.avg(profiles.c.longitude)
        all_ = _within(select(row, column, *middle, func.count()), area, filters).group_by(row, column)
        of_suspected = select(row, column, func.count(), func.sum(profiles.c.expected_recovery_kwh))
        of_suspected = _suspected(of_suspected, area, filters).group_by(row, column)
        with self.reading() as connection:
            suspected = {(y, x): (n, kwh or 0.0) for y, x, n, kwh in connection.execute(of_suspected)}
            known = connection.execute(all_).all()
        found = [Cell(*told, *suspected.get((y, x), (0, 0.0))) for y, x, *told in known]
        return sorted(found, key=lambda cell: (-cell.n_suspected, -cell.n_clients, cell.latitude, cell.longitude))

    def count_placed(self, area: Area, **filters) -> int:
        """How many clients the area holds."""
        with self.reading() as connection:
            return connection.execute(_within(select(func.count()), area, filters)).scalar_one()

    def placed_clients(self, area: Area, limit: int, **filters) -> list[PlacedClient]:
        """Suspected clients of the area, the highest score first."""
        score, where = profiles.c, (profiles.c.latitude, profiles.c.longitude)
        query = select(score.client_id, *where, score.severity, score.probability, score.expected_recovery_kwh)
        query = _suspected(query, area, filters).order_by(score.by_score.desc(), score.client_id.desc()).limit(limit)
        with self.reading() as connection:
            return [PlacedClient(*row) for row in connection.execute(query)]

    def transformers(self, area: Area, limit: int, **filters) -> list[Transformer]:
        """Transformers whose clients are in the area, the most suspected clients first."""
        id_, n = profiles.c.transformer_id, func.count()
        middle = func.avg(profiles.c.latitude), func.avg(profiles.c.longitude)
        suspected = _suspected(select(id_, n), area, filters).where(id_.is_not(None))
        suspected = suspected.group_by(id_).order_by(n.desc(), id_).limit(limit)
        told = _within(select(id_, *middle, n), area, filters).group_by(id_).order_by(n.desc(), id_)
        with self.reading() as connection:
            n_suspected = dict(connection.execute(suspected).all())
            found = connection.execute(told.where(id_.in_(n_suspected))).all()
            if len(found) < limit:  # else what all clients hang on need not be counted
                others = told.where(id_.is_not(None), id_.not_in(n_suspected)).limit(limit - len(found))
                found += connection.execute(others).all()
        found = [Transformer(*row, n_suspected.get(row.transformer_id, 0)) for row in found]
        return sorted(found, key=lambda one: -one.n_suspected)

    def began_by_month(self, **filters) -> dict[tuple[float | None, date], int]:
        """Suspected clients by their region and the month in which the change in their consumption began."""
        onset = profiles.c.onset_on
        parts = profiles.c.region, extract("year", onset), extract("month", onset)
        query = select(*parts, func.count()).where(profiles.c.is_suspected, onset.is_not(None))
        query = query.where(*conditions(filters, FILTERS)).group_by(*parts)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return {(code, date(int(year), int(month), 1)): n for code, year, month, n in rows}


def _within(query: Select, area: Area, filters: dict) -> Select:
    # Of all clients bounds leave none out: millions need not be compared with them.
    return query.where(HAS_PLACE if area.is_whole else _bounds(area), *conditions(filters, FILTERS))


def _suspected(query: Select, area: Area, filters: dict) -> Select:
    # As a sum it is in no index: SQLite would go through that of all places, and few clients are suspected.
    has_place = (profiles.c.latitude + profiles.c.longitude).is_not(None)
    here = has_place if area.is_whole else _bounds(area)
    return query.where(profiles.c.is_suspected, here, *conditions(filters, FILTERS))


def _bounds(area: Area) -> ColumnElement[bool]:
    is_between = profiles.c.latitude.between(area.south, area.north)
    return is_between & profiles.c.longitude.between(area.west, area.east)
