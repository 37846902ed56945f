"""Where clients are, beside their scores: the map then reads nothing else.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

PLACE = "latitude, longitude, transformer_id"
FILL = f"""UPDATE profiles SET ({PLACE}) =
    (SELECT {PLACE} FROM clients WHERE clients.client_id = profiles.client_id)"""  # noqa: S608  names of our own
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema AND tablename = 'profiles'"


def upgrade() -> None:
    for name in ("latitude", "longitude"):
        op.add_column("profiles", sa.Column(name, sa.Double))
    op.add_column("profiles", sa.Column("transformer_id", sa.Text))
    op.drop_index("ix_profiles_suspected", "profiles")
    if op.get_bind().dialect.name == "postgresql":
        _fill_without_indexes()
    else:
        op.execute(FILL)
    op.drop_index("ix_clients_place", "clients")
    op.drop_index("ix_clients_transformer_id", "clients")
    op.create_index("ix_profiles_transformer_id", "profiles", ["transformer_id"])
    _index_where("ix_profiles_longitude", ["longitude"], "latitude IS NOT NULL")
    _index_where("ix_profiles_place", ["latitude", "longitude", "region"], "latitude IS NOT NULL")
    _index_where("ix_profiles_onset", ["onset_on", "latitude", "longitude", "region"], "onset_on IS NOT NULL")
    suspected = ["region", "latitude", "longitude", "onset_on", "expected_recovery_kwh", "transformer_id"]
    _index_where("ix_profiles_suspected", suspected, "is_suspected", "is_suspected = 1")


def _fill_without_indexes() -> None:
    """PostgreSQL writes every row anew, and would each of its places in every index."""
    indexes = [row for row in op.get_bind().execute(sa.text(INDEXES)).all() if row.indexname != "pk_profiles"]
    for name, _ in indexes:
        op.drop_index(name, "profiles")
    op.execute(FILL)
    for _, definition in indexes:
        op.execute(definition)
    op.execute("ANALYZE profiles")


def _index_where(name: str, columns: list[str], condition: str, of_sqlite: str | None = None) -> None:
    where = {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(of_sqlite or condition)}
    op.create_index(name, "profiles", columns, **where)
