"""Behind a proxy: whose address counts is what PROXIES says, and never what the caller says of itself."""

import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from benchmarks.helpers.servers import served
from fairmeter.store import Store
from fairmeter.web.http.sessions import LOGIN_LIMITS
from tests.builders.desk import PASSWORD, add_user
from tests.builders.proxies import proxied

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"  # all of 127/8 is this machine: callers of different addresses
WRONG = {"name": "anna", "password": "wrong"}
RIGHT = {"name": "anna", "password": PASSWORD}


@pytest.fixture
def desk(tmp_path):
    """A store with a user."""
    with closing(Store(f"sqlite:///{tmp_path}/desk.db")) as store:
        store.migrate()
        add_user(store)
        yield store


def service(desk: Store, **settings):
    return served("predict:app", DATABASE_URL=desk.url.render_as_string(hide_password=False), **settings)


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


def addresses(desk):
    return {login["address"] for login in desk.list_logins()}


def test_without_proxies_nobody_gets_another_address_by_saying_so(desk):
    with service(desk) as server:
        spoofed = [{"X_Forwarded_For": f"10.0.0.{i}"} for i in range(LOGIN_LIMITS.max_per_pair + 1)]
        tried = [signed_in(server.port, WRONG, **said) for said in spoofed]
        assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
        assert signed_in(server.port, RIGHT, X_Forwarded_For="10.9.9.9") == 429
    assert addresses(desk) == {HERE}


def test_behind_a_proxy_that_is_not_told_of_all_callers_share_its_address(desk):
    with service(desk) as server, proxied(server.port) as port:
        assert signed_in(port, WRONG, caller=ELSEWHERE) == 401
    assert addresses(desk) == {HERE}


def test_behind_one_proxy_each_caller_has_the_address_that_the_proxy_saw(desk):
    with service(desk, PROXIES="1") as server, proxied(server.port) as port:
        tried = [signed_in(port, WRONG, caller=ELSEWHERE) for _ in range(LOGIN_LIMITS.max_per_pair + 1)]
        assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
        assert signed_in(port, RIGHT, caller=HERE) == 200, "nobody is locked out from elsewhere"
    assert addresses(desk) == {HERE, ELSEWHERE}


def test_behind_one_proxy_what_the_caller_says_before_it_is_not_believed(desk):
    with service(desk, PROXIES="1") as server, proxied(server.port) as port:
        spoofed = [{"X_Forwarded_For": f"10.0.0.{i}, 10.0.1.{i}"} for i in range(LOGIN_LIMITS.max_per_pair + 1)]
        tried = [signed_in(port, WRONG, caller=ELSEWHERE, **said) for said in spoofed]
        assert tried == [401] * LOGIN_LIMITS.max_per_pair + [429]
    assert addresses(desk) == {ELSEWHERE}


def test_a_proxy_that_is_called_by_https_gets_a_cookie_that_goes_by_https_alone(desk):
    for settings, is_secure in (({"PROXIES": "1"}, True), ({}, False)):
        with service(desk, **settings) as server, proxied(server.port, "https") as port:
            answer = asked(port, "POST", "/session", RIGHT, Host="desk.example", Origin="https://desk.example")
            if is_secure:
                assert answer.status == 200, "the page's own origin, by the name that the proxy was called by"
                assert "Secure" in answer.headers["Set-Cookie"]
            else:
                assert answer.status == 403, "called by another name than the page's: whose page is it?"


@pytest.mark.parametrize("said", [{}, {"X_Forwarded_For": "127.0.0.1"}, {"X_Forwarded_Host": "localhost"}])
def test_an_open_desk_is_not_open_to_whoever_comes_through_a_proxy(desk, said):
    with service(desk, OPEN="1") as server, proxied(server.port) as port:
        assert asked(server.port, "GET", "/dashboard").status == 200
        assert asked(port, "GET", "/dashboard", caller=ELSEWHERE, **said).status == 401
        assert asked(server.port, "GET", "/dashboard", caller=ELSEWHERE, **said).status == 401
