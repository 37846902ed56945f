"""Registration of the dashboard's pages.

In:  the app, its access control, the desk's service, the pages' settings.
Out: the routes below /desk/. A new page is a module with `register(site)`, named in PAGES; its link is in NAVIGATION
     of site.py.
"""

from fairmeter.desk.service import DeskService
from fairmeter.web.http.auth import AccessControl
from fairmeter.web.http.openapi_app import Api
from fairmeter.web.pages import cases, field, imports, inspection_list, language, live, model, overview, sign_in
from fairmeter.web.pages.client import crew_sheet
from fairmeter.web.pages.client import view as client
from fairmeter.web.pages.demo import view as demo
from fairmeter.web.pages.map import transformer
from fairmeter.web.pages.map import view as map_view
from fairmeter.web.pages.site import PageSettings, Site
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

PAGES = (sign_in, overview, inspection_list, client, crew_sheet, model, cases, field, demo, map_view, live, transformer)
PAGES += (imports, language)


def register(app: Api, guard: AccessControl, desk: DeskService, settings: PageSettings) -> None:
    """Add every page to the app."""
    site = Site(app, guard, desk, settings)
    for page in PAGES:
        page.register(site)
    site.mount()
    with_photos = ("client_record_inspection", "cases_inspect", "field_record")
    site.set_policies(RoutePolicy(max_bytes=app.max_body_bytes), *with_photos)
    site.set_policies(RoutePolicy(heavy_queries=policies.PROMISE), "list")
    site.set_policies(RoutePolicy(policies.FILES), "crew_sheet")
