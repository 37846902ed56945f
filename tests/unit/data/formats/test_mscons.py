"""MSCONS: separators as stated, values with their moments, documents that replace and cancel."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpers.meter_files import Curve, mscons
from fairmeter.data.files import DamagedFile, EmptyTable, InvalidValue
from fairmeter.data.formats import detect, edifact

POINT = "DE00056266802AO6G56M11SN51G21M24S"
START = datetime(2026, 3, 31, 22)
QUARTERS = Curve(POINT, START, 15, [100, 200, 300])
kept = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@kept
@given(
    minutes=st.sampled_from([15, 60]),
    is_fed_in=st.booleans(),
    wh=st.lists(st.one_of(st.none(), st.integers(0, 10**7)), min_size=1, max_size=20),
    estimated=st.frozensets(st.integers(0, 19), max_size=5),
    mark=st.sampled_from([".", ","]),
)
def test_what_was_written_is_read(rows, minutes, is_fed_in, wh, estimated, mark):
    curve = Curve(POINT, START, minutes, wh, is_fed_in, estimated)
    found = rows(mscons([curve], mark))
    assert [row["read_at"] for row in found] == [f"{curve.moment(i).isoformat()}Z" for i in range(len(wh))]
    assert [row["ends_at"] for row in found] == [f"{curve.moment(i + 1).isoformat()}Z" for i in range(len(wh))]
    taken, other = ("fed_in", "taken") if is_fed_in else ("taken", "fed_in")
    assert [float(row[taken]) for row in found] == [(value or 0) / 1000 for value in wh]
    assert {row[other] for row in found} == {""}
    codes = ["20" if value is None else "67" if i in estimated else "220" for i, value in enumerate(wh)]
    assert [row["quality"] for row in found] == codes
    assert {(row["location"], row["minutes"], row["unit"]) for row in found} == {(POINT, str(minutes), "kWh")}


def test_a_register_is_named_by_its_whole_code_and_each_value_by_its_line(rows):
    found = rows(mscons([QUARTERS]))
    assert {row["obis"] for row in found} == {"1-1:1.29.0"}
    assert [row["line"] for row in found] == [10, 13, 16], "after UNA and eight segments, three lines a value"


def test_separators_are_those_of_una(rows):
    text = mscons([QUARTERS]).replace(":", "|").replace("UNA|+. ", "UNA|+.").replace("?|", ":")
    assert [row["taken"] for row in rows(text)] == ["0.100", "0.200", "0.300"]


def test_without_una_the_usual_separators_count(rows):
    assert len(rows(mscons([QUARTERS]).partition("'")[2].lstrip())) == 3


def test_a_file_without_line_breaks_is_read(rows):
    assert len(rows(mscons([QUARTERS, QUARTERS]).replace("\n", ""))) == 6


def test_a_released_end_belongs_to_the_value(rows, monkeypatch):
    text = mscons([QUARTERS]).replace("NAD+DP", "NAD+DP+++O?'Brien ?? Sons??")
    for size in (7, 2**18):
        monkeypatch.setattr(edifact, "CHUNK", size)
        assert len(rows(text)) == 3


def test_a_replacing_document_has_the_greater_version(rows):
    first, second = (rows(mscons([QUARTERS], ".", *more))[0] for more in ((9, "202604020000"), (5, "202604020000")))
    third = rows(mscons([QUARTERS], ".", 5, "202604030000"))[0]
    assert first["version"] < second["version"] < third["version"]
    assert (first["replaces"], second["replaces"]) == ("0", "1")


def test_a_cancelled_document_does_not_count(rows):
    cancelling = mscons([QUARTERS], ".", 1).replace("DOC0+1", "DOC9+1").replace("UNS+D", "RFF+ACW:DOC0'UNS+D")
    messages = mscons([QUARTERS, QUARTERS]).partition("UNZ")[0] + cancelling.partition("TL'")[2]
    found = rows(messages)
    assert {row["document"] for row in found} == {"DOC1"}
    assert found[0]["notes"] == {"left out: values of cancelled documents": 6}


LEFT_OUT = {
    "reactive energy": ("1-1?:1.29.0", "1-1?:3.29.0", "values of register 1-1:3.29.0"),
    "a maximum": ("1-1?:1.29.0", "1-1?:1.6.0", "values of register 1-1:1.6.0"),
    "no OBIS code": ("PIA+5+1-1?:1.29.0:SRW", "PIA+5+Z01:Z04", "values of register Z01"),
    "reactive units": (":KWH", ":K3", "values in K3"),
    "sums": ("QTY+220", "QTY+79", "values of kind QTY 79"),
    "what the meter showed": ("DTM+163", "DTM+9", "values without start and end"),
    "another message": ("MSCONS:D", "APERAK:D", "values of a message APERAK"),
}


@pytest.mark.parametrize(("old", "new", "words"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_other_values_are_left_out_by_name(rows, old, new, words):
    with pytest.raises(EmptyTable, match=f"left out: 3 {words}"):
        rows(mscons([QUARTERS]).replace(old, new), reader="mscons")


def test_a_moment_without_a_zone_is_that_of_the_wall(rows):
    text = mscons([QUARTERS]).replace("?+00:303", ":203")
    assert rows(text)[0]["read_at"] == "2026-03-31T22:00:00"


def test_other_zones_than_utc_are_moved_to_it(rows):
    text = mscons([QUARTERS]).replace("?+00:303", "?+02:303")
    assert rows(text)[0]["read_at"] == "2026-03-31T20:00:00Z"


BAD = {
    "no month": ("DTM+163:20260331", "DTM+163:20261331", InvalidValue, "line 11: 'DTM.163:202613312200"),
    "no value": ("QTY+220:0.100:KWH", "QTY+220", InvalidValue, "line 10: 'QTY.220' is no segment of MSCONS"),
    "no point": (f"LOC+172+{POINT}'", "", InvalidValue, "without the metering point that LOC 172 states"),
    "no end": ("UNZ+1+R1'\n", "", DamagedFile, "ends without UNZ"),
    "within": ("UNZ+1+R1'", "UNZ+1", DamagedFile, "ends within the segment 'UNZ.1'"),
}


@pytest.mark.parametrize(("old", "new", "error", "words"), BAD.values(), ids=BAD)
def test_a_segment_that_does_not_fit_is_named_by_its_line(rows, old, new, error, words):
    with pytest.raises(error, match=words):
        rows(mscons([QUARTERS]).replace(old, new, 1))


def test_a_file_that_ends_anywhere_gives_rows_or_one_sentence(is_read_or_refused):
    text = mscons([QUARTERS])
    assert all(is_read_or_refused(text[:end], "mscons") for end in range(len(text)))


def test_damaged_characters_give_rows_or_one_sentence(is_read_or_refused):
    text = mscons([QUARTERS])
    assert all(is_read_or_refused(text[:at] + "+" + text[at + 1 :], "mscons") for at in range(len(text)))


def test_it_is_known_by_its_message(source):
    assert detect(source(mscons([QUARTERS]))) == "mscons"
    assert detect(source(mscons([QUARTERS]).replace("MSCONS", "INVOIC"))) is None
