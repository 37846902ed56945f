"""The page of a client: consumption, score with reasons, harmless causes, energy at stake, cases and visits.

In:  the client's id; forms that open a case or record an inspection, with its photos.
Out: the page at /desk/client/ID; cases, moves and inspections in the store. A rejected form is shown again as it was
     typed.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, redirect, request, url_for

from fairmeter.casework import workflow as rules
from fairmeter.casework.workflow import CaseError
from fairmeter.desk.client_profile import client_profile, stored_profile
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.client import context
from fairmeter.web.pages.client.charts import client_charts
from fairmeter.web.pages.forms import assignable_users, parse_inspection, uploaded_photos
from fairmeter.web.pages.site import Site, render
from fairmeter.web.pages.transformers import transformer


def register(site: Site) -> None:
    desk, store, zone = site.desk, site.desk.store, site.settings.time_zone

    @site.page("/client/<path:client_id>")
    def client(client_id: str):
        return render("client.html", **client_context(site, client_id))

    @site.page("/open-case", INVESTIGATOR, methods=("POST",))
    def client_open_case():
        def open_case(client_id: str, user: str) -> str:
            assignee = request.form.get("assignee", "").strip() or None
            case = store.open_case(client_id, user, request.form.get("why", ""), assignee=assignee)
            return i18n.text("client.opened", n=case.case_id)

        return perform(site, open_case)

    @site.page("/record-inspection", INVESTIGATOR, methods=("POST",))
    def client_record_inspection():
        def record(client_id: str, user: str) -> str:
            inspection = parse_inspection(zone)
            more = inspection.model_dump(exclude={"outcome", "inspected_on", "photos", "version"})
            with desk.photos.saved(uploaded_photos()) as names:
                case = desk.ensure_inspecting(client_id, user, i18n.text("client.was_there"))
                more |= {"version": case.version, "photos": names}
                store.record_inspection(case.case_id, inspection.outcome, inspection.inspected_on, user, **more)
            return i18n.text("client.recorded", outcome=i18n.text(f"outcome.{inspection.outcome}"))

        return perform(site, record)


def client_context(site: Site, client_id: str) -> dict[str, Any]:
    """What the template of a client receives. Raises Problem."""
    desk, store = site.desk, site.desk.store
    stored = stored_profile(store, client_id)
    profile = client_profile(desk, stored)
    values = {"client_id": client_id, "profile": profile, "case": store.open_case_of(client_id), "typed": {}}
    values |= {"past_cases": store.list_cases(client_id=client_id, limit=20).rows}
    values |= {"people": assignable_users(desk), "outcomes": rules.OUTCOMES}
    values |= {"takes_photos": desk.photos.folder is not None, "today": datetime.now(site.settings.time_zone).date()}
    unusual = desk.backend.anomaly_timeline(stored.series) if stored.series else {}
    values |= client_charts(profile, unusual, context.load_surroundings(store, profile))
    return values | context.surroundings_context(store, profile) | transformer.transformer_context(store, profile)


def perform(site: Site, action: Callable[[str, str], str]):
    """Run an action and return to the client; on an error, show the page with the error and the typed form.

    action: client_id, user -> the sentence to show. Raises Problem.
    """
    client_id = request.form.get("client_id", "")
    try:
        flash(action(client_id, site.guard.identity().signature), "done")
    except StoreUnavailable:
        raise
    except (CaseError, StoreError, Problem) as error:
        values = client_context(site, client_id) | {"typed": request.form, "problem": error_pages.error_sentence(error)}
        return render("client.html", **values), error_pages.describe_error(error)[0]
    return redirect(url_for("desk.client", client_id=client_id))
