"""Sessions, users of an OpenID provider, second factors, ends and limits of keys.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

MOMENT = sa.DateTime(timezone=True)
HAS_SUBJECT = sa.text("subject IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("session_hash", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_sessions_user"),
    )
    op.create_index("ix_sessions_user", "sessions", ["user"])
    op.create_index("ix_sessions_ends_at", "sessions", ["ends_at"])
    for name, kind in (("subject", sa.Text), ("totp_secret", sa.Text), ("totp_step", sa.BigInteger)):
        op.add_column("users", sa.Column(name, kind))
    op.create_index(
        "uq_users_subject", "users", ["subject"], unique=True, postgresql_where=HAS_SUBJECT, sqlite_where=HAS_SUBJECT
    )
    op.add_column("api_keys", sa.Column("expires_at", MOMENT))
    op.add_column("api_keys", sa.Column("per_minute", sa.Integer))
