"""The tables of the store, as the newest migration leaves them.

In:  nothing.
Out: SQLAlchemy Tables. Moments are UTC. `by_` columns are sort keys, ABSENT where a row has no value, so that a page
     can continue after any row. Codes of the utility are numbers, as in the input tables; code_names holds
     the names of those that were texts.

The key of a client is the utility's own id, compared byte by byte in both databases: with a language's collation
PostgreSQL would sort differently, and search for a prefix without an index.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

ABSENT = -1.0  # below every score and every energy
MAX_ID = 2**63 - 1
COUNTED_TABLES = ("profiles", "alerts")  # whose rows pages count
EPOCH = datetime(1970, 1, 1)
RELATION_KEYS = ("route_1", "route_2", "meter_1", "meter_2", "meter_3", "codes")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator):
    """A moment with its zone, stored and returned in UTC. SQLite has no zones: there it is UTC by convention."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The moment {value} has no time zone; give it one, as datetime.now(UTC) has.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value, dialect):
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class NaiveDateTime(TypeDecorator):
    """Local time without a zone, to the second; stored as seconds since 1970-01-01 00:00 local time."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value, _dialect):
        return None if value is None else int((value - EPOCH).total_seconds())

    def process_result_value(self, value, _dialect):
        return None if value is None else EPOCH + timedelta(seconds=value)


Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite increments INTEGER alone
ClientId = String().with_variant(String(collation="C"), "postgresql")


def _client(**options) -> Column:
    return Column("client_id", ClientId, ForeignKey("clients.client_id"), nullable=False, **options)


def _optional_values() -> list[Column]:
    """What a reading may state besides its consumption. [quality: estimated or missing, NULL where it is actual]"""
    return [Column("minutes", Double), Column("export_kwh", Double), Column("quality", Text)]


def _index_where(condition: str, name: str, *columns: str, on_sqlite: str | None = None, **options) -> Index:
    """A partial index. on_sqlite: the condition where SQLite's syntax differs."""
    return Index(name, *columns, postgresql_where=text(condition), sqlite_where=text(on_sqlite or condition), **options)


clients = Table(
    "clients", metadata,
    Column("client_id", ClientId, primary_key=True),
    Column("category", Double), Column("region", Double), Column("district", Double),
    Column("created_on", Date),
    Column("latitude", Double), Column("longitude", Double),
    Column("transformer_id", Text), Column("tariff_price", Double),
    _index_where("created_on IS NOT NULL", "ix_clients_created_on", "created_on", "district", "region"),
)  # fmt: skip

# Keys of what a client shares with others (lookup/relations.py), the newest first; NULL where there is none.
relations = Table(
    "relations", metadata,
    _client(primary_key=True),
    *(Column(name, BigInteger) for name in RELATION_KEYS),
    *(_index_where(f"{name} IS NOT NULL", f"ix_relations_{name}", name) for name in RELATION_KEYS),
)  # fmt: skip

# Narrow, so that a page of a list or of the map reads little; the rest of a profile is in `findings`.
# The places are repeated from `clients`: a join over millions of scores would take seconds.
profiles = Table(
    "profiles", metadata,
    _client(primary_key=True),
    Column("probability", Double), Column("by_score", Double, nullable=False),
    Column("severity", Text, nullable=False), Column("by_severity", Integer, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("is_suspected", Boolean, Computed("by_score >= threshold")),  # few are, which PostgreSQL's planner uses
    Column("region", Double), Column("category", Double), Column("district", Double),
    Column("latitude", Double), Column("longitude", Double), Column("transformer_id", Text),
    Column("expected_recovery_kwh", Double), Column("by_recovery", Double, nullable=False),
    Column("recommendation", Text), Column("reason_group", Text),
    Column("onset_on", Date),
    Column("model_version", Text, nullable=False),
    Column("scored_at", UtcDateTime, nullable=False),
    # The sampling key (fairmeter/core/sampling.py); NULL for clients that were not sampled from the whole base.
    Column("lot", Integer),
    Column("patterns", Text),  # of the client's anomalies, each between bars: |sudden spike|; NULL without any
    Index(None, "by_score", "client_id"),
    Index(None, "by_severity", "by_score", "client_id"),
    Index(None, "by_severity"),  # for counts: PostgreSQL stores equal keys once, so there is little to read
    Index(None, "by_recovery", "client_id"),
    Index(None, "scored_at", "client_id"),
    Index(None, "region", "by_score", "client_id"),
    Index(None, "category", "by_score", "client_id"),
    Index(None, "lot", "client_id"),
    Index(None, "transformer_id"),
    # The map reads these alone: the area, all cells, clients with an onset, suspected clients.
    _index_where("latitude IS NOT NULL", "ix_profiles_longitude", "longitude"),
    _index_where("latitude IS NOT NULL", "ix_profiles_place", "latitude", "longitude", "region"),
    _index_where("onset_on IS NOT NULL", "ix_profiles_onset", "onset_on", "latitude", "longitude", "region"),
    _index_where("is_suspected", "ix_profiles_suspected", "region", "latitude", "longitude", "onset_on",
                 "expected_recovery_kwh", "transformer_id", on_sqlite="is_suspected = 1"),
    _index_where("patterns IS NOT NULL", "ix_profiles_patterns", "by_score", "client_id", "patterns"),
    _index_where("reason_group IS NOT NULL", "ix_profiles_reason", "reason_group", "by_score", "client_id"),
)  # fmt: skip

findings = Table(
    "findings", metadata,
    _client(primary_key=True),
    Column("typical", Double),
    Column("reasons", Text, nullable=False), Column("explanations", Text, nullable=False),
    Column("quality", Text, nullable=False), Column("recovery", Text), Column("facts", Text, nullable=False),
    Column("series_step", Text), Column("series_from", Date), Column("series_kwh", LargeBinary),
    Column("invoices", LargeBinary),
    Column("anomalies", Text),  # JSON; NULL without any
)  # fmt: skip

runs = Table(
    "runs", metadata,
    Column("run_id", Id, primary_key=True),
    Column("scored_at", UtcDateTime, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("n_clients", Integer, nullable=False), Column("n_suspected", Integer, nullable=False),
    Column("n_by_severity", Text, nullable=False),
    Column("drift", Text), Column("stability", Text), Column("incidents", Text),
    Index(None, "scored_at"),
)  # fmt: skip

scores = Table(
    "scores", metadata,
    _client(primary_key=True),
    Column("scored_at", UtcDateTime, primary_key=True),
    Column("probability", Double), Column("severity", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

alerts = Table(
    "alerts", metadata,
    Column("alert_id", Id, primary_key=True),
    _client(),
    Column("severity", Text, nullable=False), Column("by_severity", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("probability", Double), Column("region", Double), Column("category", Double),
    Column("raised_at", UtcDateTime, nullable=False), Column("updated_at", UtcDateTime, nullable=False),
    Column("assignee", Text), Column("snoozed_until", Date),
    _index_where("state = 'open'", "uq_alerts_open_client", "client_id", unique=True),
    _index_where("snoozed_until IS NOT NULL", "ix_alerts_snoozed", "snoozed_until"),
    _index_where("assignee IS NOT NULL", "ix_alerts_assignee", "assignee"),
    Index(None, "client_id"),
    Index(None, "state", "by_severity", "alert_id"),
    Index(None, "raised_at", "alert_id"),
)  # fmt: skip

cases = Table(
    "cases", metadata,
    Column("case_id", Id, primary_key=True),
    _client(),
    Column("alert_id", Id, ForeignKey("alerts.alert_id")),
    Column("state", Text, nullable=False), Column("version", Integer, nullable=False),
    Column("severity", Text, nullable=False), Column("by_severity", Integer, nullable=False),
    Column("assignee", Text), Column("outcome", Text),
    Column("is_random", Boolean, nullable=False),
    Column("probability", Double), Column("reason_group", Text), Column("region", Double), Column("category", Double),
    Column("opened_by", Text, nullable=False), Column("opened_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False), Column("closed_at", UtcDateTime),
    # Of an open case: the day of the planned visit and its crew; the day to come back after one without access.
    Column("planned_on", Date), Column("crew", Text), Column("revisit_on", Date),
    CheckConstraint("state IN ('new', 'assigned', 'inspecting', 'closed')", name="state"),
    _index_where("state <> 'closed'", "uq_cases_open_client", "client_id", unique=True),
    Index(None, "client_id", "case_id"),
    Index(None, "state", "by_severity", "case_id"),
    Index(None, "assignee", "state", "case_id"),
    _index_where("planned_on IS NOT NULL", "ix_cases_planned", "planned_on", "crew"),
)  # fmt: skip

moves = Table(
    "moves", metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("case_id", Id, ForeignKey("cases.case_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("from_state", Text), Column("to_state", Text, nullable=False),
    Column("user", Text, nullable=False), Column("why", Text, nullable=False),
    Column("assignee", Text), Column("outcome", Text),
    Column("at", UtcDateTime, nullable=False),
    Column("previous_hash", Text, nullable=False), Column("hash", Text, nullable=False),
    UniqueConstraint("case_id", "version"),
)  # fmt: skip

inspections = Table(
    "inspections", metadata,
    Column("inspection_id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.case_id")),  # several, where nobody had access at first
    _client(),
    Column("inspected_on", Date, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("is_random", Boolean, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("note", Text, nullable=False),
    Column("recovered_kwh", Double), Column("recovered_value", Double),
    Column("photos", Text, nullable=False),
    Column("severity", Text), Column("probability", Double), Column("reason_group", Text), Column("region", Double),
    Column("crew", Text), Column("patterns", Text),  # the crew of the visit; patterns as profiles have them
    Column("fraud_type", Text), Column("seal", Text), Column("index_read", Double),
    Column("sent_key", Text),  # the phone's own key of the visit: what is sent twice is recorded once
    Index(None, "client_id", "inspected_on"),
    Index(None, "case_id"),
    Index(None, "inspected_on", "inspection_id"),
    _index_where("sent_key IS NOT NULL", "ix_inspections_sent_key", "sent_key"),
)  # fmt: skip

# One chain of hashes over moves, inspections, users, keys, and what was done to readings. digest: of the row as it
# was left, NULL where it was deleted or where there is none.
audit_entries = Table(
    "audit_entries", metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False), Column("subject", Text, nullable=False),
    Column("digest", Text), Column("details", Text, nullable=False),
    Column("user", Text, nullable=False), Column("at", UtcDateTime, nullable=False),
    Column("previous_hash", Text, nullable=False), Column("hash", Text, nullable=False),
)  # fmt: skip

# One row: the last entry of the chain, and its seal by a key that is not in the database.
audit_head = Table(
    "audit_head", metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False), Column("hash", Text, nullable=False), Column("seal", Text),
)  # fmt: skip

users = Table(
    "users", metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False), Column("language", Text),
    Column("subject", Text),  # at an OpenID provider
    Column("totp_secret", Text), Column("totp_step", BigInteger),
    CheckConstraint("role IN ('viewer', 'investigator', 'admin')", name="role"),
    _index_where("subject IS NOT NULL", "uq_users_subject", "subject", unique=True),
)  # fmt: skip

# Sessions of browsers that have not ended; the ids themselves are in the browsers' cookies alone.
sessions = Table(
    "sessions", metadata,
    Column("session_hash", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False),
    Column("started_at", UtcDateTime, nullable=False), Column("ends_at", UtcDateTime, nullable=False),
    Index(None, "user"), Index(None, "ends_at"),
)  # fmt: skip

# Links by which users set their passwords, one a user; the links themselves are with the users alone.
invitations = Table(
    "invitations", metadata,
    Column("link_hash", Text, primary_key=True),
    Column("user", Text, ForeignKey("users.name"), nullable=False, unique=True),
    Column("made_by", Text, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
)  # fmt: skip

api_keys = Table(
    "api_keys", metadata,
    Column("name", Text, primary_key=True),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False), Column("last_used_at", UtcDateTime),
    Column("expires_at", UtcDateTime), Column("per_minute", Integer),
    CheckConstraint("role IN ('viewer', 'investigator', 'admin')", name="role"),
)  # fmt: skip

logins = Table(
    "logins", metadata,
    Column("login_id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("is_success", Boolean, nullable=False),
    Column("address", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "name", "at"), Index(None, "address", "at"),
)  # fmt: skip

# What admins set at the desk. [value: JSON]
desk_settings = Table(
    "desk_settings", metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_by", Text, nullable=False), Column("changed_at", UtcDateTime, nullable=False),
)  # fmt: skip

secrets = Table(
    "secrets", metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

notifications = Table(
    "notifications", metadata,
    Column("notification_id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("alert_id", Id, ForeignKey("alerts.alert_id")),
    Column("channel", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False), Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False), Column("created_at", UtcDateTime, nullable=False),
    Column("lease", Text), Column("leased_until", UtcDateTime),
    Column("n_tries", Integer, nullable=False),
    Column("sent_at", UtcDateTime), Column("error", Text),
    Index(None, "state", "due_at"), Index(None, "lease"),
)  # fmt: skip

readings = Table(
    "readings", metadata,
    _client(primary_key=True),
    Column("read_at", NaiveDateTime, primary_key=True),
    Column("consumption_kwh", Double, nullable=False),
    *_optional_values(),
    Column("received_at", UtcDateTime, nullable=False),
    Index(None, "received_at", "client_id", "read_at"),
    sqlite_with_rowid=False,
)  # fmt: skip

# Values that a later version replaced or that were deleted: by whom, when, and by which way.
former_readings = Table(
    "former_readings", metadata,
    Column("former_id", Id, primary_key=True),
    _client(),
    Column("read_at", NaiveDateTime, nullable=False),
    Column("consumption_kwh", Double, nullable=False),
    *_optional_values(),
    Column("received_at", UtcDateTime, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=False),
    Column("sent_by", Text, nullable=False), Column("source", Text, nullable=False),
    Index(None, "client_id", "read_at"),
)  # fmt: skip

# Clients whose readings changed since they were judged. ticket: another one with each change. has_lost: readings were
# deleted, so that the former score may rest on what should never have come.
unjudged = Table(
    "unjudged", metadata,
    _client(primary_key=True),
    Column("ticket", Text, nullable=False),
    Column("has_lost", Boolean, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Index(None, "since"),
)  # fmt: skip

# Readings received per minute [since 1970-01-01, UTC], counted at insert: a page cannot count millions of rows.
arrivals = Table(
    "arrivals", metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    *(Column(f"n_{name}", Integer, nullable=False)
      for name in ("new", "duplicate", "differing", "late", "out_of_order", "refused")),
    Column("refusal", Text),
)  # fmt: skip

# Energy balance of each transformer over its last 90 days, and its losses by week and by day.
balances = Table(
    "balances", metadata,
    Column("transformer_id", ClientId, primary_key=True),
    Column("until_on", Date, nullable=False),
    Column("n_clients", Integer, nullable=False), Column("n_read", Integer, nullable=False),
    Column("n_days", Integer, nullable=False),
    *(Column(f"{name}_kwh", Double, nullable=False)
      for name in ("delivered", "losses", "registered", "estimated", "lost")),
    *(Column(f"{name}_share", Double) for name in ("lost", "low", "high", "before")),
    Column("since_on", Date),
    Column("region", Double), Column("latitude", Double), Column("longitude", Double),
    Column("weeks_from", Date, nullable=False),
    Column("delivered_weeks", LargeBinary, nullable=False), Column("lost_weeks", LargeBinary, nullable=False),
    Column("lost_days", LargeBinary),
    Column("written_at", UtcDateTime, nullable=False),
    Index(None, "lost_kwh"),
)  # fmt: skip

# Consumption of clients of a category and region, by month (reference.py packs the months).
bands = Table(
    "bands", metadata,
    Column("category", Double, primary_key=True), Column("region", Double, primary_key=True),
    Column("n_clients", Integer, nullable=False),
    Column("first_on", Date, nullable=False), Column("months", LargeBinary, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
)  # fmt: skip

# Names of codes that are texts, of all runs. [field: the column of clients or invoices]
code_names = Table(
    "code_names", metadata,
    Column("field", Text, primary_key=True), Column("code", Double, primary_key=True),
    Column("name", Text, nullable=False),
)  # fmt: skip

weather = Table(
    "weather", metadata,
    Column("day", Date, primary_key=True),
    Column("temperature", Double, nullable=False),
)  # fmt: skip

# Files of a utility on their way into the desk. step: asked for and not done; lease: of the process that works on it.
imports = Table(
    "imports", metadata,
    Column("import_id", Id, primary_key=True),
    Column("owner", Text, nullable=False), Column("folder", Text, nullable=False, unique=True),
    Column("files", Text, nullable=False), Column("is_named", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text), Column("lease", Text), Column("beat_at", UtcDateTime),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("error", Text), Column("progress", Text), Column("options", Text),
    Column("headers", Text), Column("guess", Text), Column("map_text", Text), Column("kept", Text),
    Column("checked", Text), Column("trial", Text), Column("outcome", Text),
    Column("created_at", UtcDateTime, nullable=False), Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('uploaded', 'mapped', 'checked', 'scored', 'stored', 'cancelled')", name="state"),
    Index(None, "owner", "import_id"),
)  # fmt: skip

# Maps that were confirmed, by the headers of the files.
import_maps = Table(
    "import_maps", metadata,
    Column("headers_hash", Text, primary_key=True),
    Column("map_text", Text, nullable=False),
    Column("kept_by", Text, nullable=False), Column("kept_at", UtcDateTime, nullable=False),
)  # fmt: skip
