"""Comments on cases with mentions, and the bell: what one user is to notice.

In:  a case, a text with @names; the name of a user.
Out: Comment; UserNotice, newest first.
"""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from fairmeter.casework.types import Comment, UserNotice
from fairmeter.casework.workflow import CaseNotFound, check_why
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.fieldwork_tables import comments, crew_members, crews, user_notices
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import MAX_ID, cases, users

MENTION, ASSIGNED = "mention", "assigned"  # kinds of notices
MENTIONED = re.compile(r"(?<![\w@])@(\w[\w.\-]*)")
MAX_COMMENTS, MAX_NOTICES = 500, 100  # that are read at once
NOTICE_COLUMNS = [user_notices.c[name] for name in UserNotice.__dataclass_fields__]


class CommentStore(Database):
    """Keeps comments on cases and the notices of users."""

    def add_comment(self, case_id: int, user: str, text: str) -> Comment:
        """Add a comment to a case, open or closed; users that it mentions as @name get a notice.

        Names that are no active user stay plain text. Raises CaseNotFound, MoveNotAllowed (empty or too long).
        """
        check_why(text)
        check_text("text", text)
        now = datetime.now(UTC)
        with self.writing() as connection:
            if not 0 < case_id <= MAX_ID or not _has_case(connection, case_id):
                raise CaseNotFound(f"There is no case {case_id}.")
            mentions = mentioned_users(connection, text)
            row = {"case_id": case_id, "user": user, "text": text, "mentions": json.dumps(mentions), "at": now}
            comment_id = connection.execute(insert(comments).values(row)).inserted_primary_key[0]
            for name in mentions:
                _notify(connection, name, MENTION, user, now, case_id=case_id, comment_id=comment_id)
        return Comment(comment_id, case_id, user, text, tuple(mentions), now)

    def comments_of(self, case_id: int) -> list[Comment]:
        """The comments on a case, oldest first."""
        query = select(comments).where(comments.c.case_id == case_id).order_by(comments.c.comment_id)
        with self.reading() as connection:
            rows = connection.execute(query.limit(MAX_COMMENTS)).mappings()
            return [Comment(**{**row, "mentions": tuple(json.loads(row["mentions"]))}) for row in rows]

    def count_comments(self, case_ids: Collection[int]) -> dict[int, int]:
        """Number of comments of some cases, by case; cases without any are left out."""
        of_cases = comments.c.case_id.in_(sorted(case_ids))
        query = select(comments.c.case_id, func.count()).where(of_cases).group_by(comments.c.case_id)
        with self.reading() as connection:
            return dict(connection.execute(query).all())

    def list_user_notices(self, user: str, only_unread: bool = False, limit: int = MAX_NOTICES) -> list[UserNotice]:
        """What a user is to notice, newest first."""
        query = select(*NOTICE_COLUMNS).where(user_notices.c.user == check_text("user", user))
        query = query.where(user_notices.c.read_at.is_(None)) if only_unread else query
        with self.reading() as connection:
            rows = connection.execute(query.order_by(user_notices.c.notice_id.desc()).limit(limit)).mappings()
            return [UserNotice(**row) for row in rows]

    def count_unread_notices(self, user: str) -> int:
        """Number of a user's unread notices: the figure beside the bell."""
        unread = select(func.count()).where(user_notices.c.user == check_text("user", user))
        with self.reading() as connection:
            return connection.scalar(unread.where(user_notices.c.read_at.is_(None)))

    def mark_notices_read(self, user: str, up_to: int | None = None) -> int:
        """Mark a user's notices as read, all or those up to a number; how many were unread."""
        unread = update(user_notices).where(user_notices.c.user == check_text("user", user))
        unread = unread.where(user_notices.c.read_at.is_(None))
        unread = unread if up_to is None else unread.where(user_notices.c.notice_id <= up_to)
        with self.writing() as connection:
            return connection.execute(unread.values(read_at=datetime.now(UTC))).rowcount


# --- within a transaction ---------------------------------------------------------------------------------------------


def mentioned_users(connection: Connection, text: str) -> list[str]:
    """Names of active users that a text mentions as @name, in order, each once. A final dot belongs to the sentence."""
    names = list(dict.fromkeys(name.rstrip(".-") for name in MENTIONED.findall(text)))
    known = select(users.c.name).where(users.c.name.in_(names), users.c.is_active)
    found = set(connection.scalars(known)) if names else set()
    return [name for name in names if name in found]


def notify_assigned(
    connection: Connection, assignee: str, by: str, now: datetime, *, case_id: int | None = None,
    alert_id: int | None = None,
) -> None:  # fmt: skip
    """Give a notice to the assignee, or to the members of the crew; none to those who assign it to themselves."""
    members = select(crew_members.c.user).join(crews, crews.c.crew_id == crew_members.c.crew_id)
    of_crew = connection.scalars(members.where(crews.c.name == assignee))
    of_user = connection.scalars(select(users.c.name).where(users.c.name == assignee))
    for name in sorted({*of_crew, *of_user} - {by}):
        _notify(connection, name, ASSIGNED, by, now, case_id=case_id, alert_id=alert_id)


def _notify(connection: Connection, user: str, kind: str, by: str, now: datetime, **about: int | None) -> None:
    row = {"user": user, "kind": kind, "sent_by": by, "at": now, **about}
    connection.execute(insert(user_notices).values(row))


def _has_case(connection: Connection, case_id: int) -> bool:
    return connection.execute(select(cases.c.case_id).where(cases.c.case_id == case_id)).first() is not None
