"""Readings read in parts: the same days, flags and labels as in memory, to the last bit."""

import tracemalloc

import numpy as np
import pytest

from fairmeter.data.maps import parse_map
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.partitioned import disk, reading_parts
from fairmeter.data.partitioned.reading_parts import DiskSpace, readings_on_disk
from fairmeter.data.readings import read_readings
from tests.builders.readings import FIRST, readings_text, robbed, town

N, N_DAYS = 24, 60
DAY = 24 * 60


@pytest.fixture(params=[2**40, 40_000, 3_000], ids=["one part", "some parts", "a client a part"])
def space(request, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 8)
    monkeypatch.setattr(reading_parts, "FAN_OUT", 8)
    (tmp_path / "parts").mkdir()
    return DiskSpace(tmp_path / "parts", request.param)


def quarters(kwh, minutes, first=FIRST, extra=""):
    """Rows (client, moment, kWh) of clients with readings of so many minutes each."""
    rows = []
    for i, series in enumerate(kwh):
        n = DAY // minutes[i % len(minutes)]
        moments = (first * DAY + np.arange(len(series) * n) * (DAY // n)).astype("datetime64[m]")
        shape = np.round(np.repeat(series, n) / n * (1.0 + 0.5 * np.sin(np.arange(len(moments)))), 3)
        rows += [f"h-{i},{at},{value}{extra}" for at, value in zip(moments, shape.tolist(), strict=True)]
    return rows


def faulty(rows, rng):
    """The same rows in any order, some of them twice, without a number, missing, negative, or far too large."""
    rows = list(rows)
    for at in rng.choice(len(rows), 60, replace=False).tolist():
        client, moment, value = rows[at].split(",")[:3]
        other = ["", "n/a?", "-1", "65535", f"{float(value) + 1:.3f}"][at % 5]
        rows.append(f"{client},{moment},{other}")
    rng.shuffle(rows)
    return rows


def assert_same(daily, whole):
    days, other = daily.daily(), whole.daily()
    assert daily.client_ids.tolist() == whole.client_ids.tolist()
    assert days.segments.counts.tolist() == other.segments.counts.tolist()
    for name in ("day", "kwh", "hours", "export_kwh", "is_spread"):
        own, expected = getattr(days, name), getattr(other, name)
        assert (own is None) == (expected is None), name
        if own is not None:
            assert own.tobytes() == expected.tobytes(), name
    assert daily.flags == whole.flags
    assert daily.quality == whole.quality
    assert daily.incidents == whole.incidents
    assert (daily.label is None) == (whole.label is None)
    if daily.label is not None:
        assert daily.label.tobytes() == whole.label.tobytes()


CASES = {
    "days": lambda: readings_text(town(N, N_DAYS), np.arange(N) % 2),
    "quarters of an hour": lambda: "\n".join(["client_id,read_at,consumption_kwh", *quarters(town(9, 30), [15])]),
    "all kinds of faults": lambda: "\n".join(
        ["client_id,read_at,consumption_kwh", *faulty(quarters(town(12, 30), [1440, 60, 30]), np.random.default_rng(1))]
    ),
    "the same factor at many": lambda: readings_text(robbed(town(N, N_DAYS), np.arange(9), 40, 0.3)),
    "Wh before a day, kWh after it": lambda: readings_text(
        robbed(town(N, N_DAYS) * 1000.0, np.arange(6), 30, 0.001) * np.where(np.arange(N) < 6, 1.0, 0.001)[:, None]
    ),
    "other columns": lambda: "\n".join(
        [
            "client_id,read_at,consumption_kwh,minutes,export_kwh,quality",
            *quarters(town(5, 20), [60], extra=",60,0.1,estimated"),
            *quarters(town(3, 20), [30], first=FIRST + 20, extra=",,,actual"),
        ]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_readings_without_a_map_are_the_same_in_parts(case, tmp_path, space):
    file = tmp_path / "readings.csv"
    file.write_text(CASES[case]())
    whole = read_readings(file)
    assert_same(readings_on_disk([file], None, None, space).daily(), whole)


def test_faults_of_many_clients_are_found_in_these_cases(tmp_path):
    found = {}
    for case in CASES:
        (tmp_path / "readings.csv").write_text(CASES[case]())
        found[case] = {incident.kind for incident in read_readings(tmp_path / "readings.csv").incidents}
    assert found["the same factor at many"] == {"same_factor"}
    assert found["Wh before a day, kWh after it"] == {"unit_steps"}


def test_wide_tables_are_the_same_in_parts(tmp_path, space):
    days = (FIRST + np.arange(N_DAYS)).astype("datetime64[D]").tolist()
    names = [f"{day.month}/{day.day}/{day.year}" for day in days]
    rows = [",".join([f"h-{i}", str(i % 2), *map(str, series)]) for i, series in enumerate(town(N, N_DAYS))]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(["CONS_NO", "FLAG", *names]), *rows]))
    whole = read_readings(tmp_path / "wide.csv")
    assert_same(readings_on_disk([], tmp_path / "wide.csv", None, space).daily(), whole)


def test_clients_in_another_order_and_unknown_ones_are_the_same(tmp_path, space):
    file = tmp_path / "readings.csv"
    file.write_text(CASES["all kinds of faults"]())
    wanted = ["h-7", "none", "h-0", "h-11", "h-3"]
    daily = readings_on_disk([file], None, None, space).daily().for_clients(wanted)
    assert_same(daily, read_readings(file).for_clients(wanted))


def test_a_folder_of_many_files_is_read_as_one(tmp_path, space):
    head, *rows = CASES["all kinds of faults"]().split("\n")
    (tmp_path / "readings.csv").write_text("\n".join([head, *rows]))
    (tmp_path / "readings").mkdir()
    for i in range(0, len(rows), 500):
        (tmp_path / "readings" / f"{i:06}.csv").write_text("\n".join([head, *rows[i : i + 500]]))
    assert_same(
        readings_on_disk([], tmp_path / "readings", None, space).daily(), read_readings(tmp_path / "readings.csv")
    )


MAP = """
[readings]
client_id = "METER"
read_at = {column = "AT", format = "%d.%m.%Y %H:%M", stamp = "end"}
consumption_kwh = {column = "VALUE", unit = "Wh"}
quality = {column = "S", values = {W = "actual", E = "estimated", F = "missing"}}
series = ["OBIS"]
version = "V"
"""


def test_readings_by_a_map_are_the_same_in_parts(tmp_path, space):
    rng, rows = np.random.default_rng(2), []
    for row in quarters(town(8, 20), [15, 60]):
        client, at, value = row.split(",")
        moment = np.datetime64(at).astype(object)
        for obis in ("1.8.1", "1.8.2"):
            status = "WWWWWWWWEF"[rng.integers(10)]
            rows.append(f"{client};{moment:%d.%m.%Y %H:%M};{float(value) * 500:.0f};{status};{obis};{rng.integers(3)}")
            if rng.random() < 0.05:
                rows.append(rows[-1])
    rng.shuffle(rows)
    file = tmp_path / "any.csv"
    file.write_text("\n".join(["METER;AT;VALUE;S;OBIS;V", *rows]))
    data_map = parse_map(MAP, "mine.toml")
    whole = read_mapped_base(data_map, (file,)).readings
    assert_same(readings_on_disk([file], None, data_map, space).daily(), whole)
    tables, expected = (read_mapped_base(data_map, (file,), space=each).with_reading_flags() for each in (space, None))
    assert (tables.flags, tables.quality) == (expected.flags, expected.quality)


def test_the_cleaned_readings_of_all_parts_are_those_of_the_whole(tmp_path, space):
    file = tmp_path / "readings.csv"
    file.write_text(CASES["all kinds of faults"]())
    whole, on_disk = read_readings(file), readings_on_disk([file], None, None, space)
    rows, expected = set(), set()
    for found, tables in ((rows, list(on_disk.parts())), (expected, [whole])):
        for part in tables:
            ids = part.client_ids[part.readings["client"]].tolist()
            columns = [ids, part.readings["read_at"].tolist(), part.readings["consumption_kwh"].astype(str).tolist()]
            found |= set(zip(*columns, strict=True))
    assert rows == expected
    assert (on_disk.flags, on_disk.quality, on_disk.incidents) == (whole.flags, whole.quality, whole.incidents)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda kwh: kwh * 1000.0, "looks like Wh"),
        (lambda kwh: np.cumsum(kwh + 1.0, axis=1) + 5_000.0, "never fall"),
    ],
)
def test_what_is_wrong_with_all_readings_is_refused_in_the_same_words(spoil, says, tmp_path, space):
    file = tmp_path / "readings.csv"
    file.write_text(readings_text(spoil(town(N, N_DAYS))))
    with pytest.raises(ValueError, match=says) as whole:
        read_readings(file)
    with pytest.raises(ValueError, match=says) as parts:
        readings_on_disk([file], None, None, space).daily()
    assert str(parts.value) == str(whole.value)


def test_parts_take_less_memory_than_the_whole(tmp_path, monkeypatch):
    file = tmp_path / "readings.csv"
    file.write_text("\n".join(["client_id,read_at,consumption_kwh", *quarters(town(40, 90), [15])]))
    monkeypatch.setattr(disk, "FAN_OUT", 16)
    monkeypatch.setattr(reading_parts, "FAN_OUT", 16)
    (tmp_path / "parts").mkdir()
    few = tmp_path / "few.csv"
    few.write_text(readings_text(town(1, 3)))
    read_readings(few)  # what is imported on first use counts for neither
    peaks = []
    space = DiskSpace(tmp_path / "parts", 40 * 90 * 96 // 10 * reading_parts.READING_BYTES)
    for read in (lambda: read_readings(file), lambda: readings_on_disk([file], None, None, space).daily()):
        tracemalloc.start()
        read().daily()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 0.75 * peaks[0]
