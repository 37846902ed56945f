"""One client: consumption, score with its reasons, harmless causes, what a visit may bring, what was done.

In:  the client's id; forms that open a case or record an inspection.
Out: the page at /desk/client/ID; cases, moves, inspections.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from flask import Response, flash, redirect, request, url_for

from fraud import cases as rules
from fraud.cases import CaseError
from fraud.records import Case
from fraud.store import Series, Store, StoreError, StoreUnavailable
from fraud.web import texts
from fraud.web.auth import INVESTIGATOR
from fraud.web.desk_api import profile_of
from fraud.web.errors import Problem, bad_value
from fraud.web.pages import client_around, failures, transformer
from fraud.web.pages.client_charts import pictures
from fraud.web.pages.listing import names
from fraud.web.pages.site import Site, render

MOST = 1e9  # kWh, or money, that a form may name


def install(site: Site) -> None:
    desk, store, zone = site.desk, site.desk.store, site.settings.time_zone

    @site.page("/client/<path:client_id>")
    def client(client_id: str):
        profile = profile_of(desk, client_id)
        shown = {"client_id": client_id, "profile": profile, "case": store.open_case_of(client_id)}
        shown |= {"past_cases": store.list_cases(client_id=client_id, limit=20).rows}
        shown |= {"names": names(desk), "outcomes": rules.OUTCOMES, "today": datetime.now(zone).date()}
        told = profile.series
        unusual = desk.timeline(Series(told.step, told.first_on, told.kwh)) if told else {}
        shown |= pictures(profile, unusual, client_around.around_of(store, profile))
        shown |= client_around.panel(store, profile)
        return render("client.html", **shown, **transformer.panel(store, profile))

    @site.page("/open-case", INVESTIGATOR, methods=("POST",))
    def client_open_case():
        client_id, why = request.form.get("client_id", ""), request.form.get("why", "")
        assignee = request.form.get("assignee", "").strip() or None

        def opened() -> str:
            case = store.open_case(client_id, site.guard.who().signature, why, assignee=assignee)
            return texts.text("client.opened", n=case.case_id)

        return done(client_id, opened)

    @site.page("/record-inspection", INVESTIGATOR, methods=("POST",))
    def client_record_inspection():
        client_id, user = request.form.get("client_id", ""), site.guard.who().signature

        def recorded() -> str:
            found = inspection_sent()
            case = brought_to_inspecting(store, client_id, user)
            store.record_inspection(case.case_id, user=user, version=case.version, **found)
            return texts.text("client.recorded", outcome=texts.text(f"outcome.{found['outcome']}"))

        return done(client_id, recorded)


def done(client_id: str, work: Callable[[], str]) -> Response:
    """Back to the client, saying what was done or why it could not be."""
    try:
        flash(work(), "done")
    except StoreUnavailable:
        raise
    except (CaseError, StoreError, Problem) as error:
        flash(failures.sentence_of(error), "error")
    return redirect(url_for("desk.client", client_id=client_id))


# --- what a visit found -----------------------------------------------------------------------------------------------


def inspection_sent() -> dict[str, Any]:
    """A form's outcome, day, note and what was billed back. Raises Problem."""
    form = request.form
    try:
        inspected_on = date.fromisoformat(form.get("inspected_on", ""))
    except ValueError:
        raise bad_value("inspected_on", "no day; write it as 2026-03-24") from None
    outcome = form.get("outcome", "")
    if outcome not in rules.OUTCOMES:
        raise bad_value("outcome", f"not one of {', '.join(rules.OUTCOMES)}")
    amounts = {name: amount(name, form.get(name, "").strip()) for name in ("recovered_kwh", "recovered_value")}
    return {"outcome": outcome, "inspected_on": inspected_on, "note": form.get("note", "")[:2000], **amounts}


def amount(name: str, given: str) -> float | None:
    """A number of a form, None where it is empty. Raises Problem."""
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MOST:
        raise bad_value(name, f"no number from 0 to {MOST:,.0f}")
    return value


def brought_to_inspecting(store: Store, client_id: str, user: str) -> Case:
    """The client's case, opened, taken and begun where it was not: whoever was there has done all of it."""
    why = texts.text("client.was_there")
    case = store.open_case_of(client_id) or store.open_case(client_id, user, why)
    if case.state == rules.NEW:
        case = store.move_case(case.case_id, rules.ASSIGNED, user, why, version=case.version, assignee=user)
    if case.state == rules.ASSIGNED:
        case = store.move_case(case.case_id, rules.INSPECTING, user, why, version=case.version)
    return case
