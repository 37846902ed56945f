"""The pages of cases: a board by state, and each case with its possible moves.

In:  the address: assignee, state, due_until; forms: a move, an inspection, what was billed after it.
Out: the pages at /desk/cases; moves and inspections in the store. A rejected form is shown again as it was typed, with
     the error and the current case.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from flask import flash, redirect, request, url_for
from pydantic import BaseModel

from fairmeter.casework.types import Case, Inspection
from fairmeter.casework.workflow import CLOSED, MOVES, OUTCOMES, CaseError, CaseNotFound
from fairmeter.desk.client_states import first_rule_of
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import Store, StoreError, StoreUnavailable
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.forms import (
    assignable_users,
    current_cursor,
    pager,
    parse_form,
    parse_inspection,
    parse_query,
    uploaded_photos,
)
from fairmeter.web.pages.site import Site, render

N_CARDS = 12  # in a column of the board
N_ROWS = 60  # on a page of one state
SORTS = {CLOSED: "updated"}  # closed cases by their last move; open ones by severity


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/cases")
    def cases():
        return render(
            "cases.html",
            **board_context(site.desk),
            me=signature_of(site),
            today=datetime.now(site.settings.time_zone).date(),
        )

    @site.page("/cases/<int:case_id>")
    def cases_one(case_id: int):
        return render("cases_one.html", **case_context(site, case_id))

    @site.page("/cases/<int:case_id>/moves", INVESTIGATOR, methods=("POST",))
    def cases_move(case_id: int):
        def move(user: str) -> None:
            new_move = parse_form(requests.NewMove, request.form.to_dict() | {"why": request.form.get("why", "")})
            store.move_case(
                case_id, new_move.to, user, new_move.why, version=new_move.version, assignee=new_move.assignee
            )
            flash(i18n.text(f"cases.now.{new_move.to}", n=case_id, who=new_move.assignee), "done")

        return perform(site, case_id, move)

    @site.page("/cases/<int:case_id>/inspections", INVESTIGATOR, methods=("POST",))
    def cases_inspect(case_id: int):
        def inspect(user: str) -> None:
            inspection = parse_inspection(site.settings.time_zone)
            more = inspection.model_dump(exclude={"outcome", "inspected_on", "photos"})
            with site.desk.photos.saved(uploaded_photos()) as names:
                store.record_inspection(
                    case_id, inspection.outcome, inspection.inspected_on, user, **more, photos=names
                )
            outcome = i18n.text(f"outcome.{inspection.outcome}")
            flash(i18n.text("cases.recorded", n=case_id, outcome=outcome), "done")

        return perform(site, case_id, inspect)

    @site.page("/cases/<int:case_id>/comments", INVESTIGATOR, methods=("POST",))
    def cases_comment(case_id: int):
        return perform(site, case_id, lambda user: store.add_comment(case_id, user, request.form.get("text", "")))

    @site.page("/cases/<int:case_id>/correction", INVESTIGATOR, methods=("POST",))
    def cases_correct(case_id: int):
        def correct(user: str) -> None:
            inspection = inspection_of(site.desk, find_case_or_raise(store, case_id))
            if inspection is None:
                raise CaseNotFound(i18n.text("cases.no_inspection", n=case_id))
            correction = parse_form(requests.Correction, request.form.to_dict() | {"why": request.form.get("why", "")})
            store.correct_inspection(inspection.inspection_id, user, **correction.model_dump())
            flash(i18n.text("cases.corrected"), "done")

        return perform(site, case_id, correct)

    @site.page("/cases/<int:case_id>/recovery", INVESTIGATOR, methods=("POST",))
    def cases_recovery(case_id: int):
        def bill(_user: str) -> None:
            billed = parse_form(RecoveredForm, request.form)
            inspection = inspection_of(site.desk, find_case_or_raise(store, case_id))
            if inspection is None:
                raise CaseNotFound(i18n.text("cases.no_inspection", n=case_id))
            store.record_recovery(
                inspection.inspection_id, signature_of(site), billed.recovered_kwh, billed.recovered_value
            )
            flash(i18n.text("cases.billed"), "done")

        return perform(site, case_id, bill)


class RecoveredForm(BaseModel):
    """The form of what was billed after an inspection. [kWh; currency of the settings]"""

    recovered_kwh: requests.Energy | None = None
    recovered_value: requests.Energy | None = None


def signature_of(site: Site) -> str:
    """The name under which the user's moves are recorded."""
    return site.guard.identity().signature


# --- the board --------------------------------------------------------------------------------------------------------


def due_cases(day: date) -> dict[str, Any]:
    """Filters of the open cases that are planned, or to come back, until a day: for their list and its length."""
    return {"is_open": True, "due_until": day}


def board_context(desk: DeskService) -> dict[str, Any]:
    """One column per state; or a page of the state, or of the cases due, for which the address asks."""
    query, problems = parse_query(requests.CaseQuery)
    asked = {"assignee": query.assignee} | (due_cases(query.due_until) if query.due_until else {})
    names = ["due"] if query.due_until else [query.state] if query.state else [*MOVES]
    page = {"limit": N_ROWS, "after": current_cursor()} if len(names) == 1 else {"limit": N_CARDS}
    columns = {
        name: desk.store.list_cases(
            **asked | ({} if name == "due" else {"state": name}), sort=SORTS.get(name, "severity"), **page
        )
        for name in names
    }
    shown = [case.client_id for found in columns.values() for case in found.rows]
    return {
        "columns": columns,
        "scores": desk.store.scores_of(sorted(set(shown))),
        "n_comments": desk.store.count_comments({case.case_id for found in columns.values() for case in found.rows}),
        "counts": desk.store.count_cases(),
        "n_due": desk.store.count_listed_cases(**asked) if query.due_until else None,
        "query": query,
        "problems": problems,
        "state": None if query.due_until else query.state,
        "assignee": query.assignee,
        "people": assignable_users(desk),
        "pager": pager(columns[names[0]].next) if len(names) == 1 else None,
    }


# --- one case ---------------------------------------------------------------------------------------------------------


def case_context(site: Site, case_id: int) -> dict[str, Any]:
    """What the template of a case receives. Raises CaseNotFound."""
    desk = site.desk
    case = find_case_or_raise(desk.store, case_id)
    return {
        "case": case,
        "moves": desk.store.moves_of(case_id),
        "comments": desk.store.comments_of(case_id),
        "rule": rule_of(desk, case),
        "profile": desk.store.find_profile(case.client_id),
        "inspection": inspection_of(desk, case) if case.state == CLOSED else None,
        "takes_photos": desk.photos.folder is not None,
        "outcomes": OUTCOMES,
        "people": assignable_users(desk),
        "me": signature_of(site),
        "today": datetime.now(site.settings.time_zone).date(),
        "typed": {},
    }


def rule_of(desk: DeskService, case: Case) -> dict[str, Any] | None:
    """The rule that speaks first for the alert of a case; None without an alert."""
    alert = desk.store.find_alert(case.alert_id) if case.alert_id else None
    return alert and first_rule_of(alert)


def find_case_or_raise(store: Store, case_id: int) -> Case:
    """The case of that number. Raises CaseNotFound."""
    case = store.find_case(case_id)
    if case is None:
        raise CaseNotFound(f"There is no case {case_id}.")
    return case


def inspection_of(desk: DeskService, case: Case) -> Inspection | None:
    """The inspection that closed the case, or None."""
    of_client = desk.store.list_inspections(client_id=case.client_id, limit=100).rows
    return next((inspection for inspection in of_client if inspection.case_id == case.case_id), None)


def perform(site: Site, case_id: int, action: Callable[[str], None]):
    """Run an action and show the case; on an error, the page with the error and the typed form. Raises CaseNotFound."""
    try:
        action(signature_of(site))
    except (StoreUnavailable, CaseNotFound):
        raise
    except (CaseError, StoreError, Problem) as error:
        state = case_context(site, case_id) | {"typed": request.form, "problem": error_pages.error_sentence(error)}
        return render("cases_one.html", **state), error_pages.describe_error(error)[0]
    return redirect(url_for("desk.cases_one", case_id=case_id))
