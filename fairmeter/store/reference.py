"""Reference data: consumption bands of a category and region by month; daily temperatures.

In:  ReferenceData of the last scoring of the client base.
Out: the band of one category and region; the temperature of each day.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from fairmeter.analysis.peer_consumption import ConsumptionBand
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.upsert import write_rows

BAND_COLUMNS = tuple(column.name for column in schema.bands.columns)


class ReferenceData(NamedTuple):
    """Consumption bands and daily temperatures. [temperatures: mean over the utility's area, degrees C]"""

    bands: Sequence[ConsumptionBand] = ()
    temperatures: Sequence[tuple[date, float]] = ()


NO_REFERENCE_DATA = ReferenceData()


def write_reference(connection: Connection, reference: ReferenceData, now: datetime) -> None:
    """Overwrite bands of the same category and region, and temperatures of the same day."""
    rows = ((band.category, band.region, band.n_clients, band.first_on, _packed(band), now) for band in reference.bands)
    write_rows(connection, schema.bands, BAND_COLUMNS, rows)
    write_rows(connection, schema.weather, ("day", "temperature"), reference.temperatures)


class ReferenceStore(Database):
    """Reads reference data."""

    def find_band(self, category: float | None, region: float | None) -> ConsumptionBand | None:
        """The consumption band of a category and region; None if none of its clients had consumption data."""
        bands = schema.bands
        query = select(bands).where(bands.c.category == category, bands.c.region == region)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
        return row and _band(row)

    def temperatures(self, since: date, until: date) -> list[tuple[date, float]]:
        """Mean temperature by day, both ends inclusive; days without data are left out. [degrees C]"""
        weather = schema.weather
        query = select(weather.c.day, weather.c.temperature).where(weather.c.day.between(since, until))
        with self.reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(weather.c.day))]


def _packed(band: ConsumptionBand) -> bytes:
    return np.array([band.n, band.low, band.middle, band.high], "<f4").tobytes()


def _band(row) -> ConsumptionBand:
    n, low, middle, high = np.frombuffer(row["months"], "<f4").reshape(4, -1)
    return ConsumptionBand(
        row["category"], row["region"], row["n_clients"], row["first_on"], n.astype(int), low, middle, high
    )
