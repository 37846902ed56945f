"""Notifications to send (transactional outbox): written in the transaction that raises the alert, claimed with a lease.

In:  alerts and notification rules; later, a worker that sends.
Out: ClaimedNotice: notifications of one channel, which only the holder of the lease sends.

A notification is waiting, sent, or given up after MAX_TRIES. Its unique key is alert, severity and channel: scoring a
client again sends nothing again unless its severity rises.
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
from fairmeter.wording.phrases import Phrase, packed, unpacked

OUTBOX_LOCK = 0x66616E6F  # PostgreSQL advisory lock: one claim at a time
LEASE = timedelta(minutes=5)  # longer than any mail server needs; after it another worker retries
MAX_TRIES = 12  # with the waits below about three days
FIRST_WAIT, MAX_WAIT = timedelta(minutes=1), timedelta(hours=12)
MAX_AHEAD = timedelta(days=2)  # twice the delay of a daily digest; nothing is scheduled further ahead
NEXT = timedelta(microseconds=1)  # what is due exactly now is not in the future
MAX_CLAIMED = 5000  # notifications of one claim
WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"
NAMES = (
    "key", "alert_id", "channel", "severity", "title", "body", "state", "due_at", "created_at", "n_tries",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notification:
    """One alert to send to one channel; title and body in English, with their codes (wording/phrases.py)."""

    notification_id: int
    channel: str
    severity: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """Notifications of one channel, highest severity first, reserved for one worker until the lease ends."""

    lease: str
    channel: str
    notices: tuple[Notification, ...]


NOTICE_FIELDS = [notifications.c[name] for name in Notification.__dataclass_fields__]


class NotificationStore(Database):
    """Claims and settles notifications."""

    def claim_notices(self, now: datetime | None = None, lease: timedelta = LEASE) -> ClaimedNotice | None:
        """Claim the due notifications of the channel that has waited longest; None if nothing is due and free."""
        now, token, table = now or datetime.now(UTC), token_hex(16), notifications
        # A moment further ahead than the code ever schedules was written by a wrong clock: it counts as due.
        held = table.c.leased_until.between(now + NEXT, now + 2 * max(lease, LEASE))
        ahead = table.c.due_at.between(now + NEXT, now + MAX_AHEAD)
        is_due = (table.c.state == WAITING) & not_(ahead) & or_(table.c.leased_until.is_(None), not_(held))
        with self.reading() as connection:
            channel = connection.execute(
                select(table.c.channel).where(is_due).order_by(table.c.due_at).limit(1)
            ).scalar()
        if channel is None:
            return None
        with self.writing() as connection:
            if not self.is_sqlite:  # two workers would split one message; SQLite has one writer at a time anyway
                connection.execute(select(func.pg_advisory_xact_lock(OUTBOX_LOCK)))
            mine = select(table.c.notification_id).where(is_due, table.c.channel == channel)
            mine = mine.order_by(table.c.due_at, table.c.notification_id).limit(MAX_CLAIMED)
            claimed = update(table).where(table.c.notification_id.in_(mine))
            claimed = claimed.values(lease=token, leased_until=now + lease, n_tries=table.c.n_tries + 1)
            connection.execute(claimed)
            rows = connection.execute(select(*NOTICE_FIELDS).where(table.c.lease == token)).mappings().all()
        notices = sorted((notification_of(row) for row in rows), key=lambda n: (-RANKS[n.severity], n.notification_id))
        return ClaimedNotice(token, channel, tuple(notices)) if notices else None

    def settle_notices(
        self, claim: ClaimedNotice, is_sent: bool, error: str | None = None, now: datetime | None = None
    ) -> bool:
        """Mark a claim as sent, or schedule a retry. False if the lease was lost meanwhile."""
        now, table = now or datetime.now(UTC), notifications
        is_mine = (table.c.lease == claim.lease) & (table.c.state == WAITING)
        free = {"lease": None, "leased_until": None, "error": error}
        with self.writing() as connection:
            if is_sent:
                settled = update(table).where(is_mine).values(state=SENT, sent_at=now, **free)
                return connection.execute(settled).rowcount == len(claim.notices)
            n_tries = connection.execute(select(func.max(table.c.n_tries)).where(is_mine)).scalar() or 0
            state = GIVEN_UP if n_tries >= MAX_TRIES else WAITING
            later = update(table).where(is_mine).values(state=state, due_at=now + wait_after(n_tries), **free)
            return connection.execute(later).rowcount == len(claim.notices)

    def count_notices(self) -> dict[str, int]:
        """Number of notifications by state: waiting, sent, given up."""
        query = select(notifications.c.state, func.count()).group_by(notifications.c.state)
        with self.reading() as connection:
            return dict.fromkeys((WAITING, SENT, GIVEN_UP), 0) | dict(connection.execute(query).all())


def wait_after(n_tries: int) -> timedelta:
    """Delay before the next try: doubles with each try, up to MAX_WAIT."""
    return min(FIRST_WAIT * 2 ** max(n_tries - 1, 0), MAX_WAIT)


def enqueue(connection: Connection, alerts: Iterable[Alert], rules: Sequence[NotificationRule], now: datetime) -> None:
    """Write a notification of each alert for each channel whose rules match; immediate rules precede daily ones."""
    ordered = sorted(rules, key=lambda rule: rule.hour is not None)
    wanted = ((a, rule) for a in alerts for rule in ordered if RANKS[a.severity] >= RANKS[rule.min_severity])
    first = {}
    for alert, rule in wanted:
        first.setdefault(f"{alert.alert_id}:{alert.severity}:{rule.channel}", (alert, rule))
    rows = (
        (
            key, alert.alert_id, rule.channel, alert.severity, packed(title_of(alert)),
            packed(body_of(alert)), WAITING,
            due_at(rule, now), now, 0,
        )
        for key, (alert, rule) in first.items()
    )  # fmt: skip
    write_rows(connection, notifications, NAMES, rows, KEEP)


def title_of(alert: Alert) -> Phrase:
    return Phrase(f"notice.{alert.severity}", alert=alert.alert_id, client=alert.client_id)


def body_of(alert: Alert) -> Phrase:
    return Phrase("notice.body", lines=[rule["sentence"] for rule in alert.rules])


def notification_of(row) -> Notification:
    return Notification(**{**row, "title": unpacked(row["title"]), "body": unpacked(row["body"])})


def due_at(rule: NotificationRule, now: datetime) -> datetime:
    """Now, or the next start of the rule's hour (UTC)."""
    if rule.hour is None:
        return now
    today = now.astimezone(UTC).replace(hour=rule.hour, minute=0, second=0, microsecond=0)
    return today if today >= now else today + timedelta(days=1)
