"""The page of plans: plan a day or some days for several crews, change the plan, publish it to their phones.

In:  the address: a day, what is asked of it; forms: plan, change, publish, take away.
Out: the page at /desk/plan; plans in the store.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from flask import current_app, flash, redirect, request, url_for
from pydantic import BaseModel, Field, StringConstraints

from fairmeter.casework.types import Crew, Plan
from fairmeter.casework.workflow import CaseError, check_day_ahead
from fairmeter.desk.fieldwork.day_changes import Act, DayChange, changed_visits
from fairmeter.desk.fieldwork.day_plans import CrewDay, DayOptions, propose_day
from fairmeter.desk.fieldwork.day_routes import in_short_order
from fairmeter.desk.fieldwork.desk_settings import DeskSettings, desk_settings
from fairmeter.scoring.problems import Problem
from fairmeter.store import PlanChanged, Store, StoreError, StoreUnavailable
from fairmeter.store.fieldwork.plans import MAX_VISITS
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ADMIN, INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.plan import day_files
from fairmeter.web.pages.plan.day_view import DayView, day_view
from fairmeter.web.pages.site import DESK, Site, has_role, render

RANDOM_PERCENT = 100 * DeskSettings().random_share
MAX_DAYS = 7  # planned at once
FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2200, 1, 1)
ANYWHERE = ""  # the choice of a crew's working area that excludes nobody


class PlanForm(BaseModel):
    """What is asked of one or some days. [random: percent of the visits]"""

    on: date
    days: int = Field(1, ge=1, le=MAX_DAYS)
    random: float = Field(RANDOM_PERCENT, ge=0, le=100)


class ChangeForm(BaseModel):
    """A change of a day's plans. crew: where to; place: from 0."""

    on: date
    act: Act
    client: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    crew: int | None = None
    place: int | None = None


def register(site: Site) -> None:
    store = site.desk.store
    day_files.register(site)

    @site.page("/plan")
    def plan():
        on = asked_day(site)
        view = day_view(store, on, site.settings.outlines)
        return render("plan.html", **page_context(site, view))

    @site.page("/plan/propose", INVESTIGATOR, methods=("POST",))
    def plan_propose():
        asked = parse_form(PlanForm, request.form)
        crew_days = asked_crews(store.list_crews())

        def propose(user: str) -> None:
            if not crew_days:
                raise Problem(422, "bad_value", i18n.text("plan.no_crew_chosen"))
            check_day_ahead("on", asked.on)
            days = [asked.on + timedelta(days=n) for n in range(asked.days)]
            n_visits = sum(plan_day(site, on, crew_days, asked, user) for on in days)
            flash(i18n.text("plan.planned", n=n_visits), "done")

        return perform(site, asked.on, propose, kept_arguments(asked, crew_days))

    @site.page("/plan/change", INVESTIGATOR, methods=("POST",))
    def plan_change():
        asked = parse_form(ChangeForm, change_fields())

        def change(user: str) -> None:
            before = store.list_plans(asked.on, asked.on)
            visits = changed_visits(before, DayChange(asked.act, asked.client, asked.crew, asked.place))
            store.save_plans(asked.on, visits, user, versions=seen_versions(before))

        return perform(site, asked.on, change)

    @site.page("/plan/order", INVESTIGATOR, methods=("POST",))
    def plan_order():
        asked = parse_form(OrderForm, request.form)

        def order(user: str) -> None:
            found = [plan for plan in store.list_plans(asked.on, asked.on) if plan.crew_id == asked.crew]
            for plan in found:
                store.save_plans(asked.on, {plan.crew_id: shortest(store, plan)}, user)

        return perform(site, asked.on, order)

    @site.page("/plan/publish", INVESTIGATOR, methods=("POST",))
    def plan_publish():
        asked = parse_form(DayForm, request.form)

        def publish(user: str) -> None:
            drafts = [one for one in store.list_plans(asked.on, asked.on) if one.visits and not one.is_published]
            published = [store.publish_plan(draft.plan_id, user) for draft in drafts]
            n_visits = sum(len(one.plan.visits) - len(one.refused) for one in published)
            flash(i18n.text("plan.published", n=n_visits, crews=len(published)), "done")
            for client_id, why in ((id_, why) for one in published for id_, why in one.refused.items()):
                flash(f"{client_id}: {why}", "error")

        return perform(site, asked.on, publish)

    @site.page("/plan/clear", INVESTIGATOR, methods=("POST",))
    def plan_clear():
        asked = parse_form(DayForm, request.form)

        def clear(user: str) -> None:
            for one in store.list_plans(asked.on, asked.on):
                store.delete_plan(one.plan_id, user)
            flash(i18n.text("plan.cleared", when=i18n.day(asked.on)), "done")

        return perform(site, asked.on, clear)


class DayForm(BaseModel):
    """A day of the plan."""

    on: date


class OrderForm(DayForm):
    """A crew whose visits are to be put into a short order."""

    crew: int


# --- the page ---------------------------------------------------------------------------------------------------------


def asked_day(site: Site) -> date:
    """The day of the address; tomorrow without one that a calendar could show, in the utility's time zone."""
    try:
        on = date.fromisoformat(request.args.get("on", ""))
    except ValueError:
        on = date.min
    return on if FIRST_DAY <= on <= LAST_DAY else today_of(site) + timedelta(days=1)


def today_of(site: Site) -> date:
    return datetime.now(site.settings.time_zone).date()


def page_context(site: Site, view: DayView) -> dict[str, Any]:
    """What plan.html receives."""
    today = today_of(site)
    return {
        "view": view,
        "today": today,
        "day_before": view.on - timedelta(days=1),
        "day_after": view.on + timedelta(days=1),
        "regions": site.desk.store.list_codes()["region"],
        "asked": request.args,
        "random": request.args.get("random", 100 * desk_settings(site.desk.store).random_share, float),
        "max_visits": MAX_VISITS,
        "planned_crews": [str(column.crew.crew_id) for column in view.columns],
        "may_change": has_role(site.guard.identity(), INVESTIGATOR) and view.on >= today,
        "may_add_crews": has_role(site.guard.identity(), ADMIN),
        "has_crews_page": f"{DESK}.crews" in current_app.view_functions,
        "credit": site.settings.credit,
        "script": i18n.texts_below("plan.script"),
    }


def perform(site: Site, on: date, action, kept: dict[str, Any] | None = None):
    """Run an action and show the day again; what went wrong is said there."""
    try:
        action(site.guard.identity().signature)
    except StoreUnavailable:
        raise
    except (CaseError, StoreError, Problem) as error:
        flash(error_pages.error_sentence(error), "error")
    return redirect(f"{url_for('desk.plan')}?{urlencode({'on': on.isoformat(), **(kept or {})})}")


# --- what is asked ----------------------------------------------------------------------------------------------------


def asked_crews(crews: Iterable[Crew]) -> list[CrewDay]:
    """The crews that are ticked in the form, with their visits and working areas."""
    ticked = set(request.form.getlist("crew"))
    return [CrewDay(crew, asked_visits(crew), asked_region(crew)) for crew in crews if str(crew.crew_id) in ticked]


def asked_visits(crew: Crew) -> int:
    """The crew's number of visits in the form, from 0 to MAX_VISITS; its capacity without one."""
    n_visits = request.form.get(f"visits_{crew.crew_id}", crew.capacity, int)
    return min(max(n_visits, 0), MAX_VISITS)


def asked_region(crew: Crew) -> float | None:
    """The code of the crew's working area in the form; None for all."""
    try:
        return float(request.form.get(f"region_{crew.crew_id}", ANYWHERE))
    except ValueError:
        return None


def kept_arguments(asked: PlanForm, crew_days: Iterable[CrewDay]) -> dict[str, Any]:
    """What the form of the page shows again after planning."""
    kept: dict[str, Any] = {"random": f"{asked.random:g}"}
    for each in crew_days:
        kept[f"visits_{each.crew.crew_id}"] = each.n_visits
        kept |= {} if each.region is None else {f"region_{each.crew.crew_id}": f"{each.region:g}"}
    return kept


def change_fields() -> dict[str, str]:
    """The fields of a change. A button names everything at once: "move 3 0 CLIENT" is crew 3, first place."""
    fields = request.form.to_dict()
    if (button := fields.pop("button", "")).count(" ") >= 3:
        act, crew, place, client = button.split(" ", 3)
        fields |= {"act": act, "crew": crew.strip("-"), "place": place.strip("-"), "client": client}
    return fields


def seen_versions(plans: Iterable[Plan]) -> dict[int, int]:
    """Versions of the plans that the user saw, by crew_id. Raises PlanChanged where another user changed them."""
    seen = dict(part.split(":", 1) for part in request.form.get("versions", "").split(",") if ":" in part)
    now = {plan.crew_id: plan.version for plan in plans}
    if any(seen.get(str(crew_id), str(version)) != str(version) for crew_id, version in now.items()):
        raise PlanChanged(i18n.text("plan.changed"))
    return now


# --- planning ---------------------------------------------------------------------------------------------------------


def plan_day(site: Site, on: date, crew_days: list[CrewDay], asked: PlanForm, user: str) -> int:
    """Plan a day and keep it as a draft; its number of visits. Raises Problem, StoreError, CaseError."""
    settings = desk_settings(site.desk.store)
    options = DayOptions(asked.random / 100, settings.cost_per_visit or 0.0, settings.price_per_kwh)
    proposed = propose_day(site.desk, on, crew_days, options)
    site.desk.store.save_plans(on, proposed.visits, user)
    if proposed.refused:
        flash(i18n.text("plan.refused", n=len(proposed.refused), when=i18n.day(on)), "error")
    return sum(len(visits) for visits in proposed.visits.values())


def shortest(store: Store, plan: Plan) -> list:
    """The visits of a plan in a short order."""
    crew = store.find_crew(plan.crew_id)
    sites = store.sites_of([visit.client_id for visit in plan.visits])
    visits = {visit.client_id: visit for visit in plan.visits}
    order = in_short_order(crew, [sites[client_id] for client_id in visits if client_id in sites])
    return [visits[client_id] for client_id in order]
