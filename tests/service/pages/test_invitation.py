"""A user sets its own password by a link, once; nobody else ever sees it."""

import json
import re
from urllib.parse import urlsplit

import pytest

from fairmeter.web.http import sessions
from tests.builders.desk import PASSWORD, desk_app
from tests.builders.pages import open_desk, seen


@pytest.fixture
def link(store):
    """The path of the link that an admin passes on."""
    answer = open_desk(store).post("/desk/crews/users", data={"name": "ben", "role": "investigator"})
    assert answer.headers["Cache-Control"] == "no-store"
    return urlsplit(re.search(r"shown-once\"><bdi>(.*?)</bdi>", answer.text)[1]).path


@pytest.fixture
def visitor(store):
    """A browser at a desk that is open to nobody."""
    return desk_app(store).test_client()


def accept(visitor, link: str, password: str = PASSWORD, again: str | None = None):
    return visitor.post(link, data={"password": password, "again": password if again is None else again})


def test_the_link_signs_the_user_in_with_the_password_that_it_chose(store, visitor, link):
    page = visitor.get(link)
    assert "You sign in as ben." in seen(page).text
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert accept(visitor, link).headers["Location"] == "/desk/today"
    assert visitor.get("/desk/today").status_code == 200
    other = desk_app(store).test_client().post("/session", json={"name": "ben", "password": PASSWORD})
    assert (other.status_code, other.json["role"]) == (200, "investigator")


def test_the_link_works_once_and_the_store_holds_its_hash_alone(store, visitor, link):
    secret = link.rpartition("/")[2]
    assert secret not in "".join(store.chain_lines())
    assert store.invited_user(sessions.hash_of_key(secret)).name == "ben"
    accept(visitor, link)
    for again in (visitor.get(link), accept(desk_app(store).test_client(), link, "another four words here")):
        assert again.status_code == 410
        assert "used already" in seen(again).text
    assert sessions.verify_password(PASSWORD, store.find_user("ben").password_hash)


@pytest.mark.parametrize(
    ("password", "again", "says"),
    [
        ("short", None, "At least 12 characters"),
        (PASSWORD, "other words of a poem", "differ"),
        ("", "", "At least"),
        ("x" * 201, None, "At least"),
    ],
)
def test_a_password_that_cannot_be_is_refused_and_the_link_stays(visitor, link, password, again, says):
    answer = accept(visitor, link, password, again)
    assert answer.status_code == 422
    assert says in seen(answer).text
    assert accept(visitor, link).status_code == 302


@pytest.mark.parametrize("link", ["/desk/invitation/x", "/desk/invitation/%00", f"/desk/invitation/{'x' * 5000}"])
def test_a_link_that_was_never_made_has_ended(visitor, link):
    assert visitor.get(link).status_code == 410
    assert accept(visitor, link).status_code == 410


def test_a_form_of_another_site_sets_no_password(store, visitor, link):
    answer = visitor.post(
        link, data={"password": PASSWORD, "again": PASSWORD}, headers={"Origin": "https://else.where"}
    )
    assert answer.status_code == 403
    assert not store.find_user("ben").has_password


def test_a_second_factor_is_asked_for_at_the_next_sign_in_still(store, visitor, link):
    store.set_totp("ben", "A" * 32)
    accept(visitor, link)
    refused = desk_app(store).test_client().post("/session", json={"name": "ben", "password": PASSWORD})
    assert (refused.status_code, refused.json["error"]["code"]) == (401, "code_wanted")


def test_a_lost_password_is_replaced_by_a_link_and_the_page_says_who_is_invited(store):
    store.add_user("zoe", sessions.hash_of_password(PASSWORD), "viewer")
    desk = open_desk(store)
    answer = desk.post("/desk/crews/users/change", data={"name": "zoe", "reset": "1"})
    assert "/desk/invitation/" in answer.text
    page = seen(desk.get("/desk/crews"))
    assert "invited until" in page.text
    assert "/desk/invitation/" not in page.whole
    kinds = [one["details"] for one in map(json.loads, store.chain_lines()) if one.get("subject") == "zoe"]
    assert kinds[-1] == "invited"
