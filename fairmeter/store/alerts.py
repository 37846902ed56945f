"""Alerts: at most one open alert per client, none while it has an open case or soon after an inspection.

In:  filters; scores and facts, in the transaction of a run.
Out: pages of Alert; the alerts that a run raised, and their notifications in the outbox.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, case, func, insert, or_, select, update

from fairmeter.casework.alert_rules import (
    IN_CASE,
    LAPSED,
    OPEN,
    PATTERN_OF_FACT,
    RANKS,
    AlertRules,
    RuleHit,
    alert_severity,
    hits_as_rows,
    rule_hits,
)
from fairmeter.casework.client_state import LastCase, WorkState, work_state
from fairmeter.casework.types import Alert
from fairmeter.casework.workflow import CLOSED
from fairmeter.core.types import SEVERITIES, Score
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import (
    Order,
    Page,
    by_moment,
    check_pattern,
    conditions,
    equality_filters,
    order_named,
    page_of,
)
from fairmeter.store.engine.schema import alerts, cases, inspections, profiles
from fairmeter.store.engine.upsert import covers_ids
from fairmeter.store.notifications import enqueue

ALERT_FIELDS = [alerts.c[name] for name in Alert.__dataclass_fields__]
ALERT_ORDERS = {
    "severity": Order((alerts.c.by_severity,)),
    "raised": by_moment(alerts.c.raised_at),
    "id": Order((alerts.c.alert_id,)),
}


def _of_pattern(pattern: str) -> ColumnElement[bool]:
    """Alerts by a rule on the pattern itself, or on a fact that is of it."""
    facts = [pattern, *(fact for fact, of in PATTERN_OF_FACT.items() if of == pattern)]
    return or_(*(alerts.c.rules.contains(f'"fact": "{fact}"', autoescape=True) for fact in facts))


ALERT_FILTERS = {
    **equality_filters(*(alerts.c[name] for name in ("state", "severity", "region", "category", "client_id"))),
    "pattern": lambda pattern: _of_pattern(check_pattern(pattern)),
    "raised_since": lambda moment: alerts.c.raised_at >= moment,
    "raised_until": lambda moment: alerts.c.raised_at < moment,
}
UPDATED_COLUMNS = ("severity", "by_severity", "rules", "probability", "region", "category", "updated_at")


class RaisedAlerts(NamedTuple):
    """Numbers of alerts that a run changed."""

    n_raised: int
    n_updated: int
    n_lapsed: int


class AlertStore(Database):
    """Reads alerts."""

    def list_alerts(
        self,
        *,
        state: str | None = OPEN,
        sort: str = "severity",
        limit: int = 50,
        after: str | None = None,
        **filters,
    ) -> Page:
        """A page of Alert; sort: severity (highest first), raised (newest first), id. Raises BadQuery.

        state: open, in case, lapsed, None for all. filters, each optional: severity, region, category, client_id,
        pattern, raised_since (inclusive), raised_until (exclusive).
        """
        query = select(*ALERT_FIELDS, alerts.c.by_severity)
        query = query.where(*conditions(filters | {"state": state}, ALERT_FILTERS))
        with self.reading() as connection:
            return page_of(
                connection, query, order_named(sort, ALERT_ORDERS), alerts.c.alert_id, alert_of, limit, after
            )

    def find_alert(self, alert_id: int) -> Alert | None:
        """The alert with this id, if any."""
        return self._alert(select(*ALERT_FIELDS).where(alerts.c.alert_id == alert_id))

    def open_alert_of(self, client_id: str) -> Alert | None:
        """The client's open alert, if any."""
        return self._alert(select(*ALERT_FIELDS).where(alerts.c.client_id == client_id, alerts.c.state == OPEN))

    def _alert(self, query: Select) -> Alert | None:
        with self.reading() as connection:
            found = connection.execute(query).mappings().first()
        return found and alert_of(found)

    def count_alerts(self) -> dict[str, int]:
        """Number of open alerts by severity."""
        query = select(alerts.c.severity, func.count()).where(alerts.c.state == OPEN).group_by(alerts.c.severity)
        with self.reading() as connection:
            return dict.fromkeys(SEVERITIES, 0) | dict(connection.execute(query).all())

    def count_raised(self, since: Sequence[datetime]) -> list[dict[str, int]]:
        """Numbers of alerts raised between each moment and the next (the last: until now), by severity.

        since: moments in ascending order.
        """
        counts = [dict.fromkeys(SEVERITIES, 0) for _ in since]
        part = case(*((alerts.c.raised_at >= since[i], i) for i in reversed(range(len(since)))))
        query = select(part, alerts.c.severity, func.count()).where(alerts.c.raised_at >= since[0])
        with self.reading() as connection:
            for i, severity, n in connection.execute(query.group_by(part, alerts.c.severity)):
                counts[i][severity] = n
        return counts

    def work_states(
        self, rules: AlertRules, today: date | None = None, ids: Collection[str] | None = None
    ) -> dict[str, WorkState]:
        """What cases decide of their clients, by client; the others are as their scores recommend.

        ids: of some clients; None: of all. A client here needs no visit now.
        """
        with self.reading() as connection:
            today = today or datetime.now(UTC).date()
            found = work_states(connection, rules, today, None if ids is None else sorted(ids))
        return found if ids is None else {client_id: found[client_id] for client_id in ids if client_id in found}


def alert_of(row) -> Alert:
    fields = {name: row[name] for name in Alert.__dataclass_fields__}
    return Alert(**{**fields, "rules": tuple(json.loads(row["rules"]))})


# --- within a transaction ---------------------------------------------------------------------------------------------


def raise_alerts(
    connection: Connection,
    scores: Sequence[Score],
    facts: Sequence[Mapping[str, float]],
    clients: Mapping[str, Row],
    rules: AlertRules,
    now: datetime,
) -> RaisedAlerts:
    """Raise and update the alerts of scored clients; alerts for which no rule fires any more lapse.

    scores: sorted by client id. clients: by id, with region and category.
    """
    ids = [score.client_id for score in scores]
    busy = work_states(connection, rules, now.date(), ids)
    before = _open_alerts(connection, ids)
    raised, updated, ended, escalated = [], [], [], []
    for score, of_client in zip(scores, facts, strict=True):
        hits = rule_hits(rules, score, of_client)
        old = before.get(score.client_id)
        if score.client_id in busy:
            if old is not None:  # its case was opened while the alert was being raised
                ended.append({"alert": old[0], "to_state": IN_CASE, "to_updated_at": now})
        elif old is None:
            if hits:
                raised.append(_raised(score, hits, clients[score.client_id], now))
        elif not hits:
            ended.append({"alert": old[0], "to_state": LAPSED, "to_updated_at": now})
        else:
            updated.append(_updated(old[0], score, hits, clients[score.client_id], now))
            if RANKS[alert_severity(hits)] > old[1]:
                escalated.append(score.client_id)
    _apply(connection, raised, updated, ended)
    _notify(connection, {row["client_id"] for row in raised} | set(escalated), rules, now)
    return RaisedAlerts(len(raised), len(updated), len(ended))


def work_states(
    connection: Connection, rules: AlertRules, today: date, ids: Sequence[str] | None = None
) -> dict[str, WorkState]:
    """As AlertStore.work_states, within a transaction. [ids: sorted; None: all clients]"""
    scored_at = profiles.c.scored_at
    query = select(
        cases.c.client_id, cases.c.case_id, cases.c.state, cases.c.outcome, cases.c.closed_at,
        inspections.c.inspected_on, scored_at,
        *(cases.c[name] for name in ("assignee", "planned_on", "crew", "revisit_on")),
    ).outerjoin_from(cases, inspections, inspections.c.case_id == cases.c.case_id)  # fmt: skip
    query = query.outerjoin(profiles, profiles.c.client_id == cases.c.client_id)
    if ids is not None:
        query = query.where(covers_ids(cases.c.client_id, ids))
    longest = datetime.combine(today, datetime.min.time(), UTC) - timedelta(days=max(rules.quiet_days.values()) + 1)
    is_recent = (cases.c.state != CLOSED) | (cases.c.closed_at >= longest) | (cases.c.closed_at >= scored_at)
    # A client's last case decides: a case opened after an earlier visit overrides that visit's quiet time.
    query = query.where(is_recent).order_by(cases.c.case_id, inspections.c.inspection_id)
    last = {row[0]: LastCase(*row[1:]) for row in connection.execute(query)}
    states = {client_id: work_state(case, rules, today) for client_id, case in last.items()}
    return {client_id: state for client_id, state in states.items() if state is not None}


def _open_alerts(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Id and severity rank of each client's open alert."""
    query = select(alerts.c.client_id, alerts.c.alert_id, alerts.c.by_severity).where(alerts.c.state == OPEN)
    query = query.where(covers_ids(alerts.c.client_id, ids))
    return {client_id: (alert_id, rank) for client_id, alert_id, rank in connection.execute(query)}


def _raised(score: Score, hits: tuple[RuleHit, ...], client: Row, now: datetime) -> dict:
    return {
        "client_id": score.client_id, "state": OPEN, "raised_at": now, "updated_at": now,
        "probability": score.probability, "region": client.region, "category": client.category, **_rule_columns(hits),
    }  # fmt: skip


def _updated(alert_id: int, score: Score, hits: tuple[RuleHit, ...], client: Row, now: datetime) -> dict:
    changed = _raised(score, hits, client, now)
    return {"alert": alert_id, **{f"to_{name}": changed[name] for name in UPDATED_COLUMNS}}


def _rule_columns(hits: tuple[RuleHit, ...]) -> dict:
    severity = alert_severity(hits)
    return {"severity": severity, "by_severity": RANKS[severity], "rules": json.dumps(hits_as_rows(hits))}


def _apply(connection: Connection, raised: list[dict], updated: list[dict], ended: list[dict]) -> None:
    if raised:
        connection.execute(insert(alerts), raised)
    for names, rows in ((UPDATED_COLUMNS, updated), (("state", "updated_at"), ended)):
        if rows:
            changed = {name: bindparam(f"to_{name}") for name in names}
            connection.execute(update(alerts).where(alerts.c.alert_id == bindparam("alert")).values(changed), rows)


def _notify(connection: Connection, client_ids: set[str], rules: AlertRules, now: datetime) -> None:
    """Enqueue notifications of alerts that are new or whose severity rose."""
    if not client_ids or not rules.notices:
        return
    query = select(*ALERT_FIELDS).where(alerts.c.state == OPEN, covers_ids(alerts.c.client_id, sorted(client_ids)))
    rows = connection.execute(query.order_by(alerts.c.alert_id)).mappings()
    enqueue(connection, [alert_of(row) for row in rows if row["client_id"] in client_ids], rules.notices, now)
