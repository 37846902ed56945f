"""Rows -> scores, by a scorer that predict.py brings; a bad row does not spoil the others.

In:  rows in any number and mixture of forms.
Out: for each row, in their order, its Score or the Problem with it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from fairmeter.core.types import Score, StoredInvoiceScore
from fairmeter.scoring.payloads import AggregatedClient, RawClient, Row
from fairmeter.scoring.problems import InvalidRow, Problem, bad_value

CHUNK = 512  # clients judged at once; more are not faster, and a bad row makes its chunk be read again
CHUNK_RECORDS = 50_000  # invoices and readings at once, if they are of several clients: as objects they take 20 MB


class Scorer(Protocol):
    """A model behind the two forms of a client. [manifest: at least version, view, trained_at, threshold]

    with_reasons: also why, and which harmless causes were checked; it takes ten times as long.
    """

    manifest: dict

    def tables(self, clients: list[dict], invoices: list[list[dict]], readings: list[list[dict]]) -> Any:
        """What judge() takes, read from JSON objects. Raises InvalidRow."""

    def judge(
        self,
        tables: Any,
        with_reasons: bool = False,
        earlier: Sequence[StoredInvoiceScore | None] | None = None,
        losses: Any = None,
    ) -> list[Score]:
        """[earlier: of each what its invoices said, where they are not at hand; losses: of their transformers]"""

    def judge_aggregates(self, features: list[dict], client_ids: list[str], with_reasons: bool = False) -> list[Score]:
        """Raises InvalidRow."""


Outcome = Score | Problem
Read = Callable[..., Any]  # of a list for each part of a row; raises BadRow
Judge = Callable[[Any], list[Score]]


def judged_one(row: RawClient | AggregatedClient, scorer: Scorer, with_reasons: bool = False) -> Score:
    """Raises Problem."""
    read, judge = _calls(scorer, with_reasons)[type(row)]
    try:
        return judge(read(*([part] for part in row)))[0]
    except InvalidRow as bad:
        raise bad_value(*bad.field) from None


def judged(rows: Iterable[Row], scorer: Scorer, with_reasons: bool = False) -> Iterator[Outcome]:
    """Each row's outcome, computed chunk by chunk."""
    for chunk in chunks(rows):
        yield from _chunk_judged(chunk, _calls(scorer, with_reasons))


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in parts of at most CHUNK, each full once it has CHUNK_RECORDS."""
    chunk, n_records = [], 0
    for row in rows:
        chunk.append(row)
        n_records += len(row.invoices) + len(row.readings) if type(row) is RawClient else 0
        if len(chunk) == CHUNK or n_records >= CHUNK_RECORDS:
            yield chunk
            chunk, n_records = [], 0
    if chunk:
        yield chunk


def _calls(scorer: Scorer, with_reasons: bool) -> dict[type, tuple[Read, Judge]]:
    judge = partial(scorer.judge, with_reasons=with_reasons)
    return {
        RawClient: (scorer.tables, judge),
        AggregatedClient: (partial(scorer.judge_aggregates, with_reasons=with_reasons), list),
    }


def _chunk_judged(rows: list[Row], calls: dict[type, tuple[Read, Judge]]) -> list[Outcome]:
    outcomes = list(rows)  # a Problem is its own outcome
    for form, (read, judge) in calls.items():
        places = [i for i, row in enumerate(rows) if type(row) is form]
        for i, outcome in zip(places, _form_judged([rows[i] for i in places], read, judge), strict=True):
            outcomes[i] = outcome
    return outcomes


def _form_judged(rows: list, read: Read, judge: Judge) -> list[Outcome]:
    """All at once; where one is bad, each is read by itself, and then the good ones are judged at once."""
    try:
        return _judged_at_once(rows, read, judge)
    except InvalidRow:
        outcomes = [_problem_with(row, read) for row in rows]
    scores = iter(_judged_at_once([row for row, bad in zip(rows, outcomes, strict=True) if not bad], read, judge))
    return [outcome or next(scores) for outcome in outcomes]


def _judged_at_once(rows: list, read: Read, judge: Judge) -> list[Score]:
    return judge(read(*map(list, zip(*rows, strict=True)))) if rows else []


def _problem_with(row: RawClient | AggregatedClient, read: Read) -> Problem | None:
    try:
        read(*([part] for part in row))
    except InvalidRow as bad:
        return bad_value(*bad.field)
    return None
