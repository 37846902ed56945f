"""Identities at the desk: passwords, sessions of the pages, keys of scripts.

In:  names, passwords and keys; a store.
Out: an Identity; a cookie that names the user; the session's CSRF token, by Flask-WTF. Passwords are stored as Argon2
     hashes, keys as SHA-256 hashes.

A session ends after its time, or when the user's password, role or access changes; every request checks this.
"""

import secrets
from datetime import timedelta
from functools import cache
from hashlib import sha256
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from fairmeter.scoring.problems import Problem
from fairmeter.store import LoginLimits, Store, TooManyTries, User
from fairmeter.web.http.auth import TOKEN_FIELD, WINDOW, Identity, too_many_requests

COOKIE = "fairmeter"
LIFETIME = timedelta(hours=12)  # a working day; then the password again
MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 200
# By address too, as many names may be tried with one password. By name only, one caller could lock another out.
LOGIN_LIMITS = LoginLimits(max_per_pair=5, max_per_address=30, window=timedelta(seconds=WINDOW))
KEY_PREFIX = "fm_"  # lets secret scanners find a committed key
# OWASP's minimum memory for Argon2id: eight threads at the library's 64 MB would not fit a small host.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = Lock()


class BadPassword(ValueError):
    """A new password that is too short or too long; one sentence."""


# --- passwords and keys -----------------------------------------------------------------------------------------------


def hash_of_password(password: str) -> str:
    """The Argon2 hash of a new password. Raises BadPassword."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise BadPassword(
            f"The password has {len(password)} characters; use {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH}, "
            "such as four words."
        )
    with _one_at_a_time:
        return _hasher.hash(password)


def verify_password(password: str, password_hash: str) -> bool:
    """Whether the password belongs to the hash."""
    if len(password) > MAX_PASSWORD_LENGTH:
        return False
    try:
        with _one_at_a_time:
            return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hash_for_unknown_names() -> str:
    """A hash to compare with where the name is unknown, so that the answer takes the same time."""
    return _hasher.hash(secrets.token_hex())


def new_key() -> tuple[str, str]:
    """A key, to be shown once, and its hash, to be stored."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, hash_of_key(key)


def hash_of_key(key: str) -> str:
    """The SHA-256 hash of a key; its 256 random bits need no slow hash, unlike a password."""
    return sha256(key.encode()).hexdigest()


# --- identities -------------------------------------------------------------------------------------------------------


def identity_of_key(store: Store, key: str) -> Identity | None:
    """The identity of a key, None where it is unknown or revoked."""
    found = store.use_key(hash_of_key(key))
    return found and Identity(found.name, found.role, "key")


def identity_of_session(store: Store) -> Identity | None:
    """The user of the session's cookie, None where it has ended."""
    name = session.get("user")
    user = store.find_user(name) if name else None
    if user is None or not user.is_active or session.get("proof") != _proof(user):
        return None
    g.language_of_user = user.language
    return Identity(user.name, user.role, "user")


def sign_in(store: Store, name: str, password: str) -> Identity:
    """Begin a session; every attempt is recorded. Raises Problem: 401, or 429 after too many failures."""
    try:
        login_id = store.begin_login(name, request.remote_addr or "", LOGIN_LIMITS)
    except TooManyTries as error:
        raise too_many_requests(error.seconds) from None
    user = store.find_user(name)
    is_right = verify_password(password, user.password_hash if user else _hash_for_unknown_names()) and user is not None
    if not (is_right and user.is_active):
        raise Problem(401, "unauthorized", "Wrong user name or password.")
    store.end_login(login_id)
    session.clear()
    g.pop(TOKEN_FIELD, None)  # Flask-WTF caches a request's token: the earlier session's does not fit this one
    session.permanent = True
    session.update({"user": user.name, "proof": _proof(user)})
    generate_csrf()
    return Identity(user.name, user.role, "user")


def sign_out() -> None:
    """End the session."""
    session.clear()


def csrf_token() -> str | None:
    """The session's CSRF token, which a page sends with every write (field csrf_token, or header X-CSRF-Token).

    None without a session: making a token would set a cookie for every visitor.
    """
    return generate_csrf() if TOKEN_FIELD in session else None


def is_valid_token(token: str | None) -> bool:
    """Whether the CSRF token was issued for this session."""
    try:
        validate_csrf(token)
    except ValidationError:
        return False
    return True


def _proof(user: User) -> str:
    """A value that changes with the password and the role, so that earlier sessions end."""
    return sha256(f"{user.password_hash} {user.role}".encode()).hexdigest()[:16]


# --- the cookie -------------------------------------------------------------------------------------------------------


class SecureCookies(SecureCookieSessionInterface):
    """Signed cookies, marked Secure on requests by https."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002
        return request.is_secure


def register(app: Flask, secret: str) -> None:
    """Sign the app's session cookies with this secret."""
    app.secret_key = secret
    app.session_interface = SecureCookies()
    app.config |= {
        "SESSION_COOKIE_NAME": COOKIE,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": LIFETIME,
        "WTF_CSRF_FIELD_NAME": TOKEN_FIELD,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: the field page sends its visits hours later
    }
