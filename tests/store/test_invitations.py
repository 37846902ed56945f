"""Links by which users set a password: once, until a day, one a user; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.store import NO_PASSWORD, InvitationEnded, NoSuchName, Store

DAYS = timedelta(days=3)


@pytest.fixture
def invited(store):
    store.add_user("ben", NO_PASSWORD, "viewer")
    store.invite_user("ben", "first", DAYS, "anna")
    return store


def test_a_link_sets_the_password_once(invited):
    assert invited.invited_user("first").name == "ben"
    assert invited.accept_invitation("first", "hash").name == "ben"
    assert invited.find_user("ben").password_hash == "hash"  # noqa: S105
    with pytest.raises(InvitationEnded):
        invited.accept_invitation("first", "another")
    assert invited.find_user("ben").password_hash == "hash"  # noqa: S105
    assert invited.verify_chain() is None


def test_a_link_ends_and_a_newer_one_replaces_it(invited):
    assert invited.invitation_ends()["ben"] > datetime.now(UTC) + timedelta(days=2)
    invited.invite_user("ben", "second", DAYS, "anna")
    with pytest.raises(InvitationEnded):
        invited.invited_user("first")
    invited.invite_user("ben", "third", timedelta(seconds=-1), "anna")
    for link in ("second", "third", "never made"):
        with pytest.raises(InvitationEnded):
            invited.accept_invitation(link, "hash")
    assert invited.invitation_ends() == {}


def test_a_link_counts_no_more_where_a_password_was_set_or_the_access_was_taken(invited):
    invited.change_user("ben", is_active=False)
    with pytest.raises(InvitationEnded):
        invited.invited_user("first")
    invited.change_user("ben", is_active=True, password_hash="by an admin")  # noqa: S106
    with pytest.raises(InvitationEnded):
        invited.invited_user("first")


def test_an_invitation_ends_the_former_password_and_open_sessions(store):
    store.add_user("ben", "hash", "viewer")
    store.begin_session("session", "ben", DAYS, "by password")
    store.invite_user("ben", "link", DAYS, "anna")
    assert store.find_user("ben").password_hash == NO_PASSWORD
    assert store.session_user("session") is None


def test_only_users_with_a_password_of_their_own_are_invited(store):
    store.add_user("cleo", NO_PASSWORD, "viewer", subject="https://provider 7")
    for name in ("cleo", "nobody", "nul\0"):
        with pytest.raises(NoSuchName):
            store.invite_user(name, "link", DAYS, "anna")


def test_of_two_that_use_a_link_at_once_one_sets_the_password(invited):
    def accept(password_hash):
        with closing(Store(str(invited.url.render_as_string(hide_password=False)))) as own:
            try:
                own.accept_invitation("first", password_hash)
            except InvitationEnded:
                return None
            return password_hash

    with ThreadPoolExecutor(2) as both:
        done = [one for one in both.map(accept, ("a", "b")) if one]
    assert [invited.find_user("ben").password_hash] == done
