"""The pages that sign a user in and out.

In:  a form with name and password.
Out: a session and a redirect to the requested page; or the form again, with the error.
"""

from flask import redirect, request, url_for

from fairmeter.scoring.problems import Problem
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import ANYBODY, NOBODY
from fairmeter.web.pages.forms import local_address
from fairmeter.web.pages.site import Site, current_identity, render


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/sign-in", ANYBODY)
    def sign_in():
        if current_identity() is not NOBODY:
            return redirect(target_address())
        return render("sign_in.html", has_users=store.count_active_users() > 0)

    @site.page("/sign-in", ANYBODY, methods=("POST",))
    def sign_in_now():
        site.guard.check_origin()
        name, password = request.form.get("name", ""), request.form.get("password", "")
        try:
            sessions.sign_in(store, name, password)
        except Problem as problem:
            page = render("sign_in.html", has_users=store.count_active_users() > 0, name=name, problem=problem)
            return page, problem.status, problem.headers
        return redirect(target_address())

    @site.page("/sign-out", ANYBODY, methods=("POST",))
    def sign_out():
        site.guard.check_origin()
        sessions.sign_out()
        return redirect(url_for("desk.sign_in"))


def target_address() -> str:
    """The page that was requested before the sign-in page, or the overview."""
    return local_address(request.values.get("next", ""), url_for("desk.today"))
