"""What a run found of its clients: drift from those the model learnt from, and how stable the list is. JSON.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("runs", sa.Column("drift", sa.Text))
    op.add_column("runs", sa.Column("stability", sa.Text))
