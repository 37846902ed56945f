"""Alerts: at most one open alert per client, none while it has an open case or soon after an inspection.

A dismissed alert keeps its client without another one, as long as the same rules fire and none more severely. A snoozed
alert is open, and neither listed nor counted as open before its day (what users do: store/fieldwork/alert_actions.py).

In:  filters; scores and facts, in the transaction of a run.
Out: pages of Alert; the alerts that a run raised, and their notifications in the outbox.
"""

import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, case, func, insert, or_, select, update

from fairmeter.casework.alert_rules import (
    DISMISSED,
    IN_CASE,
    LAPSED,
    OPEN,
    PATTERN_OF_FACT,
    RANKS,
    SNOOZED,
    AlertRules,
    RuleHit,
    alert_severity,
    hits_of_rows,
    is_dismissed,
    rule_hits,
    stored_hits,
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
    check_text,
    conditions,
    equality_filters,
    order_named,
    page_of,
)
from fairmeter.store.engine.schema import alerts, cases, inspections, profiles
from fairmeter.store.engine.upsert import covers_ids
from fairmeter.store.notifications import enqueue

log = logging.getLogger(__name__)

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


def is_snoozed(today: date | None = None) -> ColumnElement[bool]:
    """Condition of alerts that are snoozed until after today."""
    return (alerts.c.state == OPEN) & (alerts.c.snoozed_until > (today or datetime.now(UTC).date()))


def _of_state(state: str) -> ColumnElement[bool]:
    if state == SNOOZED:
        return is_snoozed()
    awake = or_(alerts.c.snoozed_until.is_(None), alerts.c.snoozed_until <= datetime.now(UTC).date())
    return (alerts.c.state == OPEN) & awake if state == OPEN else alerts.c.state == state


def _of_rule(rule: str) -> ColumnElement[bool]:
    return alerts.c.rules.contains(f'"rule": {json.dumps(check_text("rule", rule))},', autoescape=True)


ALERT_FILTERS = {
    **equality_filters(*(alerts.c[name] for name in ("severity", "region", "category", "client_id", "assignee"))),
    "state": _of_state,
    "rule": _of_rule,
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

        state: open, snoozed, dismissed, in case, lapsed, None for all. filters, each optional: severity, region,
        category, client_id, assignee, rule (its name), pattern, raised_since (inclusive), raised_until (exclusive).
        """
        query = select(*ALERT_FIELDS, alerts.c.by_severity)
        query = query.where(*conditions(filters | {"state": state}, ALERT_FILTERS))
        with self.reading() as connection:
            return page_of(
                connection, query, order_named(sort, ALERT_ORDERS), alerts.c.alert_id, alert_of, limit, after
            )

    def open_alert_rules(self) -> list[list[dict]]:
        """The rules of each open alert, as Alert.rules holds them."""
        with self.reading() as connection:
            return [
                json.loads(text) for text in connection.scalars(select(alerts.c.rules).where(alerts.c.state == OPEN))
            ]

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

    def alerts_of(self, client_ids: Collection[str]) -> dict[str, Alert]:
        """The alert that counts for each of some clients: the open one, else that of the open case; others have none.

        Its first rule is the first reason that lists and pages give.
        """
        of_clients = alerts.c.client_id.in_(sorted(client_ids))
        of_open_case = select(cases.c.alert_id).where(
            cases.c.client_id.in_(sorted(client_ids)), cases.c.state != CLOSED
        )
        counts = (alerts.c.state == OPEN) | alerts.c.alert_id.in_(of_open_case)
        query = select(*ALERT_FIELDS).where(of_clients, counts).order_by(alerts.c.state != OPEN)
        with self.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return {row["client_id"]: alert_of(row) for row in reversed(rows)}

    def count_alerts(self) -> dict[str, int]:
        """Number of open alerts by severity, as list_alerts lists them: without snoozed ones."""
        severity = alerts.c.severity
        query = select(severity, func.count()).group_by(severity)
        with self.reading() as connection:
            found = connection.execute(query.where(alerts.c.state == OPEN)).all()
            counts = dict.fromkeys(SEVERITIES, 0) | dict(found)
            for name, n in connection.execute(query.where(is_snoozed())):  # few, by an index of their own
                counts[name] -= n
        return counts

    def count_listed_alerts(self, *, state: str | None = OPEN, **filters) -> int:
        """Number of alerts that list_alerts lists with the same filters. Raises BadQuery."""
        given = conditions(filters | {"state": state}, ALERT_FILTERS)
        with self.reading() as connection:
            return connection.execute(select(func.count()).select_from(alerts).where(*given)).scalar_one()

    def count_alerts_by_rule(self) -> dict[str, int]:
        """Number of open alerts by the name of each rule that fired, the most frequent first."""
        with self.reading() as connection:
            found = connection.scalars(select(alerts.c.rules).where(_of_state(OPEN)))
            counts = Counter(rule["rule"] for rules in found for rule in json.loads(rules))
        return dict(counts.most_common())

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
    until, hits = row["snoozed_until"], hits_of_rows(json.loads(row["rules"]))
    is_asleep = row["state"] == OPEN and until is not None and until > datetime.now(UTC).date()
    return Alert(**{**fields, "rules": tuple(hits), "state": SNOOZED if is_asleep else row["state"]})


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
    before, dismissed = _open_alerts(connection, ids), _dismissed_alerts(connection, ids)
    raised, updated, ended, escalated = [], [], [], []
    for score, of_client in zip(scores, facts, strict=True):
        hits, client_id = rule_hits(rules, score, of_client), score.client_id
        old, answered = before.get(client_id), dismissed.get(client_id)
        if client_id in busy:
            if old is not None:  # its case was opened while the alert was being raised
                ended.append(_ended(old[0], IN_CASE, now))
            continue
        if answered is not None and old is None and hits and is_dismissed(hits, answered[1]):
            continue
        if answered is not None:  # what was dismissed is no more, or something else fires
            ended.append(_ended(answered[0], LAPSED, now))
        if old is None:
            if hits:
                raised.append(_raised(score, hits, clients[client_id], now))
        elif not hits:
            ended.append(_ended(old[0], LAPSED, now))
        else:
            updated.append(_updated(old[0], score, hits, clients[client_id], now))
            if RANKS[alert_severity(hits)] > old[1]:
                escalated.append(client_id)
    _apply(connection, raised, updated, ended)
    _wake(connection, escalated)
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
    states = {client_id: _state_of(client_id, case, rules, today) for client_id, case in last.items()}
    return {client_id: state for client_id, state in states.items() if state is not None}


def _state_of(client_id: str, case: LastCase, rules: AlertRules, today: date) -> WorkState | None:
    """What the case decides. Days of an older version that cannot be reckoned with harm one client alone."""
    try:
        return work_state(case, rules, today)
    except (OverflowError, ValueError):
        log.exception("The days of case %s of client %s cannot be reckoned with", case.case_id, client_id)
        return WorkState(case.outcome or case.state, "its days cannot be reckoned with", case_id=case.case_id)


def _open_alerts(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Id and severity rank of each client's open alert."""
    query = select(alerts.c.client_id, alerts.c.alert_id, alerts.c.by_severity).where(alerts.c.state == OPEN)
    query = query.where(covers_ids(alerts.c.client_id, ids))
    return {client_id: (alert_id, rank) for client_id, alert_id, rank in connection.execute(query)}


def _dismissed_alerts(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, list[dict]]]:
    """Id and rules of each client's dismissed alert."""
    query = select(alerts.c.client_id, alerts.c.alert_id, alerts.c.rules).where(alerts.c.state == DISMISSED)
    query = query.where(covers_ids(alerts.c.client_id, ids)).order_by(alerts.c.alert_id)
    return {client_id: (alert_id, json.loads(rules)) for client_id, alert_id, rules in connection.execute(query)}


def _wake(connection: Connection, client_ids: Sequence[str]) -> None:
    """End the snooze of alerts whose severity rose."""
    if client_ids:
        of_clients = covers_ids(alerts.c.client_id, client_ids), alerts.c.snoozed_until.is_not(None)
        asleep = connection.execute(select(alerts.c.alert_id, alerts.c.client_id).where(*of_clients)).all()
        ids = [alert_id for alert_id, client_id in asleep if client_id in set(client_ids)]
        connection.execute(update(alerts).where(alerts.c.alert_id.in_(ids)).values(snoozed_until=None))


def _ended(alert_id: int, state: str, now: datetime) -> dict:
    return {"alert": alert_id, "to_state": state, "to_updated_at": now}


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
    return {"severity": severity, "by_severity": RANKS[severity], "rules": json.dumps(stored_hits(hits))}


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
