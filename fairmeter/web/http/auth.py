"""Access control: the identity behind a request, and the role that a route requires.

In:  a request with a key (Authorization: Bearer, or X-API-Key), a session's cookie, or nothing; each route's role.
Out: `identity()` in the routes; otherwise a 401, 403 or 429 in the shape of all errors.
The role is set beside the route. A route without one is closed, so that none is open by oversight.
"""

import hmac
from collections.abc import Callable
from math import ceil
from threading import Lock
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Flask, g, request

from fairmeter.scoring.problems import Problem
from fairmeter.web.http import forwarding, security_log
from fairmeter.web.http.observability import metrics_of

ANYBODY, SCORING, VIEWER, INVESTIGATOR, ADMIN = "anybody", "scoring", "viewer", "investigator", "admin"
ROLES = (VIEWER, INVESTIGATOR, ADMIN)  # of users and keys; each includes the rights of the one before
_ORDER = (ANYBODY, SCORING, *ROLES)

FAILURES = 10  # of one address within the window, before it must wait
WINDOW = 900  # seconds
MIN_API_KEY = 16  # characters of an API_KEY that nobody guesses; a shorter one counts failures first
MAX_ADDRESSES = 10_000  # addresses; past that the oldest failures are forgotten
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TOKEN_HEADER, TOKEN_FIELD = "X-CSRF-Token", "csrf_token"
KEY_WANTED = {"WWW-Authenticate": 'Bearer realm="Fairmeter"'}
NO_ONE, THIS_MACHINE, EVERYBODY = "no one", "this machine", "everybody"  # to which callers a desk is open without a key


class Identity(NamedTuple):
    """The caller of a request. [kind: "key", "user", or "open" for a caller that OPEN=1 admits without a key]"""

    name: str
    role: str
    kind: str

    @property
    def signature(self) -> str:
        """The name that moves record; a key cannot pass for a user of the same name."""
        return f"key {self.name}" if self.kind == "key" else self.name


NOBODY = Identity("", ANYBODY, "nobody")
UNNAMED = Identity("open", ADMIN, "open")
SCRIPT = Identity("API_KEY", SCORING, "key")


class DeskAccess(NamedTuple):
    """How the desk identifies callers. The defaults are those of a service without a desk."""

    identity_of_key: Callable[[str], Identity | None] = lambda _key: None
    identity_of_session: Callable[[], Identity | None] = lambda: None
    open_to: str = NO_ONE
    is_valid_token: Callable[[str | None], bool] = lambda _token: False


class FailedAttempts:
    """Failed attempts by address within a moving window, in each worker's memory: every worker allows as many.

    Bounded by MAX_ADDRESSES, which the storage of Flask-Limiter is not (docs/architecture.md, "Decisions").
    """

    def __init__(self, most: int = FAILURES, window: float = WINDOW, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._window, self._clock = most, window, clock
        self._at: dict[str, list[float]] = {}
        self._lock = Lock()

    def add(self, address: str) -> None:
        """Record a failed attempt."""
        with self._lock:
            self._at[address] = [*self._recent(address), self._clock()]
            while len(self._at) > MAX_ADDRESSES:
                del self._at[next(iter(self._at))]

    def check(self, address: str) -> None:
        """Raises Problem after too many failed attempts."""
        with self._lock:
            recent = self._recent(address)
        if len(recent) >= self._most:
            raise too_many_requests(self._window - (self._clock() - recent[-self._most]))

    def _recent(self, address: str) -> list[float]:
        return [at for at in self._at.get(address, ()) if self._clock() - at < self._window][-self._most :]


def too_many_requests(seconds: float, message: str | None = None) -> Problem:
    """A 429 that names the time to wait."""
    wait = max(1, ceil(seconds))
    message = message or f"Too many failed attempts; wait {wait} seconds, then try again."
    return Problem(429, "too_many_requests", message, headers={"Retry-After": str(wait)})


class AccessControl:
    """Checks every request of an app before its route runs. [api_key: required for scoring; None: scoring is open]"""

    def __init__(self, app: Flask, api_key: str | None, desk: DeskAccess | None) -> None:
        self._app, self._api_key, self._desk = app, api_key, desk or DeskAccess()
        self.has_desk, self.scoring_needs_key = desk is not None, api_key is not None
        self.roles: dict[str, str] = {"static": ANYBODY}
        self._failures = FailedAttempts()
        app.extensions["guard"] = self
        app.before_request(self._check_request)

    def set_roles(self, **roles: str) -> None:
        """Set the least role of endpoints, by their names."""
        self.roles |= roles

    def require(self, role: str) -> Identity:
        """The caller, where it has this role. Raises Problem."""
        if role == ANYBODY or (role == SCORING and self._api_key is None):
            return NOBODY
        identity = self.identity()
        if identity is NOBODY:
            raise Problem(401, "unauthorized", self._describe_ways(role), headers=KEY_WANTED)
        if _ORDER.index(identity.role) < _ORDER.index(role):
            self._count("role", identity)
            raise Problem(403, "forbidden", f"This requires the role {role}; you have {identity.role}.")
        if identity.kind != "key" and request.method not in SAFE:
            self.check_origin()
            self._check_token(identity)
        return identity

    def identity(self) -> Identity:
        """The caller, identified once a request. Raises Problem for an unknown key."""
        if "identity" not in g:
            g.identity = self._identify()
        return g.identity

    def _check_request(self) -> None:
        if request.endpoint is not None:  # otherwise a 404 or 405, which reveals nothing
            self.require(self.roles.get(request.endpoint, ADMIN))

    def _identify(self) -> Identity:
        key = _given_key()
        if key is not None:
            return self._identity_of_key(key)
        identity = self._desk.identity_of_session()
        if identity is not None:
            return identity
        return UNNAMED if self._is_open_to_caller() else NOBODY

    def _identity_of_key(self, key: str) -> Identity:
        # Keys are looked up before failures count: nobody behind a proxy is locked out by another caller's wrong key.
        is_api_key = self._api_key is not None and equal_in_constant_time(key, self._api_key)
        if is_api_key and len(key) >= MIN_API_KEY:
            return SCRIPT
        identity = self._desk.identity_of_key(key)
        if identity is not None:
            return identity
        address = request.remote_addr or ""
        self._failures.check(address)
        if is_api_key:
            return SCRIPT
        self._failures.add(address)
        self._count("key")
        raise Problem(401, "unauthorized", "This key is unknown, revoked or expired.", headers=KEY_WANTED)

    def _is_open_to_caller(self) -> bool:
        if self._desk.open_to != THIS_MACHINE:
            return self._desk.open_to == EVERYBODY
        # Also by the host name of the request: a page on the internet may point a name of its own at this machine.
        is_local = request.remote_addr in LOOPBACK and host_name(request.host) in LOOPBACK
        if is_local and forwarding.is_forwarded(request.headers.keys()):
            self._count("forwarded")
            return False
        return is_local

    def check_origin(self) -> None:
        """CSRF protection: browsers attach cookies to requests that other sites trigger. Raises Problem."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        is_other = origin is not None and origin.partition("://")[2] != request.host
        if is_other or site not in ("none", "same-origin"):
            self._count("origin")
            raise Problem(403, "other_origin", "This request came from a page of another site, and is refused.")

    def _check_token(self, identity: Identity) -> None:
        """A signed-in user sends the session's token besides the cookie. Raises Problem."""
        if identity.kind != "user":
            return
        if not self._desk.is_valid_token(request.headers.get(TOKEN_HEADER) or request.form.get(TOKEN_FIELD)):
            self._count("token", identity)
            raise Problem(403, "bad_token", f"Send the session's token as {TOKEN_HEADER}; GET /session returns it.")

    def _describe_ways(self, role: str) -> str:
        ways = "Send a key as Authorization: Bearer KEY or X-API-Key: KEY"
        return f"{ways}." if role == SCORING or not self.has_desk else f"{ways}, or sign in."

    def _count(self, reason: str, identity: Identity | None = None) -> None:
        metrics_of(self._app).refusals.labels(reason).inc()
        security_log.record(f"{reason}_refused", identity and identity.signature)


def guard_of(app: Flask) -> AccessControl:
    """The access control of an app."""
    return app.extensions["guard"]


def equal_in_constant_time(given: str, expected: str) -> bool:
    """Compare two texts in a time that does not depend on them."""
    return hmac.compare_digest(given.encode(), expected.encode())


def host_name(host: str) -> str:
    """A Host header without its port, empty where it cannot be parsed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _given_key() -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key")
