"""A clock that is set forth or back: nobody is let in by it, nobody is locked out for long, nothing waits for ever."""

from datetime import date, datetime, timedelta

import pytest
from itsdangerous import TimestampSigner

from fairmeter.store import TooManyTries
from fairmeter.store.access import sign_ins
from fairmeter.web.http.sessions import LIFETIME, LOGIN_LIMITS
from tests.builders.desk import PASSWORD, add_user, desk_app, signed_in
from tests.builders.store import NOW, score_of, shipped_rules, write

YEAR = timedelta(days=365)


class Clock(datetime):
    """Says whatever moment it is set to."""

    at = NOW

    @classmethod
    def now(cls, _zone=None):
        return cls.at


@pytest.fixture
def clock(monkeypatch):
    """The clock of whoever counts tries to sign in, and of the cookies' signatures."""
    monkeypatch.setattr(sign_ins, "datetime", Clock)
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: int(Clock.at.timestamp()))
    yield Clock
    Clock.at = NOW


def failed(store, times: int) -> None:
    for _ in range(times):
        store.begin_login("anna", "10.0.0.1", LOGIN_LIMITS)


# --- signing in -------------------------------------------------------------------------------------------------------


def test_tries_that_a_clock_ahead_wrote_down_lock_nobody_out_until_then(store, clock):
    clock.at = NOW + YEAR
    failed(store, LOGIN_LIMITS.max_per_pair)
    with pytest.raises(TooManyTries):
        failed(store, 1)
    clock.at = NOW
    failed(store, LOGIN_LIMITS.max_per_pair)
    with pytest.raises(TooManyTries) as refused:
        failed(store, 1)
    assert refused.value.seconds <= LOGIN_LIMITS.window.total_seconds(), "those of now still count"


def test_a_clock_set_back_a_little_forgives_nobody(store, clock):
    failed(store, LOGIN_LIMITS.max_per_pair)
    clock.at = NOW - timedelta(minutes=10)
    with pytest.raises(TooManyTries) as refused:
        failed(store, 1)
    assert refused.value.seconds <= 2 * LOGIN_LIMITS.window.total_seconds()


@pytest.mark.parametrize("jump", [LIFETIME + timedelta(hours=1), -timedelta(hours=1)], ids=["forth", "back"])
def test_a_session_outside_its_time_asks_for_the_password_and_a_new_one_works(store, clock, jump):
    add_user(store)
    app = desk_app(store)
    anna, _ = signed_in(app)
    assert anna.get("/clients").status_code == 200
    clock.at = NOW + jump
    answer = anna.get("/clients")
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "unauthorized")
    assert anna.post("/session", json={"name": "anna", "password": PASSWORD}).status_code == 200
    assert anna.get("/clients").status_code == 200


# --- notices ----------------------------------------------------------------------------------------------------------


def test_a_lease_that_a_clock_ahead_gave_out_ends_when_the_clock_is_right_again(store):
    write(store, score_of(severity="critical"))
    held = store.claim_notices(NOW + YEAR)
    again = store.claim_notices(NOW)
    assert again.notices == held.notices
    assert store.settle_notices(held, True) is False, "its lease was lost"
    assert store.settle_notices(again, True, None, NOW) is True


def test_a_notice_that_a_clock_ahead_put_off_is_due_when_the_clock_is_right_again(store):
    write(store, score_of(severity="critical"))
    store.settle_notices(store.claim_notices(NOW + YEAR), False, "the server says no", NOW + YEAR)
    assert store.claim_notices(NOW).notices


def test_a_clock_set_back_within_a_lease_leaves_the_notice_to_its_holder(store):
    write(store, score_of(severity="critical"))
    held = store.claim_notices(NOW + timedelta(minutes=1))
    assert store.claim_notices(NOW + timedelta(seconds=30)) is None
    assert store.settle_notices(held, True, None, NOW) is True


# --- quiet days -------------------------------------------------------------------------------------------------------


def test_quiet_days_follow_the_calendar_and_come_back_with_it(store):
    write(store, score_of("c-0", severity="critical"))
    case = store.open_case("c-0", "anna", "Fall since March.", assignee="anna")
    store.move_case(case.case_id, "inspecting", "anna", "on the way")
    store.record_inspection(case.case_id, "refused", date(2026, 11, 3), "anna")
    rules = shipped_rules()
    assert store.work_states(rules, date(2026, 11, 8)).keys() == {"c-0"}
    assert store.work_states(rules, date(2027, 11, 10)) == {}, "the clock is a year ahead"
    assert store.work_states(rules, date(2026, 11, 8)).keys() == {"c-0"}, "and right again: nothing was lost"
    assert store.work_states(rules, date(2026, 11, 1)).keys() == {"c-0"}, "a visit to come is one too"
