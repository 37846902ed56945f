"""Requests that came through a proxy, by their headers.

In:  a request's headers; PROXIES, the number of proxies that are believed.
Out: whether a request was forwarded; once a process, a warning where one was and PROXIES is 0.
"""

from collections.abc import Iterable
from threading import Lock

from flask import Flask, request

from fairmeter.web.http import security_log

# Of RFC 7239, RFC 9110, nginx, Apache, HAProxy, Envoy, and the services before many hosts.
NAMES = frozenset(
    {
        "forwarded", "via", "x-real-ip", "x-client-ip", "client-ip", "true-client-ip", "x-cluster-client-ip",
        "x-original-forwarded-for", "x-original-host", "x-proxyuser-ip", "x-envoy-external-address",
        "cf-connecting-ip", "cf-ray", "cdn-loop", "fastly-client-ip", "x-azure-clientip", "x-appengine-user-ip",
    }
)  # fmt: skip
PREFIX = "x-forwarded"
EXPECTED = ("X-Forwarded-For", "Forwarded")  # that name the caller: without PROXIES its address is the proxy's


def is_forwarded(names: Iterable[str]) -> bool:
    """Whether a request with headers of these names came through a proxy."""
    return any(name in NAMES or name.startswith(PREFIX) for name in map(str.lower, names))


def warn_of_unexpected(app: Flask, proxies: int) -> None:
    """Warn once where a proxy stands before the service that was not told of any."""
    if proxies:
        return
    first = Lock()

    def look() -> None:
        if any(name in request.headers for name in EXPECTED) and first.acquire(blocking=False):
            remedy = "All callers seem to have one address; set PROXIES to the number of proxies before the service."
            security_log.record("forwarded_unexpected", remedy=remedy)

    app.before_request(look)
