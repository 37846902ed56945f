"""Notices out of the store's outbox -> messages: mail, SMS gateways, chats, webhooks, whatever Apprise reaches.

In:  a store; channels, each with the addresses (Apprise URLs) that it stands for, from a setting.
Out: messages sent, each notice in one; what could not be sent waits and is tried again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from fraud.store import Claim, Store

MOST_LINES = 50  # alerts that one message tells of; the others are counted

Send = Callable[[Sequence[str], str, str], str | None]  # addresses, title, body -> what went wrong, None if nothing


class Sent(NamedTuple):
    """Notices that went out and notices that wait for another try."""

    n_sent: int
    n_failed: int


def send_due(
    store: Store, channels: Mapping[str, Sequence[str]], send: Send | None = None, now: datetime | None = None
) -> Sent:
    """Sends what is due, a message a channel. Raises StoreUnavailable.

    Two workers never send one notice at once. One that dies before its message was taken over leaves it to the next
    worker, when its lease has ended; only one that dies between the mail server's yes and its own note of it leaves a
    message that comes twice, with the same numbers of alerts in it.
    """
    n_sent, n_failed = 0, 0
    now = now or datetime.now(UTC)
    while (claim := store.claim_notices(now)) is not None:
        error = (send or by_apprise)(channels.get(claim.channel, ()), *message_of(claim))
        store.settle_notices(claim, error, now)
        n_sent, n_failed = (
            n_sent + len(claim.notices) * (error is None),
            n_failed + len(claim.notices) * (error is not None),
        )
    return Sent(n_sent, n_failed)


def message_of(claim: Claim) -> tuple[str, str]:
    """Title and body of one message for all notices of a claim."""
    if len(claim.notices) == 1:
        return claim.notices[0].title, claim.notices[0].body
    lines = [f"{notice.title}\n{notice.body}" for notice in claim.notices[:MOST_LINES]]
    left = len(claim.notices) - len(lines)
    title = f"Fairmeter: {len(claim.notices)} alerts"
    return title, "\n\n".join([*lines, *([f"... and {left} more: see the list of alerts."] if left else [])])


def by_apprise(addresses: Sequence[str], title: str, body: str) -> str | None:
    """Sends to all addresses; what went wrong, None if nothing. The addresses hold passwords: they are never shown."""
    raise NotImplementedError
