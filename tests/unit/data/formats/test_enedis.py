"""Enedis's flows: load curves by the start of their intervals, and what meters showed at the end of a day."""

from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpers.meter_files import Curve, enedis_r4x, enedis_r50, enedis_r151, enedis_r171
from fairmeter.data.files import DamagedFile, EmptyTable, InvalidValue
from fairmeter.data.formats import detect

START = datetime(2026, 3, 7)
POINT = "30000210411333"
HALVES = Curve(POINT, START, 30, [100, None, 300], estimated=frozenset({2}))
DAYS = [(POINT, START, {"HCB": 500, "HPB": 700}), (POINT, datetime(2026, 3, 8), {"HCB": 600, "HPB": 900})]
kept = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stamped(curve):
    return [f"{curve.moment(i).isoformat()}+01:00" for i in range(len(curve.wh))]


values = st.lists(st.one_of(st.none(), st.integers(0, 10**5)), min_size=1, max_size=20)


@kept
@given(wh=values, minutes=st.sampled_from([5, 10, 30, 60]), is_fed_in=st.booleans())
def test_the_curve_of_a_large_point_is_read_as_it_was_written(rows, wh, minutes, is_fed_in):
    curve = Curve(POINT, START, minutes, wh, is_fed_in)
    found = rows(enedis_r4x(curve))
    assert [row["read_at"] for row in found] == stamped(curve)
    taken, other = ("fed_in", "taken") if is_fed_in else ("taken", "fed_in")
    assert [row[taken] for row in found] == ["" if x is None else f"{x * 60 / minutes / 1000:g}" for x in wh]
    assert {row[other] for row in found} == {""}
    assert {(row["point"], row["unit"], row["minutes"]) for row in found} == {(POINT, "kW", str(minutes))}


@kept
@given(wh=values)
def test_the_curves_of_small_points_are_stamped_by_the_start(rows, wh):
    curve = Curve(POINT, START, 30, wh)
    found = rows(enedis_r50([curve, curve._replace(client="30000210411334")]))
    assert [row["read_at"] for row in found] == stamped(curve) * 2
    assert [row["taken"] for row in found] == ["" if x is None else str(2 * x) for x in wh] * 2
    assert {(row["unit"], row["minutes"]) for row in found} == {("W", "30")}
    assert {row["point"] for row in found} == {POINT, "30000210411334"}


def test_quality_is_the_code_of_the_flow(rows):
    assert [row["quality"] for row in rows(enedis_r4x(HALVES))] == ["R", "R", "E"]
    assert [row["quality"] for row in rows(enedis_r50([HALVES]))] == ["0", "", "1"]


def test_reactive_energy_is_left_out_and_counted(rows):
    reactive = enedis_r4x(HALVES).replace(">EA<", ">ERC<").replace(">kW<", ">kWr<")
    with pytest.raises(EmptyTable, match="left out: 3 values of ERC in kWr"):
        rows(reactive)


def test_the_meter_of_a_small_point_is_read_at_the_end_of_the_day(rows):
    found = rows(enedis_r151(DAYS))
    assert [(row["read_at"], row["class"], row["taken"]) for row in found] == [
        ("2026-03-08T00:00:00", "HCB", "500"), ("2026-03-08T00:00:00", "HPB", "700"),
        ("2026-03-09T00:00:00", "HCB", "600"), ("2026-03-09T00:00:00", "HPB", "900"),
    ]  # fmt: skip
    assert found[0]["notes"] == {"left out: maxima": 2, "left out: values of the supplier's periods": 2}


def test_the_suppliers_periods_count_where_there_are_no_others(rows):
    found = rows(enedis_r151([(POINT, START, {"HCB": 500})]).replace("_Distributeur>", ">"))
    assert {row["grid"] for row in found} == {"F"}


def test_the_meter_of_a_large_point_is_read_in_each_tariff_period(rows):
    moments = [(datetime(2026, 3, 1, 0, 51, 11), 1320), (datetime(2026, 3, 2, 0, 51, 11), 1400)]
    found = rows(
        enedis_r171(
            [(POINT, "D", "HPH", "EA", moments), (POINT, "F", "P", "EA", moments), (POINT, "D", "P", "PMA", moments)]
        )
    )
    assert [(row["read_at"], row["class"], row["taken"]) for row in found] == [
        ("2026-03-01T00:51:11", "HPH", "1320"), ("2026-03-02T00:51:11", "HPH", "1400"),
    ]  # fmt: skip
    assert found[0]["notes"] == {"left out: values of the supplier's periods": 2, "left out: values of PMA in Wh": 2}


def test_a_default_namespace_changes_nothing(rows):
    assert len(rows(enedis_r151(DAYS).replace("<R151>", '<R151 xmlns="urn:enedis">'))) == 4


BAD = {
    "no moment": (enedis_r50([HALVES]).replace("2026-03-07T00:30", "7 March"), InvalidValue, "'7 March.* is no moment"),
    "no point": (enedis_r50([HALVES]).replace(POINT, ""), InvalidValue, "reading 1: no Id_PRM"),
    "nowhere": (enedis_r4x(HALVES).replace(POINT, ""), InvalidValue, "no Identifiant_PRM above it"),
    "cut off": (enedis_r50([HALVES])[:-10], DamagedFile, "cut off: download it again"),
    "entities": (enedis_r50([HALVES]).replace("<R50>", "<!DOCTYPE R50><R50>"), DamagedFile, "a document type"),
}


@pytest.mark.parametrize(("text", "error", "words"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused_by_one_sentence(rows, text, error, words):
    with pytest.raises(error, match=words):
        rows(text, reader="enedis")


def test_the_other_reader_is_named_where_a_file_needs_it(rows):
    with pytest.raises(EmptyTable, match='for R151 and R171 write reader = "enedis_index"'):
        rows(enedis_r171([(POINT, "D", "HPH", "EA", [(START, 1)])]), reader="enedis")
    with pytest.raises(EmptyTable, match='for load curves write reader = "enedis"'):
        rows(enedis_r50([HALVES]), reader="enedis_index")


@pytest.mark.parametrize(
    ("text", "reader"),
    [(enedis_r4x(HALVES), "enedis"), (enedis_r50([HALVES]), "enedis"), (enedis_r151(DAYS), "enedis_index")],
)
def test_a_file_that_ends_anywhere_gives_rows_or_one_sentence(is_read_or_refused, text, reader):
    assert all(is_read_or_refused(text[:end], reader) for end in range(len(text)))


def test_each_flow_is_known_by_its_first_element(source):
    assert detect(source(enedis_r4x(HALVES))) == "enedis"
    assert detect(source(enedis_r50([]))) == "enedis"
    assert detect(source(enedis_r151([]))) == "enedis_index"
    assert detect(source("<!-- made up -->" + enedis_r171([]))) == "enedis_index"
    assert detect(source("<R15/>")) is None
