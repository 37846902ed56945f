"""Notices that wait to be sent: written in the transaction that raised their alert, claimed by one worker at a time.

In:  alerts and the rules of who is told; later, a worker that has time.
Out: Claim: notices of one channel that only the holder of its lease sends.

A notice waits, is sent, or is given up after MOST_TRIES. One key a notice: an alert is told to a channel once at each
severity that it reaches, however often it is scored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex

from sqlalchemy import Connection, func, not_, or_, select, update

from fairmeter.casework.alert_rules import RANKS, NotificationRule
from fairmeter.casework.types import Alert
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import notifications
from fairmeter.store.engine.upsert import KEEP, write_rows

OUTBOX_LOCK = 0x66616E6F  # of PostgreSQL's advisory locks: who claims notices
LEASE = timedelta(minutes=5)  # longer than any mail server takes; after it another worker tries
MOST_TRIES = 12  # with the waits below about three days
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=12)
LONGEST_AHEAD = timedelta(days=2)  # twice that of a notice that is gathered; no wait is longer
NEXT = timedelta(microseconds=1)  # after now: what is due now is not ahead
MOST_AT_ONCE = 5000  # notices of one claim
WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"
NAMES = (
    "key", "alert_id", "channel", "severity", "title", "body", "state", "due_at", "created_at", "n_tries",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert that a channel is to hear of."""

    notification_id: int
    channel: str
    severity: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """Notices of one channel, the gravest first, held by one worker until the lease ends."""

    lease: str
    channel: str
    notices: tuple[Notification, ...]


NOTICE_FIELDS = [notifications.c[name] for name in Notification.__dataclass_fields__]


class NotificationStore(Database):
    """Notices that wait."""

    def claim_notices(self, now: datetime | None = None, lease: timedelta = LEASE) -> ClaimedNotice | None:
        """Due notices of the channel that waits longest; None where nothing is due or others hold it all."""
        now, token, table = now or datetime.now(UTC), token_hex(16), notifications
        # What lies further ahead than anybody puts it was written by a clock that was wrong: it has waited enough.
        held = table.c.leased_until.between(now + NEXT, now + 2 * max(lease, LEASE))
        ahead = table.c.due_at.between(now + NEXT, now + LONGEST_AHEAD)
        is_due = (table.c.state == WAITING) & not_(ahead) & or_(table.c.leased_until.is_(None), not_(held))
        with self.reading() as connection:
            channel = connection.execute(
                select(table.c.channel).where(is_due).order_by(table.c.due_at).limit(1)
            ).scalar()
        if channel is None:
            return None
        with self.writing() as connection:
            if not self.is_sqlite:  # there the writer is alone already; else two workers would share a message out
                connection.execute(select(func.pg_advisory_xact_lock(OUTBOX_LOCK)))
            mine = select(table.c.notification_id).where(is_due, table.c.channel == channel)
            mine = mine.order_by(table.c.due_at, table.c.notification_id).limit(MOST_AT_ONCE)
            claimed = update(table).where(table.c.notification_id.in_(mine))
            claimed = claimed.values(lease=token, leased_until=now + lease, n_tries=table.c.n_tries + 1)
            connection.execute(claimed)
            rows = connection.execute(select(*NOTICE_FIELDS).where(table.c.lease == token)).mappings().all()
        notices = sorted((Notification(**row) for row in rows), key=lambda n: (-RANKS[n.severity], n.notification_id))
        return ClaimedNotice(token, channel, tuple(notices)) if notices else None

    def settle_notices(
        self, claim: ClaimedNotice, is_sent: bool, error: str | None = None, now: datetime | None = None
    ) -> bool:
        """Sent, or to be tried again later. False where the lease was lost meanwhile."""
        now, table = now or datetime.now(UTC), notifications
        is_mine = (table.c.lease == claim.lease) & (table.c.state == WAITING)
        free = {"lease": None, "leased_until": None, "error": error}
        with self.writing() as connection:
            if is_sent:
                settled = update(table).where(is_mine).values(state=SENT, sent_at=now, **free)
                return connection.execute(settled).rowcount == len(claim.notices)
            n_tries = connection.execute(select(func.max(table.c.n_tries)).where(is_mine)).scalar() or 0
            state = GIVEN_UP if n_tries >= MOST_TRIES else WAITING
            later = update(table).where(is_mine).values(state=state, due_at=now + wait_after(n_tries), **free)
            return connection.execute(later).rowcount == len(claim.notices)

    def count_notices(self) -> dict[str, int]:
        """How many notices wait, were sent, were given up."""
        query = select(notifications.c.state, func.count()).group_by(notifications.c.state)
        with self.reading() as connection:
            return dict.fromkeys((WAITING, SENT, GIVEN_UP), 0) | dict(connection.execute(query).all())


def wait_after(n_tries: int) -> timedelta:
    """Twice as long after each try."""
    return min(FIRST_WAIT * 2 ** max(n_tries - 1, 0), LONGEST_WAIT)


def enqueue(connection: Connection, alerts: Iterable[Alert], rules: Sequence[NotificationRule], now: datetime) -> None:
    """Puts a notice of each alert into the outbox for each channel that wants it: at once goes before gathered."""
    ordered = sorted(rules, key=lambda rule: rule.hour is not None)
    wanted = ((a, rule) for a in alerts for rule in ordered if RANKS[a.severity] >= RANKS[rule.least])
    first = {}
    for alert, rule in wanted:
        first.setdefault(f"{alert.alert_id}:{alert.severity}:{rule.channel}", (alert, rule))
    rows = (
        (
            key, alert.alert_id, rule.channel, alert.severity, title_of(alert), body_of(alert), WAITING,
            due_at(rule, now), now, 0,
        )
        for key, (alert, rule) in first.items()
    )  # fmt: skip
    write_rows(connection, notifications, NAMES, rows, KEEP)


def title_of(alert: Alert) -> str:
    return f"{alert.severity.capitalize()} alert {alert.alert_id}: client {alert.client_id}"


def body_of(alert: Alert) -> str:
    return "\n".join(f"- {rule['sentence']}" for rule in alert.rules)


def due_at(rule: NotificationRule, now: datetime) -> datetime:
    """Now, or the next moment at which the rule's hour begins."""
    if rule.hour is None:
        return now
    today = now.astimezone(UTC).replace(hour=rule.hour, minute=0, second=0, microsecond=0)
    return today if today >= now else today + timedelta(days=1)
