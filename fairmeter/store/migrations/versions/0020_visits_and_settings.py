"""What crews note at a visit, the phone's key of it, and settings of the desk.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

HAS_KEY = sa.text("sent_key IS NOT NULL")


def upgrade() -> None:
    for name, kind in (("fraud_type", sa.Text), ("seal", sa.Text), ("index_read", sa.Double), ("sent_key", sa.Text)):
        op.add_column("inspections", sa.Column(name, kind))
    options = {"postgresql_where": HAS_KEY, "sqlite_where": HAS_KEY}
    op.create_index("ix_inspections_sent_key", "inspections", ["sent_key"], **options)
    op.create_table(
        "desk_settings",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_desk_settings"),
    )
