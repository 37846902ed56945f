"""The settings of the desk: what holds, where it comes from, and those that can be set here.

In:  a form: currency, price of a kWh, cost of a visit, share of random visits.
Out: the page at /desk/settings; values in the store.
"""

from typing import Any, NamedTuple

from flask import flash, redirect, request, url_for
from pydantic import BaseModel, Field

from fairmeter.desk.fieldwork.desk_settings import DeskSettings, desk_settings
from fairmeter.scoring.problems import Problem
from fairmeter.store import DeskValue
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ADMIN
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.site import Site, render

ENVIRONMENT, HERE, DEFAULT = "environment", "here", "default"
# Those that only the environment sets, each with the attribute of PageSettings that holds it.
OF_ENVIRONMENT = {
    "time_zone": "time_zone", "language": "language", "map_tiles": "tiles", "map_outlines": "outlines",
    "map_credit": "credit",
}  # fmt: skip


class SettingsForm(BaseModel):
    """The settings that the page changes; an empty field unsets. [random_percent: of the visits]"""

    currency: str | None = Field(None, max_length=8)
    price_per_kwh: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    cost_per_visit: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    random_percent: float | None = Field(None, ge=0, le=100, allow_inf_nan=False)


class SettingRow(NamedTuple):
    """A setting as the page shows it. source: environment, here, default; variable: of the environment."""

    name: str
    value: str
    source: str
    variable: str
    set_by: DeskValue | None = None


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/settings", ADMIN)
    def settings():
        return render("settings.html", **settings_context(site))

    @site.page("/settings", ADMIN, methods=("POST",))
    def settings_change():
        try:
            asked = parse_form(SettingsForm, request.form).model_dump()
        except Problem as error:
            context = settings_context(site) | {"typed": request.form, "problem": error_pages.error_sentence(error)}
            return render("settings.html", **context), error.status
        percent = asked.pop("random_percent")
        values = asked | {"random_share": None if percent is None else percent / 100}
        free = {name: value for name, value in values.items() if name not in site.settings.from_environment}
        store.set_desk_values(free, site.guard.identity().signature)
        flash(i18n.text("settings.saved"), "done")
        return redirect(url_for("desk.settings"))


def settings_context(site: Site) -> dict[str, Any]:
    """What the template receives."""
    now = desk_settings(site.desk.store, environment_values(site))
    stored = site.desk.store.desk_values()
    texts = {name: i18n.text_or_default(f"settings.name.{name}", name) for name in (*DeskSettings._fields,)}
    return {
        "now": now,
        "typed": {},
        "names": texts,
        "fixed": site.settings.from_environment,
        "rows": [
            *(_own_row(name, now, stored, site) for name in DeskSettings._fields),
            *(_environment_row(name, attribute, site) for name, attribute in OF_ENVIRONMENT.items()),
        ],
    }


def environment_values(site: Site) -> dict[str, Any]:
    """The desk's settings that the environment sets."""
    return {"currency": site.settings.currency} if "currency" in site.settings.from_environment else {}


def _own_row(name: str, now: DeskSettings, stored: dict[str, DeskValue], site: Site) -> SettingRow:
    value = getattr(now, name)
    shown = i18n.percent(value) if name == "random_share" else f"{value:g}" if isinstance(value, float) else value
    is_fixed = name in site.settings.from_environment
    source = ENVIRONMENT if is_fixed else HERE if name in stored else DEFAULT
    return SettingRow(name, shown or "", source, name.upper(), None if is_fixed else stored.get(name))


def _environment_row(name: str, attribute: str, site: Site) -> SettingRow:
    value = getattr(site.settings, attribute)
    shown = i18n.text("settings.n_lines", n=len(value)) if name == "map_outlines" and value else str(value or "")
    source = ENVIRONMENT if name in site.settings.from_environment else DEFAULT
    return SettingRow(name, shown, source, name.upper())
