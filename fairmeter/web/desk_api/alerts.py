"""Routes of alerts: the list, one alert with what was done about it, and actions: dismiss, snooze, assign, reopen.

In:  filters; a reason, a day or an assignee.
Out: alerts. Each change is stored, with its user and reason, before the answer is sent.
"""

from flask import Response

from fairmeter.desk.service import DeskService
from fairmeter.store import AlertNotFound
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.desk_api.read import SECURITY, json_response, rows_response
from fairmeter.web.exports.files import document_exports
from fairmeter.web.http.auth import INVESTIGATOR, VIEWER, AccessControl
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

ONE = {200: schemas.AlertWithActions}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes: reading for the role viewer, changes for investigators."""
    _add_reading(app, guard, desk)
    _add_actions(app, guard, desk)
    document_exports(app, "/alerts")
    app.set_policies(alerts=RoutePolicy(heavy_queries=policies.EXPORTS))
    guard.set_roles(alerts=VIEWER, alert=VIEWER)
    guard.set_roles(**dict.fromkeys(("dismiss_alert", "snooze_alert", "assign_alert", "reopen_alert"), INVESTIGATOR))


def alert_with_actions(desk: DeskService, alert_id: int) -> schemas.AlertWithActions:
    """An alert and what was done about it. Raises AlertNotFound."""
    alert = desk.store.find_alert(alert_id)
    if alert is None:
        raise AlertNotFound(f"There is no alert {alert_id}.")
    fields = {name: getattr(alert, name) for name in schemas.AlertResponse.model_fields}
    return schemas.AlertWithActions.model_validate(fields | {"actions": desk.store.actions_of_alert(alert_id)})


def _add_reading(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    @app.get("/alerts", responses={200: schemas.AlertPage}, security=SECURITY)
    def alerts(query: requests.AlertQuery):
        """Clients that the system recommends to examine, by state, rule, pattern, client and assignee."""
        fixed = {"state": None if query.state == "all" else query.state}
        if query.mine:
            fixed["assignee"] = guard.identity().signature
        query, page = query.model_copy(update={"mine": None}), schemas.AlertPage
        return rows_response(store.list_alerts, query, page, schemas.AlertResponse, "alerts", **fixed)

    @app.get("/alerts/<int:alert_id>", responses=ONE, security=SECURITY)
    def alert(path: requests.AlertPath):
        """An alert, and what was done about it."""
        return json_response(alert_with_actions(desk, path.alert_id))


def _add_actions(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    def answer(alert_id: int) -> Response:
        return json_response(alert_with_actions(desk, alert_id))

    @app.post("/alerts/<int:alert_id>/dismiss", responses=ONE, security=SECURITY)
    def dismiss_alert(path: requests.AlertPath, body: requests.Why):
        """Dismiss an alert: it leaves lists and counts, until another rule fires or a severer one."""
        store.dismiss_alert(path.alert_id, guard.identity().signature, body.why)
        return answer(path.alert_id)

    @app.post("/alerts/<int:alert_id>/snooze", responses=ONE, security=SECURITY)
    def snooze_alert(path: requests.AlertPath, body: requests.Snooze):
        """Snooze an alert until a day; it is open again on that day, or where its severity rises."""
        store.snooze_alert(path.alert_id, guard.identity().signature, body.why, body.until)
        return answer(path.alert_id)

    @app.post("/alerts/<int:alert_id>/assign", responses=ONE, security=SECURITY)
    def assign_alert(path: requests.AlertPath, body: requests.Assignment):
        """Give an alert to a user or crew to look at; it stays open, and no case is opened."""
        store.assign_alert(path.alert_id, guard.identity().signature, body.why, body.assignee)
        return answer(path.alert_id)

    @app.post("/alerts/<int:alert_id>/reopen", responses=ONE, security=SECURITY)
    def reopen_alert(path: requests.AlertPath, body: requests.Why):
        """Open a dismissed or snoozed alert again. 409 where the client has a newer one."""
        store.reopen_alert(path.alert_id, guard.identity().signature, body.why)
        return answer(path.alert_id)
