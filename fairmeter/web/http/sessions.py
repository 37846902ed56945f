"""Identities at the desk: passwords, sessions of the pages, keys of scripts.

In:  names, passwords, codes and keys; a store.
Out: an Identity; a cookie that names a session; the session's CSRF token, by Flask-WTF. Passwords are stored as Argon2
     hashes, keys and ids of sessions as SHA-256 hashes.

A session is a row of the store, so it ends for everybody who holds its cookie: after its time, at the sign-out, and
when the user's password, second factor, role or access changes. Every request looks for it.
"""

import secrets
from datetime import timedelta
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import NoReturn, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, Response, after_this_request, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from fairmeter.scoring.problems import Problem, bad_value
from fairmeter.store import LoginLimits, Store, TooManyTries, User
from fairmeter.web.http import second_factor, security_log
from fairmeter.web.http.auth import TOKEN_FIELD, WINDOW, Identity, too_many_requests
from fairmeter.web.http.key_rates import KeyRates

COOKIE = "fairmeter"
LIFETIME = timedelta(hours=12)  # a working day from the sign-in on, whatever is done in it; then the password again
BY_INVITATION = "by invitation"
INVITATION = timedelta(days=3)  # until its link ends
BY_PASSWORD, BY_PASSWORD_AND_CODE = "by password", "by password and code"  # ways of signing in, for the audit chain
SESSION_ID = "id"  # in the cookie
# Cookies and cached answers; a page's own storage may hold visits of a phone that are not sent yet.
CLEARED = {"Clear-Site-Data": '"cache", "cookies"'}
MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 200
# By address too, as many names may be tried with one password. By name only, one caller could lock another out.
LOGIN_LIMITS = LoginLimits(max_per_pair=5, max_per_address=30, window=timedelta(seconds=WINDOW))
KEY_PREFIX = "fm_"  # lets secret scanners find a committed key
KEY_LENGTH = len(KEY_PREFIX) + 43  # characters; nothing else is looked up
# OWASP's minimum memory for Argon2id: eight threads at the library's 64 MB would not fit a small host.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = Lock()


class PasswordChange(Protocol):
    """What a user sends to change its own password."""

    old: str
    new: str
    code: str


class SecondFactorChange(Protocol):
    """What a user sends to set or remove its own second factor. [secret: None: remove]"""

    secret: str | None
    code: str
    password: str


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


def identity_of_key(store: Store, rates: KeyRates, key: str) -> Identity | None:
    """The identity of a key, None where it is unknown, revoked or expired. Raises Problem past its rate."""
    if not (key.startswith(KEY_PREFIX) and len(key) == KEY_LENGTH):
        return None
    found = store.use_key(hash_of_key(key))
    if found is not None and found.per_minute is not None:
        wait = rates.wait_for(found.name, found.per_minute)
        if wait:
            security_log.record("key_held_back", found.name)
            message = f"This key may make {found.per_minute} requests a minute; wait, then go on."
            raise too_many_requests(wait, message)
    return found and Identity(found.name, found.role, "key")


def identity_of_session(store: Store) -> Identity | None:
    """The user of the session's cookie, None where it has ended."""
    session_id = session.get(SESSION_ID)
    user = store.session_user(_hash_of_id(session_id)) if isinstance(session_id, str) else None
    if user is None:
        return None
    g.language_of_user = user.language
    return Identity(user.name, user.role, "user")


def sign_in(store: Store, name: str, password: str, code: str = "") -> Identity:
    """Begin a session; every attempt is recorded. Raises Problem: 401, or 429 after too many failures.

    code: of the second factor, for users who have one.
    """
    login_id = _begin_login(store, name)
    user = store.find_user(name)
    is_right = verify_password(password, user.password_hash if user else _hash_for_unknown_names()) and user is not None
    if not (is_right and user.is_active):
        _refuse(store, login_id, "Wrong user name or password.")
    if user.has_totp and not second_factor.is_valid(store, user, code):
        _refuse(store, login_id, WRONG_CODE if code else CODE_WANTED, "code_wanted", user.name)
    return begin(store, user, BY_PASSWORD_AND_CODE if user.has_totp else BY_PASSWORD, login_id)


WRONG_CODE = "Wrong code, or one that was used already: take the next one that your app shows."
CODE_WANTED = "Send the code that your authenticator app shows, too."


def _refuse(store: Store, login_id: int, message: str, code: str = "unauthorized", name: str | None = None) -> NoReturn:
    store.refuse_login(login_id)
    security_log.record("sign_in_failed", name)
    raise Problem(401, code, message)


def begin(store: Store, user: User, way: str, login_id: int | None = None) -> Identity:
    """Begin a session of a user who was identified. [way: how, for the audit chain; login_id: the attempt]"""
    end(store)
    session_id = secrets.token_urlsafe(32)
    store.begin_session(_hash_of_id(session_id), user.name, LIFETIME, way, login_id)
    g.pop(TOKEN_FIELD, None)  # Flask-WTF caches a request's token: the earlier session's does not fit this one
    session.permanent = True
    session[SESSION_ID] = session_id
    generate_csrf()
    security_log.record("signed_in", user.name, way=way)
    return Identity(user.name, user.role, "user")


def change_password(store: Store, user: User, asked: PasswordChange) -> Identity:
    """Change a user's own password, and begin a new session. Raises Problem; attempts are counted as sign-ins are."""
    login_id = _confirm(store, user, asked.old)
    if user.has_totp and not second_factor.is_valid(store, user, asked.code):
        _refuse(store, login_id, WRONG_CODE if asked.code else CODE_WANTED, "code_wanted", user.name)
    try:
        password_hash = hash_of_password(asked.new)
    except BadPassword as error:
        raise bad_value("new", str(error).removesuffix(".")) from None
    user = store.change_user(user.name, password_hash=password_hash, by=user.name)
    security_log.record("password_changed", user.name)
    return begin(store, user, BY_PASSWORD_AND_CODE if user.has_totp else BY_PASSWORD, login_id)


def change_second_factor(store: Store, user: User, asked: SecondFactorChange) -> Identity:
    """Set or remove a user's own second factor, and begin a new session. Raises Problem.

    A code of what there is, or of the new secret where there is none, shows that the app works.
    """
    login_id = _confirm(store, user, asked.password)
    if user.has_totp == (asked.secret is not None):
        message = "Remove the second factor that there is first." if user.has_totp else "There is none to remove."
        raise Problem(409, "second_factor", message)
    is_new = asked.secret is not None and second_factor.step_of(asked.secret, asked.code) is not None
    if not (is_new or second_factor.is_valid(store, user, asked.code)):
        _refuse(store, login_id, WRONG_CODE, "code_wanted", user.name)
    store.set_totp(user.name, asked.secret, user.name)
    security_log.record("second_factor_changed", user.name, is_set=asked.secret is not None)
    return begin(store, store.find_user(user.name), BY_PASSWORD_AND_CODE, login_id)


def invite(store: Store, name: str, by: str) -> str:
    """A link's secret part by which a user sets a password, once. Raises NoSuchName. [by: for the audit chain]"""
    link = secrets.token_urlsafe(32)
    store.invite_user(name, hash_of_key(link), INVITATION, by)
    security_log.record("user_invited", by, user=name)
    return link


def accept_invitation(store: Store, link: str, password: str) -> Identity:
    """Set the password of a link's user, and begin a session; a second factor still asks for its code at the sign-in.

    Raises BadPassword, InvitationEnded.
    """
    store.invited_user(hash_of_key(link))  # before the hash of the password, which takes long
    user = store.accept_invitation(hash_of_key(link), hash_of_password(password))
    security_log.record("password_changed", user.name)
    return begin(store, user, BY_INVITATION)


def _confirm(store: Store, user: User, password: str) -> int:
    """The id of a successful attempt at the password of a user who is signed in. Raises Problem."""
    login_id = _begin_login(store, user.name)
    if not verify_password(password, user.password_hash):
        _refuse(store, login_id, "Wrong password.", name=user.name)
    return login_id


def _begin_login(store: Store, name: str) -> int:
    try:
        return store.begin_login(name, request.remote_addr or "", LOGIN_LIMITS)
    except TooManyTries as error:
        security_log.record("sign_in_held_back")
        raise too_many_requests(error.seconds) from None


def sign_out(store: Store) -> None:
    """End the session, and let the browser forget its cookies and cached answers."""
    name = end(store)
    if name is not None:
        security_log.record("signed_out", name)
    after_this_request(_with_cleared)


def end(store: Store) -> str | None:
    """End the session of this request, if any; the name of its user."""
    session_id = session.get(SESSION_ID)
    session.clear()
    return store.end_session(_hash_of_id(session_id)) if isinstance(session_id, str) else None


def _with_cleared(response: Response) -> Response:
    response.headers.update(CLEARED)
    return response


def _hash_of_id(session_id: str) -> str:
    return sha256(session_id.encode()).hexdigest()


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


# --- the cookie -------------------------------------------------------------------------------------------------------


class SecureCookies(SecureCookieSessionInterface):
    """Signed cookies, marked Secure on requests by https."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002
        return request.is_secure


def register(app: Flask, secret: str | None) -> None:
    """Sign the app's session cookies with this secret; None: it is set later, and until then there are no sessions."""
    app.secret_key = secret
    app.session_interface = SecureCookies()
    app.config |= {
        "SESSION_COOKIE_NAME": COOKIE,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": LIFETIME,
        "SESSION_REFRESH_EACH_REQUEST": False,
        "WTF_CSRF_FIELD_NAME": TOKEN_FIELD,
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: the field page sends its visits hours later
    }
