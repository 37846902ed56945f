"""A part's evidence as an Arrow table, which can travel, and the parts' tables as the evidence of the whole.

In:  FeatureMatrix, the clients it is of, and their row numbers among all; or such tables, in any order.
Out: the same to the last bit, clients in the order of their row numbers.
"""

from collections.abc import Sequence

import numpy as np

from fairmeter.core.types import FeatureMatrix, GroupKeys, QualityFlag, Table
from fairmeter.data.partitioned.partitions import ROW, read_flags, table_to_arrow, with_flags
from fairmeter.data.tables import CLIENT_FIELDS, sum_flags

N_RECORDS, FEATURES, KEYS = "n_records", "features", "keys_of_"


def to_arrow(evidence: FeatureMatrix, clients: Table, rows: np.ndarray, flags: Sequence[QualityFlag]):
    """The Arrow table of a part, a row a client."""
    import pyarrow as pa

    table = table_to_arrow({ROW: rows, N_RECORDS: evidence.n_records} | clients)
    matrix = np.ascontiguousarray(evidence.features, dtype=np.float32)
    bytes_of_rows = pa.py_buffer(matrix.view(np.uint8).ravel())
    features = pa.Array.from_buffers(pa.binary(4 * matrix.shape[1]), len(matrix), [None, bytes_of_rows])
    table = table.append_column(FEATURES, features)
    for name, cells in evidence.cells.items():
        ends = np.append(0, np.cumsum(cells.counts)).astype(np.int32)
        table = table.append_column(KEYS + name, pa.ListArray.from_arrays(pa.array(ends), pa.array(cells.keys)))
    return with_flags(table, flags)


def from_arrow(tables: Sequence) -> tuple[Table, FeatureMatrix, list[QualityFlag]]:
    """Clients, their evidence, and the flags of the whole."""
    import pyarrow as pa

    narrow = pa.concat_tables([table.drop_columns([FEATURES]).replace_schema_metadata() for table in tables])
    rows = narrow[ROW].to_numpy()
    order = np.argsort(rows)
    sorted_rows, narrow = rows[order], narrow.take(pa.array(order))
    features = None
    for table in tables:  # into their places at once: these are nearly all there is, and must not be in memory twice
        matrix = _matrix(table[FEATURES].combine_chunks())
        if features is None:
            features = np.empty((len(rows), matrix.shape[1]), np.float32)
        features[np.searchsorted(sorted_rows, table[ROW].to_numpy())] = matrix
    clients = {f.name: narrow[f.name].to_numpy() for f in CLIENT_FIELDS if f.name in narrow.column_names}
    cells = {
        name.removeprefix(KEYS): _group_keys(narrow[name]) for name in narrow.column_names if name.startswith(KEYS)
    }
    flags = sum_flags(flag for table in tables for flag in read_flags(table))
    return clients, FeatureMatrix(features, narrow[N_RECORDS].to_numpy(), cells), flags


def _matrix(column) -> np.ndarray:
    width = column.type.byte_width
    start = column.offset * width
    data = np.frombuffer(column.buffers()[1], np.uint8)[start : start + len(column) * width]
    return data.view(np.float32).reshape(len(column), width // 4)


def _group_keys(column) -> GroupKeys:
    from pyarrow import compute

    column = column.combine_chunks()
    return GroupKeys(compute.list_value_length(column).to_numpy().astype(np.int64), column.flatten().to_numpy())
