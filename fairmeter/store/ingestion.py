"""Recent ingestion: the newest readings, counts per minute, rejected messages.

In:  counts of stored readings (readings.py adds them in its transaction); errors of rejected messages.
Out: batches of the newest readings; counts by minute and by hour. Each query reads a bounded part of the tables, so
     that millions of readings cost no more.
"""

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Select, case, cast, extract, func, select, text

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import alerts, arrivals, readings

N_NEWEST = 500  # readings to read for the newest batches
MAX_MESSAGE = 300  # characters of an error message to store
KINDS = ("n_new", "n_duplicate", "n_differing", "n_late", "n_out_of_order", "n_refused")
# Adds to the counts of a minute: many writers share the row, each as the last statement of its transaction.
ADD_COUNTS = text(
    f"INSERT INTO arrivals (minute, {', '.join(KINDS)}, refusal) "  # noqa: S608  names of our own
    f"VALUES (:minute, {', '.join(f':{kind}' for kind in KINDS)}, :refusal) ON CONFLICT (minute) DO UPDATE SET "
    + ", ".join(f"{kind} = arrivals.{kind} + excluded.{kind}" for kind in KINDS)
    + ", refusal = coalesce(excluded.refusal, arrivals.refusal)"
)


class ReceivedBatch(NamedTuple):
    """Readings of one client received at once. [first_at, last_at: local time without a zone]"""

    client_id: str
    received_at: datetime
    n_readings: int
    first_at: datetime
    last_at: datetime
    kwh: float


class IngestionTotals(NamedTuple):
    """Sums of IngestionResult over a time. n_refused: rejected messages, of which nothing was stored."""

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    n_refused: int


class RejectedMessage(NamedTuple):
    """The error of a rejected message, and the minute in which it was received."""

    at: datetime
    why: str


class IngestionStore(Database):
    """Reads and counts what is ingested."""

    def newest_batches(self, limit: int = 25) -> list[ReceivedBatch]:
        """The newest batches among the last N_NEWEST readings, newest first.

        A batch that extends beyond these readings is left out, or cut if it is the only one.
        """
        kwh = case((readings.c.quality == "missing", 0.0), else_=readings.c.consumption_kwh)
        columns = (readings.c.received_at, readings.c.client_id, readings.c.read_at, kwh)
        query = select(*columns).order_by(*(column.desc() for column in columns[:3])).limit(N_NEWEST)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        batches = [_batch(list(own)) for _, own in groupby(rows, lambda row: row[:2])]
        return (batches[:-1] if len(rows) == N_NEWEST and len(batches) > 1 else batches)[:limit]

    def new_readings_by_minute(self, since: datetime) -> dict[datetime, int]:
        """Number of new readings by minute; minutes without any are left out."""
        query = select(arrivals.c.minute, arrivals.c.n_new).where(arrivals.c.minute >= minute_of(since))
        return self._by_time(query.where(arrivals.c.n_new > 0), 60)

    def new_readings_by_hour(self, since: datetime) -> dict[datetime, int]:
        """Number of new readings by hour; hours without any are left out."""
        hour = (arrivals.c.minute // 60).label("hour")
        query = select(hour, func.sum(arrivals.c.n_new)).where(arrivals.c.minute >= minute_of(since))
        return self._by_time(query.where(arrivals.c.n_new > 0).group_by(hour), 3600)

    def alerts_by_hour(self, since: datetime) -> dict[datetime, int]:
        """Number of alerts raised by hour; hours without any are left out."""
        hour = (cast(extract("epoch", alerts.c.raised_at), BigInteger) // 3600).label("hour")
        return self._by_time(select(hour, func.count()).where(alerts.c.raised_at >= since).group_by(hour), 3600)

    def ingestion_totals(self, since: datetime) -> IngestionTotals:
        """Sums of all counts since a moment."""
        sums = (func.coalesce(func.sum(arrivals.c[kind]), 0) for kind in KINDS)
        with self.reading() as connection:
            return IngestionTotals(
                *connection.execute(select(*sums).where(arrivals.c.minute >= minute_of(since))).one()
            )

    def last_rejection(self, since: datetime) -> RejectedMessage | None:
        """The last message rejected since a moment, if any."""
        query = select(arrivals.c.minute, arrivals.c.refusal).where(arrivals.c.minute >= minute_of(since))
        query = query.where(arrivals.c.refusal.is_not(None)).order_by(arrivals.c.minute.desc()).limit(1)
        with self.reading() as connection:
            found = connection.execute(query).first()
        return found and RejectedMessage(moment_of(found.minute, 60), found.refusal)

    def count_rejected(self, why: str, n: int = 1, at: datetime | None = None) -> None:
        """Count n rejected messages. [why: a sentence that quotes nothing of what was sent]"""
        with self.writing() as connection:
            add_counts(connection, at or datetime.now(UTC), n_refused=n, refusal=why[:MAX_MESSAGE])

    def _by_time(self, query: Select, seconds: int) -> dict[datetime, int]:
        with self.reading() as connection:
            return {moment_of(part, seconds): int(n) for part, n in connection.execute(query)}


def add_counts(connection: Connection, at: datetime, refusal: str | None = None, **counts: int) -> None:
    """Add to the counts of a minute, in the transaction that stores the readings."""
    connection.execute(ADD_COUNTS, dict.fromkeys(KINDS, 0) | counts | {"minute": minute_of(at), "refusal": refusal})


def minute_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def moment_of(part: int, seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds * part)


def _batch(rows: list) -> ReceivedBatch:
    """The batch of these rows. [rows: of one client and one moment of receipt, latest read_at first]"""
    received_at, client_id, last_at, _ = rows[0]
    return ReceivedBatch(client_id, received_at, len(rows), rows[-1][2], last_at, sum(row[3] for row in rows))
