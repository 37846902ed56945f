"""Readings that were wrong: what is deleted stays as history, and whose readings changed is judged all the same."""

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text

from fairmeter.casework.workflow import ClientNotFound, MoveNotAllowed
from fairmeter.desk import runs
from fairmeter.desk.service import PATIENCE, DeskService
from fairmeter.store import Sender, Series, StoreUnavailable
from tests.builders.desk import ForDesk
from tests.builders.store import score_of, shipped_rules, write

DAY = datetime(2026, 11, 1)
NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
AT_ONCE = timedelta(0)


def days(*kwh: float, client_id: str = "c-1") -> list[tuple]:
    return [(client_id, DAY + timedelta(days=i), value) for i, value in enumerate(kwh)]


@pytest.fixture
def desk(store):
    return DeskService(store, shipped_rules(), runs.Rescorer(ForDesk()))


def kwh_of(store, client_id="c-1"):
    series = store.find_profile(client_id).series
    return [None if np.isnan(kwh) else kwh for kwh in series.kwh.tolist()]


# --- later versions ---------------------------------------------------------------------------------------------------


def test_a_client_whose_readings_were_zeros_at_first_is_judged_by_the_right_ones(desk, store):
    desk.take_readings(days(0.0, 0.0, 0.0))
    zeros = store.find_profile("c-1").score.probability
    taken = desk.take_readings(days(9.0, 8.0, 9.0), Sender("anna", "POST /readings"))
    assert (taken.stored.n_differing, taken.n_rescored, taken.n_waiting) == (3, 1, 0)
    assert store.find_profile("c-1").score.probability == pytest.approx(26 / 126) != zeros
    assert kwh_of(store) == [9.0, 8.0, 9.0]
    assert [former.consumption_kwh for former in store.former_readings_of("c-1")] == [0.0, 0.0, 0.0]


def test_a_reading_that_corrects_a_day_of_a_file_leaves_the_days_after_it(desk, store):
    write(store, score_of("c-1"), series={"c-1": Series("day", DAY.date(), np.array([1.0, 2.0, 3.0, 4.0], "f4"))})
    desk.take_readings([days(1.0, 9.0)[1]])
    assert kwh_of(store) == [1.0, 9.0, 3.0, 4.0]


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_what_should_never_have_come_is_taken_out_and_kept_as_history(desk, store):
    desk.take_readings(days(5.0, 5.0, 500.0))
    deleted = desk.delete_readings("c-1", DAY + timedelta(days=2), DAY + timedelta(days=3), "anna", "of another meter")
    assert deleted == (1, 1, 0)
    assert store.find_profile("c-1").score.probability == pytest.approx(10 / 110)
    assert kwh_of(store) == [5.0, 5.0]
    [former] = store.former_readings_of("c-1")
    assert (former.consumption_kwh, former.sent_by, former.source) == (500.0, "anna", "DELETE /readings")
    with store.reading() as connection:
        query = text("SELECT subject, details, \"user\" FROM audit_entries WHERE kind = 'readings deleted'")
        subject, details, user = connection.execute(query).one()
    assert (subject, user) == ("c-1", "anna")
    assert json.loads(details) == {
        "since": "2026-11-03T00:00:00", "until": "2026-11-04T00:00:00", "n_deleted": 1, "why": "of another meter",
    }  # fmt: skip
    assert store.verify_chain() is None


def test_days_that_came_in_files_are_taken_out_too_and_do_not_come_back(desk, store):
    write(store, score_of("c-1"), series={"c-1": Series("day", DAY.date(), np.array([1.0, 90.0, np.nan, 4.0], "f4"))})
    second = DAY + timedelta(days=1)
    assert desk.delete_readings("c-1", second, DAY + timedelta(days=3), "anna", "a test").n_deleted == 1
    assert kwh_of(store) == [1.0, None, None, 4.0]
    assert [(f.read_at, f.consumption_kwh) for f in store.former_readings_of("c-1")] == [(second, 90.0)]
    desk.take_readings([("c-1", DAY + timedelta(days=4), 5.0)])
    assert kwh_of(store) == [1.0, None, None, 4.0, 5.0]


def test_a_client_of_which_nothing_is_left_keeps_no_score(desk, store):
    desk.take_readings(days(5.0, 5.0))
    desk.delete_readings("c-1", DAY, DAY + timedelta(days=9), "anna", "all of it")
    assert store.find_profile("c-1").score.probability is None


def test_deleting_nothing_changes_nothing_and_needs_a_reason_and_a_client(desk, store):
    desk.take_readings(days(5.0))
    assert desk.delete_readings("c-1", DAY - timedelta(days=9), DAY, "anna", "too early").n_deleted == 0
    with pytest.raises(ClientNotFound):
        desk.delete_readings("nobody", DAY, LATER.replace(tzinfo=None), "anna", "why not")
    with pytest.raises(MoveNotAllowed, match="Give a reason"):
        desk.delete_readings("c-1", DAY, DAY + timedelta(days=1), "anna", " ")
    assert store.former_readings_of("c-1") == []


# --- who waits to be judged -------------------------------------------------------------------------------------------


class Dying(ForDesk):
    """A scorer whose process is gone before it has scored anything, as often as it is said."""

    def __init__(self, n: int, error: BaseException) -> None:
        super().__init__()
        self.n, self.error = n, error

    def score(self, *arguments, **options):
        if self.n:
            self.n -= 1
            raise self.error
        return super().score(*arguments, **options)


class Killed(BaseException):
    """The worker is killed: nothing catches it."""


def dying(store, error, n=1):
    return DeskService(store, shipped_rules(), runs.Rescorer(Dying(n, error)))


def test_readings_of_a_worker_that_was_killed_are_judged_by_the_next_one(store, desk):
    with pytest.raises(Killed):
        dying(store, Killed()).take_readings(days(7.0, 8.0))
    assert store.find_profile("c-1") is None
    assert store.count_unjudged() == 1
    assert desk.judge_waiting(patience=PATIENCE) == (0, 0), "the other worker may still be at it"
    assert desk.judge_waiting(patience=AT_ONCE) == (1, 0)
    assert store.find_profile("c-1").score.probability == pytest.approx(15 / 115)
    assert store.count_unjudged() == 0


def test_readings_that_are_sent_again_after_a_failure_are_judged_although_they_are_known(store, desk):
    with pytest.raises(Killed):
        dying(store, Killed()).take_readings(days(7.0))
    taken = desk.take_readings(days(7.0))
    assert (taken.stored.n_duplicate, taken.n_rescored) == (1, 1)
    assert store.find_profile("c-1") is not None


def test_where_the_database_goes_away_in_between_the_answer_says_what_was_stored_and_who_waits(store):
    service = dying(store, StoreUnavailable("The database does not answer."))
    taken = service.take_readings(days(7.0))
    assert (taken.stored.n_new, taken.n_rescored, taken.n_waiting) == (1, 0, 1)
    assert service.take_readings([]).n_rescored == 0
    assert service.judge_waiting(patience=AT_ONCE) == (1, 0)
    assert store.find_profile("c-1") is not None


def test_a_score_by_former_readings_does_not_overwrite_one_by_later_ones(store, desk):
    class Slow(ForDesk):
        def score(self, *arguments, **options):
            scores = super().score(*arguments, **options)
            if not late:
                late.append(desk.take_readings(days(7.0, 8.0)))
            return scores

    late = []
    slow = DeskService(store, shipped_rules(), runs.Rescorer(Slow()))
    assert slow.take_readings(days(7.0)).n_rescored == 0
    assert late[0].n_rescored == 1
    assert store.find_profile("c-1").score.probability == pytest.approx(15 / 115)
    assert store.count_unjudged() == 0


def test_clients_that_wait_are_given_to_one_worker_at_a_time(store):
    store.add_readings([*days(1.0), *days(1.0, client_id="c-2")], NOW)
    assert store.claim_unjudged(NOW, 10, LATER) == []
    assert store.claim_unjudged(LATER, 1, LATER) == ["c-1"]
    assert store.claim_unjudged(LATER, 10, LATER) == ["c-2"]
    assert store.claim_unjudged(LATER, 10, LATER) == []
    assert store.claim_unjudged(LATER + AT_ONCE + timedelta(seconds=1), 10, LATER) == ["c-1", "c-2"]


def test_a_run_leaves_who_waits_waiting(store):
    store.add_readings(days(1.0), NOW)
    write(store, score_of("c-1"), series={"c-1": Series("day", date(2026, 1, 1), np.array([1.0], "f4"))})
    assert store.count_unjudged() == 1
