"""Sends the notifications of the store's outbox by mail, SMS gateway, chat or webhook, through Apprise.

In:  a store; channels, each with its addresses (Apprise URLs), from a setting.
Out: sent messages; a notification that could not be sent is retried later.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from fairmeter.store import ClaimedNotice, Store
from fairmeter.wording.locales import ENGLISH, Locale, locale_of
from fairmeter.wording.phrases import Phrase, worded

IN_ENGLISH = locale_of(ENGLISH)
MAX_ALERTS = 50  # listed in one message; further ones are counted


class Delivery(NamedTuple):
    """Number of addresses that accepted a message, and an error about the others, without passwords."""

    n_accepted: int
    error: str | None


class SentCounts(NamedTuple):
    """Numbers of notifications sent, and of those to retry."""

    n_sent: int
    n_failed: int


Send = Callable[[Sequence[str], str, str], Delivery]  # addresses, title, body


def send_due(
    store: Store,
    channels: Mapping[str, Sequence[str]],
    send: Send | None = None,
    now: datetime | None = None,
    locale: Locale = IN_ENGLISH,
) -> SentCounts:
    """Send all due notifications, one message per channel, in a language. Raises StoreUnavailable.

    A notification is delivered once one address of its channel accepted it; a retry would send that address a
    duplicate. Two workers never send the same notification at once. If a worker dies before its message was accepted,
    the next one sends it when the lease has ended. A message is sent twice only if a worker dies between the server's
    acceptance and the commit.
    """
    n_sent, n_failed = 0, 0
    now, send = now or datetime.now(UTC), send or by_apprise
    while (claim := store.claim_notices(now)) is not None:
        delivery = send(channels.get(claim.channel, ()), *message_of(claim, locale))
        is_sent = delivery.n_accepted > 0
        store.settle_notices(claim, is_sent, delivery.error, now)
        n_sent, n_failed = n_sent + is_sent * len(claim.notices), n_failed + (not is_sent) * len(claim.notices)
    return SentCounts(n_sent, n_failed)


def message_of(claim: ClaimedNotice, locale: Locale = IN_ENGLISH) -> tuple[str, str]:
    """Title and body of one message with all notifications of a claim."""
    if len(claim.notices) == 1:
        return worded(claim.notices[0].title, locale), worded(claim.notices[0].body, locale)
    first = claim.notices[:MAX_ALERTS]
    parts = [f"{worded(notice.title, locale)}\n{worded(notice.body, locale)}" for notice in first]
    left = len(claim.notices) - len(parts)
    if left:
        parts.append(worded(Phrase("notice.more", left=left), locale))
    return worded(Phrase("notice.many", count=len(claim.notices)), locale), "\n\n".join(parts)


def by_apprise(addresses: Sequence[str], title: str, body: str) -> Delivery:
    """Send to each address. Addresses hold passwords: an error names only the kind and the number of a failed one."""
    if not addresses:
        return Delivery(0, "This channel has no address: add it to NOTIFY_URLS.")
    import apprise  # half a second and 18 MB, which only sending needs

    failed, n_accepted = [], 0
    for number, address in enumerate(addresses, 1):
        service = apprise.Apprise()
        if service.add(address) and service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            n_accepted += 1
        else:
            failed.append(f"{address.partition(':')[0]} (number {number})")
    return Delivery(n_accepted, f"Not accepted by {', '.join(failed)}." if failed else None)
