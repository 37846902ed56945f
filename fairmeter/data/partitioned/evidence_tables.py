"""Conversion of a partition's features to an Arrow table, for transport between processes, and back.

In:  a FeatureMatrix, the Tables of its clients, and their row numbers in the client base; or such tables, in any order.
Out: the same values to the last bit, clients in the order of their row numbers.
"""

import json
from collections.abc import Sequence

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import FeatureMatrix, GroupKeys, InvoiceRows
from fairmeter.data.invoice_rules.client_base import merge_summaries
from fairmeter.data.partitioned.partitions import ROW, read_flags, read_summary, table_to_arrow, with_flags
from fairmeter.data.tables import CLIENT_FIELDS, Tables, sum_flags

N_RECORDS, FEATURES, KEYS = "n_records", "features", "keys_of_"
MATES, INVOICES = "mates_of_invoices", "values_of_invoices"


def to_arrow(matrix: FeatureMatrix, tables: Tables, rows: np.ndarray):
    """The Arrow table of a partition, with a row per client."""
    import pyarrow as pa

    table = table_to_arrow({ROW: rows, N_RECORDS: matrix.n_records} | tables.clients)
    table = table.append_column(FEATURES, _bytes_of_rows(matrix.features))
    for name, keys in matrix.group_keys.items():
        table = table.append_column(KEYS + name, _lists(keys.counts, pa.array(keys.keys)))
    if matrix.invoices is not None:
        counts, mates, values = matrix.invoices
        table = table.append_column(MATES, _lists(counts, pa.array(mates)))
        table = table.append_column(INVOICES, _lists(counts, _bytes_of_rows(values)))
    return with_flags(table, tables.flags, tables.summary, names=tables.code_names.to_json(), missing=tables.missing)


def from_arrow(tables: Sequence) -> tuple[Tables, FeatureMatrix]:
    """The Tables of all partitions together, without invoices, and their clients' features."""
    import pyarrow as pa

    narrow = pa.concat_tables([table.drop_columns([FEATURES]).replace_schema_metadata() for table in tables])
    rows = narrow[ROW].to_numpy()
    order = np.argsort(rows)
    sorted_rows, narrow = rows[order], narrow.take(pa.array(order))
    features = None
    for table in tables:  # copied into place one by one: most of the memory, which must not be needed twice
        matrix = _matrix(table[FEATURES].combine_chunks())
        if features is None:
            features = np.empty((len(rows), matrix.shape[1]), np.float32)
        features[np.searchsorted(sorted_rows, table[ROW].to_numpy())] = matrix
    clients = {f.name: narrow[f.name].to_numpy() for f in CLIENT_FIELDS if f.name in narrow.column_names}
    group_keys = {
        name.removeprefix(KEYS): _group_keys(narrow[name]) for name in narrow.column_names if name.startswith(KEYS)
    }
    invoices = None
    if MATES in narrow.column_names:
        values = _matrix(narrow[INVOICES].combine_chunks().flatten())
        invoices = InvoiceRows(*_group_keys(narrow[MATES]), values)
    flags = sum_flags(flag for table in tables for flag in read_flags(table))
    summary = merge_summaries(map(read_summary, tables))
    names, missing = NO_CODE_NAMES, ()
    for table in tables:
        names |= CodeNames.from_json(json.loads(table.schema.metadata[b"names"]))
        missing = tuple(json.loads(table.schema.metadata[b"missing"]))
    matrix = FeatureMatrix(features, narrow[N_RECORDS].to_numpy(), group_keys, invoices)
    return Tables(clients, {}, flags, [], names, missing, summary=summary), matrix


def _bytes_of_rows(matrix: np.ndarray):
    import pyarrow as pa

    values = np.ascontiguousarray(matrix, dtype=np.float32)
    buffer = pa.py_buffer(values.view(np.uint8).ravel())
    return pa.Array.from_buffers(pa.binary(4 * values.shape[1]), len(values), [None, buffer])


def _lists(counts: np.ndarray, values):
    """One list a client, of so many of the values."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)).astype(np.int32)), values)


def _matrix(column) -> np.ndarray:
    width = column.type.byte_width
    start = column.offset * width
    data = np.frombuffer(column.buffers()[1], np.uint8)[start : start + len(column) * width]
    return data.view(np.float32).reshape(len(column), width // 4)


def _group_keys(column) -> GroupKeys:
    from pyarrow import compute

    column = column.combine_chunks()
    return GroupKeys(compute.list_value_length(column).to_numpy().astype(np.int64), column.flatten().to_numpy())
