"""Invitations: links by which a user sets its own password, once and until a day.

In:  hashes of links (computed by the caller: no link enters this module), names of users, hashes of passwords.
Out: the invited User. A user has one invitation at most; the newest counts.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select, update

from fairmeter.casework.audit_chain import USER
from fairmeter.store.access.roles import NoSuchName, storable
from fairmeter.store.access.users import NO_PASSWORD, User
from fairmeter.store.audit import append_row
from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import invitations, sessions, users


class InvitationEnded(StoreError):
    """The link was used, replaced by a newer one, or is too old; or its user may not sign in."""


class InvitationStore(Database):
    """Keeps invitations."""

    def invite_user(self, name: str, link_hash: str, lifetime: timedelta, by: str) -> datetime:
        """Let a user set a password by a link; when it ends. The former password and link count no more, sessions end.

        Raises NoSuchName, for users of an OpenID provider too.
        """
        now = datetime.now(UTC)
        row = {"link_hash": link_hash, "user": name, "made_by": by, "ends_at": now + lifetime}
        of_user = (users.c.name == storable(name)) & users.c.subject.is_(None)
        with self.writing() as connection:
            if not connection.execute(update(users).where(of_user).values(password_hash=NO_PASSWORD)).rowcount:
                raise NoSuchName(f"There is no {name!r} who signs in here with a password.")
            connection.execute(delete(sessions).where(sessions.c.user == name))
            connection.execute(delete(invitations).where(invitations.c.user == name))
            connection.execute(insert(invitations).values(row))
            append_row(connection, self.audit_key, USER, name, by, "invited")
        return row["ends_at"]

    def invited_user(self, link_hash: str) -> User:
        """The user of a link that still counts. Raises InvitationEnded."""
        query = select(users).join(invitations, invitations.c.user == users.c.name)
        query = query.where(invitations.c.link_hash == link_hash, invitations.c.ends_at > datetime.now(UTC))
        with self.reading() as connection:
            found = connection.execute(query.where(users.c.is_active)).mappings().first()
        if found is None:
            raise InvitationEnded("This link was used already, or has ended; ask an admin for a new one.")
        return User(**found)

    def accept_invitation(self, link_hash: str, password_hash: str) -> User:
        """Set the password of a link's user; the link counts no more. Raises InvitationEnded."""
        user = self.invited_user(link_hash)
        with self.writing() as connection:
            # Of two that come at once only one deletes the row.
            if not connection.execute(delete(invitations).where(invitations.c.link_hash == link_hash)).rowcount:
                raise InvitationEnded("This link was used just now; ask an admin for a new one.")
            of_user = users.c.name == user.name
            connection.execute(update(users).where(of_user).values(password_hash=password_hash))
            append_row(connection, self.audit_key, USER, user.name, user.name, "password set by invitation")
        return user

    def invitation_ends(self) -> dict[str, datetime]:
        """When the invitation of each user who has one ends, by name."""
        query = select(invitations.c.user, invitations.c.ends_at).where(invitations.c.ends_at > datetime.now(UTC))
        with self.reading() as connection:
            return dict(connection.execute(query).all())
