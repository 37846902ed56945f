"""An OpenID provider of a test's own, on this machine, made with Authlib's server side."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, request
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "fairmeter", "what only the two know"
ANNA = {"sub": "17", "preferred_username": "anna@example.org", "groups": ["crews", "staff"]}


class Client(ClientMixin):
    """Fairmeter, as the provider has registered it."""

    def get_client_id(self):
        return CLIENT_ID

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri.endswith("/desk/single-sign-on/return")

    def check_client_secret(self, client_secret):
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method, _endpoint):
        return method == "client_secret_basic"

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type == "authorization_code"


class Code:
    """A code that was given out. [request: in which; user: whose]"""

    def __init__(self, code: str, payload: Any, user: dict) -> None:
        self.code, self.user, self.nonce = code, user, payload.data.get("nonce")
        self.redirect_uri, self.scope = payload.redirect_uri, payload.scope
        self.code_challenge = payload.data.get("code_challenge")
        self.code_challenge_method = payload.data.get("code_challenge_method")

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return None

    get_acr = get_amr = get_auth_time


class TestProvider:
    """Signs in whoever `user` says. [nonce: in its tokens instead of the right one; key: that signs them]"""

    __test__ = False

    def __init__(self, issuer: str) -> None:
        self.issuer, self.user = issuer, dict(ANNA)
        self.published = self.key = RSAKey.generate_key(2048, auto_kid=True)
        self.nonce: str | None = None
        self.in_userinfo: dict[str, Any] = {}
        self.codes: dict[str, Code] = {}
        self.app = Flask("provider")
        self._server = AuthorizationServer(self.app, lambda client_id: client_id == CLIENT_ID and Client(), self._keep)
        self._server.register_grant(self._grant(), [self._open_id(), CodeChallenge(required=True)])
        self._add_routes()

    def _keep(self, token: dict, _request: Any) -> None:
        self.token = token

    def _grant(provider) -> type:  # noqa: N805
        class Grant(AuthorizationCodeGrant):
            def save_authorization_code(self, code, request):
                provider.codes[code] = Code(code, request.payload, request.user)

            def query_authorization_code(self, code, _client):
                return provider.codes.get(code)

            def delete_authorization_code(self, authorization_code):
                del provider.codes[authorization_code.code]

            def authenticate_user(self, authorization_code):
                return authorization_code.user

        return Grant

    def _open_id(provider) -> OpenIDCode:  # noqa: N805
        class OpenId(OpenIDCode):
            def exists_nonce(self, _nonce, _request):
                return False

            def get_client_algorithm(self, _client):
                return "RS256"

            def get_client_claims(self, _client):
                return {"iss": provider.issuer, "exp": int(time.time()) + 600, "aud": [CLIENT_ID]}

            def get_encode_header(self, _client):
                return {"alg": "RS256", "kid": provider.key.kid}

            def resolve_client_private_key(self, _client):
                return provider.key

            def get_authorization_code_claims(self, code):
                return {"nonce": provider.nonce or code.get_nonce()}

            def generate_user_info(self, user, _scope):
                return UserInfo(user)

        return OpenId()

    def _add_routes(self) -> None:
        at = self.issuer
        metadata = {
            "issuer": at, "authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/keys", "userinfo_endpoint": f"{at}/userinfo",
            "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["RS256"],
        }  # fmt: skip
        public = self.published.as_dict(private=False)
        self.app.add_url_rule("/.well-known/openid-configuration", "metadata", lambda: jsonify(metadata))
        self.app.add_url_rule("/keys", "keys", lambda: jsonify({"keys": [public]}))
        self.app.add_url_rule("/userinfo", "userinfo", self._userinfo)
        self.app.add_url_rule("/authorize", "authorize", self._authorize)
        self.app.add_url_rule("/token", "token", self._server.create_token_response, methods=["POST"])

    def _authorize(self):
        grant = self._server.get_consent_grant(end_user=self.user)
        return self._server.create_authorization_response(grant_user=self.user, grant=grant)

    def _userinfo(self):
        assert request.headers["Authorization"] == f"Bearer {self.token['access_token']}"
        return jsonify(self.user | self.in_userinfo)


@contextmanager
def running_provider() -> Iterator[TestProvider]:
    """A provider that answers until the block ends."""
    server = make_server("127.0.0.1", 0, lambda *call: provider.app(*call), threaded=True)
    provider = TestProvider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
