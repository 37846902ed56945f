"""How rows join the clients: refused where next to none does, with the likely cause; examples where some do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.client_joins import (
    UnjoinedRows,
    alike_ids,
    join_of_ids,
    refuse_failed_join,
    sample,
    simplified,
)
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from tests.builders.tables import a_client, an_invoice, flags_of, read_back

IDS = [f"00261{i:02d}" for i in range(30)]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda text: text.lstrip("0"), "leading zeros"),
        (lambda text: f"{text}.0", "the .0 at the end"),
        (lambda text: f"{text[:3]} {text[3:]}", "blanks, dashes or other signs"),
        (lambda text: f"{text.lstrip('0')}.0", "the .0 at the end and leading zeros"),
    ],
)
def test_a_failed_join_names_its_likely_cause_and_an_example(change, cause):
    with pytest.raises(UnjoinedRows, match="0 of 30 invoices") as caught:
        refuse_failed_join(join_of_ids("invoices", map(change, IDS), IDS), "bills.csv")
    text = str(caught.value)
    assert text.startswith("bills.csv: ")
    assert f"differ in {cause}. Write the ids alike in both tables, as text." in text


def test_ids_in_other_letters_are_named_so():
    join = join_of_ids("readings", ["AB1", "AB2"], ["ab1", "ab2"])
    assert sorted(alike_ids(join)) == [("AB1", "ab1", "capital letters"), ("AB2", "ab2", "capital letters")]


def test_ids_of_another_kind_are_shown_side_by_side():
    with pytest.raises(UnjoinedRows, match=r"like '7\d+' here and like '00261\d+' among .* column .* client_id"):
        refuse_failed_join(join_of_ids("invoices", [f"7{i}" for i in range(30)], IDS), "bills.csv")


@pytest.mark.parametrize(
    ("rows", "clients"),
    [
        (["a", "x", "y"], ["a", "b"]),  # a part does not join
        ([f"x{i}" for i in range(100)] + ["a", "b"], ["a", "b"]),  # few clients of a large table
        (["a"], ["a", *IDS, *map(str, range(100))]),  # readings of a pilot
        ([], ["a"]),
    ],
)
def test_a_table_that_covers_few_clients_or_of_which_few_are_asked_is_not_refused(rows, clients):
    refuse_failed_join(join_of_ids("invoices", rows, clients), "bills.csv")


@given(st.lists(st.text(max_size=4), unique=True), st.lists(st.text(max_size=4), unique=True), st.integers(1, 3))
def test_parts_of_a_client_base_join_as_the_whole(rows, clients, n_parts):
    parts = [
        join_of_ids(
            "invoices", [r for r in rows if len(r) % n_parts == k], [c for c in clients if len(c) % n_parts == k]
        )
        for k in range(n_parts)
    ]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part)
    whole = join_of_ids("invoices", rows, clients)
    assert merged[:6] == whole[:6]
    assert merged.unknown == whole.unknown


@given(st.lists(st.text(max_size=4), unique=True), st.randoms())
def test_the_sample_of_ids_does_not_depend_on_their_order(ids, random):
    assert sample(ids) == sample(random.sample(ids, len(ids)))


def test_an_id_of_zeros_stays_an_id():
    assert simplified("000") == "000"


# --- the tables that join ---------------------------------------------------------------------------------------------


def test_invoices_of_other_ids_are_refused(tmp_path):
    clients = [a_client(client_id) for client_id in IDS]
    invoices = [an_invoice(client_id.lstrip("0")) for client_id in IDS]
    with pytest.raises(UnjoinedRows, match=r"invoices.csv: 0 of 30 invoices .* leading zeros"):
        read_back(tmp_path, clients, invoices)


def test_invoices_that_join_in_part_are_counted_with_examples(tmp_path):
    clients = [a_client(client_id) for client_id in IDS]
    invoices = [an_invoice(client_id) for client_id in IDS] + [an_invoice("26103"), an_invoice("x")]
    tables = read_back(tmp_path, clients, invoices)
    assert flags_of(tables) == {"invoices_of_unknown_clients": 2}
    assert tables.flags[0].text == (
        "Invoices of clients that are not in the clients' table, left out: 2. "
        "For example '26103', which differs from the client '0026103' in leading zeros."
    )


def test_readings_of_other_ids_are_refused(tmp_path):
    path = tmp_path / "readings.csv"
    path.write_text("client_id,read_at,consumption_kwh\n" + "".join(f"{int(i)},2014-03-24,5\n" for i in IDS))
    with pytest.raises(UnjoinedRows, match=r"readings: 0 of 30 readings .* leading zeros"):
        read_readings(path).for_clients(np.array(IDS, object))
    found = read_readings(path).for_clients(np.array([*(str(int(i)) for i in IDS[1:]), "c-1"], object))
    assert [flag.text for flag in found.flags] == [
        "Readings of clients that are not in the clients' table, left out: 1. For example '26100'."
    ]


def test_one_file_without_clients_needs_no_join(tmp_path):
    (tmp_path / "invoices.csv").write_text("client_id,invoice_on,consumption,months\na,2014-03-24,100,1\n")
    assert read_tables(tmp_path).clients["client_id"].tolist() == ["a"]
