"""Imports of a utility's files: their states, the queue of their steps, and the maps that were confirmed.

In:  the files' names; steps that a user asks for; what each step found, as JSON.
Out: Import. One process at a time works on a step, under a lease that it renews (beat_step); one that died loses it.

A step leads from some states to one (STEPS). Each change is a compare-and-set: of two at once the later one is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import import_maps, imports
from fairmeter.wording.phrases import data_of, text_of

IMPORT_LOCK = 0x66616D70  # PostgreSQL advisory lock: one claim at a time
LEASE = timedelta(seconds=90)  # a process renews it every few seconds; a busy machine may delay that
KEPT = timedelta(days=1)  # since the last change, before files that nobody confirmed are removed
REMEMBERED = timedelta(days=30)  # rows of imports that are stored or cancelled
MAX_OPEN = 20  # imports with files, of all users: bounds the disk that they take
UPLOADED, MAPPED, CHECKED, SCORED, STORED, CANCELLED = "uploaded", "mapped", "checked", "scored", "stored", "cancelled"
OPEN_STATES = (UPLOADED, MAPPED, CHECKED, SCORED)
GUESS, CHECK, SCORE, CONFIRM = "guess", "check", "score", "confirm"
STOPPED = "The process ended before this step was done, and nothing was replaced. Start the step again."


class ImportStep(NamedTuple):
    """The states in which a step may be asked for, and the one that it leads to."""

    after: tuple[str, ...]
    leads_to: str


STEPS = {
    GUESS: ImportStep((UPLOADED, MAPPED, CHECKED, SCORED), MAPPED),
    CHECK: ImportStep((MAPPED, CHECKED, SCORED), CHECKED),
    SCORE: ImportStep((CHECKED, SCORED), SCORED),
    CONFIRM: ImportStep((SCORED,), STORED),
}
# What later steps found is of no use once an earlier one is done again.
DROPPED = {
    GUESS: ("checked", "trial"),
    CHECK: ("checked", "trial"),
    SCORE: ("trial",),
    CONFIRM: (),
}
FOUND = ("headers", "kept", "checked", "trial", "outcome", "options", "progress")  # columns of JSON


class NoSuchImport(StoreError):
    """There is no import of this number for this user."""


class ImportConflict(StoreError):
    """The import is not in a state for this, or a step of it is running."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import. [files: {"name", "n_bytes"} each]

    is_named: the files lie in the folder of settings, and are not removed. step: queued or running (is_running), None
    where nothing is; error: of the last step, in one sentence. headers, checked, trial, outcome: what the steps found.
    kept: who confirmed the map, and when, where it is that of an earlier import of such files.
    """

    import_id: int
    owner: str
    folder: str
    files: tuple[dict, ...]
    is_named: bool
    state: str
    step: str | None
    is_running: bool
    error: str | None
    progress: dict | None
    options: dict | None
    headers: dict | None
    guess: str | None
    map_text: str | None
    kept: dict | None
    checked: dict | None
    trial: dict | None
    outcome: dict | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it is neither stored nor cancelled."""
        return self.state in OPEN_STATES


class KeptMap(NamedTuple):
    """A map that was confirmed for files with these headers."""

    map_text: str
    kept_by: str
    kept_at: datetime


class StepClaim(NamedTuple):
    """A step that one process works on."""

    lease: str
    step: str
    found: Import


class ImportStore(Database):
    """Imports and confirmed maps."""

    def add_import(
        self, owner: str, folder: str, files: Sequence[Mapping], is_named: bool = False, now: datetime | None = None
    ) -> Import:
        """Add an import, and ask for its map to be guessed. Raises ImportConflict where too many are open."""
        now = now or datetime.now(UTC)
        values = {"owner": owner, "folder": folder, "files": json.dumps(list(files)), "is_named": is_named}
        values |= {"state": UPLOADED, "step": GUESS, "queued_at": now, "created_at": now, "updated_at": now}
        with self.writing() as connection:
            self._lock(connection)
            n_open = connection.execute(select(func.count()).where(imports.c.state.in_(OPEN_STATES))).scalar()
            if n_open >= MAX_OPEN:
                raise ImportConflict(f"{n_open} imports are open, the limit; confirm or cancel one first.")
            import_id = connection.execute(insert(imports).values(values)).inserted_primary_key[0]
            return _import_of(_row(connection, import_id))

    def find_import(self, import_id: int, owner: str) -> Import:
        """An import of this user. Raises NoSuchImport, also for those of others."""
        with self.reading() as connection:
            row = _row(connection, import_id)
        if row is None or row.owner != owner:
            raise NoSuchImport(f"There is no import {import_id} of yours; it may have expired. Upload the files again.")
        return _import_of(row)

    def list_imports(self, owner: str, limit: int = 20) -> list[Import]:
        """The user's imports, the newest first."""
        query = select(imports).where(imports.c.owner == owner).order_by(imports.c.import_id.desc()).limit(limit)
        with self.reading() as connection:
            return [_import_of(row) for row in connection.execute(query)]

    def set_import_map(self, import_id: int, map_text: str, now: datetime | None = None) -> None:
        """Replace the map; what was checked and scored by the former one is dropped. Raises ImportConflict."""
        now, is_ready = now or datetime.now(UTC), imports.c.state.in_(OPEN_STATES) & imports.c.step.is_(None)
        values = {"state": MAPPED, "map_text": map_text, "kept": None, "error": None, "updated_at": now}
        values |= dict.fromkeys(DROPPED[GUESS])
        with self.writing() as connection:
            _change(connection, import_id, is_ready, values, "its map can be changed before it is stored")

    def queue_step(
        self, import_id: int, step: str, options: Mapping | None = None, now: datetime | None = None
    ) -> None:
        """Ask for a step. Raises ImportConflict in another state, or while a step is queued or running."""
        now = now or datetime.now(UTC)
        is_ready = imports.c.state.in_(STEPS[step].after) & imports.c.step.is_(None)
        values = {"step": step, "lease": None, "beat_at": None, "queued_at": now, "updated_at": now}
        values |= {"error": None, "progress": None, "options": json.dumps(dict(options or {}))}
        values |= dict.fromkeys(DROPPED[step])
        values |= {"state": MAPPED} if step == CHECK else {"state": CHECKED} if step == SCORE else {}
        with self.writing() as connection:
            _change(connection, import_id, is_ready, values, f"the step {step} is not possible")

    def cancel_import(self, import_id: int, now: datetime | None = None) -> None:
        """Throw an import away; a running step notices. Raises ImportConflict while it is being stored, or after."""
        now = now or datetime.now(UTC)
        is_writing = (imports.c.step == CONFIRM) & imports.c.lease.is_not(None)
        can = imports.c.state.in_(OPEN_STATES) & or_(imports.c.step.is_(None), ~is_writing)
        with self.writing() as connection:
            _change(connection, import_id, can, _closed(CANCELLED, now), "it cannot be cancelled")

    # --- the process that works on steps ------------------------------------------------------------------------------

    def claim_step(self, now: datetime | None = None, lease: timedelta = LEASE) -> StepClaim | None:
        """Claim the step that has waited longest; None if none waits, or while another process works on one."""
        now, token = now or datetime.now(UTC), token_hex(16)
        with self.writing() as connection:
            self._lock(connection)
            _release_stale(connection, now, lease)
            if connection.execute(select(imports.c.import_id).where(imports.c.lease.is_not(None)).limit(1)).first():
                return None
            waits = imports.c.step.is_not(None) & imports.c.state.in_(OPEN_STATES)
            query = select(imports.c.import_id).where(waits).order_by(imports.c.queued_at, imports.c.import_id).limit(1)
            import_id = connection.execute(query).scalar()
            if import_id is None:
                return None
            claimed = {"lease": token, "beat_at": now, "updated_at": now}
            connection.execute(update(imports).where(imports.c.import_id == import_id).values(claimed))
            found = _import_of(_row(connection, import_id))
        return StepClaim(token, found.step, found)

    def beat_step(self, claim: StepClaim, progress: Mapping | None = None, now: datetime | None = None) -> bool:
        """Renew the lease; False if it was lost: the import was cancelled, or another process took over."""
        values: dict[str, Any] = {"beat_at": now or datetime.now(UTC)}
        values |= {} if progress is None else {"progress": json.dumps(dict(progress))}
        with self.writing() as connection:
            return connection.execute(_mine(claim).values(values)).rowcount == 1

    def finish_step(self, claim: StepClaim, now: datetime | None = None, **found: Any) -> bool:
        """Write what a step found, and the state that it leads to. False if the lease was lost; nothing is written."""
        now = now or datetime.now(UTC)
        values = {name: json.dumps(data_of(value)) if name in FOUND else value for name, value in found.items()}
        values |= {"state": STEPS[claim.step].leads_to, "step": None, "lease": None, "error": None, "updated_at": now}
        if claim.step == CONFIRM:
            values |= _closed(STORED, now)
        with self.writing() as connection:
            return connection.execute(_mine(claim).values(values)).rowcount == 1

    def fail_step(self, claim: StepClaim, error: str, now: datetime | None = None) -> bool:
        """Write why a step failed; the import can be corrected, and the step asked for again."""
        values = {"step": None, "lease": None, "error": error, "progress": None, "updated_at": now or datetime.now(UTC)}
        with self.writing() as connection:
            return connection.execute(_mine(claim).values(values)).rowcount == 1

    def release_stale_steps(self, now: datetime | None = None, lease: timedelta = LEASE) -> bool:
        """Mark steps whose process died as stopped; whether a step waits that no process works on."""
        with self.writing() as connection:
            _release_stale(connection, now or datetime.now(UTC), lease)
            leases = connection.execute(select(imports.c.lease).where(imports.c.step.is_not(None))).scalars().all()
        return bool(leases) and not any(leases)

    def expire_imports(self, now: datetime | None = None) -> list[str]:
        """Cancel what nobody confirmed within KEPT, and forget closed imports after REMEMBERED; folders still needed.

        Files of all other folders can be removed.
        """
        now, closed = now or datetime.now(UTC), imports.c.state.not_in(OPEN_STATES)
        is_over = imports.c.state.in_(OPEN_STATES) & imports.c.lease.is_(None) & (imports.c.updated_at < now - KEPT)
        with self.writing() as connection:
            _release_stale(connection, now, LEASE)
            connection.execute(update(imports).where(is_over).values(_closed(CANCELLED, now)))
            connection.execute(delete(imports).where(closed & (imports.c.updated_at < now - REMEMBERED)))
            return list(connection.scalars(select(imports.c.folder).where(~closed)))

    # --- confirmed maps -----------------------------------------------------------------------------------------------

    def keep_map(self, headers_hash: str, map_text: str, user: str, now: datetime | None = None) -> None:
        """Keep a confirmed map for files with these headers; it replaces an earlier one."""
        row = {"headers_hash": headers_hash, "map_text": map_text, "kept_by": user, "kept_at": now or datetime.now(UTC)}
        with self.writing() as connection:
            connection.execute(delete(import_maps).where(import_maps.c.headers_hash == headers_hash))
            connection.execute(insert(import_maps).values(row))

    def kept_map(self, headers_hash: str) -> KeptMap | None:
        """The map that was confirmed for files with these headers."""
        columns = import_maps.c
        query = select(columns.map_text, columns.kept_by, columns.kept_at).where(columns.headers_hash == headers_hash)
        with self.reading() as connection:
            row = connection.execute(query).first()
        return row and KeptMap(*row)

    def _lock(self, connection: Connection) -> None:
        if not self.is_sqlite:  # SQLite has one writer at a time anyway
            connection.execute(select(func.pg_advisory_xact_lock(IMPORT_LOCK)))


def _row(connection: Connection, import_id: int) -> Row | None:
    return connection.execute(select(imports).where(imports.c.import_id == import_id)).first()


def _import_of(row: Row) -> Import:
    values = {name: getattr(row, name) for name in Import.__dataclass_fields__ if name != "is_running"}
    for name in (*FOUND, "files"):
        values[name] = values[name] and text_of(json.loads(values[name]))
    return Import(**values | {"files": tuple(values["files"]), "is_running": row.lease is not None})


def _change(connection: Connection, import_id: int, condition, values: Mapping, what: str) -> None:
    """Raises ImportConflict where the condition does not hold."""
    changed = update(imports).where(imports.c.import_id == import_id, condition).values(**values)
    if connection.execute(changed).rowcount:
        return
    row = _row(connection, import_id)
    if row is None:
        raise NoSuchImport(f"There is no import {import_id}; it may have expired. Upload the files again.")
    now = f"its step {row.step} is {'running' if row.lease else 'waiting'}" if row.step else f"it is {row.state}"
    raise ImportConflict(f"Import {import_id}: {what}: {now}.")


def _mine(claim: StepClaim):
    return update(imports).where(imports.c.import_id == claim.found.import_id, imports.c.lease == claim.lease)


def _release_stale(connection: Connection, now: datetime, lease: timedelta) -> None:
    is_stale = imports.c.lease.is_not(None) & (imports.c.beat_at < now - lease)
    values = {"step": None, "lease": None, "progress": None, "error": STOPPED, "updated_at": now}
    connection.execute(update(imports).where(is_stale).values(values))


def _closed(state: str, now: datetime) -> dict[str, Any]:
    """A closed import keeps nothing of its clients."""
    emptied = dict.fromkeys(("step", "lease", "beat_at", "error", "progress", "headers", "guess", "map_text", "kept"))
    return emptied | {"checked": None, "trial": None, "state": state, "updated_at": now}
