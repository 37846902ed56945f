"""Clients are counted by severity in an index of nothing else.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("ix_profiles_by_severity", "profiles", ["by_severity"])
