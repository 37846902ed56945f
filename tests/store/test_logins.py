"""Tries to sign in: on record, counted over all workers, and refused where too many of late failed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.store import LastAdmin, LoginLimits, Store, TooManyTries

PATIENCE = LoginLimits(max_per_pair=3, max_per_address=5, window=timedelta(minutes=1), max_per_name=6)
HOUR = timedelta(hours=1)


def signed_in(store, name, address):
    if store.find_user(name) is None:
        store.add_user(name, "hash", "viewer")
    session_hash = f"hash of {name} at {address}"
    store.end_session(session_hash)
    store.begin_session(session_hash, name, HOUR, "by password", store.begin_login(name, address, PATIENCE))
    return session_hash


def test_logins_are_on_record_whatever_was_typed(store):
    signed_in(store, "ana", "10.0.0.1")
    store.begin_login("nul\0\ud800" + "x" * 1000, "", PATIENCE)
    newest, first = store.list_logins()
    assert (first["name"], first["is_success"], first["address"]) == ("ana", True, "10.0.0.1")
    assert (len(newest["name"]), newest["is_success"]) == (200, False)


def test_tries_to_sign_in_are_counted_by_name_and_address_and_by_address(store):
    for _ in range(3):
        store.begin_login("ana", "10.0.0.1", PATIENCE)
    with pytest.raises(TooManyTries) as refused:
        store.begin_login("ana", "10.0.0.1", PATIENCE)
    assert 0 < refused.value.seconds <= 60
    store.begin_login("ana", "10.0.0.2", PATIENCE)
    for name in ("bo", "cy"):
        store.begin_login(name, "10.0.0.1", PATIENCE)
    with pytest.raises(TooManyTries):
        store.begin_login("di", "10.0.0.1", PATIENCE)
    assert len(store.list_logins()) == 6, "what is refused is not counted, or nobody would ever get in again"


def test_a_success_takes_back_the_failures_of_that_name_from_that_address(store):
    for _ in range(2):
        store.begin_login("ana", "10.0.0.1", PATIENCE)
    signed_in(store, "ana", "10.0.0.1")
    for _ in range(2):
        store.begin_login("ana", "10.0.0.1", PATIENCE)


def test_failures_count_for_their_time_alone(store):
    at_once = PATIENCE._replace(window=timedelta(0))
    for _ in range(9):
        store.begin_login("ana", "10.0.0.1", at_once)


@pytest.mark.usefixtures("store")
def test_workers_that_are_asked_at_once_let_no_more_try_than_one_would(database_url):
    def ask(_):
        with closing(Store(database_url)) as other:
            try:
                return other.begin_login("ana", "10.0.0.1", PATIENCE) > 0
            except TooManyTries:
                return False

    with ThreadPoolExecutor(8) as workers:
        assert sum(workers.map(ask, range(8))) == PATIENCE.max_per_pair


def test_who_signed_in_from_an_address_before_is_not_held_back_by_others_who_fail_there(store):
    signed_in(store, "ana", "10.0.0.1")
    for i in range(5):
        store.begin_login(f"user {i}", "10.0.0.1", PATIENCE)
    with pytest.raises(TooManyTries):
        store.begin_login("di", "10.0.0.1", PATIENCE)
    signed_in(store, "ana", "10.0.0.1")


def test_a_name_that_is_tried_from_many_addresses_is_held_back_except_where_it_signed_in_before(store):
    signed_in(store, "ana", "10.0.0.1")
    for i in range(6):
        store.begin_login("ana", f"10.0.1.{i}", PATIENCE)
    with pytest.raises(TooManyTries):
        store.begin_login("ana", "10.0.2.1", PATIENCE)
    store.begin_login("bo", "10.0.2.1", PATIENCE)
    signed_in(store, "ana", "10.0.0.1")


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_is_open_until_it_is_ended(store):
    session_hash = signed_in(store, "ana", "10.0.0.1")
    assert store.session_user(session_hash).name == "ana"
    assert store.session_user("hash of another") is None
    assert store.end_session(session_hash) == "ana"
    assert store.session_user(session_hash) is None
    assert store.end_session(session_hash) is None


def test_a_session_ends_at_its_time_whatever_happens_in_it(store):
    store.add_user("ana", "hash", "viewer")
    store.begin_session("short", "ana", timedelta(0), "by password")
    assert store.session_user("short") is None


@pytest.mark.parametrize("change", [{"password_hash": "other"}, {"role": "admin"}, {"is_active": False}])
def test_all_sessions_of_a_user_end_with_a_change_of_password_role_or_access(store, change):
    sessions = [signed_in(store, "ana", "10.0.0.1"), signed_in(store, "ana", "10.0.0.2")]
    other = signed_in(store, "bo", "10.0.0.1")
    store.change_user("ana", **change)
    assert [store.session_user(one) for one in sessions] == [None, None]
    assert store.session_user(other).name == "bo"


def test_an_admin_ends_all_sessions_of_a_user(store):
    signed_in(store, "ana", "10.0.0.1")
    assert store.end_sessions_of("ana") == 1
    assert store.end_sessions_of("ana") == 0


# --- second factors ---------------------------------------------------------------------------------------------------


def test_a_code_of_the_second_factor_opens_once(store):
    store.add_user("ana", "hash", "viewer")
    assert not store.use_totp_step("ana", 10), "there is no second factor"
    store.set_totp("ana", "SECRET")
    assert store.use_totp_step("ana", 10)
    assert not store.use_totp_step("ana", 10)
    assert not store.use_totp_step("ana", 9)
    assert store.use_totp_step("ana", 11)


def test_a_second_factor_that_is_set_or_removed_ends_the_sessions(store):
    for secret in ("SECRET", None):
        session_hash = signed_in(store, "ana", "10.0.0.1")
        store.set_totp("ana", secret)
        assert store.session_user(session_hash) is None


# --- who may manage users ---------------------------------------------------------------------------------------------


def test_the_last_admin_is_taken_out_by_the_command_line_alone(store):
    store.add_user("ana", "hash", "admin")
    for change in ({"role": "viewer"}, {"is_active": False}):
        with pytest.raises(LastAdmin, match="last admin"):
            store.change_user("ana", **change, by="ana")
    store.add_user("bo", "hash", "admin")
    store.change_user("ana", role="viewer", by="ana")
    assert store.change_user("bo", is_active=False).is_active is False


def test_a_key_opens_nothing_after_its_end(store):
    now = datetime.now(UTC)
    store.add_key("old", "hash of old", "viewer", expires_at=now)
    key = store.add_key("new", "hash of new", "viewer", expires_at=now + HOUR, per_minute=60)
    assert store.use_key("hash of old") is None
    assert (store.use_key("hash of new").per_minute, key.expires_at) == (60, now + HOUR)
