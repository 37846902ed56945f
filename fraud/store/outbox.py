"""Notices that wait to be sent: written in the transaction that raised their alert, claimed by one worker at a time.

In:  alerts and the rules of who is told; later, a worker that has time.
Out: Claim: notices of one channel that only the holder of its lease sends.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fraud.store.database import Database

LEASE = timedelta(minutes=5)  # longer than any mail server takes; after it another worker tries


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert that a channel is to hear of."""

    notification_id: int
    channel: str
    severity: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Notices of one channel, held by one worker until the lease ends."""

    lease: str
    channel: str
    notices: tuple[Notice, ...]


class Outbox(Database):
    """Notices that wait."""

    def claim_notices(self, now: datetime | None = None, lease: timedelta = LEASE) -> Claim | None:
        """Due notices of the channel that waits longest; None where nothing is due or another worker holds it."""
        raise NotImplementedError

    def settle_notices(self, claim: Claim, error: str | None = None, now: datetime | None = None) -> bool:
        """Sent (error None), or to be tried again later. False where the lease was lost meanwhile."""
        raise NotImplementedError

    def count_notices(self) -> dict[str, int]:
        """How many notices wait, were sent, were given up."""
        raise NotImplementedError
