"""Smart-meter readings as they are received: late, duplicated, corrected, out of order.

In:  rows of (client_id, read_at, consumption_kwh): read_at in local time, without a zone.
Out: counts of what was new, and the clients whose consumption changed.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, func, select

from fairmeter.core.client_ids import problem_with_id
from fairmeter.core.types import Table
from fairmeter.store.corrections import Sender, keep_former, mark_clients
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import clients, readings
from fairmeter.store.engine.upsert import KEEP, MAX_IDS, write_rows
from fairmeter.store.ingestion import add_counts

LATE = timedelta(days=2)  # more than any zone's offset from UTC plus a night without network
UNNAMED = Sender("", "desk")
NAMES = ("client_id", "read_at", "consumption_kwh", "received_at")


class BadReading(StoreError):
    """A reading cannot be stored. index: its position among the given rows, from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class IngestionResult(NamedTuple):
    """Counts of stored readings. n_new + n_duplicate + n_differing is the number received.

    n_duplicate: stored before with the same value; n_differing: stored before with another value, which it replaces.
    Of the new ones: n_late were received over two days after read_at, n_out_of_order after a later one of the client.
    changed: ids of clients with new or replaced readings.
    """

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    changed: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """The numbers by name, without the clients."""
        return {name: value for name, value in self._asdict().items() if name != "changed"}


class ReadingStore(Database):
    """Stores and returns readings."""

    def add_readings(
        self,
        rows: Iterable[tuple[str, datetime, float]],
        received_at: datetime | None = None,
        sender: Sender = UNNAMED,
    ) -> IngestionResult:
        """Store readings; the last value of a client and time counts. Raises BadReading, StoreUnavailable.

        Former values are kept as former readings, and clients whose readings changed are marked to be judged. Unknown
        clients are added. Fractions of seconds in read_at are dropped.
        """
        rows, now = [_checked(i, *row) for i, row in enumerate(rows)], received_at or datetime.now(UTC)
        if not rows:
            return IngestionResult(0, 0, 0, 0, 0, ())
        ids = sorted({client_id for client_id, _, _ in rows})
        with self.writing() as connection:
            write_rows(connection, clients, ("client_id",), ((id_,) for id_ in ids), KEEP)
            # Locked until the end: another worker with readings of these clients counts after this one.
            _lock(connection, ids)
            stored, latest = _stored(connection, rows, ids), _latest(connection, ids)
            found = _classified(rows, stored, latest)
            values = sorted((found.new | found.replaced).items())
            written = ((client_id, read_at, kwh, now) for (client_id, read_at), kwh in values)
            write_rows(connection, readings, NAMES, written)
            keep_former(connection, {key: stored[key] for key in found.replaced}, sender, now)
            changed = tuple(sorted({client_id for (client_id, _), _ in values}))
            mark_clients(connection, changed, now)
            late = now.astimezone(UTC).replace(tzinfo=None) - LATE
            n_late = sum(read_at < late for _, read_at in found.new)
            counts = len(found.new), found.n_duplicate, found.n_differing, n_late, found.n_out_of_order
            result = IngestionResult(*counts, changed)
            # Last: the minute's row stays locked until the end, and other writers wait for it.
            add_counts(connection, now, **result.counts())
        return result

    def readings_of(self, client_ids: Iterable[str], since: datetime | None = None) -> Table:
        """Readings of some clients by client and time: client_id [object], read_at [datetime64[s]], consumption_kwh."""
        ids, found = sorted(set(client_ids)), []
        query = select(readings.c.client_id, readings.c.read_at, readings.c.consumption_kwh)
        if since is not None:
            query = query.where(readings.c.read_at >= since)
        query = query.order_by(readings.c.client_id, readings.c.read_at)
        with self.reading() as connection:
            for some in _parts(ids):
                found += connection.execute(query.where(readings.c.client_id.in_(some))).all()
        owner, read_at, kwh = zip(*found, strict=True) if found else ((), (), ())
        return {
            "client_id": np.array(owner, dtype=object),
            "read_at": np.array(read_at, dtype="datetime64[s]"),
            "consumption_kwh": np.array(kwh, dtype=np.float64),
        }

    def count_readings(self) -> int:
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(readings)).scalar_one()


def _checked(index: int, client_id: str, read_at: datetime, kwh: float) -> tuple[str, datetime, float]:
    if not client_id or "\0" in client_id or any("\ud800" <= character <= "\udfff" for character in client_id):
        raise BadReading(
            index, f"client_id is {client_id!r}; give a text that is not empty, without NUL or surrogates."
        )
    if problem := problem_with_id(client_id):
        raise BadReading(index, f"client_id {client_id!r} {problem}.")
    if read_at.tzinfo is not None:
        raise BadReading(index, f"read_at is {read_at.isoformat()}; give local time without a zone.")
    if not math.isfinite(kwh):
        raise BadReading(index, f"consumption_kwh is {kwh}; leave out missing readings.")
    return client_id, read_at.replace(microsecond=0), float(kwh)


class _Classified(NamedTuple):
    """Values to write by client and time: new ones, and those that replace another; and the counts."""

    new: dict[tuple[str, datetime], float]
    replaced: dict[tuple[str, datetime], float]
    n_duplicate: int
    n_differing: int
    n_out_of_order: int


def _classified(rows: list[tuple], stored: dict, latest: dict) -> _Classified:
    """What to write of the given rows, the last of each client and time. [stored: value and moment of receipt]"""
    new, replaced, n_duplicate, n_differing, n_out_of_order = {}, {}, 0, 0, 0
    for client_id, read_at, kwh in rows:
        key = client_id, read_at
        if key not in stored and key not in new:
            n_out_of_order += read_at < latest.get(client_id, read_at)
            latest[client_id] = max(read_at, latest.get(client_id, read_at))
            new[key] = kwh
            continue
        before = new[key] if key in new else replaced.get(key, stored[key][0])
        n_duplicate, n_differing = n_duplicate + (before == kwh), n_differing + (before != kwh)
        (new if key in new else replaced)[key] = kwh
    changed = {key: kwh for key, kwh in replaced.items() if kwh != stored[key][0]}
    return _Classified(new, changed, n_duplicate, n_differing, n_out_of_order)


def _lock(connection: Connection, ids: list[str]) -> None:
    for some in _parts(ids):
        locked = select(clients.c.client_id).where(clients.c.client_id.in_(some)).order_by(clients.c.client_id)
        connection.execute(locked.with_for_update(key_share=True))


def _stored(connection: Connection, rows: list[tuple], ids: list[str]) -> dict[tuple[str, datetime], tuple]:
    """Stored values of these clients, with their receipt, between the first and the last moment of the given rows."""
    moments = [read_at for _, read_at, _ in rows]
    query = select(readings)
    query = query.where(readings.c.read_at.between(min(moments), max(moments)))
    found = {}
    for some in _parts(ids):
        rows = connection.execute(query.where(readings.c.client_id.in_(some)))
        found |= {(client_id, read_at): (kwh, at) for client_id, read_at, kwh, at in rows}
    return found


def _latest(connection: Connection, ids: list[str]) -> dict[str, datetime]:
    query = select(readings.c.client_id, func.max(readings.c.read_at)).group_by(readings.c.client_id)
    found = {}
    for some in _parts(ids):
        found |= dict(connection.execute(query.where(readings.c.client_id.in_(some))).all())
    return found


def _parts(ids: list[str]) -> list[list[str]]:
    return [ids[i : i + MAX_IDS] for i in range(0, len(ids), MAX_IDS)]
