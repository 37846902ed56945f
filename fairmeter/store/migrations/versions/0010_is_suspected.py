"""Whether a client is suspected, in a column of its own: PostgreSQL knows then how few are.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NAME = "ix_profiles_suspected"


def upgrade() -> None:
    op.drop_index(NAME, "profiles")
    is_stored = op.get_bind().dialect.name == "postgresql" or None  # SQLite stores none in a table that is there
    computed = sa.Computed("by_score >= threshold", persisted=is_stored)
    op.add_column("profiles", sa.Column("is_suspected", sa.Boolean, computed))
    op.create_index(
        NAME,
        "profiles",
        ["region", "expected_recovery_kwh"],
        sqlite_where=sa.text("is_suspected = 1"),
        postgresql_where=sa.text("is_suspected"),
    )
    if is_stored:
        op.execute("ANALYZE profiles")  # of a new column PostgreSQL knows nothing yet
