"""Keys of what clients share with each other; clients by the day of their account.

Revision ID: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

KEYS = ("route_1", "route_2", "meter_1", "meter_2", "meter_3", "codes")


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    client_id = sa.String() if is_sqlite else sa.String(collation="C")
    op.create_table(
        "relations",
        sa.Column("client_id", client_id, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in KEYS),
        sa.PrimaryKeyConstraint("client_id", name="pk_relations"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_relations_client_id"),
    )
    for name in KEYS:
        _index(f"ix_relations_{name}", "relations", [name])
    _index("ix_clients_created_on", "clients", ["created_on", "district", "region"])


def _index(name: str, table: str, columns: list[str]) -> None:
    known = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, table, columns, postgresql_where=known, sqlite_where=known)
