"""Users, keys of scripts, who signed in, and what the server itself must keep secret.

In:  names, roles, hashes (made outside: no password and no key ever comes in here).
Out: User, ApiKey; each change is on record with its moment.
"""

import secrets as randomness
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.paging import check_text

ROLES = ("viewer", "investigator", "admin")
LOGIN_LOCK = 0x6661696C  # of PostgreSQL's advisory locks: who counts the tries to sign in
TOUCH = timedelta(minutes=1)  # how exactly a key's last use is kept: a write for each request would be too many


class NameTaken(StoreError):
    """A user or key of this name is there already."""


class NoSuchName(StoreError):
    """No user or key has this name."""


class TooManyTries(StoreError):
    """Too many tries to sign in failed of late; one sentence. seconds: until the next one is taken."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many tries to sign in failed; the next one is taken in {seconds:.0f} seconds.")
        self.seconds = seconds


class LoginLimits(NamedTuple):
    """How many tries to sign in may fail within a time: of a name from one address, and of one address in all."""

    of_pair: int
    of_address: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in at the desk."""

    name: str
    password_hash: str
    role: str
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A script's access; the key itself is kept nowhere."""

    name: str
    role: str
    is_active: bool
    created_at: datetime
    last_used_at: datetime | None


KEY_COLUMNS = [schema.api_keys.c[name] for name in ("name", "role", "is_active", "created_at", "last_used_at")]


class UserStore(Database):
    """Who may come in."""

    def add_user(self, name: str, password_hash: str, role: str) -> User:
        """Raises NameTaken, BadRole."""
        user = User(check_text("name", name), password_hash, checked(role), True, datetime.now(UTC))
        self._add(schema.users, name, password_hash=password_hash, role=role, created_at=user.created_at)
        return user

    def find_user(self, name: str) -> User | None:
        """The user of this name, active or not."""
        with self.reading() as connection:
            found = (
                connection.execute(select(schema.users).where(schema.users.c.name == _plain(name))).mappings().first()
            )
        return found and User(**found)

    def list_users(self) -> list[User]:
        with self.reading() as connection:
            rows = connection.execute(select(schema.users).order_by(schema.users.c.name)).mappings().all()
        return [User(**row) for row in rows]

    def change_user(
        self, name: str, *, password_hash: str | None = None, role: str | None = None, is_active: bool | None = None
    ) -> User:
        """Sets what is given, leaves the rest. Raises NoSuchName, BadRole."""
        given = {"password_hash": password_hash, "role": role and checked(role), "is_active": is_active}
        self._change(schema.users, name, {column: value for column, value in given.items() if value is not None})
        return self.find_user(name)

    def n_users(self) -> int:
        """How many users may sign in: none means that the first admin is still to be made."""
        with self.reading() as connection:
            query = select(func.count()).select_from(schema.users).where(schema.users.c.is_active)
            return connection.execute(query).scalar_one()

    def add_key(self, name: str, key_hash: str, role: str) -> ApiKey:
        """Raises NameTaken, BadRole."""
        key = ApiKey(check_text("name", name), checked(role), True, datetime.now(UTC), None)
        self._add(schema.api_keys, name, key_hash=key_hash, role=role, created_at=key.created_at)
        return key

    def use_key(self, key_hash: str) -> ApiKey | None:
        """The active key of this hash, its use on record (to the minute); None where there is none."""
        keys, now = schema.api_keys, datetime.now(UTC)
        with self.reading() as connection:
            query = select(*KEY_COLUMNS).where(keys.c.key_hash == key_hash, keys.c.is_active)
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        if found["last_used_at"] is None or now - found["last_used_at"] > TOUCH:
            with self.writing() as connection:
                connection.execute(update(keys).where(keys.c.name == found["name"]).values(last_used_at=now))
        return ApiKey(**found)

    def list_keys(self) -> list[ApiKey]:
        with self.reading() as connection:
            rows = connection.execute(select(*KEY_COLUMNS).order_by(schema.api_keys.c.name)).mappings().all()
        return [ApiKey(**row) for row in rows]

    def revoke_key(self, name: str) -> None:
        """Raises NoSuchName."""
        self._change(schema.api_keys, name, {"is_active": False})

    def begin_login(self, name: str, address: str, patience: LoginLimits) -> int:
        """Puts a try to sign in on record, failed until `end_login` says otherwise; its number. Raises TooManyTries.

        Of all workers together. A success takes back what failed before it of that name from that address: somebody
        else, at another address, locks nobody out.
        """
        now, (name, address) = datetime.now(UTC), (_plain(name), _plain(address))
        # A clock that was ahead for a while left moments to come: they must lock nobody out until then.
        theirs = (schema.logins.c.address == address) & (schema.logins.c.at < now + patience.within)
        pair = theirs & (schema.logins.c.name == name)
        with self.writing() as connection:
            if not self.is_sqlite:  # there the writer is alone already: two that count at once would both be let try
                connection.execute(select(func.pg_advisory_xact_lock(LOGIN_LOCK)))
            start = now - patience.within
            last = select(func.max(schema.logins.c.at)).where(pair, schema.logins.c.is_success)
            entered = connection.execute(last.where(schema.logins.c.at > start)).scalar()
            _check_tries(connection, pair, entered or start, patience.of_pair, start)
            _check_tries(connection, theirs, start, patience.of_address, start)
            told = {"name": name, "is_success": False, "address": address, "at": now}
            return connection.execute(insert(schema.logins).values(told)).inserted_primary_key[0]

    def end_login(self, login_id: int) -> None:
        """The try succeeded."""
        with self.writing() as connection:
            connection.execute(
                update(schema.logins).where(schema.logins.c.login_id == login_id).values(is_success=True)
            )

    def list_logins(self, limit: int = 100) -> list[dict]:
        """The newest first: {"login_id", "name", "is_success", "address", "at"}."""
        query = select(schema.logins).order_by(schema.logins.c.login_id.desc()).limit(limit)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def secret(self, name: str) -> str:
        """A random text of this name [64 hex digits], made at its first use, the same for every worker after it."""
        dialect = sqlite if self.is_sqlite else postgresql
        asked = select(schema.secrets.c.value).where(schema.secrets.c.name == name)
        with self.reading() as connection:
            found = connection.execute(asked).scalar()
        if found is None:
            with self.writing() as connection:
                made = dialect.insert(schema.secrets).values(name=name, value=randomness.token_hex(32))
                connection.execute(made.on_conflict_do_nothing())
                found = connection.execute(asked).scalar_one()
        return found

    def _add(self, table, name: str, **columns) -> None:
        try:
            with self.writing() as connection:
                connection.execute(insert(table).values(name=name, is_active=True, **columns))
        except IntegrityError:
            raise NameTaken(f"{name!r} is there already; choose another name.") from None

    def _change(self, table, name: str, columns: dict) -> None:
        with self.writing() as connection:
            changed = connection.execute(update(table).where(table.c.name == name).values(name=name, **columns))
        if changed.rowcount == 0:
            raise NoSuchName(f"There is no {name!r}.")


def _check_tries(
    connection: Connection, whose: ColumnElement[bool], since: datetime, most: int, start: datetime
) -> None:
    """Raises TooManyTries where so many failed since a moment. [start: of the time within which they count]"""
    failed = select(schema.logins.c.at).where(whose, ~schema.logins.c.is_success, schema.logins.c.at > since)
    moments = connection.execute(failed.order_by(schema.logins.c.at.desc()).limit(most)).scalars().all()
    if len(moments) == most:
        raise TooManyTries((moments[-1] - start).total_seconds())


class BadRole(StoreError):
    """There is no such role."""


def checked(role: str) -> str:
    if role not in ROLES:
        raise BadRole(f"There is no role {role!r}; roles are {', '.join(ROLES)}.")
    return role


def _plain(text: str) -> str:
    """What somebody typed, so that either database can hold it and nobody floods it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:200]
