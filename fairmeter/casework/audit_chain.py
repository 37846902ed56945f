"""The chain of audited changes: each entry holds the hash of the one before, and a key outside the database seals it.

In:  entries in order, values of the rows that they are about, a key.
Out: digests, hashes, seals; the first entry that was tampered with.

Whoever can write to the database can compute hashes, and so build another chain. The seal of its last entry needs the
key: it covers every entry, as each hash covers all before it.
"""

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from fairmeter.casework.types import ChainBreak
from fairmeter.casework.workflow import FIRST_HASH, utc_isoformat

MOVE, INSPECTION, USER, KEY = "move", "inspection", "user", "key"  # kinds of rows that entries are about
# Kinds of entries about no row.
READINGS, ERASURE, SEAL = "readings deleted", "client erased", "sealed"
CREW, PLAN, ALERT, SETTING = "crew", "plan published", "alert", "setting"
EXPORT, PURGE, RESTORE = "client exported", "purged", "restored from a backup"
LIST_EXPORT = "list exported"  # as a file
SIGN_IN, SIGN_IN_FAILED = "signed in", "sign-in failed"
PURGE_KINDS = ("readings", "photos", "sign-ins", "scores")  # what may be deleted by its age


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audited change: of which row, by whom and when. digest: of the row after it, None where none is left."""

    seq: int
    kind: str
    subject: str
    digest: str | None
    details: str
    user: str
    at: datetime
    previous_hash: str
    hash: str


def digest_of(values: Sequence[Any]) -> str:
    """SHA-256 of values, alike for every database. [64 hex digits]"""
    text = json.dumps([_plain(value) for value in values], ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 of an entry with the previous hash, without its own. [64 hex digits]"""
    fields = entry.seq, entry.kind, entry.subject, entry.digest, entry.details, entry.user, entry.at
    return digest_of([*fields, entry.previous_hash])


def seal_of(key: bytes, seq: int, last_hash: str) -> str:
    """HMAC-SHA256 of a chain's last entry. [64 hex digits]"""
    return hmac.new(key, f"fairmeter audit {seq} {last_hash}".encode(), sha256).hexdigest()


def is_sealed_by(key: bytes, seq: int, last_hash: str, seal: str | None) -> bool:
    """Whether this key made the seal of a chain that ends so."""
    return seal is not None and hmac.compare_digest(seal_of(key, seq, last_hash), seal)


def find_audit_break(entries: Iterable[AuditEntry], last: tuple[int, str]) -> ChainBreak | None:
    """The first entry, by seq, that differs from what was written; None where the chain is intact.

    last: number and hash that the chain must end with.
    """
    seq, previous_hash = 0, FIRST_HASH
    for entry in entries:
        if entry.seq != seq + 1:
            text = f"Audit entry {entry.seq} follows entry {seq}: the entries between are missing."
            return ChainBreak(entry.seq, text)
        if entry.previous_hash != previous_hash:
            return ChainBreak(entry.seq, f"Audit entry {entry.seq} was not written after entry {seq} as stored.")
        if entry.hash != entry_hash(entry):
            return ChainBreak(entry.seq, f"Audit entry {entry.seq} was changed after it was written.")
        seq, previous_hash = entry.seq, entry.hash
    if (seq, previous_hash) != last:
        text = f"The audit chain ends with entry {seq}, and was written up to another entry {last[0]}."
        return ChainBreak(seq, text)
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_isoformat(value)
    return value.isoformat() if isinstance(value, date) else value
