"""One Chromium for all tests here, and an address at which each serves its own app."""

from collections.abc import Iterator

import pytest

from tests.builders.apps import share_among_apps
from tests.builders.browser import PHONE, Visitor, chromium, context
from tests.builders.pages import Served
from tests.builders.passwords import *  # noqa: F403
from tests.builders.store_fixtures import *  # noqa: F403  its __all__ are fixtures

share_among_apps()


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests that need one."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def desktop(browser, front) -> Visitor:
    return Visitor(context(browser), front.url)


@pytest.fixture(scope="session")
def phone(browser, front) -> Visitor:
    return Visitor(context(browser, PHONE), front.url)


@pytest.fixture(scope="session")
def front(browser) -> Iterator[Served]:  # noqa: ARG001  without a browser nothing is served
    """An address of this machine at which each test serves its own app."""
    server = Served()
    yield server
    server.close()
