"""Who shares what with a client: reading route, meter, creation day, codes of an exchanged meter, transformer.

In:  SharedTraits of scored clients (fairmeter/analysis/shared_traits.py); a client's id and a day.
Out: Relations: the groups with their numbers, and the nearest clients. The client itself is in none of them, so that
     what visits to it found does not count.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from math import cos, hypot, inf, radians
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, select, union

from fairmeter.analysis.shared_traits import N_METERS, N_ROUTES, SharedTraits
from fairmeter.core.geo import distance
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import RELATION_KEYS, clients, inspections, profiles, relations

# The most telling one first: a meter is seldom shared, a route by a street.
METER, TRANSFORMER, CREATED, CODES, ROUTE = RELATION_KINDS = ("meter", "transformer", "created", "codes", "route")
MAX_SHARING = 1_000  # clients; a larger group says nothing of its clients, and would take long to read
CONFIRMED = "confirmed"


class RelationGroup(NamedTuple):
    """The other clients that share something. None: more than MAX_SHARING, which are not read."""

    kind: str
    n_clients: int | None
    n_confirmed: int | None


class RelatedClient(NamedTuple):
    """A client with what it shares. [metres: None without both places; is_confirmed: by the day that was asked for]"""

    client_id: str
    kinds: tuple[str, ...]
    is_confirmed: bool
    metres: float | None


class Relations(NamedTuple):
    """Groups in the order of RELATION_KINDS, without those that nobody else is in; related: the nearest first."""

    groups: tuple[RelationGroup, ...]
    related: tuple[RelatedClient, ...]


NO_RELATIONS = Relations((), ())


class RelationStore(Database):
    """Reads relations."""

    def relations_of(self, client_id: str, until: date, limit: int = 12) -> Relations:
        """The client's relations, with the cases that were confirmed on a day or before.

        The nearest share most; of these the nearest by place, then the highest score.
        """
        with self.reading() as connection:
            own = connection.execute(OWN.where(profiles.c.client_id == client_id)).first()
            if own is None:
                return NO_RELATIONS
            members = {kind: _members(connection, query, own, until) for kind, query in _groups(own).items()}
        groups = [_group(kind, rows) for kind, rows in members.items() if rows]
        return Relations(tuple(groups), tuple(_nearest(members, own, limit)))


OWN = select(
    profiles.c.client_id, profiles.c.latitude, profiles.c.longitude, profiles.c.transformer_id, clients.c.created_on,
    clients.c.region, clients.c.district, *(relations.c[name] for name in RELATION_KEYS),
).select_from(profiles.join(clients).outerjoin(relations, relations.c.client_id == profiles.c.client_id))  # fmt: skip


def relation_rows(
    client_ids: Iterable[str], traits: Mapping[str, SharedTraits], places: Mapping[str, Row]
) -> Iterator[tuple]:
    """A row of `relations` for each of these clients that has traits. [places: region and district by client id]"""
    for client_id in client_ids:
        if client_id in traits:
            place = places[client_id]
            yield client_id, *_keys(traits[client_id], place.region, place.district)


def _keys(own: SharedTraits, region: float | None, district: float | None) -> Iterable[int | None]:
    # A meter keeps its number where it moves; days and codes mean something within a district alone.
    routes = [_key(ROUTE, *days, region, district) for days in own.routes]
    meters = [_key(METER, *meter) for meter in own.meters]
    codes = None if own.codes is None else _key(CODES, *own.codes, region, district)
    return *_padded(routes, N_ROUTES), *_padded(meters, N_METERS), codes


def _padded(keys: list[int], n: int) -> list[int | None]:
    return [*keys, *[None] * (n - len(keys))]


@lru_cache(2**16)  # many clients of a run share them
def _key(*parts: object) -> int:
    """A number of 64 bits that equal parts have in every process."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "big", signed=True)


# --- reading ----------------------------------------------------------------------------------------------------------


def _groups(own: Row) -> dict[str, Select]:
    """Queries of the ids that share something with a client, the client's own among them."""
    found = {METER: _sharing("meter_", own), TRANSFORMER: _on_transformer(own.transformer_id), CREATED: _created(own)}
    found |= {CODES: _sharing("codes", own), ROUTE: _sharing("route_", own)}
    return {kind: query for kind, query in found.items() if query is not None}


def _on_transformer(transformer_id: str | None) -> Select | None:
    query = select(profiles.c.client_id).where(profiles.c.transformer_id == transformer_id)
    return query if transformer_id else None


def _created(own: Row) -> Select | None:
    same = [_is(clients.c[name], getattr(own, name)) for name in ("created_on", "region", "district")]
    return None if own.created_on is None else select(clients.c.client_id).where(*same)


def _is(column: ColumnElement, value: object) -> ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _sharing(prefix: str, own: Row) -> Select | None:
    """One search of an index for each column: a condition with OR would read the whole table."""
    columns = [relations.c[name] for name in RELATION_KEYS if name.startswith(prefix)]
    keys = [getattr(own, column.name) for column in columns if getattr(own, column.name) is not None]
    if not keys:
        return None
    return union(*(select(relations.c.client_id).where(column.in_(keys)) for column in columns))


def _members(connection: Connection, query: Select, own: Row, until: date) -> list[Row]:
    """Scored clients of a group but the client itself, at most one more than MAX_SHARING."""
    ids, visits = query.subquery(), inspections.c
    confirmed = select(visits.inspection_id).where(
        visits.client_id == ids.c.client_id, visits.outcome == CONFIRMED, visits.inspected_on <= until
    )
    columns = profiles.c.client_id, profiles.c.by_score, profiles.c.latitude, profiles.c.longitude
    rows = select(*columns, confirmed.exists().label("is_confirmed")).join(ids, ids.c.client_id == profiles.c.client_id)
    rows = rows.where(ids.c.client_id != own.client_id).limit(MAX_SHARING + 1)
    return connection.execute(rows).all()


def _group(kind: str, rows: list[Row]) -> RelationGroup:
    if len(rows) > MAX_SHARING:
        return RelationGroup(kind, None, None)
    return RelationGroup(kind, len(rows), sum(bool(row.is_confirmed) for row in rows))


def _nearest(members: Mapping[str, list[Row]], own: Row, limit: int) -> list[RelatedClient]:
    """The nearest clients of the groups that are not too large."""
    kinds, row_of = defaultdict(list), {}
    for kind, rows in members.items():
        for row in rows if len(rows) <= MAX_SHARING else ():
            client_id = row[0]
            kinds[client_id].append(kind)
            row_of[client_id] = row
    width = cos(radians(own.latitude or 0.0))

    def nearness(id_: str) -> tuple:
        _, by_score, latitude, longitude, _ = row_of[id_]
        if None in (latitude, longitude, own.latitude, own.longitude):
            return -len(kinds[id_]), inf, -by_score, id_
        # In degrees: distances of thousands of clients would take longer than reading them.
        return -len(kinds[id_]), hypot(latitude - own.latitude, (longitude - own.longitude) * width), -by_score, id_

    found = (row_of[id_] for id_ in nsmallest(limit, kinds, key=nearness))
    return [
        RelatedClient(row.client_id, tuple(kinds[row.client_id]), bool(row.is_confirmed), _metres(own, row))
        for row in found
    ]


def _metres(own: Row, other: Row) -> float | None:
    places = own.latitude, own.longitude, other.latitude, other.longitude
    return None if None in places else distance(*places)
