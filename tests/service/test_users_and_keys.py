"""Users and keys by the API, one's own password and second factor."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from fairmeter.web.http import second_factor
from fairmeter.web.http.auth import ADMIN, INVESTIGATOR
from fairmeter.web.http.key_rates import KeyRates
from tests.builders.desk import PASSWORD, add_user, desk_app, signed_in, with_key
from tests.builders.service import error_in

NEW = "five other words of mine"


@pytest.fixture
def app(store):
    add_user(store)
    return desk_app(store)


@pytest.fixture
def admin(app, store):
    """An admin's browser, and what its pages send."""
    add_user(store, "ada", ADMIN)
    return signed_in(app, "ada")


@pytest.fixture
def security_lines():
    """The security events of a test."""
    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append({"event": record.getMessage(), **record.fields})

    logger, handler = logging.getLogger("fairmeter.web.http.security_log"), Kept()
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(before)


# --- users ------------------------------------------------------------------------------------------------------------


def test_an_admin_adds_changes_and_takes_out_users(app, admin, store):
    client, token = admin
    made = client.post("/users", json={"name": "ben", "role": "viewer", "password": NEW}, headers=token)
    assert (made.status_code, made.json["has_password"], made.json["last_sign_in_at"]) == (201, True, None)
    assert app.test_client().post("/session", json={"name": "ben", "password": NEW}).status_code == 200
    changed = client.patch("/users/ben", json={"role": "investigator"}, headers=token)
    assert (changed.json["role"], changed.json["last_sign_in_at"] is not None) == ("investigator", True)
    client.patch("/users/ben", json={"is_active": False}, headers=token)
    assert app.test_client().post("/session", json={"name": "ben", "password": NEW}).status_code == 401
    assert [user["name"] for user in client.get("/users").json["rows"]] == ["ada", "anna", "ben"]
    assert store.verify_chain() is None


def test_answers_about_users_and_keys_hold_no_secret(admin, store):
    client, token = admin
    store.set_totp("anna", second_factor.new_secret())
    made = client.post("/keys", json={"name": "nightly"}, headers=token).json
    found = client.get("/users").text + client.get("/keys").text
    user = store.find_user("anna")
    assert not any(secret in found for secret in (user.password_hash, user.totp_secret, made["key"]))
    assert user.totp_secret not in repr(user)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/users", {"name": "anna", "password": NEW}, 409, "name_taken"),
        ("POST", "/users", {"name": "ben", "password": "short"}, 422, "bad_value"),
        ("POST", "/users", {"name": " ", "password": NEW}, 422, "bad_value"),
        ("POST", "/users", {"name": "ben", "role": "owner"}, 422, "bad_value"),
        ("PATCH", "/users/nobody", {"role": "viewer"}, 404, "not_found"),
        ("PATCH", "/users/ada", {"is_active": False}, 409, "last_admin"),
        ("DELETE", "/users/nobody/sessions", None, 404, "not_found"),
        ("DELETE", "/keys/nothing", None, 404, "not_found"),
        ("POST", "/keys", {"name": "k", "expires_at": "2001-01-01T00:00:00Z"}, 422, "bad_value"),
        ("POST", "/keys", {"name": "k", "per_minute": 0}, 422, "bad_value"),
    ],
)
def test_what_is_wrong_is_answered_in_words(admin, method, path, body, status, code):
    client, token = admin
    assert error_in(client.open(path, method=method, json=body, headers=token), status)["code"] == code


def test_only_admins_manage_users_and_keys(app, store):
    client, token = signed_in(app)
    for method, path in (("GET", "/users"), ("POST", "/users"), ("GET", "/keys"), ("POST", "/keys")):
        assert client.open(path, method=method, json={"name": "x"}, headers=token).status_code == 403
    script = with_key(store, INVESTIGATOR)
    assert app.test_client().patch("/users/anna", json={"role": "admin"}, headers=script).status_code == 403


def test_an_admin_signs_a_user_out_everywhere(app, admin):
    anna, _ = signed_in(app)
    client, token = admin
    assert client.delete("/users/anna/sessions", headers=token).json == {"n_ended": 1}
    assert anna.get("/cases").status_code == 401


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_copied_cookie_opens_nothing_after_the_sign_out(app):
    anna, _ = signed_in(app)
    thief = app.test_client()
    thief.set_cookie("fairmeter", anna.get_cookie("fairmeter").value)
    assert thief.get("/cases").status_code == 200
    answer = anna.delete("/session")
    assert answer.headers["Clear-Site-Data"] == '"cache", "cookies"', "visits that are not sent yet stay on the phone"
    assert thief.get("/cases").status_code == 401


def test_reading_does_not_prolong_a_session(app):
    anna, _ = signed_in(app)
    assert "Set-Cookie" not in anna.get("/cases").headers


def test_the_page_of_signing_out_ends_the_session_for_every_copy(app):
    anna, token = signed_in(app)
    thief = app.test_client()
    thief.set_cookie("fairmeter", anna.get_cookie("fairmeter").value)
    answer = anna.post("/desk/sign-out", data={"csrf_token": token["X-CSRF-Token"]})
    assert (answer.status_code, answer.headers["Clear-Site-Data"]) == (302, '"cache", "cookies"')
    assert thief.get("/cases").status_code == 401


def test_whoever_changes_the_own_password_stays_and_every_other_session_ends(app):
    (anna, token), (other, _) = signed_in(app), signed_in(app)
    assert anna.put("/session/password", json={"old": "wrong", "new": NEW}, headers=token).status_code == 401
    short = anna.put("/session/password", json={"old": PASSWORD, "new": "short"}, headers=token)
    assert error_in(short, 422)["fields"][0]["path"] == "new"
    assert anna.put("/session/password", json={"old": PASSWORD, "new": NEW}, headers=token).status_code == 200
    assert (anna.get("/cases").status_code, other.get("/cases").status_code) == (200, 401)
    assert app.test_client().post("/session", json={"name": "anna", "password": NEW}).status_code == 200


def test_guessing_the_old_password_is_held_back_as_signing_in_is(app):
    anna, token = signed_in(app)
    wrong = {"old": "wrong", "new": NEW}
    tried = [anna.put("/session/password", json=wrong, headers=token).status_code for _ in range(6)]
    assert tried == [401] * 5 + [429]


def test_a_script_has_no_password_to_change(app, store):
    headers = with_key(store, INVESTIGATOR)
    answer = app.test_client().put("/session/password", json={"old": PASSWORD, "new": NEW}, headers=headers)
    assert error_in(answer, 409)["code"] == "no_password"


# --- the second factor ------------------------------------------------------------------------------------------------


def with_second_factor(client, token) -> pyotp.TOTP:
    offer = client.get("/session/second-factor").json
    totp = pyotp.TOTP(offer["secret"])
    assert offer["address"] == totp.provisioning_uri(name="anna", issuer_name="Fairmeter")
    body = {"secret": offer["secret"], "code": totp.now(), "password": PASSWORD}
    answer = client.put("/session/second-factor", json=body, headers=token)
    assert answer.status_code == 200, answer.text
    return totp


def test_with_a_second_factor_the_password_alone_opens_nothing(app, store):
    totp = with_second_factor(*signed_in(app))
    right = {"name": "anna", "password": PASSWORD}
    assert error_in(app.test_client().post("/session", json=right), 401)["code"] == "code_wanted"
    assert app.test_client().post("/session", json=right | {"code": "000 000"}).status_code == 401
    code = totp.now()
    assert app.test_client().post("/session", json=right | {"code": code}).status_code == 200
    again = app.test_client().post("/session", json=right | {"code": code})
    assert "used already" in error_in(again, 401)["message"], "whoever looked over the shoulder"
    assert store.verify_chain() is None


def test_a_second_factor_is_set_with_the_password_and_a_right_code_alone(app):
    anna, token = signed_in(app)
    secret = anna.get("/session/second-factor").json["secret"]
    code = pyotp.TOTP(secret).now()
    for body in ({"code": code, "password": "wrong"}, {"code": "12345", "password": PASSWORD}):
        assert anna.put("/session/second-factor", json={"secret": secret} | body, headers=token).status_code == 401
    weak = {"secret": "A" * 8, "code": code, "password": PASSWORD}
    assert anna.put("/session/second-factor", json=weak, headers=token).status_code == 422
    none = {"secret": None, "code": code, "password": PASSWORD}
    assert anna.put("/session/second-factor", json=none, headers=token).status_code == 409


def test_a_second_factor_is_removed_with_its_code_or_by_an_admin(app, store, admin):
    anna, token = signed_in(app)
    totp = with_second_factor(anna, token)
    token = {"X-CSRF-Token": anna.get("/session").json["csrf_token"]}
    gone = {"secret": None, "code": totp.now(), "password": PASSWORD}
    assert anna.put("/session/second-factor", json=gone, headers=token).status_code == 200
    assert not store.find_user("anna").has_totp
    store.set_totp("anna", totp.secret)
    client, headers = admin
    answer = client.patch("/users/anna", json={"without_second_factor": True}, headers=headers)
    assert answer.json["has_second_factor"] is False


def test_a_code_of_the_minute_before_is_right_and_an_older_one_is_not():
    secret, now = second_factor.new_secret(), datetime(2026, 12, 1, 12, tzinfo=UTC)
    codes = {age: pyotp.TOTP(secret).at(now - timedelta(seconds=age)) for age in (0, 30, 90)}
    found = {age: second_factor.step_of(secret, code, now) is not None for age, code in codes.items()}
    assert found == {0: True, 30: True, 90: False}
    assert second_factor.step_of(secret, "١٢٣٤٥٦", now) is None, "digits of other scripts are none"


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_opens_until_it_expires(app, admin, store):
    client, token = admin
    ends = datetime.now(UTC) + timedelta(days=30)
    made = client.post("/keys", json={"name": "nightly", "expires_at": ends.isoformat()}, headers=token)
    assert made.status_code == 201
    script = {"X-API-Key": made.json["key"]}
    assert app.test_client().get("/cases", headers=script).status_code == 200
    assert client.get("/keys").json["rows"][0]["last_used_at"] is not None
    assert client.delete("/keys/nightly", headers=token).status_code == 204
    assert app.test_client().get("/cases", headers=script).status_code == 401
    assert store.verify_chain() is None


def test_a_key_makes_no_more_requests_a_minute_than_it_may(app, admin):
    client, token = admin
    script = {"X-API-Key": client.post("/keys", json={"name": "k", "per_minute": 2}, headers=token).json["key"]}
    answers = [app.test_client().get("/cases", headers=script) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 31


def test_requests_come_back_with_the_time():
    now = [0.0]
    rates = KeyRates(lambda: now[0])
    assert [rates.wait_for("k", 60) for _ in range(60)] == [0.0] * 60
    assert rates.wait_for("k", 60) == pytest.approx(1.0)
    assert rates.wait_for("other", 60) == 0.0
    now[0] = 1.0
    assert rates.wait_for("k", 60) == 0.0


def test_a_right_key_opens_however_often_others_at_its_address_failed(app, store):
    client, right = app.test_client(), with_key(store, INVESTIGATOR)
    wrong = [client.get("/cases", headers={"X-API-Key": "fm_" + "x" * 43}).status_code for _ in range(11)]
    assert wrong == [401] * 10 + [429]
    assert client.get("/cases", headers=right).status_code == 200


# --- security events --------------------------------------------------------------------------------------------------


def test_security_events_say_who_and_from_where_and_nothing_that_was_typed(app, store, admin, security_lines):
    client, token = admin
    app.test_client().post("/session", json={"name": "my password", "password": "x"})
    app.test_client().get("/cases", headers={"X-API-Key": "fm_secret"})
    signed_in(app)
    client.post("/keys", json={"name": "nightly"}, headers=token)
    client.post("/users", json={"name": "ben"})
    client.delete("/session")
    kinds = [line["kind"] for line in security_lines]
    assert kinds == ["sign_in_failed", "key_refused", "signed_in", "key_changed", "token_refused", "signed_out"]
    assert {line["address"] for line in security_lines} == {"127.0.0.1"}
    assert [line.get("name") for line in security_lines] == [None, None, "anna", "ada", "ada", "ada"]
    assert (
        'fairmeter_security_events_total{kind="sign_in_failed"} 1.0'
        in app.test_client().get("/metrics", headers=with_key(store, INVESTIGATOR)).text
    )
    assert not any(text in json.dumps(security_lines) for text in ("my password", "fm_secret", PASSWORD))
