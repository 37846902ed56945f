"""The dashboard: pages of the same server, one room in pages/ and one template each.

In:  the app, its guard, what the desk keeps, settings.
Out: the pages below /desk/. A new page is a room with `install(site)`, named in PAGES; NAVIGATION is in pages/site.py.
"""

from flask import Flask

from fraud.web.auth import Guard
from fraud.web.keeping import Keeping
from fraud.web.pages import cases, client, crew_sheet, demo, field, listing, live, model, overview, sign_in, transformer
from fraud.web.pages import map as places
from fraud.web.pages.site import PageSettings, Site

PAGES = (sign_in, overview, listing, client, crew_sheet, model, cases, field, demo, places, live, transformer)


def install(app: Flask, guard: Guard, desk: Keeping, settings: PageSettings) -> None:
    site = Site(app, guard, desk, settings)
    for room in PAGES:
        room.install(site)
    site.open()
