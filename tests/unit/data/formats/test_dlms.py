"""Load profiles of meters: clocks with and without offset, values that were left out, bytes that are cut off."""

import sys
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpers.meter_files import Curve, dlms
from fairmeter.data.files import DamagedFile, EmptyTable, InvalidValue, TableError
from fairmeter.data.formats import detect

pytest.importorskip("dlms_cosem", reason="the library of load profiles is for training alone")
START = datetime(2025, 3, 1)
PROFILE = Curve("4711", START, 15, [100, 200, 300])
kept = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@kept
@given(
    wh=st.lists(st.integers(0, 10**6), min_size=1, max_size=200),
    minutes=st.sampled_from([15, 30, 60]),
    is_hexadecimal=st.booleans(),
)
def test_what_was_written_is_read(rows, wh, minutes, is_hexadecimal):
    curve = Curve("4711", START, minutes, wh)
    data = dlms(curve)
    found = rows(data.hex(" ").encode() if is_hexadecimal else data, "4711.bin")
    assert [row["read_at"] for row in found] == [f"{curve.moment(i + 1).isoformat()}Z" for i in range(len(wh))]
    assert [row["taken"] for row in found] == [sum(wh[: i + 1]) for i in range(len(wh))]
    assert {(row["meter"], row["obis"], row["fed_in"]) for row in found} == {("4711", "1-0:1.8.0.255", "")}


def test_a_stated_offset_makes_it_utc_and_none_leaves_the_clock_on_the_wall(rows):
    assert rows(dlms(PROFILE, offset=60))[0]["read_at"] == "2025-02-28T23:15:00Z"
    assert rows(dlms(PROFILE, offset=0))[0]["read_at"] == "2025-03-01T00:15:00Z"
    assert rows(dlms(PROFILE, offset=None))[0]["read_at"] == "2025-03-01T00:15:00"


def test_clocks_that_the_meter_left_out_are_counted_on(rows):
    for offset, zone in ((None, ""), (0, "Z")):
        found = rows(dlms(PROFILE, offset=offset, period=900))
        assert [row["read_at"][11:] for row in found] == [f"00:{minute}:00{zone}" for minute in (15, 30, 45)]


def test_without_a_period_left_out_clocks_are_refused(rows):
    data = dlms(PROFILE, period=900).replace(b"\x06" + (900).to_bytes(4, "big"), b"")
    with pytest.raises(DamagedFile, match="leaves out clocks or values and states no capture period"):
        rows(data)


def test_values_that_the_meter_left_out_are_counted(rows):
    found = rows(dlms(PROFILE._replace(wh=[100, None, 300]), period=900))
    assert [row["taken"] for row in found] == [100, 400]
    assert found[0]["notes"] == {"left out: values that the meter left out": 1}


def test_registers_are_told_apart_by_their_codes(rows):
    found = rows(dlms(PROFILE, ("1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.3.8.0.255")))
    assert [(row["obis"], row["taken"], row["fed_in"]) for row in found[:2]] == [
        ("1-0:1.8.0.255", 100, ""),
        ("1-0:2.8.0.255", "", 100),
    ]
    assert found[0]["notes"] == {"left out: values of 1-0:3.8.0.255": 3}


def test_a_profile_of_reactive_energy_is_refused_with_what_it_holds(rows):
    with pytest.raises(EmptyTable, match=r"left out: 3 values of 1-0:3\.8\.0\.255"):
        rows(dlms(PROFILE, ("1.0.3.8.0.255",)))


def test_a_profile_without_a_clock_is_refused(rows):
    data = dlms(PROFILE, offset=None).replace(b"\x12\x00\x08\x09\x06\x00\x00\x01", b"\x12\x00\x03\x09\x06\x00\x00\x01")
    with pytest.raises(InvalidValue, match="no clock in this entry or before it"):
        rows(data)


def test_the_buffer_alone_is_refused(rows):
    objects, _, buffer = dlms(PROFILE).partition(b"\x01\x03\x02\x02\x09\x0c")
    for half in (objects, b"\x01\x03\x02\x02\x09\x0c" + buffer):
        with pytest.raises(DamagedFile, match=r"lacks the (buffer|capture objects) of a profile"):
            rows(half, reader="dlms")


def test_bytes_that_end_anywhere_give_rows_or_one_sentence(is_read_or_refused):
    data = dlms(PROFILE)
    assert all(is_read_or_refused(data[:end], "dlms") for end in range(len(data)))
    assert all(is_read_or_refused(data[:end].hex(), "dlms") for end in range(len(data)))


def test_half_a_number_is_no_number(rows):
    with pytest.raises(DamagedFile, match="the bytes end within a value"):
        rows(dlms(PROFILE)[:-2])


@pytest.mark.parametrize("wrong", [b"\x00", b"\xff", b"\x01"])
def test_damaged_bytes_give_rows_or_one_sentence(is_read_or_refused, wrong):
    data = dlms(PROFILE)
    assert all(is_read_or_refused(data[:at] + wrong + data[at + 1 :], "dlms") for at in range(len(data)))


def test_it_is_known_by_its_capture_objects(source):
    assert detect(source(dlms(PROFILE))) == "dlms"
    assert detect(source(dlms(PROFILE).hex())) == "dlms"
    assert detect(source("0102041,2\n")) is None


def test_without_the_library_one_sentence_says_what_to_install(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlms_cosem", None)
    with pytest.raises(TableError, match="needs the library dlms-cosem: pip install dlms-cosem"):
        rows(dlms(PROFILE))
