"""The settings of the desk: what holds, where it comes from, and those that can be set here.

In:  a form: currency, price of a kWh, cost of a visit, share of random visits, time zone, language, base map.
Out: the page at /desk/settings; values in the store.
"""

from typing import Any, NamedTuple
from zoneinfo import available_timezones

from flask import flash, redirect, request, url_for
from pydantic import BaseModel, Field, field_validator

from fairmeter.desk.fieldwork.desk_settings import DeskSettings, desk_settings
from fairmeter.scoring.problems import Problem
from fairmeter.store import DeskValue
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ADMIN
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.basemap import parse_tile_address
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.site import OWN, Site, known_zone, render
from fairmeter.wording.locales import LANGUAGES, locale_of

ENVIRONMENT, HERE, DEFAULT = "environment", "here", "default"
OUTLINES = "map_outlines"  # a file on the server, which only the environment names


class SettingsForm(BaseModel):
    """The settings that the page changes; an empty field unsets. [random_percent: of the visits]"""

    currency: str | None = Field(None, max_length=8)
    price_per_kwh: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    cost_per_visit: float | None = Field(None, ge=0, le=1e6, allow_inf_nan=False)
    random_percent: float | None = Field(None, ge=0, le=100, allow_inf_nan=False)
    time_zone: str | None = Field(None, max_length=64)
    language: str | None = Field(None, max_length=16)
    map_tiles: str | None = Field(None, max_length=500)
    map_credit: str | None = Field(None, max_length=200)

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        if known_zone(name) is None:
            raise ValueError("is no time zone that is known here; choose one from the list, such as Africa/Tunis")
        return name

    @field_validator("language")
    @classmethod
    def _is_language(cls, tag: str) -> str:
        return locale_of(tag).tag

    @field_validator("map_tiles")
    @classmethod
    def _is_address(cls, address: str) -> str:
        return parse_tile_address(address)


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
        defaults = {name: str(getattr(site.given, attribute)) for name, attribute in OWN.items()}
        values = {name: None if value == defaults.get(name) else value for name, value in values.items()}
        free = {name: value for name, value in values.items() if name not in site.given.from_environment}
        store.set_desk_values(free, site.guard.identity().signature)
        flash(i18n.text("settings.saved"), "done")
        return redirect(url_for("desk.settings"))


def settings_context(site: Site) -> dict[str, Any]:
    """What the template receives."""
    now = values_now(site)
    stored = site.desk.store.desk_values()
    texts = {name: i18n.text_or_default(f"settings.name.{name}", name) for name in (*DeskSettings._fields,)}
    return {
        "now": now,
        "typed": {},
        "names": texts,
        "fixed": site.settings.from_environment,
        "zones": sorted(available_timezones()),
        "languages_here": LANGUAGES,
        "rows": [*(_own_row(name, now, stored, site) for name in DeskSettings._fields), _outlines_row(site)],
    }


def values_now(site: Site) -> DeskSettings:
    """The settings that hold: those of the environment, else the desk's own, else the defaults."""
    settings = site.settings
    shared = {name: str(getattr(settings, attribute)) for name, attribute in OWN.items()}
    return desk_settings(site.desk.store, shared)


def _own_row(name: str, now: DeskSettings, stored: dict[str, DeskValue], site: Site) -> SettingRow:
    value = getattr(now, name)
    shown = i18n.percent(value) if name == "random_share" else f"{value:g}" if isinstance(value, float) else value
    is_fixed = name in site.settings.from_environment
    source = ENVIRONMENT if is_fixed else HERE if name in stored else DEFAULT
    return SettingRow(name, shown or "", source, name.upper(), None if is_fixed else stored.get(name))


def _outlines_row(site: Site) -> SettingRow:
    n, is_given = len(site.settings.outlines), OUTLINES in site.settings.from_environment
    shown = i18n.text("settings.n_lines", n=n) if n else ""
    return SettingRow(OUTLINES, shown, ENVIRONMENT if is_given else DEFAULT, OUTLINES.upper())
