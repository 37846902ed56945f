"""Crews, plans, campaigns, comments, notices, alerts that are dismissed or snoozed, several visits of a case.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CLIENT_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    _change_alerts()
    _change_cases()
    _create_crews()
    _create_plans()
    _create_campaigns()
    _create_comments()
    _create_alert_actions()


def _column(name: str, kind, **options) -> sa.Column:
    return sa.Column(name, kind, **{"nullable": False} | options)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}")


def _index_where(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(condition), sqlite_where=sa.text(condition))


def _change_alerts() -> None:
    op.add_column("alerts", sa.Column("assignee", sa.Text))
    op.add_column("alerts", sa.Column("snoozed_until", sa.Date))
    _index_where("ix_alerts_snoozed", "alerts", ["snoozed_until"], "snoozed_until IS NOT NULL")
    _index_where("ix_alerts_assignee", "alerts", ["assignee"], "assignee IS NOT NULL")


def _change_cases() -> None:
    for name, kind in (("planned_on", sa.Date), ("crew", sa.Text), ("revisit_on", sa.Date)):
        op.add_column("cases", sa.Column(name, kind))
    _index_where("ix_cases_planned", "cases", ["planned_on", "crew"], "planned_on IS NOT NULL")
    with op.batch_alter_table("inspections") as inspections:
        inspections.drop_constraint("uq_inspections_case_id", type_="unique")
    for name in ("crew", "patterns"):
        op.add_column("inspections", sa.Column(name, sa.Text))
    op.create_index("ix_inspections_case_id", "inspections", ["case_id"])


def _create_crews() -> None:
    op.create_table(
        "crews",
        _column("crew_id", NUMBER),
        _column("name", sa.Text),
        _column("base_place", sa.Text),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        _column("capacity", sa.Integer),
        _column("is_active", sa.Boolean),
        _column("created_at", MOMENT),
        _key("crews", "crew_id"),
        sa.UniqueConstraint("name", name="uq_crews_name"),
    )
    op.create_table(
        "crew_members",
        _column("crew_id", NUMBER),
        _column("user", sa.Text),
        _key("crew_members", "crew_id", "user"),
        _refers("crew_members", "crew_id", "crews.crew_id"),
        _refers("crew_members", "user", "users.name"),
    )
    op.create_index("ix_crew_members_user", "crew_members", ["user"])


def _create_plans() -> None:
    op.create_table(
        "plans",
        _column("plan_id", NUMBER),
        _column("planned_on", sa.Date),
        _column("crew_id", NUMBER),
        _column("version", sa.Integer),
        _column("note", sa.Text),
        _column("created_by", sa.Text),
        _column("created_at", MOMENT),
        _column("updated_at", MOMENT),
        sa.Column("published_at", MOMENT),
        sa.Column("published_by", sa.Text),
        _key("plans", "plan_id"),
        _refers("plans", "crew_id", "crews.crew_id"),
        sa.UniqueConstraint("planned_on", "crew_id", name="uq_plans_planned_on_crew_id"),
    )
    op.create_index("ix_plans_crew_id_planned_on", "plans", ["crew_id", "planned_on"])
    op.create_table(
        "plan_visits",
        _column("plan_id", NUMBER),
        _column("client_id", CLIENT_ID),
        _column("position", sa.Integer),
        _column("is_fixed", sa.Boolean),
        _column("is_random", sa.Boolean),
        sa.Column("case_id", NUMBER),
        _key("plan_visits", "plan_id", "client_id"),
        _refers("plan_visits", "plan_id", "plans.plan_id"),
        _refers("plan_visits", "client_id", "clients.client_id"),
        _refers("plan_visits", "case_id", "cases.case_id"),
    )
    op.create_index("ix_plan_visits_client_id", "plan_visits", ["client_id"])
    op.create_index("ix_plan_visits_case_id", "plan_visits", ["case_id"])


def _create_campaigns() -> None:
    op.create_table(
        "campaigns",
        _column("campaign_id", NUMBER),
        _column("name", sa.Text),
        _column("since", sa.Date),
        _column("until", sa.Date),
        _column("choice", sa.Text),
        sa.Column("random_share", sa.Double),
        sa.Column("region", sa.Double),
        _column("cost_per_visit", sa.Double),
        _column("price_per_kwh", sa.Double),
        _column("note", sa.Text),
        _column("created_by", sa.Text),
        _column("created_at", MOMENT),
        _key("campaigns", "campaign_id"),
        sa.UniqueConstraint("name", name="uq_campaigns_name"),
        sa.CheckConstraint("choice IN ('list', 'random', 'both')", name="ck_campaigns_choice"),
    )
    op.create_index("ix_campaigns_since", "campaigns", ["since"])


def _create_comments() -> None:
    op.create_table(
        "comments",
        _column("comment_id", NUMBER),
        _column("case_id", NUMBER),
        _column("user", sa.Text),
        _column("text", sa.Text),
        _column("mentions", sa.Text),
        _column("at", MOMENT),
        _key("comments", "comment_id"),
        _refers("comments", "case_id", "cases.case_id"),
    )
    op.create_index("ix_comments_case_id_comment_id", "comments", ["case_id", "comment_id"])
    op.create_table(
        "user_notices",
        _column("notice_id", NUMBER),
        _column("user", sa.Text),
        _column("kind", sa.Text),
        sa.Column("case_id", NUMBER),
        sa.Column("comment_id", NUMBER),
        sa.Column("alert_id", NUMBER),
        _column("sent_by", sa.Text),
        _column("at", MOMENT),
        sa.Column("read_at", MOMENT),
        _key("user_notices", "notice_id"),
        _refers("user_notices", "user", "users.name"),
        _refers("user_notices", "case_id", "cases.case_id"),
        _refers("user_notices", "comment_id", "comments.comment_id"),
        _refers("user_notices", "alert_id", "alerts.alert_id"),
    )
    op.create_index("ix_user_notices_user_notice_id", "user_notices", ["user", "notice_id"])
    _index_where("ix_user_notices_unread", "user_notices", ["user"], "read_at IS NULL")


def _create_alert_actions() -> None:
    op.create_table(
        "alert_actions",
        _column("action_id", NUMBER),
        _column("alert_id", NUMBER),
        _column("action", sa.Text),
        _column("user", sa.Text),
        _column("why", sa.Text),
        sa.Column("assignee", sa.Text),
        sa.Column("until", sa.Date),
        _column("at", MOMENT),
        _key("alert_actions", "action_id"),
        _refers("alert_actions", "alert_id", "alerts.alert_id"),
    )
    op.create_index("ix_alert_actions_alert_id_action_id", "alert_actions", ["alert_id", "action_id"])
