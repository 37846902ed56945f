"""Lots, by which clients are drawn at random without a look at all of them.

Revision ID: 0008
"""

from hashlib import md5

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("profiles", sa.Column("lot", sa.Integer))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.create_function("first_lot", 1, _lot)
        op.execute("UPDATE profiles SET lot = first_lot(client_id)")
    else:
        op.execute("UPDATE profiles SET lot = ('x' || substr(md5(client_id), 1, 8))::bit(32)::bigint >> 1")
    op.create_index("ix_profiles_lot_client_id", "profiles", ["lot", "client_id"])


def _lot(client_id: str) -> int:
    return int.from_bytes(md5(client_id.encode(), usedforsecurity=False).digest()[:4]) >> 1
