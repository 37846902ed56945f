"""Clients of several requests -> scores, judged together where they wait at the same time.

In:  one client a request, each from its own thread.
Out: its Score, the same as alone. A client costs a fifth among eight: NumPy's calls are shared.

Nobody waits for company. Clients that come while others are judged are judged next, at once.
"""

from collections.abc import Callable
from threading import Event, Lock

from fairmeter.core.caller import CallerGone, current_caller, waiting_caller
from fairmeter.core.types import Score
from fairmeter.scoring.batches import Outcome, Scorer, score_one, score_rows
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import Problem

MAX_CLIENTS = 64  # at once; without reasons that takes 20 ms
MAX_EXPLAINED = 8  # at once; reasons are found for each by itself, and others wait meanwhile


class WaitingClient:
    """A client of a request. [outcome: None until it is judged; error: that is raised instead]

    Its thread waits for `woken`, after which the client is judged, or it is its turn to judge those that wait.
    """

    def __init__(self, row: RawClient, with_reasons: bool, is_gone: Callable[[], bool]) -> None:
        self.row, self.with_reasons, self.is_gone = row, with_reasons, is_gone
        self.woken, self.has_turn = Event(), False
        self.outcome: Outcome | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None or self.error is not None

    def result(self) -> Score:
        """The score. Raises Problem, or what went wrong."""
        if self.error is not None:
            raise self.error
        if isinstance(self.outcome, Problem):
            raise self.outcome
        return self.outcome


class JointScoring:
    """A scorer of single clients that judges at once those that wait at once."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._door, self._is_judging = scorer, Lock(), False
        self._waiting: list[WaitingClient] = []

    def score_one(self, row: RawClient | AggregatedClient, with_reasons: bool = False) -> Score:
        """The score of one client. Raises Problem, CallerGone."""
        if type(row) is not RawClient:  # finished aggregates take no time
            return score_one(row, self._scorer, with_reasons)
        own = WaitingClient(row, with_reasons, current_caller())
        self._come(own)
        if not own.has_turn:
            own.woken.wait()
        if own.has_turn:
            self._judge_those_waiting(own)
        elif not own.is_done:  # the thread that took it has ended otherwise than by an error of this client
            self._score([own])
        return own.result()

    def _come(self, own: WaitingClient) -> None:
        """Wait behind the others, or take the turn where nobody judges."""
        with self._door:
            self._waiting.append(own)
            own.has_turn = not self._is_judging
            self._is_judging = True

    def _judge_those_waiting(self, own: WaitingClient) -> None:
        taken = self._taken(own)
        try:
            self._score(taken)
        finally:
            self._hand_over()
            for each in taken:
                each.woken.set()

    def _hand_over(self) -> None:
        """Give the turn to the first that waits."""
        with self._door:
            self._is_judging = bool(self._waiting)
            for first in self._waiting[:1]:
                first.has_turn = True
                first.woken.set()

    def _taken(self, own: WaitingClient) -> list[WaitingClient]:
        """This client with others that ask for the same, which no longer wait."""
        limit = MAX_EXPLAINED if own.with_reasons else MAX_CLIENTS
        with self._door:
            others = [each for each in self._waiting if each is not own and each.with_reasons == own.with_reasons]
            taken = [own, *others[: limit - 1]]
            self._waiting = [each for each in self._waiting if each not in taken]
        return taken

    def _score(self, taken: list[WaitingClient]) -> None:
        """Judge these clients; what goes wrong with one is not the others'."""
        here = [each for each in taken if not each.is_gone()]
        for each in taken:
            if each not in here:
                each.error = CallerGone()
        if len(here) > 1:
            self._score_together(here)
        for each in here:
            if not each.is_done:
                self._score_alone(each)

    def _score_together(self, clients: list[WaitingClient]) -> None:
        with waiting_caller(lambda: False):  # one that hangs up must not stop the others
            try:
                outcomes = list(score_rows([each.row for each in clients], self._scorer, clients[0].with_reasons))
            except Exception:  # whatever it is, alone each gets its own
                return
        for each, outcome in zip(clients, outcomes, strict=True):
            each.outcome = outcome

    def _score_alone(self, client: WaitingClient) -> None:
        with waiting_caller(client.is_gone):
            try:
                client.outcome = score_one(client.row, self._scorer, client.with_reasons)
            except Exception as error:  # it is raised in the thread of its own request
                client.error = error
