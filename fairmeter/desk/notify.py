"""Notices out of the store's outbox -> messages: mail, SMS gateways, chats, webhooks, whatever Apprise reaches.

In:  a store; channels, each with the addresses (Apprise URLs) that it stands for, from a setting.
Out: messages sent, each notice in one; what could not be sent waits and is tried again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from fairmeter.store import ClaimedNotice, Store

MOST_LINES = 50  # alerts that one message tells of; the others are counted


class Delivery(NamedTuple):
    """How many addresses took a message, and what those that did not take it said, without their passwords."""

    n_taken: int
    error: str | None


class SentCounts(NamedTuple):
    """Notices that went out and notices that wait for another try."""

    n_sent: int
    n_failed: int


Send = Callable[[Sequence[str], str, str], Delivery]  # addresses, title, body


def send_due(
    store: Store, channels: Mapping[str, Sequence[str]], send: Send | None = None, now: datetime | None = None
) -> SentCounts:
    """Sends what is due, a message a channel. Raises StoreUnavailable.

    A channel has heard of an alert when one of its addresses took the message: a second try would tell that one twice.
    Two workers never send one notice at once. One that dies before its message was taken leaves it to the next worker,
    when its lease has ended; only one that dies between the mail server's yes and its own note of it leaves a message
    that comes twice, with the same numbers of alerts in it.
    """
    n_sent, n_failed = 0, 0
    now, send = now or datetime.now(UTC), send or by_apprise
    while (claim := store.claim_notices(now)) is not None:
        delivery = send(channels.get(claim.channel, ()), *message_of(claim))
        is_sent = delivery.n_taken > 0
        store.settle_notices(claim, is_sent, delivery.error, now)
        n_sent, n_failed = n_sent + is_sent * len(claim.notices), n_failed + (not is_sent) * len(claim.notices)
    return SentCounts(n_sent, n_failed)


def message_of(claim: ClaimedNotice) -> tuple[str, str]:
    """Title and body of one message for all notices of a claim."""
    if len(claim.notices) == 1:
        return claim.notices[0].title, claim.notices[0].body
    lines = [f"{notice.title}\n{notice.body}" for notice in claim.notices[:MOST_LINES]]
    left = len(claim.notices) - len(lines)
    title = f"Fairmeter: {len(claim.notices)} alerts"
    return title, "\n\n".join([*lines, *([f"... and {left} more: see the list of alerts."] if left else [])])


def by_apprise(addresses: Sequence[str], title: str, body: str) -> Delivery:
    """Sends to each address. They hold passwords: of one that failed only its kind and its number are told."""
    if not addresses:
        return Delivery(0, "No address is known of this channel: name it in NOTIFY_URLS.")
    import apprise  # half a second and 18 MB, which only those who send something pay

    failed, n_taken = [], 0
    for number, address in enumerate(addresses, 1):
        service = apprise.Apprise()
        if service.add(address) and service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            n_taken += 1
        else:
            failed.append(f"{address.partition(':')[0]} (number {number})")
    return Delivery(n_taken, f"Not taken by {', '.join(failed)}." if failed else None)
