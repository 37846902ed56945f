"""A client base larger than memory, part by part: score.py --memory, and --spark, which train.py has too.

In:  clients and invoices as score.py takes them, or folders of many files each; for scores the model.
Out: the ranked list, equal to the last digit to what score.py makes of the whole, or the study that is trained on: a
     part holds all rows of its clients, and what is told of a client looks at nobody else's rows. Readings do (their
     neighbours'), so they are judged in memory alone.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.core.types import Score
from fairmeter.data.partitioned.disk import Partition, spilled
from fairmeter.data.partitioned.partitions import TableFiles
from fairmeter.data.partitioned.spark import SparkJobs, cluster
from fairmeter.data.tables import Tables, one_after_another
from fairmeter.data.writers import OutputError, write_chunks
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.list_files import COLUMN_TYPES, reasons_of
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.ranking import COLUMN_PLACE, RankedClient, Ranking, SelectionSizes, partition_table

# Bytes that Python, the libraries, the model and one chunk of features take, whatever the data; measured.
FIXED_BYTES = 450 * 2**20

OnProgress = Callable[[str, int, int | None], None]  # hears what goes on, how much of it is done, of how much


@dataclass(frozen=True)
class ClientSubset:
    """Some clients with all that is known of them. [rows: row number of each, among all]"""

    rows: np.ndarray
    tables: Tables
    scores: list[Score]

    def reasons(self) -> dict[int, list[str | None]]:
        """Texts by row number."""
        columns = reasons_of(self.scores).values()
        return dict(zip(self.rows.tolist(), map(list, zip(*columns, strict=True)), strict=True))


@dataclass(frozen=True)
class PartitionScorer:
    """What becomes of a part's tables; a cluster gets it once. [billable_months: as in recovery.py]"""

    model: FraudModel
    billable_months: int

    def __call__(self, tables: Tables, rows: np.ndarray):
        """The Arrow table that a ranking is made of. [rows: row numbers of the clients]"""
        return partition_table(self._scores(ClientBase.of(self.model, tables, None)), rows, tables.flags)

    def few(self, tables: Tables, rows: np.ndarray, explained: Collection[int]) -> ClientSubset:
        """These clients, some of them with reasons. [row numbers: of each, of those]"""
        base = ClientBase.of(self.model, tables, None)
        told = np.flatnonzero(np.isin(rows, list(explained)))
        return ClientSubset(rows, tables, base.with_reasons(self._scores(base), told))

    def _scores(self, base: ClientBase) -> list[Score]:
        return [score for chunk in base.scored(self.billable_months) for score in chunk]


class WrittenList(NamedTuple):
    """A list that was written. [few: whoever has reasons or is kept; drawn: ids of those kept who were drawn]"""

    ranking: Ranking
    few: list[ClientSubset]
    drawn: list[str]


class PartitionRunner(Protocol):
    """A way through all parts, on this machine or on many."""

    def partition_table(self, folder: Path, tell: OnProgress) -> Iterator:
        """What the judge makes of every part, in any order. [folder: for what is in between]

        Raises TableError, OSError.
        """

    def few(self, wanted: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        """These clients, those of some row numbers with reasons."""


def write_list(
    partition_runner: PartitionRunner,
    out: Path,
    fewest: int,
    most: int,
    tell: OnProgress,
    keep: SelectionSizes | None = None,
) -> WrittenList:
    """Judges all parts and writes the ranked list; from `fewest` to `most` clients have reasons.

    keep: of whom more is wanted. Raises TableError, CannotWrite; `out` is the old list or the whole new one.
    """
    with temporary_folder_beside(out) as folder:
        ranking = Ranking(folder)
        for part in partition_runner.judged(folder, tell):
            ranking.add(part)
        tell("Finding reasons", 0, None)
        first = {client.row: client for client in ranking.first(fewest, most)}
        chosen, drawn = ranking.chosen(keep) if keep else ([], [])
        wanted = first | {client.row: client for client in chosen}
        few = list(partition_runner.few(list(wanted.values()), first.keys()))
        reasons = {row: texts for some in few for row, texts in some.reasons().items()}
        tell("Writing the list", 0, None)
        write_chunks(ranking.columns(reasons), out, COLUMN_TYPES)
    return WrittenList(ranking, few, drawn)


def concatenate(parts: list[ClientSubset]) -> ClientSubset:
    """The same clients at once, one part after the other."""
    clients, invoices = one_after_another([(part.tables.clients, part.tables.invoices) for part in parts])
    quality = [flags for part in parts for flags in part.tables.quality]
    scores = [score for part in parts for score in part.scores]
    return ClientSubset(np.concatenate([part.rows for part in parts]), Tables(clients, invoices, [], quality), scores)


def client_ids(clients: list[RankedClient]) -> list[str]:
    return [client.values[COLUMN_PLACE["client_id"]] for client in clients]


@contextmanager
def partition_runner(
    judge: PartitionScorer, pieces: TableFiles, memory: int | None, master: str | None
) -> Iterator[PartitionRunner]:
    """In so much memory here, or on the cluster of that master. Raises SparkError."""
    if master is None:
        yield DiskRunner(judge, pieces, memory)
        return
    with cluster(master) as machines:
        yield SparkRunner(judge, pieces, machines)


@contextmanager
def temporary_folder_beside(out: Path) -> Iterator[Path]:
    """A folder on the disk that the list goes to; a system's own for temporary files is memory on some. OutputError."""
    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise OutputError(f"{out.parent} cannot take what is in between ({error.strerror}); name another.") from error


# --- one machine ------------------------------------------------------------------------------------------------------


class DiskRunner:
    """The walk through parts on this disk, in so many bytes of memory. [memory: above ALWAYS]"""

    def __init__(self, judge: PartitionScorer, pieces: TableFiles, memory: int) -> None:
        self._judge, self._pieces, self._memory = judge, pieces, memory
        self._parts: list[Partition] = []

    def partition_table(self, folder: Path, tell: OnProgress) -> Iterator:
        n_read, n_judged = 0, 0

        def tell_rows(n: int) -> None:
            nonlocal n_read
            n_read += n
            tell("Reading rows", n_read, None)

        self._parts = list(spilled(self._pieces, folder, self._memory - FIXED_BYTES, tell_rows))
        n_clients = sum(part.n_clients for part in self._parts)
        for part in self._parts:
            tables, rows = part.open()
            yield self._judge(tables, rows)
            n_judged += part.n_clients
            tell("Scoring clients", n_judged, n_clients)

    def few(self, wanted: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        by_part: dict[int, list[RankedClient]] = defaultdict(list)
        for client in wanted:
            by_part[client.part].append(client)
        for part, clients in by_part.items():
            yield self._judge.few(*self._parts[part].open(client_ids(clients)), explained)


# --- a cluster --------------------------------------------------------------------------------------------------------


class SparkRunner:
    """The walk through parts on Spark."""

    def __init__(self, judge: PartitionScorer, pieces: TableFiles, cluster: SparkJobs) -> None:
        self._judge, self._pieces, self._cluster = judge, pieces, cluster

    def partition_table(self, _folder: Path, tell: OnProgress) -> Iterator:
        return self._cluster.each_part(self._pieces, self._judge, tell)

    def few(self, wanted: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        """Their rows come here: they are few."""
        yield self._judge.few(*self._cluster.rows_of(self._pieces, client_ids(wanted)), explained)
