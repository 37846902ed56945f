"""Failed sign-ins are counted by address too.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("ix_logins_address_at", "logins", ["address", "at"])
