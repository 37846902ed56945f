"""The pages that sign a user in and out.

In:  a form with name and password.
Out: a session and a redirect to the requested page; or the form again, with the error. Where an OpenID provider is set,
     the way there and back.
"""

from collections.abc import Callable

from flask import redirect, request, session, url_for

from fairmeter.scoring.problems import Problem
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import ANYBODY, NOBODY
from fairmeter.web.http.single_sign_on import WAY, SingleSignOn
from fairmeter.web.pages.forms import local_address
from fairmeter.web.pages.site import Site, current_identity, render
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

NEXT = "next"  # in the session, while the user is at the provider


def register(site: Site) -> None:
    store = site.desk.store

    def form(problem: Problem | None = None, name: str = ""):
        options = {"has_users": store.count_active_users() > 0, "has_single": site.single_sign_on is not None}
        page = render("sign_in.html", **options, name=name, problem=problem)
        return page if problem is None else (page, problem.status, problem.headers)

    if site.single_sign_on is not None:
        _add_single_sign_on(site, site.single_sign_on, form)

    @site.page("/sign-in", ANYBODY)
    def sign_in():
        if current_identity() is not NOBODY:
            return redirect(target_address())
        return form()

    @site.page("/sign-in", ANYBODY, methods=("POST",))
    def sign_in_now():
        site.guard.check_origin()
        name, password = request.form.get("name", ""), request.form.get("password", "")
        try:
            sessions.sign_in(store, name, password, request.form.get("code", ""))
        except Problem as problem:
            return form(problem, name)
        return redirect(target_address())

    @site.page("/sign-out", ANYBODY, methods=("POST",))
    def sign_out():
        site.guard.check_origin()
        sessions.sign_out(store)
        return redirect(url_for("desk.sign_in"))


def _add_single_sign_on(site: Site, single_sign_on: SingleSignOn, form: Callable) -> None:
    @site.page("/single-sign-on", ANYBODY)
    def single_sign_on_begin():
        try:
            answer = single_sign_on.begin(url_for("desk.single_sign_on_return", _external=True))
        except Problem as problem:
            return form(problem)
        session[NEXT] = target_address()
        return answer

    @site.page("/single-sign-on/return", ANYBODY)
    def single_sign_on_return():
        target = local_address(str(session.get(NEXT, "")), url_for("desk.today"))
        try:
            user = single_sign_on.finish()
        except Problem as problem:
            return form(problem)
        sessions.begin(site.desk.store, user, WAY)
        return redirect(target)

    # They wait for the provider: never in the places of other pages.
    site.set_policies(RoutePolicy(policies.FILES), "single_sign_on_begin", "single_sign_on_return")


def target_address() -> str:
    """The page that was requested before the sign-in page, or the overview."""
    return local_address(request.values.get("next", ""), url_for("desk.today"))
