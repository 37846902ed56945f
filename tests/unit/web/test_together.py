"""Clients of several requests, judged together where they wait at the same time."""

import threading
import time

import pytest

from fairmeter.core.caller import CallerGone, check_caller, waiting_caller
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import InvalidRow, Problem
from fairmeter.web.scoring_api.together import MAX_EXPLAINED, JointScoring


class Gate:
    """A scorer that answers each client's id, and waits for `go_on` where the first client's id is "slow"."""

    manifest = None

    def __init__(self, breaks_on=()):
        self.go_on, self.started, self.calls, self.breaks_on = threading.Event(), threading.Event(), [], breaks_on

    def score(self, tables, with_reasons=False):
        ids = tables.clients["client_id"].tolist()
        self.calls.append((ids, with_reasons))
        if ids[0] == "slow":
            self.started.set()
            assert self.go_on.wait(10)
        check_caller()
        if any(one in self.breaks_on for one in ids):
            raise RuntimeError(f"cannot score {ids}")
        return [f"score of {one}" for one in ids]

    def score_aggregates(self, _features, client_ids, with_reasons=False):
        self.calls.append((client_ids, with_reasons))
        return [f"score of {one}" for one in client_ids]


def client(name, **more):
    return RawClient({"client_id": name, **more}, [], [])


def asked_while_one_is_judged(scorer, wishes, is_gone=lambda _: False):
    """(result or error by name) of clients that come, in this order, while another one is judged."""
    joint, results, n_before = JointScoring(scorer), {}, 0

    def ask(name, row, with_reasons):
        with waiting_caller(lambda: is_gone(name)):
            try:
                results[name] = joint.score_one(row, with_reasons)
            except Exception as error:
                results[name] = error

    def started(name, row, with_reasons=False):
        thread = threading.Thread(target=ask, args=(name, row, with_reasons))
        thread.start()
        return thread

    threads = [started("slow", client("slow"))]
    assert scorer.started.wait(10)
    for n_before, (name, row, with_reasons) in enumerate(wishes):
        threads.append(started(name, row, with_reasons))
        while len(joint._waiting) <= n_before:
            time.sleep(0.001)
    scorer.go_on.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert joint._waiting == []
    return results


def test_a_client_alone_is_judged_at_once():
    scorer = Gate()
    assert JointScoring(scorer).score_one(client("a"), True) == "score of a"
    assert scorer.calls == [(["a"], True)]


def test_those_that_come_while_another_is_judged_are_judged_next_and_at_once():
    scorer, names = Gate(), [f"c-{i}" for i in range(5)]
    results = asked_while_one_is_judged(scorer, [(name, client(name), False) for name in names])
    assert results == {name: f"score of {name}" for name in ("slow", *names)}
    assert [sorted(ids) for ids, _ in scorer.calls] == [["slow"], names]


def test_only_those_that_ask_for_the_same_are_judged_together():
    scorer = Gate()
    asked_while_one_is_judged(scorer, [(name, client(name), name in "bd") for name in "abcd"])
    assert sorted((sorted(ids), wish) for ids, wish in scorer.calls[1:]) == [(["a", "c"], False), (["b", "d"], True)]


def test_of_those_that_ask_for_reasons_few_are_judged_at_once_so_that_others_come_between():
    scorer, names = Gate(), [f"c-{i:02}" for i in range(MAX_EXPLAINED + 3)]
    results = asked_while_one_is_judged(scorer, [(name, client(name), True) for name in names])
    assert {results[name] for name in names} == {f"score of {name}" for name in names}
    assert max(len(ids) for ids, _ in scorer.calls) == MAX_EXPLAINED


def test_a_bad_value_is_its_own_clients_alone():
    scorer = Gate()
    wishes = [("a", client("a"), False), ("bad", client("bad", category=[]), False), ("c", client("c"), False)]
    results = asked_while_one_is_judged(scorer, wishes)
    assert (results["a"], results["c"]) == ("score of a", "score of c")
    with pytest.raises(Problem) as alone:
        JointScoring(Gate()).score_one(client("bad", category=[]))
    assert isinstance(results["bad"], Problem)
    assert vars(results["bad"]) == vars(alone.value)


def test_what_breaks_on_one_client_leaves_the_others_their_scores():
    scorer = Gate(breaks_on=("b",))
    results = asked_while_one_is_judged(scorer, [(name, client(name), False) for name in "abc"])
    assert (results["a"], results["c"]) == ("score of a", "score of c")
    assert isinstance(results["b"], RuntimeError)


def test_one_that_has_hung_up_is_left_out_and_stops_nobody():
    scorer = Gate()
    results = asked_while_one_is_judged(
        scorer, [(name, client(name), False) for name in "abc"], is_gone=lambda name: name == "b"
    )
    assert (results["a"], results["c"]) == ("score of a", "score of c")
    assert isinstance(results["b"], CallerGone)
    assert all("b" not in ids for ids, _ in scorer.calls)


def test_a_client_alone_stops_when_its_caller_hangs_up():
    with waiting_caller(lambda: True), pytest.raises(CallerGone):
        JointScoring(Gate()).score_one(client("a"))


def test_finished_aggregates_wait_for_nobody():
    scorer = Gate()
    assert JointScoring(scorer).score_one(AggregatedClient({"x": 1}, "flat")) == "score of flat"


def test_an_invalid_row_of_aggregates_is_a_problem():
    class Refusing(Gate):
        def score_aggregates(self, *_):
            raise InvalidRow(0, "x", "no number")

    with pytest.raises(Problem):
        JointScoring(Refusing()).score_one(AggregatedClient({"x": "?"}, "flat"))
