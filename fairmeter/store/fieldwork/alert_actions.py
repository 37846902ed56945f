"""What users do about alerts: dismiss, snooze until a day, assign to somebody, reopen. Each is a row, and on record.

In:  an alert's number, the user, why.
Out: the Alert after it; AlertAction, oldest first.
"""

import json
from datetime import UTC, date, datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.alert_rules import DISMISSED, OPEN, SNOOZED
from fairmeter.casework.audit_chain import ALERT
from fairmeter.casework.types import Alert, AlertAction
from fairmeter.casework.workflow import CaseNotFound, MoveNotAllowed, check_day_ahead, check_why
from fairmeter.store.alerts import ALERT_FIELDS, AlertStore, alert_of
from fairmeter.store.audit import append_entry
from fairmeter.store.engine.fieldwork_tables import alert_actions
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import MAX_ID, alerts
from fairmeter.store.fieldwork.crews import check_assignee
from fairmeter.store.fieldwork.notices import notify_assigned

DISMISS, SNOOZE, ASSIGN, REOPEN = "dismissed", "snoozed", "assigned", "reopened"  # actions
WAITING = (OPEN, SNOOZED)


class AlertNotFound(CaseNotFound):
    """No alert has this number."""


class AlertActionStore(AlertStore):
    """Changes alerts. Each method raises AlertNotFound, or MoveNotAllowed where the alert's state forbids it."""

    def dismiss_alert(self, alert_id: int, user: str, why: str) -> Alert:
        """Dismiss an open or snoozed alert: it leaves lists and counts, until another or a severer rule fires."""
        return self._act(alert_id, DISMISS, user, why, WAITING, {"state": DISMISSED, "snoozed_until": None})

    def snooze_alert(self, alert_id: int, user: str, why: str, until: date) -> Alert:
        """Snooze an open alert until a day, on which it is open again; earlier if it becomes more severe.

        Raises BadDay.
        """
        check_day_ahead("until", until)
        return self._act(alert_id, SNOOZE, user, why, WAITING, {"snoozed_until": until}, until=until)

    def assign_alert(self, alert_id: int, user: str, why: str, assignee: str | None) -> Alert:
        """Give an open alert to a user or crew to look at; None gives it back. It stays open, without a case."""
        return self._act(alert_id, ASSIGN, user, why, WAITING, {"assignee": assignee}, assignee=assignee)

    def reopen_alert(self, alert_id: int, user: str, why: str) -> Alert:
        """Open a dismissed or snoozed alert again. MoveNotAllowed where the client has another open one."""
        try:
            changes = {"state": OPEN, "snoozed_until": None}
            return self._act(alert_id, REOPEN, user, why, (DISMISSED, SNOOZED), changes)
        except IntegrityError:
            raise MoveNotAllowed("The client has a newer open alert; work on that one.") from None

    def actions_of_alert(self, alert_id: int) -> list[AlertAction]:
        """What was done about an alert, oldest first: who dismissed it, and why."""
        query = select(alert_actions).where(alert_actions.c.alert_id == alert_id).order_by(alert_actions.c.action_id)
        with self.reading() as connection:
            return [AlertAction(**row) for row in connection.execute(query).mappings()]

    def _act(
        self, alert_id: int, action: str, user: str, why: str, from_states: tuple[str, ...], changes: dict,
        *, until: date | None = None, assignee: str | None = None,
    ) -> Alert:  # fmt: skip
        check_why(why)
        check_text("why", why)
        now = datetime.now(UTC)
        with self.writing() as connection:
            alert = _locked(connection, alert_id)
            if alert.state not in from_states:
                raise MoveNotAllowed(f"Alert {alert_id} is {alert.state}; only one that is {' or '.join(from_states)} "
                                     f"can be {action}.")  # fmt: skip
            if assignee is not None:
                check_assignee(connection, assignee, user)
                notify_assigned(connection, assignee, user, now, alert_id=alert_id)
            changed = update(alerts).where(alerts.c.alert_id == alert_id)
            connection.execute(changed.values(updated_at=now, **changes))
            row = {"alert_id": alert_id, "action": action, "user": user, "why": why, "assignee": assignee}
            connection.execute(insert(alert_actions).values(row | {"until": until, "at": now}))
            details = {"action": action, "why": why, "until": until and until.isoformat(), "assignee": assignee}
            append_entry(connection, self.audit_key, ALERT, str(alert_id), user, json.dumps(details))
            return _locked(connection, alert_id)


def _locked(connection: Connection, alert_id: int) -> Alert:
    """The alert of this number, locked until the end of the transaction. Raises AlertNotFound."""
    query = select(*ALERT_FIELDS).where(alerts.c.alert_id == alert_id).with_for_update()
    found = 0 < alert_id <= MAX_ID and connection.execute(query).mappings().first()
    if not found:
        raise AlertNotFound(f"There is no alert {alert_id}.")
    return alert_of(found)
