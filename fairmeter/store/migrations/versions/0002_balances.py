"""Where the energy of each transformer went; clients are found by their transformer.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)
TRANSFORMER_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "balances",
        sa.Column("transformer_id", TRANSFORMER_ID, nullable=False),
        sa.Column("until_on", sa.Date, nullable=False),
        sa.Column("n_clients", sa.Integer, nullable=False),
        sa.Column("n_read", sa.Integer, nullable=False),
        sa.Column("n_days", sa.Integer, nullable=False),
        sa.Column("delivered_kwh", sa.Double, nullable=False),
        sa.Column("losses_kwh", sa.Double, nullable=False),
        sa.Column("registered_kwh", sa.Double, nullable=False),
        sa.Column("estimated_kwh", sa.Double, nullable=False),
        sa.Column("lost_kwh", sa.Double, nullable=False),
        sa.Column("lost_share", sa.Double),
        sa.Column("low_share", sa.Double),
        sa.Column("high_share", sa.Double),
        sa.Column("before_share", sa.Double),
        sa.Column("since_on", sa.Date),
        sa.Column("region", sa.Double),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("weeks_from", sa.Date, nullable=False),
        sa.Column("delivered_weeks", sa.LargeBinary, nullable=False),
        sa.Column("lost_weeks", sa.LargeBinary, nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("transformer_id", name="pk_balances"),
    )
    op.create_index("ix_balances_lost_kwh", "balances", ["lost_kwh"])
    op.create_index("ix_clients_transformer_id", "clients", ["transformer_id"])
