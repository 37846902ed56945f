"""Sign-in attempts and sessions.

In:  names, addresses, hashes of sessions' ids (the ids themselves are in browsers alone).
Out: attempts with their moments; the user of a session that has not ended. Sign-ins are entries of the audit chain.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from fairmeter.casework.audit_chain import SIGN_IN, SIGN_IN_FAILED
from fairmeter.store.access.roles import storable
from fairmeter.store.access.users import User
from fairmeter.store.audit import append_entry
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import logins, sessions, users

LOGIN_LOCK = 0x6661696C  # PostgreSQL advisory lock: one count of sign-in attempts at a time
SKEW = timedelta(minutes=5)  # by which the clocks of machines may differ


class TooManyTries(StoreError):
    """Too many recent sign-in attempts failed. seconds: until the next attempt is allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many failed attempts to sign in. Try again in {seconds:.0f} seconds.")
        self.seconds = seconds


class LoginLimits(NamedTuple):
    """Failed sign-in attempts allowed within a time window.

    max_per_pair: of a name from an address. max_per_address, max_per_name: of an address and of a name in all; they
    do not hold back a name that signed in from this address within `known_for`. So nobody who shares an address with
    an attacker, behind one proxy say, is locked out.
    """

    max_per_pair: int
    max_per_address: int
    window: timedelta
    max_per_name: int = 100
    known_for: timedelta = timedelta(days=90)


class SignInStore(Database):
    """Counts sign-in attempts, begins and ends sessions."""

    def begin_login(self, name: str, address: str, limits: LoginLimits) -> int:
        """Record a sign-in attempt as failed (`begin_session` marks its success); its id. Raises TooManyTries.

        Counts the attempts of all workers. A success resets the failures of its name and address: attempts from
        another address cannot lock a user out.
        """
        now, (name, address) = datetime.now(UTC), (storable(name), storable(address))
        # A clock that was ahead for a while left moments in the future: they must not lock out users until then.
        is_past = logins.c.at < now + limits.window
        of_address, of_name = (logins.c.address == address) & is_past, (logins.c.name == name) & is_past
        with self.writing() as connection:
            # Two attempts that are counted at once would both be allowed; SQLite has one writer at a time anyway.
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(LOGIN_LOCK)))
            start = now - limits.window
            last = select(func.max(logins.c.at)).where(of_address & of_name, logins.c.is_success)
            last_success = connection.execute(last).scalar()
            since = max(last_success, start) if last_success else start
            _check_tries(connection, of_address & of_name, since, limits.max_per_pair, start)
            if last_success is None or last_success < now - limits.known_for:
                _check_tries(connection, of_address, start, limits.max_per_address, start)
                _check_tries(connection, of_name, start, limits.max_per_name, start)
            attempt = {"name": name, "is_success": False, "address": address, "at": now}
            return connection.execute(insert(logins).values(attempt)).inserted_primary_key[0]

    def refuse_login(self, login_id: int) -> None:
        """Put a failed attempt on record; its name is in `logins` alone, as it may be a mistyped password."""
        with self.writing() as connection:
            append_entry(connection, self.audit_key, SIGN_IN_FAILED, str(login_id), "", "")

    def begin_session(
        self, session_hash: str, user: str, lifetime: timedelta, way: str, login_id: int | None = None
    ) -> None:
        """Begin a user's session, and put the sign-in on record.

        way: how the user signed in; login_id: the attempt that succeeded, None where none was counted.
        """
        now = datetime.now(UTC)
        begun = {"session_hash": session_hash, "user": user, "started_at": now, "ends_at": now + lifetime}
        with self.writing() as connection:
            if login_id is not None:
                connection.execute(update(logins).where(logins.c.login_id == login_id).values(is_success=True))
            connection.execute(delete(sessions).where(_has_ended(now)))
            connection.execute(insert(sessions).values(begun))
            append_entry(connection, self.audit_key, SIGN_IN, user, user, way)

    def session_user(self, session_hash: str) -> User | None:
        """The active user of a session that has not ended."""
        query = select(users).join(sessions, sessions.c.user == users.c.name)
        is_open = (sessions.c.session_hash == session_hash) & ~_has_ended(datetime.now(UTC)) & users.c.is_active
        with self.reading() as connection:
            found = connection.execute(query.where(is_open)).mappings().first()
        return found and User(**found)

    def end_session(self, session_hash: str) -> str | None:
        """End a session; the name of its user, None where there was no such session."""
        is_it = sessions.c.session_hash == session_hash
        with self.writing() as connection:
            user = connection.execute(select(sessions.c.user).where(is_it)).scalar()
            connection.execute(delete(sessions).where(is_it))
        return user

    def end_sessions_of(self, name: str) -> int:
        """End all sessions of a user; their number."""
        with self.writing() as connection:
            return connection.execute(delete(sessions).where(sessions.c.user == name)).rowcount

    def list_logins(self, limit: int = 100) -> list[dict]:
        """Sign-in attempts, newest first: {"login_id", "name", "is_success", "address", "at"}."""
        query = select(logins).order_by(logins.c.login_id.desc()).limit(limit)
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def last_sign_ins(self) -> dict[str, datetime]:
        """The moment of each name's last sign-in with a password."""
        query = select(logins.c.name, func.max(logins.c.at)).where(logins.c.is_success).group_by(logins.c.name)
        with self.reading() as connection:
            return dict(connection.execute(query).all())


def _has_ended(now: datetime) -> ColumnElement[bool]:
    """Ended sessions, and those that a clock ahead began."""
    return or_(sessions.c.ends_at <= now, sessions.c.started_at > now + SKEW)


def _check_tries(
    connection: Connection, is_counted: ColumnElement[bool], since: datetime, limit: int, start: datetime
) -> None:
    """Raise TooManyTries if `limit` attempts failed since a moment. [start: of the time window]"""
    failed = select(logins.c.at).where(is_counted, ~logins.c.is_success, logins.c.at > since)
    moments = connection.execute(failed.order_by(logins.c.at.desc()).limit(limit)).scalars().all()
    if len(moments) == limit:
        raise TooManyTries((moments[-1] - start).total_seconds())
