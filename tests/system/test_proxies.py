"""Behind a proxy: whose address counts is what PROXIES says, and never what the caller says of itself."""

import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from benchmarks.helpers.servers import served
from fairmeter.store import Store
from fairmeter.web.http.sessions import LOGIN_LIMITS
from tests.builders.desk import PASSWORD, add_user
from tests.builders.proxies import proxied

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"  # all of 127/8 is this machine: callers of different addresses


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A store of all services here."""
    with closing(Store(f"sqlite:///{tmp_path_factory.mktemp('proxies')}/desk.db")) as store:
        store.migrate()
        yield store


def service(**settings):
    """A fixture: a service that is started once with these settings, over the desk."""

    @pytest.fixture(scope="module")
    def started(desk):
        with served("predict:app", DATABASE_URL=desk.url.render_as_string(hide_password=False), **settings) as server:
            yield server

    return started


without_proxies, behind_one_proxy, open_to_all = service(), service(PROXIES="1"), service(OPEN="1")


class User(NamedTuple):
    """A user of one test, so that no other test's failures count, and what is sent to sign in."""

    name: str
    right: dict[str, str]
    wrong: dict[str, str]


@pytest.fixture
def user(desk):
    name = f"anna-{uuid4().hex[:8]}"
    add_user(desk, name)
    return User(name, {"name": name, "password": PASSWORD}, {"name": name, "password": "wrong"})


def asked(port, method, path, body=None, caller=HERE, **headers):
    """An answer and its headers. [caller: the address that the request comes from]"""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60, source_address=(caller, 0))) as connection:
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body and json.dumps(body), sent)
        answer = connection.getresponse()
        answer.read()
        return answer


def signed_in(port, body, **more):
    return asked(port, "POST", "/session", body, **more).status


def addresses(desk, user):
    """Where the user's tries to sign in came from."""
    return {login["address"] for login in desk.list_logins() if login["name"] == user.name}


def test_without_proxies_nobody_gets_another_address_by_saying_so(desk, without_proxies, user):
    port = without_proxies.port
    spoofed = [{"X_Forwarded_For": f"10.0.0.{i}"} for i in range(LOGIN_LIMITS.max_per_pair + 1)]
    tried = [signed_in(port, user.wrong, **said) for said in spoofed]
    assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
    assert signed_in(port, user.right, X_Forwarded_For="10.9.9.9") == 429
    assert addresses(desk, user) == {HERE}


def test_behind_a_proxy_that_is_not_told_of_all_callers_share_its_address(desk, without_proxies, user):
    with proxied(without_proxies.port) as port:
        assert signed_in(port, user.wrong, caller=ELSEWHERE) == 401
    assert addresses(desk, user) == {HERE}


def test_behind_one_proxy_each_caller_has_the_address_that_the_proxy_saw(desk, behind_one_proxy, user):
    with proxied(behind_one_proxy.port) as port:
        tried = [signed_in(port, user.wrong, caller=ELSEWHERE) for _ in range(LOGIN_LIMITS.max_per_pair + 1)]
        assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
        assert signed_in(port, user.right, caller=HERE) == 200, "nobody is locked out from elsewhere"
    assert addresses(desk, user) == {HERE, ELSEWHERE}


def test_behind_one_proxy_what_the_caller_says_before_it_is_not_believed(desk, behind_one_proxy, user):
    with proxied(behind_one_proxy.port) as port:
        spoofed = [{"X_Forwarded_For": f"10.0.0.{i}, 10.0.1.{i}"} for i in range(LOGIN_LIMITS.max_per_pair + 1)]
        tried = [signed_in(port, user.wrong, caller=ELSEWHERE, **said) for said in spoofed]
        assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
    assert addresses(desk, user) == {ELSEWHERE}


def test_a_proxy_that_is_called_by_https_gets_a_cookie_that_goes_by_https_alone(
    without_proxies, behind_one_proxy, user
):
    for server, is_secure in ((behind_one_proxy, True), (without_proxies, False)):
        with proxied(server.port, "https") as port:
            answer = asked(port, "POST", "/session", user.right, Host="desk.example", Origin="https://desk.example")
            if is_secure:
                assert answer.status == 200, "the page's own origin, by the name that the proxy was called by"
                assert "Secure" in answer.headers["Set-Cookie"]
            else:
                assert answer.status == 403, "called by another name than the page's: whose page is it?"


@pytest.mark.parametrize("said", [{}, {"X_Forwarded_For": "127.0.0.1"}, {"X_Forwarded_Host": "localhost"}])
def test_an_open_desk_is_not_open_to_whoever_comes_through_a_proxy(open_to_all, said):
    with proxied(open_to_all.port) as port:
        assert asked(open_to_all.port, "GET", "/dashboard").status == 200
        assert asked(port, "GET", "/dashboard", caller=ELSEWHERE, **said).status == 401
        assert asked(open_to_all.port, "GET", "/dashboard", caller=ELSEWHERE, **said).status == 401
