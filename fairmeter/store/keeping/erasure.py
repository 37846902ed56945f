"""Erasing a client: nothing names it any more, and the chains of moves and of audited changes hold.

In:  a client's id; who erases it and why.
Out: ErasedClient. Its cases and inspections stay under a pseudonym, as hit rates and the chains need them.
"""

import json
from secrets import token_hex
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from fairmeter.casework.audit_chain import ERASURE, INSPECTION
from fairmeter.casework.workflow import ClientNotFound, check_why
from fairmeter.store.audit import append_entry, append_row
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.fieldwork_tables import alert_actions, comments, plan_visits, user_notices
from fairmeter.store.engine.paging import check_text

OF_CLIENT = (
    "alerts",
    "readings",
    "former_readings",
    "unjudged",
    "scores",
    "findings",
    "relations",
    "profiles",
    "clients",
)
NOT_IN_CASES = dict.fromkeys(("alert_id", "probability", "region", "category"))
NOT_IN_INSPECTIONS = {"note": "", "photos": "[]", "probability": None, "region": None, "crew": None, "patterns": None}


class ErasedClient(NamedTuple):
    """The pseudonym of an erased client, and the names of its photos, whose files are still to be deleted."""

    pseudonym: str
    photos: tuple[str, ...]


class ErasureStore(Database):
    """Erases clients."""

    def erase_client(self, client_id: str, user: str, why: str) -> ErasedClient:
        """Erase a client. Raises ClientNotFound, MoveNotAllowed (no reason was given)."""
        check_why(why)
        check_text("why", why)
        pseudonym = f"erased-{token_hex(8)}"
        clients, inspections, alerts = schema.clients.c, schema.inspections.c, schema.alerts.c
        with self.writing() as connection:
            found = connection.execute(select(clients).where(clients.client_id == client_id).with_for_update()).first()
            if found is None:
                raise ClientNotFound(f"There is no client {client_id!r}.")
            visits = connection.execute(
                select(inspections.inspection_id, inspections.photos).where(inspections.client_id == client_id)
            ).all()
            connection.execute(insert(schema.clients).values(client_id=pseudonym))
            _delete_words(connection, client_id)
            self._rename(connection, client_id, pseudonym)
            own_alerts = select(alerts.alert_id).where(alerts.client_id == client_id)
            connection.execute(
                delete(schema.notifications).where(schema.notifications.c.alert_id.in_(own_alerts.scalar_subquery()))
            )
            for name in OF_CLIENT:
                table = schema.metadata.tables[name]
                connection.execute(delete(table).where(table.c.client_id == client_id))
            for inspection_id, _ in visits:
                append_row(connection, self.audit_key, INSPECTION, inspection_id, user, "erased")
            append_entry(connection, self.audit_key, ERASURE, pseudonym, user, why)
        return ErasedClient(pseudonym, tuple(name for _, photos in visits for name in json.loads(photos)))

    @staticmethod
    def _rename(connection: Connection, client_id: str, pseudonym: str) -> None:
        changed_tables = (schema.cases, NOT_IN_CASES), (schema.inspections, NOT_IN_INSPECTIONS), (plan_visits, {})
        for table, changes in changed_tables:
            changed = update(table).where(table.c.client_id == client_id)
            connection.execute(changed.values(client_id=pseudonym, **changes))


def _delete_words(connection: Connection, client_id: str) -> None:
    """Delete what users wrote about the client's cases and alerts, and the notices of it."""
    own_cases = select(schema.cases.c.case_id).where(schema.cases.c.client_id == client_id).scalar_subquery()
    own_alerts = select(schema.alerts.c.alert_id).where(schema.alerts.c.client_id == client_id).scalar_subquery()
    of_client = user_notices.c.case_id.in_(own_cases) | user_notices.c.alert_id.in_(own_alerts)
    connection.execute(delete(user_notices).where(of_client))
    connection.execute(delete(comments).where(comments.c.case_id.in_(own_cases)))
    connection.execute(delete(alert_actions).where(alert_actions.c.alert_id.in_(own_alerts)))
