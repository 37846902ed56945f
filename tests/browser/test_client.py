"""The page of a client in a real browser."""

from contextlib import closing

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.browser import PHONE, Visitor, context
from tests.builders.client_page import ALONE, MONTHLY, filled
from tests.builders.desk import desk_app
from tests.builders.pages import Served, inspected


@pytest.fixture(scope="module")
def store(browser, templates, tmp_path_factory):  # noqa: ARG001  without a browser nothing is filled
    with templates.copied("sqlite", tmp_path_factory.mktemp("client")) as url, closing(Store(url)) as opened:
        filled(opened)
        inspected(opened, "c-0", "no_access")
        yield opened


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_a_client_with_all_data_is_accessible_and_without_errors(browser, store, theme):
    server = Served(desk_app(store, THIS_MACHINE))
    wrong = []
    for window in ({}, {"viewport": PHONE}):
        opened = context(browser, theme=theme, **window)
        visitor = Visitor(opened, server.url)
        for client_id in ("c-0", MONTHLY, ALONE):
            visitor.goto(f"/desk/client/{client_id}")
            wrong += visitor.grave_violations()
            wrong += ["too wide"] if visitor.wider_than_its_window() > 0 else []
        wrong += visitor.complaints + visitor.elsewhere
        opened.close()
    server.close()
    assert wrong == []
