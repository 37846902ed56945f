"""The first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CLIENT_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")

# A move is only ever added, whoever asks: its chain would show a change, these refuse it.
SQLITE_TRIGGERS = """
CREATE TRIGGER moves_are_not_changed BEFORE UPDATE ON moves
BEGIN SELECT RAISE(ABORT, 'moves are only ever added'); END;
--
CREATE TRIGGER moves_are_not_deleted BEFORE DELETE ON moves
BEGIN SELECT RAISE(ABORT, 'moves are only ever added'); END
"""
POSTGRESQL_TRIGGERS = """
CREATE FUNCTION refuse_change_of_moves() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'moves are only ever added'; END $$;
--
CREATE TRIGGER moves_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON moves
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_moves()
"""


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        sa.CheckConstraint("role IN ('viewer', 'investigator', 'admin')", name="ck_api_keys_role"),
        sa.PrimaryKeyConstraint("name", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
    )
    op.create_table(
        "clients",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("category", sa.Double),
        sa.Column("region", sa.Double),
        sa.Column("district", sa.Double),
        sa.Column("created_on", sa.Date),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("transformer_id", sa.Text),
        sa.Column("tariff_price", sa.Double),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
    )
    op.create_table(
        "logins",
        sa.Column("login_id", ID, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_success", sa.Boolean, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("login_id", name="pk_logins"),
    )
    op.create_index("ix_logins_name_at", "logins", ["name", "at"])
    op.create_table(
        "runs",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("scored_at", MOMENT, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("n_clients", sa.Integer, nullable=False),
        sa.Column("n_suspected", sa.Integer, nullable=False),
        sa.Column("n_by_severity", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
    )
    op.create_index("ix_runs_scored_at", "runs", ["scored_at"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'investigator', 'admin')", name="ck_users_role"),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "alerts",
        sa.Column("alert_id", ID, nullable=False),
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("by_severity", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("region", sa.Double),
        sa.Column("category", sa.Double),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_alerts_client_id"),
        sa.PrimaryKeyConstraint("alert_id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_client_id", "alerts", ["client_id"])
    op.create_index("ix_alerts_raised_at_alert_id", "alerts", ["raised_at", "alert_id"])
    op.create_index("ix_alerts_state_by_severity_alert_id", "alerts", ["state", "by_severity", "alert_id"])
    op.create_index(
        "uq_alerts_open_client",
        "alerts",
        ["client_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "findings",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("typical", sa.Double),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.Column("explanations", sa.Text, nullable=False),
        sa.Column("quality", sa.Text, nullable=False),
        sa.Column("recovery", sa.Text),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("series_step", sa.Text),
        sa.Column("series_from", sa.Date),
        sa.Column("series_kwh", sa.LargeBinary),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_findings_client_id"),
        sa.PrimaryKeyConstraint("client_id", name="pk_findings"),
    )
    op.create_table(
        "profiles",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("by_score", sa.Double, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("by_severity", sa.Integer, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("region", sa.Double),
        sa.Column("category", sa.Double),
        sa.Column("district", sa.Double),
        sa.Column("expected_recovery_kwh", sa.Double),
        sa.Column("by_recovery", sa.Double, nullable=False),
        sa.Column("recommendation", sa.Text),
        sa.Column("reason_group", sa.Text),
        sa.Column("onset_on", sa.Date),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("scored_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_profiles_client_id"),
        sa.PrimaryKeyConstraint("client_id", name="pk_profiles"),
    )
    op.create_index("ix_profiles_by_recovery_client_id", "profiles", ["by_recovery", "client_id"])
    op.create_index("ix_profiles_by_score_client_id", "profiles", ["by_score", "client_id"])
    op.create_index("ix_profiles_by_severity_by_score_client_id", "profiles", ["by_severity", "by_score", "client_id"])
    op.create_index("ix_profiles_category_by_score_client_id", "profiles", ["category", "by_score", "client_id"])
    op.create_index("ix_profiles_region_by_score_client_id", "profiles", ["region", "by_score", "client_id"])
    op.create_index("ix_profiles_scored_at_client_id", "profiles", ["scored_at", "client_id"])
    op.create_index(
        "ix_profiles_suspected",
        "profiles",
        ["region", "expected_recovery_kwh"],
        sqlite_where=sa.text("by_score >= threshold"),
        postgresql_where=sa.text("by_score >= threshold"),
    )
    op.create_table(
        "readings",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.Column("consumption_kwh", sa.Double, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_readings_client_id"),
        sa.PrimaryKeyConstraint("client_id", "read_at", name="pk_readings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scores",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("scored_at", MOMENT, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_scores_client_id"),
        sa.PrimaryKeyConstraint("client_id", "scored_at", name="pk_scores"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cases",
        sa.Column("case_id", ID, nullable=False),
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("alert_id", ID),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("by_severity", sa.Integer, nullable=False),
        sa.Column("assignee", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("is_random", sa.Boolean, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("reason_group", sa.Text),
        sa.Column("region", sa.Double),
        sa.Column("category", sa.Double),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.CheckConstraint("state IN ('new', 'assigned', 'inspecting', 'closed')", name="ck_cases_state"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.alert_id"], name="fk_cases_alert_id"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_cases_client_id"),
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
    )
    op.create_index("ix_cases_assignee_state_case_id", "cases", ["assignee", "state", "case_id"])
    op.create_index("ix_cases_client_id_case_id", "cases", ["client_id", "case_id"])
    op.create_index("ix_cases_state_by_severity_case_id", "cases", ["state", "by_severity", "case_id"])
    op.create_index(
        "uq_cases_open_client",
        "cases",
        ["client_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_table(
        "notifications",
        sa.Column("notification_id", ID, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("alert_id", ID),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("leased_until", MOMENT),
        sa.Column("n_tries", sa.Integer, nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.Column("error", sa.Text),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.alert_id"], name="fk_notifications_alert_id"),
        sa.PrimaryKeyConstraint("notification_id", name="pk_notifications"),
        sa.UniqueConstraint("key", name="uq_notifications_key"),
    )
    op.create_index("ix_notifications_lease", "notifications", ["lease"])
    op.create_index("ix_notifications_state_due_at", "notifications", ["state", "due_at"])
    op.create_table(
        "inspections",
        sa.Column("inspection_id", ID, nullable=False),
        sa.Column("case_id", ID),
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("inspected_on", sa.Date, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("is_random", sa.Boolean, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("recovered_kwh", sa.Double),
        sa.Column("recovered_value", sa.Double),
        sa.Column("photos", sa.Text, nullable=False),
        sa.Column("severity", sa.Text),
        sa.Column("probability", sa.Double),
        sa.Column("reason_group", sa.Text),
        sa.Column("region", sa.Double),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_inspections_case_id"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_inspections_client_id"),
        sa.PrimaryKeyConstraint("inspection_id", name="pk_inspections"),
        sa.UniqueConstraint("case_id", name="uq_inspections_case_id"),
    )
    op.create_index("ix_inspections_client_id_inspected_on", "inspections", ["client_id", "inspected_on"])
    op.create_index("ix_inspections_inspected_on_inspection_id", "inspections", ["inspected_on", "inspection_id"])
    op.create_table(
        "moves",
        sa.Column("seq", ID, autoincrement=False, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("from_state", sa.Text),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("assignee", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name="fk_moves_case_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_moves"),
        sa.UniqueConstraint("case_id", "version", name="uq_moves_case_id_version"),
    )

    triggers = SQLITE_TRIGGERS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_TRIGGERS
    for statement in triggers.split("--"):
        op.execute(statement)
