"""A crew's day as a file: a list to print, and a calendar for its phone.

In:  the number of a plan.
Out: PDF at /desk/plan/N.pdf, iCalendar at /desk/plan/N.ics.
"""

import re
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from fairmeter.casework.types import Plan, PlanVisit
from fairmeter.desk.service import DeskService
from fairmeter.store import NoSuchPlan
from fairmeter.store.fieldwork.sites import ClientSite
from fairmeter.web.exports.files import PDF, filtered
from fairmeter.web.exports.icalendar import DayEvent, calendar_text
from fairmeter.web.exports.process import file_response
from fairmeter.web.http import i18n
from fairmeter.web.pages.site import Site
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

ICALENDAR = "text/calendar"
COLUMNS = ("number", "client", "place", "severity", "stake", "kind", "reason")
NUMBERS = ("number", "stake")
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def register(site: Site) -> None:
    desk = site.desk

    @site.page("/plan/<int:plan_id>.pdf")
    def plan_pdf(plan_id: int):
        plan = found_plan(desk, plan_id)
        return file_response(paper_header(plan), paper_rows(desk, plan), f"{file_name(plan)}.pdf", PDF)

    @site.page("/plan/<int:plan_id>.ics")
    def plan_ics(plan_id: int):
        plan = found_plan(desk, plan_id)
        text = calendar_text(title_of(plan), events_of(desk, plan, request.host), datetime.now(UTC))
        name = f'attachment; filename="{file_name(plan)}.ics"'
        return Response(text, content_type=f"{ICALENDAR}; charset=utf-8", headers={"Content-Disposition": name})

    site.set_policies(RoutePolicy(policies.FILES), "plan_pdf")


def found_plan(desk: DeskService, plan_id: int) -> Plan:
    """The plan of this number. Raises NoSuchPlan."""
    plan = desk.store.find_plan(plan_id)
    if plan is None:
        raise NoSuchPlan(f"There is no plan {plan_id}.")
    return plan


def title_of(plan: Plan) -> str:
    return i18n.text("plan.title_of", crew=plan.crew, when=i18n.day(plan.planned_on))


def file_name(plan: Plan) -> str:
    crew = UNSAFE.sub("-", plan.crew).strip("-.")[:40] or "crew"
    return f"{plan.planned_on}-{crew}"


# --- the list ---------------------------------------------------------------------------------------------------------


def paper_header(plan: Plan) -> dict[str, Any]:
    """The header of the printed list, as exports/pdf_table.py takes it."""
    title, now = title_of(plan), filtered("moment", datetime.now(UTC))
    return {
        "kind": "table",
        "title": title,
        "notes": [note for note in (plan.note, "" if plan.is_published else i18n.text("plan.draft_note")) if note],
        "columns": [i18n.text(f"plan.column.{name}") for name in COLUMNS],
        "is_number": [name in NUMBERS for name in COLUMNS],
        "foot": i18n.text("paper.foot", title=title, when=now),
        "direction": i18n.current_locale().direction,
        "page": i18n.text("paper.page"),
        "empty": i18n.text("paper.empty"),
    }


def paper_rows(desk: DeskService, plan: Plan) -> list[list[str]]:
    """The visits as rows of texts."""
    ids = [visit.client_id for visit in plan.visits]
    sites, scores = desk.store.sites_of(ids), desk.store.scores_of(ids)
    rows = []
    for number, visit in enumerate(plan.visits, 1):
        site, score = sites.get(visit.client_id), scores.get(visit.client_id)
        severity = i18n.text(f"severity.{site.severity}") if site and site.severity else ""
        stake = filtered("energy", site.expected_recovery_kwh) if site else ""
        reason = str(i18n.worded(score.reasons[0].text)) if score and score.reasons else ""
        rows.append([str(number), visit.client_id, place_of(site), severity, stake, kind_of(visit), reason])
    return rows


def place_of(site: ClientSite | None) -> str:
    """Region and district, and the coordinates where they are known."""
    if site is None:
        return ""
    named = [i18n.code(value, name) for name in ("region", "district") if (value := getattr(site, name)) is not None]
    return ", ".join([*named, *([f"{site.latitude:.5f} {site.longitude:.5f}"] if site.has_place else [])])


def kind_of(visit: PlanVisit) -> str:
    """Whether the visit is random or fixed, in words; empty for the others."""
    kinds = [name for name in ("random", "fixed") if getattr(visit, f"is_{name}")]
    return ", ".join(i18n.text(f"plan.kind.{name}") for name in kinds)


# --- the calendar -----------------------------------------------------------------------------------------------------


def events_of(desk: DeskService, plan: Plan, host: str) -> list[DayEvent]:
    """An event for each visit, in order."""
    sites = desk.store.sites_of([visit.client_id for visit in plan.visits])
    return [
        _event(number, visit, sites.get(visit.client_id), plan, host) for number, visit in enumerate(plan.visits, 1)
    ]


def _event(number: int, visit: PlanVisit, site: ClientSite | None, plan: Plan, host: str) -> DayEvent:
    stake = i18n.text("plan.stake", kwh=filtered("energy", site.expected_recovery_kwh)) if site else ""
    return DayEvent(
        uid=f"{plan.planned_on}-{visit.client_id}@{host}",
        on=plan.planned_on,
        title=i18n.text("plan.event", n=number, client=visit.client_id, crew=plan.crew),
        text="\n".join(part for part in (stake, kind_of(visit)) if part),
        location=place_of(site),
        place=(site.latitude, site.longitude) if site and site.has_place else None,
    )
