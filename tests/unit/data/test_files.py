"""Formats of files, and the one sentence that bad input raises."""

import gzip
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fairmeter.data import files
from fairmeter.data.files import (
    DamagedFile,
    EmptyTable,
    InvalidValue,
    MissingColumns,
    MissingFile,
    TableError,
    UnreadableDate,
)
from fairmeter.data.tables import DuplicateClient, read_tables
from tests.builders.tables import (
    CLIENTS,
    INVOICES,
    a_client,
    an_invoice,
    csv_text,
    flags_of,
    in_kaggle_names,
    read_back,
    same,
    written,
    zipped,
)

# --- forms ------------------------------------------------------------------------------------------------------------


def test_tables_are_canonical(tmp_path):
    tables = read_back(tmp_path, CLIENTS, INVOICES)
    numbers = {"category", "region", "district", "label"}
    types = {"client_id": "O", "created_on": "<M8[D]"} | dict.fromkeys(numbers, "<f8")
    assert {name: column.dtype.str.strip("|") for name, column in tables.clients.items()} == types
    types = {name: "<f8" for name in an_invoice() if name != "client_id"}
    types |= {"client": "<i8", "invoice_on": "<M8[D]", "energy": "i1"}
    assert {name: column.dtype.str.strip("|") for name, column in tables.invoices.items()} == types
    assert tables.clients["client_id"].tolist() == ["c-1", "c-2"]
    assert tables.clients["created_on"].astype(str).tolist() == ["2003-08-12", "1999-01-31"]
    assert tables.invoices["client"].tolist() == [0, 1, 1]
    assert tables.invoices["energy"].tolist() == [1, 0, 0]
    assert tables.invoices["new_index"].tolist() == [600, 600, 600]
    assert tables.flags == []


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_every_format_gives_the_same_tables(tmp_path, ending):
    (tmp_path / "plain").mkdir()
    expected = read_back(tmp_path / "plain", CLIENTS, INVOICES)
    (tmp_path / "other").mkdir()
    folder = written(tmp_path / "other", CLIENTS, INVOICES, ending)
    for tables in (
        read_tables(folder),
        read_tables(folder / f"clients{ending}", folder / f"invoices{ending}"),
        read_tables(clients=folder / f"clients{ending}", invoices=folder / f"invoices{ending}"),
    ):
        same(tables.clients, expected.clients)
        same(tables.invoices, expected.invoices)


def test_a_zip_is_read_with_any_kind_of_members(tmp_path):
    expected = read_back(tmp_path, CLIENTS, INVOICES)
    for ending in (".csv", ".csv.gz", ".parquet"):
        written(tmp_path, CLIENTS, INVOICES, ending)
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
            archive.write(tmp_path / f"clients{ending}", f"data/Clients{ending}")
            archive.write(tmp_path / f"invoices{ending}", f"data/Invoices{ending}")
            archive.writestr("data/readme.txt", "clients and invoices")
            archive.writestr("__MACOSX/data/._Clients.csv", "not a table")
        tables = read_tables(tmp_path / "archive.zip")
        same(tables.clients, expected.clients)
        same(tables.invoices, expected.invoices)


def test_kaggle_names_any_order_of_columns_and_extra_columns_change_nothing(tmp_path):
    expected = read_back(tmp_path, CLIENTS, INVOICES)
    shuffled = [dict(reversed(row.items())) for row in in_kaggle_names(INVOICES)]
    with_index = [{"": i, **row, "Unnamed: 7": "x"} for i, row in enumerate(shuffled)]
    day_first = [row | {"created_on": "/".join(reversed(row["created_on"].split("-")))} for row in CLIENTS]
    path = zipped(tmp_path / "a.zip", client_train=csv_text(in_kaggle_names(day_first)), invoice=csv_text(with_index))
    tables = read_tables(path)
    same(tables.clients, expected.clients)
    same(tables.invoices, expected.invoices)


def test_it_reads_the_train_files_where_there_are_test_files_too(tmp_path):
    other = csv_text([a_client("other")]), csv_text([an_invoice("other")])
    train = csv_text(CLIENTS), csv_text(INVOICES)
    members = {"client_train": train[0], "client_test": other[0], "invoice_test": other[1], "invoice_train": train[1]}
    assert read_tables(zipped(tmp_path / "a.zip", **members)).clients["client_id"].tolist() == ["c-1", "c-2"]


def test_an_explicitly_named_file_may_have_any_name(tmp_path):
    (tmp_path / "client_bills.csv").write_text(csv_text(INVOICES))
    (tmp_path / "people.csv").write_text(csv_text(CLIENTS))
    tables = read_tables(clients=tmp_path / "people.csv", invoices=tmp_path / "client_bills.csv")
    assert len(tables.invoices["client"]) == 3


def test_dates_and_codes_of_typed_parquet_are_read(tmp_path):
    days = np.array(["2003-08-12T13:45", "NaT"], "datetime64[ns]")
    clients = {"client_id": [1.0, 2.0], "category": ["client_catg_11", None], "region": [103, 104]}
    clients |= {"district": pa.array(["69", "60"]).dictionary_encode(), "created_on": pa.array(days, from_pandas=True)}
    parquet.write_table(pa.table(clients | {"target": [True, None]}), tmp_path / "c.parquet")
    (tmp_path / "invoices.csv").write_text(csv_text([an_invoice("2"), an_invoice("1")]))
    tables = read_tables(tmp_path / "invoices.csv", clients=tmp_path / "c.parquet")
    assert tables.clients["client_id"].tolist() == ["1", "2"]
    assert tables.clients["created_on"].astype(str).tolist() == ["2003-08-12", "NaT"]
    np.testing.assert_array_equal(tables.clients["category"], [11, np.nan])
    np.testing.assert_array_equal(tables.clients["district"], [69, 60])
    np.testing.assert_array_equal(tables.clients["label"], [1, np.nan])
    assert flags_of(tables) == {"no_creation_date": 1}


def test_optional_columns_are_present_where_given(tmp_path):
    clients = [a_client(latitude=36.8, longitude=10.2, transformer_id="T-9", tariff_price=0.2, label=None)]
    tables = read_back(tmp_path, clients, [an_invoice()])
    assert {"latitude", "longitude", "transformer_id", "tariff_price", "label"} <= set(tables.clients)
    assert tables.clients["latitude"].tolist() == [36.8]
    assert tables.clients["transformer_id"].tolist() == ["T-9"]
    assert np.isnan(tables.clients["label"]).all()


# --- bad input --------------------------------------------------------------------------------------------------------


def lines(*rows):
    return csv_text(list(rows))


GOOD = lines(a_client()), lines(an_invoice())
HEADER = GOOD[1].splitlines()[0]
AFTER_BLANK_AND_QUOTED = GOOD[1].replace("ELEC", '"ELEC\n"') + "\n" + lines(an_invoice(months="four")).splitlines()[1]

BAD = [
    (GOOD[0], lines(an_invoice(), an_invoice(invoice_on="31/31/2014")), UnreadableDate, ["line 3", "'31/31/2014'"]),
    (GOOD[0], lines(an_invoice(invoice_on=None)), UnreadableDate, ["line 2", "empty"]),
    (GOOD[0], lines(an_invoice(invoice_on="1900-01-01")), UnreadableDate, ["1950 to 2100", "'1900-01-01'"]),
    (lines(a_client(created_on="?")), GOOD[1], UnreadableDate, ["clients.csv, line 2: created_on is '?'"]),
    (GOOD[0], lines(an_invoice(), an_invoice(new_index="12,5")), DamagedFile, ["line 3", "17 values", "16"]),
    (GOOD[0], lines(an_invoice(), an_invoice(new_index="12;5")), InvalidValue, ["line 3: new_index is '12;5'"]),
    (GOOD[0], AFTER_BLANK_AND_QUOTED, InvalidValue, ["line 5: months is 'four'"]),
    (GOOD[0], lines(an_invoice(energy="WATER")), InvalidValue, ["line 2: energy is 'WATER'", "ELEC or GAZ"]),
    (lines(a_client(label=2)), GOOD[1], InvalidValue, ["line 2: label is '2'"]),
    (lines(a_client("")), GOOD[1], InvalidValue, ["line 2: client_id is ''"]),
    (lines(a_client(), a_client("c-2"), a_client()), GOOD[1], DuplicateClient, ["2 rows", "'c-1'"]),
    ("", GOOD[1], EmptyTable, ["clients.csv is empty"]),
    (GOOD[0], HEADER + "\n", EmptyTable, ["invoices.csv", "no rows"]),
    (GOOD[0].replace("client_id", "id"), GOOD[1], MissingColumns, ["lacks client_id", "'id'", "data/README.md"]),
    (GOOD[0], GOOD[1].replace("invoice_on", "x"), MissingColumns, ["lacks invoice_on or invoice_date;", "'tariff'"]),
    (GOOD[0], "client_id,invoice_on,months\nc-1,2014-03-24,4\n", MissingColumns, ["no column of consumption"]),
    (lines(a_client(client_catg=11)), GOOD[1], MissingColumns, ["category more than once"]),
]


@pytest.mark.parametrize(("clients", "invoices", "error", "words"), BAD)
def test_bad_input_raises_one_sentence(tmp_path, clients, invoices, error, words):
    with pytest.raises(error) as caught:
        read_tables(written(tmp_path, clients, invoices))
    says_in_one_sentence(caught.value, *words)


def says_in_one_sentence(error, *words):
    text = str(error)
    assert isinstance(error, TableError)
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text


def test_a_bad_value_in_parquet_is_located_by_its_row(tmp_path):
    written(tmp_path, [a_client()], [an_invoice(), an_invoice(invoice_on="soon")], ".parquet")
    with pytest.raises(UnreadableDate, match=r"invoices\.parquet, row 2: invoice_on is 'soon'"):
        read_tables(tmp_path)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(MissingFile) as caught:
        read_tables(tmp_path / "archive.zip")
    says_in_one_sentence(caught.value, "archive.zip does not exist")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"clients": GOOD[0]}, ["'invoice' in its name", "clients.csv"]),
        (
            {"clients_1": GOOD[0], "clients_2": GOOD[0], "invoices": GOOD[1]},
            ["'client'", "clients_1.csv", "clients_2.csv"],
        ),
        ({}, ["archive.zip"]),
    ],
)
def test_a_zip_without_one_table_of_each_kind_is_refused_with_its_contents(tmp_path, members, words):
    with pytest.raises(MissingFile) as caught:
        read_tables(zipped(tmp_path / "archive.zip", **members))
    says_in_one_sentence(caught.value, *words)


def good_zip(tmp_path):
    return zipped(tmp_path / "archive.zip", clients=GOOD[0] * 50, invoices=GOOD[1])


def flip(data, where):
    return data[:where] + bytes([data[where] ^ 0xFF]) + data[where + 1 :]


def encrypted(data):
    place = data.index(b"PK\x01\x02") + 8  # the flags of the first member in the zip's directory
    return data[:place] + bytes([data[place] | 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], ["archive.zip cannot be read"]),
        (lambda _data: b"", ["archive.zip cannot be read"]),
        (lambda data: flip(data, 60), ["clients.csv in", "cannot be read"]),
        (encrypted, ["clients.csv in", "is encrypted"]),
    ],
)
def test_a_damaged_zip_is_refused(tmp_path, damage, words):
    path = good_zip(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedFile) as caught:
        read_tables(path)
    says_in_one_sentence(caught.value, *words)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("invoices.csv.gz", gzip.compress(GOOD[1].encode(), mtime=0)[:40], ["cannot be read"]),
        ("invoices.csv.gz", GOOD[1].encode(), ["cannot be read"]),
        ("invoices.parquet", GOOD[1].encode(), ["cannot be read"]),
        ("invoices.doc", b"PK", ["does not end in .zip, .csv"]),
    ],
)
def test_a_file_that_cannot_be_decoded_is_refused(tmp_path, name, data, words):
    (tmp_path / "clients.csv").write_text(GOOD[0])
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DamagedFile) as caught:
        read_tables(tmp_path / "clients.csv", tmp_path / name)
    says_in_one_sentence(caught.value, name, *words)


def test_a_byte_order_mark_is_not_part_of_the_first_column_name(tmp_path):
    written(tmp_path, *GOOD)
    (tmp_path / "clients.csv").write_text(GOOD[0], encoding="utf-8-sig")
    assert read_tables(tmp_path).clients["client_id"].tolist() == ["c-1"]


@pytest.mark.parametrize("ending", [".csv.gz", ".zip"])
def test_a_file_that_unpacks_to_too_many_bytes_is_refused(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 2000)
    many = GOOD[0] + "x,1,1,1,\n" * 1000
    path = zipped(tmp_path / "a.zip", clients=many, invoices=GOOD[1])
    with pytest.raises(DamagedFile, match="unpacks to over 2,000 bytes"):
        read_tables(path if ending == ".zip" else written(tmp_path, many, GOOD[1], ending))


def test_a_zip_of_very_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_MEMBERS", 1)
    with pytest.raises(DamagedFile, match="contains 2 files"):
        read_tables(good_zip(tmp_path))
