"""Smart-meter readings as they are received: late, duplicated, corrected, out of order.

In:  rows as MeterReading, or tuples that begin as it does: read_at in local time, without a zone.
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
ESTIMATED, MISSING = "estimated", "missing"
QUALITIES = ("actual", ESTIMATED, MISSING)  # actual is stored as NULL, as what states no quality


class BadReading(StoreError):
    """A reading cannot be stored. index: its position among the given rows, from 0."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class MeterReading(NamedTuple):
    """One reading of a meter. [read_at: local time without a zone; minutes: length of the interval, None not stated]

    export_kwh: fed into the grid. quality: actual, estimated, missing, None as actual. consumption_kwh may be None
    where the quality is missing.
    """

    client_id: str
    read_at: datetime
    consumption_kwh: float | None
    minutes: float | None = None
    export_kwh: float | None = None
    quality: str | None = None


NAMES = (*MeterReading._fields, "received_at")
Values = tuple[float, float | None, float | None, str | None]  # of a MeterReading, from consumption_kwh on


class IngestionResult(NamedTuple):
    """Counts of stored readings. n_new + n_duplicate + n_differing is the number received.

    n_duplicate: stored before with the same values; n_differing: stored before with others, which it replaces (an
    estimate replaces no actual reading).
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
        rows: Iterable[tuple],
        received_at: datetime | None = None,
        sender: Sender = UNNAMED,
    ) -> IngestionResult:
        """Store readings; the last one of a client and time counts, an actual one before estimates.

        rows: each a MeterReading, or as many of its values as there are. Raises BadReading, StoreUnavailable.

        Former values are kept as former readings, and clients whose readings changed are marked to be judged. Unknown
        clients are added. Fractions of seconds in read_at are dropped.
        """
        rows, now = [_checked(i, *row) for i, row in enumerate(rows)], received_at or datetime.now(UTC)
        if not rows:
            return IngestionResult(0, 0, 0, 0, 0, ())
        ids = sorted({row.client_id for row in rows})
        with self.writing() as connection:
            write_rows(connection, clients, ("client_id",), ((id_,) for id_ in ids), KEEP)
            # Locked until the end: another worker with readings of these clients counts after this one.
            _lock(connection, ids)
            stored, latest = _stored(connection, rows, ids), _latest(connection, ids)
            found = _classified(rows, stored, latest)
            values = sorted((found.new | found.replaced).items())
            written = ((*key, *of_moment, now) for key, of_moment in values)
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
        """Readings of some clients by client and time: client_id [object], read_at [datetime64[s]], consumption_kwh.

        And minutes, export_kwh [NaN where not stated], is_estimated. What is missing has a consumption of NaN.
        """
        ids, found = sorted(set(client_ids)), []
        query = select(*(readings.c[name] for name in MeterReading._fields))
        if since is not None:
            query = query.where(readings.c.read_at >= since)
        query = query.order_by(readings.c.client_id, readings.c.read_at)
        with self.reading() as connection:
            for some in _parts(ids):
                found += connection.execute(query.where(readings.c.client_id.in_(some))).all()
        owner, read_at, kwh, minutes, export_kwh, quality = zip(*found, strict=True) if found else ((),) * 6
        quality = np.array(quality, dtype=object)
        return {
            "client_id": np.array(owner, dtype=object),
            "read_at": np.array(read_at, dtype="datetime64[s]"),
            "consumption_kwh": np.where(quality == MISSING, np.nan, np.array(kwh, dtype=np.float64)),
            "minutes": np.array(minutes, dtype=np.float64),
            "is_estimated": quality == ESTIMATED,
            "export_kwh": np.array(export_kwh, dtype=np.float64),
        }

    def count_readings(self) -> int:
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(readings)).scalar_one()


def _checked(index: int, *values: object) -> MeterReading:
    reading = MeterReading(*values)
    client_id, read_at = reading.client_id, reading.read_at
    if not client_id or "\0" in client_id or any("\ud800" <= character <= "\udfff" for character in client_id):
        raise BadReading(
            index, f"client_id is {client_id!r}; give a text that is not empty, without NUL or surrogates."
        )
    if problem := problem_with_id(client_id):
        raise BadReading(index, f"client_id {client_id!r} {problem}.")
    if read_at.tzinfo is not None:
        raise BadReading(index, f"read_at is {read_at.isoformat()}; give local time without a zone.")
    return MeterReading(client_id, read_at.replace(microsecond=0), *_checked_values(index, reading))


def _checked_values(index: int, reading: MeterReading) -> Values:
    _, _, kwh, minutes, export_kwh, quality = reading
    if quality not in (None, *QUALITIES):
        raise BadReading(index, f"quality is {quality!r}; write {', '.join(QUALITIES[:-1])} or {MISSING}.")
    kwh = 0.0 if kwh is None and quality == MISSING else kwh  # no value is taken from a missing reading
    if kwh is None or not math.isfinite(kwh):
        raise BadReading(index, f"consumption_kwh is {kwh}; leave out missing readings, or call their quality missing.")
    if minutes is not None and not 0 < minutes < math.inf:
        raise BadReading(index, f"minutes is {minutes}; write the length of the interval, 60 for an hour.")
    if export_kwh is not None and not 0 <= export_kwh < math.inf:
        raise BadReading(index, f"export_kwh is {export_kwh}; write what was fed in in kWh, 0 or more.")
    minutes, export_kwh = (value if value is None else float(value) for value in (minutes, export_kwh))
    return float(kwh), minutes, export_kwh, None if quality == QUALITIES[0] else quality


class _Classified(NamedTuple):
    """Values to write by client and time: new ones, and those that replace another; and the counts."""

    new: dict[tuple[str, datetime], Values]
    replaced: dict[tuple[str, datetime], Values]
    n_duplicate: int
    n_differing: int
    n_out_of_order: int


def _classified(rows: list[MeterReading], stored: dict, latest: dict) -> _Classified:
    """What to write of the given rows, the last of each client and time. [stored: values and moment of receipt]"""
    new, replaced, n_duplicate, n_differing, n_out_of_order = {}, {}, 0, 0, 0
    for client_id, read_at, *given in rows:
        key, values = (client_id, read_at), tuple(given)
        if key not in stored and key not in new:
            n_out_of_order += read_at < latest.get(client_id, read_at)
            latest[client_id] = max(read_at, latest.get(client_id, read_at))
            new[key] = values
            continue
        before = new[key] if key in new else replaced.get(key, stored[key][:-1])
        n_duplicate, n_differing = n_duplicate + (before == values), n_differing + (before != values)
        if values[-1] != ESTIMATED or before[-1] is not None:  # an estimate says nothing against what was read
            (new if key in new else replaced)[key] = values
    changed = {key: values for key, values in replaced.items() if values != stored[key][:-1]}
    return _Classified(new, changed, n_duplicate, n_differing, n_out_of_order)


def _lock(connection: Connection, ids: list[str]) -> None:
    for some in _parts(ids):
        locked = select(clients.c.client_id).where(clients.c.client_id.in_(some)).order_by(clients.c.client_id)
        connection.execute(locked.with_for_update(key_share=True))


def _stored(connection: Connection, rows: list[MeterReading], ids: list[str]) -> dict[tuple[str, datetime], tuple]:
    """Stored values of these clients, with their receipt, between the first and the last moment of the given rows."""
    moments = [row.read_at for row in rows]
    query = select(*(readings.c[name] for name in NAMES))
    query = query.where(readings.c.read_at.between(min(moments), max(moments)))
    found = {}
    for some in _parts(ids):
        rows = connection.execute(query.where(readings.c.client_id.in_(some)))
        found |= {(client_id, read_at): tuple(values) for client_id, read_at, *values in rows}
    return found


def _latest(connection: Connection, ids: list[str]) -> dict[str, datetime]:
    query = select(readings.c.client_id, func.max(readings.c.read_at)).group_by(readings.c.client_id)
    found = {}
    for some in _parts(ids):
        found |= dict(connection.execute(query.where(readings.c.client_id.in_(some))).all())
    return found


def _parts(ids: list[str]) -> list[list[str]]:
    return [ids[i : i + MAX_IDS] for i in range(0, len(ids), MAX_IDS)]
