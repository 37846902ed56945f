"""Tries to sign in: on record, counted over all workers, and refused where too many of late failed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from fairmeter.store import LoginLimits, Store, TooManyTries

PATIENCE = LoginLimits(max_per_pair=3, max_per_address=5, window=timedelta(minutes=1))


def test_logins_are_on_record_whatever_was_typed(store):
    store.end_login(store.begin_login("ana", "10.0.0.1", PATIENCE))
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
    store.end_login(store.begin_login("ana", "10.0.0.1", PATIENCE))
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
