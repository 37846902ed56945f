"""What readings state besides their consumption: the length of their interval, what was fed in, their quality.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    for table in ("readings", "former_readings"):
        op.add_column(table, sa.Column("minutes", sa.Double))
        op.add_column(table, sa.Column("export_kwh", sa.Double))
        op.add_column(table, sa.Column("quality", sa.Text))
