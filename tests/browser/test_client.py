"""The page of a client in a real browser."""

from contextlib import closing

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.client_page import ALONE, MONTHLY, filled
from tests.builders.desk import desk_app
from tests.builders.pages import inspected


@pytest.fixture(scope="module")
def store(browser, templates, tmp_path_factory):  # noqa: ARG001  without a browser nothing is filled
    with templates.copied("sqlite", tmp_path_factory.mktemp("client")) as url, closing(Store(url)) as opened:
        filled(opened)
        inspected(opened, "c-0", "no_access")
        yield opened


@pytest.mark.parametrize(
    ("window", "theme"), [("desktop", "light"), pytest.param("phone", "dark", marks=pytest.mark.nightly)]
)
def test_the_page_of_a_client_with_all_data_is_accessible_and_without_errors(request, front, store, window, theme):
    visitor = request.getfixturevalue(window).anew(theme)
    with front.serving(desk_app(store, THIS_MACHINE)):
        wrong = visitor.wrong_with(f"/desk/client/{client_id}" for client_id in ("c-0", MONTHLY, ALONE))
    assert (wrong, visitor.complaints) == ([], [])
