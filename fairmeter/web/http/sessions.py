"""Who works at the desk: passwords, sessions of pages, keys of scripts.

In:  names and passwords as they are sent, keys as they are shown once; a store.
Out: who asks; a cookie that names the user. Passwords are kept as Argon2, keys as SHA-256: neither can be read back.
A session ends with its time, with the user's password, role or being taken out: each request looks.
"""

import secrets
from datetime import timedelta
from functools import cache
from hashlib import sha256
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface

from fairmeter.scoring.problems import Problem
from fairmeter.store import LoginLimits, Store, TooManyTries, User
from fairmeter.web.http.auth import TOKEN_FIELD, WINDOW, Identity, too_many_requests

COOKIE = "fairmeter"
LIFETIME = timedelta(hours=12)  # a working day; then the password again
LEAST_LETTERS = 12
MOST_LETTERS = 200
# By address too: many names may be tried with one password. By name alone anybody could lock anybody out.
PATIENCE = LoginLimits(max_per_pair=5, max_per_address=30, window=timedelta(seconds=WINDOW))
KEY_PREFIX = "fm_"  # so that scanners of repositories find one that was committed
# OWASP's least memory for Argon2id: eight threads at the library's 64 MB would not fit a small host.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = Lock()


class BadPassword(ValueError):
    """A new password that is not taken; one sentence."""


# --- passwords and keys -----------------------------------------------------------------------------------------------


def hash_of_password(password: str) -> str:
    """Raises BadPassword."""
    if not LEAST_LETTERS <= len(password) <= MOST_LETTERS:
        raise BadPassword(
            f"The password has {len(password)} characters; take {LEAST_LETTERS} to {MOST_LETTERS}, such as four words."
        )
    with _one_at_a_time:
        return _hasher.hash(password)


def fits(password: str, password_hash: str) -> bool:
    if len(password) > MOST_LETTERS:
        return False
    try:
        with _one_at_a_time:
            return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hash_of_nobody() -> str:
    """What the password of a name that nobody has is compared with: the answer takes as long as another."""
    return _hasher.hash(secrets.token_hex())


def new_key() -> tuple[str, str]:
    """A key, to be shown once, and its hash, to be kept."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, hash_of_key(key)


def hash_of_key(key: str) -> str:
    """A key holds 256 random bits: unlike a password it needs no slow hash."""
    return sha256(key.encode()).hexdigest()


# --- who asks ---------------------------------------------------------------------------------------------------------


def who_has_key(store: Store, key: str) -> Identity | None:
    known = store.use_key(hash_of_key(key))
    return known and Identity(known.name, known.role, "key")


def who_signed_in(store: Store) -> Identity | None:
    """The user that the session's cookie names, if it still holds."""
    name = session.get("user")
    user = store.find_user(name) if name else None
    if user is None or not user.is_active or session.get("proof") != _proof(user):
        return None
    return Identity(user.name, user.role, "user")


def sign_in(store: Store, name: str, password: str) -> Identity:
    """Begins a session; each try is on record. Raises Problem: 401, or 429 after too many failures."""
    try:
        login_id = store.begin_login(name, request.remote_addr or "", PATIENCE)
    except TooManyTries as error:
        raise too_many_requests(error.seconds) from None
    user = store.find_user(name)
    is_right = fits(password, user.password_hash if user else _hash_of_nobody()) and user is not None
    if not (is_right and user.is_active):
        raise Problem(401, "unauthorized", "Name and password do not fit together.")
    store.end_login(login_id)
    session.clear()
    session.permanent = True
    session.update({"user": user.name, "proof": _proof(user), TOKEN_FIELD: secrets.token_urlsafe(16)})
    return Identity(user.name, user.role, "user")


def sign_out() -> None:
    session.clear()


def token() -> str | None:
    """What a page sends along with what it writes (a hidden field csrf_token, or the header X-CSRF-Token)."""
    return session.get(TOKEN_FIELD)


def _proof(user: User) -> str:
    """Changes with the password and the role: then the sessions from before it end."""
    return sha256(f"{user.password_hash} {user.role}".encode()).hexdigest()[:16]


# --- the cookie -------------------------------------------------------------------------------------------------------


class Sessions(SecureCookieSessionInterface):
    """Signed cookies that go back by https alone wherever they came by it."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002
        return request.is_secure


def register(app: Flask, secret: str) -> None:
    app.secret_key = secret
    app.session_interface = Sessions()
    app.config |= {
        "SESSION_COOKIE_NAME": COOKIE,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": LIFETIME,
    }
