"""The page of an invitation: a user sets its own password by a link, and is signed in.

In:  the link's secret part; a form with the password, twice.
Out: a session and Today; or the form again, with the error. A link that does not count is a page that says so.
"""

from flask import Response, make_response, redirect, request, url_for

from fairmeter.scoring.problems import Problem
from fairmeter.store import InvitationEnded, Store
from fairmeter.web.http import i18n, sessions
from fairmeter.web.http.auth import ANYBODY
from fairmeter.web.pages.site import Site, render


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/invitation/<link>", ANYBODY)
    def invitation(link: str):
        return invitation_page(store, link)

    @site.page("/invitation/<link>", ANYBODY, methods=("POST",))
    def invitation_accept(link: str):
        site.guard.check_origin()
        password, again = request.form.get("password", ""), request.form.get("again", "")
        if password != again:
            return invitation_page(store, link, i18n.text("invitation.differ"))
        try:
            sessions.accept_invitation(store, link, password)
        except (sessions.BadPassword, InvitationEnded):
            return invitation_page(store, link, i18n.text("invitation.length", least=sessions.MIN_PASSWORD_LENGTH))
        return redirect(url_for("desk.today"))


def invitation_page(store: Store, link: str, problem: str | None = None) -> Response:
    """The form, or that the link does not count. Neither is kept by a browser, nor named to another page."""
    try:
        name, status = store.invited_user(sessions.hash_of_key(link)).name, 422 if problem else 200
    except InvitationEnded:
        name, status = None, 410
    page = render("invitation.html", name=name, problem=problem, least=sessions.MIN_PASSWORD_LENGTH)
    answer = make_response(page, status)
    answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    return answer


def invitation_address(link: str) -> str:
    """The whole address that a user opens."""
    return url_for("desk.invitation", link=link, _external=True)


def invite(store: Store, name: str, by: str) -> str:
    """Invite a user, and return the address of the link. Raises Problem, StoreError."""
    user = store.find_user(name)
    if user is None or user.subject is not None:
        raise Problem(404, "not_found", i18n.text("invitation.nobody", name=name))
    return invitation_address(sessions.invite(store, name, by))
