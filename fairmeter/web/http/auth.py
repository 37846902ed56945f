"""Who asks, and whether they may.

In:  a request with a key (Authorization: Bearer, or X-API-Key), a session's cookie, or nothing; the least role that
     each route asks for.
Out: `who()` in the routes; else a 401, 403 or 429 in the shape of errors.
The least role stands with the route. A route that names none is closed, so that none is left open by forgetting it.
"""

import hmac
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, g, request, session

from fairmeter.scoring.problems import Problem
from fairmeter.web.http.observability import meters_of

ANYBODY, SCORING, VIEWER, INVESTIGATOR, ADMIN = "anybody", "scoring", "viewer", "investigator", "admin"
ROLES = (VIEWER, INVESTIGATOR, ADMIN)  # those of users and keys; each may what the one before may
_ORDER = (ANYBODY, SCORING, *ROLES)

FAILURES = 10  # of one address within the window, before it has to wait
WINDOW = 900  # seconds
MOST_REMEMBERED = 10_000  # addresses; past that the oldest failures are forgotten
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TOKEN_HEADER, TOKEN_FIELD = "X-CSRF-Token", "csrf_token"
KEY_WANTED = {"WWW-Authenticate": 'Bearer realm="Fairmeter"'}
NO_ONE, THIS_MACHINE, EVERYBODY = "no one", "this machine", "everybody"  # to whom a desk is open without a key


class Identity(NamedTuple):
    """Who asks. [kind: "key", "user" or "open", the last being whoever sits at a machine with OPEN=1]"""

    name: str
    role: str
    kind: str

    @property
    def signature(self) -> str:
        """As moves keep it: no key passes for a user of the same name."""
        return f"key {self.name}" if self.kind == "key" else self.name


NOBODY = Identity("", ANYBODY, "nobody")
UNNAMED = Identity("open", ADMIN, "open")


class DeskAccess(NamedTuple):
    """How the desk tells who asks; a service without one takes this as it stands."""

    who_has_key: Callable[[str], Identity | None] = lambda _key: None
    who_signed_in: Callable[[], Identity | None] = lambda: None
    open_to: str = NO_ONE


class FailedAttempts:
    """How often somebody failed of late. In each worker's own memory: of several each allows as many."""

    def __init__(self, most: int = FAILURES, window: float = WINDOW, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._window, self._clock = most, window, clock
        self._at: dict[str, list[float]] = {}
        self._lock = Lock()

    def add(self, who: str) -> None:
        with self._lock:
            self._at[who] = [*self._recent(who), self._clock()]
            while len(self._at) > MOST_REMEMBERED:
                del self._at[next(iter(self._at))]

    def check(self, who: str) -> None:
        """Raises Problem where there were too many."""
        with self._lock:
            recent = self._recent(who)
        if len(recent) >= self._most:
            raise too_many_requests(self._window - (self._clock() - recent[-self._most]))

    def forget(self, who: str) -> None:
        with self._lock:
            self._at.pop(who, None)

    def _recent(self, who: str) -> list[float]:
        return [at for at in self._at.get(who, ()) if self._clock() - at < self._window][-self._most :]


def too_many_requests(seconds: float) -> Problem:
    wait = max(1, round(seconds))
    message = f"Too many failed attempts; wait {wait} seconds, then try again."
    return Problem(429, "too_many_requests", message, headers={"Retry-After": str(wait)})


class AccessControl:
    """Stands before every route of an app. [api_key: what scoring asks for; without one anybody may score]"""

    def __init__(self, app: Flask, api_key: str | None, desk: DeskAccess | None) -> None:
        self._app, self._api_key, self._desk = app, api_key, desk or DeskAccess()
        self.has_desk, self.asks_to_score = desk is not None, api_key is not None
        self.needs: dict[str, str] = {"static": ANYBODY}
        self._failures = FailedAttempts()
        app.extensions["guard"] = self
        app.before_request(self._let_in)

    def needed(self, **roles: str) -> None:
        """Says the least role of endpoints, by their names."""
        self.needs |= roles

    def demand(self, role: str) -> Identity:
        """Who asks, if they may do what asks for `role`. Raises Problem."""
        if role == ANYBODY or (role == SCORING and self._api_key is None):
            return NOBODY
        who = self.who()
        if who is NOBODY:
            raise Problem(401, "unauthorized", self._how(role), headers=KEY_WANTED)
        if _ORDER.index(who.role) < _ORDER.index(role):
            self._count("role")
            raise Problem(403, "forbidden", f"This asks for the role {role}; you have {who.role}.")
        if who.kind != "key" and request.method not in SAFE:
            self.check_origin()
            self._check_token(who)
        return who

    def who(self) -> Identity:
        """Who asks, found once a request. Raises Problem for a key that is not known."""
        if "who" not in g:
            g.who = self._found()
        return g.who

    def _let_in(self) -> None:
        if request.endpoint is not None:  # else it is a 404 or 405, which tells nothing
            self.demand(self.needs.get(request.endpoint, ADMIN))

    def _found(self) -> Identity:
        key = _key_sent()
        if key is not None:
            return self._who_has(key)
        who = self._desk.who_signed_in()
        if who is not None:
            return who
        return UNNAMED if self._is_open_to_this() else NOBODY

    def _who_has(self, key: str) -> Identity:
        address = request.remote_addr or ""
        self._failures.check(address)
        if self._api_key is not None and same(key, self._api_key):
            return Identity("API_KEY", SCORING, "key")
        who = self._desk.who_has_key(key)
        if who is None:
            self._failures.add(address)
            self._count("key")
            raise Problem(401, "unauthorized", "This key is not known, or not any more.", headers=KEY_WANTED)
        return who

    def _is_open_to_this(self) -> bool:
        if self._desk.open_to != THIS_MACHINE:
            return self._desk.open_to == EVERYBODY
        # By the name it was called by too: a page on the internet may let a name of its own lead to this machine.
        is_near = request.remote_addr in LOOPBACK and host_name(request.host) in LOOPBACK
        return is_near and "X-Forwarded-For" not in request.headers

    def check_origin(self) -> None:
        """A browser sends what identifies somebody along with what another site's page asks of it. Raises Problem."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        is_other = origin is not None and origin.partition("://")[2] != request.host
        if is_other or site not in ("none", "same-origin"):
            self._count("origin")
            raise Problem(403, "other_origin", "A page of another site may not do this for you.")

    def _check_token(self, who: Identity) -> None:
        """Whoever signed in has a token in the session, and sends it beside the cookie. Raises Problem."""
        if who.kind != "user":
            return
        given = request.headers.get(TOKEN_HEADER) or request.form.get(TOKEN_FIELD) or ""
        if not same(given, session.get(TOKEN_FIELD) or uuid4().hex):
            self._count("token")
            raise Problem(403, "bad_token", f"Send the session's token as {TOKEN_HEADER}; GET /session tells it.")

    def _how(self, role: str) -> str:
        ways = "Send a key as Authorization: Bearer KEY or X-API-Key: KEY"
        return f"{ways}." if role == SCORING or not self.has_desk else f"{ways}, or sign in."

    def _count(self, reason: str) -> None:
        meters_of(self._app).refusals.labels(reason).inc()


def guard_of(app: Flask) -> AccessControl:
    return app.extensions["guard"]


def same(given: str, expected: str) -> bool:
    """In constant time. [texts]"""
    return hmac.compare_digest(given.encode(), expected.encode())


def host_name(host: str) -> str:
    """A Host header without its port; nothing where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _key_sent() -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("X-API-Key")
