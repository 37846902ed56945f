"""Routes of users, keys and sessions: signing in and out, one's own password and second factor; for admins all users.

In:  bodies, checked by the models of access_models.py.
Out: who may sign in and which scripts may call, after the change. Every change is on record with its user or key, and
     ends the sessions that it concerns.

Functions of the store for pages that manage the same: list_users, add_user, change_user, set_totp, end_sessions_of,
last_sign_ins, list_keys, add_key, revoke_key. A page passes by=guard.identity().signature, and lets passwords and keys
through `sessions.hash_of_password` and `sessions.new_key`.
"""

from flask import session

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem, bad_value
from fairmeter.store import NO_PASSWORD, ApiKey, NoSuchName, Store, User
from fairmeter.web.app import Api
from fairmeter.web.desk_api import access_models as models
from fairmeter.web.desk_api.bodies import body_of
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.http import second_factor, security_log, sessions
from fairmeter.web.http.auth import ADMIN, ANYBODY, NOBODY, VIEWER, AccessControl, Identity

CREATED = 201
SESSION = [{"session": []}]
ADMINS = ("read_users", "add_user", "change_user", "end_user_sessions", "read_keys", "add_key", "revoke_key")
OWN = ("change_password", "offer_second_factor", "change_second_factor")


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes."""
    _add_sessions(app, guard, desk.store)
    _add_own(app, guard, desk.store)
    _add_users(app, guard, desk.store)
    _add_keys(app, guard, desk.store)
    guard.set_roles(sign_in=ANYBODY, sign_out=ANYBODY, read_session=ANYBODY)
    guard.set_roles(**dict.fromkeys(OWN, VIEWER), **dict.fromkeys(ADMINS, ADMIN))


# --- sessions ---------------------------------------------------------------------------------------------------------


def _add_sessions(app: Api, guard: AccessControl, store: Store) -> None:
    @app.post("/session", responses={200: models.SessionResponse}, request_body=body_of("SignIn"))
    def sign_in(body: models.SignIn):
        """Sign in; the answer sets the session's cookie."""
        guard.check_origin()
        return json_response(_session_of(sessions.sign_in(store, body.name, body.password, body.code)))

    @app.get("/session", responses={200: models.SessionResponse}, security=SECURITY)
    def read_session():
        """The signed-in user and the CSRF token of the session."""
        identity = guard.identity()
        if identity is NOBODY:
            raise Problem(401, "unauthorized", "No user is signed in; POST /session with name and password.")
        return json_response(_session_of(identity))

    @app.delete("/session", responses={204: None}, security=SECURITY)
    def sign_out():
        """Sign out."""
        if sessions.SESSION_ID in session:
            guard.check_origin()
            sessions.sign_out(store)
        return "", 204


def _session_of(identity: Identity) -> models.SessionResponse:
    return models.SessionResponse(name=identity.name, role=identity.role, csrf_token=sessions.csrf_token())


# --- one's own password and second factor -----------------------------------------------------------------------------


def _add_own(app: Api, guard: AccessControl, store: Store) -> None:
    @app.put(
        "/session/password",
        responses={200: models.SessionResponse},
        request_body=body_of("NewPassword"),
        security=SESSION,
    )
    def change_password(body: models.NewPassword):
        """Change one's own password; all other sessions of the user end."""
        return json_response(_session_of(sessions.change_password(store, own_user(guard, store), body)))

    @app.get("/session/second-factor", responses={200: models.SecondFactorOffer}, security=SESSION)
    def offer_second_factor():
        """A new secret for an authenticator app."""
        user, secret = own_user(guard, store), second_factor.new_secret()
        address = second_factor.app_address(user.name, secret)
        return json_response(models.SecondFactorOffer(is_set=user.has_totp, secret=secret, address=address))

    @app.put(
        "/session/second-factor",
        responses={200: models.SessionResponse},
        request_body=body_of("NewSecondFactor"),
        security=SESSION,
    )
    def change_second_factor(body: models.NewSecondFactor):
        """Set or remove one's own second factor; all other sessions of the user end."""
        return json_response(_session_of(sessions.change_second_factor(store, own_user(guard, store), body)))


def own_user(guard: AccessControl, store: Store) -> User:
    """The signed-in user, where it has a password here. Raises Problem."""
    identity = guard.identity()
    user = store.find_user(identity.name) if identity.kind == "user" else None
    if user is None or not user.has_password:
        raise Problem(409, "no_password", "Only a user who signs in here with a password has one to change.")
    return user


# --- users ------------------------------------------------------------------------------------------------------------


def _add_users(app: Api, guard: AccessControl, store: Store) -> None:
    @app.get("/users", responses={200: models.UserList}, security=SECURITY)
    def read_users():
        """All users."""
        last = store.last_sign_ins()
        return json_response(models.UserList(rows=[_user(user, last) for user in store.list_users()]))

    @app.post("/users", responses={CREATED: models.UserResponse}, request_body=body_of("NewUser"), security=SECURITY)
    def add_user(body: models.NewUser):
        """Add a user."""
        hashed = NO_PASSWORD if body.password is None else _hashed(body.password)
        user = store.add_user(body.name, hashed, body.role, guard.identity().signature)
        security_log.record("user_changed", guard.identity().signature, user=user.name)
        return json_response(_user(user, {}), CREATED)

    @app.patch(
        "/users/<name>", responses={200: models.UserResponse}, request_body=body_of("ChangedUser"), security=SECURITY
    )
    def change_user(path: models.UserPath, body: models.ChangedUser):
        """Change a user's role, access or password, or remove its second factor; its sessions end."""
        change(store, path.name, body, guard.identity().signature)
        return json_response(_user(_existing(store, path.name), store.last_sign_ins()))

    @app.delete("/users/<name>/sessions", responses={200: models.SessionsEnded}, security=SECURITY)
    def end_user_sessions(path: models.UserPath):
        """Sign a user out everywhere."""
        n_ended = store.end_sessions_of(_existing(store, path.name).name)
        security_log.record("user_changed", guard.identity().signature, user=path.name)
        return json_response(models.SessionsEnded(n_ended=n_ended))


def change(store: Store, name: str, body: models.ChangedUser, by: str) -> None:
    """Change a user as an admin asks. Raises Problem, StoreError. [by: for the audit chain]"""
    given = {"role": body.role, "is_active": body.is_active}
    if body.password is not None:
        given["password_hash"] = _hashed(body.password)
    if any(value is not None for value in given.values()):
        store.change_user(name, **given, by=by)
    if body.without_second_factor:
        store.set_totp(name, None, by)
    security_log.record("user_changed", by, user=_existing(store, name).name)


def _existing(store: Store, name: str) -> User:
    user = store.find_user(name)
    if user is None:
        raise NoSuchName("There is no user of this name; GET /users lists all.")
    return user


def _hashed(password: str) -> str:
    try:
        return sessions.hash_of_password(password)
    except sessions.BadPassword as error:
        raise bad_value("password", str(error).removesuffix(".")) from None


def _user(user: User, last_sign_ins: dict) -> models.UserResponse:
    return models.UserResponse(
        name=user.name,
        role=user.role,
        is_active=user.is_active,
        created_at=user.created_at,
        has_password=user.has_password,
        has_second_factor=user.has_totp,
        is_single_sign_on=user.subject is not None,
        last_sign_in_at=last_sign_ins.get(user.name),
    )


# --- keys -------------------------------------------------------------------------------------------------------------


def _add_keys(app: Api, guard: AccessControl, store: Store) -> None:
    @app.get("/keys", responses={200: models.KeyList}, security=SECURITY)
    def read_keys():
        """All keys of scripts."""
        return json_response(models.KeyList(rows=[models.KeyResponse.model_validate(key) for key in store.list_keys()]))

    @app.post("/keys", responses={CREATED: models.KeyMade}, request_body=body_of("NewKey"), security=SECURITY)
    def add_key(body: models.NewKey):
        """Make a key for a script; the answer shows it once."""
        made, key = make_key(store, body, guard.identity().signature)
        shown = {name: getattr(made, name) for name in models.KeyResponse.model_fields}
        return json_response(models.KeyMade(**shown, key=key), CREATED)

    @app.delete("/keys/<name>", responses={204: None}, security=SECURITY)
    def revoke_key(path: models.KeyPath):
        """Revoke a key."""
        store.revoke_key(path.name, guard.identity().signature)
        security_log.record("key_changed", guard.identity().signature, key=path.name)
        return "", 204


def make_key(store: Store, body: models.NewKey, by: str) -> tuple[ApiKey, str]:
    """A new key with itself in clear text, which is shown once. [by: for the audit chain]"""
    key, key_hash = sessions.new_key()
    made = store.add_key(body.name, key_hash, body.role, by, expires_at=body.expires_at, per_minute=body.per_minute)
    security_log.record("key_changed", by, key=made.name)
    return made, key
