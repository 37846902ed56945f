"""Cases, their moves and inspections.

In:  the user, the change, the case, and the version of the case that the user saw.
Out: Case, Move, Inspection; CaseTaken if another user was faster. Each change is one transaction with its move.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from fairmeter.casework import workflow as rules
from fairmeter.casework.alert_rules import IN_CASE, OPEN, RANKS
from fairmeter.casework.audit_chain import INSPECTION, MOVE
from fairmeter.casework.types import Case, Inspection, Move
from fairmeter.casework.workflow import CaseNotFound, CaseTaken, ClientHasCase, ClientNotFound
from fairmeter.core.types import INSUFFICIENT_HISTORY
from fairmeter.store.audit import append_row, lock_chain
from fairmeter.store.engine import schema
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import (
    Order,
    Page,
    by_moment,
    check_text,
    conditions,
    equality_filters,
    order_named,
    page_of,
)
from fairmeter.store.engine.schema import alerts, cases, clients, moves, profiles
from fairmeter.store.fieldwork.crews import check_assignee
from fairmeter.store.fieldwork.notices import notify_assigned

CASE_DATES = ("planned_on", "crew", "revisit_on")
NOTED = ("fraud_type", "seal", "index_read", "sent_key")  # what a crew may note at a visit
CASE_FIELDS = [cases.c[name] for name in Case.__dataclass_fields__]
CASE_ORDERS = {
    "id": Order((cases.c.case_id,)),
    "severity": Order((cases.c.by_severity,)),
    "updated": by_moment(cases.c.updated_at),
}
CASE_FILTERS = {
    **equality_filters(*(cases.c[name] for name in ("state", "assignee", "severity", "region", "client_id", "crew"))),
    **equality_filters(cases.c.planned_on),
    "assigned_to": lambda names: cases.c.assignee.in_(list(names)),
    "is_open": lambda is_open: (cases.c.state != rules.CLOSED) if is_open else (cases.c.state == rules.CLOSED),
    "due_until": lambda day: func.coalesce(cases.c.planned_on, cases.c.revisit_on) <= day,
}
INSPECTION_FILTERS = {
    **equality_filters(schema.inspections.c.client_id),
    "since": lambda day: schema.inspections.c.inspected_on >= day,
    "until": lambda day: schema.inspections.c.inspected_on <= day,
}
INSPECTION_ORDERS = {"date": Order((schema.inspections.c.inspected_on,), True, date.isoformat, date.fromisoformat)}


class CaseStore(Database):
    """Opens, moves and closes cases."""

    def open_case(
        self, client_id: str, user: str, why: str, *, assignee: str | None = None, is_random: bool = False
    ) -> Case:
        """Open a case, assigned at once if an assignee is given; the client's open alert becomes part of it.

        Raises ClientNotFound, ClientHasCase (with the open case), MoveNotAllowed.
        """
        rules.check_why(why)
        check_text("why", why)
        now = datetime.now(UTC)
        with self._one_open_case(client_id), self.writing() as connection:
            if assignee:
                check_assignee(connection, assignee, user)
            case = self._opened(connection, client_id, user, is_random, now)
            case = self._append(connection, case, rules.NEW, user, why, None, now)
            if not assignee:
                return case
            case = self._append(connection, case, rules.ASSIGNED, user, why, assignee, now)
            notify_assigned(connection, assignee, user, now, case_id=case.case_id)
            return case

    def move_case(
        self, case_id: int, to: str, user: str, why: str, *, version: int | None = None, assignee: str | None = None,
        planned_on: date | None = None, crew: str | None = None,
    ) -> Case:  # fmt: skip
        """Move a case to another state, and return it. version: the version that the caller saw; None: any.

        An assigned case goes to another assignee, day or crew only by its version; a closed one is opened again by
        "new" or "assigned". planned_on, crew: of the visit, for "assigned".
        Raises CaseNotFound, CaseTaken (moved by another user since; names the assignee), ClientHasCase, BadDay,
        MoveNotAllowed.
        """
        check_text("why", why)
        if planned_on is not None:
            rules.check_day_ahead("planned_on", planned_on)
        before = self.find_case(case_id)
        with self._one_open_case(before and before.client_id), self.writing() as connection:
            case = self._loaded(connection, case_id, version)
            if to == rules.ASSIGNED and case.state in (rules.ASSIGNED, rules.INSPECTING) and version is None:
                raise case_taken_error(case)
            rules.check_move(case.state, to, why, assignee)
            now, new_assignee = datetime.now(UTC), {rules.ASSIGNED: assignee, rules.NEW: None}.get(to, case.assignee)
            planned = {"planned_on": planned_on, "crew": crew} if to == rules.ASSIGNED else {}
            if to == case.state == rules.ASSIGNED and planned_on is None:
                planned["revisit_on"] = case.revisit_on  # another takes it over, with the day to come back
            if to == rules.ASSIGNED:
                check_assignee(connection, assignee, user)
                notify_assigned(connection, assignee, user, now, case_id=case_id)
            return self._append(connection, case, to, user, why, new_assignee, now, **planned)

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
        revisit_on: date | None = None,
        **noted: Any,
    ) -> Inspection:
        """Record the outcome of a visit, which closes the case, unless nobody had access.

        revisit_on: the day to come back, after no_access (left out: REVISIT_DAYS later) or a refusal; the case then
        stays open. noted, each optional: fraud_type, seal, index_read, sent_key. Raises CaseNotFound, CaseTaken,
        BadDay, MoveNotAllowed (unknown outcome, or the case is not in state inspecting).
        """
        check_text("note", note)
        rules.check_visit_day(inspected_on)
        now, why = datetime.now(UTC), note or f"Inspected: {outcome}."
        with self.writing() as connection:
            case = self._loaded(connection, case_id, version)
            rules.check_outcome(case.state, outcome)
            stored = _first(connection, select(cases).where(cases.c.case_id == case_id))
            self._append_outcome(connection, case, outcome, inspected_on, revisit_on, user, why, now)
            of_client = profiles.c.client_id == case.client_id
            columns = {
                "case_id": case_id, "client_id": case.client_id, "inspected_on": inspected_on, "outcome": outcome,
                "user": user, "is_random": case.is_random, "recorded_at": now, "note": note,
                "recovered_kwh": recovered_kwh, "recovered_value": recovered_value, "photos": json.dumps(photos),
                **{name: stored[name] for name in ("severity", "probability", "reason_group", "region", "crew")},
                "patterns": connection.scalar(select(profiles.c.patterns).where(of_client)),
                **{name: noted.get(name) for name in NOTED},
            }  # fmt: skip
            new_id = connection.execute(insert(schema.inspections).values(columns)).inserted_primary_key[0]
            append_row(connection, self.audit_key, INSPECTION, new_id, user, outcome)
        return inspection_of({"inspection_id": new_id, **columns})

    def correct_inspection(
        self, inspection_id: int, user: str, why: str, *, outcome: str | None = None, inspected_on: date | None = None,
        revisit_on: date | None = None,
    ) -> Inspection:  # fmt: skip
        """Correct the outcome or the day of a recorded visit; the audit chain keeps what it was before, and why.

        The case of the last visit follows, as if the visit had ended so: a confirmed one may be opened again by
        no_access, one without access be closed. Raises CaseNotFound, ClientHasCase, BadDay, MoveNotAllowed.
        """
        rules.check_why(why)
        check_text("why", why)
        table, now = schema.inspections, datetime.now(UTC)
        before = self.find_inspection(inspection_id)
        if before is None:
            raise CaseNotFound(f"There is no inspection {inspection_id}.")
        outcome, day = outcome or before.outcome, inspected_on or before.inspected_on
        rules.check_outcome(rules.INSPECTING, outcome)
        rules.check_visit_day(day)
        with self._one_open_case(before.client_id), self.writing() as connection:
            changed = update(table).where(table.c.inspection_id == inspection_id)
            connection.execute(changed.values(outcome=outcome, inspected_on=day))
            what = {"outcome": [before.outcome, outcome], "inspected_on": [str(before.inspected_on), str(day)]}
            details = json.dumps({name: pair for name, pair in what.items() if pair[0] != pair[1]} | {"why": why})
            append_row(connection, self.audit_key, INSPECTION, inspection_id, user, details)
            case = before.case_id and _case(connection, before.case_id)
            if case and case.outcome is not None and _is_last_visit(connection, inspection_id, case.case_id):
                self._append_outcome(connection, case, outcome, day, revisit_on, user, why, now)
        return replace(before, outcome=outcome, inspected_on=day)

    def has_visit(self, sent_key: str) -> bool:
        """Whether the visit that a phone gave this key is recorded."""
        query = select(schema.inspections.c.inspection_id).where(schema.inspections.c.sent_key == sent_key)
        with self.reading() as connection:
            return connection.execute(query).first() is not None

    def find_inspection(self, inspection_id: int) -> Inspection | None:
        """The inspection of this number, if any."""
        if not 0 < inspection_id <= schema.MAX_ID:
            return None
        query = select(schema.inspections).where(schema.inspections.c.inspection_id == inspection_id)
        with self.reading() as connection:
            found = _first(connection, query)
        return found and inspection_of(found)

    def record_recovery(self, inspection_id: int, user: str, kwh: float | None, value: float | None = None) -> None:
        """Record the energy and money billed after a visit, once they are known. Raises CaseNotFound."""
        table = schema.inspections
        changed = update(table).where(table.c.inspection_id == inspection_id)
        with self.writing() as connection:
            if connection.execute(changed.values(recovered_kwh=kwh, recovered_value=value)).rowcount != 1:
                raise CaseNotFound(f"There is no inspection {inspection_id}.")
            append_row(connection, self.audit_key, INSPECTION, inspection_id, user, "recovery")

    def find_case(self, case_id: int) -> Case | None:
        """The case with this id, if any."""
        with self.reading() as connection:
            return _case(connection, case_id)

    def open_case_of(self, client_id: str) -> Case | None:
        """The client's open case, if any."""
        query = select(*CASE_FIELDS).where(cases.c.client_id == client_id, cases.c.state != rules.CLOSED)
        with self.reading() as connection:
            found = connection.execute(query).mappings().first()
        return found and Case(**found)

    def open_cases_of(self, client_ids: Sequence[str]) -> dict[str, Case]:
        """The open cases of some clients, by client."""
        query = select(*CASE_FIELDS).where(cases.c.client_id.in_(client_ids), cases.c.state != rules.CLOSED)
        with self.reading() as connection:
            return {row["client_id"]: Case(**row) for row in connection.execute(query).mappings()}

    def list_cases(self, *, sort: str = "id", limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of cases; sort: id (newest first), severity, updated. Raises BadQuery.

        filters, each optional: state, assignee, severity, region, client_id, crew, planned_on, assigned_to (names),
        is_open, due_until (planned or to come back until that day).
        """
        query = select(*CASE_FIELDS, cases.c.by_severity).where(*conditions(filters, CASE_FILTERS))
        with self.reading() as connection:
            order = order_named(sort, CASE_ORDERS)
            return page_of(connection, query, order, cases.c.case_id, case_of, limit, after)

    def moves_of(self, case_id: int) -> list[Move]:
        """The moves of a case, oldest first."""
        query = select(moves).where(moves.c.case_id == case_id).order_by(moves.c.seq)
        with self.reading() as connection:
            return [Move(**row) for row in connection.execute(query).mappings()]

    def list_inspections(self, *, limit: int = 50, after: str | None = None, **filters) -> Page:
        """A page of inspections, newest visits first. Raises BadQuery.

        filters, each optional: since, until (both inclusive), client_id.
        """
        table = schema.inspections
        query = select(table).where(*conditions(filters, INSPECTION_FILTERS))
        with self.reading() as connection:
            order = INSPECTION_ORDERS["date"]
            return page_of(connection, query, order, table.c.inspection_id, inspection_of, limit, after)

    def inspections(self) -> list[Inspection]:
        """All inspections, oldest visit first: for hit rates and labels (casework/hit_rates.py)."""
        table = schema.inspections
        query = select(table).order_by(table.c.inspected_on, table.c.inspection_id)
        with self.reading() as connection:
            return [inspection_of(row) for row in connection.execute(query).mappings()]

    def count_listed_cases(self, **filters) -> int:
        """Number of cases that list_cases lists with the same filters. Raises BadQuery."""
        query = select(func.count()).select_from(cases).where(*conditions(filters, CASE_FILTERS))
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def count_cases(self) -> dict[str, int]:
        """Number of cases by state."""
        query = select(cases.c.state, func.count()).group_by(cases.c.state)
        with self.reading() as connection:
            return dict.fromkeys(rules.MOVES, 0) | dict(connection.execute(query).all())

    def cases_by_id(self, case_ids: Collection[int]) -> dict[int, Case]:
        """Some cases, by their numbers."""
        query = select(*CASE_FIELDS).where(cases.c.case_id.in_(sorted(case_ids)))
        with self.reading() as connection:
            return {row["case_id"]: Case(**row) for row in connection.execute(query).mappings()}

    # --- within a transaction -----------------------------------------------------------------------------------------

    @contextmanager
    def _one_open_case(self, client_id: str | None) -> Iterator[None]:
        """Translate a second open case of a client into ClientHasCase."""
        try:
            yield
        except IntegrityError:
            before = client_id and self.open_case_of(client_id)
            if not before:
                raise
            who = f"; {before.assignee} has it" if before.assignee else ""
            message = f"Client {client_id!r} has an open case already, number {before.case_id}{who}."
            raise ClientHasCase(message, before) from None

    def _append_outcome(
        self, connection: Connection, case: Case, outcome: str, day: date, revisit_on: date | None, user: str,
        why: str, now: datetime,
    ) -> Case:  # fmt: skip
        """Append the move that a visit's outcome makes: closed, or open with a day to come back."""
        to = rules.state_after(outcome, revisit_on)
        if to == rules.CLOSED:
            return self._append(connection, case, to, user, why, case.assignee, now, outcome)
        if revisit_on is not None:
            rules.check_day_ahead("revisit_on", revisit_on)
        revisit_on = revisit_on or day + timedelta(days=rules.REVISIT_DAYS)
        dates = {"planned_on": None, "crew": None, "revisit_on": revisit_on}
        return self._append(connection, case, to, user, why, case.assignee, now, outcome, **dates)

    def _opened(self, connection: Connection, client_id: str, user: str, is_random: bool, now: datetime) -> Case:
        """Insert a new case, before its first move."""
        if not connection.execute(select(clients.c.client_id).where(clients.c.client_id == client_id)).first():
            raise ClientNotFound(f"There is no client {client_id!r}. Score it or load its readings first.")
        # Locked until the case is committed, so that no run raises an alert meanwhile.
        profile = _first(connection, select(profiles).where(profiles.c.client_id == client_id).with_for_update())
        alert = _first(connection, select(alerts).where(alerts.c.client_id == client_id, alerts.c.state == OPEN))
        severity = (alert or profile or {"severity": INSUFFICIENT_HISTORY})["severity"]
        columns = {
            "client_id": client_id, "alert_id": alert and alert["alert_id"], "state": rules.NEW, "version": 0,
            "severity": severity, "by_severity": RANKS[severity], "is_random": is_random,
            **{name: profile and profile[name] for name in ("probability", "reason_group", "region", "category")},
            "opened_by": user, "opened_at": now, "updated_at": now,
        }  # fmt: skip
        case_id = connection.execute(insert(cases).values(columns)).inserted_primary_key[0]
        if alert:
            closing = update(alerts).where(alerts.c.alert_id == alert["alert_id"])
            connection.execute(closing.values(state=IN_CASE, updated_at=now))
        return _case(connection, case_id)

    def _append(
        self, connection: Connection, case: Case, to: str, user: str, why: str, assignee: str | None, now: datetime,
        outcome: str | None = None, **dates: Any,
    ) -> Case:  # fmt: skip
        """Append a move to the chain, and return the case after it.

        dates: planned_on, crew, revisit_on, where they change. A case on its way keeps its plan, all others lose it.
        """
        kept = {"planned_on": case.planned_on, "crew": case.crew} if to == rules.INSPECTING else {}
        dates = dict.fromkeys(CASE_DATES) | kept | dates
        if to == rules.CLOSED and self.four_eyes:
            _require_another(connection, case, user)
        lock_chain(connection)
        last = _first(connection, select(moves.c.seq, moves.c.hash).order_by(moves.c.seq.desc()).limit(1))
        move = Move(
            (last["seq"] if last else 0) + 1, case.case_id, case.version + 1, case.state if case.version else None, to,
            user, why, assignee, outcome, now, last["hash"] if last else rules.FIRST_HASH, "",
        )  # fmt: skip
        connection.execute(insert(moves).values(asdict(replace(move, hash=rules.move_hash(move)))))
        append_row(connection, self.audit_key, MOVE, move.seq, user)
        changed = {
            "state": to, "version": move.version, "assignee": assignee, "outcome": outcome, "updated_at": now,
            "closed_at": now if to == rules.CLOSED else None, **dates,
        }  # fmt: skip
        is_unchanged = (cases.c.case_id == case.case_id) & (cases.c.version == case.version)
        if connection.execute(update(cases).where(is_unchanged).values(changed)).rowcount != 1:
            raise case_taken_error(_case(connection, case.case_id))
        return replace(case, **changed)

    def _loaded(self, connection: Connection, case_id: int, version: int | None) -> Case:
        """The case, locked by this transaction, if its version is still the one that the caller saw."""
        case = _case(connection, case_id)
        if case is None:
            raise CaseNotFound(f"There is no case {case_id}.")
        if version is not None and version != case.version:
            raise case_taken_error(case)
        return case


def _require_another(connection: Connection, case: Case, user: str) -> None:
    """Raise FourEyesNeeded unless another user took part in the case since it was last opened."""
    of_case = moves.c.case_id == case.case_id
    closed = select(func.max(moves.c.version)).where(of_case, moves.c.to_state == rules.CLOSED).scalar_subquery()
    others = select(moves.c.seq).where(of_case, moves.c.version > func.coalesce(closed, 0), moves.c.user != user)
    if connection.execute(others.limit(1)).first() is None:
        raise rules.FourEyesNeeded(
            "Nobody closes a case alone here: let another user assign it to you, or record the outcome."
        )


def case_taken_error(case: Case) -> CaseTaken:
    """The error that a case was changed by another user."""
    who = f"{case.assignee} has it" if case.assignee else "it is not assigned"
    since = f"{case.updated_at:%Y-%m-%d %H:%M} UTC"
    found = f"it is {case.state} since {since}, and {who}"
    return CaseTaken(f"Case {case.case_id} has changed since you loaded it: {found}. Load it again.", case)


def _first(connection: Connection, query: Select) -> RowMapping | None:
    return connection.execute(query).mappings().first()


def _case(connection: Connection, case_id: int) -> Case | None:
    """The case with this id; on PostgreSQL locked until the end of a writing transaction (SQLite locks all rows)."""
    if not 0 < case_id <= schema.MAX_ID:
        return None
    query = select(*CASE_FIELDS).where(cases.c.case_id == case_id)
    is_writing = connection.get_execution_options().get("is_writing")
    found = _first(connection, query.with_for_update() if is_writing else query)
    return found and Case(**found)


def case_of(row) -> Case:
    return Case(**{name: row[name] for name in Case.__dataclass_fields__})


def inspection_of(row) -> Inspection:
    patterns = tuple((row["patterns"] or "").strip("|").split("|")) if row["patterns"] else ()
    return Inspection(**{**row, "photos": tuple(json.loads(row["photos"])), "patterns": patterns})


def _is_last_visit(connection: Connection, inspection_id: int, case_id: int) -> bool:
    table = schema.inspections.c
    return connection.scalar(select(func.max(table.inspection_id)).where(table.case_id == case_id)) == inspection_id
