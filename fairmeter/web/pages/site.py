"""The base of all pages: routes with a role, the templates' context, static files, security headers.

In:  the app, its access control, the desk's service, the pages' settings.
Out: Site, to which each page's module adds its routes, and `render`.

Pages load nothing from another host and contain no inline script: their data is in blocks of JSON, which the scripts of
static/ read. The Content-Security-Policy makes the browser refuse anything else.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Any, NamedTuple
from zlib import compressobj
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Response, current_app, g, has_request_context, render_template, request, url_for
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from fairmeter.core.claims import claims_probability
from fairmeter.core.code_names import shown
from fairmeter.core.paths import ALERT_RULES
from fairmeter.desk.demo_history import DEMO_PREFIX
from fairmeter.desk.fieldwork.desk_settings import DeskSettings, desk_settings
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.store import Store, StoreError
from fairmeter.web.http import i18n, sessions
from fairmeter.web.http.auth import ADMIN, ANYBODY, NOBODY, ROLES, VIEWER, AccessControl, Identity, guard_of
from fairmeter.web.http.openapi_app import Api
from fairmeter.web.http.single_sign_on import Provider, SingleSignOn
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.basemap import Line
from fairmeter.web.server.policies import RoutePolicy
from fairmeter.wording.locales import ENGLISH, LANGUAGES, locale_of
from fairmeter.wording.phrases import text_of

DESK = "desk"  # the blueprint: endpoints are desk.today, desk.suspects ...
STATIC = Path(__file__).parents[1] / "static"
PLOTLY = "plotly.min.js"
MODULES = Path(__file__).parents[3] / "node_modules"  # installed by npm from package-lock.json (Makefile)
THIRD_PARTY = {"echarts.js": "echarts/dist/echarts.common.min.js"}  # served name: file below MODULES
CHART_SCRIPTS = ("echarts.js", "charts.js")
YEAR = 31_536_000  # seconds; the address of a file changes with its content
CHUNK = 2**16  # bytes
GZIP = 31  # window bits of zlib that make it write a gzip header
THEMES = ("light", "dark")
# Plotly adds two style sheets, an empty one and one for maps, each allowed by its hash, and inline styles on what it
# draws. A test of the browser's console fails when a new Plotly adds others. Scripts are files of static/ alone.
STYLE_HASHES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src-elem 'self' {STYLE_HASHES}; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:{tiles}; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"}
# Sections of the navigation: endpoint and minimum role of each page, in the order of the links. The endpoint names the
# page's text (navigation.X) and icon too. A page that is not registered is left out, and a section without pages.
NAVIGATION = {
    "work": (
        ("today", VIEWER),
        ("suspects", VIEWER),
        ("plan", VIEWER),
        ("cases", VIEWER),
        ("map", VIEWER),
    ),
    "network": (("transformers", VIEWER), ("live", VIEWER)),
    "results": (("campaigns", VIEWER), ("model", VIEWER)),
    "setup": (("imports", ADMIN), ("crews", ADMIN), ("rules", ADMIN), ("settings", ADMIN)),
}
PHONE_TABS = ("field", "map", "search", "me")
# Pages that belong to another one's link: the first part of their endpoint, and that link.
BELONGS_TO = {
    "client": "suspects",
    "alerts": "today",
    "changes": "today",
    "transformer": "transformers",
    "list": "plan",
}


# Settings that admins may set at the desk, each with the attribute of PageSettings that holds it.
OWN = {
    "currency": "currency", "time_zone": "time_zone", "language": "language", "map_tiles": "tiles",
    "map_credit": "credit",
}  # fmt: skip


class PageSettings(NamedTuple):
    """Settings of the pages.

    time_zone: of the utility; currency: of amounts of money, may be empty; language: where a reader chose none;
    billable_months: before a visit, that may be billed back.
    tiles, outlines: the base map (fairmeter/web/pages/basemap); credit: the attribution that the map's page shows.
    provider: at which users sign in besides.
    reports: paths of metrics.json of a training or validation; the one of the model's version is preferred.
    rules_path: the file of the alert rules; from_environment: names of the settings that the environment sets.
    """

    time_zone: ZoneInfo = ZoneInfo("UTC")
    currency: str = ""
    language: str = ENGLISH
    billable_months: int = 12
    tiles: str = ""
    outlines: tuple[Line, ...] = ()
    credit: str = ""
    reports: tuple[Path, ...] = ()
    provider: Provider | None = None
    rules_path: Path = ALERT_RULES
    from_environment: frozenset[str] = frozenset()


class Link(NamedTuple):
    """One entry of the navigation; its name is that of its text and its icon."""

    name: str
    url: str
    is_here: bool


class Site:
    """The dashboard, as the modules of the pages see it."""

    def __init__(self, app: Api, guard: AccessControl, desk: DeskService, settings: PageSettings) -> None:
        self.app, self.guard, self.desk, self.given = app, guard, desk, settings
        provider = settings.provider
        self.single_sign_on = None if provider is None else SingleSignOn(app, provider, desk.store)
        self.blueprint = Blueprint(DESK, "fairmeter.web", url_prefix="/desk")

    def page(self, rule: str, role: str = VIEWER, methods: tuple[str, ...] = ("GET",)) -> Callable:
        """Decorate a view: its function's name is the endpoint, `role` the minimum role that may call it.

        A form is a POST with {{ csrf() }} in it; access control checks token, origin and role before the view runs.
        """

        def add(view: Callable) -> Callable:
            self.blueprint.add_url_rule(rule, view.__name__, view, methods=methods)
            self.guard.set_roles(**{f"{DESK}.{view.__name__}": role})
            return view

        return add

    @property
    def settings(self) -> PageSettings:
        """The settings of the environment, and those set at the desk where it sets none; read once a request."""
        if not has_request_context():
            return self.given
        if "page_settings" not in g:
            g.page_settings = self.given
            with suppress(StoreError):  # the page of that error is rendered too
                g.page_settings = with_own(self.given, desk_settings(self.desk.store))
        return g.page_settings

    def set_policies(self, policy: RoutePolicy, *views: str) -> None:
        """Set how requests of these views are received and where they are computed."""
        self.app.set_policies(**{f"{DESK}.{view}": policy for view in views})

    def mount(self) -> None:
        """Add the pages to the app; afterwards no page can be added."""
        self.page("/static/<version>/<path:name>", ANYBODY)(static)
        self.page("/<path:anything>", ANYBODY)(no_such_page)
        self.blueprint.register_error_handler(Exception, error_pages.render_error)
        self.blueprint.after_request(self._with_headers)
        self.app.extensions["site"] = self
        i18n.register(self.app, lambda: locale_of(self.settings.language))
        zone, currency = lambda: self.settings.time_zone, lambda: self.settings.currency
        self.app.jinja_env.filters |= i18n.filters(zone, currency)
        self.app.jinja_env.finalize = i18n.worded  # of every expression: sentences are in the reader's language
        self.app.jinja_env.filters |= {"coded": coded, "with_text": with_text, "plain": plain, "named_rule": named_rule}
        self.app.jinja_env.trim_blocks = self.app.jinja_env.lstrip_blocks = True
        self.app.context_processor(template_context)
        self.app.context_processor(lambda: claims_context(self.desk))
        self.app.context_processor(lambda: frame_context(self.desk.store))
        self.app.register_blueprint(self.blueprint)

    def _with_headers(self, response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.endpoint == f"{DESK}.static":  # which needs no database
            response.headers["Content-Security-Policy"] = POLICY.format(tiles="")
            return response
        tiles = self.settings.tiles.partition("{")[0]
        response.headers.setdefault("Content-Language", i18n.current_locale().tag)
        response.headers["Content-Security-Policy"] = POLICY.format(tiles=f" {tiles}" if tiles else "")
        return response


def with_own(given: PageSettings, own: DeskSettings) -> PageSettings:
    """The settings with what admins set at the desk, where the environment does not set it."""
    values = own._asdict() | {"time_zone": known_zone(own.time_zone)}
    free = {attribute: values[name] for name, attribute in OWN.items() if name not in given.from_environment}
    return given._replace(**{attribute: value for attribute, value in free.items() if value})


def known_zone(name: str) -> ZoneInfo | None:
    """A time zone by its name; None where this machine knows none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def no_such_page(anything: str) -> Response:  # noqa: ARG001
    raise NotFound


# --- templates --------------------------------------------------------------------------------------------------------


def render(template: str, **values: Any) -> str:
    """Render a template that extends base.html. What every template receives is in `template_context`."""
    return render_template(template, **values)


def template_context() -> dict[str, Any]:
    """What every template receives.

    t(key): a text; t_or(key, default): a text, or the default without one; can(role): whether the user has the role;
    file(name): the address of a static file; identity, csrf_token, theme, navigation, phone_tabs; language (a tag),
    direction; languages: of each its code, its own name, and whether the page is in it.
    """
    identity = current_identity()
    locale, theme = i18n.current_locale(), request.cookies.get("theme")
    return {
        "t": i18n.text,
        "t_or": i18n.text_or_default,
        "script_texts": i18n.texts_below("script"),
        "language": locale.tag,
        "direction": locale.direction,
        "languages": [(code, name, code == locale.language) for code, name in LANGUAGES.items()],
        "identity": identity,
        "can": lambda role: has_role(identity, role),
        "csrf_token": sessions.csrf_token() or "",
        "file": file_address,
        "chart_scripts": chart_scripts,
        "theme": theme if theme in THEMES else "",
        "navigation": navigation(identity),
        "phone_tabs": links_to(*PHONE_TABS),
    }


def coded(value: float, column: str) -> tuple[str, str]:
    """A code and its name, for a choice. [filter: codes | map("coded", column)]"""
    return plain(value), i18n.code(value, column)


def named_rule(name: str) -> tuple[str, str]:
    """An alert rule and its name for readers, for a choice."""
    return name, i18n.text_or_default(f"rules.name.{name}", name.replace("_", " ").capitalize())


def plain(value: float | str | None) -> str:
    """A value as an address holds it: 101.0 as 101."""
    return shown(value) if isinstance(value, float) else str(value)


def with_text(value: str, section: str) -> tuple[str, str]:
    """A value and its text, for a choice. [filter: values | map("with_text", section)]"""
    return value, i18n.text(f"{section}.{value}")


def frame_context(store: Store) -> dict[str, Any]:
    """What the frame shows of the store: n_notices, the user's unread ones; is_demo, whether it is simulated."""
    with suppress(StoreError):  # the page of that error is rendered too
        n_notices = store.count_unread_notices(current_identity().signature)
        return {"n_notices": n_notices, "is_demo": store.count_profiles(id_prefix=DEMO_PREFIX) > 0}
    return {"n_notices": 0, "is_demo": False}


def claims_context(desk: DeskService) -> dict[str, Any]:
    """ranks_only: whether pages show ranks and nothing that a probability promises; ranks_why: the sentence why."""
    why = None
    with suppress(StoreError):  # the page of that error is rendered too
        why = ranks_why(desk)
    return {"ranks_only": why is not None, "ranks_why": why}


def ranks_why(desk: DeskService) -> str | None:
    """Why the desk's scores are ranks; None where they are probabilities. Raises StoreError."""
    if not claims_probability(desk.manifest):
        return i18n.text("score.ranks_only")
    ranks = desk.run_ranks()
    return text_of(ranks["why"]) if ranks else None


def current_identity() -> Identity:
    """The identity of the request; NOBODY for a wrong key, or where the database is away.

    The pages of these errors are rendered too.
    """
    try:
        return guard_of(current_app).identity()
    except (Problem, StoreError):
        g.identity = NOBODY
        return NOBODY


def has_role(identity: Identity, role: str) -> bool:
    """Whether controls of that role are shown; access control checks the role again when one is used."""
    return identity.role in ROLES and ROLES.index(identity.role) >= ROLES.index(role)


def navigation(identity: Identity) -> dict[str, list[Link]]:
    """Links to the registered pages that the identity may see, by section."""
    sections = {
        section: links_to(*(name for name, role in pages if has_role(identity, role)))
        for section, pages in NAVIGATION.items()
    }
    return {section: links for section, links in sections.items() if links}


def links_to(*names: str) -> list[Link]:
    """Links to those of the pages that are registered."""
    page = (request.endpoint or "").removeprefix(f"{DESK}.").partition("_")[0]
    here = BELONGS_TO.get(page, page)
    registered = [name for name in names if f"{DESK}.{name}" in current_app.view_functions]
    return [Link(name, url_for(f"{DESK}.{name}"), name == here) for name in registered]


# --- files ------------------------------------------------------------------------------------------------------------


def static(version: str, name: str, is_cached: bool = True) -> Response:  # noqa: ARG001
    """Serve a file of static/, of a package of npm, or Plotly.js out of its package.

    version: only makes the address unique. is_cached: whether the browser may keep the file for a year.
    """
    path = _files().get(name)
    if path is None:
        raise NotFound
    is_gzipped = "gzip" in request.headers.get("Accept-Encoding", "")
    kind = guess_type(name)[0] or "application/octet-stream"
    answer = Response(_gzipped(name) if is_gzipped else _chunks(path), content_type=f"{kind}; charset=utf-8")
    answer.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if is_cached else "no-cache"
    answer.headers["Vary"] = "Accept-Encoding"
    if is_gzipped:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def file_address(name: str) -> str:
    """The address of a static file, which changes with its content. Raises FileNotFoundError."""
    return url_for(f"{DESK}.static", version=_version(name), name=name)


def chart_scripts() -> Markup:
    """The script elements of a page with charts; where ECharts is not installed, charts.js says so."""
    there = [name for name in CHART_SCRIPTS if name in _files()]
    return Markup("").join(Markup('<script src="{}" defer></script>').format(file_address(name)) for name in there)


def _chunks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces; Plotly's would need 5 MB at once."""
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


@cache
def _gzipped(name: str) -> bytes:
    compressor = compressobj(wbits=GZIP)
    return b"".join([*(compressor.compress(chunk) for chunk in _chunks(_files()[name])), compressor.flush()])


@cache
def _version(name: str) -> str:
    path = _files().get(name)
    if path is None:
        raise FileNotFoundError(f"There is no {name!r} in {STATIC}; add the file or correct its name in the template.")
    digest = sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()[:12]


@cache
def _files() -> dict[str, Path]:
    """Every file that is served, by its name, so that no path out of a request is ever opened."""
    ours = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    ours |= {name: MODULES / path for name, path in THIRD_PARTY.items() if (MODULES / path).is_file()}
    package = find_spec("plotly")  # only located: importing the library takes a second and 60 MB
    if package is not None and package.submodule_search_locations:
        ours[PLOTLY] = Path(package.submodule_search_locations[0]) / "package_data" / PLOTLY
    return ours
