"""The choice of a language, at the top of every page.

In:  a form with the language and the page on which it was chosen.
Out: that page again. A user's choice is stored; a cookie keeps it for readers without an account.
"""

from flask import redirect, request, url_for

from fairmeter.scoring.problems import Problem
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ANYBODY
from fairmeter.web.pages.forms import local_address
from fairmeter.web.pages.site import Site, current_identity
from fairmeter.wording.locales import LANGUAGES

YEAR = 31_536_000  # seconds


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/language", ANYBODY, methods=("POST",))
    def choose_language():
        site.guard.check_origin()
        language, identity = request.form.get("language", ""), current_identity()
        if language not in LANGUAGES:
            raise Problem(422, "bad_value", i18n.text("site.no_language", names=", ".join(LANGUAGES.values())))
        if identity.kind == "user":
            store.set_language(identity.name, language)
        answer = redirect(local_address(request.form.get("next", ""), url_for("desk.today")))
        answer.set_cookie(i18n.COOKIE, language, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
        return answer
