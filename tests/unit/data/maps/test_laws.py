"""Laws of maps: neither batches nor the order of rows matter; what is written in a format is read back."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.helpers import exports
from benchmarks.helpers.files import write_files
from fairmeter.data.layouts import text_tables
from fairmeter.data.maps.values.clocks import is_ambiguous, to_utc, to_wall
from fairmeter.data.maps.values.date_formats import DateFormat, month_names
from fairmeter.data.maps.values.quantities import energy_of_power, parse_decimal, parse_minutes
from tests.builders.maps import as_map, base_of, readings_of
from tests.unit.data.maps.test_shipped_invoices import UPPCL
from tests.unit.data.maps.test_shipped_readings import CASES

EPOCH = datetime(1970, 1, 1)


# --- files ------------------------------------------------------------------------------------------------------------

ORDERED = ["elhub", "esb_networks", "fluvius", "smart_meter_texas", "enedis_sge", "home_assistant"]


@pytest.mark.parametrize("name", ORDERED)
def test_the_order_of_rows_does_not_matter(name, tmp_path):
    files, expected = CASES[name]
    backwards = {}
    for file, text in files.items():
        header, *rows = text.rstrip("\n").split("\n")
        backwards[file] = "\n".join([header, *reversed(rows)]) + "\n"
    assert readings_of(name, write_files(tmp_path, backwards)) == expected


def test_the_order_of_bills_does_not_matter(tmp_path):
    header, *rows = UPPCL["bill_sep.csv"].rstrip("\n").split("\n")
    turned = UPPCL | {"bill_sep.csv": "\n".join([header, *reversed(rows)]) + "\n"}
    one, other = (base_of("uppcl", write_files(tmp_path / n, f)).tables for n, f in (("a", UPPCL), ("b", turned)))
    for name, column in one.invoices.items():
        np.testing.assert_array_equal(column, other.invoices[name], name)


def test_the_size_of_batches_does_not_matter(tmp_path, monkeypatch):
    export = exports.european(tmp_path, n=2, n_days=3)
    text = export.map.read_text(encoding="utf-8")
    whole = readings_of(text, export.files)
    monkeypatch.setattr(text_tables, "BLOCK_BYTES", 700)
    assert readings_of(text, export.files) == whole
    assert len(whole) == 2 * 3 * 96


# --- numbers ----------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**12), 10**12), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (".", None)]))
def test_a_number_is_read_back_whatever_its_marks(thousandths, marks):
    decimal, thousands = marks
    value = thousandths / 1000
    text = f"{abs(value):,.3f}".replace(",", "T").replace(".", decimal).replace("T", thousands or "")
    for signed in (f"-{text}", f"{text}-", f"({text})") if value < 0 else (text, f"+{text}"):
        assert parse_decimal(signed, decimal, thousands) == value


@pytest.mark.parametrize("text", ["0,312", "1.2.3", "1,2", "nix", "1_000", "--1", "12a", "infinity", "."])
def test_what_is_no_number_is_none(text):
    assert parse_decimal(text) is None


def test_a_point_between_other_digits_than_three_is_no_thousands_separator():
    assert parse_decimal("0.312", ",", ".") is None
    assert parse_decimal("12.34", ",", ".") is None
    assert parse_decimal("1.234", ",", ".") == 1234.0


@pytest.mark.parametrize(("text", "minutes"), [("PT30M", 30), ("PT1H", 60), ("P1D", 1440), ("00:15", 15), ("10", 10)])
def test_lengths_are_read_as_they_are_written(text, minutes):
    assert parse_minutes(text) == minutes


@given(st.floats(0, 1e6), st.sampled_from([1, 5, 10, 15, 20, 30, 60, 1440]))
def test_a_power_over_a_day_is_its_energy_whatever_the_intervals(kw, minutes):
    parts = energy_of_power(np.full(1440 // minutes, kw), 1.0, np.full(1440 // minutes, float(minutes)))
    assert parts.sum() == pytest.approx(24 * kw, rel=1e-12)


# --- moments ----------------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)).map(lambda t: t.replace(second=0, microsecond=0))
FORMATS = ["%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M", "%m/%d/%y %I:%M %p", "%d-%b-%Y %H:%M", "%Y%m%d %H%M", "%j %Y %H:%M"]


@given(MOMENTS, st.sampled_from(FORMATS))
def test_a_moment_is_read_back_in_any_format(moment, text):
    if "%Y%m%d" in text:
        text = "%Y%m%d %H:%M"
    found = DateFormat.of(text).moment(moment.strftime(text))
    assert EPOCH + timedelta(minutes=found.minute) == moment


@pytest.mark.parametrize("locale", ["en", "de", "fr", "es", "pt", "nl", "it", "ar", "tr", "pl"])
def test_months_have_their_names_short_and_long_in_any_case(locale):
    assert set(month_names(locale).values()) == set(range(1, 13))
    form = DateFormat.of("%d %b %Y", locale)
    for name, month in month_names(locale).items():
        for written in (name, name.upper(), f"{name}."):
            found = form.moment(f"1 {written} 2024")
            assert found is None or EPOCH + timedelta(minutes=found.minute) == datetime(2024, month, 1)
        assert form.moment(f"1 {name} 2024") is not None or " " in name


def test_midnight_may_be_written_as_24():
    assert DateFormat.of("%d.%m.%Y %H:%M").moment("31.12.2023 24:00") == DateFormat.of("%Y").moment("2024", "first")
    assert DateFormat.of("%d.%m.%Y %H:%M").moment("31.12.2023 24:01") is None
    assert DateFormat.of("%d.%m.%Y").moment("30.02.2024") is None


@given(
    st.lists(st.integers(0, 50_000_000), min_size=1), st.sampled_from(["Europe/Madrid", "Australia/Lord_Howe", "UTC"])
)
def test_utc_is_found_again_from_the_wall_but_in_the_hour_that_comes_twice(minutes, zone):
    utc = np.array(minutes, np.int64)
    wall = to_wall(utc, zone)
    back = to_utc(wall, zone)
    twice = is_ambiguous(wall, zone)
    assert (back[~twice] == utc[~twice]).all()
    assert (to_wall(back, zone) == wall).all()


def test_slots_are_counted_as_time_passes(tmp_path):
    text = (
        '[files]\nzone = "Europe/Madrid"\n[readings]\nclient_id = "id"\n'
        'read_at = {column = "day", slot = "n", minutes = 60}\nconsumption_kwh = {column = "kwh", unit = "kWh"}\n'
    )
    for day, n_hours, skipped in (("2024-03-31", 23, 2), ("2024-10-27", 25, None), ("2024-05-01", 24, None)):
        rows = "".join(f"17,{day},{n},{n}\n" for n in range(1, n_hours + 1))
        folder = write_files(tmp_path / day, {"a.csv": "id,day,n,kwh\n" + rows})
        hours = [int(row[1][11:13]) for row in readings_of(text, folder)]
        assert len(hours) == n_hours
        assert (skipped in hours) == (skipped is None and False)
        assert sorted(set(hours)) == [hour for hour in range(24) if hour != skipped]


# --- what a map does to rows ------------------------------------------------------------------------------------------

REGISTER = (
    '[readings]\nclient_id = "id"\nread_at = "at"\nconsumption_kwh = {column = "v", unit = "kWh"}\nregister = true\n'
)


def test_registers_roll_over_and_fall(tmp_path):
    rows = "17,2024-01-01,999990\n17,2024-01-02,10\n17,2024-01-03,5\n17,2024-01-05,25\n"
    folder = write_files(tmp_path, {"a.csv": "id,at,v\n" + rows})
    assert readings_of(REGISTER + "register_digits = 6\n", folder) == [
        ("17", "2024-01-01 00:00", 20.0),
        ("17", "2024-01-02 00:00", None),
        ("17", "2024-01-03 00:00", 20.0),
    ]


def test_rows_of_one_moment_are_added_where_the_map_says_so(tmp_path):
    rows = "17,2024-01-01,1.5\n17,2024-01-01,1.5\n17,2024-01-02,2\n"
    folder = write_files(tmp_path, {"a.csv": "id,at,v\n" + rows})
    text = REGISTER.replace("register = true", 'several = "sum"')
    assert readings_of(text, folder) == [("17", "2024-01-01 00:00", 3.0), ("17", "2024-01-02 00:00", 2.0)]


def test_a_list_of_meter_readings_becomes_invoices(tmp_path):
    text = '[invoices]\nclient_id = "id"\ninvoice_on = "day"\nnew_index = "v"\ncoefficient = "c"\nregister = true\n'
    rows = "17,2024-01-01,100,2\n17,2024-03-01,150,2\n17,2024-04-01,160,2\n18,2024-01-01,7,1\n"
    base = base_of(text, write_files(tmp_path, {"a.csv": "id,day,v,c\n" + rows}))
    bills = base.tables.invoices
    assert bills["consumption"].tolist() == [100.0, 20.0]
    assert bills["months"].tolist() == [2.0, 1.0]
    assert bills["old_index"].tolist() == [100.0, 150.0]


def test_of_several_inspections_a_fraud_counts_first_then_the_latest(tmp_path):
    text = (
        '[clients]\nfiles = "c.csv"\nclient_id = "id"\n'
        'label = {join = "visits.csv", on = "id", column = "result", values = {FRAUD = 1, OK = 0}}\n'
        'labelled_on = {join = "visits.csv", on = "id", column = "on", format = "%d-%m-%Y"}\n'
        '[invoices]\nfiles = "b.csv"\nclient_id = "id"\ninvoice_on = "day"\nconsumption = "kwh"\n'
    )
    files = {
        "c.csv": "id\n17\n18\n19\n",
        "b.csv": "id,day,kwh\n17,2024-01-01,5\n18,2024-01-01,5\n19,2024-01-01,5\n",
        "visits.csv": "id,result,on\n17,OK,05-01-2024\n17,FRAUD,03-01-2023\n18,OK,01-01-2022\n18,OK,01-01-2023\n",
    }
    clients = base_of(text, write_files(tmp_path, files)).tables.clients
    np.testing.assert_array_equal(clients["label"], [1.0, 0.0, np.nan])
    assert clients["labelled_on"].astype(str).tolist() == ["2023-01-03", "2023-01-01", "NaT"]


def test_weather_holidays_and_transformers_are_stated_alike(tmp_path):
    from fairmeter.data.maps.mapped_base import read_mapped_exogenous, read_mapped_transformers

    data_map = as_map(
        '[weather]\nfiles = "w.csv"\ndate = {column = "T", format = "%d.%m.%Y %H:%M"}\ntemperature = "C"\n'
        '[holidays]\nfiles = "h.csv"\ndate = {column = "D", format = "%d.%m.%Y"}\n'
        '[transformers]\nfiles = "t.csv"\ntransformer_id = "TR"\nmeasured_on = {column = "D", format = "%d.%m.%Y"}\n'
        'delivered_kwh = {column = "MWH", unit = "MWh"}\n'
    )
    folder = write_files(tmp_path, {
        "w.csv": "T,C\n01.02.2024 00:00,4\n01.02.2024 12:00,8\n", "h.csv": "D\n25.12.2024\n",
        "t.csv": "TR,D,MWH\nT1,01.02.2024,0.5\nT1,01.02.2024,0.25\n",
    })  # fmt: skip
    weather, holidays = read_mapped_exogenous(data_map, (folder,), None, None)
    assert weather[0].view("datetime64[D]").astype(str).tolist() == ["2024-02-01"]
    assert weather[1].tolist() == [6.0]
    assert holidays.view("datetime64[D]").astype(str).tolist() == ["2024-12-25"]
    totals = read_mapped_transformers(data_map, (folder,), None).totals
    assert totals["delivered_kwh"].tolist() == [750.0]
