"""A client base larger than memory -> its ranked list, part by part: score.py --memory, and --spark.

In:  clients and invoices as score.py takes them, or folders of many files each; the model.
Out: the list, equal to the last digit to what score.py makes of the whole: a part holds all rows of its clients, and a
     client's score looks at nobody else's rows. Readings do (their neighbours'), so they are judged in memory alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import numpy as np

from fraud.listing import CannotWrite, reasons_of, write_chunks
from fraud.model import FraudModel
from fraud.parts import Pieces
from fraud.ranking import Ranked, Ranking, judged
from fraud.records import QualityFlag, Score
from fraud.spill import Part, spilled
from fraud.tables import Tables, summed
from scoring import Base, tables_of

# Bytes that Python, the libraries, the model and one chunk of features take, whatever the data; measured.
ALWAYS = 450 * 2**20

Reasons = dict[int, list[str | None]]  # texts by row number
Tell = Callable[[str, int, int | None], None]  # hears what goes on, how much of it is done, of how much


@dataclass(frozen=True)
class Judge:
    """What becomes of a part's tables; a cluster gets it once. [billable_months: as in recovery.py]"""

    model: FraudModel
    billable_months: int

    def judged(self, tables: Tables, rows: np.ndarray):
        """The Arrow table that a ranking is made of. [rows: row numbers of the clients]"""
        return judged(self._scores(Base.of(self.model, tables, None)), rows)

    def reasons(self, tables: Tables, rows: np.ndarray, wanted: set[int]) -> Reasons:
        """Of those clients who are wanted."""
        at = np.flatnonzero(np.isin(rows, list(wanted)))
        clients, invoices = tables_of(at, tables.clients, tables.invoices)
        few = Tables(clients, invoices, [], [tables.quality[i] for i in at])
        base = Base.of(self.model, few, None)
        columns = reasons_of(base.with_reasons(self._scores(base), np.arange(len(at))))
        return dict(zip(rows[at].tolist(), map(list, zip(*columns.values(), strict=True)), strict=True))

    def _scores(self, base: Base) -> list[Score]:
        return [score for chunk in base.scored(self.billable_months) for score in chunk]


class Judged(NamedTuple):
    """A part, judged: its clients as an Arrow table, and the flags of its tables."""

    table: object
    flags: list[QualityFlag]


class Walk(Protocol):
    """A way through all parts, on this machine or on many."""

    def judged(self, folder: Path, tell: Tell) -> Iterator[Judged]:
        """Every part once, in any order. [folder: for what is in between]. Raises TableError, OSError."""

    def reasons(self, first: list[Ranked]) -> Reasons:
        """Of these clients."""


class Listed(NamedTuple):
    """What was written: clients by severity, and what was found wrong with the tables."""

    n_by_severity: Counter[str]
    flags: list[QualityFlag]


def listed(walk: Walk, out: Path, fewest: int, most: int, tell: Tell) -> Listed:
    """Judges all parts and writes the ranked list; from `fewest` to `most` clients have reasons.

    Raises TableError, CannotWrite; `out` is the old list or the whole new one.
    """
    flags: list[QualityFlag] = []
    with folder_beside(out) as folder:
        ranking = Ranking(folder)
        for part in walk.judged(folder, tell):
            ranking.add(part.table)
            flags += part.flags
        tell("Finding reasons", 0, None)
        reasons = walk.reasons(ranking.first(fewest, most))
        tell("Writing the list", 0, None)
        write_chunks(ranking.columns(reasons), out)
    return Listed(ranking.n_by_severity, summed(flags))


@contextmanager
def folder_beside(out: Path) -> Iterator[Path]:
    """A folder on the disk that the list goes to; a system's own for temporary files is memory on some. CannotWrite."""
    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise CannotWrite(f"{out.parent} cannot take what is in between ({error.strerror}); name another.") from error


# --- one machine ------------------------------------------------------------------------------------------------------


class OnDisk:
    """The walk through parts on this disk, in so many bytes of memory. [memory: above ALWAYS]"""

    def __init__(self, judge: Judge, pieces: Pieces, memory: int) -> None:
        self._judge, self._pieces, self._memory = judge, pieces, memory
        self._parts: list[Part] = []

    def judged(self, folder: Path, tell: Tell) -> Iterator[Judged]:
        n_read, n_judged = 0, 0

        def tell_rows(n: int) -> None:
            nonlocal n_read
            n_read += n
            tell("Reading rows", n_read, None)

        self._parts = list(spilled(self._pieces, folder, self._memory - ALWAYS, tell_rows))
        n_clients = sum(part.n_clients for part in self._parts)
        for part in self._parts:
            tables, rows = part.open()
            yield Judged(self._judge.judged(tables, rows), tables.flags)
            n_judged += part.n_clients
            tell("Scoring clients", n_judged, n_clients)

    def reasons(self, first: list[Ranked]) -> Reasons:
        wanted: dict[int, set[int]] = defaultdict(set)
        for client in first:
            wanted[client.part].add(client.row)
        told: Reasons = {}
        for part, rows in wanted.items():
            told |= self._judge.reasons(*self._parts[part].open(), rows)
        return told
