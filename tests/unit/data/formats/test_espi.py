"""Green Button XML: units, directions and links in any order, and nothing that harms in it."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpers.meter_files import Curve, espi
from fairmeter.data.files import DamagedFile, EmptyTable, InvalidValue
from fairmeter.data.formats import READERS, detect
from fairmeter.data.formats import rows as rows_module

START = datetime(2025, 3, 1, 5)
HOURS = Curve("4711", START, 60, [100, 200, 300])
kept = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@kept
@given(
    minutes=st.sampled_from([5, 15, 30, 60]),
    is_fed_in=st.booleans(),
    wh=st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1, max_size=30),
    tens=st.integers(-3, 0),
    estimated=st.frozensets(st.integers(0, 29), max_size=5),
)
def test_what_was_written_is_read(rows, minutes, is_fed_in, wh, tens, estimated):
    curve = Curve("4711", START, minutes, wh, is_fed_in, estimated)
    found = rows(espi([curve], tens))
    assert [row["read_at"] for row in found] == [f"{curve.moment(i).isoformat()}Z" for i in range(len(wh))]
    taken, other = ("fed_in", "taken") if is_fed_in else ("taken", "fed_in")
    assert [row[taken] for row in found] == wh
    assert {row[other] for row in found} == {""}
    assert [row["quality"] == "8" for row in found] == [i in estimated for i in range(len(wh))]
    assert {(row["usage_point"], row["minutes"], row["seconds"]) for row in found} == {
        ("4711", str(minutes), str(minutes * 60))
    }


def test_the_power_of_ten_and_the_unit_stand_in_another_entry(rows):
    found = rows(espi([HOURS]).replace("<powerOfTenMultiplier>0<", "<powerOfTenMultiplier>-3<"))
    assert [row["taken"] for row in found] == [0.1, 0.2, 0.3]
    assert {row["unit"] for row in found} == {"Wh"}


def test_several_flows_and_points_of_one_file_are_told_apart_by_their_links(rows):
    found = rows(espi([HOURS, HOURS._replace(is_fed_in=True, wh=[1]), HOURS._replace(client="4712", wh=[7])]))
    assert [(row["usage_point"], row["flow"], row["taken"], row["fed_in"]) for row in found] == [
        ("4711", "1", 100, ""), ("4711", "1", 200, ""), ("4711", "1", 300, ""),
        ("4711", "19", "", 1), ("4712", "1", 7, ""),
    ]  # fmt: skip


def test_links_may_be_whole_addresses_or_paths(rows):
    text = espi([HOURS, HOURS._replace(client="4712")])
    whole = text.replace('rel="self" href="', 'rel="self" href="https://utility.example')
    assert [row["taken"] for row in rows(whole)] == [100, 200, 300] * 2


def test_gas_beside_electricity_is_left_out_and_counted(rows):
    found = rows(espi([HOURS, HOURS._replace(client="4712")], gas=True))
    assert [row["usage_point"] for row in found] == ["4711"] * 3
    assert found[-1]["notes"] == {"left out: readings in therm (uom 169)": 3}


def test_a_file_of_gas_alone_is_refused_with_what_it_holds(rows):
    with pytest.raises(EmptyTable, match=r"left out: 3 readings in therm \(uom 169\)"):
        rows(espi([HOURS], gas=True))


def test_days_beside_their_hours_count_once(rows):
    found = rows(espi([HOURS, Curve("4711", START, 1440, [600])]))
    assert [row["taken"] for row in found] == [100, 200, 300]
    assert found[0]["notes"] == {"left out: intervals of 86,400 s, beside shorter ones of the same time": 1}


def test_days_before_the_hours_count_too(rows):
    found = rows(espi([HOURS, Curve("4711", datetime(2025, 1, 1), 1440, [600])]))
    assert [row["taken"] for row in found] == [100, 200, 300, 600]


def test_the_worst_of_several_qualities_counts(rows):
    of_17 = "<ReadingQuality><quality>17</quality></ReadingQuality>"
    text = espi([HOURS]).replace(of_17, of_17.replace("17", "8") + of_17, 1)
    assert [row["quality"] for row in rows(text)] == ["8", "17", "17"]


def test_local_time_is_that_of_the_file(rows):
    local = "<entry><content><LocalTimeParameters><tzOffset>-18000</tzOffset></LocalTimeParameters></content></entry>"
    found = rows(espi([HOURS]).replace("</feed>", f"{local}</feed>"))
    assert (found[0]["read_at"], found[0]["local_at"]) == ("2025-03-01T05:00:00Z", "2025-03-01T00:00:00")


def test_a_file_is_read_in_tables_of_bounded_size(source, monkeypatch):
    monkeypatch.setattr(rows_module, "BATCH_ROWS", 4)
    tables = list(READERS["espi"](source(espi([HOURS] * 5))))
    assert [table.n_rows for table in tables] == [6, 6, 3]
    assert tables[1].line(0) == 7, "readings are numbered, as XML has no line for each"


def test_entities_and_document_types_are_refused(rows):
    laughs = '<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    head, _, rest = espi([HOURS]).partition("\n")
    with pytest.raises(DamagedFile, match="declares entities or a document type"):
        rows(f"{head}{laughs}{rest.replace('100', '&b;')}")


def test_a_block_without_its_meter_reading_is_refused(rows):
    text = espi([HOURS, HOURS._replace(client="4712")]).replace("MeterReading/1/IntervalBlock", "Lost/IntervalBlock")
    with pytest.raises(InvalidValue, match="belongs to no MeterReading of the file"):
        rows(text)


def test_a_meter_reading_without_its_type_is_refused(rows):
    text = espi([HOURS, HOURS._replace(client="4712")]).replace("ReadingType/1", "ReadingType/9", 1)
    with pytest.raises(InvalidValue, match="has no ReadingType among its links, so its unit is unknown"):
        rows(text)


BAD = {
    "a word": ("<value>200</value>", "<value>much</value>", "reading 1: .*value 'much'"),
    "no number": ("<value>200</value>", "<value>nan</value>", "value 'nan'"),
    "no moment": ("<start>", "<start>x", "no whole number|start 'x"),
    "milliseconds": ("</start></timePeriod>", "000</start></timePeriod>", "where seconds since 1970 are due"),
    "a wild power": ("<powerOfTenMultiplier>0", "<powerOfTenMultiplier>99", "a powerOfTenMultiplier of 99"),
    "cut off": ("</feed>", "", "line 7: not well-formed XML .*cut off"),
}


@pytest.mark.parametrize(("old", "new", "words"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused_by_one_sentence(rows, old, new, words):
    with pytest.raises((InvalidValue, DamagedFile), match=words):
        rows(espi([HOURS]).replace(old, new), reader="espi")


def test_a_file_that_ends_anywhere_gives_rows_or_one_sentence(is_read_or_refused):
    text = espi([HOURS._replace(wh=[1])])
    assert all(is_read_or_refused(text[:end], "espi", "green.xml") for end in range(len(text)))


def test_it_is_known_by_its_namespace(source):
    assert detect(source(espi([HOURS]))) == "espi"
    assert detect(source(espi([HOURS]).encode("utf-16"))) == "espi"
    assert detect(source("<feed xmlns='http://www.w3.org/2005/Atom'/>")) is None
