"""What changed since somebody was here last, as lines that lead to the client, the case or the plan.

In:  changes of the store; the cookie with the day of the last visit to Today.
Out: ChangeLine for the templates; the page of all changes at /desk/changes.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import Response, request, url_for

from fairmeter.store import Change, Store
from fairmeter.web.http import i18n
from fairmeter.web.pages.site import Site, render

COOKIE = "changes"  # the day of the last visit to Today, and the day since which changes are shown
MAX_DAYS = 14  # back, after a long absence
COOKIE_DAYS = 60
N_LINES = 7  # on Today
TOGETHER = timedelta(minutes=10)  # alike changes of one user within this time are one line
COMMENT_LENGTH = 120  # characters of a comment
DAY = timedelta(days=1)


class ChangeLine(NamedTuple):
    """One line: what it is about and where that is, what happened, by whom, when."""

    name: str
    url: str
    text: str
    user: str
    at: datetime


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/changes")
    def changes():
        zone = site.settings.time_zone
        today = datetime.now(zone).date()
        since = asked_since(today)
        lines = lines_since(store, since, zone)
        by_day = groupby(lines, key=lambda line: line.at.astimezone(zone).date())
        days = [(day, list(of_day)) for day, of_day in by_day]
        return render("changes.html", since=since, days=days, today=today, earliest=today - MAX_DAYS * DAY)


def asked_since(today: date) -> date:
    """The day of the address, MAX_DAYS back at most; else that of Today."""
    try:
        asked = date.fromisoformat(request.args.get("since", ""))
    except ValueError:
        return seen_days(today)[1]
    return min(max(asked, today - MAX_DAYS * DAY), today)


def seen_days(today: date) -> tuple[date, date]:
    """The day of this visit, and the day since which changes are shown: that of the last visit before, or yesterday."""
    try:
        last, since = map(date.fromisoformat, request.cookies.get(COOKIE, "").split("."))
    except ValueError:
        last, since = today, today - DAY
    since = since if last == today else last
    return today, min(max(since, today - MAX_DAYS * DAY), today - DAY)


def remember_visit(answer: Response, today: date) -> None:
    """Keep in the browser that Today was read."""
    value = ".".join(day.isoformat() for day in seen_days(today))
    age = COOKIE_DAYS * 86_400
    path = url_for("desk.home")
    answer.set_cookie(COOKIE, value, max_age=age, path=path, httponly=True, samesite="Lax", secure=request.is_secure)


def changes_context(store: Store, today: date, zone: ZoneInfo) -> dict[str, Any]:
    """What Today shows of changes."""
    since = seen_days(today)[1]
    lines = lines_since(store, since, zone)
    return {"since": since, "changed": lines[:N_LINES], "n_changed": len(lines)}


def lines_since(store: Store, since: date, zone: ZoneInfo) -> list[ChangeLine]:
    """The lines from a day on, newest first."""
    start = datetime.combine(since, time(), zone).astimezone(UTC)
    return [line_of(group) for group in grouped(store.changes_since(start))]


def grouped(changes: Iterable[Change]) -> list[list[Change]]:
    """Changes in groups that are one line each: alike, by one user, one soon after the other."""
    groups: list[list[Change]] = []
    for change in changes:
        if groups and are_alike(groups[-1][-1], change):
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups


def are_alike(later: Change, earlier: Change) -> bool:
    """Whether two changes are shown as one: same kind, user and value, about different clients."""
    same = (later.kind, later.user, later.value, later.on) == (earlier.kind, earlier.user, earlier.value, earlier.on)
    is_about_clients = later.client_id is not None and later.kind not in ("comment", "visited")
    return same and is_about_clients and later.at - earlier.at <= TOGETHER


def line_of(changes: list[Change]) -> ChangeLine:
    """The line of a group of changes."""
    newest = changes[0]
    name, url = subject_of(changes)
    return ChangeLine(name, url, what_of(newest), newest.user, newest.at)


def subject_of(changes: list[Change]) -> tuple[str, str]:
    """What changes are about, and its address."""
    one, n = changes[0], len(changes)
    if one.kind == "scored":
        return i18n.text("today.did.run"), url_for("desk.suspects")
    if one.kind == "published":
        return i18n.text("today.did.plan", day=i18n.day(one.on)), url_for("desk.plan", on=one.on)
    if n > 1 and one.case_id is None:
        return i18n.text("alerts.n", n=n, shown=i18n.number(n)), url_for("desk.alerts")
    if n > 1:
        assignee = one.value if one.kind == "given" else None
        return i18n.text("today.did.cases", n=n, shown=i18n.number(n)), url_for("desk.cases", assignee=assignee)
    if one.case_id is None:
        return str(one.client_id), url_for("desk.client", client_id=one.client_id)
    return str(one.client_id), url_for("desk.cases_one", case_id=one.case_id)


def what_of(change: Change) -> str:
    """What happened, without who did it."""
    key = f"today.did.{change.kind.replace(' ', '_')}"
    if change.kind == "visited":
        return i18n.text(key, outcome=i18n.text(f"outcome.{change.value}"))
    if change.kind == "comment":
        return shortened(change.value)
    if change.kind == "scored":
        return i18n.text(key, n=i18n.number(change.n), suspected=i18n.number(change.n_suspected))
    if change.kind == "alert assigned" and not change.value:
        return i18n.text("today.did.alert_returned")
    on = i18n.day(change.on) if change.on else ""
    return i18n.text(key, to=change.value, day=on, n=change.n, shown=i18n.number(change.n))


def shortened(text: str) -> str:
    """The beginning of a comment."""
    return text if len(text) <= COMMENT_LENGTH else f"{text[:COMMENT_LENGTH].rstrip()}…"
