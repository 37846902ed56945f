"""Users, API keys, sign-in attempts, and the server's own secrets.

In:  names, roles, hashes (computed by the caller: no password and no key enters this module).
Out: User, ApiKey; sign-in attempts with their moments.
"""

import secrets as randomness
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.audit_chain import KEY, USER
from fairmeter.store.audit import AUDITED, append_row
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.paging import check_text

ROLES = ("viewer", "investigator", "admin")
OPERATOR = "command line"  # users and keys are changed by commands alone
LOGIN_LOCK = 0x6661696C  # PostgreSQL advisory lock: one count of sign-in attempts at a time
LAST_USE_STEP = timedelta(minutes=1)  # precision of a key's last use: a write per request would be too many


class NameTaken(StoreError):
    """A user or key of this name exists already."""


class NoSuchName(StoreError):
    """No user or key has this name."""


class TooManyTries(StoreError):
    """Too many recent sign-in attempts failed. seconds: until the next attempt is allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many failed attempts to sign in. Try again in {seconds:.0f} seconds.")
        self.seconds = seconds


class LoginLimits(NamedTuple):
    """Failed sign-in attempts allowed within a time window: per pair of name and address, and per address."""

    max_per_pair: int
    max_per_address: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in at the desk. language: of the pages, None where the user chose none."""

    name: str
    password_hash: str
    role: str
    is_active: bool
    created_at: datetime
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A script's access; the key itself is not stored."""

    name: str
    role: str
    is_active: bool
    created_at: datetime
    last_used_at: datetime | None


KEY_COLUMNS = [schema.api_keys.c[name] for name in ("name", "role", "is_active", "created_at", "last_used_at")]


class UserStore(Database):
    """Manages users, API keys, sign-in attempts and secrets."""

    def add_user(self, name: str, password_hash: str, role: str, by: str = OPERATOR) -> User:
        """Add an active user. Raises NameTaken, BadRole. [by: for the audit chain]"""
        user = User(check_text("name", name), password_hash, checked_role(role), True, datetime.now(UTC))
        self._add(USER, by, name, password_hash=password_hash, role=role, created_at=user.created_at)
        return user

    def find_user(self, name: str) -> User | None:
        """The user of this name, active or not."""
        with self.reading() as connection:
            query = select(schema.users).where(schema.users.c.name == _storable(name))
            found = connection.execute(query).mappings().first()
        return found and User(**found)

    def list_users(self) -> list[User]:
        """All users by name, active or not."""
        with self.reading() as connection:
            rows = connection.execute(select(schema.users).order_by(schema.users.c.name)).mappings().all()
        return [User(**row) for row in rows]

    def change_user(
        self, name: str, *, password_hash: str | None = None, role: str | None = None, is_active: bool | None = None,
        by: str = OPERATOR,
    ) -> User:  # fmt: skip
        """Change the given attributes of a user. Raises NoSuchName, BadRole. [by: for the audit chain]"""
        given = {"password_hash": password_hash, "role": role and checked_role(role), "is_active": is_active}
        self._change(USER, by, name, {column: value for column, value in given.items() if value is not None})
        return self.find_user(name)

    def set_language(self, name: str, language: str) -> None:
        """The language in which a user reads the pages. It gives no right, so the audit chain has no entry of it."""
        with self.writing() as connection:
            connection.execute(update(schema.users).where(schema.users.c.name == name).values(language=language))

    def count_active_users(self) -> int:
        """Number of active users; 0 means that the first admin has not been created yet."""
        with self.reading() as connection:
            query = select(func.count()).select_from(schema.users).where(schema.users.c.is_active)
            return connection.execute(query).scalar_one()

    def add_key(self, name: str, key_hash: str, role: str, by: str = OPERATOR) -> ApiKey:
        """Add an active key. Raises NameTaken, BadRole. [by: for the audit chain]"""
        key = ApiKey(check_text("name", name), checked_role(role), True, datetime.now(UTC), None)
        self._add(KEY, by, name, key_hash=key_hash, role=role, created_at=key.created_at)
        return key

    def use_key(self, key_hash: str) -> ApiKey | None:
        """The active key of this hash, with its use recorded (to the minute); None if there is none."""
        keys, now = schema.api_keys, datetime.now(UTC)
        with self.reading() as connection:
            query = select(*KEY_COLUMNS).where(keys.c.key_hash == key_hash, keys.c.is_active)
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        if found["last_used_at"] is None or now - found["last_used_at"] > LAST_USE_STEP:
            with self.writing() as connection:
                connection.execute(update(keys).where(keys.c.name == found["name"]).values(last_used_at=now))
        return ApiKey(**found)

    def list_keys(self) -> list[ApiKey]:
        """All API keys by name, active or not."""
        with self.reading() as connection:
            rows = connection.execute(select(*KEY_COLUMNS).order_by(schema.api_keys.c.name)).mappings().all()
        return [ApiKey(**row) for row in rows]

    def revoke_key(self, name: str, by: str = OPERATOR) -> None:
        """Deactivate a key. Raises NoSuchName. [by: for the audit chain]"""
        self._change(KEY, by, name, {"is_active": False})

    def begin_login(self, name: str, address: str, limits: LoginLimits) -> int:
        """Record a sign-in attempt as failed (`end_login` marks its success); its id. Raises TooManyTries.

        Counts the attempts of all workers. A success resets the failures of its name and address: attempts from
        another address cannot lock a user out.
        """
        now, (name, address) = datetime.now(UTC), (_storable(name), _storable(address))
        # A clock that was ahead for a while left moments in the future: they must not lock out users until then.
        max_per_address = (schema.logins.c.address == address) & (schema.logins.c.at < now + limits.window)
        max_per_pair = max_per_address & (schema.logins.c.name == name)
        with self.writing() as connection:
            # Two attempts that are counted at once would both be allowed; SQLite has one writer at a time anyway.
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(LOGIN_LOCK)))
            start = now - limits.window
            last = select(func.max(schema.logins.c.at)).where(max_per_pair, schema.logins.c.is_success)
            last_success = connection.execute(last.where(schema.logins.c.at > start)).scalar()
            _check_tries(connection, max_per_pair, last_success or start, limits.max_per_pair, start)
            _check_tries(connection, max_per_address, start, limits.max_per_address, start)
            attempt = {"name": name, "is_success": False, "address": address, "at": now}
            return connection.execute(insert(schema.logins).values(attempt)).inserted_primary_key[0]

    def end_login(self, login_id: int) -> None:
        """Mark a sign-in attempt as successful."""
        with self.writing() as connection:
            connection.execute(
                update(schema.logins).where(schema.logins.c.login_id == login_id).values(is_success=True)
            )

    def list_logins(self, limit: int = 100) -> list[dict]:
        """Sign-in attempts, newest first: {"login_id", "name", "is_success", "address", "at"}."""
        query = select(schema.logins).order_by(schema.logins.c.login_id.desc()).limit(limit)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def secret(self, name: str) -> str:
        """The secret of this name, created at its first use and then the same for all workers. [64 hex digits]"""
        dialect = sqlite if self.is_sqlite else postgresql
        query = select(schema.secrets.c.value).where(schema.secrets.c.name == name)
        with self.reading() as connection:
            found = connection.execute(query).scalar()
        if found is None:
            with self.writing() as connection:
                new = dialect.insert(schema.secrets).values(name=name, value=randomness.token_hex(32))
                connection.execute(new.on_conflict_do_nothing())
                found = connection.execute(query).scalar_one()
        return found

    def _add(self, kind: str, by: str, name: str, **columns) -> None:
        try:
            with self.writing() as connection:
                connection.execute(insert(AUDITED[kind].table).values(name=name, is_active=True, **columns))
                append_row(connection, self.audit_key, kind, name, by, f"added as {columns['role']}")
        except IntegrityError:
            raise NameTaken(f"{name!r} exists already; choose another name.") from None

    def _change(self, kind: str, by: str, name: str, columns: dict) -> None:
        table = AUDITED[kind].table
        with self.writing() as connection:
            changed = connection.execute(update(table).where(table.c.name == name).values(name=name, **columns))
            if changed.rowcount == 0:
                raise NoSuchName(f"There is no {name!r}; `flask --app predict users` lists all names.")
            append_row(connection, self.audit_key, kind, name, by, _changes(columns))


def _changes(columns: dict) -> str:
    """What was changed, without any secret."""
    return ", ".join(name if name.endswith("hash") else f"{name}: {value}" for name, value in columns.items())


def _check_tries(
    connection: Connection, is_counted: ColumnElement[bool], since: datetime, limit: int, start: datetime
) -> None:
    """Raise TooManyTries if `limit` attempts failed since a moment. [start: of the time window]"""
    failed = select(schema.logins.c.at).where(is_counted, ~schema.logins.c.is_success, schema.logins.c.at > since)
    moments = connection.execute(failed.order_by(schema.logins.c.at.desc()).limit(limit)).scalars().all()
    if len(moments) == limit:
        raise TooManyTries((moments[-1] - start).total_seconds())


class BadRole(StoreError):
    """There is no such role."""


def checked_role(role: str) -> str:
    if role not in ROLES:
        raise BadRole(f"There is no role {role!r}; use one of {', '.join(ROLES)}.")
    return role


def _storable(text: str) -> str:
    """User input without characters that a database cannot store, cut to 200 characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:200]
