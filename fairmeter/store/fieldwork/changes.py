"""What happened at the desk of late: moves of cases, visits, comments, actions on alerts, published plans, runs.

In:  a moment.
Out: Change, newest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Select, func, select

from fairmeter.casework import workflow as rules
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.fieldwork_tables import alert_actions, comments, crews, plan_visits, plans
from fairmeter.store.engine.schema import alerts, cases, moves, runs

MAX_CHANGES = 300  # of each kind of row that are read
# Kinds of changes beside those of alerts, which are "alert" and the action.
OPENED, GIVEN, BEGUN, VISITED = "opened", "given", "begun", "visited"
CLOSED, RETURNED, REOPENED = "closed", "returned", "reopened"
COMMENT, PUBLISHED, SCORED = "comment", "published", "scored"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened. kind: one of the kinds above, or "alert dismissed", snoozed, assigned, reopened.

    user: who did it, empty for a run. value: to whom a case or an alert was given, what a visit found, the text of a
    comment, the crew of a plan. on: the day of a plan, or of the end of a snooze. n: visits, or clients of a run.
    """

    kind: str
    at: datetime
    user: str = ""
    client_id: str | None = None
    case_id: int | None = None
    value: str = ""
    on: date | None = None
    n: int = 1
    n_suspected: int = 0


class ChangeStore(Database):
    """Reads what happened."""

    def changes_since(self, since: datetime, limit: int = MAX_CHANGES) -> list[Change]:
        """What happened from a moment on, newest first: `limit` changes at most, MAX_CHANGES of each kind of row."""
        found: list[Change] = []
        with self.reading() as connection:
            for read in (_moves, _comments, _alert_actions, _plans, _runs):
                found += [change for change in read(connection, since) if change.at >= since]
        found = without_parts(found)
        return sorted(found, key=lambda change: change.at, reverse=True)[:limit]


def without_parts(changes: Sequence[Change]) -> list[Change]:
    """Changes without those that another one says: a case opened for somebody, cases given by a published plan."""
    given = {(one.case_id, one.at) for one in changes if one.kind == GIVEN}
    published = {(one.value, one.at) for one in changes if one.kind == PUBLISHED}
    return [
        one
        for one in changes
        if not (one.kind == OPENED and (one.case_id, one.at) in given)
        and not (one.kind == GIVEN and (one.value, one.at) in published)
    ]


# The newest rows are read by their numbers, which need no further index; the caller leaves out the older ones.


def _moves(connection: Connection, since: datetime) -> list[Change]:  # noqa: ARG001
    query = select(moves, cases.c.client_id).join(cases, cases.c.case_id == moves.c.case_id)
    return [_move(row) for row in _newest(connection, query.order_by(moves.c.seq.desc()))]


def _move(row: Mapping) -> Change:
    kind = move_kind(row["from_state"], row["to_state"], row["outcome"])
    value = {GIVEN: row["assignee"], VISITED: row["outcome"]}.get(kind) or ""
    return Change(kind, row["at"], row["user"], row["client_id"], row["case_id"], value)


def move_kind(before: str | None, after: str, outcome: str | None) -> str:
    """What a move of a case did."""
    if outcome is not None:
        return VISITED
    if after == rules.CLOSED:
        return CLOSED
    if before == rules.CLOSED:
        return REOPENED
    if after == rules.INSPECTING:
        return BEGUN
    if after == rules.ASSIGNED:
        return GIVEN
    return OPENED if before is None else RETURNED


def _comments(connection: Connection, since: datetime) -> list[Change]:  # noqa: ARG001
    query = select(comments, cases.c.client_id).join(cases, cases.c.case_id == comments.c.case_id)
    rows = _newest(connection, query.order_by(comments.c.comment_id.desc()))
    return [Change(COMMENT, row["at"], row["user"], row["client_id"], row["case_id"], row["text"]) for row in rows]


def _alert_actions(connection: Connection, since: datetime) -> list[Change]:  # noqa: ARG001
    query = select(alert_actions, alerts.c.client_id).join(alerts, alerts.c.alert_id == alert_actions.c.alert_id)
    rows = _newest(connection, query.order_by(alert_actions.c.action_id.desc()))
    return [
        Change(
            f"alert {row['action']}",
            row["at"],
            row["user"],
            row["client_id"],
            None,
            row["assignee"] or "",
            row["until"],
        )
        for row in rows
    ]


def _plans(connection: Connection, since: datetime) -> list[Change]:
    n_visits = select(func.count()).where(plan_visits.c.plan_id == plans.c.plan_id).scalar_subquery()
    query = select(plans, crews.c.name, n_visits.label("n")).join(crews, crews.c.crew_id == plans.c.crew_id)
    rows = _newest(connection, query.where(plans.c.published_at >= since).order_by(plans.c.published_at.desc()))
    return [
        Change(
            PUBLISHED,
            row["published_at"],
            row["published_by"] or "",
            None,
            None,
            row["name"],
            row["planned_on"],
            row["n"],
        )
        for row in rows
    ]


def _runs(connection: Connection, since: datetime) -> list[Change]:
    query = select(runs).where(runs.c.scored_at >= since).order_by(runs.c.scored_at.desc())
    return [
        Change(SCORED, row["scored_at"], n=row["n_clients"], n_suspected=row["n_suspected"])
        for row in _newest(connection, query)
    ]


def _newest(connection: Connection, query: Select) -> list[Mapping]:
    return list(connection.execute(query.limit(MAX_CHANGES)).mappings())
