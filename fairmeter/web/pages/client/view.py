"""One client: consumption, score with its reasons, harmless causes, what a visit may bring, what was done.

In:  the client's id; forms that open a case or record an inspection, with its photos.
Out: the page at /desk/client/ID; cases, moves, inspections. What is refused comes back as it was typed.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, redirect, request, url_for

from fairmeter.casework import workflow as rules
from fairmeter.casework.workflow import CaseError
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.desk_api.read import risk_profile, stored_profile
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.client import context
from fairmeter.web.pages.client.charts import pictures
from fairmeter.web.pages.forms import assignable_users, parse_inspection, uploaded_photos
from fairmeter.web.pages.map import transformer
from fairmeter.web.pages.site import Site, render


def register(site: Site) -> None:
    desk, store, zone = site.desk, site.desk.store, site.settings.time_zone

    @site.page("/client/<path:client_id>")
    def client(client_id: str):
        return render("client.html", **one(site, client_id))

    @site.page("/open-case", INVESTIGATOR, methods=("POST",))
    def client_open_case():
        def opened(client_id: str, user: str) -> str:
            assignee = request.form.get("assignee", "").strip() or None
            case = store.open_case(client_id, user, request.form.get("why", ""), assignee=assignee)
            return i18n.text("client.opened", n=case.case_id)

        return tried(site, opened)

    @site.page("/record-inspection", INVESTIGATOR, methods=("POST",))
    def client_record_inspection():
        def recorded(client_id: str, user: str) -> str:
            found = parse_inspection(zone)
            more = found.model_dump(exclude={"outcome", "inspected_on", "photos", "version"})
            with desk.photos.saved(uploaded_photos()) as names:
                case = desk.ensure_inspecting(client_id, user, i18n.text("client.was_there"))
                more |= {"version": case.version, "photos": names}
                store.record_inspection(case.case_id, found.outcome, found.inspected_on, user, **more)
            return i18n.text("client.recorded", outcome=i18n.text(f"outcome.{found.outcome}"))

        return tried(site, recorded)


def one(site: Site, client_id: str) -> dict[str, Any]:
    """What the page of a client shows. Raises Problem."""
    desk, store = site.desk, site.desk.store
    stored = stored_profile(store, client_id)
    profile = risk_profile(store, stored)
    shown = {"client_id": client_id, "profile": profile, "case": store.open_case_of(client_id), "typed": {}}
    shown |= {"past_cases": store.list_cases(client_id=client_id, limit=20).rows}
    shown |= {
        "people": assignable_users(desk),
        "outcomes": rules.OUTCOMES,
        "takes_photos": desk.photos.folder is not None,
    }
    shown |= {"today": datetime.now(site.settings.time_zone).date()}
    unusual = desk.backend.anomaly_timeline(stored.series) if stored.series else {}
    shown |= pictures(profile, unusual, context.around_of(store, profile))
    return shown | context.panel(store, profile) | transformer.panel(store, profile)


def tried(site: Site, act: Callable[[str, str], str]):
    """Back to the client with what was done, or the page with why it could not be and all that was typed.

    act: client_id, user -> what was done. Raises Problem.
    """
    client_id = request.form.get("client_id", "")
    try:
        flash(act(client_id, site.guard.identity().signature), "done")
    except StoreUnavailable:
        raise
    except (CaseError, StoreError, Problem) as error:
        shown = one(site, client_id) | {"typed": request.form, "problem": error_pages.sentence_of(error)}
        return render("client.html", **shown), error_pages.meant(error)[0]
    return redirect(url_for("desk.client", client_id=client_id))
