"""Where clients are, and what a plan or a map shows of them.

In:  client ids.
Out: ClientSite, one for each client.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import clients, profiles
from fairmeter.store.engine.upsert import covers_ids
from fairmeter.store.profiles import percentile_of

OF_CLIENT = ("client_id", "latitude", "longitude", "region", "district")
OF_SCORE = ("severity", "probability", "by_score", "expected_recovery_kwh")
SITES = select(*(clients.c[name] for name in OF_CLIENT), *(profiles.c[name] for name in OF_SCORE))
SITES = SITES.outerjoin_from(clients, profiles, profiles.c.client_id == clients.c.client_id)


@dataclass(frozen=True, slots=True)
class ClientSite:
    """A client's place with its newest score; None for what is unknown. [degrees, codes, kWh]"""

    client_id: str
    latitude: float | None
    longitude: float | None
    region: float | None
    district: float | None
    severity: str | None
    probability: float | None
    percentile: float | None
    expected_recovery_kwh: float | None

    @property
    def has_place(self) -> bool:
        return self.latitude is not None and self.longitude is not None


class SiteStore(Database):
    """Reads places of clients."""

    def sites_of(self, client_ids: Sequence[str]) -> dict[str, ClientSite]:
        """The places of some clients, by id; unknown ids are left out."""
        wanted = set(client_ids)
        query = SITES.where(covers_ids(clients.c.client_id, sorted(wanted)))
        with self.reading() as connection:
            rows = connection.execute(query).mappings()
            return {row["client_id"]: _site(row) for row in rows if row["client_id"] in wanted}


def _site(row) -> ClientSite:
    by_score = row["by_score"]
    percentile = None if by_score is None else percentile_of(row["probability"], by_score)
    names = (*OF_CLIENT, "severity", "probability", "expected_recovery_kwh")
    return ClientSite(**{name: row[name] for name in names}, percentile=percentile)
