"""Files of a utility on their way into the desk, and the maps that were confirmed for them.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TEXTS = ("error", "progress", "options", "headers", "guess", "map_text", "kept", "checked", "trial", "outcome")
STATES = "state IN ('uploaded', 'mapped', 'checked', 'scored', 'stored', 'cancelled')"


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("import_id", NUMBER, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("is_named", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Text),
        sa.Column("lease", sa.Text),
        sa.Column("beat_at", MOMENT),
        sa.Column("queued_at", MOMENT, nullable=False),
        *(sa.Column(name, sa.Text) for name in TEXTS),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("import_id", name="pk_imports"),
        sa.UniqueConstraint("folder", name="uq_imports_folder"),
        sa.CheckConstraint(STATES, name=op.f("ck_imports_state")),
    )
    op.create_index("ix_imports_owner_import_id", "imports", ["owner", "import_id"])
    op.create_table(
        "import_maps",
        sa.Column("headers_hash", sa.Text, nullable=False),
        sa.Column("map_text", sa.Text, nullable=False),
        sa.Column("kept_by", sa.Text, nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("headers_hash", name="pk_import_maps"),
    )
