"""Tables in many files and in partitions on disk, which together equal the tables read at once."""

import os
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fairmeter.data.files import DamagedFile, EmptyTable, MissingColumns, MissingFile, UnreadableDate
from fairmeter.data.invoice_rules.client_base import check_client_base, merge_summaries
from fairmeter.data.partitioned import disk
from fairmeter.data.partitioned.disk import partition_on_disk
from fairmeter.data.partitioned.partitions import find_table_files, partition_tables
from fairmeter.data.tables import DuplicateClient, read_tables, sum_flags
from tests.builders.tables import (
    CLEANED,
    CLIENTS,
    INVOICES,
    ODD_CODES,
    a_client,
    an_invoice,
    csv_text,
    in_kaggle_names,
    written,
)

MEMORY = 10**9
DIRTY = [an_invoice(f"c-{i % 9}", **changes) for i, (changes, *_) in enumerate((*CLEANED, *ODD_CODES))]
DIRTY += [DIRTY[0], an_invoice("c-1"), an_invoice("unknown"), an_invoice("c-2", invoice_on="04/03/2014")]
BASE = [a_client(f"c-{i}", latitude=36 + i, created_on=None if i == 3 else "2003-08-12") for i in range(12)]


def parts_of(folder, *sources, memory=MEMORY, **named):
    """The partitions of these files."""
    return list(partition_on_disk(find_table_files(sources, **named), folder / "parts", memory, lambda _n: None))


def same_clients(parts, expected):
    """Assert that each client is in one partition, with the rows, invoices and flags of tables read at once."""
    seen = []
    for part in parts:
        tables, rows = part.open()
        assert part.n_clients == len(rows) == len(tables.quality)
        for i, client_id in enumerate(tables.clients["client_id"]):
            at = expected.clients["client_id"].tolist().index(client_id)
            seen.append((int(rows[i]), at))
            assert {n: str(c[i]) for n, c in tables.clients.items()} == {
                n: str(c[at]) for n, c in expected.clients.items()
            }
            assert invoices_of(tables, i) == invoices_of(expected, at)
            assert tables.quality[i] == expected.quality[at]
    assert sorted(seen) == sorted(seen, key=lambda pair: pair[1])  # row numbers are in the order of the files
    assert len(seen) == len(expected.quality)
    assert flags_of_all(parts) == expected.flags


def flags_of_all(parts):
    opened = [part.open()[0] for part in parts]
    summary = merge_summaries(tables.summary for tables in opened)
    flags = sum_flags(flag for tables in opened for flag in tables.flags)
    return flags if summary is None else check_client_base(summary, flags, "")


def invoices_of(tables, client):
    theirs = tables.invoices["client"] == client
    columns = {name: column[theirs] for name, column in tables.invoices.items() if name != "client"}
    return sorted(zip(*(column.astype(str).tolist() for column in columns.values()), strict=True))


def in_several_files(folder, rows, name, n=3):
    """A folder with the rows in several CSV files."""
    (folder / name).mkdir()
    for i in range(n):
        (folder / name / f"part-{i:05d}.csv").write_text(csv_text(rows[i::n]))
    return folder / name


# --- equal to tables read at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("fan", [1, 3, 128])
def test_partitions_together_equal_the_tables_read_at_once(tmp_path, monkeypatch, ending, fan):
    monkeypatch.setattr(disk, "FAN_OUT", fan)
    folder = written(tmp_path, BASE, DIRTY, ".csv")
    if ending != ".csv":
        texts = [{name: None if value is None else str(value) for name, value in row.items()} for row in DIRTY]
        folder = tmp_path / "other"
        folder.mkdir()
        if ending == ".parquet":
            parquet.write_table(pa.Table.from_pylist(texts), folder / "invoices.parquet")
            (folder / "clients.csv").write_text(csv_text(BASE))
        else:
            written(folder, BASE, DIRTY, ending)
    same_clients(parts_of(tmp_path, folder), read_tables(folder))


def test_swapped_dates_of_the_public_export_are_corrected_in_partitions_too(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 2)
    invoices = [an_invoice(f"c-{i % 9}", invoice_on=f"2014-0{1 + i % 9}-1{i % 3}", old_index=i) for i in range(40)]
    folder = written(tmp_path, in_kaggle_names(BASE), in_kaggle_names(invoices))
    expected = read_tables(folder)
    assert "day_and_month_swapped" in {flag.flag for flag in expected.flags}
    same_clients(parts_of(tmp_path, folder), expected)


def test_files_that_are_too_large_are_split_until_they_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 2)
    expected = read_tables(written(tmp_path, BASE, DIRTY))
    parts = parts_of(tmp_path, tmp_path, memory=3 * disk.CLIENT_BYTES)
    assert len(parts) > 2
    same_clients(parts, expected)


def test_a_partition_is_as_large_as_memory_allows_and_no_larger(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 8)
    written(tmp_path, [a_client(f"c-{i}") for i in range(500)], [an_invoice(f"c-{i % 500}") for i in range(1500)])
    memory = 40 * disk.CLIENT_BYTES + 120 * disk.INVOICE_BYTES
    opened = [part.open()[0] for part in parts_of(tmp_path, tmp_path, memory=memory)]
    sizes = [
        len(part.quality) * disk.CLIENT_BYTES + len(part.invoices["client"]) * disk.INVOICE_BYTES for part in opened
    ]
    assert max(sizes) <= memory
    assert np.mean(sizes) > 0.5 * memory


def test_a_client_with_most_of_the_invoices_is_one_partition(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    many = [an_invoice("c-1", old_index=i) for i in range(3000)]
    expected = read_tables(written(tmp_path, BASE, DIRTY + many))
    same_clients(parts_of(tmp_path, tmp_path, memory=1000 * disk.INVOICE_BYTES), expected)


def test_a_table_in_many_files_is_one_table(tmp_path):
    expected = read_tables(written(tmp_path, BASE, DIRTY))
    (tmp_path / "many").mkdir()
    in_several_files(tmp_path / "many", BASE, "clients")
    in_several_files(tmp_path / "many", DIRTY, "invoices.parquet")  # a folder may have any ending, as those of Spark do
    parts = parts_of(tmp_path, tmp_path / "many")
    assert [len(part.open()[1]) for part in parts] == [12]
    ids = parts[0].open()[0].clients["client_id"].tolist()
    assert ids == [f"c-{i}" for start in range(3) for i in range(start, 12, 3)]
    assert flags_of_all(parts) == expected.flags
    named = parts_of(
        tmp_path / "again",
        clients=tmp_path / "many" / "clients",
        invoices=tmp_path / "many" / "invoices.parquet",
    )
    assert named[0].open()[0].clients["client_id"].tolist() == ids


def test_a_column_that_some_files_have_is_missing_for_the_others(tmp_path):
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "a.csv").write_text(csv_text([a_client("a", latitude=36.5, transformer_id="t-1")]))
    (tmp_path / "clients" / "b.csv").write_text(csv_text([a_client("b")]))
    (tmp_path / "invoices.csv").write_text(csv_text([an_invoice("a"), an_invoice("b")]))
    [part] = parts_of(tmp_path, tmp_path)
    clients = part.open()[0].clients
    np.testing.assert_array_equal(clients["latitude"], [36.5, np.nan])
    assert clients["transformer_id"].tolist() == ["t-1", ""]
    assert "label" not in clients


def test_numbers_are_the_same_where_a_later_row_forces_them_to_be_read_as_text(tmp_path, monkeypatch):
    from fairmeter.data.layouts import text_tables

    monkeypatch.setattr(text_tables, "BLOCK_BYTES", 2000)
    rows = [an_invoice("c-1", old_index=i / 3) for i in range(100)] + [an_invoice("c-1", old_index=" 7 ")]
    folder = written(tmp_path, BASE, rows)
    same_clients(parts_of(tmp_path, folder), read_tables(folder))


# --- what cannot be used ----------------------------------------------------------------------------------------------


def spoilt(folder, rows, line):
    """Three files of invoices, the second of which has a bad line at its end."""
    (folder / "clients.csv").write_text(csv_text(CLIENTS))
    place = in_several_files(folder, rows, "invoices") / "part-00001.csv"
    with place.open("a") as file:
        file.write(line)
    return place


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("c-1,soon,ELEC,11,4711,0,203,6,1,500,600,90,10,0,0,4\n", UnreadableDate, "line 42: invoice_on is 'soon'"),
        ("c-1,2014-01-01,ELEC\n", DamagedFile, "line 42 has 3 values where the header has 16"),
    ],
)
def test_a_bad_row_is_named_with_its_file_and_line(tmp_path, monkeypatch, line, error, words):
    from fairmeter.data.layouts import text_tables

    monkeypatch.setattr(text_tables, "BLOCK_BYTES", 1000)  # the bad row is not in the first block
    place = spoilt(tmp_path, [an_invoice("c-1", old_index=i) for i in range(120)], line)
    with pytest.raises(error) as caught:
        parts_of(tmp_path, tmp_path)
    assert str(place) in str(caught.value)
    assert words in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "clients.csv").write_text(csv_text(CLIENTS))
    (tmp_path / "invoices").mkdir()
    rows = pa.Table.from_pylist(INVOICES)
    for name in "ab":
        parquet.write_table(rows, tmp_path / "invoices" / f"{name}.parquet")
    damaged = tmp_path / "invoices" / "b.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20] + os.urandom(20))
    with pytest.raises(DamagedFile, match=str(damaged)):
        parts_of(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda folder: (folder / "invoices.csv").unlink(), MissingFile, "'invoice' in their names"),
        (
            lambda folder: (folder / "clients.csv").write_text(csv_text([*CLIENTS, CLIENTS[0]])),
            DuplicateClient,
            "2 rows for client 'c-1'",
        ),
        (
            lambda folder: (folder / "invoices.csv").write_text(csv_text(INVOICES).splitlines()[0] + "\n"),
            EmptyTable,
            "no rows",
        ),
        (lambda folder: (folder / "invoices.csv").write_text(""), EmptyTable, "is empty"),
        (lambda folder: (folder / "invoices.csv").write_text("client_id\n1\n"), MissingColumns, "lacks invoice_on"),
    ],
)
def test_bad_tables_raise_the_same_error_as_when_read_at_once(tmp_path, spoil, error, words):
    written(tmp_path, CLIENTS, INVOICES)
    spoil(tmp_path)
    with pytest.raises(error, match=words):
        [part.open() for part in parts_of(tmp_path, tmp_path)]


def test_a_file_with_only_a_header_may_be_one_of_several(tmp_path):
    (tmp_path / "clients.csv").write_text(csv_text(CLIENTS))
    place = in_several_files(tmp_path, INVOICES, "invoices")
    (place / "part-00009.csv").write_text(csv_text(INVOICES).splitlines()[0])
    [part] = parts_of(tmp_path, tmp_path)
    assert len(part.open()[0].invoices["client"]) == len(INVOICES)


def test_clients_without_invoices_are_in_partitions_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 16)
    folder = written(tmp_path, BASE, [an_invoice("c-5"), an_invoice("unknown")])
    same_clients(parts_of(tmp_path, folder, memory=1), read_tables(folder))


def test_rows_of_a_partition_may_be_in_any_order(tmp_path):
    pieces = find_table_files((written(tmp_path, BASE, DIRTY),))
    clients = pa.concat_tables(pieces.client_rows(0))
    invoices = pa.concat_tables(pieces.invoice_rows(0))
    backwards = [t.take(pa.array(np.arange(t.num_rows)[::-1])) for t in (clients, invoices)]
    one, rows = partition_tables(clients, invoices, "here")
    other, same_rows = partition_tables(*backwards, "here")
    assert rows.tolist() == same_rows.tolist()
    assert one.quality == other.quality
    for client in range(12):
        assert invoices_of(one, client) == invoices_of(other, client)


# --- names, and what is not given -------------------------------------------------------------------------------------


def test_names_of_codes_are_the_same_in_partitions(tmp_path):
    clients = [a_client(f"c-{i}", region=f"Region {i % 3}", category=11) for i in range(9)]
    invoices = [an_invoice(f"c-{i}", remark="LOCKED" if i == 4 else 6, meter_id=f"M{i}") for i in range(9)]
    place = written(tmp_path, clients, invoices)
    expected = read_tables(place)
    parts = parts_of(tmp_path, place, memory=10_000)
    assert len(parts) > 1
    same_clients(parts, expected)
    names = [part.open()[0].code_names for part in parts]
    assert reduce(or_, names).by_column == expected.code_names.by_column
    assert {"region", "remark", "meter_id"} == set(expected.code_names.by_column)


def test_clients_without_a_table_and_columns_are_the_same_in_partitions(tmp_path):
    rows = [{"client_id": f"c-{i % 5}", "invoice_on": f"2023-{i // 5 + 1:02}-15", "consumption": i} for i in range(20)]
    (tmp_path / "invoices.csv").write_text(csv_text(rows))
    expected = read_tables(tmp_path)
    tables, numbers = zip(*(part.open() for part in parts_of(tmp_path, tmp_path, memory=10_000)), strict=True)
    assert sorted(id_ for one in tables for id_ in one.clients["client_id"]) == [f"c-{i}" for i in range(5)]
    assert sum_flags(flag for one in tables for flag in one.flags) == expected.flags
    assert {one.missing for one in tables} == {expected.missing}
    first = {
        id_: row
        for one, of in zip(tables, numbers, strict=True)
        for id_, row in zip(one.clients["client_id"], of, strict=True)
    }
    assert sorted(first, key=first.get) == expected.clients["client_id"].tolist()
    for one in tables:
        for i, id_ in enumerate(one.clients["client_id"]):
            assert invoices_of(one, i) == invoices_of(expected, expected.clients["client_id"].tolist().index(id_))
