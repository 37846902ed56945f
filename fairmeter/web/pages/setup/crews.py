"""Crews, users and keys: who goes out, who signs in, which scripts may call.

In:  forms: a crew, a new user, a change of a user, a new key, a key to revoke.
Out: the page at /desk/crews. The link of an invitation and a new key are shown once, in the answer to the form alone.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from flask import flash, make_response, redirect, request, url_for
from pydantic import BaseModel, Field

from fairmeter.casework.workflow import CaseError
from fairmeter.scoring.problems import Problem
from fairmeter.store import NO_PASSWORD, StoreError, StoreUnavailable
from fairmeter.store.fieldwork.crews import MAX_CAPACITY
from fairmeter.web.desk_api.access import change, make_key
from fairmeter.web.desk_api.access_models import ChangedUser, NewKey, NewUser
from fairmeter.web.desk_api.requests import Name, Text
from fairmeter.web.http import i18n, security_log
from fairmeter.web.http.auth import ADMIN, ROLES
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.access import invitation
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.site import Site, render

KEY_DAYS = (30, 90, 365)  # choices of a key's life


class CrewForm(BaseModel):
    """A crew. crew_id: of the one that changes, None for a new one. [degrees; visits a day]"""

    crew_id: int | None = None
    name: Name
    base_place: Text = ""
    latitude: float | None = Field(None, ge=-90, le=90, allow_inf_nan=False)
    longitude: float | None = Field(None, ge=-180, le=180, allow_inf_nan=False)
    capacity: int = Field(8, ge=1, le=MAX_CAPACITY)


class ShownOnce(NamedTuple):
    """A link of an invitation, or a key, in clear text. kind: link, key; name: of its user or script."""

    kind: str
    name: str
    value: str


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/crews", ADMIN)
    def crews():
        return render("crews.html", **page_context(site))

    @site.page("/crews/save", ADMIN, methods=("POST",))
    def crews_save():
        def save(user: str) -> None:
            asked = parse_form(CrewForm, request.form)
            details = asked.model_dump(exclude={"crew_id", "name"}) | {"members": request.form.getlist("member")}
            if asked.crew_id is None:
                store.add_crew(asked.name, user, **details)
            else:
                is_active = "ended" not in request.form
                store.change_crew(asked.crew_id, user, name=asked.name, is_active=is_active, **details)
            flash(i18n.text("crews.saved", crew=asked.name), "done")

        return perform(site, save)

    @site.page("/crews/users", ADMIN, methods=("POST",))
    def crews_invite():
        def invite(user: str) -> ShownOnce:
            asked = parse_form(NewUser, request.form)
            store.add_user(asked.name, NO_PASSWORD, asked.role, user)
            security_log.record("user_changed", user, user=asked.name)
            join_crew(site, asked.name, user)
            return ShownOnce("link", asked.name, invitation.invite(store, asked.name, user))

        return perform(site, invite)

    @site.page("/crews/users/change", ADMIN, methods=("POST",))
    def crews_user():
        def change_one(user: str) -> ShownOnce | None:
            name = request.form.get("name", "")
            if "reset" in request.form:
                return ShownOnce("link", name, invitation.invite(store, name, user))
            is_active = "is_active" in request.form
            change(
                store, name, parse_form(ChangedUser, {"role": request.form.get("role", "")}, is_active=is_active), user
            )
            flash(i18n.text("crews.user_changed", name=name), "done")
            return None

        return perform(site, change_one)

    @site.page("/crews/keys", ADMIN, methods=("POST",))
    def crews_key():
        def add(user: str) -> ShownOnce:
            asked = parse_form(NewKey, request.form, expires_at=key_end())
            made, key = make_key(store, asked, user)
            return ShownOnce("key", made.name, key)

        return perform(site, add)

    @site.page("/crews/keys/revoke", ADMIN, methods=("POST",))
    def crews_revoke():
        def revoke(user: str) -> None:
            name = request.form.get("name", "")
            store.revoke_key(name, user)
            security_log.record("key_changed", user, key=name)
            flash(i18n.text("crews.revoked", name=name), "done")

        return perform(site, revoke)


def page_context(site: Site) -> dict[str, Any]:
    """What the template receives."""
    store = site.desk.store
    users = store.list_users()
    all_crews = store.list_crews(None)
    return {
        "crews": sorted(all_crews, key=lambda crew: (not crew.is_active, crew.name)),
        "users": users,
        "crews_of": {
            user.name: [c.name for c in all_crews if user.name in c.members and c.is_active] for user in users
        },
        "last_sign_ins": store.last_sign_ins(),
        "invited": store.invitation_ends(),
        "keys": store.list_keys(),
        "roles": ROLES,
        "key_days": KEY_DAYS,
        "now": datetime.now(UTC),
        "max_capacity": MAX_CAPACITY,
        "me": site.guard.identity().name,
    }


def perform(site: Site, action: Callable[[str], ShownOnce | None]):
    """Run an action, and show the page again: with what is shown once, or with the error and the typed form."""
    try:
        shown = action(site.guard.identity().signature)
    except StoreUnavailable:
        raise
    except (CaseError, StoreError, Problem) as error:
        problem = error_pages.error_sentence(error)
        return render("crews.html", **page_context(site), problem=problem), error_pages.describe_error(error)[0]
    if shown is None:
        return redirect(url_for("desk.crews"))
    answer = make_response(render("crews.html", **page_context(site), shown=shown))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def join_crew(site: Site, name: str, by: str) -> None:
    """Make a new user a member of the crew that the form names, if it names one."""
    crew_id = request.form.get("crew_id", type=int)
    crew = crew_id and site.desk.store.find_crew(crew_id)
    if crew:
        site.desk.store.change_crew(crew.crew_id, by, members=[*crew.members, name])


def key_end() -> datetime | None:
    """The end of a new key's life, in days from now; None where the form asks for none."""
    days = request.form.get("days", type=int)
    return datetime.now(UTC) + timedelta(days=days) if days in KEY_DAYS else None
