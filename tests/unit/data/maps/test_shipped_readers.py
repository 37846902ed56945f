"""Shipped maps of formats that are no tables: the reader's columns, on the wall's clock of the map."""

from datetime import datetime

from benchmarks.helpers.files import write_files
from benchmarks.helpers.meter_files import Curve, espi, mscons, nem12
from tests.builders.maps import readings_of


def test_nem12_is_moved_from_its_own_clock_to_that_of_sydney(tmp_path):
    curve = Curve("4103035087", datetime(2025, 1, 1), 60, [1000] + [500] * 23)  # 00:00 at +10:00 is 01:00 in summer
    fed_in = curve._replace(is_fed_in=True, wh=[250] * 24)
    found = readings_of("nem12", write_files(tmp_path, {"a.csv": nem12([curve, fed_in])}))
    assert found[0] == ("4103035087", "2025-01-01 01:00", 1.0, 0.25)
    assert found[-1] == ("4103035087", "2025-01-02 00:00", 0.5, 0.25)
    assert len(found) == 24


def test_green_button_xml_is_moved_from_utc_to_toronto(tmp_path):
    curve = Curve("4711", datetime(2025, 3, 9, 5), 60, [100, 200, 300, 400])  # the clocks go from 02:00 to 03:00
    found = readings_of("green_button_xml", write_files(tmp_path, {"a.xml": espi([curve])}))
    assert found == [
        ("4711", "2025-03-09 00:00", 0.1, None),
        ("4711", "2025-03-09 01:00", 0.2, None),
        ("4711", "2025-03-09 03:00", 0.3, None),
        ("4711", "2025-03-09 04:00", 0.4, None),
    ]


def test_mscons_keeps_import_alone(tmp_path):
    point = "DE00056266802AO6G56M11SN51G21M24S"
    curve = Curve(point, datetime(2026, 3, 31, 22), 15, [100, None], estimated=frozenset({0}))
    fed_in = curve._replace(is_fed_in=True, estimated=frozenset())
    found = readings_of("mscons", write_files(tmp_path, {"a.txt": mscons([curve, fed_in])}))
    assert [row[:3] for row in found] == [(point, "2026-04-01 00:00", 0.1), (point, "2026-04-01 00:15", None)]
    assert found[0][-1] == "estimated"
