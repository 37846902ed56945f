"""What is stored of one client, and the deletion of what is older than wanted; both leave an entry in the audit chain.

In:  a client's id, or ages in days; by whom and why.
Out: the rows that name the client; counts of what was deleted, and names of photos whose files are still to be deleted.
"""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from math import isnan
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, select, update

from fairmeter.casework.audit_chain import EXPORT, INSPECTION, PURGE, PURGE_KINDS
from fairmeter.casework.workflow import ClientNotFound, check_why
from fairmeter.store.audit import append_entry, append_row
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import unpack_invoices, unpack_series
from fairmeter.store.engine.paging import check_text

OF_CASES = ("moves", "comments")  # rows of a client's cases, which hold no client id
OF_ALERTS = ("notifications", "alert_actions")


READINGS, PHOTOS, SIGN_INS, SCORES = PURGE_KINDS
TABLES = {READINGS: ("readings", "former_readings"), SIGN_INS: ("logins",), SCORES: ("scores",)}


class Purged(NamedTuple):
    """Rows deleted by kind, and the names of photos that no inspection holds any more."""

    counts: dict[str, int]
    photos: tuple[str, ...]


class RetentionStore(Database):
    """Exports a client, and purges what is old."""

    def export_client(self, client_id: str, user: str, why: str) -> dict[str, list[dict[str, Any]]]:
        """All rows about a client, by table. Raises ClientNotFound, MoveNotAllowed (no reason was given)."""
        _check(why)
        with self.writing() as connection:
            if connection.execute(select(1).where(schema.clients.c.client_id == client_id)).first() is None:
                raise ClientNotFound(f"There is no client {client_id!r}.")
            found = {table.name: _rows(connection, table, client_id) for table in _tables_about_clients()}
            append_entry(connection, self.audit_key, EXPORT, client_id, user, why)
        return {name: rows for name, rows in found.items() if rows}

    def purge(self, days: dict[str, int], user: str, why: str) -> Purged:
        """Delete what is older. [days: ages by kind of PURGE_KINDS] Raises MoveNotAllowed (no reason was given)."""
        _check(why)
        with self.writing() as connection:
            now, photos, counts = datetime.now(UTC), (), {}
            for kind, age in days.items():
                before = now - timedelta(days=age)
                if kind == PHOTOS:
                    photos = self._purge_photos(connection, before.date(), user)
                    counts[kind] = len(photos)
                else:
                    counts[kind] = sum(_delete_before(connection, name, before) for name in TABLES[kind])
                append_entry(connection, self.audit_key, PURGE, kind, user, f"older than {age} days: {why}")
        return Purged(counts, tuple(photos))

    def _purge_photos(self, connection: Connection, before: date, user: str) -> list[str]:
        inspections = schema.inspections.c
        is_old = (inspections.inspected_on < before) & (inspections.photos != "[]")
        found = connection.execute(select(inspections.inspection_id, inspections.photos).where(is_old)).all()
        connection.execute(update(schema.inspections).where(is_old).values(photos="[]"))
        for inspection_id, _ in found:
            append_row(connection, self.audit_key, INSPECTION, inspection_id, user, "photos purged")
        return [name for _, names in found for name in json.loads(names)]


# A reading ages by its moment; all others by when they were written.
AGES_BY = {"readings": "read_at", "former_readings": "read_at", "logins": "at", "scores": "scored_at"}


def _check(why: str) -> None:
    check_why(why)
    check_text("why", why)


def _delete_before(connection: Connection, name: str, before: datetime) -> int:
    column = schema.metadata.tables[name].c[AGES_BY[name]]
    is_local = isinstance(column.type, schema.NaiveDateTime)
    return connection.execute(
        delete(column.table).where(column < (before.replace(tzinfo=None) if is_local else before))
    ).rowcount


# --- one client -------------------------------------------------------------------------------------------------------


def _tables_about_clients() -> Iterable[Table]:
    named = (table for table in schema.metadata.sorted_tables if "client_id" in table.c)
    return (*named, *(schema.metadata.tables[name] for name in (*OF_CASES, *OF_ALERTS)))


def _rows(connection: Connection, table: Table, client_id: str) -> list[dict[str, Any]]:
    if table.name in OF_CASES:
        chosen = table.c.case_id.in_(select(schema.cases.c.case_id).where(schema.cases.c.client_id == client_id))
    elif table.name in OF_ALERTS:
        chosen = table.c.alert_id.in_(select(schema.alerts.c.alert_id).where(schema.alerts.c.client_id == client_id))
    else:
        chosen = table.c.client_id == client_id
    rows = connection.execute(select(table).where(chosen)).mappings()
    return [_readable(dict(row)) for row in rows]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """Plain values: packed columns opened, days and moments as text."""
    if row.get("series_kwh") is not None:
        row["series_kwh"] = unpack_series(row["series_step"], row["series_from"], row["series_kwh"]).kwh.tolist()
    if row.get("invoices") is not None:
        history = unpack_invoices(row["invoices"])
        names, days = history.dtype.names, history["day"].astype("datetime64[D]").tolist()
        row["invoices"] = [
            _plain_values(dict(zip(names, invoice, strict=True)) | {"day": day})
            for invoice, day in zip(history.tolist(), days, strict=True)
        ]
    return _plain_values(row)


def _plain_values(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and isnan(value):
        return None  # JSON has no NaN
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date
