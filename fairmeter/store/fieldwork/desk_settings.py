"""What admins set at the desk: values by name.

In:  names and values that JSON can hold.
Out: DeskValue.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select

from fairmeter.casework.audit_chain import SETTING
from fairmeter.store.audit import append_entry
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import desk_settings


class DeskValue(NamedTuple):
    """A value with who set it and when."""

    value: Any
    changed_by: str
    changed_at: datetime


class DeskSettingStore(Database):
    """Keeps settings of the desk."""

    def desk_values(self) -> dict[str, DeskValue]:
        """All values that are set, by name."""
        with self.reading() as connection:
            rows = connection.execute(select(desk_settings)).all()
        return {row.name: DeskValue(json.loads(row.value), row.changed_by, row.changed_at) for row in rows}

    def set_desk_values(self, values: Mapping[str, Any], user: str) -> None:
        """Set values; None removes one. What changes is in the audit chain; what is as before keeps who set it."""
        now = datetime.now(UTC)
        with self.writing() as connection:
            before = {row.name: row.value for row in connection.execute(select(desk_settings).with_for_update())}
            wanted = {name: None if value is None else json.dumps(value) for name, value in values.items()}
            changed = {name: text for name, text in sorted(wanted.items()) if before.get(name) != text}
            connection.execute(delete(desk_settings).where(desk_settings.c.name.in_(changed)))
            of_now = {"changed_by": user, "changed_at": now}
            rows = [{"name": name, "value": text} | of_now for name, text in changed.items() if text is not None]
            if rows:
                connection.execute(insert(desk_settings), rows)
            for name, text in changed.items():
                append_entry(connection, self.audit_key, SETTING, name, user, "not set" if text is None else text)
