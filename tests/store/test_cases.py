"""Cases: which moves are allowed, who was first, and a chain of moves that shows every change."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fairmeter.casework.types import Move
from fairmeter.casework.workflow import (
    FIRST_HASH,
    MOVES,
    OUTCOMES,
    BadDay,
    CaseNotFound,
    CaseTaken,
    ClientHasCase,
    ClientNotFound,
    MoveNotAllowed,
    find_chain_break,
    move_hash,
    state_after,
)
from fairmeter.store import BadQuery, Store
from tests.builders.examples import fewer
from tests.builders.store import NOW, score_of, shipped_rules, write

VISITED_ON = date(2026, 11, 3)


@pytest.fixture
def desk(store):
    """A store with three clients, each alerted."""
    write(store, *(score_of(f"c-{i}") for i in range(3)))
    return store


def inspected(store, client_id="c-0", outcome="confirmed"):
    case = store.open_case(client_id, "ana", "worth a look", assignee="bo")
    store.move_case(case.case_id, "inspecting", "bo", "on the way")
    return store.record_inspection(case.case_id, outcome, VISITED_ON, "bo")


# --- the life of a case -----------------------------------------------------------------------------------------------


def test_a_case_goes_from_new_to_its_outcome_and_every_move_is_a_row(desk):
    case = desk.open_case("c-0", "ana", "alert")
    case = desk.move_case(case.case_id, "assigned", "ana", "near his route", assignee="bo")
    case = desk.move_case(case.case_id, "inspecting", "bo", "on the way")
    assert (case.state, case.assignee, case.version, case.closed_at) == ("inspecting", "bo", 3, None)
    inspection = desk.record_inspection(
        case.case_id, "confirmed", VISITED_ON, "bo", note="a bridge", recovered_kwh=800.0, photos=("a.jpg",)
    )
    closed = desk.find_case(case.case_id)
    assert (closed.state, closed.outcome, closed.assignee, closed.closed_at) == (
        "closed",
        "confirmed",
        "bo",
        closed.updated_at,
    )
    told = [(m.version, m.from_state, m.to_state, m.user, m.why, m.outcome) for m in desk.moves_of(case.case_id)]
    assert told == [
        (1, None, "new", "ana", "alert", None),
        (2, "new", "assigned", "ana", "near his route", None),
        (3, "assigned", "inspecting", "bo", "on the way", None),
        (4, "inspecting", "closed", "bo", "a bridge", "confirmed"),
    ]
    assert desk.list_inspections().rows == desk.inspections() == [inspection]
    assert (inspection.reason_group, inspection.severity, inspection.photos) == (
        "fall in consumption",
        "high",
        ("a.jpg",),
    )


def test_what_was_billed_is_told_later(desk):
    inspection = inspected(desk)
    desk.record_recovery(inspection.inspection_id, "bo", 800.0, 96.5)
    (told,) = desk.inspections()
    assert (told.recovered_kwh, told.recovered_value) == (800.0, 96.5)
    with pytest.raises(CaseNotFound, match="no inspection 99"):
        desk.record_recovery(99, "bo", 1.0)


def test_it_keeps_one_open_case_per_client(desk):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    with pytest.raises(ClientHasCase, match="number 1; bo has it") as raised:
        desk.open_case("c-0", "eva", "alert")
    assert (raised.value.case, raised.value.assignee) == (case, "bo")
    desk.move_case(case.case_id, "new", "bo", "ill")
    desk.move_case(case.case_id, "closed", "ana", "moved away")
    assert desk.open_case("c-0", "eva", "back again").case_id != case.case_id
    assert desk.count_cases() == {"new": 1, "assigned": 0, "inspecting": 0, "closed": 1}


def test_a_case_takes_the_clients_alert_with_it(desk):
    alert = desk.open_alert_of("c-0")
    case = desk.open_case("c-0", "ana", "alert")
    assert (case.alert_id, case.severity) == (alert.alert_id, alert.severity)
    assert desk.find_alert(alert.alert_id).state == "in case"
    assert desk.open_alert_of("c-0") is None


def test_a_case_that_is_not_there_is_said_so(desk):
    for case_id in (99, 2**40, 2**80, -1):
        with pytest.raises(CaseNotFound, match=str(case_id)):
            desk.move_case(case_id, "closed", "ana", "why")
        assert desk.find_case(case_id) is None


def test_a_client_that_is_not_there_gets_no_case(desk):
    with pytest.raises(ClientNotFound, match="'nobody'"):
        desk.open_case("nobody", "ana", "alert")


NOT_ALLOWED = {
    "A case that is new cannot become inspecting; allowed: assigned, closed": {"to": "inspecting"},
    "Unknown state 'lost'": {"to": "lost"},
    "Name the user": {"to": "assigned"},
    "Give a reason": {"to": "closed", "why": " "},
    "2001 characters": {"to": "closed", "why": "x" * 2001},
}


def test_a_move_that_is_not_allowed_says_what_is(desk):
    case = desk.open_case("c-0", "ana", "alert")
    for told, move in NOT_ALLOWED.items():
        with pytest.raises(MoveNotAllowed, match=told):
            desk.move_case(case.case_id, **{"user": "ana", "why": "so", **move})
    assert desk.find_case(case.case_id) == case


def test_only_an_inspection_ends_an_inspection_and_only_then(desk):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    with pytest.raises(MoveNotAllowed, match="must be inspecting"):
        desk.record_inspection(case.case_id, "confirmed", VISITED_ON, "bo")
    desk.move_case(case.case_id, "inspecting", "bo", "on the way")
    with pytest.raises(MoveNotAllowed, match="Record the inspection"):
        desk.move_case(case.case_id, "closed", "bo", "done")
    with pytest.raises(MoveNotAllowed, match="Unknown outcome 'guilty'"):
        desk.record_inspection(case.case_id, "guilty", VISITED_ON, "bo")
    assert desk.inspections() == []


@pytest.mark.parametrize("day", [date.max, date.min, date.today() + timedelta(days=3)])
def test_a_visit_of_the_future_or_of_another_age_is_refused(desk, day):
    case = desk.open_case("c-0", "ana", "alert", assignee="bo")
    desk.move_case(case.case_id, "inspecting", "bo", "on the way")
    with pytest.raises(BadDay, match=f"inspected_on is {day}"):
        desk.record_inspection(case.case_id, "cleared", day, "bo")
    assert desk.find_case(case.case_id).state == "inspecting"


def test_text_that_no_database_holds_is_refused_before_it_gets_there(desk):
    with pytest.raises(BadQuery):
        desk.open_case("c-0", "ana", "nul \0")


def test_cases_are_listed_by_state_assignee_and_client(desk):
    for i, assignee in enumerate(("bo", "bo", None)):
        desk.open_case(f"c-{i}", "ana", "alert", assignee=assignee)
    assert [case.client_id for case in desk.list_cases(assignee="bo").rows] == ["c-1", "c-0"]
    assert [case.client_id for case in desk.list_cases(state="new").rows] == ["c-2"]
    first = desk.list_cases(sort="updated", limit=2)
    rest = desk.list_cases(sort="updated", limit=2, after=first.next)
    assert [case.client_id for case in (*first.rows, *rest.rows)] == ["c-2", "c-1", "c-0"]
    assert rest.next is None


# --- who was first ----------------------------------------------------------------------------------------------------


def test_who_acts_on_an_old_version_is_told_who_has_the_case(desk):
    case = desk.open_case("c-0", "ana", "alert")
    desk.move_case(case.case_id, "assigned", "bo", "mine", version=case.version, assignee="bo")
    with pytest.raises(CaseTaken, match=r"assigned since .* bo has it") as raised:
        desk.move_case(case.case_id, "closed", "eva", "no theft", version=case.version)
    assert raised.value.assignee == "bo"
    with pytest.raises(CaseTaken, match="bo has it"):
        desk.move_case(case.case_id, "assigned", "eva", "mine", assignee="eva")


def race(database_url, act) -> list:
    """What `act(store, i)` gave or raised in each of four workers that begin at once, with connections of their own."""
    start, results = threading.Barrier(4), [None] * 4

    def work(i: int) -> None:
        store = Store(database_url)
        start.wait()
        try:
            results[i] = act(store, i)
        except Exception as error:  # whatever it is: the test looks at it
            results[i] = error
        store.close()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def test_of_workers_that_race_for_a_case_one_gets_it(desk, database_url):
    case = desk.open_case("c-0", "ana", "alert")
    results = race(
        database_url,
        lambda store, i: store.move_case(case.case_id, "assigned", f"u{i}", "mine", version=1, assignee=f"u{i}"),
    )
    losers = [result for result in results if isinstance(result, CaseTaken)]
    (winner,) = [result for result in results if result not in losers]
    assert len(losers) == 3
    assert {loser.assignee for loser in losers} == {winner.assignee} == {desk.find_case(case.case_id).assignee}
    assert len(desk.moves_of(case.case_id)) == 2


def test_of_workers_that_open_a_case_for_one_client_one_does(desk, database_url):
    results = race(database_url, lambda store, i: store.open_case("c-0", f"u{i}", "alert"))
    assert sum(isinstance(result, ClientHasCase) for result in results) == 3, results
    assert desk.count_cases()["new"] == 1


def test_moves_of_different_cases_at_once_make_one_chain(desk, database_url):
    write(desk, *(score_of(f"d-{i}") for i in range(4)))

    def act(store, i):
        for _ in range(5):
            case = store.open_case(f"d-{i}", f"u{i}", "alert")
            store.move_case(case.case_id, "closed", f"u{i}", "seen")

    assert race(database_url, act) == [None] * 4
    assert desk.verify_chain() is None
    with desk.reading() as connection:
        assert connection.execute(text("SELECT count(*), max(seq) FROM moves")).one() == (40, 40)


# --- the chain --------------------------------------------------------------------------------------------------------


def test_the_database_refuses_to_change_moves(desk):
    inspected(desk)
    for change in ("UPDATE moves SET why = 'other'", "DELETE FROM moves"):
        with pytest.raises(DBAPIError, match="only ever added"), desk.writing() as connection:
            connection.execute(text(change))
    assert desk.verify_chain() is None


TAMPERED = {
    "a word is changed": ("UPDATE moves SET why = 'other' WHERE seq = 2", 2, "was changed"),
    "a moment is changed": ("UPDATE moves SET at = '2026-01-01' WHERE seq = 3", 3, "was changed"),
    "a move is taken out": ("DELETE FROM moves WHERE seq = 2", 3, "the moves between are missing"),
    "the first is taken out": ("DELETE FROM moves WHERE seq = 1", 2, "the moves between are missing"),
    "the last is taken out": ("DELETE FROM moves WHERE seq = 4", 0, "Case 1 is closed after 4 moves"),
    "a case is changed": ("UPDATE cases SET outcome = 'cleared'", 4, "Case 1 is closed"),
    "a hash is changed too": ("UPDATE moves SET hash = previous_hash WHERE seq = 3", 3, "was changed"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whoever_gets_past_that_shows_in_the_chain(desk, how):
    statement, seq, told = TAMPERED[how]
    inspected(desk)
    with desk.writing() as connection:
        if desk.is_sqlite:
            connection.execute(text("DROP TRIGGER moves_are_not_changed"))
            connection.execute(text("DROP TRIGGER moves_are_not_deleted"))
        else:
            connection.execute(text("ALTER TABLE moves DISABLE TRIGGER ALL"))
        connection.execute(text(statement))
    broken = desk.verify_chain()
    assert broken.seq == seq
    assert told in broken.text


def test_a_move_that_was_rewritten_with_a_hash_of_its_own_breaks_the_next_one():
    at = datetime(2026, 11, 2, tzinfo=UTC)
    first = Move(1, 1, 1, None, "new", "ana", "alert", None, None, at, FIRST_HASH, "")
    first = replace(first, hash=move_hash(first))
    second = Move(2, 1, 2, "new", "closed", "ana", "seen", None, None, at, first.hash, "")
    second = replace(second, hash=move_hash(second))
    assert find_chain_break([first, second]) is None
    forged = replace(first, user="eva")
    forged = replace(forged, hash=move_hash(forged))
    assert find_chain_break([forged, second]).seq == 2


# --- any order of events ----------------------------------------------------------------------------------------------


class Desk(RuleBasedStateMachine):
    """Two clients and whatever people may do with them, against what the table of moves allows."""

    store: Store
    numbers: Iterator[int]
    which = st.sampled_from([0, 1])

    @initialize()
    def begin(self):
        """With clients of its own: the moves of earlier ones are never deleted."""
        number = next(self.numbers)
        self.clients = [f"c-{number}-a", f"c-{number}-b"]
        self.expected, self.n_moves = {}, 0  # client -> state of its open case
        write(self.store, *map(score_of, self.clients), scored_at=NOW)

    def cases(self):
        return [case for client in self.clients for case in self.store.list_cases(client_id=client).rows]

    @rule(which=which)
    def open_case(self, which):
        client = self.clients[which]
        if client in self.expected:
            with pytest.raises(ClientHasCase):
                self.store.open_case(client, "ana", "alert")
        else:
            self.store.open_case(client, "ana", "alert")
            self.expected[client], self.n_moves = "new", self.n_moves + 1

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), to=st.sampled_from(sorted(MOVES)))
    def move(self, data, to):
        client = data.draw(st.sampled_from(sorted(self.expected)))
        case, state = self.store.open_case_of(client), self.expected[client]
        act = lambda: self.store.move_case(case.case_id, to, "ana", "so", assignee="bo", version=case.version)  # noqa: E731
        if to not in MOVES[state] or (state, to) == ("inspecting", "closed"):
            with pytest.raises(MoveNotAllowed):
                act()
            return
        assert act().state == to
        self.n_moves += 1
        self.expected.pop(client) if to == "closed" else self.expected.update({client: to})

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def inspect(self, data, outcome):
        client = data.draw(st.sampled_from(sorted(self.expected)))
        case = self.store.open_case_of(client)
        if self.expected[client] != "inspecting":
            with pytest.raises(MoveNotAllowed):
                self.store.record_inspection(case.case_id, outcome, VISITED_ON, "bo")
            return
        self.store.record_inspection(case.case_id, outcome, VISITED_ON, "bo")
        self.n_moves += 1
        self.expected[client] = state_after(outcome)
        if self.expected[client] == "closed":
            del self.expected[client]

    @precondition(lambda self: any(case.state == "closed" for case in self.cases()))
    @rule(data=st.data())
    def reopen(self, data):
        case = data.draw(st.sampled_from([case for case in self.cases() if case.state == "closed"]))
        act = lambda: self.store.move_case(case.case_id, "new", "ana", "new facts")  # noqa: E731
        if case.client_id in self.expected:
            with pytest.raises(ClientHasCase):
                act()
            return
        assert (act().state, self.store.find_case(case.case_id).outcome) == ("new", None)
        self.expected[case.client_id], self.n_moves = "new", self.n_moves + 1

    @rule(which=which)
    def score(self, which):
        write(self.store, score_of(self.clients[which]), scored_at=datetime.now(UTC))

    @invariant()
    def everything_is_as_it_should_be(self):
        for client in self.clients:
            case = self.store.open_case_of(client)
            assert (case and case.state) == self.expected.get(client)
            assert case is None or self.store.open_alert_of(client) is None
        cases = self.cases()
        assert sum(case.version for case in cases) == self.n_moves
        assert all(case.outcome is None or case.state == state_after(case.outcome) for case in cases)
        assert self.store.verify_chain() is None


def test_no_order_of_events_breaks_a_rule(store):
    Desk.store, Desk.numbers = store, count()
    # An example is fifteen moves, each a transaction or more.
    few = fewer(8, stateful_step_count=15, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Desk, settings=few)


def test_quiet_days_begin_with_the_visit(desk):
    inspected(desk, outcome="refused")
    rules = shipped_rules()
    (state,) = desk.work_states(rules, date(2026, 11, 9)).values()
    assert (state.state, state.on, state.until) == ("refused", VISITED_ON, date(2026, 11, 10))
    assert desk.work_states(rules, date(2026, 11, 10)) == {}
