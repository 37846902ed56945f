"""Rows of a request -> scores, chunk by chunk; a bad row does not spoil the others.

In:  rows in any number and mixture of forms, and a scorer.
Out: for each row, in their order, its Score or the Problem with it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

from fairmeter.core.caller import check_caller
from fairmeter.core.types import Score, StoredInvoiceScore
from fairmeter.data.reading_rules.many_clients import UsualConsumption
from fairmeter.explanation.explain import ScoringContext
from fairmeter.scoring.client_tables import ClientTables, read_client_tables
from fairmeter.scoring.payloads import AggregatedClient, RawClient, Row
from fairmeter.scoring.problems import InvalidRow, Problem, bad_value

CHUNK = 250  # clients scored at once; more are hardly faster, and take twice the memory
MAX_MONITORED = 2_000  # clients of a batch whose drift is measured, which takes as long as to score them
MIN_CLIENTS = 20  # of a batch, for a look at the unit of their readings: fewer may all be large
CHUNK_BYTES = 8 * 2**20  # of JSON, whatever is in it; 250 clients with 35 invoices have 3 MB
CHUNK_RECORDS = 50_000  # invoices and readings at once, if they are of several clients: as objects they take 20 MB

Outcome = Score | Problem


class Scorer(Protocol):
    """A model behind the two forms of a client. [manifest: at least version, view, trained_at, threshold]

    with_reasons: also the reasons and harmless causes, which take ten times as long. A collection of severities limits
    them to the clients with such a score.
    """

    manifest: dict

    def score(
        self,
        tables: ClientTables,
        with_reasons: bool | Collection[str] = False,
        stored: Sequence[StoredInvoiceScore | None] | None = None,
        losses: Any = None,
    ) -> list[Score]:
        """A score for each client. [stored: its score by invoices that are not at hand; losses: of transformers]"""

    def score_aggregates(self, features: list[dict], client_ids: list[str], with_reasons: bool = False) -> list[Score]:
        """A score for each client by finished aggregates. Raises InvalidRow."""


def score_one(row: RawClient | AggregatedClient, scorer: Scorer, with_reasons: bool = False) -> Score:
    """The score of one client. Raises Problem."""
    try:
        return _score_at_once([row], scorer, with_reasons)[0]
    except InvalidRow as invalid:
        raise bad_value(*invalid.field) from None


def score_rows(rows: Iterable[Row], scorer: Scorer, with_reasons: bool = False) -> Iterator[Outcome]:
    """Each row's outcome, computed chunk by chunk."""
    for chunk in chunks(rows):
        check_caller()
        yield from _score_chunk(chunk, scorer, with_reasons)


class MonitoredScorer:
    """A scorer of one batch that also looks at many clients at once: their drift, and the unit of their readings."""

    def __init__(self, scorer: Scorer) -> None:
        self.manifest, self._scorer, self._n_counted = scorer.manifest, scorer, 0
        self._usual = UsualConsumption()
        make = getattr(scorer, "drift_monitor", None)
        self._monitor = make() if make else None
        self.score_aggregates = scorer.score_aggregates

    def score(self, tables: ClientTables, with_reasons: bool = False) -> list[Score]:
        """As the scorer's; the first MAX_MONITORED clients are counted."""
        if self._monitor is None:
            return self._scorer.score(tables, with_reasons)
        return self._scorer.score(tables, with_reasons, on_context=self._watch)

    def _watch(self, context: ScoringContext) -> None:
        if self._n_counted < MAX_MONITORED:
            self._monitor.add(context)
        self._n_counted += len(context.clients["client_id"])
        if context.daily_consumption is not None:
            self._usual.add(context.daily_consumption)

    def check_unit(self) -> None:
        """Raise Problem where the readings of many clients cannot be kWh."""
        found = self._usual.unlikely_unit(MIN_CLIENTS)
        if found:
            raise bad_value(
                "readings", f'{found}; send kWh. Where kWh is right, send files with a map that states unit = "kWh"'
            )

    def drift(self) -> dict | None:
        """The drift of the clients so far (population_drift.py); None for a scorer that measures none."""
        return None if self._monitor is None else self._monitor.drift()


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows in parts of at most CHUNK; a part is full once it has CHUNK_RECORDS, or CHUNK_BYTES of rows of texts."""
    chunk, n_records, n_before = [], 0, 0
    for row in rows:
        chunk.append(row)
        n_records += len(row.invoices) + len(row.readings) if type(row) is RawClient else 0
        n_bytes = getattr(rows, "n_bytes", 0)
        if len(chunk) == CHUNK or n_records >= CHUNK_RECORDS or n_bytes - n_before >= CHUNK_BYTES:
            yield chunk
            chunk, n_records, n_before = [], 0, n_bytes
    if chunk:
        yield chunk


def _score_chunk(rows: list[Row], scorer: Scorer, with_reasons: bool) -> list[Outcome]:
    outcomes = list(rows)  # a Problem is its own outcome
    for form in (RawClient, AggregatedClient):
        places = [i for i, row in enumerate(rows) if type(row) is form]
        for i, outcome in zip(places, _score_form([rows[i] for i in places], scorer, with_reasons), strict=True):
            outcomes[i] = outcome
    return outcomes


def _score_form(rows: list, scorer: Scorer, with_reasons: bool) -> list[Outcome]:
    """Score rows of one form at once; where one is bad, check each by itself and score the good ones at once."""
    try:
        return _score_at_once(rows, scorer, with_reasons)
    except InvalidRow:
        problems = [_problem_with(row, scorer) for row in rows]
    good = [row for row, problem in zip(rows, problems, strict=True) if problem is None]
    scores = iter(_score_at_once(good, scorer, with_reasons))
    return [problem or next(scores) for problem in problems]


def _score_at_once(rows: list, scorer: Scorer, with_reasons: bool) -> list[Score]:
    """Raises InvalidRow."""
    if not rows:
        return []
    columns = map(list, zip(*rows, strict=True))
    if type(rows[0]) is RawClient:
        return scorer.score(read_client_tables(*columns), with_reasons)
    return scorer.score_aggregates(*columns, with_reasons)


def _problem_with(row: RawClient | AggregatedClient, scorer: Scorer) -> Problem | None:
    parts = ([part] for part in row)
    try:
        if type(row) is RawClient:
            read_client_tables(*parts)
        else:
            scorer.score_aggregates(*parts)
    except InvalidRow as invalid:
        return bad_value(*invalid.field)
    return None
