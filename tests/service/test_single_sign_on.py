"""Sign-in at an OpenID provider, at a real one on this machine."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc.jwk import RSAKey

from fairmeter.web.http.single_sign_on import Provider, role_of
from fairmeter.web.pages.site import PageSettings
from tests.builders.desk import add_user, desk_app
from tests.builders.provider import CLIENT_ID, CLIENT_SECRET, running_provider

ROLES = {"crews": "investigator", "leads": "admin"}
RETURN = "/desk/single-sign-on/return"


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # of the provider: it answers by http here
    with running_provider() as running:
        yield running


@pytest.fixture
def app(store, provider):
    settings = PageSettings(provider=Provider(provider.issuer, CLIENT_ID, CLIENT_SECRET, ROLES))
    return desk_app(store, "no one", None, None, settings)


def way_back(client, target=""):
    """The address, from its path on, to which the provider sends the browser."""
    begun = client.get(f"/desk/single-sign-on{target}")
    assert begun.status_code == 302, begun.text
    asked = parse_qs(urlsplit(begun.location).query)
    assert (asked["code_challenge_method"], asked["response_type"]) == (["S256"], ["code"])
    answer = requests.get(begun.location, allow_redirects=False, timeout=60)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def returned(app, target=""):
    client = app.test_client()
    return client, client.get(way_back(client, target))


def test_whoever_the_provider_signs_in_is_a_user_with_the_role_of_its_group(app, store):
    client, answer = returned(app, "?next=/desk/cases")
    assert (answer.status_code, answer.location) == (302, "/desk/cases")
    session = client.get("/session").json
    assert (session["name"], session["role"]) == ("anna@example.org", "investigator")
    assert client.get("/desk/cases").status_code == 200
    user = store.find_user("anna@example.org")
    assert not user.has_password
    assert store.verify_chain() is None


def test_the_role_follows_the_groups_and_the_user_stays_the_same(app, store, provider):
    first, _ = returned(app)
    provider.user["groups"] = ["leads", "crews"]
    provider.user["preferred_username"] = "anna.b@example.org"
    second, _ = returned(app)
    assert second.get("/session").json["role"] == "admin"
    assert [user.name for user in store.list_users()] == ["anna@example.org"]
    assert first.get("/cases").status_code == 401, "sessions end where the role changes"


@pytest.mark.parametrize("groups", [["others"], [], None, "others"])
def test_who_has_no_group_with_a_role_does_not_get_in(app, store, provider, groups):
    provider.user["groups"] = groups
    _, answer = returned(app)
    assert answer.status_code == 403
    assert "has no role here" in answer.text
    assert store.list_users() == []


def test_groups_may_be_told_by_the_userinfo_alone(app, provider):
    del provider.user["groups"]
    provider.in_userinfo = {"groups": ["crews"]}
    client, _ = returned(app)
    assert client.get("/session").json["role"] == "investigator"


def test_a_local_user_of_the_same_name_is_another_and_is_not_taken_over(app, store, provider):
    add_user(store, "anna@example.org", "admin")
    _, answer = returned(app)
    assert answer.status_code == 302, "the subject names it"
    assert {(user.name, user.role) for user in store.list_users()} == {
        ("anna@example.org", "admin"),
        ("17", "investigator"),
    }
    add_user(store, "18", "viewer")
    provider.user["sub"] = "18"
    _, answer = returned(app)
    assert answer.status_code == 409


def test_a_user_who_was_taken_out_here_does_not_get_in(app, store):
    returned(app)
    store.change_user("anna@example.org", is_active=False)
    _, answer = returned(app)
    assert answer.status_code == 403


def test_an_answer_opens_nothing_in_another_browser_and_nothing_twice(app):
    client = app.test_client()
    address = way_back(client)
    assert app.test_client().get(address).status_code == 502
    assert client.get(address).status_code == 302
    assert client.get(address).status_code == 502


def test_tokens_with_another_nonce_or_another_key_open_nothing(app, provider, store):
    provider.nonce = "of another sign-in"
    assert returned(app)[1].status_code == 502
    provider.nonce, provider.key = None, RSAKey.generate_key(2048, parameters={"kid": provider.key.kid})
    assert returned(app)[1].status_code == 502
    assert store.list_users() == []


def test_an_error_of_the_provider_is_said_on_the_page(app):
    client = app.test_client()
    way_back(client)
    answer = client.get(f"{RETURN}?error=access_denied&error_description=%3Cscript%3E")
    assert answer.status_code == 502
    assert "<script>" not in answer.text.replace("<script src=", "")


def test_a_provider_that_is_away_leaves_the_form_for_passwords(store):
    away = PageSettings(provider=Provider("http://127.0.0.1:9", CLIENT_ID, CLIENT_SECRET, ROLES))
    answer = desk_app(store, "no one", None, None, away).test_client().get("/desk/single-sign-on")
    assert answer.status_code == 502
    assert 'type="password"' in answer.text


def test_no_sign_in_leads_to_another_site(app):
    for target in ("https://evil.example", "//evil.example", "/desk/\\evil"):
        _, answer = returned(app, f"?next={target}")
        assert answer.location == "/desk/today"


def test_without_a_provider_there_is_no_way_to_one(store):
    client = desk_app(store).test_client()
    assert client.get("/desk/single-sign-on").status_code == 404
    assert "single-sign-on" not in client.get("/desk/sign-in").text


def test_of_several_groups_the_highest_role_counts():
    provider = Provider("https://p", "id", "secret", {"a": "viewer", "b": "admin", "*": "viewer"})
    assert [role_of(groups, provider) for groups in ("b", ["a", "b"], ["x"], None, [7])] == [
        "admin", "admin", "viewer", "viewer", "viewer",
    ]  # fmt: skip
