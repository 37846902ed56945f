"""Scores -> ranks; also of a client base that was scored in parts, in memory that does not grow with the base.

In:  scores; or Arrow tables of scored clients, one for each part, in any order (`partition_table`).
Out: the ranked list, some thousand rows at a time, in the columns of planning/list_files.py; its first clients, and a
     selection with a random sample.
"""

import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.core.sampling import N_SAMPLE_KEYS, sample_key
from fairmeter.core.types import INSUFFICIENT_HISTORY, QualityFlag, Score
from fairmeter.data.invoice_rules.client_base import BaseSummary, merge_summaries
from fairmeter.data.partitioned.partitions import ROW, read_flags, read_summary, with_flags
from fairmeter.data.tables import sum_flags
from fairmeter.data.writers import Columns
from fairmeter.models.ranks import RANK_THRESHOLDS
from fairmeter.planning.list_files import N_REASONS, ranks_only, score_columns
from fairmeter.scoring.run_claims import RunRanks

BATCH = 1_000  # rows of a file in memory while files are merged
MAX_OPEN_FILES = 200  # merged at once; systems let a process open a thousand
PART = "part"
MIN_REASONED, MAX_REASONED = 100, 1000  # clients with reasons: a first page, and half a minute of work
CHUNK = 10_000  # rows of the list at a time
SUSPECTED = "is_suspected"
STORED_COLUMNS = ("client_id", "score", "severity", "expected_recovery_kwh", "quality", "anomalies")
COLUMN_PLACE = {name: i for i, name in enumerate(STORED_COLUMNS)}


class RankedClient(NamedTuple):
    """One client, ordered as in the list: highest score first, equal scores by row, clients without a score last."""

    fall: float
    row: int
    part: int
    values: tuple  # of KEPT


class SelectionSizes(NamedTuple):
    """Which clients get a full profile.

    n_first: the highest scores; n_sampled: about as many sampled from all scored clients; stored: ids that the desk
    has already.
    """

    n_first: int
    n_sampled: int
    stored: Collection[str] = ()


def ranked_rows(scores: Sequence[Score]) -> list[int]:
    """Row numbers, the highest score first, equal ones in their order; those without one last."""
    return sorted(range(len(scores)), key=lambda row: _fall(scores[row].value))


def _fall(value: float | None) -> float:
    return np.inf if value is None else -value


def rows_with_reasons(scores: Sequence[Score]) -> np.ndarray:
    """Rows that get reasons where no inspection list is asked for: the suspected clients, within the two limits."""
    order = [row for row in ranked_rows(scores) if scores[row].value is not None]
    n_suspected = sum(scores[row].is_suspected for row in order)
    return np.array(order[: min(max(n_suspected, MIN_REASONED), MAX_REASONED)], dtype=np.int64)


def partition_table(
    scores: list[Score],
    rows: np.ndarray,
    flags: Sequence[QualityFlag] = (),
    summary: BaseSummary | None = None,
    drift_counts: Mapping | None = None,
):
    """The Arrow table of a part's clients, in the order of the list.

    rows: of each client among all; flags, summary: of the part's tables; drift_counts: of its clients
    (DriftMonitor.counted).
    """
    import pyarrow as pa

    columns = score_columns(scores)
    score = pa.array([s.value for s in scores], pa.float64())
    suspected = [s.is_suspected for s in scores]
    columns_by_name = {
        ROW: pa.array(rows, pa.int64()),
        SUSPECTED: pa.array(suspected, pa.bool_()),
        "client_id": pa.array(columns["client_id"], pa.string()),
        "score": score,
        "severity": pa.array(columns["severity"], pa.string()),
        "expected_recovery_kwh": pa.array([s.expected_recovery_kwh for s in scores], pa.float64()),
        "quality": pa.array(columns["quality"], pa.string()),
        "anomalies": pa.array([json.dumps(found) if found else None for found in columns["anomalies"]], pa.string()),
    }
    order = np.lexsort((rows, -score.to_numpy(zero_copy_only=False)))  # NaN comes last
    return with_flags(pa.table(columns_by_name).take(pa.array(order)), flags, summary, drift_counts=drift_counts or {})


def read_drift_counts(table) -> dict:
    """What the metadata of a part's table hold for DriftMonitor.add_counted."""
    return json.loads(table.schema.metadata[b"drift_counts"])


class Ranking:
    """Scored parts in files of a folder; counts of them all, and the flags of their tables."""

    def __init__(self, folder: Path, claims_probability: bool = True) -> None:
        self._claims_probability = claims_probability
        self._folder, self._n_files, self._n_parts = folder, 0, 0
        self._levels: list[list[Path]] = []  # files of parts, files merged from MAX_OPEN_FILES of those, and so on
        self.n_clients, self.n_suspected, self.n_scored = 0, 0, 0
        self.n_by_severity: Counter[str] = Counter()
        self.flags: list[QualityFlag] = []
        self.summary: BaseSummary | None = None
        self._ranks: RunRanks | None = None

    def add(self, table) -> None:
        """Add a part. Raises OSError."""
        import pyarrow as pa

        part = pa.array(np.full(table.num_rows, self._n_parts, np.int32))
        self._n_parts += 1
        self._place(self._written([table.append_column(PART, part).select([ROW, PART, *STORED_COLUMNS])]))
        self.n_clients += table.num_rows
        self.n_scored += table.num_rows - table["score"].null_count
        self.n_suspected += int(table[SUSPECTED].to_numpy().sum())
        self.n_by_severity.update(table["severity"].to_pylist())
        self.flags = sum_flags([*self.flags, *read_flags(table)])
        self.summary = merge_summaries([self.summary, read_summary(table)])

    def scores(self) -> np.ndarray:
        """The values of all clients with a score, the highest first. [float64]"""
        values = (client.values[COLUMN_PLACE["score"]] for client in islice(self._merged(), self.n_scored))
        return np.fromiter(values, np.float64, self.n_scored)

    def claim(self, ranks: RunRanks) -> None:
        """List and count the clients of all parts as these ranks instead of probabilities."""
        self._ranks, self._claims_probability = ranks, False
        shares = ranks.share(self.scores())
        n_unscored = self.n_by_severity[INSUFFICIENT_HISTORY]
        self.n_by_severity = Counter(map(ranks.severity, shares.tolist())) + Counter({INSUFFICIENT_HISTORY: n_unscored})
        self.n_suspected = int((shares >= RANK_THRESHOLDS["threshold"]).sum())

    def first(self, fewest: int, most: int) -> list[RankedClient]:
        """The suspected clients, at least `fewest` and at most `most` of the highest scores."""
        n = min(max(self.n_suspected, fewest), most, self.n_scored)
        return list(islice(self._merged(), n))

    def selected(self, sizes: SelectionSizes) -> tuple[list[RankedClient], list[str]]:
        """The clients that get a profile, in order, and the ids of those that were sampled."""
        selected, sampled, limit = [], [], N_SAMPLE_KEYS * sizes.n_sampled / max(self.n_scored, 1)
        for place, client in enumerate(self._merged()):
            client_id, has_score = client.values[COLUMN_PLACE["client_id"]], place < self.n_scored
            is_sampled = has_score and sample_key(client_id) < limit
            if is_sampled or (has_score and place < sizes.n_first) or client_id in sizes.stored:
                selected.append(client)
                sampled += [client_id] * is_sampled
        return selected, sampled

    def columns(self, reasons: Mapping[int, list[str | None]]) -> Iterator[Columns]:
        """The list, CHUNK rows at a time. [reasons: N_REASONS texts by row]"""
        clients, rank, nothing = self._merged(), 0, [None] * N_REASONS
        while chunk := list(islice(clients, CHUNK)):
            values = {name: [client.values[i] for client in chunk] for name, i in COLUMN_PLACE.items()}
            if self._ranks is not None:
                values |= self._ranks.columns(values)
            texts = [reasons.get(client.row, nothing) for client in chunk]
            ranks = range(rank + 1, rank + len(chunk) + 1)
            columns = {
                "client_id": values["client_id"],
                "score": values["score"],
                "rank": [None if score is None else n for n, score in zip(ranks, values["score"], strict=True)],
                "severity": values["severity"],
                **{f"reason_{i + 1}": [of_client[i] for of_client in texts] for i in range(N_REASONS)},
                "expected_recovery_kwh": values["expected_recovery_kwh"],
                "quality": values["quality"],
                "anomalies": [json.loads(found) if found else [] for found in values["anomalies"]],
            }
            yield columns if self._claims_probability else ranks_only(columns)
            rank += len(chunk)

    def _merged(self) -> Iterator[RankedClient]:
        return heapq.merge(*(_ranked(file) for files in self._levels for file in files))

    def _place(self, file: Path, level: int = 0) -> None:
        """Add a file; MAX_OPEN_FILES files of a level are merged into one of the next, so that there are never many."""
        if level == len(self._levels):
            self._levels.append([])
        files = self._levels[level]
        files.append(file)
        if len(files) == MAX_OPEN_FILES:
            clients = heapq.merge(*map(_ranked, files))
            one = self._written(map(_table, iter(lambda: list(islice(clients, BATCH)), [])))
            for merged in files:
                merged.unlink()
            files.clear()
            self._place(one, level + 1)

    def _written(self, tables: Iterable) -> Path:
        import pyarrow as pa

        file = self._folder / f"scored-{self._n_files}.arrows"
        self._n_files += 1
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, _schema()) as writer:
            for table in tables:
                writer.write_table(table, max_chunksize=BATCH)
        return file


def _schema():
    import pyarrow as pa

    numbers = {ROW: pa.int64(), PART: pa.int32(), "score": pa.float64(), "expected_recovery_kwh": pa.float64()}
    return pa.schema([(name, numbers.get(name, pa.string())) for name in (ROW, PART, *STORED_COLUMNS)])


def _table(clients: list[RankedClient]):
    """Clients as Ranking stores them."""
    import pyarrow as pa

    columns = zip(*((client.row, client.part, *client.values) for client in clients), strict=True)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, _schema(), strict=True)], _schema())


def _ranked(file: Path) -> Iterator[RankedClient]:
    """A file's clients, in order; the file stays open until the last."""
    import pyarrow as pa

    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as batches:
        for batch in batches:
            rows, parts, *columns = (batch[name].to_pylist() for name in (ROW, PART, *STORED_COLUMNS))
            for row, part, values in zip(rows, parts, zip(*columns, strict=True), strict=True):
                score = values[COLUMN_PLACE["score"]]
                yield RankedClient(np.inf if score is None else -score, row, part, values)
