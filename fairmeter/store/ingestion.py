"""What came in of late: the newest readings, how many in each minute, what was refused.

In:  readings as they are kept (metered.py counts them here); what was wrong with those that could not be.
Out: batches of the newest readings; counts by minute and by hour. Each query reads a bounded part of the tables,
     however many millions of readings there are.
"""

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Select, cast, extract, func, select, text

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import alerts, arrivals, readings

NEWEST = 500  # readings that are looked at for the newest batches
MOST_WORDS = 300  # characters of what was wrong
KINDS = ("n_new", "n_duplicate", "n_differing", "n_late", "n_out_of_order", "n_refused")
# Added to what the minute has already: many writers share it, each the last thing in its transaction.
COUNTED = text(
    f"INSERT INTO arrivals (minute, {', '.join(KINDS)}, refusal) "  # noqa: S608  names of our own
    f"VALUES (:minute, {', '.join(f':{kind}' for kind in KINDS)}, :refusal) ON CONFLICT (minute) DO UPDATE SET "
    + ", ".join(f"{kind} = arrivals.{kind} + excluded.{kind}" for kind in KINDS)
    + ", refusal = coalesce(excluded.refusal, arrivals.refusal)"
)


class ReceivedBatch(NamedTuple):
    """Readings of one client that came at once. [first_at, last_at: by the clock on the wall]"""

    client_id: str
    received_at: datetime
    n_readings: int
    first_at: datetime
    last_at: datetime
    kwh: float


class IngestionTotals(NamedTuple):
    """What became of readings, as Arrived has it; n_refused: messages of which nothing was kept."""

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    n_refused: int


class RejectedMessage(NamedTuple):
    """What was wrong with the last message that was refused, and the minute in which it came."""

    at: datetime
    why: str


class IngestionStore(Database):
    """What comes in."""

    def newest_batches(self, limit: int = 25) -> list[ReceivedBatch]:
        """The newest first, of the last NEWEST readings; one that reaches beyond them is left out, or cut if alone."""
        columns = (readings.c.received_at, readings.c.client_id, readings.c.read_at, readings.c.consumption_kwh)
        query = select(*columns).order_by(*(column.desc() for column in columns[:3])).limit(NEWEST)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        batches = [_batch(list(own)) for _, own in groupby(rows, lambda row: row[:2])]
        return (batches[:-1] if len(rows) == NEWEST and len(batches) > 1 else batches)[:limit]

    def came_by_minute(self, since: datetime) -> dict[datetime, int]:
        """New readings of each minute that had any."""
        query = select(arrivals.c.minute, arrivals.c.n_new).where(arrivals.c.minute >= minute_of(since))
        return self._by_time(query.where(arrivals.c.n_new > 0), 60)

    def came_by_hour(self, since: datetime) -> dict[datetime, int]:
        """New readings of each hour that had any."""
        hour = (arrivals.c.minute // 60).label("hour")
        query = select(hour, func.sum(arrivals.c.n_new)).where(arrivals.c.minute >= minute_of(since))
        return self._by_time(query.where(arrivals.c.n_new > 0).group_by(hour), 3600)

    def raised_by_hour(self, since: datetime) -> dict[datetime, int]:
        """Alerts that were raised in each hour that had any."""
        hour = (cast(extract("epoch", alerts.c.raised_at), BigInteger) // 3600).label("hour")
        return self._by_time(select(hour, func.count()).where(alerts.c.raised_at >= since).group_by(hour), 3600)

    def tally(self, since: datetime) -> IngestionTotals:
        """What became of the readings that came."""
        sums = (func.coalesce(func.sum(arrivals.c[kind]), 0) for kind in KINDS)
        with self.reading() as connection:
            return IngestionTotals(
                *connection.execute(select(*sums).where(arrivals.c.minute >= minute_of(since))).one()
            )

    def last_refusal(self, since: datetime) -> RejectedMessage | None:
        query = select(arrivals.c.minute, arrivals.c.refusal).where(arrivals.c.minute >= minute_of(since))
        query = query.where(arrivals.c.refusal.is_not(None)).order_by(arrivals.c.minute.desc()).limit(1)
        with self.reading() as connection:
            found = connection.execute(query).first()
        return found and RejectedMessage(moment_of(found.minute, 60), found.refusal)

    def count_refused(self, why: str, n: int = 1, at: datetime | None = None) -> None:
        """Notes that messages with readings were refused. [why: in words, quoting nothing of what was sent]"""
        with self.writing() as connection:
            count_arrived(connection, at or datetime.now(UTC), n_refused=n, refusal=why[:MOST_WORDS])

    def _by_time(self, query: Select, seconds: int) -> dict[datetime, int]:
        with self.reading() as connection:
            return {moment_of(part, seconds): int(n) for part, n in connection.execute(query)}


def count_arrived(connection: Connection, at: datetime, refusal: str | None = None, **counts: int) -> None:
    """Adds to the counts of a minute, in the transaction that keeps what is counted."""
    connection.execute(COUNTED, dict.fromkeys(KINDS, 0) | counts | {"minute": minute_of(at), "refusal": refusal})


def minute_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 60


def moment_of(part: int, seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds * part)


def _batch(rows: list) -> ReceivedBatch:
    """[rows: of one client and moment, the latest read first]"""
    received_at, client_id, last_at, _ = rows[0]
    return ReceivedBatch(client_id, received_at, len(rows), rows[-1][2], last_at, sum(row[3] for row in rows))
