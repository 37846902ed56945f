"""NEM12 and NEM13: every value with its moment, direction and quality, and the line of whatever does not fit."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpers.meter_files import Curve, nem12, nem13
from fairmeter.data.files import EmptyTable, InvalidValue
from fairmeter.data.formats import READERS, detect
from fairmeter.data.formats import rows as rows_module

START = datetime(2025, 3, 1)
DAY = Curve("4103035087", START, 30, list(range(48)))
kept = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@kept
@given(
    minutes=st.sampled_from([5, 15, 30, 60]),
    n_days=st.integers(1, 3),
    is_fed_in=st.booleans(),
    data=st.data(),
)
def test_what_was_written_is_read(rows, minutes, n_days, is_fed_in, data):
    n = n_days * 24 * 60 // minutes
    wh = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 10**6)), min_size=n, max_size=n))
    estimated = data.draw(st.frozensets(st.integers(0, n - 1), max_size=5))
    curve = Curve("6001234567", START, minutes, wh, is_fed_in, estimated)
    found = rows(nem12([curve]))
    assert [row["read_at"] for row in found] == [curve.moment(i).isoformat() for i in range(n)]
    taken, other = ("fed_in", "taken") if is_fed_in else ("taken", "fed_in")
    assert [row[taken] for row in found] == [str(value or 0) for value in wh]
    assert {row[other] for row in found} == {""}
    expected = ["N" if value is None else "E" if i in estimated else "A" for i, value in enumerate(wh)]
    assert [row["quality"][0] for row in found] == expected
    assert {(row["nmi"], row["minutes"], row["unit"]) for row in found} == {("6001234567", str(minutes), "Wh")}


def test_a_row_states_the_line_of_its_day_and_when_it_was_updated(rows):
    found = rows(nem12([DAY, DAY._replace(client="4103035088")]))
    assert {row["line"] for row in found[:48]} == {3}
    assert {row["line"] for row in found[48:]} == {5}
    assert {row["updated"] for row in found} == {"20250601120000"}


def test_other_streams_than_active_energy_are_left_out_and_counted(rows):
    text = nem12([DAY]) + nem12([DAY]).replace(",E1,N1,", ",Q1,N1,").replace(",Wh,", ",kVArh,")
    found = rows(text)
    assert len(found) == 48
    assert found[0]["notes"] == {"left out: values in kVArh (stream Q1)": 48}


def test_a_check_meter_counts_no_energy_twice(rows):
    found = rows(nem12([DAY]) + nem12([DAY]).replace(",E1,N1,", ",F1,N1,"))
    assert len(found) == 48
    assert found[0]["notes"] == {"left out: values of stream F1": 48}


def test_a_file_without_active_energy_is_refused_with_what_it_holds(rows):
    with pytest.raises(EmptyTable, match=r"left out: 48 values in kVArh \(stream E1\)"):
        rows(nem12([DAY]).replace(",Wh,", ",kVArh,"))


def test_a_file_is_read_in_tables_of_bounded_size(source, monkeypatch):
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 100)
    tables = list(READERS["nem12"](source(nem12([DAY._replace(wh=list(range(480)))]))))
    assert [table.n_rows for table in tables] == [144, 144, 144, 48]
    assert [table.first_row for table in tables] == [0, 144, 288, 432]
    assert [table.line(0) for table in tables] == [3, 6, 9, 12]


def test_what_follows_the_last_values_is_counted_too(rows, monkeypatch):
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 48)
    found = rows(nem12([DAY]) + nem12([DAY]).replace(",E1,N1,", ",Q1,N1,"))
    assert found[-1]["notes"] == {"left out: values of stream Q1": 48}


BAD = {
    "too few values": ("300,20250301,1,2,A,,,", "line 3: a day of 30 minutes has 48 values and their quality"),
    "too many values": ("300,20250301" + ",1" * 50 + ",A", "found '1' instead of a quality"),
    "no date": ("300,20251301" + ",1" * 48 + ",A", "'20251301' is no date"),
    "an unknown record": ("350,1", "line 3: begins with '350', no record of NEM12"),
    "an odd interval": ("200,4103035087,E1,1,E1,N1,M,kWh,7,", "an interval of '7' minutes"),
    "a short stream": ("200,4103035087,E1", "a record 200 with 3 fields"),
    "a range beyond the day": ("300,20250301" + ",1" * 48 + ",V\n400,40,49,A", "line 4: '400,40,49,A' is no range"),
}


@pytest.mark.parametrize(("record", "words"), BAD.values(), ids=BAD)
def test_a_record_that_does_not_fit_is_named_by_its_line(rows, record, words):
    text = f"100,NEM12,202501010000,MDP1,R\n200,4103035087,E1,1,E1,N1,M,kWh,30,\n{record}\n900\n"
    with pytest.raises(InvalidValue, match=words):
        rows(text)


def test_a_day_before_its_stream_is_refused(rows):
    with pytest.raises(InvalidValue, match="a record 300 before any record 200"):
        rows("100,NEM12,202501010000,MDP1,R\n300,20250301" + ",1" * 48 + ",A\n")


def test_fields_in_quotes_may_hold_commas(rows):
    text = f'200,4103035087,E1,1,E1,N1,M,kWh,30,\n300,20250301{",1" * 48},S14,51,"off, then on",20250601\n900\n'
    found = rows(text)
    assert {(row["quality"], row["reason"], row["updated"]) for row in found} == {("S14", "51", "20250601")}


def test_a_file_that_ends_anywhere_gives_rows_or_one_sentence(is_read_or_refused):
    text = nem12([DAY._replace(estimated=frozenset({3}))])
    assert all(is_read_or_refused(text[:end], "nem12") for end in range(len(text)))


def test_damaged_bytes_give_rows_or_one_sentence(is_read_or_refused):
    text = nem12([DAY]).encode()
    assert all(is_read_or_refused(text[:at] + b"\xff" + text[at + 1 :], "nem12") for at in range(0, len(text), 3))


def test_a_missing_end_is_noted(rows):
    found = rows(nem12([DAY]).replace("900\n", ""))
    assert found[0]["notes"] == {"no closing record 900: the file may be cut off": 1}


def test_it_is_known_by_its_first_record(source):
    assert detect(source(nem12([DAY]))) == "nem12"
    assert detect(source("\ufeff" + nem12([DAY]))) == "nem12"
    assert detect(source(nem12([DAY]).partition("\n")[2])) == "nem12", "a part of a file, from a record 200 on"
    assert detect(source(nem13([]))) == "nem13"
    assert detect(source("client_id,read_at,consumption_kwh\n200,2025-01-01,1\n")) is None
    assert detect(source("")) is None


PERIOD = ("4103035087", "E", START, datetime(2025, 6, 1, 10, 30), 21, 534)


def test_a_period_between_two_meter_readings_is_read(rows):
    (found,) = rows(nem13([PERIOD]))
    assert (found["nmi"], found["meter"], found["unit"]) == ("4103035087", "M4103035087", "kWh")
    assert (found["from"], found["to"]) == ("2025-03-01T00:00:00", "2025-06-01T10:30:00")
    assert (found["old_index"], found["new_index"], found["taken"], found["quality"]) == ("21", "534", "513", "A")


def test_energy_fed_in_is_no_invoice(rows):
    found = rows(nem13([PERIOD, ("4103035087", "I", START, START, 1, 2)]))
    assert len(found) == 1
    assert found[0]["notes"] == {"left out: values fed into the grid (register 11)": 1}


def test_a_period_file_that_ends_anywhere_gives_rows_or_one_sentence(is_read_or_refused):
    text = nem13([PERIOD, PERIOD])
    assert all(is_read_or_refused(text[:end], "nem13") for end in range(len(text)))
