"""What the columns of each reader mean, where a map names the reader and nothing else."""

from datetime import datetime

import pytest

from benchmarks.helpers.meter_files import Curve, dlms, enedis_r4x, enedis_r50, enedis_r151, espi, mscons, nem12, nem13
from fairmeter.data.formats import READERS
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_tables import read_mapped_invoices
from tests.builders.maps import as_map, readings_of

START = datetime(2026, 1, 1)
HALVES = Curve("4103035087", START, 30, [500, 250], estimated=frozenset({1}))
DAY = HALVES._replace(wh=[500, 250] + [0] * 46)
FIRST, SECOND = ("4103035087", "2026-01-01 00:00", 0.5), ("4103035087", "2026-01-01 00:30", 0.25)
CASES = {
    "nem12": (nem12([DAY, DAY._replace(is_fed_in=True)]), [(*FIRST, 0.5), (*SECOND, 0.25, "estimated")]),
    "espi": (espi([HALVES]), [(*FIRST, None), (*SECOND, None, "estimated")]),
    "mscons": (
        mscons([HALVES]),
        [("4103035087", "2026-01-01 01:00", 0.5, None), ("4103035087", "2026-01-01 01:30", 0.25, None, "estimated")],
    ),
    "enedis": (enedis_r50([HALVES]), [(*FIRST, None), (*SECOND, None, "estimated")]),
}


def written(tmp_path, content, reader, kind="readings"):
    (tmp_path / "4103035087.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    return f'[{kind}]\nreader = "{reader}"\nfiles = "*.txt"\n', tmp_path


@pytest.mark.parametrize("reader", CASES)
def test_a_reader_alone_gives_kwh_by_interval_direction_and_quality(tmp_path, reader):
    content, expected = CASES[reader]
    assert readings_of(*written(tmp_path, content, reader))[:2] == expected


def test_power_is_energy_over_the_minutes_that_the_file_states(tmp_path):
    found = readings_of(*written(tmp_path, enedis_r4x(HALVES), "enedis"))
    assert [row[2] for row in found] == [0.5, 0.25]


def test_what_a_meter_showed_becomes_what_was_used(tmp_path):
    found = readings_of(*written(tmp_path, dlms(HALVES._replace(wh=[500, 250, 750]), offset=None), "dlms"))
    assert [row[2] for row in found if row[2] is not None] == [0.25, 0.75]


def test_tariff_periods_are_differenced_and_then_added(tmp_path):
    days = [("4711", datetime(2026, 1, day), {"HCB": 1000 * day, "HPB": 2000 * day}) for day in (1, 2, 3)]
    found = readings_of(*written(tmp_path, enedis_r151(days), "enedis_index"))
    assert [row[2] for row in found if row[2] is not None] == [3.0, 3.0]


def test_periods_between_meter_readings_are_invoices(tmp_path):
    period = ("4103035087", "E", datetime(2025, 10, 1), START, 21, 534)
    text, folder = written(tmp_path, nem13([period]), "nem13", "invoices")
    table = read_mapped_invoices(MapReader(as_map(text), (folder,))).columns
    assert (table["consumption"].tolist(), table["old_index"].tolist(), table["months"].tolist()) == ([513], [21], [3])


def test_each_reader_is_tried():
    assert {*CASES, "dlms", "enedis_index", "nem13"} == set(READERS)
