"""Links by which users set their passwords.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("link_hash", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("link_hash", name="pk_invitations"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_invitations_user"),
        sa.UniqueConstraint("user", name="uq_invitations_user"),
    )
