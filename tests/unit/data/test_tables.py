"""Values have one meaning in files and JSON; the public archive is read completely."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.json_records import FieldError, tables_from_records
from fairmeter.data.parsing import parse_day
from fairmeter.data.tables import parse_code, read_tables
from tests.builders.tables import (
    CLEANED,
    NAN,
    ODD_CODES,
    USUAL,
    a_client,
    an_invoice,
    flags_of,
    in_kaggle_names,
    read_back,
    same,
)

REPOSITORY = Path(__file__).parents[3]
ARCHIVE = REPOSITORY.parent / "shared" / "data" / "archive.zip"


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2014-03-04",
        "2014/03/04",
        "04/03/2014",
        "4/3/2014",
        " 2014-03-04 ",
        "2014-03-04 00:00:00",
        "2014-03-04T23:59:59Z",
    ],
)
def test_these_are_all_the_fourth_of_march(text):
    assert np.datetime64(parse_day(text), "D") == np.datetime64("2014-03-04")


@pytest.mark.parametrize(
    "text", ["31/31/2014", "2014-02-30", "03-04-2014", "2014", "20140304", "12.5", "soon", "today"]
)
def test_these_are_not_dates(text):
    with pytest.raises(ValueError, match="not a date"):
        parse_day(text)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_day_is_the_same_in_both_formats(day):
    assert (
        parse_day(day)
        == parse_day(day.isoformat())
        == parse_day(day.strftime("%d/%m/%Y"))
        == (day - date(1970, 1, 1)).days
    )


@pytest.mark.parametrize("value", [11, 11.0, "11", " 11 ", "11.0", "client_catg_11", "category_11", "counter_code_11"])
def test_these_are_all_code_11(value):
    assert parse_code(value) == 11


def test_codes_of_text_are_equal_where_the_texts_are():
    assert parse_code("A") == parse_code(" A ") != parse_code("B")
    assert parse_code("north_1") != parse_code("south_1")
    assert parse_code("9007199254740993") != parse_code("9007199254740992")  # float64 cannot distinguish these
    assert np.isnan([parse_code(nothing) for nothing in (None, "", "  ", "NaN", np.nan)]).all()


def test_missing_stays_missing(tmp_path):
    names = [name for name in an_invoice() if name not in ("client_id", "invoice_on", "energy")]
    for blank in (None, "NaN", "NA"):
        tables = read_back(tmp_path, [a_client()], [an_invoice(**dict.fromkeys(names, blank)), an_invoice()])
        for name in names:
            assert np.isnan(tables.invoices[name]).tolist() == [True, False], name
        assert tables.flags == []


# --- JSON -------------------------------------------------------------------------------------------------------------


def without_id(rows):
    return [{name: value for name, value in row.items() if name != "client_id"} for row in rows]


def from_json(client, *invoices):
    return tables_from_records([client], [without_id(invoices)])


def cleaned_rows():
    """Every kind of data problem, over two clients, sorted by client."""
    changes = [{}, {}, *(changes for changes, *_ in (*CLEANED, *ODD_CODES)), *USUAL]
    owners = sorted(f"c-{i % 2 + 1}" for i in range(len(changes)))
    return [an_invoice(owner, **of_one) for owner, of_one in zip(owners, changes, strict=True)]


@pytest.mark.parametrize("names", [list, in_kaggle_names])
def test_json_and_files_give_the_same_tables(tmp_path, names):
    clients = [a_client("c-1", label=1), a_client("c-2", created_on="31/01/1999", label=None), a_client("c-3", label=0)]
    clients[1] |= {"category": "client_catg_51", "region": None}
    rows = cleaned_rows()
    expected = read_back(tmp_path, names(clients), names(rows))
    by_client = [
        names(without_id(row for row in rows if row["client_id"] == client["client_id"])) for client in clients
    ]
    client_table, invoice_table, flags = tables_from_records(names(clients), by_client)
    same(client_table, expected.clients)
    same(invoice_table, expected.invoices)
    assert flags == expected.quality
    summed = {}
    for flag in (flag for of_client in flags for flag in of_client):
        summed[flag.flag] = summed.get(flag.flag, 0) + flag.n
    assert summed == flags_of(expected)


def test_a_client_alone_gives_its_part_of_the_batch():
    rows = [[an_invoice(months=4 + i), an_invoice(remark=i)] for i in range(9)]
    batch = tables_from_records([a_client(f"c-{i}") for i in range(9)], rows)
    for i in range(9):
        alone = tables_from_records([a_client(f"c-{i}")], [rows[i]])
        part = {name: column[batch[1]["client"] == i] for name, column in batch[1].items()}
        same(alone[1], part | {"client": part["client"] * 0})
        assert alone[2] == [batch[2][i]]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("energy", 1, True), ("energy", 0.0, False), ("tariff", 1, True), ("meter_id", 0, False), ("months", "1", True)],
)
@pytest.mark.parametrize("n_good", [0, 1])
def test_a_boolean_is_refused_alone_and_next_to_an_equal_number(name, good, bad, n_good):
    with pytest.raises(FieldError) as caught:
        from_json(a_client(), *[an_invoice(**{name: good})] * n_good, an_invoice(**{name: bad}))
    assert caught.value.path == f"invoices.{n_good}.{name}"


def test_equal_values_of_different_types_stay_distinct():
    ids = [1, True, 1.0, "1"]
    clients, _, _ = tables_from_records([a_client(client_id) for client_id in ids], [[]] * 4)
    assert clients["client_id"].tolist() == ["1", "True", "1", "1"]
    _, invoices, _ = from_json(
        a_client(), *[an_invoice(meter_id=i, new_index=index) for i, index in enumerate((0, -0.0, "1"))]
    )
    assert np.signbit(invoices["new_index"]).tolist() == [False, True, False]


def test_only_the_date_of_an_invoice_is_needed():
    clients, invoices, flags = tables_from_records([{}], [[{"invoice_on": "24/03/2014"}]])
    assert clients["client_id"].tolist() == [""]
    assert np.isnat(clients["created_on"]).all()
    assert np.isnan(invoices["months"]).all()
    assert invoices["invoice_on"].astype(str).tolist() == ["2014-03-24"]
    assert [flag.flag for flag in flags[0]] == ["unknown_energy", "no_creation_date"]


def test_json_may_have_no_invoices_or_no_clients():
    clients, invoices, flags = tables_from_records([a_client(), a_client("c-2")], [[], [an_invoice()]])
    assert invoices["client"].tolist() == [1]
    assert [[flag.flag for flag in of_client] for of_client in flags] == [["no_invoices"], []]
    clients, invoices, flags = tables_from_records([], [])
    assert (len(clients["client_id"]), len(invoices["client"]), flags) == (0, 0, [])


def test_rows_may_differ_in_their_names_and_columns():
    rows = [
        an_invoice(),
        *in_kaggle_names([an_invoice(meter_id=2, months=8)]),
        {"invoice_on": "2014-01-01", "energy": "GAZ"},
    ]
    _, invoices, _ = from_json(a_client(), *rows)
    np.testing.assert_array_equal(invoices["months"], [4, 8, NAN])
    np.testing.assert_array_equal(invoices["consumption_level_1"], [90, 90, NAN])


@pytest.mark.parametrize(
    ("client", "invoice", "path", "message"),
    [
        ({}, {"new_index": "many"}, "invoices.1.new_index", "not a number"),
        ({}, {"new_index": True}, "invoices.1.new_index", "not a number"),
        ({}, {"new_index": [1]}, "invoices.1.new_index", "not a single value"),
        ({}, {"new_index": 10**400}, "invoices.1.new_index", "not a number"),
        ({}, {"invoice_on": "31/31/2014"}, "invoices.1.invoice_on", "not a date"),
        ({}, {"invoice_on": None}, "invoices.1.invoice_on", "needs its date"),
        ({}, {"invoice_on": "1900-01-01"}, "invoices.1.invoice_on", "1950 to 2100"),
        ({}, {"energy": "WATER"}, "invoices.1.energy", "ELEC or GAZ"),
        ({}, {"tariff": {"code": 11}}, "invoices.1.tariff", "not a single value"),
        ({}, {"months_number": 4}, "invoices.1.months_number", "months too"),
        ({"created_on": "soon"}, {}, "client.created_on", "not a date"),
        ({"region": True}, {}, "client.region", "not a code"),
    ],
)
def test_a_bad_value_in_json_is_located_by_its_path(client, invoice, path, message):
    good = [an_invoice(), an_invoice(months=8)]
    with pytest.raises(FieldError) as caught:
        tables_from_records([a_client(), a_client(**client)], [good, [an_invoice(), an_invoice(**invoice)]])
    assert (caught.value.index, caught.value.path) == (1, path)
    assert message in caught.value.message


def test_the_path_uses_the_name_that_was_given():
    with pytest.raises(FieldError, match=r"^invoices\.0\.months_number: not a number"):
        from_json(a_client(), *in_kaggle_names([an_invoice(months="four")]))
    with pytest.raises(FieldError, match=r"^invoices\.1: not an object$"):
        tables_from_records([a_client()], [[an_invoice(), 7]])


JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers())


@given(st.sampled_from([name for name in an_invoice() if name != "client_id"]), JSON_VALUES)
def test_any_json_value_is_accepted_or_refused_with_its_path(name, value):
    try:
        _, invoices, _ = from_json(a_client(), an_invoice(**{name: value}))
        outcome = "infinite" if np.isinf(invoices[name].astype(float)).any() else "taken"
    except FieldError as error:
        outcome = error.path
    assert outcome in ("taken", f"invoices.0.{name}")


def test_the_server_path_imports_no_parser():
    code = "import sys; from fairmeter.data import tables_from_records; "
    code += "tables_from_records([{}], [[{'invoice_on': '2014-01-01'}]]); "
    code += "sys.exit(bool({'pyarrow', 'pyspark', 'pandas', 'polars'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


# --- quality flags ----------------------------------------------------------------------------------------------------


def test_clients_with_equal_flags_share_the_objects(tmp_path):
    owners = ["c-1", "c-2", "c-2", "c-3", "c-4"]
    rows = [an_invoice(owner, meter_id=i + 1, months=30 + i) for i, owner in enumerate(owners)]
    rows.append(an_invoice("c-4", months=0))
    quality = read_back(tmp_path, [a_client(f"c-{i}") for i in (1, 2, 3, 4, 5)], rows).quality
    found = [{flag.flag: flag.n for flag in of_client} for of_client in quality]
    once, twice = {"long_period": 1}, {"long_period": 2}
    assert found == [once, twice, once, {"impossible_months": 1} | once, {"no_invoices": 1}]
    assert quality[0] is quality[2]
    assert all(flag.text.endswith(f": {flag.n}.") for of_client in quality for flag in of_client)


# --- the public archive -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not ARCHIVE.exists(), reason="the public archive is not beside the repository")
@pytest.mark.nightly
def test_the_public_archive_is_read_completely():
    tables = read_tables(ARCHIVE)
    assert len(tables.clients["client_id"]) == 108_262
    assert int(tables.clients["label"].sum()) == 6_062
    found = flags_of(tables)
    assert len(tables.invoices["client"]) == 3_575_937 - found["duplicate_invoices"] - found["repeated_invoices"]
    assert found["repeated_invoices"] == 38
    assert len(np.unique(tables.invoices["client"])) == 108_262
    assert (np.diff(tables.invoices["client"]) >= 0).all()
    assert tables.clients["created_on"].max() < np.datetime64("2020-01-01")
    assert np.nanmax(tables.invoices["months"]) == 24
    assert len(tables.quality) == 108_262
    assert len({id(of_client) for of_client in tables.quality}) < 5_000
    assert {"unknown_meter_status", "unknown_remark", "meter_number_zero", "shifted_columns"} <= set(found)
    # Independent columns agree after the correction of dates; before it 11,079 invoices contradict.
    assert found["day_and_month_swapped"] > 1_400_000
    assert "invoices_before_creation" not in found
