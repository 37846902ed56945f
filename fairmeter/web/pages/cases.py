"""Cases: a board by state, and each case with what may be done next.

In:  the address: whose cases, which state; forms: a move, what a visit found, what was billed after it.
Out: the pages at /desk/cases; moves and inspections. What is refused comes back as it was typed, with the reason and
     the case as it is now.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, redirect, request, url_for
from pydantic import BaseModel

from fairmeter.casework.types import Case, Inspection
from fairmeter.casework.workflow import CLOSED, MOVES, OUTCOMES, CaseError, CaseNotFound
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import Store, StoreError, StoreUnavailable
from fairmeter.web.desk_api import requests as asks
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.forms import (
    assignable_users,
    current_cursor,
    pager,
    parse_form,
    parse_inspection,
    uploaded_photos,
)
from fairmeter.web.pages.site import Site, render

N_CARDS = 12  # of a column of the board
N_ROWS = 60  # of a page of one state
SORTS = {CLOSED: "updated"}  # what is closed is of interest by when; what is open by how severe it is


def register(site: Site) -> None:
    store, zone = site.desk.store, site.settings.time_zone

    @site.page("/cases")
    def cases():
        state, assignee = request.args.get("state"), request.args.get("assignee") or None
        return render("cases.html", **board(site.desk, state if state in MOVES else None, assignee), me=me(site))

    @site.page("/cases/<int:case_id>")
    def cases_one(case_id: int):
        return render("cases_one.html", **one(site, case_id))

    @site.page("/cases/<int:case_id>/moves", INVESTIGATOR, methods=("POST",))
    def cases_move(case_id: int):
        def move(user: str) -> None:
            asked = parse_form(asks.NewMove, request.form.to_dict() | {"why": request.form.get("why", "")})
            store.move_case(case_id, asked.to, user, asked.why, version=asked.version, assignee=asked.assignee)
            flash(i18n.text(f"cases.now.{asked.to}", n=case_id, who=asked.assignee), "done")

        return tried(site, case_id, move)

    @site.page("/cases/<int:case_id>/inspections", INVESTIGATOR, methods=("POST",))
    def cases_inspect(case_id: int):
        def inspect(user: str) -> None:
            found = parse_inspection(zone)
            more = found.model_dump(exclude={"outcome", "inspected_on", "photos"})
            with site.desk.photos.saved(uploaded_photos()) as names:
                store.record_inspection(case_id, found.outcome, found.inspected_on, user, **more, photos=names)
            outcome = i18n.text(f"outcome.{found.outcome}")
            flash(i18n.text("cases.recorded", n=case_id, outcome=outcome), "done")

        return tried(site, case_id, inspect)

    @site.page("/cases/<int:case_id>/recovery", INVESTIGATOR, methods=("POST",))
    def cases_recovery(case_id: int):
        def bill(_user: str) -> None:
            billed = parse_form(RecoveredForm, request.form)
            inspection = inspection_of(site.desk, found_or_404(store, case_id))
            if inspection is None:
                raise CaseNotFound(i18n.text("cases.no_inspection", n=case_id))
            store.record_recovery(inspection.inspection_id, billed.recovered_kwh, billed.recovered_value)
            flash(i18n.text("cases.billed"), "done")

        return tried(site, case_id, bill)


class RecoveredForm(BaseModel):
    """What was billed after a visit."""

    recovered_kwh: asks.Energy | None = None
    recovered_value: asks.Energy | None = None


def me(site: Site) -> str:
    return site.guard.identity().signature


# --- the board --------------------------------------------------------------------------------------------------------


def board(desk: DeskService, state: str | None, assignee: str | None) -> dict[str, Any]:
    """A column a state, or a page of the one that is asked for."""
    after, limit = (current_cursor(), N_ROWS) if state else (None, N_CARDS)
    columns = {
        name: desk.store.list_cases(
            state=name, assignee=assignee, sort=SORTS.get(name, "severity"), limit=limit, after=after
        )
        for name in ([state] if state else MOVES)
    }
    return {
        "columns": columns,
        "counts": desk.store.count_cases(),
        "state": state,
        "assignee": assignee,
        "people": assignable_users(desk),
        "pager": pager(columns[state].next) if state else None,
    }


# --- one case ---------------------------------------------------------------------------------------------------------


def one(site: Site, case_id: int) -> dict[str, Any]:
    """What the page of a case shows. Raises CaseNotFound."""
    desk = site.desk
    case = found_or_404(desk.store, case_id)
    return {
        "case": case,
        "moves": desk.store.moves_of(case_id),
        "profile": desk.store.find_profile(case.client_id),
        "inspection": inspection_of(desk, case) if case.state == CLOSED else None,
        "takes_photos": desk.photos.folder is not None,
        "outcomes": OUTCOMES,
        "people": assignable_users(desk),
        "me": me(site),
        "today": datetime.now(site.settings.time_zone).date(),
        "typed": {},
    }


def found_or_404(store: Store, case_id: int) -> Case:
    """Raises CaseNotFound."""
    case = store.find_case(case_id)
    if case is None:
        raise CaseNotFound(f"There is no case {case_id}.")
    return case


def inspection_of(desk: DeskService, case: Case) -> Inspection | None:
    of_client = desk.store.list_inspections(client_id=case.client_id, limit=100).rows
    return next((inspection for inspection in of_client if inspection.case_id == case.case_id), None)


def tried(site: Site, case_id: int, act: Callable[[str], None]):
    """The case after it, or the page again with what is wrong and all that was typed. Raises CaseNotFound."""
    try:
        act(me(site))
    except (StoreUnavailable, CaseNotFound):
        raise
    except (CaseError, StoreError, Problem) as error:
        shown = one(site, case_id) | {"typed": request.form, "problem": error_pages.sentence_of(error)}
        return render("cases_one.html", **shown), error_pages.meant(error)[0]
    return redirect(url_for("desk.cases_one", case_id=case_id))
