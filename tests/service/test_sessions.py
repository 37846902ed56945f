"""Who works at the desk: sessions, keys, roles, and what is refused."""

import re
import time

import pytest

from fairmeter.web.http import sessions
from fairmeter.web.http.auth import ADMIN, ANYBODY, INVESTIGATOR, SCORING, VIEWER
from fairmeter.web.http.sessions import BadPassword
from tests.builders.desk import PASSWORD, add_user, desk_app, opened, recorded, signed_in, with_key
from tests.builders.passwords import REAL_HASHER
from tests.builders.service import a_body, error_in

READS = ("/dashboard", "/clients", "/alerts", "/cases", "/list", "/inspections.csv", "/consumer/c-1", "/cases/1")
WRITES = ("/cases", "/cases/1/moves", "/cases/1/inspections", "/readings")
CASE = {"client_id": "c-1", "why": "x"}


@pytest.fixture
def app(store):
    add_user(store)
    return desk_app(store)


@pytest.fixture
def script(store, app):
    """A script's client, with the keys of an investigator."""
    return app.test_client(), with_key(store, INVESTIGATOR)


# --- the door ---------------------------------------------------------------------------------------------------------


def test_nothing_of_the_desk_is_told_or_done_without_a_user_or_key(app):
    client = app.test_client()
    for path in READS:
        assert error_in(client.get(path), 401)["code"] == "unauthorized"
    for path in WRITES:
        assert error_in(client.post(path, json={}), 401)["code"] == "unauthorized"
    assert client.post("/predict?record=1", json=a_body()).status_code == 401
    assert client.get("/metrics").status_code == 401
    assert client.post("/predict", json=a_body()).status_code == 200


def test_every_route_has_a_role_that_somebody_chose(app):
    chosen = app.extensions["guard"].roles
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert endpoints <= set(chosen)
    assert set(chosen.values()) <= {ANYBODY, SCORING, VIEWER, INVESTIGATOR, ADMIN}


def test_a_viewer_reads_and_does_not_write(app, store):
    client, headers = app.test_client(), with_key(store, VIEWER)
    for path in READS[:6]:
        assert client.get(path, headers=headers).status_code == 200
    for path in WRITES:
        assert error_in(client.post(path, json=CASE, headers=headers), 403)["code"] == "forbidden"
    assert client.post("/predict?record=1", json=a_body(), headers=headers).status_code == 403


def test_the_scripts_key_for_scoring_opens_no_desk(store):
    client = desk_app(store, api_key="for scoring").test_client()
    headers = {"X-API-Key": "for scoring"}
    assert client.post("/predict", json=a_body(), headers=headers).status_code == 200
    assert client.get("/clients", headers=headers).status_code == 403
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.post("/predict", json=a_body(), headers=with_key(store, VIEWER)).status_code == 200


def test_a_key_that_was_taken_back_opens_nothing(app, store):
    client, headers = app.test_client(), with_key(store, VIEWER, "old script")
    assert client.get("/cases", headers=headers).status_code == 200
    store.revoke_key("old script")
    assert client.get("/cases", headers=headers).status_code == 401


def test_keys_are_kept_as_hashes(store):
    headers = with_key(store, VIEWER)
    key = headers["X-API-Key"]
    assert re.fullmatch(r"fm_[\w-]{43}", key)
    assert key not in str(store.list_keys())
    assert store.use_key(key) is None


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_whoever_signs_in_gets_a_cookie_that_scripts_of_pages_cannot_read(app):
    answer = app.test_client().post("/session", json={"name": "anna", "password": PASSWORD})
    assert {key: answer.json[key] for key in ("name", "role")} == {"name": "anna", "role": "investigator"}
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    by_https = app.test_client().post(
        "/session", json={"name": "anna", "password": PASSWORD}, base_url="https://localhost"
    )
    assert "Secure" in by_https.headers["Set-Cookie"]


def test_a_session_reads_and_writes_with_its_token_only(app, script):
    recorded(*script[:1], ["c-1", "c-2"], script[1])
    client, token = signed_in(app)
    assert client.get("/cases").status_code == 200
    assert error_in(client.post("/cases", json=CASE), 403)["code"] == "bad_token"
    assert error_in(client.post("/cases", json=CASE, headers={"X-CSRF-Token": "guessed"}), 403)["code"] == "bad_token"
    assert opened(client, "c-1", token)["opened_by"] == "anna"
    elsewhere = token | {"Origin": "https://evil.example"}
    assert error_in(client.post("/cases", json=CASE, headers=elsewhere), 403)["code"] == "other_origin"


def test_a_token_of_another_session_is_refused(app):
    client, _ = signed_in(app)
    _, other = signed_in(app)
    assert error_in(client.post("/cases", json=CASE, headers=other), 403)["code"] == "bad_token"


def test_a_token_is_valid_as_long_as_its_session(app, script, monkeypatch):
    recorded(*script[:1], ["c-1"], script[1])
    client, token = signed_in(app)
    eleven_hours_later = time.time() + 11 * 3600
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: eleven_hours_later)
    assert opened(client, "c-1", token)["opened_by"] == "anna"


def test_a_session_that_is_signed_in_again_gets_a_new_token(app):
    client, first = signed_in(app)
    client.post("/session", json={"name": "anna", "password": PASSWORD})
    second = {"X-CSRF-Token": client.get("/session").json["csrf_token"]}
    assert error_in(client.post("/cases", json=CASE, headers=first), 403)["code"] == "bad_token"
    assert client.post("/cases", json=CASE, headers=second).status_code == 404


def test_a_visitor_without_a_session_gets_no_cookie(app):
    for path in ("/session", "/desk/sign-in"):
        assert "Set-Cookie" not in app.test_client().get(path).headers


def test_signing_out_ends_the_session(app):
    client, _ = signed_in(app)
    assert client.get("/session").json["name"] == "anna"
    assert client.delete("/session").status_code == 204
    assert client.get("/session").status_code == 401


HASH = sessions.hash_of_password(PASSWORD)
CHANGES = [
    {"password_hash": sessions.hash_of_password("another few words")},
    {"role": "viewer"},
    {"is_active": False},
]


def test_a_session_ends_with_the_password_the_role_and_the_user(app, store):
    for change in CHANGES:
        client, _ = signed_in(app)
        assert client.get("/cases").status_code == 200
        store.change_user("anna", **change)
        assert client.get("/cases").status_code == 401
        store.change_user("anna", password_hash=HASH, role="investigator", is_active=True)


def test_a_cookie_that_was_not_signed_here_is_worth_nothing(app):
    client, _ = signed_in(app)
    cookie = client.get_cookie("fairmeter")
    client.set_cookie("fairmeter", cookie.value[:-3] + "abc")
    assert client.get("/cases").status_code == 401


WRONG = [
    {"name": "anna", "password": "wrong"},
    {"name": "nobody", "password": PASSWORD},
    {"name": "", "password": ""},
]


def test_a_wrong_name_and_a_wrong_password_look_alike(app):
    for sent in WRONG:
        error = error_in(app.test_client().post("/session", json=sent), 401)
        assert error["message"] == "Wrong user name or password."


def test_a_name_that_no_database_can_hold_is_a_422(app):
    assert app.test_client().post("/session", json={"name": "anna\0", "password": PASSWORD}).status_code == 422


def test_a_user_who_was_taken_out_does_not_sign_in(app, store):
    store.change_user("anna", is_active=False)
    assert app.test_client().post("/session", json={"name": "anna", "password": PASSWORD}).status_code == 401


def test_every_try_to_sign_in_is_on_record(app, store):
    signed_in(app)
    app.test_client().post("/session", json={"name": "anna", "password": "wrong"})
    assert [(login["name"], login["is_success"]) for login in store.list_logins()] == [("anna", False), ("anna", True)]


def test_after_five_failures_even_the_right_password_waits_and_others_do_not(app, store):
    add_user(store, "ben")
    client = app.test_client()
    for _ in range(5):
        client.post("/session", json={"name": "anna", "password": "wrong"})
    answer = client.post("/session", json={"name": "anna", "password": PASSWORD})
    assert error_in(answer, 429)["code"] == "too_many_requests"
    assert int(answer.headers["Retry-After"]) > 0
    assert client.post("/session", json={"name": "ben", "password": PASSWORD}).status_code == 200


def test_workers_count_failures_together_and_a_restart_forgets_none(app, store):
    for worker in (app, desk_app(store), app, desk_app(store), app):
        worker.test_client().post("/session", json=WRONG[0])
    right = {"name": "anna", "password": PASSWORD}
    for worker in (app, desk_app(store)):
        assert worker.test_client().post("/session", json=right).status_code == 429


def test_nobody_locks_out_whoever_signs_in_from_elsewhere(app):
    for _ in range(9):
        app.test_client().post("/session", json=WRONG[0])
    elsewhere = {"REMOTE_ADDR": "10.0.0.9"}
    right = {"name": "anna", "password": PASSWORD}
    assert app.test_client().post("/session", json=right, environ_overrides=elsewhere).status_code == 200


def test_one_address_that_tries_many_names_has_to_wait(app):
    client = app.test_client()
    tried = [client.post("/session", json={"name": f"user {i}", "password": "wrong"}) for i in range(31)]
    assert [answer.status_code for answer in tried] == [401] * 30 + [429]


def test_a_page_of_another_site_signs_nobody_in(app):
    headers = {"Origin": "https://evil.example"}
    answer = app.test_client().post("/session", json={"name": "anna", "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403


# --- passwords --------------------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_argon2_and_is_found_again(monkeypatch):
    monkeypatch.setattr(sessions, "_hasher", REAL_HASHER)
    kept = sessions.hash_of_password(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert sessions.verify_password(PASSWORD, kept)
    assert not sessions.verify_password(PASSWORD + "x", kept)
    assert not sessions.verify_password(PASSWORD, "no hash")
    assert not sessions.verify_password("x" * 10_000, kept)


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 201])
def test_a_password_that_is_too_short_or_too_long_is_not_taken(password):
    with pytest.raises(BadPassword, match="characters"):
        sessions.hash_of_password(password)
