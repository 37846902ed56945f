"""The tables of field work: crews, plans of visits, campaigns, comments, notices, and what was done about alerts.

In:  the metadata of schema.py.
Out: SQLAlchemy Tables, as the newest migration leaves them.
"""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from fairmeter.store.engine.schema import ClientId, Id, UtcDateTime, metadata

crews = Table(
    "crews", metadata,
    Column("crew_id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("base_place", Text, nullable=False), Column("latitude", Double), Column("longitude", Double),
    Column("capacity", Integer, nullable=False),  # visits a day
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)  # fmt: skip

crew_members = Table(
    "crew_members", metadata,
    Column("crew_id", Id, ForeignKey("crews.crew_id"), primary_key=True),
    Column("user", Text, ForeignKey("users.name"), primary_key=True),
    Index(None, "user"),
)  # fmt: skip

# The visits of a crew on a day. published_at: NULL while it is a draft, which phones do not show.
plans = Table(
    "plans", metadata,
    Column("plan_id", Id, primary_key=True),
    Column("planned_on", Date, nullable=False),
    Column("crew_id", Id, ForeignKey("crews.crew_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_by", Text, nullable=False), Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime), Column("published_by", Text),
    UniqueConstraint("planned_on", "crew_id"),
    Index(None, "crew_id", "planned_on"),
)  # fmt: skip

# is_fixed: stays with its crew and day when a plan is made anew; is_random: for comparison with the chosen ones.
plan_visits = Table(
    "plan_visits", metadata,
    Column("plan_id", Id, ForeignKey("plans.plan_id"), primary_key=True),
    Column("client_id", ClientId, ForeignKey("clients.client_id"), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("is_fixed", Boolean, nullable=False), Column("is_random", Boolean, nullable=False),
    Column("case_id", Id, ForeignKey("cases.case_id")),
    Index(None, "client_id"), Index(None, "case_id"),
)  # fmt: skip

campaigns = Table(
    "campaigns", metadata,
    Column("campaign_id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("since", Date, nullable=False), Column("until", Date, nullable=False),
    Column("choice", Text, nullable=False),
    Column("random_share", Double), Column("region", Double),
    Column("cost_per_visit", Double, nullable=False), Column("price_per_kwh", Double, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_by", Text, nullable=False), Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("choice IN ('list', 'random', 'both')", name="choice"),
    Index(None, "since"),
)  # fmt: skip

comments = Table(
    "comments", metadata,
    Column("comment_id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.case_id"), nullable=False),
    Column("user", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("mentions", Text, nullable=False),  # names of users, as JSON
    Column("at", UtcDateTime, nullable=False),
    Index(None, "case_id", "comment_id"),
)  # fmt: skip

# What one user is to notice: the bell. kind: mention, assigned.
user_notices = Table(
    "user_notices", metadata,
    Column("notice_id", Id, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("case_id", Id, ForeignKey("cases.case_id")),
    Column("comment_id", Id, ForeignKey("comments.comment_id")),
    Column("alert_id", Id, ForeignKey("alerts.alert_id")),
    Column("sent_by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    Index(None, "user", "notice_id"),
    Index("ix_user_notices_unread", "user",
          sqlite_where=text("read_at IS NULL"), postgresql_where=text("read_at IS NULL")),
)  # fmt: skip

# What was done about an alert: dismissed, snoozed, assigned, reopened. until: of a snooze.
alert_actions = Table(
    "alert_actions", metadata,
    Column("action_id", Id, primary_key=True),
    Column("alert_id", Id, ForeignKey("alerts.alert_id"), nullable=False),
    Column("action", Text, nullable=False),
    Column("user", Text, nullable=False), Column("why", Text, nullable=False),
    Column("assignee", Text), Column("until", Date),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "alert_id", "action_id"),
)  # fmt: skip
