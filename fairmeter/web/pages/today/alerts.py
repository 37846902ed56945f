"""The page of alerts: open, mine, snoozed, dismissed; and what a user is to notice.

In:  the address: state, mine, severity, rule, pattern, region, raised_since, cursor. A form: dismiss, snooze, assign or
     reopen.
Out: the page at /desk/alerts; changed alerts in the store, each with its user and reason.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from flask import flash, redirect, request, url_for

from fairmeter.casework.workflow import CaseError
from fairmeter.desk.client_states import first_rule_of
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import BadQuery, StoreError, StoreUnavailable
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR, VIEWER
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.cases import signature_of
from fairmeter.web.pages.forms import first_page_with, local_address, pager, parse_query, start_of_day
from fairmeter.web.pages.inspection_list import MAX_CASES, N_ROWS, choices_context
from fairmeter.web.pages.site import Site, render

STATES = ("open", "mine", "snoozed", "dismissed")
SNOOZE_DAYS = 14
N_NOTICES = 20


def register(site: Site) -> None:
    desk = site.desk

    @site.page("/alerts")
    def alerts():
        me = signature_of(site)
        shared = {"me": me, "until": default_until(site), "notices": desk.store.list_user_notices(me, limit=N_NOTICES)}
        return render("alerts.html", **choices_context(desk), **alerts_context(site, me), **shared)

    @site.page("/alerts/act", INVESTIGATOR, methods=("POST",))
    def alerts_act():
        ids, action = request.form.getlist("alert", int)[:MAX_CASES], request.form.get("action", "")
        done, refused = act_on(ids, action_of(desk, action, signature_of(site)))
        if done:
            flash(i18n.text(f"alerts.done.{action}", n=done), "done")
        for sentence in refused[:3]:
            flash(sentence, "error")
        return redirect(local_address(request.form.get("next", ""), url_for("desk.alerts")))

    @site.page("/notices/read", VIEWER, methods=("POST",))
    def notices_read():
        desk.store.mark_notices_read(signature_of(site))
        return redirect(url_for("desk.alerts"))


def default_until(site: Site) -> date:
    """The day until which an alert is snoozed where the user names no other."""
    return datetime.now(site.settings.time_zone).date() + timedelta(days=SNOOZE_DAYS)


def alerts_context(site: Site, me: str) -> dict[str, Any]:
    """What the template of alerts receives."""
    desk = site.desk
    shown = request.args.get("show", "open")
    shown = shown if shown in STATES else "open"
    fixed = {"state": "open", "assignee": me} if shown == "mine" else {"state": shown}
    fixed["raised_since"] = start_of_day("raised_since", site.settings.time_zone)
    query, problems = parse_query(requests.AlertQuery, limit=N_ROWS, **fixed)
    filters = query.model_dump(
        include={"state", "severity", "pattern", "region", "rule", "assignee", "raised_since"}, exclude_none=True
    )
    try:
        page = desk.store.list_alerts(**filters, sort=query.sort, limit=N_ROWS, after=query.after)
    except BadQuery as bad:
        problems.append(str(bad))
        page = desk.store.list_alerts(limit=N_ROWS)
    return {
        "shown": shown,
        "states": STATES,
        "query": query,
        "problems": problems,
        "alerts": [(alert, first_rule_of(alert)) for alert in page.rows],
        "scores": desk.store.scores_of(sorted({alert.client_id for alert in page.rows})),
        "n_listed": desk.store.count_listed_alerts(**filters),
        "rules": desk.store.count_alerts_by_rule(),
        "link": first_page_with,
        "pager": pager(page.next),
    }


def action_of(desk: DeskService, action: str, user: str) -> Callable[[int], Any]:
    """The action that the form asks for, of an alert's number. Raises Problem."""
    form, store = request.form, desk.store
    why = form.get("why", "")
    if action == "snooze":
        until = day_of(form.get("until", ""))
        return lambda alert: store.snooze_alert(alert, user, why, until)
    if action == "assign":
        assignee = form.get("assignee", "").strip() or None
        return lambda alert: store.assign_alert(alert, user, why, assignee)
    if action == "dismiss":
        return lambda alert: store.dismiss_alert(alert, user, why)
    if action == "reopen":
        return lambda alert: store.reopen_alert(alert, user, why)
    raise Problem(422, "bad_value", i18n.text("alerts.no_action"))


def day_of(text: str) -> date:
    """A day of a form. Raises Problem."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Problem(422, "bad_value", i18n.text("alerts.no_day")) from None


def act_on(ids: list[int], action: Callable[[int], Any]) -> tuple[int, list[str]]:
    """Apply an action to alerts: number of changed ones, and sentences on the others. Raises StoreUnavailable."""
    done, refused = 0, []
    for alert in ids:
        try:
            action(alert)
            done += 1
        except StoreUnavailable:
            raise
        except (CaseError, StoreError) as error:
            refused.append(error_pages.error_sentence(error))
    return done, refused
