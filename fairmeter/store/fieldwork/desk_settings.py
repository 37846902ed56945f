"""What admins set at the desk: values by name.

In:  names and values that JSON can hold.
Out: DeskValue.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select

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
        """Set values; None removes one."""
        now = datetime.now(UTC)
        kept = [(name, json.dumps(value)) for name, value in sorted(values.items()) if value is not None]
        rows = [{"name": name, "value": text, "changed_by": user, "changed_at": now} for name, text in kept]
        with self.writing() as connection:
            connection.execute(delete(desk_settings).where(desk_settings.c.name.in_(sorted(values))))
            if rows:
                connection.execute(insert(desk_settings), rows)
