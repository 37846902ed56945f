"""Users of the desk, and the server's own secrets.

In:  names, roles, hashes (computed by the caller: no password enters this module).
Out: User. A change of password, role, second factor or access ends the user's sessions, in the same transaction.
"""

import secrets as randomness
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.audit_chain import USER
from fairmeter.store.access.roles import OPERATOR, NameTaken, NoSuchName, changes, checked_role, storable
from fairmeter.store.audit import append_row
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.paging import check_text

NO_PASSWORD = ""  # the hash of a user who signs in elsewhere: no password belongs to it
ADMIN = "admin"


class LastAdmin(StoreError):
    """Nobody could manage users any more."""


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in at the desk.

    subject: the identity at the OpenID provider, "ISSUER SUBJECT"; None for a local user.
    language: of the pages, None where the user chose none; totp_secret: of the second factor, None without one;
    totp_step: the last time step whose code was used.
    """

    name: str
    password_hash: str = field(repr=False)
    role: str
    is_active: bool
    created_at: datetime
    language: str | None = None
    subject: str | None = None
    totp_secret: str | None = field(default=None, repr=False)
    totp_step: int | None = None

    @property
    def has_password(self) -> bool:
        """Whether the user can sign in with a password."""
        return self.password_hash != NO_PASSWORD

    @property
    def has_totp(self) -> bool:
        """Whether a sign-in with a password needs a code too."""
        return self.totp_secret is not None


class UserStore(Database):
    """Manages users and secrets."""

    def add_user(
        self, name: str, password_hash: str, role: str, by: str = OPERATOR, subject: str | None = None
    ) -> User:
        """Add an active user. Raises NameTaken, BadRole. [by: for the audit chain; subject: at an OpenID provider]"""
        user = User(
            check_text("name", name), password_hash, checked_role(role), True, datetime.now(UTC), subject=subject
        )
        columns = {
            "name": name, "password_hash": password_hash, "role": role, "is_active": True,
            "created_at": user.created_at, "subject": subject,
        }  # fmt: skip
        try:
            with self.writing() as connection:
                connection.execute(insert(schema.users).values(columns))
                append_row(connection, self.audit_key, USER, name, by, f"added as {role}")
        except IntegrityError:
            raise NameTaken(f"{name!r} exists already; choose another name.") from None
        return user

    def find_user(self, name: str) -> User | None:
        """The user of this name, active or not."""
        return self._found(schema.users.c.name == storable(name))

    def find_user_by_subject(self, subject: str) -> User | None:
        """The user of this identity at the OpenID provider, active or not. [subject: "ISSUER SUBJECT"]"""
        return self._found(schema.users.c.subject == subject)

    def list_users(self) -> list[User]:
        """All users by name, active or not."""
        with self.reading() as connection:
            rows = connection.execute(select(schema.users).order_by(schema.users.c.name)).mappings().all()
        return [User(**row) for row in rows]

    def change_user(
        self, name: str, *, password_hash: str | None = None, role: str | None = None, is_active: bool | None = None,
        by: str = OPERATOR,
    ) -> User:  # fmt: skip
        """Change the given attributes of a user; open sessions end. Raises NoSuchName, BadRole, LastAdmin.

        by: for the audit chain. The command line may also take out the last admin.
        """
        given = {"password_hash": password_hash, "role": role and checked_role(role), "is_active": is_active}
        self._change(name, {column: value for column, value in given.items() if value is not None}, by)
        return self.find_user(name)

    def set_language(self, name: str, language: str) -> None:
        """The language in which a user reads the pages. It gives no right, so the audit chain has no entry of it."""
        with self.writing() as connection:
            connection.execute(update(schema.users).where(schema.users.c.name == name).values(language=language))

    def set_totp(self, name: str, secret: str | None, by: str = OPERATOR) -> None:
        """Set or remove a user's second factor; open sessions end. Raises NoSuchName. [secret: Base32, None: none]"""
        self._change(name, {"totp_secret": secret, "totp_step": None}, by)

    def use_totp_step(self, name: str, step: int) -> bool:
        """Mark the time step of a code as used; False where it, or a later one, was used before."""
        users = schema.users
        is_new = or_(users.c.totp_step.is_(None), users.c.totp_step < step)
        with self.writing() as connection:
            used = update(users).where(users.c.name == name, users.c.totp_secret.is_not(None), is_new)
            return connection.execute(used.values(totp_step=step)).rowcount == 1

    def count_active_users(self) -> int:
        """Number of active users; 0 means that the first admin has not been created yet."""
        with self.reading() as connection:
            query = select(func.count()).select_from(schema.users).where(schema.users.c.is_active)
            return connection.execute(query).scalar_one()

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

    def _found(self, condition) -> User | None:
        with self.reading() as connection:
            found = connection.execute(select(schema.users).where(condition)).mappings().first()
        return found and User(**found)

    def _change(self, name: str, columns: dict, by: str) -> None:
        users, sessions = schema.users, schema.sessions
        with self.writing() as connection:
            had_admins = _count_admins(connection)
            changed = connection.execute(update(users).where(users.c.name == name).values(name=name, **columns))
            if changed.rowcount == 0:
                raise NoSuchName(f"There is no {name!r}; `flask --app predict users` lists all names.")
            if by != OPERATOR and had_admins and not _count_admins(connection):
                raise LastAdmin(f"{name!r} is the last admin: make another one first.")
            connection.execute(delete(sessions).where(sessions.c.user == name))
            if "password_hash" in columns:  # a link that would set another one counts no more
                invitations = schema.invitations
                connection.execute(delete(invitations).where(invitations.c.user == name))
            append_row(connection, self.audit_key, USER, name, by, changes(columns))


def _count_admins(connection: Connection) -> int:
    is_admin = schema.users.c.is_active & (schema.users.c.role == ADMIN)
    return connection.execute(select(func.count()).select_from(schema.users).where(is_admin)).scalar_one()
