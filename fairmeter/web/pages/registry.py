"""Registration of the dashboard's pages.

In:  the app, its access control, the desk's service, the pages' settings.
Out: the routes below /desk/. A new page is a module with `register(site)`, named in PAGES; its link is in NAVIGATION
     of site.py, and appears once the page is registered.
"""

from fairmeter.desk.service import DeskService
from fairmeter.web.http.auth import AccessControl
from fairmeter.web.http.openapi_app import Api
from fairmeter.web.pages import cases, field, imports, inspection_list, language, live, model
from fairmeter.web.pages.access import account, invitation, sign_in
from fairmeter.web.pages.campaigns import view as campaigns
from fairmeter.web.pages.client import crew_sheet, relations
from fairmeter.web.pages.client import view as client
from fairmeter.web.pages.demo import view as demo
from fairmeter.web.pages.frame import me, search
from fairmeter.web.pages.map import view as map_view
from fairmeter.web.pages.plan import view as plan
from fairmeter.web.pages.setup import crews, rules
from fairmeter.web.pages.setup import settings as settings_page
from fairmeter.web.pages.site import PageSettings, Site
from fairmeter.web.pages.suspects import view as suspects
from fairmeter.web.pages.today import alerts, changes
from fairmeter.web.pages.today import view as today
from fairmeter.web.pages.transformers import transformer
from fairmeter.web.pages.transformers import view as transformers
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

FRAME = (sign_in, invitation, search, me, account, language)
WORK = (today, alerts, changes, suspects, client, relations, crew_sheet, plan, inspection_list, cases, map_view, field)
NETWORK = (transformers, transformer, live)
RESULTS = (campaigns, model)
SETUP = (imports, crews, rules, settings_page)
PAGES = (*FRAME, *WORK, *NETWORK, *RESULTS, *SETUP, demo)


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
