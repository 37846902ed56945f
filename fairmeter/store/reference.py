"""Reference data: consumption bands of a category and region by month; daily temperatures; names of codes.

In:  ReferenceData of the last scoring of the client base.
Out: the band of one category and region; the temperature of each day; the names of codes that are texts.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from fairmeter.analysis.peer_consumption import ConsumptionBand
from fairmeter.core.code_names import PLACES, CodeNames
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.upsert import MAX_IDS, write_rows

CODE_NAME_COLUMNS = tuple(column.name for column in schema.code_names.columns)
NAMED_FIELDS = (*PLACES, "tariff", "meter_status", "meter_code", "remark")  # meters are too many to read all
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


def write_code_names(connection: Connection, names: CodeNames) -> None:
    """Add names to the stored ones; a code with two names keeps both."""
    for field, given in sorted(names.by_column.items()):
        merged = _stored_names(connection, (field,), given) | CodeNames({field: given})
        changed = sorted((field, code, _storable(merged.by_column[field][code])) for code in given)
        write_rows(connection, schema.code_names, CODE_NAME_COLUMNS, changed)


def _stored_names(connection: Connection, fields: Collection[str], codes: Collection[float] | None) -> CodeNames:
    """Stored names of these columns. [codes: those wanted; None, or many: all]"""
    table = schema.code_names
    query = select(table).where(table.c.field.in_(fields))
    if codes is not None and len(codes) <= MAX_IDS:
        query = query.where(table.c.code.in_(codes))
    found: dict[str, dict[float, str]] = {}
    for field, code, name in connection.execute(query):
        found.setdefault(field, {})[code] = name
    return CodeNames(found)


def _storable(name: str) -> str:
    """The name without what PostgreSQL cannot hold: NUL and surrogates."""
    return name.replace("\0", "").encode("utf-8", "replace").decode()


class ReferenceStore(Database):
    """Reads reference data."""

    def code_names(self, fields: Collection[str] = NAMED_FIELDS, codes: Collection[float] | None = None) -> CodeNames:
        """Names of codes that are texts, of these columns. [codes: the wanted ones, None for all]"""
        with self.reading() as connection:
            return _stored_names(connection, fields, codes)

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
