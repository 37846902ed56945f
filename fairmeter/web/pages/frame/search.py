"""Search: clients, transformers, places, cases and pages by a few typed characters.

In:  ?q= of the address.
Out: the page at /desk/search, and /desk/search/found, its results alone, which desk.js shows below the field.
"""

from typing import NamedTuple

from flask import request, url_for

from fairmeter.core.code_names import shown
from fairmeter.store import BadQuery, Store
from fairmeter.web.http import i18n
from fairmeter.web.http.code_names import current_names
from fairmeter.web.pages.site import Link, Site, current_identity, navigation, render
from fairmeter.wording.locales import visible

MAX_LENGTH = 100  # characters
MAX_CASE = 2**31 - 1
N_PLACES = 4
MIN_METER = 3  # characters of a meter's number
MAX_METER_CLIENTS = 300_000


class Hit(NamedTuple):
    """One result: what it is (a key of the texts search.kind), its name, a note, its severity if it is a client."""

    kind: str
    name: str
    url: str
    note: str = ""
    severity: str = ""


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/search")
    def search():
        return render("search.html", q=typed_text(), hits=hits_of(store, typed_text()))

    @site.page("/search/found")
    def search_found():
        return render("search_found.html", q=typed_text(), hits=hits_of(store, typed_text()))


def typed_text() -> str:
    return " ".join(visible(request.args.get("q", "")[:MAX_LENGTH]).split())


def hits_of(store: Store, text: str) -> list[Hit]:
    """What fits the text, clients first; nothing for an empty text or one that cannot be stored."""
    if not text:
        return []
    try:
        return [
            *clients(store, text),
            *meters(store, text),
            *transformers(store, text),
            *cases(store, text),
            *places(store, text),
            *pages(text),
        ]
    except BadQuery:
        return []


def clients(store: Store, text: str) -> list[Hit]:
    """Clients by a part of their id."""
    return [
        Hit("client", one.client_id, url_for("desk.client", client_id=one.client_id), client_note(one), one.severity)
        for one in store.search_clients(text)
    ]


def meters(store: Store, text: str) -> list[Hit]:
    """Clients by the whole number of a meter; not in a very large base, whose invoices take seconds to look through."""
    runs = store.list_runs(1)
    if len(text) < MIN_METER or (runs and runs[-1].n_clients > MAX_METER_CLIENTS):
        return []
    found = store.search_meters(text)
    return [
        Hit("meter", text, url_for("desk.client", client_id=one.client_id), one.client_id, one.severity)
        for one in found
    ]


def client_note(one) -> str:
    """The client's place and transformer."""
    region = i18n.code(one.region, "region") if one.region is not None else None
    return " · ".join(filter(None, (region, one.transformer_id)))


def transformers(store: Store, text: str) -> list[Hit]:
    found = store.search_transformers(text)
    return [Hit("transformer", one, url_for("desk.transformer", transformer_id=one)) for one in found]


def cases(store: Store, text: str) -> list[Hit]:
    """A case by its number."""
    number = text.removeprefix("#")
    if not number.isdecimal() or int(number) > MAX_CASE:
        return []
    found = store.search_cases(int(number))
    return [
        Hit("case", f"#{one.case_id}", url_for("desk.cases_one", case_id=one.case_id), one.client_id) for one in found
    ]


def places(store: Store, text: str) -> list[Hit]:
    """Regions by a part of their name or code."""
    names = {code: current_names().name("region", code) for code in store.list_codes()["region"]}
    fitting = [(code, name) for code, name in names.items() if text.lower() in name.lower()]
    return [Hit("place", name, url_for("desk.suspects", region=shown(code))) for code, name in fitting[:N_PLACES]]


def pages(text: str) -> list[Hit]:
    """Pages of the desk by a part of their name."""
    links: list[Link] = [link for links in navigation(current_identity()).values() for link in links]
    named = [(i18n.text(f"navigation.{link.name}"), link.url) for link in links]
    return [Hit("page", name, url) for name, url in named if text.lower() in name.lower()]
