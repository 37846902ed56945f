"""Plans: the visits of a crew on a day. A draft changes nothing else; publishing it plans the cases of its clients.

In:  a day; visits by crew, in order; the versions that the caller saw.
Out: Plan; PublishedPlan. On a day a client is in one plan at most.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Select, delete, insert, select, update

from fairmeter.casework import workflow as rules
from fairmeter.casework.audit_chain import PLAN
from fairmeter.casework.types import Case, Plan, PlanVisit
from fairmeter.casework.workflow import ClientNotFound, check_day_ahead
from fairmeter.store.audit import append_entry
from fairmeter.store.cases import CaseStore, case_of
from fairmeter.store.engine.database import StoreError, ValueOutOfRange
from fairmeter.store.engine.fieldwork_tables import crews, plan_visits, plans
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import MAX_ID, cases, clients
from fairmeter.store.fieldwork.crews import NoSuchCrew

MAX_VISITS = 200  # in one plan
PLAN_COLUMNS = [plans.c[name] for name in Plan.__dataclass_fields__ if name not in ("crew", "visits")]
WITH_CREWS = select(*PLAN_COLUMNS, crews.c.name.label("crew")).join(crews, crews.c.crew_id == plans.c.crew_id)


class NoSuchPlan(StoreError):
    """No plan has this number."""


class PlanChanged(StoreError):
    """Another user changed the plan since the caller read it, or plans one of its clients elsewhere."""


class PublishedPlan(NamedTuple):
    """A plan after its publication, and why some of its clients were not planned, by client."""

    plan: Plan
    refused: dict[str, str]


class PlanStore(CaseStore):
    """Keeps plans."""

    def list_plans(self, since: date, until: date, crew_id: int | None = None) -> list[Plan]:
        """The plans of a period with their visits, by day and crew. [both days inclusive]"""
        query = WITH_CREWS.where(plans.c.planned_on >= since, plans.c.planned_on <= until)
        query = query if crew_id is None else query.where(plans.c.crew_id == crew_id)
        with self.reading() as connection:
            return _plans(connection, query.order_by(plans.c.planned_on, crews.c.name))

    def find_plan(self, plan_id: int) -> Plan | None:
        """The plan of this number with its visits, if any."""
        with self.reading() as connection:
            return _plan(connection, plan_id)

    def save_plans(
        self,
        planned_on: date,
        visits: Mapping[int, Sequence[PlanVisit]],
        user: str,
        *,
        versions: Mapping[int, int] | None = None,
        notes: Mapping[int, str] | None = None,
    ) -> list[Plan]:
        """Make or replace the plans of some crews for a day, in one transaction, so that visits may change crews.

        visits: in order, by crew_id; versions: of the plans that the caller saw, by crew_id; notes: for the crews.
        A published plan that changes is a draft again; cases of clients that it loses are planned no more.
        Raises NoSuchCrew, ClientNotFound, PlanChanged, BadDay, ValueOutOfRange.
        """
        check_day_ahead("planned_on", planned_on)
        _check_visits(visits)
        now = datetime.now(UTC)
        with self.writing() as connection:
            before = {plan.crew_id: plan for plan in _of_day(connection, planned_on)}
            _check_clients(connection, visits)
            for crew_id in sorted(visits):
                _check_version(before.get(crew_id), (versions or {}).get(crew_id))
                note = (notes or {}).get(crew_id)
                plan_id = _write_plan(connection, before.get(crew_id), planned_on, crew_id, note, user, now)
                self._replace_visits(connection, plan_id, before.get(crew_id), visits[crew_id], user, now)
            found = _of_day(connection, planned_on)
            _check_once(found)
        return [plan for plan in found if plan.crew_id in visits]

    def publish_plan(self, plan_id: int, user: str) -> PublishedPlan:
        """Publish a plan: its crew has its visits on the phone, its clients are planned.

        A client without an open case gets one. A client in a visit just now is refused and stays in the plan.
        Raises NoSuchPlan, StoreUnavailable.
        """
        now, refused = datetime.now(UTC), {}
        with self.writing() as connection:
            plan = _found(connection, plan_id)
            for visit in plan.visits:
                case = self._planned_case(connection, plan, visit, user, now)
                if isinstance(case, str):
                    refused[visit.client_id] = case
                    continue
                of_visit = (plan_visits.c.plan_id == plan_id) & (plan_visits.c.client_id == visit.client_id)
                connection.execute(update(plan_visits).where(of_visit).values(case_id=case.case_id))
            published = {"published_at": now, "published_by": user, "updated_at": now, "version": plan.version + 1}
            connection.execute(update(plans).where(plans.c.plan_id == plan_id).values(published))
            what = f"{plan.planned_on}, crew {plan.crew}: {len(plan.visits) - len(refused)} visits"
            append_entry(connection, self.audit_key, PLAN, str(plan_id), user, what)
            return PublishedPlan(_found(connection, plan_id), refused)

    def delete_plan(self, plan_id: int, user: str) -> None:
        """Delete a plan; cases of a published one are planned no more. Raises NoSuchPlan."""
        with self.writing() as connection:
            plan = _found(connection, plan_id)
            self._replace_visits(connection, plan_id, plan, (), user, datetime.now(UTC))
            connection.execute(delete(plans).where(plans.c.plan_id == plan_id))

    # --- within a transaction -----------------------------------------------------------------------------------------

    def _replace_visits(
        self, connection: Connection, plan_id: int, before: Plan | None, visits: Sequence[PlanVisit], user: str,
        now: datetime,
    ) -> None:  # fmt: skip
        kept = {visit.client_id for visit in visits}
        old = {visit.client_id: visit for visit in before.visits} if before else {}
        for visit in old.values():
            if visit.client_id not in kept and visit.case_id:
                self._unplan(connection, before, visit.case_id, user, now)
        connection.execute(delete(plan_visits).where(plan_visits.c.plan_id == plan_id))
        rows = [
            {
                "plan_id": plan_id, "client_id": one.client_id, "position": position, "is_fixed": one.is_fixed,
                "is_random": one.is_random, "case_id": old[one.client_id].case_id if one.client_id in old else None,
            }
            for position, one in enumerate(visits, 1)
        ]  # fmt: skip
        if rows:
            connection.execute(insert(plan_visits), rows)

    def _unplan(self, connection: Connection, plan: Plan, case_id: int, user: str, now: datetime) -> None:
        """Take the plan's day from a case that still has it."""
        case = _locked_case(connection, cases.c.case_id == case_id)
        if case and case.state == rules.ASSIGNED and (case.planned_on, case.crew) == (plan.planned_on, plan.crew):
            why = f"Taken out of the plan of {plan.planned_on}."
            self._append(connection, case, rules.NEW, user, why, None, now)

    def _planned_case(
        self, connection: Connection, plan: Plan, visit: PlanVisit, user: str, now: datetime
    ) -> Case | str:
        """The client's open case, planned; a sentence where it cannot be."""
        of_client = (cases.c.client_id == visit.client_id) & (cases.c.state != rules.CLOSED)
        case = _locked_case(connection, of_client)
        why = f"Planned for {plan.planned_on}, crew {plan.crew}."
        if case is None:
            opened = self._opened(connection, visit.client_id, user, visit.is_random, now)
            case = self._append(connection, opened, rules.NEW, user, why, None, now)
        if case.state == rules.INSPECTING:
            return f"{case.assignee or 'Somebody'} is with this client just now."
        if (case.planned_on, case.crew, case.assignee) == (plan.planned_on, plan.crew, plan.crew):
            return case
        dates = {"planned_on": plan.planned_on, "crew": plan.crew}
        return self._append(connection, case, rules.ASSIGNED, user, why, plan.crew, now, **dates)


def _locked_case(connection: Connection, condition) -> Case | None:
    found = connection.execute(select(cases).where(condition).with_for_update()).mappings().first()
    return found and case_of(found)


def _plans(connection: Connection, query: Select) -> list[Plan]:
    rows = connection.execute(query).mappings().all()
    visits: dict[int, list[PlanVisit]] = {row["plan_id"]: [] for row in rows}
    columns = [plan_visits.c[name] for name in ("plan_id", *PlanVisit._fields)]
    of_plans = select(*columns).where(plan_visits.c.plan_id.in_(visits)).order_by(plan_visits.c.position)
    for plan_id, *values in connection.execute(of_plans):
        visits[plan_id].append(PlanVisit(*values))
    return [Plan(**row, visits=tuple(visits[row["plan_id"]])) for row in rows]


def _plan(connection: Connection, plan_id: int) -> Plan | None:
    if not 0 < plan_id <= MAX_ID:
        return None
    query = WITH_CREWS.where(plans.c.plan_id == plan_id)
    is_writing = connection.get_execution_options().get("is_writing")
    return next(iter(_plans(connection, query.with_for_update(of=plans) if is_writing else query)), None)


def _found(connection: Connection, plan_id: int) -> Plan:
    plan = _plan(connection, plan_id)
    if plan is None:
        raise NoSuchPlan(f"There is no plan {plan_id}.")
    return plan


def _of_day(connection: Connection, day: date) -> list[Plan]:
    """The plans of a day, locked until the end of the transaction."""
    of_day = WITH_CREWS.where(plans.c.planned_on == day).order_by(crews.c.name)
    return _plans(connection, of_day.with_for_update(of=plans))


def _write_plan(
    connection: Connection, before: Plan | None, day: date, crew_id: int, note: str | None, user: str, now: datetime
) -> int:
    if before is None:
        row = {"planned_on": day, "crew_id": crew_id, "version": 1, "note": note or "", "created_by": user}
        row |= {"created_at": now, "updated_at": now}
        return connection.execute(insert(plans).values(row)).inserted_primary_key[0]
    changed = {"version": before.version + 1, "updated_at": now, "published_at": None, "published_by": None}
    changed |= {} if note is None else {"note": note}
    connection.execute(update(plans).where(plans.c.plan_id == before.plan_id).values(changed))
    return before.plan_id


# --- checks -----------------------------------------------------------------------------------------------------------


def _check_visits(visits: Mapping[int, Sequence[PlanVisit]]) -> None:
    for of_crew in visits.values():
        if len(of_crew) > MAX_VISITS:
            raise ValueOutOfRange(f"A plan has {len(of_crew)} visits; it may have {MAX_VISITS}.")
    ids = [visit.client_id for of_crew in visits.values() for visit in of_crew]
    for client_id in ids:
        check_text("client_id", client_id)
    if twice := next((client_id for client_id in ids if ids.count(client_id) > 1), None):
        raise PlanChanged(f"Client {twice!r} is planned twice; leave out one of its visits.")


def _check_clients(connection: Connection, visits: Mapping[int, Sequence[PlanVisit]]) -> None:
    _check_there(connection, crews.c.crew_id, visits.keys(), lambda id_: NoSuchCrew(f"There is no active crew {id_}."))
    ids = {visit.client_id for of_crew in visits.values() for visit in of_crew}
    _check_there(connection, clients.c.client_id, ids, lambda id_: ClientNotFound(f"There is no client {id_!r}."))


def _check_there(connection: Connection, column, ids: Collection, error_of) -> None:
    query = select(column).where(column.in_(sorted(ids)))
    query = query.where(crews.c.is_active) if column.table is crews else query
    if missing := sorted(set(ids) - set(connection.scalars(query))):
        raise error_of(missing[0])


def _check_version(before: Plan | None, version: int | None) -> None:
    if version is not None and version != (before.version if before else 0):
        who = f"crew {before.crew}" if before else "this crew"
        raise PlanChanged(f"The plan of {who} has changed since you loaded it. Load the day again.")


def _check_once(found: Iterable[Plan]) -> None:
    """Raise PlanChanged for a client in two plans of a day."""
    first: dict[str, Plan] = {}
    for plan in found:
        for visit in plan.visits:
            if (other := first.setdefault(visit.client_id, plan)) is not plan:
                raise PlanChanged(
                    f"Client {visit.client_id!r} is in the plans of {other.crew} and {plan.crew} on {plan.planned_on}; "
                    "save both crews at once to move it."
                )
