"""What transformers lost each day, which the scores of their clients rest on too.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("balances", sa.Column("lost_days", sa.LargeBinary))
