"""Former readings, clients that wait to be judged, one chain of all that is to be audited, incidents of the data.

Revision ID: 0013
"""

import json
from datetime import UTC, date, datetime
from hashlib import sha256

import sqlalchemy as sa
from alembic import op

from fairmeter.store.engine.schema import UtcDateTime

revision = "0013"
down_revision = "0012"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CLIENT_ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")
SQLITE_TRIGGERS = (
    "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'audit entries are only ever added'); END",
    "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit_entries "
    "BEGIN SELECT RAISE(ABORT, 'audit entries are only ever added'); END",
)
POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'audit entries are only ever added'; END $$",
    "CREATE TRIGGER audit_is_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()",
)
# What the chain holds of a row, as fairmeter/store/audit.py had it at this version.
AUDITED = {
    "move": ("moves", "seq", ("hash",)),
    "inspection": (
        "inspections",
        "inspection_id",
        (
            "case_id", "client_id", "inspected_on", "outcome", "user", "is_random", "recorded_at", "note",
            "recovered_kwh", "recovered_value", "photos", "severity", "probability", "reason_group", "region",
        ),
    ),
    "user": ("users", "name", ("password_hash", "role", "is_active", "created_at")),
    "key": ("api_keys", "name", ("key_hash", "role", "is_active", "created_at")),
}  # fmt: skip
TYPES = dict.fromkeys(("recorded_at", "created_at"), UtcDateTime()) | dict.fromkeys(
    ("is_random", "is_active"), sa.Boolean()
)
TYPES["inspected_on"] = sa.Date()
ENTRY = ("seq", "kind", "subject", "digest", "details", "user", "at", "previous_hash")
ADOPTED = "migration 0013"


def upgrade() -> None:
    op.add_column("runs", sa.Column("incidents", sa.Text))
    op.create_table(
        "former_readings",
        sa.Column("former_id", NUMBER, nullable=False),
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("read_at", sa.BigInteger, nullable=False),
        sa.Column("consumption_kwh", sa.Double, nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("replaced_at", MOMENT, nullable=False),
        sa.Column("sent_by", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("former_id", name="pk_former_readings"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_former_readings_client_id"),
    )
    op.create_index("ix_former_readings_client_id_read_at", "former_readings", ["client_id", "read_at"])
    op.create_table(
        "unjudged",
        sa.Column("client_id", CLIENT_ID, nullable=False),
        sa.Column("ticket", sa.Text, nullable=False),
        sa.Column("has_lost", sa.Boolean, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_unjudged"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_unjudged_client_id"),
    )
    op.create_index("ix_unjudged_since", "unjudged", ["since"])
    _create_chain()


def _create_chain() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("seq", NUMBER, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_entries"),
    )
    op.create_table(
        "audit_head",
        sa.Column("head_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("seal", sa.Text),
        sa.PrimaryKeyConstraint("head_id", name="pk_audit_head"),
    )
    _adopt_rows()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if is_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _adopt_rows() -> None:
    """Begin the chain with the rows that are there: what was done to them before cannot be proved."""
    connection, now = op.get_bind(), datetime.now(UTC)
    seq, previous = 0, "0" * 64
    entries = sa.table("audit_entries", *map(sa.column, (*ENTRY, "hash")))
    entries.c.at.type = UtcDateTime()
    for kind, (table, key, columns) in AUDITED.items():
        rows = sa.table(table, *(sa.column(name, TYPES.get(name)) for name in (key, *columns)))
        for row in connection.execute(sa.select(rows).order_by(rows.c[key])).mappings().all():
            seq += 1
            digest = _hash([row[key], *(row[name] for name in columns)])
            entry = dict(zip(ENTRY, (seq, kind, str(row[key]), digest, "", ADOPTED, now, previous), strict=True))
            previous = _hash(list(entry.values()))
            connection.execute(sa.insert(entries).values(entry | {"hash": previous}))
    connection.execute(
        sa.text("INSERT INTO audit_head (head_id, seq, hash) VALUES (1, :seq, :hash)"), {"seq": seq, "hash": previous}
    )


def _hash(values: list) -> str:
    text = json.dumps([_plain(value) for value in values], ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _plain(value):
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value
