"""Keys of scripts.

In:  names, roles, hashes (computed by the caller: no key enters this module), ends and limits.
Out: ApiKey.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.audit_chain import KEY
from fairmeter.store.access.roles import OPERATOR, NameTaken, NoSuchName, changes, checked_role
from fairmeter.store.audit import append_row
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import check_text

LAST_USE_STEP = timedelta(minutes=1)  # precision of a key's last use: a write per request would be too many


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A script's access; the key itself is not stored.

    expires_at: from then on it opens nothing, None: never; per_minute: requests, None: any number.
    """

    name: str
    role: str
    is_active: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None = None
    per_minute: int | None = None


KEY_COLUMNS = [schema.api_keys.c[name] for name in ApiKey.__dataclass_fields__]


class KeyStore(Database):
    """Manages API keys."""

    def add_key(
        self, name: str, key_hash: str, role: str, by: str = OPERATOR, *, expires_at: datetime | None = None,
        per_minute: int | None = None,
    ) -> ApiKey:  # fmt: skip
        """Add an active key. Raises NameTaken, BadRole. [by: for the audit chain; per_minute: requests]"""
        now = datetime.now(UTC)
        key = ApiKey(check_text("name", name), checked_role(role), True, now, None, expires_at, per_minute)
        columns = {field: getattr(key, field) for field in ApiKey.__dataclass_fields__}
        limits = {"expires_at": expires_at and expires_at.isoformat(timespec="minutes"), "per_minute": per_minute}
        details = changes({name: value for name, value in limits.items() if value is not None})
        try:
            with self.writing() as connection:
                connection.execute(insert(schema.api_keys).values(columns | {"key_hash": key_hash}))
                added = f"added as {role}{details and f', {details}'}"
                append_row(connection, self.audit_key, KEY, name, by, added)
        except IntegrityError:
            raise NameTaken(f"{name!r} exists already; choose another name.") from None
        return key

    def use_key(self, key_hash: str) -> ApiKey | None:
        """The active key of this hash, with its use recorded (to the minute); None if there is none, or it expired."""
        keys, now = schema.api_keys, datetime.now(UTC)
        is_valid = or_(keys.c.expires_at.is_(None), keys.c.expires_at > now)
        with self.reading() as connection:
            query = select(*KEY_COLUMNS).where(keys.c.key_hash == key_hash, keys.c.is_active, is_valid)
            found = connection.execute(query).mappings().first()
        if found is None:
            return None
        if found["last_used_at"] is None or now - found["last_used_at"] > LAST_USE_STEP:
            with self.writing() as connection:
                connection.execute(update(keys).where(keys.c.name == found["name"]).values(last_used_at=now))
        return ApiKey(**found)

    def list_keys(self) -> list[ApiKey]:
        """All API keys by name, active or not."""
        with self.reading() as connection:
            rows = connection.execute(select(*KEY_COLUMNS).order_by(schema.api_keys.c.name)).mappings().all()
        return [ApiKey(**row) for row in rows]

    def revoke_key(self, name: str, by: str = OPERATOR) -> None:
        """Deactivate a key. Raises NoSuchName. [by: for the audit chain]"""
        keys = schema.api_keys
        with self.writing() as connection:
            if connection.execute(update(keys).where(keys.c.name == name).values(is_active=False)).rowcount == 0:
                raise NoSuchName(f"There is no {name!r}; `flask --app predict users` lists all names.")
            append_row(connection, self.audit_key, KEY, name, by, "is_active: False")
