"""Names of codes that are texts, as the runs read them.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "code_names",
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("code", sa.Double, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("field", "code", name="pk_code_names"),
    )
