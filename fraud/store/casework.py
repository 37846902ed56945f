"""Cases, their moves and what inspections found.

In:  who does what with which case, and which version of it they saw.
Out: Case, Move, Inspection; CaseTaken where somebody was first. Each change is one transaction with its move.
"""

import json
from datetime import UTC, date, datetime

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

import fraud.store.schema as schema
from fraud import cases as rules
from fraud.cases import ClientHasCase
from fraud.records import Broken, Case, Inspection, Move
from fraud.store.database import Database
from fraud.store.paging import Order, Page, by_moment, check_text, chosen, page_of

CHAIN_LOCK = 0x66616972  # of PostgreSQL's advisory locks: who appends to the chain
CASE_FIELDS = [schema.cases.c[name] for name in Case.__dataclass_fields__]
CASE_ORDERS = {
    "id": Order(schema.cases.c.case_id),
    "severity": Order(schema.cases.c.by_severity),
    "updated": by_moment(schema.cases.c.updated_at),
}
INSPECTION_ORDERS = {"date": Order(schema.inspections.c.inspected_on, True, date.isoformat, date.fromisoformat)}


class Casework(Database):
    """What people do with clients."""

    def open_case(
        self, client_id: str, user: str, why: str, *, assignee: str | None = None, is_random: bool = False
    ) -> Case:
        """A new case (assigned at once where an assignee is given); the client's open alert goes into it.

        Raises ClientNotFound, ClientHasCase (with the case that is open), MoveNotAllowed.
        """
        rules.check_why(why)
        check_text("why", why)
        now = datetime.now(UTC)
        try:
            with self.writing() as connection:
                case = self._opened(connection, client_id, user, is_random, now)
                case = self._append(connection, case, rules.NEW, user, why, None, now)
                if assignee:
                    case = self._append(connection, case, rules.ASSIGNED, user, why, assignee, now)
        except IntegrityError:
            raise self._has_case(client_id) from None
        return case

    def move_case(
        self, case_id: int, to: str, user: str, why: str, *, version: int | None = None, assignee: str | None = None
    ) -> Case:
        """The case after the move. version: of the case as the caller saw it; None means whatever it is now.

        Raises CaseNotFound, CaseTaken (somebody moved it since; says who has it), MoveNotAllowed.
        """
        check_text("why", why)
        with self.writing() as connection:
            case = self._seen(connection, case_id, version)
            rules.check_move(case.state, to, why, assignee)
            return self._append(connection, case, to, user, why, assignee, datetime.now(UTC))

    def record_inspection(
        self,
        case_id: int,
        outcome: str,
        inspected_on: date,
        user: str,
        *,
        version: int | None = None,
        note: str = "",
        recovered_kwh: float | None = None,
        recovered_value: float | None = None,
        photos: tuple[str, ...] = (),
    ) -> Inspection:
        """What the visit found; it closes the case with that outcome.

        Raises CaseNotFound, CaseTaken, MoveNotAllowed (no such outcome, or the case is not inspecting).
        """
        check_text("note", note)
        now = datetime.now(UTC)
        with self.writing() as connection:
            case = self._seen(connection, case_id, version)
            rules.check_outcome(case.state, outcome)
            case = self._append(
                connection, case, rules.CLOSED, user, note or f"Inspected: {outcome}.", case.assignee, now, outcome
            )
            known = connection.execute(select(schema.cases).where(schema.cases.c.case_id == case_id)).mappings().one()
            columns = {
                "case_id": case_id, "client_id": case.client_id, "inspected_on": inspected_on, "outcome": outcome,
                "user": user, "is_random": case.is_random, "recorded_at": now, "note": note,
                "recovered_kwh": recovered_kwh, "recovered_value": recovered_value, "photos": json.dumps(photos),
                **{name: known[name] for name in ("severity", "probability", "reason_group", "region")},
            }  # fmt: skip
            made = connection.execute(insert(schema.inspections).values(columns)).inserted_primary_key[0]
        return inspection_of({"inspection_id": made, **columns})

    def find_case(self, case_id: int) -> Case | None:
        with self.reading() as connection:
            return _case(connection, case_id)

    def open_case_of(self, client_id: str) -> Case | None:
        """The client's open case, if any."""
        query = select(*CASE_FIELDS).where(schema.cases.c.client_id == client_id, schema.cases.c.state != rules.CLOSED)
        with self.reading() as connection:
            found = connection.execute(query).mappings().first()
        return found and Case(**found)

    def list_cases(
        self,
        *,
        state: str | None = None,
        assignee: str | None = None,
        severity: str | None = None,
        region: float | None = None,
        client_id: str | None = None,
        sort: str = "id",
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """A page of cases; sort: id (newest first), severity, updated. Raises BadQuery."""
        given = {"state": state, "assignee": assignee, "severity": severity, "region": region, "client_id": client_id}
        query = select(*CASE_FIELDS, schema.cases.c.by_severity)
        for name, value in given.items():
            if value is not None:
                query = query.where(schema.cases.c[name] == value)
        with self.reading() as connection:
            order = chosen(sort, CASE_ORDERS)
            return page_of(connection, query, order, schema.cases.c.case_id, case_of, limit, after)

    def moves_of(self, case_id: int) -> list[Move]:
        """A case's moves, the first one first."""
        query = select(schema.moves).where(schema.moves.c.case_id == case_id).order_by(schema.moves.c.seq)
        with self.reading() as connection:
            return [Move(**row) for row in connection.execute(query).mappings()]

    def list_inspections(
        self,
        *,
        since: date | None = None,
        until: date | None = None,
        client_id: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """A page of inspections, the newest visits first; both days included. Raises BadQuery."""
        table = schema.inspections
        query = select(table)
        if since is not None:
            query = query.where(table.c.inspected_on >= since)
        if until is not None:
            query = query.where(table.c.inspected_on <= until)
        if client_id is not None:
            query = query.where(table.c.client_id == client_id)
        with self.reading() as connection:
            order = INSPECTION_ORDERS["date"]
            return page_of(connection, query, order, table.c.inspection_id, inspection_of, limit, after)

    def inspections(self) -> list[Inspection]:
        """All inspections, the oldest visit first: for hit rates and labels (outcomes.py)."""
        table = schema.inspections
        query = select(table).order_by(table.c.inspected_on, table.c.inspection_id)
        with self.reading() as connection:
            return [inspection_of(row) for row in connection.execute(query).mappings()]

    def count_cases(self) -> dict[str, int]:
        """How many cases each state has."""
        query = select(schema.cases.c.state, func.count()).group_by(schema.cases.c.state)
        with self.reading() as connection:
            return dict.fromkeys(rules.MOVES, 0) | dict(connection.execute(query).tuples().all())

    def verify_chain(self) -> Broken | None:
        """The first move that was changed, left out or put in after it was written; None where all stand."""
        with self.reading() as connection:
            rows = connection.execution_options(yield_per=1000).execute(
                select(schema.moves).order_by(schema.moves.c.seq)
            )
            return rules.first_broken(Move(**row) for row in rows.mappings())

    # --- within a transaction -----------------------------------------------------------------------------------------

    def _opened(self, connection: Connection, client_id: str, user: str, is_random: bool, now: datetime) -> Case:
        """The row of a new case, before its first move."""
        raise NotImplementedError

    def _append(
        self, connection: Connection, case: Case, to: str, user: str, why: str, assignee: str | None, now: datetime,
        outcome: str | None = None,
    ) -> Case:  # fmt: skip
        """Writes a move and the case after it."""
        raise NotImplementedError

    def _seen(self, connection: Connection, case_id: int, version: int | None) -> Case:
        raise NotImplementedError

    def _has_case(self, client_id: str) -> ClientHasCase:
        raise NotImplementedError


def _case(connection: Connection, case_id: int) -> Case | None:
    found = connection.execute(select(*CASE_FIELDS).where(schema.cases.c.case_id == case_id)).mappings().first()
    return found and Case(**found)


def case_of(row) -> Case:
    return Case(**{name: row[name] for name in Case.__dataclass_fields__})


def inspection_of(row) -> Inspection:
    return Inspection(**{**row, "photos": tuple(json.loads(row["photos"]))})
