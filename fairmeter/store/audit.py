"""The audit chain in the store: an entry with each audited change, and the check of all rows against it.

In:  rows of moves, inspections, users and keys as a transaction leaves them; the key of AUDIT_KEY, if one is set.
Out: entries, the chain's end with its seal, and the first thing that is not as it was written.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Table, and_, func, insert, select, update

from fairmeter.casework import workflow
from fairmeter.casework.audit_chain import (
    INSPECTION,
    KEY,
    LIST_EXPORT,
    MOVE,
    SEAL,
    USER,
    AuditEntry,
    digest_of,
    entry_hash,
    find_audit_break,
    is_sealed_by,
    seal_of,
)
from fairmeter.casework.types import ChainBreak, Move
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import api_keys, audit_entries, audit_head, cases, inspections, moves, users

CHAIN_LOCK = 0x66616972  # PostgreSQL advisory lock: one append to the chains at a time
HEAD = audit_head.c.head_id == 1
CASE_COLUMN_OF_MOVE = {"to_state": "state", "assignee": "assignee", "outcome": "outcome", "at": "updated_at"}


class AuditKeyMissing(StoreError):
    """An entry would leave a sealed chain without a seal."""


class AuditedRows(NamedTuple):
    """A table whose rows are audited: its key, and the columns that a digest covers.

    later: columns that were added after the first entries; a digest covers those that have a value, with their names.
    """

    table: Table
    key: str
    columns: tuple[str, ...]
    later: tuple[str, ...] = ()

    def digest(self, row: Sequence) -> str:
        """The digest of a row. [as _rows_of selects it]"""
        first = 1 + len(self.columns)
        later = [pair for pair in zip(self.later, row[first:], strict=True) if pair[1] is not None]
        return digest_of([*row[:first], *(value for pair in later for value in pair)])


AUDITED = {
    MOVE: AuditedRows(moves, "seq", ("hash",)),  # which covers the others
    INSPECTION: AuditedRows(
        inspections, "inspection_id",
        ("case_id", "client_id", "inspected_on", "outcome", "user", "is_random", "recorded_at", "note", "recovered_kwh",
         "recovered_value", "photos", "severity", "probability", "reason_group", "region"),
        ("fraud_type", "seal", "index_read"),
    ),
    USER: AuditedRows(
        users, "name", ("password_hash", "role", "is_active", "created_at"), ("subject", "totp_secret")
    ),
    KEY: AuditedRows(
        api_keys, "name", ("key_hash", "role", "is_active", "created_at"), ("expires_at", "per_minute")
    ),
}  # fmt: skip


class AuditEnd(NamedTuple):
    """Where the chain ends. seal: "valid", "invalid", "none" (without key), "no key" (not to be verified here)."""

    n_entries: int
    hash: str
    seal: str


class AuditStore(Database):
    """Verifies and seals the audit chain."""

    def verify_chain(self) -> ChainBreak | None:
        """The first thing that was changed, deleted, inserted or reordered past the desk; None if all is intact.

        With a key also a chain that was rebuilt: its end has no valid seal.
        """
        with self.reading() as connection:
            rows = connection.execute(select(moves).order_by(moves.c.seq), execution_options={"yield_per": 1000})
            with rows:
                broken = workflow.find_chain_break(Move(**row) for row in rows.mappings())
            broken = broken or _first_case_mismatch(connection) or _entries_break(connection)
            return broken or _first_row_mismatch(connection) or _seal_break(self.audit_key, _end(connection))

    def audit_end(self) -> AuditEnd:
        """Where the chain ends, and what its seal is worth."""
        with self.reading() as connection:
            seq, last_hash, seal = _end(connection)
        return AuditEnd(seq, last_hash, _seal_state(self.audit_key, seq, last_hash, seal))

    def has_audit_entry(self, seq: int, entry_hash: str) -> bool:
        """Whether the chain still holds an entry that was noted outside the database."""
        query = select(audit_entries.c.hash).where(audit_entries.c.seq == seq)
        with self.reading() as connection:
            return connection.execute(query).scalar() == entry_hash

    def seal_chain(self, user: str, why: str) -> AuditEnd:
        """Seal the chain as it is, by the key of this process; the entry of it says by whom and why."""
        with self.writing() as connection:
            lock_chain(connection)
            connection.execute(update(audit_head).where(HEAD).values(seal=self._sealed(_end(connection)[:2])))
            append_entry(connection, self.audit_key, SEAL, "", user, why)
        return self.audit_end()

    def chain_lines(self) -> Iterator[str]:
        """Every move and every audit entry as a line of JSON, for an auditor without access to the database."""
        with self.reading() as connection:
            for kind, table in (("move", moves), ("entry", audit_entries)):
                query = select(table).order_by(table.c.seq)
                with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
                    for row in rows.mappings():
                        yield json.dumps({"chain": kind} | {name: _text_of(value) for name, value in row.items()})

    def record_export(self, name: str, user: str, details: str) -> None:
        """Put on record that a user took a list as a file. [details: its format and filters]"""
        with self.writing() as connection:
            append_entry(connection, self.audit_key, LIST_EXPORT, name, user, details)

    def photo_names(self) -> list[str]:
        """Names of the photos of all inspections, which hold the pictures' hashes."""
        with self.reading() as connection:
            found = connection.scalars(select(inspections.c.photos).where(inspections.c.photos != "[]"))
            return [name for photos in found for name in json.loads(photos)]

    def _sealed(self, end: tuple[int, str]) -> str | None:
        return None if self.audit_key is None else seal_of(self.audit_key, *end)


def _text_of(value: Any) -> Any:
    return workflow.utc_isoformat(value) if isinstance(value, datetime) else value


# --- within a transaction ---------------------------------------------------------------------------------------------


def lock_chain(connection: Connection) -> None:
    """Lock the chains until the end of the transaction; SQLite has one writer at a time anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(CHAIN_LOCK)))


def append_row(connection: Connection, key: bytes | None, kind: str, row_id: Any, user: str, details: str = "") -> None:
    """Append an entry with the row as this transaction leaves it."""
    audited = AUDITED[kind]
    found = connection.execute(_rows_of(audited).where(audited.table.c[audited.key] == row_id)).one_or_none()
    append_entry(connection, key, kind, str(row_id), user, details, None if found is None else audited.digest(found))


def append_entry(
    connection: Connection, key: bytes | None, kind: str, subject: str, user: str, details: str,
    digest: str | None = None,
) -> None:  # fmt: skip
    """Append an entry, and seal the chain's new end.

    Over an end whose seal is not valid nothing is sealed: a key must not vouch for a chain that it did not make.
    """
    lock_chain(connection)
    seq, last_hash, seal = _end(connection)
    if key is None and seal is not None:
        raise AuditKeyMissing(
            "The audit chain is sealed, and this process has no AUDIT_KEY: set it as the service has it. Nothing was "
            "written."
        )
    entry = AuditEntry(seq + 1, kind, subject, digest, details, user, datetime.now(UTC), last_hash, "")
    entry = replace(entry, hash=entry_hash(entry))
    connection.execute(insert(audit_entries).values(asdict(entry)))
    may_seal = key is not None and (seq == 0 or is_sealed_by(key, seq, last_hash, seal))
    new_seal = seal_of(key, entry.seq, entry.hash) if may_seal else None
    connection.execute(update(audit_head).where(HEAD).values(seq=entry.seq, hash=entry.hash, seal=new_seal))


def _end(connection: Connection) -> tuple[int, str, str | None]:
    """Number, hash and seal of the last entry."""
    query = select(audit_head.c.seq, audit_head.c.hash, audit_head.c.seal).where(HEAD)
    found = connection.execute(query).one_or_none()
    return (0, workflow.FIRST_HASH, None) if found is None else tuple(found)


def _rows_of(audited: AuditedRows) -> Select:
    table = audited.table
    return select(table.c[audited.key], *(table.c[name] for name in (*audited.columns, *audited.later)))


# --- verification -----------------------------------------------------------------------------------------------------


def _first_case_mismatch(connection: Connection) -> ChainBreak | None:
    """The first case that differs from its last move: its last moves were removed, or the case itself was changed."""
    n_moves = select(func.count()).where(moves.c.case_id == cases.c.case_id).correlate(cases).scalar_subquery()
    is_last = (moves.c.case_id == cases.c.case_id) & (moves.c.version == cases.c.version)
    equal = [moves.c[a].is_not_distinct_from(cases.c[b]) for a, b in CASE_COLUMN_OF_MOVE.items()]
    query = select(cases.c.case_id, cases.c.version, cases.c.state, moves.c.seq)
    query = query.outerjoin_from(cases, moves, is_last).where(~and_(*equal) | (n_moves != cases.c.version))
    found = connection.execute(query.order_by(cases.c.case_id).limit(1)).mappings().first()
    text = "Case {case_id} is {state} after {version} moves, which its recorded moves do not lead to."
    return found and ChainBreak(found["seq"] or 0, text.format(**found))


def _entries_break(connection: Connection) -> ChainBreak | None:
    query = select(audit_entries).order_by(audit_entries.c.seq)
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        return find_audit_break((AuditEntry(**row) for row in rows.mappings()), _end(connection)[:2])


def _first_row_mismatch(connection: Connection) -> ChainBreak | None:
    """The first audited row that is not as its last entry left it."""
    for kind, audited in AUDITED.items():
        written = _last_digests(connection, kind)
        with connection.execute(_rows_of(audited), execution_options={"yield_per": 1000}) as rows:
            for row in rows:
                seq, digest = written.pop(str(row[0]), (0, None))
                if seq == 0:
                    return ChainBreak(0, f"The {kind} {row[0]} is in no audit entry: it was inserted past the desk.")
                if digest != audited.digest(row):
                    return ChainBreak(seq, f"The {kind} {row[0]} was changed after audit entry {seq} was written.")
        gone = [(seq, subject) for subject, (seq, digest) in written.items() if digest is not None]
        if gone:
            seq, subject = min(gone)
            return ChainBreak(seq, f"The {kind} {subject} was deleted after audit entry {seq} was written.")
    return None


def _last_digests(connection: Connection, kind: str) -> dict[str, tuple[int, str | None]]:
    """Number and digest of the last entry of each row of this kind."""
    entries = audit_entries.c
    query = select(entries.subject, entries.seq, entries.digest).where(entries.kind == kind).order_by(entries.seq)
    return {subject: (seq, digest) for subject, seq, digest in connection.execute(query)}


def _seal_state(key: bytes | None, seq: int, last_hash: str, seal: str | None) -> str:
    if key is None:
        return "none" if seal is None else "no key"
    if seq == 0:
        return "valid"
    return "valid" if is_sealed_by(key, seq, last_hash, seal) else "invalid"


def _seal_break(key: bytes | None, end: Sequence) -> ChainBreak | None:
    if _seal_state(key, *end) != "invalid":
        return None
    text = (
        "The end of the audit chain has no valid seal of AUDIT_KEY: the chain was rebuilt, or entries were written "
        "without this key. Where you can vouch for it, run `flask --app predict seal`."
    )
    return ChainBreak(end[0], text)
