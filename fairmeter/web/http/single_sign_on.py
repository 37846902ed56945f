"""Sign-in at an OpenID provider: the authorization code flow with PKCE, state and nonce, by Authlib.

In:  the provider's issuer, our id and secret there, and which of its groups has which role here.
Out: a redirect to the provider; from its answer, the user of that identity, made at the first sign-in. The role follows
     the groups at each sign-in. An identity is an issuer with a subject: a local user of the same name is another.

The provider is asked during a sign-in alone; the metadata and keys that it publishes are kept.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask, Response

from fairmeter.scoring.problems import Problem
from fairmeter.store import NO_PASSWORD, NameTaken, Store, StoreError, User
from fairmeter.web.http import security_log
from fairmeter.web.http.auth import ROLES

NAME = "provider"
WAY = "by single sign-on"
BY = "single sign-on"  # who changes users, in the audit chain
SCOPE = "openid profile email"
PATIENCE = 10  # seconds for an answer of the provider
ANYBODY_THERE = "*"  # in the roles: everybody whom the provider signs in
NAME_CLAIMS = ("preferred_username", "email", "sub")  # the first that is there and free names a new user
MAX_NAME = 100  # characters
FAILED = "The sign-in at your organization failed; try again, or ask your administrator."


class Provider(NamedTuple):
    """An OpenID provider. [roles: by group, "*" for everybody; claim: that holds the groups]"""

    issuer: str
    client_id: str
    client_secret: str
    roles: Mapping[str, str]
    claim: str = "groups"


class SingleSignOn:
    """Signs users in at a provider."""

    def __init__(self, app: Flask, provider: Provider, store: Store) -> None:
        from authlib.integrations.flask_client import OAuth  # where a provider is set alone

        self._provider, self._store = provider, store
        self._client = OAuth(app).register(
            NAME,
            server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            client_kwargs={"scope": SCOPE, "code_challenge_method": "S256", "default_timeout": PATIENCE},
        )

    def begin(self, return_to: str) -> Response:
        """A redirect to the provider. Raises Problem. [return_to: our address that takes its answer]"""
        with _Answered():
            return self._client.authorize_redirect(return_to)

    def finish(self) -> User:
        """The user whom the provider names in this request. Raises Problem."""
        with _Answered():
            token = self._client.authorize_access_token()
            claims = token["userinfo"]  # of the signed token: missing where it holds no nonce of ours
            if self._provider.claim not in claims and self._client.server_metadata.get("userinfo_endpoint"):
                more = self._client.userinfo(token=token)
                claims = claims | more if more.get("sub") == claims["sub"] else claims
            if claims["iss"].rstrip("/") != self._provider.issuer.rstrip("/"):
                raise ValueError("another issuer")
        return self._user_of(claims)

    def _user_of(self, claims: Mapping[str, Any]) -> User:
        subject, role = f"{claims['iss']} {claims['sub']}", role_of(claims.get(self._provider.claim), self._provider)
        user = self._store.find_user_by_subject(subject)
        if role is None or (user is not None and not user.is_active):
            security_log.record("single_sign_on_failed", user and user.name, why="no role here")
            raise Problem(403, "no_role", "Your organization's account has no role here; ask your administrator.")
        if user is None:
            return self._added(claims, subject, role)
        return user if user.role == role else self._store.change_user(user.name, role=role, by=BY)

    def _added(self, claims: Mapping[str, Any], subject: str, role: str) -> User:
        for name in (str(claims[claim])[:MAX_NAME].strip() for claim in NAME_CLAIMS if claims.get(claim)):
            try:
                return self._store.add_user(name, NO_PASSWORD, role, BY, subject)
            except NameTaken:
                continue
        raise Problem(409, "name_taken", "Another user has your account's name here; ask your administrator.")


def role_of(groups: Any, provider: Provider) -> str | None:
    """The highest role of some groups; None without any. [groups: a claim's value: a text, or a list of texts]"""
    named = [groups] if isinstance(groups, str) else [group for group in groups or () if isinstance(group, str)]
    roles = {provider.roles.get(group) for group in (*named, ANYBODY_THERE)} - {None}
    return max(roles, key=ROLES.index, default=None)


class _Answered:
    """What fails between the provider and us as one Problem, whose cause is in the log alone."""

    def __enter__(self) -> None:
        """Nothing is opened."""

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError
        from requests import RequestException

        known = (AuthlibBaseError, JoseError, RequestException, RuntimeError, ValueError, KeyError, TypeError)
        if isinstance(error, known) and not isinstance(error, StoreError):
            security_log.record("single_sign_on_failed", why=type(error).__name__)
            raise Problem(502, "single_sign_on", FAILED) from error
