"""The page of a client: consumption, score with reasons, harmless causes, energy at stake, cases and visits.

In:  the client's id; forms that open a case or record an inspection, with its photos.
Out: the page at /desk/client/ID; cases, moves and inspections in the store. A rejected form is shown again as it was
     typed.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

from flask import flash, redirect, request, url_for

from fairmeter.casework import workflow as rules
from fairmeter.casework.alert_rules import IN_CASE, LAPSED, OPEN, SCORE
from fairmeter.casework.types import Case
from fairmeter.casework.workflow import CaseError, CaseNotFound
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.desk.client_profile import ClientProfile, client_profile, stored_profile
from fairmeter.desk.client_states import first_rule_of
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.client import context
from fairmeter.web.pages.client.charts import client_charts, step_starts
from fairmeter.web.pages.client.relations import relations_context
from fairmeter.web.pages.client.small_map import small_map
from fairmeter.web.pages.forms import assignable_users, parse_inspection, uploaded_photos
from fairmeter.web.pages.site import Site, render
from fairmeter.web.pages.today.alerts import default_until
from fairmeter.web.pages.transformers import transformer
from fairmeter.wording.phrases import newest_day

N_REASONS = 3  # that are read first
MIN_EFFECT = 0.01  # of a reason that is read first; weaker ones are folded away
COUNTED_ALERTS = (OPEN, IN_CASE)
GRAVE = ("critical", "high")  # anomalies among the first reasons


def register(site: Site) -> None:
    desk, store = site.desk, site.desk.store

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

    @site.page("/client-note", INVESTIGATOR, methods=("POST",))
    def client_note():
        def note(client_id: str, user: str) -> str:
            case = store.open_case_of(client_id)
            if case is None:
                raise CaseNotFound(i18n.text("client.no_case_for_notes"))
            store.add_comment(case.case_id, user, request.form.get("text", ""))
            return i18n.text("client.noted")

        return perform(site, note)

    @site.page("/record-inspection", INVESTIGATOR, methods=("POST",))
    def client_record_inspection():
        def record(client_id: str, user: str) -> str:
            inspection = parse_inspection(site.settings.time_zone)
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
    values |= reasons_context(profile, site.settings.billable_months) | work_context(
        site, profile, values["past_cases"]
    )
    values |= context.surroundings_context(store, profile) | transformer.transformer_context(store, profile)
    values |= relations_context(site, client_id)
    ids = [client_id, *(one.client_id for one in values["neighbours"])]
    return values | {"small_map": small_map(client_id, values["neighbours"], store.places_of(ids))}


def reasons_context(profile: ClientProfile, billable_months: int) -> dict[str, Any]:
    """What is read first: the rule of the alert, the gravest anomaly, the strongest reasons; the others are folded.

    first_reasons: at most N_REASONS sentences; minor_reasons: reasons with their effects, weak ones and those of a time
    that can no longer be billed.
    """
    least = first_billable_day(profile, billable_months)
    rule = profile.alert and profile.alert.state in COUNTED_ALERTS and first_rule_of(profile.alert)
    striking = [rule["sentence"]] if rule and rule["rule"] != SCORE else []
    grave = (one.text for one in profile.anomalies if one.severity in GRAVE)
    striking += [text for text in islice(grave, 1) if text not in striking]
    for_theft = [reason for reason in profile.reasons if reason.effect > 0 and reason.text not in striking]
    strong = [one for one in for_theft if one.effect >= MIN_EFFECT and (newest_day(one.text) or least) >= least]
    strong = strong or for_theft[:1]
    first = strong[: N_REASONS - len(striking)]
    others = [reason for reason in profile.reasons if reason not in first and reason.text not in striking]
    return {"first_reasons": [*striking, *(reason.text for reason in first)], "minor_reasons": others}


def first_billable_day(profile: ClientProfile, billable_months: int) -> int:
    """The day from which consumption can still be billed, counted from the client's last data. [days since 1970]"""
    ends = [invoice.invoice_on for invoice in profile.invoices[-1:]]
    if profile.series is not None:
        ends.append(step_starts(profile.series)[-1])
    last = max(ends, default=date.today())
    return (last - date(1970, 1, 1)).days - round(billable_months * DAYS_PER_MONTH)


def work_context(site: Site, profile: ClientProfile, cases: Sequence[Case]) -> dict[str, Any]:
    """What people did: the last visit, and the comments on the client's cases with the case of each."""
    comments = [(case, comment) for case in cases for comment in site.desk.store.comments_of(case.case_id)]
    return {
        "last_visit": profile.inspections[0] if profile.inspections else None,
        "comments": sorted(comments, key=lambda pair: pair[1].at, reverse=True),
        "me": site.guard.identity().signature,
        "alert": profile.alert if profile.alert and profile.alert.state != LAPSED else None,
        "until": default_until(site),
        "here": url_for("desk.client", client_id=profile.client["client_id"]),
    }


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
