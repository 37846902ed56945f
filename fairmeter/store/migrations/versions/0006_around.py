"""What stands around a client: invoices, what clients like it use, weather; lists by main evidence, and by place.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("findings", sa.Column("invoices", sa.LargeBinary))
    op.create_table(
        "bands",
        sa.Column("category", sa.Double, nullable=False),
        sa.Column("region", sa.Double, nullable=False),
        sa.Column("n_clients", sa.Integer, nullable=False),
        sa.Column("first_on", sa.Date, nullable=False),
        sa.Column("months", sa.LargeBinary, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("category", "region", name="pk_bands"),
    )
    op.create_table(
        "weather",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("temperature", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_weather"),
    )
    _index_where("ix_clients_place", "clients", ["latitude", "longitude"], "latitude IS NOT NULL")
    _index_where(
        "ix_profiles_reason", "profiles", ["reason_group", "by_score", "client_id"], "reason_group IS NOT NULL"
    )


def _index_where(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
