"""Readings that were corrected: former values, deletions, and the clients that wait to be judged anew.

In:  rows of readings whose values change, or a client and a period; who sent that, and by which way.
Out: former readings, marks of clients. A mark is set in the transaction that changes the readings, and taken away in
     the one that stores the new score: whatever happens in between, the client is judged.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, and_, delete, func, select, tuple_, update

from fairmeter.casework.audit_chain import READINGS
from fairmeter.casework.workflow import ClientNotFound, check_why
from fairmeter.store.audit import append_entry
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import Series, pack_series, unpack_series
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import clients, findings, former_readings, profiles, readings, unjudged
from fairmeter.store.engine.upsert import MAX_IDS, write_rows

MARK_COLUMNS = ("client_id", "ticket", "has_lost", "since")
DAY = 24 * 60.0  # minutes
DELETED = "DELETE /readings"  # the source of what was deleted
VALUE_COLUMNS = ("consumption_kwh", "minutes", "export_kwh", "quality")
FORMER_COLUMNS = ("client_id", "read_at", *VALUE_COLUMNS, "received_at", "replaced_at", "sent_by", "source")


class Sender(NamedTuple):
    """Who sent readings, and by which way: "POST /readings", "MQTT", ..."""

    user: str
    source: str


class FormerReading(NamedTuple):
    """A value that a later one replaced, or that was deleted: by whom, when and by which way."""

    read_at: datetime
    consumption_kwh: float
    received_at: datetime
    replaced_at: datetime
    sent_by: str
    source: str
    minutes: float | None = None
    export_kwh: float | None = None
    quality: str | None = None


class Mark(NamedTuple):
    """The mark of a client whose readings changed. ticket: of the last change; has_lost: some were deleted."""

    ticket: str
    has_lost: bool


class CorrectionStore(Database):
    """Deletes readings, returns former ones, and says which clients wait to be judged."""

    def delete_readings(
        self, client_id: str, since: datetime, until: datetime, user: str, why: str, now: datetime | None = None
    ) -> int:
        """Delete a client's readings from `since` on and before `until`; their number. Days from files count one each.

        They are kept as former readings, the audit chain says who deleted them and why, and the client is marked to be
        judged. Times are local, without a zone. Raises ClientNotFound, MoveNotAllowed (no reason was given).
        """
        check_why(why)
        check_text("why", why)
        now = now or datetime.now(UTC)
        with self.writing() as connection:
            locked = select(clients.c.client_id).where(clients.c.client_id == client_id).with_for_update(key_share=True)
            if connection.execute(locked).first() is None:
                raise ClientNotFound(f"There is no client {client_id!r}.")
            in_period = and_(readings.c.client_id == client_id, readings.c.read_at >= since, readings.c.read_at < until)
            columns = [readings.c[name] for name in FORMER_COLUMNS[:-3]]
            kept = select(*columns).where(in_period).order_by(readings.c.read_at)
            rows = [(*row, now, user, DELETED) for row in connection.execute(kept)]
            rows += _blank_series(connection, client_id, since, until, (now, user, DELETED))
            if not rows:
                return 0
            write_rows(connection, former_readings, FORMER_COLUMNS, rows)
            connection.execute(delete(readings).where(in_period))
            mark_clients(connection, [client_id], now, has_lost=True)
            details = {"since": since.isoformat(), "until": until.isoformat(), "n_deleted": len(rows), "why": why}
            append_entry(connection, self.audit_key, READINGS, client_id, user, json.dumps(details))
        return len(rows)

    def former_readings_of(self, client_id: str) -> list[FormerReading]:
        """What was replaced or deleted of a client's readings, the last change first."""
        columns = [former_readings.c[name] for name in FormerReading._fields]
        query = select(*columns).where(former_readings.c.client_id == client_id)
        query = query.order_by(former_readings.c.former_id.desc())
        with self.reading() as connection:
            return [FormerReading(*row) for row in connection.execute(query)]

    def unjudged(self, client_ids: Iterable[str]) -> dict[str, Mark]:
        """The marks of those of some clients whose readings changed since they were judged."""
        ids, found = sorted(set(client_ids)), {}
        query = select(unjudged.c.client_id, unjudged.c.ticket, unjudged.c.has_lost)
        with self.reading() as connection:
            for start in range(0, len(ids), MAX_IDS):
                some = query.where(unjudged.c.client_id.in_(ids[start : start + MAX_IDS]))
                found |= {row[0]: Mark(*row[1:]) for row in connection.execute(some)}
        return found

    def claim_unjudged(self, before: datetime, limit: int, now: datetime | None = None) -> list[str]:
        """Up to `limit` clients that wait since before a moment, longest first; another worker gets others.

        A worker that dies with its claim gives them back: they wait from now on.
        """
        waiting = select(unjudged.c.client_id).where(unjudged.c.since < before)
        with self.reading() as connection:  # most often there are none, and nothing is to be locked
            if connection.execute(waiting.limit(1)).first() is None:
                return []
        waiting = waiting.order_by(unjudged.c.since, unjudged.c.client_id).limit(limit)
        with self.writing() as connection:
            ids = sorted(connection.scalars(waiting.with_for_update(skip_locked=True)))
            claimed = update(unjudged).where(unjudged.c.client_id.in_(ids))
            connection.execute(claimed.values(since=now or datetime.now(UTC)))
        return ids

    def count_unjudged(self) -> int:
        """Number of clients that wait to be judged."""
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(unjudged)).scalar_one()


# --- within a transaction ---------------------------------------------------------------------------------------------


def keep_former(
    connection: Connection,
    replaced: Mapping[tuple[str, datetime], tuple],
    sender: Sender,
    now: datetime,
) -> None:
    """Keep former readings. [by client and time: VALUE_COLUMNS, and when they were received]"""
    rows = ((*key, *former, now, *sender) for key, former in sorted(replaced.items()))
    write_rows(connection, former_readings, FORMER_COLUMNS, rows)


def mark_clients(connection: Connection, client_ids: Collection[str], now: datetime, has_lost: bool = False) -> None:
    """Mark clients to be judged, in the transaction that changes their readings. [client_ids: sorted]"""
    if not has_lost:  # that some were deleted stays until the client is judged
        lost = select(unjudged.c.client_id).where(unjudged.c.client_id.in_(client_ids), unjudged.c.has_lost)
        lost_ids = set(connection.scalars(lost)) if len(client_ids) <= MAX_IDS else _all_lost(connection)
    else:
        lost_ids = set(client_ids)
    ticket = token_hex(8)
    rows = ((client_id, ticket, client_id in lost_ids, now) for client_id in client_ids)
    write_rows(connection, unjudged, MARK_COLUMNS, rows)


def _all_lost(connection: Connection) -> set[str]:
    return set(connection.scalars(select(unjudged.c.client_id).where(unjudged.c.has_lost)))


def take_marks(connection: Connection, marks: Mapping[str, Mark]) -> set[str]:
    """Take the marks away, in the transaction that stores the scores; the clients that still had them.

    A client whose mark is gone was judged by another worker, one with another ticket got further readings: both have a
    newer score, or wait for one.
    """
    pairs = sorted((client_id, mark.ticket) for client_id, mark in marks.items())
    taken: set[str] = set()
    for start in range(0, len(pairs), MAX_IDS):
        of_marks = tuple_(unjudged.c.client_id, unjudged.c.ticket).in_(pairs[start : start + MAX_IDS])
        taken |= set(connection.scalars(delete(unjudged).where(of_marks).returning(unjudged.c.client_id)))
    return taken


def _blank_series(
    connection: Connection, client_id: str, since: datetime, until: datetime, change: tuple
) -> list[tuple]:
    """Take the days of the period out of the profile's daily series; former readings of days that came in files."""
    columns = (findings.c.series_step, findings.c.series_from, findings.c.series_kwh, profiles.c.scored_at)
    query = select(*columns).join_from(findings, profiles, findings.c.client_id == profiles.c.client_id)
    found = connection.execute(query.where(findings.c.client_id == client_id)).one_or_none()
    if found is None or found.series_step != "day":
        return []
    series = unpack_series(*found[:3])
    days = np.datetime64(series.first_on, "D") + np.arange(len(series.kwh))
    first, last = np.datetime64(since, "D"), np.datetime64(until - timedelta(microseconds=1), "D")
    in_period = (days >= first) & (days <= last)
    if not in_period.any():
        return []
    kwh = np.where(in_period, np.nan, series.kwh)
    changed = update(findings).where(findings.c.client_id == client_id)
    connection.execute(changed.values(series_kwh=pack_series(Series("day", series.first_on, kwh))))
    of_client = select(readings.c.read_at).where(readings.c.client_id == client_id)
    moments = np.array(list(connection.scalars(of_client)), "datetime64[D]")
    is_from_file = in_period & ~np.isnan(series.kwh) & ~np.isin(days, moments)
    return [
        (client_id, datetime.combine(day, datetime.min.time()), float(value), DAY, None, None, found.scored_at, *change)
        for day, value in zip(days[is_from_file].tolist(), series.kwh[is_from_file].tolist(), strict=True)
    ]
