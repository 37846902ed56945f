"""What all pages stand on: routes with a role, templates with what each of them needs, files, headers.

In:  the app, its guard, what the desk keeps, settings.
Out: Site, which a page's room adds its routes to, and `render`.

Nothing comes from another host and no script stands in a page: data goes along in blocks of JSON, which the scripts of
static/ read. The browser is told so (Content-Security-Policy) and would refuse anything else.
"""

from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path
from typing import Any, NamedTuple
from zlib import compressobj
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, current_app, g, render_template, request, url_for
from werkzeug.exceptions import NotFound

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.web.http import i18n, sessions
from fairmeter.web.http.auth import ANYBODY, NOBODY, ROLES, VIEWER, AccessControl, Identity, guard_of
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.basemap import Line

DESK = "desk"  # the blueprint: endpoints are desk.overview, desk.list ...
STATIC = Path(__file__).parents[1] / "static"
PLOTLY = "plotly.min.js"
YEAR = 31_536_000  # seconds; the address of a file changes with what is in it
PART, GZIP = 2**16, 31  # bytes read at once; of zlib, that a gzip header is written
THEMES = ("light", "dark")
# Plotly adds two sheets, an empty one and one for maps, each admitted by its hash (a test of the browser's console says
# when a new Plotly brings others), and styles on what it draws. Scripts are files of ours alone.
SHEETS = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src-elem 'self' {SHEETS}; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:{tiles}; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"}
# endpoint, icon, least role: in this order. A page that is not installed is left out.
NAVIGATION = (
    ("overview", "overview", VIEWER),
    ("list", "list", VIEWER),
    ("cases", "cases", VIEWER),
    ("field", "field", VIEWER),
    ("map", "map", VIEWER),
    ("live", "live", VIEWER),
    ("model", "model", VIEWER),
    ("demo", "demo", VIEWER),
)


class PageSettings(NamedTuple):
    """Settings of the pages.

    time_zone: of the utility; currency: of amounts of money, may be empty.
    tiles, outlines: the base map (fairmeter/web/pages/basemap.py); credit: the attribution that the map's page shows.
    reports: paths of metrics.json of a training or validation; the one of the model's version is preferred.
    """

    time_zone: ZoneInfo = ZoneInfo("UTC")
    currency: str = ""
    tiles: str = ""
    outlines: tuple[Line, ...] = ()
    credit: str = ""
    reports: tuple[Path, ...] = ()


class Link(NamedTuple):
    """One entry of the navigation."""

    name: str
    icon: str
    url: str
    is_here: bool


class Site:
    """The dashboard as the pages' rooms see it."""

    def __init__(self, app: Flask, guard: AccessControl, desk: DeskService, settings: PageSettings) -> None:
        self.app, self.guard, self.desk, self.settings = app, guard, desk, settings
        self.blueprint = Blueprint(DESK, "fairmeter.web", url_prefix="/desk")

    def page(self, rule: str, role: str = VIEWER, methods: tuple[str, ...] = ("GET",)) -> Callable:
        """Decorates a view: its function's name is the endpoint, `role` the least that may call it.

        A form is a POST with {{ csrf() }} in it; the guard checks token, origin and role before the view runs.
        """

        def added(view: Callable) -> Callable:
            self.blueprint.add_url_rule(rule, view.__name__, view, methods=methods)
            self.guard.set_roles(**{f"{DESK}.{view.__name__}": role})
            return view

        return added

    def open(self) -> None:
        """Adds the pages to the app; after this no room can add one."""
        self.page("/static/<version>/<path:name>", ANYBODY)(static)
        self.page("/<path:anything>", ANYBODY)(nothing_here)
        self.blueprint.register_error_handler(Exception, error_pages.shown)
        self.blueprint.after_request(self._with_headers)
        self.app.extensions["site"] = self
        self.app.jinja_env.filters |= i18n.filters(self.settings.time_zone, self.settings.currency)
        self.app.jinja_env.trim_blocks = self.app.jinja_env.lstrip_blocks = True
        self.app.context_processor(context)
        self.app.register_blueprint(self.blueprint)

    def _with_headers(self, response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        tiles = self.settings.tiles.partition("{")[0]
        response.headers["Content-Security-Policy"] = POLICY.format(tiles=f" {tiles}" if tiles else "")
        return response


def nothing_here(anything: str) -> Response:  # noqa: ARG001
    raise NotFound


# --- what templates know ----------------------------------------------------------------------------------------------


def render(template: str, **values: Any) -> str:
    """A page. The template extends base.html; what every page knows is in `context`."""
    return render_template(template, **values)


def context() -> dict[str, Any]:
    """t(key): a text; can(role); csrf_token; file(name): the address of a static file; theme; navigation."""
    who = who_asks()
    theme = request.cookies.get("theme")
    return {
        "t": i18n.text,
        "said": i18n.text_or_default,
        "script_texts": i18n.texts_below("script"),
        "language": i18n.LANGUAGE,
        "direction": i18n.direction(),
        "who": who,
        "can": lambda role: may(who, role),
        "csrf_token": sessions.csrf_token() or "",
        "file": address_of,
        "theme": theme if theme in THEMES else "",
        "navigation": navigation(who),
    }


def who_asks() -> Identity:
    """Who asks, nobody where their key is wrong: the page that says so is rendered too."""
    try:
        return guard_of(current_app).identity()
    except Problem:
        g.identity = NOBODY
        return NOBODY


def may(who: Identity, role: str) -> bool:
    """Whether a button of that role is shown; the guard decides again when it is pressed."""
    return who.role in ROLES and ROLES.index(who.role) >= ROLES.index(role)


def navigation(who: Identity) -> list[Link]:
    there = [entry for entry in NAVIGATION if f"{DESK}.{entry[0]}" in current_app.view_functions]
    here = (request.endpoint or "").removeprefix(f"{DESK}.").partition("_")[0]
    here = "list" if here == "client" else here
    return [Link(name, icon, url_for(f"{DESK}.{name}"), name == here) for name, icon, role in there if may(who, role)]


# --- files ------------------------------------------------------------------------------------------------------------


def static(version: str, name: str, is_kept: bool = True) -> Response:  # noqa: ARG001
    """A file of static/, or Plotly.js out of its package. The version is in its address alone.

    is_kept: by the browser, for a year.
    """
    path = _files().get(name)
    if path is None:
        raise NotFound
    is_packed = "gzip" in request.headers.get("Accept-Encoding", "")
    kind = guess_type(name)[0] or "application/octet-stream"
    answer = Response(_packed(name) if is_packed else _parts(path), content_type=f"{kind}; charset=utf-8")
    answer.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if is_kept else "no-cache"
    answer.headers["Vary"] = "Accept-Encoding"
    if is_packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def address_of(name: str) -> str:
    return url_for(f"{DESK}.static", version=_version(name), name=name)


def _parts(path: Path) -> Iterator[bytes]:
    """A file bit by bit: Plotly's would be 5 MB at once."""
    with path.open("rb") as stream:
        while part := stream.read(PART):
            yield part


@cache
def _packed(name: str) -> bytes:
    packing = compressobj(wbits=GZIP)
    return b"".join([*(packing.compress(part) for part in _parts(_files()[name])), packing.flush()])


@cache
def _version(name: str) -> str:
    path = _files().get(name)
    if path is None:
        raise FileNotFoundError(f"There is no {name!r} in {STATIC}; templates name files as they lie there.")
    digest = sha256()
    for part in _parts(path):
        digest.update(part)
    return digest.hexdigest()[:12]


@cache
def _files() -> dict[str, Path]:
    """Every file that may be asked for, by its name: no path that a request holds is ever opened."""
    ours = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    package = find_spec("plotly")  # found, not imported: the library itself takes a second and 60 MB
    if package is not None and package.submodule_search_locations:
        ours[PLOTLY] = Path(package.submodule_search_locations[0]) / "package_data" / PLOTLY
    return ours
