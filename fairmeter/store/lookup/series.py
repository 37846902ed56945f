"""Consumption and places of some clients, for small charts and maps.

In:  client ids.
Out: Series, facts, and latitude with longitude, by client id.
"""

import json
from collections.abc import Sequence

from sqlalchemy import select

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import Series, unpack_series
from fairmeter.store.engine.schema import findings, profiles
from fairmeter.store.engine.upsert import MAX_IDS

COLUMNS = [findings.c[name] for name in ("client_id", "series_step", "series_from", "series_kwh")]


class SeriesStore(Database):
    """Reads consumption, facts and places of several clients at once."""

    def series_of(self, client_ids: Sequence[str]) -> dict[str, Series]:
        """The stored consumption of some clients, by id; a client without any is left out."""
        query = select(*COLUMNS).where(findings.c.series_kwh.is_not(None))
        found = {}
        with self.reading() as connection:
            for i in range(0, len(client_ids), MAX_IDS):
                rows = connection.execute(query.where(findings.c.client_id.in_(client_ids[i : i + MAX_IDS])))
                found |= {id_: unpack_series(step, first_on, bytes(kwh)) for id_, step, first_on, kwh in rows}
        return found

    def places_of(self, client_ids: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Latitude and longitude of some clients, by id; a client without a place is left out. [degrees]"""
        place = select(profiles.c.client_id, profiles.c.latitude, profiles.c.longitude)
        place = place.where(profiles.c.latitude.is_not(None), profiles.c.longitude.is_not(None))
        found = {}
        with self.reading() as connection:
            for i in range(0, len(client_ids), MAX_IDS):
                rows = connection.execute(place.where(profiles.c.client_id.in_(client_ids[i : i + MAX_IDS])))
                found |= {client_id: (latitude, longitude) for client_id, latitude, longitude in rows}
        return found

    def fact_of(self, client_ids: Sequence[str], name: str) -> dict[str, float]:
        """A fact of some clients, by id; a client without it is left out."""
        query = select(findings.c.client_id, findings.c.facts)
        found = {}
        with self.reading() as connection:
            for i in range(0, len(client_ids), MAX_IDS):
                rows = connection.execute(query.where(findings.c.client_id.in_(client_ids[i : i + MAX_IDS])))
                facts = {client_id: json.loads(text).get(name) for client_id, text in rows}
                found |= {client_id: value for client_id, value in facts.items() if value is not None}
        return found
