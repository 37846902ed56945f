"""What stands around clients: what those of a category and region use, by month; the weather.

In:  what a scoring of the client base learnt of all clients together (Around).
Out: the band of one category and region, as it was learnt last; the temperature of each day.
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
    """[temperatures: of a day, the mean over the utility's area, degrees C]"""

    bands: Sequence[ConsumptionBand] = ()
    temperatures: Sequence[tuple[date, float]] = ()


NOTHING_AROUND = ReferenceData()


def write_around(connection: Connection, around: ReferenceData, now: datetime) -> None:
    """Written over what was there of the same category and region, and of the same day."""
    rows = ((band.category, band.region, band.n_clients, band.first_on, _packed(band), now) for band in around.bands)
    write_rows(connection, schema.bands, BAND_COLUMNS, rows)
    write_rows(connection, schema.weather, ("day", "temperature"), around.temperatures)


class ReferenceStore(Database):
    """What stands around clients."""

    def find_band(self, category: float | None, region: float | None) -> ConsumptionBand | None:
        """None where no client of that category and region had a consumption to learn from."""
        bands = schema.bands
        query = select(bands).where(bands.c.category == category, bands.c.region == region)
        with self.reading() as connection:
            row = connection.execute(query).mappings().first()
        return row and _band(row)

    def temperatures(self, since: date, until: date) -> list[tuple[date, float]]:
        """Each day's mean, both ends included; a day of which nothing is known is left out. [degrees C]"""
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
