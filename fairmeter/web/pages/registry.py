"""The dashboard: pages of the same server, one room in pages/ and one template each.

In:  the app, its guard, what the desk keeps, settings.
Out: the pages below /desk/. A new page is a room with `install(site)`, named in PAGES; NAVIGATION is in pages/site.py.
"""

from flask import Flask

from fairmeter.desk.service import DeskService
from fairmeter.web.http.auth import AccessControl
from fairmeter.web.pages import cases, field, inspection_list, live, model, overview, sign_in
from fairmeter.web.pages.client import crew_sheet
from fairmeter.web.pages.client import view as client
from fairmeter.web.pages.demo import view as demo
from fairmeter.web.pages.map import transformer
from fairmeter.web.pages.map import view as places
from fairmeter.web.pages.site import PageSettings, Site

PAGES = (sign_in, overview, inspection_list, client, crew_sheet, model, cases, field, demo, places, live, transformer)


def register(app: Flask, guard: AccessControl, desk: DeskService, settings: PageSettings) -> None:
    site = Site(app, guard, desk, settings)
    for room in PAGES:
        room.register(site)
    site.open()
