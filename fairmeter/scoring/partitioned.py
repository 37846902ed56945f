"""Scoring of a client base in parts, for one that does not fit in memory: score.py --memory and --spark.

In:  clients and invoices as score.py reads them, or folders of many files each; a model.
Out: the ranked list, equal to the last digit to the one made in memory: a part holds all rows of its clients, and a
     client's score by invoices depends on its own rows only. Readings, which are compared with their neighbours', are
     totalled to days in parts (fairmeter/data/partitioned/reading_parts.py) and then scored as in memory.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import numpy as np

from fairmeter.core.types import QualityFlag, Score
from fairmeter.data.invoice_rules.client_base import check_client_base
from fairmeter.data.partitioned.disk import Partition, partition_on_disk
from fairmeter.data.partitioned.mapped_files import MappedTableFiles
from fairmeter.data.partitioned.partitions import TableFiles, describe_files
from fairmeter.data.partitioned.spark import SparkJobs, spark_jobs
from fairmeter.data.tables import Tables, concatenate_tables
from fairmeter.data.writers import OutputError, write_chunks
from fairmeter.explanation.explain import ScoringContext
from fairmeter.models.fraud_model import FraudModel
from fairmeter.planning.list_files import COLUMN_TYPES, reason_columns
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import DriftMonitor, describe_beyond_bound
from fairmeter.scoring.ranking import (
    COLUMN_PLACE,
    RankedClient,
    Ranking,
    SelectionSizes,
    partition_table,
    read_drift_counts,
)
from fairmeter.scoring.run_claims import RunRanks

# Bytes that Python, the libraries, the model and one chunk of features take, whatever the data (measured).
FIXED_BYTES = 450 * 2**20

MAX_MONITORED = 500  # clients of a part whose drift is measured, which takes as long as to score them

OnProgress = Callable[
    [str, int, int | None], None
]  # called with the step, the amount done, and the total where it is known


@dataclass(frozen=True)
class ClientSubset:
    """Some clients with tables and scores. [rows: the row number of each among all clients]"""

    rows: np.ndarray
    tables: Tables
    scores: list[Score]

    def reasons(self) -> dict[int, list[str | None]]:
        """Texts of the reasons by row number."""
        columns = reason_columns(self.scores).values()
        return dict(zip(self.rows.tolist(), map(list, zip(*columns, strict=True)), strict=True))


@dataclass(frozen=True)
class PartitionScorer:
    """Scores a part's tables; sent to a cluster once. [billable_months: as in planning/recovery.py]"""

    model: FraudModel
    billable_months: int

    def __call__(self, tables: Tables, rows: np.ndarray):
        """The Arrow table for Ranking.add. [rows: row numbers of the clients]"""
        monitor = DriftMonitor(self.model, len(tables.quality), MAX_MONITORED)
        scores = self._scores(ClientBase.from_tables(self.model, tables), monitor.add)
        return partition_table(scores, rows, tables.flags, tables.summary, monitor.counted())

    def subset(self, tables: Tables, rows: np.ndarray, explained: Collection[int]) -> ClientSubset:
        """These clients with their scores. [rows: row numbers; explained: those that get reasons]"""
        base = ClientBase.from_tables(self.model, tables)
        places = np.flatnonzero(np.isin(rows, list(explained)))
        return ClientSubset(rows, tables, base.with_reasons(self._scores(base), places))

    def _scores(self, base: ClientBase, on_chunk: Callable[[ScoringContext], None] = lambda _: None) -> list[Score]:
        return [score for chunk in base.scored(self.billable_months, on_chunk) for score in chunk]


class WrittenList(NamedTuple):
    """A list that was written. [subsets: clients with reasons or a profile; sampled: ids of those sampled at random]

    drift: of the whole run, with its ranks where it claims no probabilities.
    """

    ranking: Ranking
    subsets: list[ClientSubset]
    sampled: list[str]
    drift: dict


class PartitionRunner(Protocol):
    """Runs a scorer over all parts, on this machine or on a cluster. [place: of the invoices, for messages]"""

    place: str

    def score_all(self, folder: Path, on_progress: OnProgress) -> Iterator:
        """The scorer's table of every part, in any order. [folder: for temporary files]

        Raises TableError, OSError.
        """

    def subsets(self, clients: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        """These clients with their scores. [explained: row numbers of those that get reasons]"""

    def layout_flags(self) -> list[QualityFlag]:
        """What was left out or put right while the files were read, once all parts are scored."""

    @property
    def model(self) -> FraudModel:
        """The model that scores."""


def write_list(
    runner: PartitionRunner,
    out: Path,
    fewest: int,
    most: int,
    on_progress: OnProgress,
    sizes: SelectionSizes | None = None,
) -> WrittenList:
    """Score all parts and write the ranked list; at least `fewest` and at most `most` clients have reasons.

    sizes: which clients are returned with their tables. Raises TableError, OutputError; `out` is then the old list.
    """
    with temporary_folder_beside(out) as folder:
        ranking, monitor = Ranking(folder, runner.model.claims_probability), DriftMonitor(runner.model)
        for part in runner.score_all(folder, on_progress):
            ranking.add(part)
            monitor.add_counted(read_drift_counts(part))
        ranking.flags += runner.layout_flags()
        if ranking.summary is not None:
            ranking.flags = check_client_base(ranking.summary, ranking.flags, runner.place, is_scored=True)
        drift = monitor.drift()
        ranks = None
        if runner.model.claims_probability and (why := describe_beyond_bound(drift)):
            ranks = RunRanks.of_probabilities(why, ranking.scores())
            ranking.claim(ranks)
            drift = ranks.stored_in(drift)
        on_progress("Finding reasons", 0, None)
        first = {client.row: client for client in ranking.first(fewest, most)}
        selected, sampled = ranking.selected(sizes) if sizes else ([], [])
        clients = first | {client.row: client for client in selected}
        subsets = list(runner.subsets(list(clients.values()), first.keys()))
        if ranks is not None:
            subsets = [replace(subset, scores=ranks.ranked(subset.scores)) for subset in subsets]
        reasons = {row: texts for subset in subsets for row, texts in subset.reasons().items()}
        on_progress("Writing the list", 0, None)
        write_chunks(ranking.columns(reasons), out, COLUMN_TYPES)
    return WrittenList(ranking, subsets, sampled, drift)


def concatenate(parts: list[ClientSubset]) -> ClientSubset:
    """One subset of all these clients, one part after the other."""
    clients, invoices = concatenate_tables([(part.tables.clients, part.tables.invoices) for part in parts])
    quality = [flags for part in parts for flags in part.tables.quality]
    scores = [score for part in parts for score in part.scores]
    names = reduce(or_, (part.tables.code_names for part in parts))
    tables = Tables(clients, invoices, [], quality, names)
    return ClientSubset(np.concatenate([part.rows for part in parts]), tables, scores)


def client_ids(clients: list[RankedClient]) -> list[str]:
    """The ids of ranked clients."""
    return [client.values[COLUMN_PLACE["client_id"]] for client in clients]


@contextmanager
def partition_runner(
    scorer: PartitionScorer, files: TableFiles | MappedTableFiles, memory: int | None, master: str | None
) -> Iterator[PartitionRunner]:
    """A runner on this disk in this many bytes of memory, or on the cluster of that master. Raises SparkError."""
    if master is None:
        yield DiskRunner(scorer, files, memory)
        return
    with spark_jobs(master) as machines:
        yield SparkRunner(scorer, files, machines)


@contextmanager
def temporary_folder_beside(out: Path) -> Iterator[Path]:
    """A temporary folder on the disk of the list: the system's own is memory on some machines. Raises OutputError."""
    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise OutputError(
            f"{out.parent} cannot hold the temporary files ({error.strerror}): name a file on another disk with --out."
        ) from error


# --- one machine ------------------------------------------------------------------------------------------------------


class DiskRunner:
    """Scores partitions on this disk, one after the other. [memory: bytes, above FIXED_BYTES]"""

    def __init__(self, scorer: PartitionScorer, files: TableFiles | MappedTableFiles, memory: int) -> None:
        self._scorer, self._files, self._memory = scorer, files, memory
        self.place = describe_files(files.invoices)
        self._parts: list[Partition] = []
        self.model = scorer.model

    def score_all(self, folder: Path, on_progress: OnProgress) -> Iterator:
        n_read, n_scored = 0, 0

        def on_rows(n: int) -> None:
            nonlocal n_read
            n_read += n
            on_progress("Reading rows", n_read, None)

        self._parts = list(partition_on_disk(self._files, folder, self._memory - FIXED_BYTES, on_rows))
        n_clients = sum(part.n_clients for part in self._parts)
        for part in self._parts:
            tables, rows = part.open()
            yield self._scorer(tables, rows)
            n_scored += part.n_clients
            on_progress("Scoring clients", n_scored, n_clients)

    def layout_flags(self) -> list[QualityFlag]:
        return self._files.layout_flags()

    def subsets(self, clients: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        by_part: dict[int, list[RankedClient]] = defaultdict(list)
        for client in clients:
            by_part[client.part].append(client)
        for part, of_part in by_part.items():
            yield self._scorer.subset(*self._parts[part].open(client_ids(of_part)), explained)


# --- a cluster --------------------------------------------------------------------------------------------------------


class SparkRunner:
    """Scores partitions on Spark."""

    def __init__(self, scorer: PartitionScorer, files: TableFiles | MappedTableFiles, spark_jobs: SparkJobs) -> None:
        self._scorer, self._files, self._cluster = scorer, files, spark_jobs
        self.model = scorer.model
        self.place = describe_files(files.invoices)

    def score_all(self, _folder: Path, on_progress: OnProgress) -> Iterator:
        return self._cluster.map_partitions(self._files, self._scorer, on_progress)

    def layout_flags(self) -> list[QualityFlag]:
        return self._files.layout_flags()

    def subsets(self, clients: list[RankedClient], explained: Collection[int]) -> Iterator[ClientSubset]:
        """The rows of these clients are fetched to this machine: there are few."""
        yield self._scorer.subset(*self._cluster.collect_clients(self._files, client_ids(clients)), explained)
