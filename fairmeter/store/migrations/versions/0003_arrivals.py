"""How many readings came in each minute; readings are found by when they came.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "arrivals",
        sa.Column("minute", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("n_new", sa.Integer, nullable=False),
        sa.Column("n_duplicate", sa.Integer, nullable=False),
        sa.Column("n_differing", sa.Integer, nullable=False),
        sa.Column("n_late", sa.Integer, nullable=False),
        sa.Column("n_out_of_order", sa.Integer, nullable=False),
        sa.Column("n_refused", sa.Integer, nullable=False),
        sa.Column("refusal", sa.Text),
        sa.PrimaryKeyConstraint("minute", name="pk_arrivals"),
    )
    # With what decides between readings of one moment: the newest are read from the index alone, in order.
    op.create_index("ix_readings_received_at_client_id_read_at", "readings", ["received_at", "client_id", "read_at"])
