"""What is unusual of each client, and its patterns beside the score, by which lists are filtered.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

HAS_PATTERNS = sa.text("patterns IS NOT NULL")


def upgrade() -> None:
    op.add_column("profiles", sa.Column("patterns", sa.Text))
    op.add_column("findings", sa.Column("anomalies", sa.Text))
    op.create_index(
        "ix_profiles_patterns",
        "profiles",
        ["by_score", "client_id", "patterns"],
        postgresql_where=HAS_PATTERNS,
        sqlite_where=HAS_PATTERNS,
    )
