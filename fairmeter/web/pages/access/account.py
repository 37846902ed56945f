"""The page of one's own password and second factor.

In:  forms with the password, a new one, the code of an authenticator app.
Out: the change, after which all other sessions of the user end; the secret of a new second factor as a QR code, drawn
     here, and as text.
"""

from flask import flash, redirect, request, url_for
from markupsafe import Markup

from fairmeter.scoring.problems import Problem
from fairmeter.web.desk_api import access_models as models
from fairmeter.web.desk_api.access import own_user
from fairmeter.web.http import i18n, second_factor, sessions
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.site import Site, render

QR_SCALE = 4  # pixels of a module


def register(site: Site) -> None:
    store, guard = site.desk.store, site.guard

    def page(problem: Problem | None = None):
        user = own_user(guard, store)
        secret = None if user.has_totp else request.form.get("secret") or second_factor.new_secret()
        code = secret and qr_code(second_factor.app_address(user.name, secret))
        shown = render("account.html", user=user, secret=secret, code=code, problem=problem)
        return shown if problem is None else (shown, problem.status, problem.headers)

    @site.page("/account")
    def account():
        return page()

    @site.page("/account/password", methods=("POST",))
    def account_password():
        try:
            sessions.change_password(store, own_user(guard, store), parse_form(models.NewPassword, request.form))
        except Problem as problem:
            return page(problem)
        flash(i18n.text("account.password_changed"), "done")
        return redirect(url_for("desk.account"))

    @site.page("/account/second-factor", methods=("POST",))
    def account_second_factor():
        try:
            asked = parse_form(models.NewSecondFactor, {"secret": ""} | request.form.to_dict(), **_secret())
            sessions.change_second_factor(store, own_user(guard, store), asked)
        except Problem as problem:
            return page(problem)
        flash(i18n.text("account.second_factor_set" if asked.secret else "account.second_factor_removed"), "done")
        return redirect(url_for("desk.account"))


def _secret() -> dict[str, str | None]:
    return {"secret": request.form.get("secret") or None}


def qr_code(address: str) -> Markup:
    """A QR code as SVG, without any style."""
    import segno  # only for this page

    return Markup(segno.make(address, error="m").svg_inline(scale=QR_SCALE, light="#fff", dark="#000"))  # noqa: S704
