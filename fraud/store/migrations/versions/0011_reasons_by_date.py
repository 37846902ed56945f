"""Clients with one main reason are listed by date in an index of their own.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    has_reason = sa.text("reason_group IS NOT NULL")
    op.create_index(
        "ix_profiles_reason_scored",
        "profiles",
        ["reason_group", "scored_at", "client_id"],
        sqlite_where=has_reason,
        postgresql_where=has_reason,
    )
