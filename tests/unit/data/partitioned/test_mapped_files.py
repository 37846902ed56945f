"""A base read by a map in partitions is the one that is read at once, to the bit."""

import numpy as np
import pytest

from benchmarks.helpers import exports
from benchmarks.helpers.files import write_files
from fairmeter.data.files import TableError
from fairmeter.data.maps import parse_map, read_map
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.partitioned.disk import partition_on_disk
from fairmeter.data.partitioned.mapped_files import find_mapped_files
from fairmeter.data.tables import sum_flags
from tests.unit.data.maps.test_shipped_invoices import UPPCL


def parts_of(data_map, folder, tmp_path, max_bytes):
    files = find_mapped_files(data_map, (folder,))
    return [part.open() for part in partition_on_disk(files, tmp_path / "parts", max_bytes, lambda _n: None)]


def by_client(tables):
    """{client id: its columns of both tables}."""
    out = {}
    for row, client_id in enumerate(tables.clients["client_id"]):
        mine = tables.invoices["client"] == row
        clients = {name: column[row] for name, column in tables.clients.items()}
        out[client_id] = clients, {n: c[mine] for n, c in tables.invoices.items() if n != "client"}
    return out


def check(data_map, folder, tmp_path, max_bytes):
    whole = read_mapped_base(data_map, (folder,)).tables
    parts = parts_of(data_map, folder, tmp_path, max_bytes)
    assert len(parts) > 1 or max_bytes > 10**6
    found = {}
    for tables, _ in parts:
        found |= by_client(tables)
    expected = by_client(whole)
    assert found.keys() == expected.keys()
    for client_id, (client, invoices) in expected.items():
        mine, bills = found[client_id]
        assert all(mine[n] == v or v != v for n, v in client.items()), client_id
        assert bills.keys() == invoices.keys()
        for name, column in invoices.items():
            np.testing.assert_array_equal(bills[name], column, f"{client_id} {name}")
    numbers = np.concatenate([rows for _, rows in parts])
    ids = np.concatenate([tables.clients["client_id"] for tables, _ in parts])
    assert ids[np.argsort(numbers)].tolist() == whole.clients["client_id"].tolist()
    flags = sum_flags(flag for tables, _ in parts for flag in tables.flags)
    assert {(f.flag, f.n) for f in flags} == {(f.flag, f.n) for f in whole.flags}


@pytest.mark.parametrize("make", [exports.brazilian, exports.indian])
@pytest.mark.parametrize("max_bytes", [200_000, 10**9])
def test_partitions_hold_the_base_that_is_read_at_once(make, max_bytes, tmp_path):
    export = make(tmp_path)
    check(read_map(export.map), export.files, tmp_path, max_bytes)


def test_versions_and_cancelled_bills_meet_in_a_partition(tmp_path):
    check(read_map("uppcl"), write_files(tmp_path / "files", UPPCL), tmp_path, 10**9)


def test_clients_may_be_those_of_the_invoices(tmp_path):
    text = '[invoices]\nclient_id = "id"\ninvoice_on = "day"\nconsumption = "kwh"\nmonths = {constant = 1}\n'
    rows = "".join(f"c{i % 7},2024-{1 + i // 7:02d}-01,{i}\n" for i in range(63))
    folder = write_files(tmp_path / "files", {"a.csv": "id,day,kwh\n" + rows})
    check(parse_map(text), folder, tmp_path, 10_000)


def test_a_map_without_invoices_is_refused(tmp_path):
    with pytest.raises(TableError, match=r"states no \[invoices\]"):
        find_mapped_files(parse_map('[clients]\nclient_id = "id"\n'), (tmp_path,))
