"""Smart-meter readings: formats of moments, long and wide files, JSON, order of clients, refusals."""

import gzip
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import (
    DamagedFile,
    EmptyTable,
    InvalidValue,
    MissingColumns,
    MissingFile,
    TableError,
    UnreadableDate,
)
from fairmeter.data.json_records import FieldError
from fairmeter.data.readings import has_readings, parse_minute, read_readings, readings_from_records
from fairmeter.data.tables import DuplicateClient
from tests.builders.tables import csv_text, same, zipped

NAN = float("nan")
DATA = Path(__file__).parents[4] / "shared" / "data"
LONG = "client_id,read_at,consumption_kwh\n"
WIDE = "1/10/2014,1/2/2014,CONS_NO,1/1/2014,FLAG\n3,2,b,1,0\n30,,a,10,1\n"


# --- builders ---------------------------------------------------------------------------------------------------------


def a_reading(client_id="c-1", day=1, kwh=9.5, **changes):
    return {"client_id": client_id, "read_at": f"2014-03-{day:02d}", "consumption_kwh": kwh} | changes


def file_of(folder, text, name="readings.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet_of(folder, **columns):
    path = folder / "readings.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


def read(folder, text):
    return read_readings(file_of(folder, text))


def moments_of(tables):
    return tables.readings["read_at"].astype(str).tolist()


def days_as_text(tables):
    return [moment.removesuffix("T00:00") for moment in moments_of(tables)]


def in_words(caught, *words):
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence


# --- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "2014-03-04T13:30",
        "2014-03-04 13:30",
        "2014-03-04T13:30:00",
        "2014-03-04 13:30:59",
        "2014-03-04 13:30:00.0000000",
        "2014-03-04T13:30Z",
        "2014-03-04T13:30:00Z",
        "2014-03-04T13:30:00+01:00",
        "2014-03-04T13:30-0330",
        "2014-03-04 13:30:00 UTC",
        "2014/03/04 13:30",
        "04/03/2014 13:30",
        "4/3/2014 13:30:00",
        " 2014-03-04T13:30 ",
        datetime(2014, 3, 4, 13, 30),
        datetime(2014, 3, 4, 13, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_these_are_all_half_past_one_on_the_fourth_of_march(value):
    assert np.datetime64(parse_minute(value), "m") == np.datetime64("2014-03-04T13:30")


@pytest.mark.parametrize("value", ["2014-03-04", "04/03/2014", "2014/3/4", "2014-03-03T24:00", date(2014, 3, 4)])
def test_a_day_is_its_first_minute(value):
    assert np.datetime64(parse_minute(value), "m") == np.datetime64("2014-03-04T00:00")


@pytest.mark.parametrize(
    "value",
    [
        *("soon", "20140304", "2014-W10-2", "2014-02-30", "2014-03-04T25:00", "2014-03-04T24:30", "2014-03-04T13:60"),
        *("04/03/2014 1:30 PM", "13:30", "2014", 1393939800, True, "2014-03-04T13:30+", "2014-03-04T13"),
    ],
)
def test_these_are_not_moments(value):
    with pytest.raises(ValueError, match="not a"):
        parse_minute(value)


@given(st.datetimes(min_value=datetime(1000, 1, 1)))
def test_a_moment_is_the_same_in_every_format(moment):
    minute = np.datetime64(moment, "m").astype(int)
    for text in (moment.isoformat(), str(moment), f"{moment:%d/%m/%Y %H:%M:%S}", f"{moment.isoformat()}+05:30"):
        assert parse_minute(text) == minute


# --- long files -------------------------------------------------------------------------------------------------------


def test_readings_are_sorted_by_client_and_time_and_clients_as_in_the_file(tmp_path):
    rows = [a_reading("b", 2, 5), a_reading("a", 3, 6), a_reading("b", 1, 7), a_reading("a", 1, None)]
    tables = read(tmp_path, csv_text(rows))
    assert tables.client_ids.tolist() == ["b", "a"]
    expected = {
        "client": np.array([0, 0, 1, 1]),
        "read_at": np.array(["2014-03-01", "2014-03-02", "2014-03-01", "2014-03-03"], "datetime64[m]"),
        "consumption_kwh": np.array([7, 5, NAN, 6]),
    }
    same(tables.readings, expected)
    assert tables.label is None


def test_every_kind_of_file_gives_the_same(tmp_path):
    rows = [a_reading(c, day, day / 4, mood="x") for c in "ba" for day in (1, 2, 5)]
    text = csv_text(rows)
    ids, kwh = [[row[name] for row in rows] for name in ("client_id", "consumption_kwh")]
    days = [date.fromisoformat(row["read_at"]) for row in rows]
    moments = pa.array(days, pa.date32()).cast(pa.timestamp("ns"))
    expected = read(tmp_path, text)
    (tmp_path / "folder").mkdir()
    for path in (
        file_of(tmp_path, gzip.compress(text.encode()), "x.csv.gz"),
        zipped(tmp_path / "all.zip", clients="client_id\nb\n", invoices="client_id\nb\n", daily_readings=text),
        file_of(tmp_path / "folder", "\ufeff" + text.replace("\n", "\r\n"), "Readings_by_client.csv").parent,
        parquet_of(tmp_path, client_id=ids, read_at=days, consumption_kwh=kwh, mood=ids),
        parquet_of(tmp_path, client_id=pa.array(ids).dictionary_encode(), read_at=moments, consumption_kwh=kwh),
        parquet_of(tmp_path, client_id=ids, read_at=[str(day) for day in days], consumption_kwh=list(map(str, kwh))),
    ):
        tables = read_readings(path)
        assert tables.client_ids.tolist() == ["b", "a"]
        same(tables.readings, expected.readings)
        assert (tables.flags, tables.quality) == (expected.flags, expected.quality)


def test_a_typed_moment_keeps_its_time_and_a_time_zone_gives_local_time(tmp_path):
    utc = [datetime(2014, 7, 1, hour, 30, 59) for hour in (22, 23)]
    for kind, expected in (
        (pa.timestamp("us"), ["2014-07-01T22:30", "2014-07-01T23:30"]),
        (pa.timestamp("ms", tz="Europe/Paris"), ["2014-07-02T00:30", "2014-07-02T01:30"]),
    ):
        moments = pa.array(utc, pa.timestamp("us")).cast(kind)
        path = parquet_of(tmp_path, client_id=["a", "a"], read_at=moments, consumption_kwh=[1.0, 2.0])
        assert moments_of(read_readings(path)) == expected


def test_numeric_ids_equal_the_texts_of_the_clients_table(tmp_path):
    path = parquet_of(tmp_path, client_id=[17.0, 4.0], read_at=["2014-03-01"] * 2, consumption_kwh=[1, 2])
    assert read_readings(path).client_ids.tolist() == ["17", "4"]


def test_the_order_and_unused_ids_of_a_dictionary_have_no_effect(tmp_path):
    ids = pa.DictionaryArray.from_arrays(pa.array([2, 0]), pa.array(["a", "unused", "b"]))
    path = parquet_of(tmp_path, client_id=ids, read_at=["2014-03-01"] * 2, consumption_kwh=[1, 2])
    assert read_readings(path).client_ids.tolist() == ["b", "a"]


def test_labels_are_per_client_not_per_row(tmp_path):
    rows = [
        a_reading(c, day, label=label) for c, day, label in (("b", 1, None), ("a", 1, 0), ("b", 2, 1), ("c", 1, None))
    ]
    np.testing.assert_array_equal(read(tmp_path, csv_text(rows)).label, [1, 0, NAN])


def test_a_named_file_replaces_those_of_the_sources(tmp_path):
    folder = tmp_path / "utility"
    folder.mkdir()
    file_of(folder, csv_text([a_reading("in the folder")]))
    other = file_of(tmp_path, csv_text([a_reading("named")]), "meters.csv")
    assert read_readings(folder).client_ids.tolist() == ["in the folder"]
    assert read_readings(folder, readings=other).client_ids.tolist() == ["named"]
    assert has_readings(folder)
    assert not has_readings(zipped(tmp_path / "archive.zip", clients="x\n", invoices="x\n"))


# --- the wide layout --------------------------------------------------------------------------------------------------


def test_the_wide_layout_is_read_with_columns_in_any_order(tmp_path):
    tables = read(tmp_path, WIDE)
    assert tables.client_ids.tolist() == ["b", "a"]
    np.testing.assert_array_equal(tables.label, [0, 1])
    assert days_as_text(tables) == ["2014-01-01", "2014-01-02", "2014-01-10"] * 2
    np.testing.assert_array_equal(tables.readings["consumption_kwh"], [1, 2, 3, 10, NAN, 30])
    np.testing.assert_array_equal(tables.readings["client"], [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("header", "day"),
    [
        ("1/2/2014,1/3/2014", "2014-01-02"),  # ambiguous: month first, as SGCC writes
        ("01/02/2014,01/13/2014", "2014-01-02"),
        ("1/2/2014,13/2/2014", "2014-02-01"),
        ("2014-01-02,2014-01-03", "2014-01-02"),
        ("2014/1/2,2014/1/3", "2014-01-02"),
    ],
)
def test_all_day_columns_are_read_in_the_same_format(tmp_path, header, day):
    assert days_as_text(read(tmp_path, f"CONS_NO,FLAG,{header}\na,0,1,2\n"))[0] == day


def test_wide_and_long_give_the_same(tmp_path):
    text = LONG + "b,2014-01-01,1\nb,2014-01-02,2\nb,2014-01-10,3\na,2014-01-01,10\na,2014-01-02,\na,2014-01-10,30\n"
    wide, long = read(tmp_path, WIDE), read(tmp_path, text)
    same(wide.readings, long.readings)
    assert wide.quality == long.quality


def test_a_repeated_day_of_the_wide_layout_is_one_moment(tmp_path):
    tables = read(tmp_path, "CONS_NO,1/1/2014,01/01/2014\na,4,6\n")
    np.testing.assert_array_equal(tables.readings["consumption_kwh"], [5])


# --- clients of another table -----------------------------------------------------------------------------------------


def test_readings_align_to_an_existing_clients_table(tmp_path):
    rows = [a_reading("a", 1, 1, label=1), a_reading("b", 1, 2, label=0), a_reading("b", 4, 3, label=0)]
    rows += [a_reading("z", day, 9, label=0) for day in (1, 2)]
    tables = read(tmp_path, csv_text(rows)).for_clients(["b", "new", "a"])
    assert tables.client_ids.tolist() == ["b", "new", "a"]
    np.testing.assert_array_equal(tables.readings["client"], [0, 0, 2])
    np.testing.assert_array_equal(tables.readings["consumption_kwh"], [2, 3, 1])
    np.testing.assert_array_equal(tables.label, [0, NAN, 1])
    assert [[flag.flag for flag in of_client] for of_client in tables.quality] == [["gap_days"], [], []]
    assert [(flag.flag, flag.n) for flag in tables.flags][-1] == ("readings_of_unknown_clients", 2)


def test_aligning_to_its_own_clients_changes_nothing(tmp_path):
    tables = read(tmp_path, WIDE)
    aligned = tables.for_clients(tables.client_ids)
    same(aligned.readings, tables.readings)
    assert (aligned.flags, aligned.quality) == (tables.flags, tables.quality)
    assert len(tables.for_clients([]).readings["client"]) == 0


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", EmptyTable, ["empty"]),
        (LONG, EmptyTable, ["no rows"]),
        ("a,b\n1,2\n", MissingColumns, ["client_id", "read_at", "consumption_kwh", "['a', 'b']"]),
        ("client_id,read_at\na,2014-01-01\n", MissingColumns, ["lacks consumption_kwh"]),
        ("FLAG,1/1/2014\n0,5\n", MissingColumns, ["client_id or CONS_NO"]),
        ("CONS_NO,1/1/2014,1/1/2014\na,5,6\n", MissingColumns, ["more than once"]),
        ("CONS_NO,2/30/2014\na,5\n", UnreadableDate, ["'2/30/2014'", "month/day/year"]),
        ("CONS_NO,1/1/2014\na,5\na,6\n", DuplicateClient, ["two rows"]),
        ("CONS_NO,1/1/2014\na,five\n", InvalidValue, ["line 2", "1/1/2014 is 'five'"]),
        (LONG + "a,2014-01-01,1\na,soon,1\n", UnreadableDate, ["line 3", "read_at is 'soon'"]),
        (LONG + "a,2014-01-01,1\na,,1\n", UnreadableDate, ["line 3", "empty"]),
        (LONG + "a,2014-01-01,1\n,2014-01-02,1\n", InvalidValue, ["line 3", "client_id"]),
        (LONG + 'a,2014-01-01,"1,5"\na,2014-01-02,"2,5"\n', InvalidValue, ["line 2", "'1,5'", "not a number"]),
        (LONG + "a,2014-01-01,1,7\n", DamagedFile, ["line 2 has 4 values"]),
        (
            "client_id,label," + LONG[10:] + "a,0,2014-01-01,1\na,1,2014-01-02,1\n",
            InvalidValue,
            ["label 0 and label 1"],
        ),
        ("client_id,label," + LONG[10:] + "a,2,2014-01-01,1\n", InvalidValue, ["not a label"]),
    ],
)
def test_unusable_readings_are_refused_in_one_sentence(tmp_path, text, error, words):
    with pytest.raises(error) as caught:
        read(tmp_path, text)
    in_words(caught, *words)


def test_a_few_values_that_are_not_numbers_are_missing_and_counted(tmp_path):
    rows = [a_reading(c, day, day / 2) for c in "ab" for day in range(1, 11)]
    rows[3]["consumption_kwh"], rows[4]["consumption_kwh"] = "ERR", "NULL"  # NULL means that nothing was read
    tables = read(tmp_path, csv_text(rows))
    assert [(flag.flag, flag.n) for flag in tables.quality[0]] == [
        ("gap_days", 2),
        ("unreadable_readings", 1),
    ]
    assert tables.quality[1] == ()
    assert np.flatnonzero(np.isnan(tables.readings["consumption_kwh"])).tolist() == [3, 4]
    wide = "CONS_NO,1/1/2014,1/2/2014\n" + "".join(f"{i},1,2\n" for i in range(9)) + "9,ERR,2\n"
    assert {flag.flag: flag.n for flag in read(tmp_path, wide).flags} == {"unreadable_readings": 1}


def test_damaged_files_and_missing_ones_are_refused_in_one_sentence(tmp_path):
    packed = gzip.compress((LONG + "a,2014-01-01,1\n" * 999).encode())
    for data, name in ((packed[:50], "readings.csv.gz"), (b"PAR1 and no more", "readings.parquet")):
        with pytest.raises(DamagedFile) as caught:
            read_readings(file_of(tmp_path, data, name))
        in_words(caught, name)
    for path in (tmp_path / "none.csv", zipped(tmp_path / "archive.zip", clients="x\n", invoices="x\n")):
        with pytest.raises(MissingFile) as caught:
            read_readings(path)
        in_words(caught, path.name)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([2**40, 1], pa.timestamp("s")), "row 1"),
        (pa.array([2**31 - 1, 1], pa.int32()).view(pa.date32()), "row 1"),
        (pa.array([None, 1], pa.timestamp("s")), "row 1"),
        (pa.array([1, 2], pa.int64()), "not a"),
        (pa.array([[1], [2]]), ""),
    ],
)
def test_impossible_typed_moments_are_refused_in_one_sentence(tmp_path, values, words):
    path = parquet_of(tmp_path, client_id=["a", "b"], read_at=values, consumption_kwh=[1.0, 2.0])
    with pytest.raises(TableError) as caught:
        read_readings(path)
    in_words(caught, path.name)
    assert words in str(caught.value) or isinstance(caught.value, DamagedFile)


@given(st.binary(max_size=200) | st.text(alphabet='client_id,read_atconsumption_kwh0123456789/-:T"\n', max_size=200))
def test_any_bytes_give_tables_or_one_sentence(tmp_path_factory, data):
    with suppress(TableError):
        read(tmp_path_factory.getbasetemp(), data)


# --- JSON -------------------------------------------------------------------------------------------------------------


def objects(*rows):
    return [{name: value for name, value in row.items() if name != "client_id"} for row in rows]


VALUES = st.none() | st.floats(-2, 9) | st.sampled_from([5.0, 1e7, "7.5", " 3 "])
ROWS = st.lists(st.builds(a_reading, st.sampled_from("ab"), st.integers(1, 28), VALUES), min_size=1, max_size=30)


@given(ROWS)
def test_json_and_files_give_the_same_table_and_flags(tmp_path_factory, rows):
    from_file = read(tmp_path_factory.getbasetemp(), csv_text(rows))
    by_client = [objects(*(row for row in rows if row["client_id"] == c)) for c in from_file.client_ids]
    table, quality = readings_from_records(by_client)
    same(table, from_file.readings)
    assert quality == from_file.quality


@given(st.lists(ROWS, max_size=4), st.randoms())
def test_readings_from_json_ignore_other_clients_and_the_order_of_rows(clients, random):
    batch, flags = readings_from_records([objects(*rows) for rows in clients])
    for i, rows in enumerate(clients):
        random.shuffle(rows)
        alone, own_flags = readings_from_records([objects(*rows)])
        part = {name: column[batch["client"] == i] for name, column in batch.items()}
        same(alone, part | {"client": part["client"] * 0})
        assert own_flags == [flags[i]]


def test_clients_may_have_no_readings():
    table, quality = readings_from_records([[], objects(a_reading()), []])
    assert table["client"].tolist() == [1]
    assert quality == [(), (), ()]
    for nothing in ([], [[], []]):
        table, quality = readings_from_records(nothing)
        assert {name: (column.dtype.str, len(column)) for name, column in table.items()} == {
            "client": ("<i8", 0),
            "read_at": ("<M8[m]", 0),
            "consumption_kwh": ("<f8", 0),
        }
        assert len(quality) == len(nothing)


@pytest.mark.parametrize(
    ("row", "path", "message"),
    [
        ({"read_at": "2014-01-01", "consumption_kwh": "many"}, "readings.3.consumption_kwh", "not a number"),
        ({"read_at": "2014-01-01", "consumption_kwh": True}, "readings.3.consumption_kwh", "not a number"),
        ({"read_at": "2014-01-01", "consumption_kwh": [1]}, "readings.3.consumption_kwh", "not a single value"),
        ({"read_at": "2014-01-01", "consumption_kwh": 10**400}, "readings.3.consumption_kwh", "not a number"),
        ({"read_at": "2014-01-01", "kwh": 1}, "readings.3.consumption_kwh", "missing"),
        ({"read_at": "2014-02-30", "consumption_kwh": 1}, "readings.3.read_at", "not a date"),
        ({"read_at": "noon", "consumption_kwh": 1}, "readings.3.read_at", "not a moment"),
        ({"read_at": None, "consumption_kwh": 1}, "readings.3.read_at", "empty"),
        ({"read_at": {}, "consumption_kwh": 1}, "readings.3.read_at", "not a single value"),
        ({"consumption_kwh": 1}, "readings.3.read_at", "empty"),
        ([], "readings.3", "not an object"),
    ],
)
def test_a_bad_value_in_json_is_located_by_client_and_path(row, path, message):
    good = objects(*(a_reading(day=day) for day in (1, 2, 3)))
    with pytest.raises(FieldError, match=message) as caught:
        readings_from_records([[], good, [*good, row], good])
    assert (caught.value.index, caught.value.path) == (2, path)


# --- real readings ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not (DATA / "london_daily.parquet").exists(), reason="the London households are not here")
def test_the_london_households_are_read_completely():
    tables = read_readings(DATA / "london_daily.parquet")
    assert (len(tables.client_ids), len(tables.readings["client"])) == (2061, 1_327_798)
    assert {flag.flag: flag.n for flag in tables.flags} == {"catch_ups": 2, "gap_days": 3056, "stuck_readings": 18}
    assert np.isnan(DailyConsumption.from_readings(tables.readings, 2061).kwh).sum() == 3056


@pytest.mark.skipif(not (DATA / "sgcc_jan2014.csv.gz").exists(), reason="the SGCC customers are not here")
def test_the_sgcc_customers_are_read_completely():
    tables = read_readings(DATA / "sgcc_jan2014.csv.gz")
    assert len(tables.client_ids) == 20_689
    assert np.bincount(tables.label.astype(int)).tolist() == [18_996, 1_693]
    # 183 zeros before the reading that caught up with them belong to it.
    assert len(tables.readings["client"]) == 20_689 * 26 - 183
    assert tables.readings["read_at"].min() == np.datetime64("2014-01-01")
    assert tables.readings["read_at"].max() == np.datetime64("2014-01-26")
