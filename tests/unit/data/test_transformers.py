"""Tables of transformers: found by name, distinguished by columns, refused in one sentence."""

import numpy as np
import pytest

from fairmeter.data.client_joins import UnjoinedRows
from fairmeter.data.files import InvalidValue, MissingColumns, MissingFile, TableError, UnreadableDate, find_file
from fairmeter.data.readings import has_readings
from fairmeter.data.transformers import (
    DoubledTotal,
    flags_of_join,
    has_transformers,
    read_transformers,
    transformers_from_records,
)
from tests.builders.tables import a_client, csv_text, same, zipped


def a_total(transformer_id="t-1", **changes):
    total = {"transformer_id": transformer_id, "measured_on": "2019-03-01", "delivered_kwh": 40, "losses_kwh": 1}
    return total | changes


def listed(transformer_id="t-1", **changes):
    """A row of the list of transformers."""
    row = {"transformer_id": transformer_id, "region": 101, "latitude": 36.5, "longitude": 10.5, "has_meter": 1}
    return row | changes


TOTALS = [a_total("t-2"), a_total(measured_on="2019-03-02", delivered_kwh=50), a_total()]


def read(folder, totals, transformers=None, **names):
    members = {names.get("totals", "transformer_totals"): csv_text(totals)}
    members |= {"transformers": csv_text(transformers)} if transformers else {}
    return read_transformers(zipped(folder / "all.zip", **members))


def test_totals_are_sorted_by_transformer_and_day_with_places_from_the_list(tmp_path):
    tables = read(tmp_path, TOTALS, [listed("t-9"), listed("t-2", region=None), listed()])
    assert tables.transformers["transformer_id"].tolist() == ["t-1", "t-2"]
    np.testing.assert_array_equal(tables.transformers["region"], [101.0, np.nan])
    assert tables.transformers["latitude"].tolist() == [36.5, 36.5]
    day = np.datetime64("2019-03-01").astype(int)
    assert tables.totals["transformer"].tolist() == [0, 0, 1]
    assert tables.totals["day"].tolist() == [day, day + 1, day]
    assert tables.totals["delivered_kwh"].tolist() == [40.0, 50.0, 40.0]
    assert tables.flags == []


def test_a_list_is_not_needed_and_losses_may_be_unknown(tmp_path):
    tables = read(tmp_path, [{name: v for name, v in row.items() if name != "losses_kwh"} for row in TOTALS])
    assert np.isnan(tables.totals["losses_kwh"]).all()
    assert np.isnan(tables.transformers["latitude"]).all()


def test_files_and_json_give_the_same(tmp_path):
    rows = [listed("t-2"), listed()]
    from_files, from_json = read(tmp_path, TOTALS, rows), transformers_from_records(TOTALS, rows)
    same(from_files.totals, from_json.totals)
    same(from_files.transformers, from_json.transformers)


def test_the_truth_of_a_simulation_is_not_read(tmp_path):
    tables = read(tmp_path, [row | {"unregistered_kwh": "no number at all"} for row in TOTALS])
    assert set(tables.totals) == {"transformer", "day", "delivered_kwh", "losses_kwh"}


def test_a_single_file_may_have_any_name_where_it_is_named(tmp_path):
    file = tmp_path / "substations.csv"
    file.write_text(csv_text(TOTALS))
    assert len(read_transformers(transformers=file).totals["day"]) == 3
    with pytest.raises(MissingFile, match="found none"):
        read_transformers(file)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("transformer_readings", "transformer"),
        ("transformers_of_clients", "transformer"),
        ("clients_by_transformer", "client"),
        ("transformer-total-invoiced", "transformer"),
    ],
)
def test_files_of_transformers_and_of_clients_are_not_confused(tmp_path, name, kind):
    source = zipped(tmp_path / "one.zip", **{name: csv_text(TOTALS if kind == "transformer" else [a_client()])})
    assert not has_readings(source)
    assert has_transformers(source) == (kind == "transformer")
    if kind == "client":
        assert find_file("client", (source,)).file_name == f"{name}.csv"


def test_a_list_of_transformers_without_totals_is_refused(tmp_path):
    source = zipped(tmp_path / "one.zip", transformers=csv_text([listed()]))
    assert not has_transformers(source)
    with pytest.raises(MissingFile, match="delivered_kwh"):
        read_transformers(source)


def test_impossible_totals_are_missing_and_counted(tmp_path):
    bad = [a_total(delivered_kwh=-3), a_total("t-2", losses_kwh=1e12), a_total("t-3", delivered_kwh=None)]
    tables = read(tmp_path, bad)
    np.testing.assert_array_equal(tables.totals["delivered_kwh"], [np.nan, 40.0, np.nan])
    np.testing.assert_array_equal(tables.totals["losses_kwh"], [1.0, np.nan, 1.0])
    assert [(flag.flag, flag.n) for flag in tables.flags] == [("impossible_transformer_totals", 1)] * 2


def test_totals_that_change_their_unit_on_one_day_are_refused(tmp_path):
    kwh = np.random.default_rng(1).normal(900, 60, 90) * np.where(np.arange(90) < 40, 1, 1000)
    totals = [
        a_total(measured_on=str(np.datetime64("2013-01-01") + day), delivered_kwh=one) for day, one in enumerate(kwh)
    ]
    with pytest.raises(InvalidValue, match="'t-1' on 2013-02-10"):
        read(tmp_path, totals)


def test_totals_of_a_transformer_without_a_meter_are_left_out(tmp_path):
    tables = read(tmp_path, TOTALS, [listed("t-1", has_meter=0), listed("t-2")])
    assert tables.totals["transformer"].tolist() == [1]
    assert [(flag.flag, flag.n) for flag in tables.flags] == [("totals_without_meter", 2)]


@pytest.mark.parametrize(
    ("totals", "transformers", "error", "words"),
    [
        ([a_total(), a_total()], None, DoubledTotal, "'t-1' on 2019-03-01"),
        (TOTALS, [listed(), listed()], DoubledTotal, "2 rows for 't-1'"),
        ([{"transformer_id": "t-1", "delivered_kwh": 3}], None, MissingColumns, "measured_on"),
        ([a_total(measured_on="yesterday")], None, UnreadableDate, "line 2: measured_on is 'yesterday'"),
        ([a_total(measured_on=None)], None, UnreadableDate, "every total needs its day"),
        ([a_total(transformer_id=None)], None, InvalidValue, "every row needs its transformer"),
        ([a_total(delivered_kwh="a lot")], None, InvalidValue, "'a lot', not a number"),
        (TOTALS, [listed(has_meter=2)], InvalidValue, "neither 1 nor 0"),
    ],
)
def test_unreadable_tables_of_transformers_are_refused_in_one_sentence(tmp_path, totals, transformers, error, words):
    with pytest.raises(error) as raised:
        read(tmp_path, totals, transformers)
    assert isinstance(raised.value, TableError)
    assert words in str(raised.value)
    assert str(raised.value).count("\n") == 0


# --- joining the clients ----------------------------------------------------------------------------------------------


def measured(*ids):
    totals = [{"transformer_id": i, "measured_on": "2014-03-24", "delivered_kwh": 100} for i in ids]
    return transformers_from_records(totals, [])


def test_transformers_that_no_client_names_are_counted_with_examples():
    [flag] = flags_of_join(measured("T1", "T2", "9"), np.array(["T1", "", "T2"], object))
    assert (flag.flag, flag.n) == ("transformers_without_clients", 1)
    assert flag.text == "Transformers with totals that no client names, left out: 1. For example '9'."


def test_totals_of_transformers_written_otherwise_are_refused_with_the_cause():
    with pytest.raises(UnjoinedRows, match=r"0 of 2 transformers have the transformer_id of one of the 2 .* capital"):
        flags_of_join(measured("t1", "t2"), np.array(["T1", "T2", ""], object))


def test_a_measured_transformer_among_many_is_no_failed_join():
    assert flags_of_join(measured("T1"), np.array([f"T{i}" for i in range(100)], object)) == []
