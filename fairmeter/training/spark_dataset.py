"""A Dataset whose features are computed on Apache Spark, equal to the last bit to the one computed in memory.

In:  the master of a cluster, files or folders of clients and invoices.
Out: the Dataset; the cluster is released before anything is fitted.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.maps.spec import DataMap
from fairmeter.data.partitioned.evidence_tables import from_arrow, to_arrow
from fairmeter.data.partitioned.mapped_files import find_mapped_files
from fairmeter.data.partitioned.partitions import describe_files, find_table_files
from fairmeter.data.partitioned.spark import spark_jobs
from fairmeter.data.tables import Tables, judge_base
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.training.dataset import Dataset

OnProgress = Callable[[str, int, int | None], None]  # (what runs, how much is done, of how much)


def partition_features(tables: Tables, rows: np.ndarray):
    """The Arrow table of one partition's features. [rows: row numbers of its clients among all]"""
    evidence = client_features(tables.clients, tables.invoices)
    return to_arrow(evidence, tables, rows)


def read_dataset_on_spark(
    master: str,
    paths: Sequence[Path],
    on_progress: OnProgress,
    clients: Path | None = None,
    invoices: Path | None = None,
    data_map: DataMap | None = None,
) -> Dataset:
    """Compute the features on the cluster of this master. Raises TableError, TrainingError, SparkError."""
    find_files = find_table_files if data_map is None else partial(find_mapped_files, data_map)
    pieces = find_files(tuple(paths), clients, invoices)
    with spark_jobs(master) as machines:
        tables, evidence = from_arrow(list(machines.map_partitions(pieces, partition_features, on_progress)))

    place = describe_files(pieces.invoices) if data_map is None else f"The invoices of {data_map.name}"
    tables = judge_base(tables, place)

    def find(some: np.ndarray) -> tuple[Table, Table]:
        with spark_jobs(master) as machines:
            found, _ = machines.collect_clients(pieces, tables.clients["client_id"][some].tolist())
        return found.clients, found.invoices

    name = ", ".join(path.name for path in (*paths, *filter(None, (clients, invoices))))
    return Dataset.from_tables(name, tables, evidence, FEATURE_NAMES, find)
