"""What score.py lists where clients have readings: beside invoices, alone, in a zip, in files of any form."""

import csv
import dataclasses
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import score
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.partitioned import disk, reading_parts
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from fairmeter.features.invoices.matrix import client_features
from fairmeter.features.readings.covariates import MIN_CLIENTS
from fairmeter.scoring import population
from fairmeter.scoring.population import region_codes
from tests.builders.readings import FIRST, days_of, readings_text, robbed, town
from tests.builders.tables import a_client, an_invoice, csv_text, zipped

N, N_DAYS = 30, 120
KWH = robbed(town(N, N_DAYS), [0, 1, 2], 80, 0.0)


@pytest.fixture(autouse=True)
def model(metered, metered_model, monkeypatch):
    """The small model with an ensemble on readings stands for model.bin."""
    monkeypatch.setenv("MODEL_PATH", str(metered.model))
    return metered_model


# --- builders ---------------------------------------------------------------------------------------------------------


def listed(folder, *arguments):
    """Rows of the list that score.py makes, once it ended well."""
    out = folder / "scores.csv"
    assert score.main([str(argument) for argument in (*arguments, "--out", out)]) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def scores_of(rows):
    return {row["client_id"]: row["score"] for row in rows}


@pytest.fixture
def readings(tmp_path):
    """A file of thirty households, three of which register nothing any more."""
    file = tmp_path / "readings.csv"
    file.write_text(readings_text(KWH))
    return file


# --- readings alone ---------------------------------------------------------------------------------------------------


def test_readings_alone_list_their_clients_with_scores(tmp_path, readings):
    rows = listed(tmp_path, "--readings", readings)
    assert {row["client_id"] for row in rows} == {f"h-{i}" for i in range(N)}
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, N + 1)]
    assert all(0 < float(row["score"]) < 1 for row in rows)
    assert {row["client_id"] for row in rows[:6]} >= {"h-0", "h-1", "h-2"}
    assert not any("no_invoices" in row["quality"] for row in rows), "nobody sent any"


def test_a_model_trained_without_weather_is_shown_none_and_says_so(tmp_path, readings, capsys):
    plain = listed(tmp_path, "--readings", readings)
    weather, holidays = tmp_path / "weather.csv", tmp_path / "holidays.csv"
    weather.write_text("date,temperature\n" + "".join(f"2013-02-{day:02},{day}\n" for day in range(1, 29)))
    holidays.write_text("date\n2013-02-05\n")
    capsys.readouterr()
    assert listed(tmp_path, "--readings", readings, "--weather", weather, "--holidays", holidays) == plain
    said = capsys.readouterr().out
    assert "--weather is not used: the model was trained on readings without weather." in said
    assert "--holidays is not used: the model was trained on readings without holidays." in said


def test_a_model_trained_beside_weather_is_shown_that_of_the_clients(model):
    beside = model.readings.surroundings
    first, n = beside.first_day, beside.factor.shape[1]
    weather = np.arange(first, first + n), np.linspace(0.0, 20.0, n)
    learnt = dataclasses.replace(model.readings, surroundings=beside.with_weather(weather, np.array([first])))
    here = np.arange(FIRST, FIRST + N_DAYS), np.full(N_DAYS, 3.0)
    shown = learnt.covariates_for(days_of(KWH), None, Exogenous(here, np.array([FIRST + 2])))
    _, temperature, holiday = shown.at(np.zeros(3, int), FIRST + np.arange(3))
    assert (temperature.tolist(), holiday.tolist()) == ([3.0] * 3, [0.0, 0.0, 1.0])
    blind = model.readings.covariates_for(days_of(KWH), None, Exogenous(here, np.array([FIRST + 2])))
    assert not blind.has_weather
    assert not blind.has_holidays


def test_parquet_holds_the_same_readings(tmp_path, readings):
    of_csv = scores_of(listed(tmp_path, "--readings", readings))
    columns = {
        "client_id": [f"h-{i}" for i in range(N) for _ in range(N_DAYS)],
        "read_at": np.tile(np.arange(N_DAYS), N).astype("M8[D]")
        + (np.datetime64("2013-01-07") - np.datetime64(0, "D")),
        "consumption_kwh": KWH.ravel(),
    }
    parquet.write_table(pa.table(columns), tmp_path / "any name.parquet")
    assert scores_of(listed(tmp_path, "--readings", tmp_path / "any name.parquet")) == of_csv


def test_the_wide_layout_holds_the_same_readings(tmp_path, readings):
    of_csv = scores_of(listed(tmp_path, "--readings", readings))
    days = np.arange(N_DAYS) + np.datetime64("2013-01-07")
    names = [f"{day.month}/{day.day}/{day.year}" for day in days.tolist()]
    lines = [",".join([f"h-{i}", "0", *map(str, series)]) for i, series in enumerate(KWH)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(["CONS_NO", "FLAG", *names]), *lines]) + "\n")
    assert scores_of(listed(tmp_path, "--readings", tmp_path / "wide.csv")) == of_csv


def test_too_few_days_are_listed_last_without_a_score(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text(readings_text([*KWH[2:7], KWH[7][:13]]))
    *rows, last = listed(tmp_path, "--readings", file)
    assert (last["client_id"], last["score"], last["severity"]) == ("h-5", "", "insufficient history")
    assert "short_readings" in last["quality"].split(";")
    assert all(row["score"] for row in rows)


# --- beside clients and invoices --------------------------------------------------------------------------------------


def test_a_zip_with_readings_lists_every_client_by_all_that_is_known_of_it(tmp_path, metered, model):
    rows = scores_of(listed(tmp_path, metered.data))
    tables, found = read_tables(metered.data), read_readings(metered.data)
    ids = tables.clients["client_id"]
    assert set(rows) == set(ids)
    days = DailyConsumption.from_readings(found.for_clients(ids).readings, len(ids))
    beside = model.readings.covariates_for(days, region_codes(tables.clients))
    invoices = client_features(tables.clients, tables.invoices, model.group_key_names)
    expected = model.probability(invoices, model.readings.features(days, beside))
    assert [rows[i] for i in ids] == ["" if np.isnan(p) else f"{p:.6f}" for p in expected]
    alone = model.probability(invoices)
    assert ((expected != alone) == (days.segments.counts > 0)).mean() > 0.95


def test_chunks_give_the_same_list_as_all_clients_at_once(tmp_path, metered, monkeypatch):
    at_once = listed(tmp_path, metered.data)
    monkeypatch.setattr(population, "CHUNK", 64)
    assert listed(tmp_path, metered.data) == at_once


def test_files_in_a_folder_and_named_files_say_the_same_as_the_zip(tmp_path, readings):
    clients = csv_text([a_client(f"h-{i}") for i in range(N)])
    invoices = csv_text([an_invoice(f"h-{i}", old_index=i) for i in range(0, N, 2)])
    of_zip = listed(
        tmp_path, zipped(tmp_path / "all.zip", clients=clients, invoices=invoices, readings=readings.read_text())
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clients.csv").write_text(clients)
    (tmp_path / "in" / "invoices.csv").write_text(invoices)
    shutil.copy(readings, tmp_path / "x.csv")
    assert listed(tmp_path, tmp_path / "in", "--readings", tmp_path / "x.csv") == of_zip
    names = [f"--{kind}={tmp_path}/in/{kind}.csv" for kind in ("clients", "invoices")]
    assert listed(tmp_path, *names, "--readings", readings) == of_zip
    shutil.copy(readings, tmp_path / "in" / "readings.csv")
    assert listed(tmp_path, tmp_path / "in") == of_zip


def test_readings_of_clients_that_are_not_in_the_table_are_left_out_and_flagged(tmp_path, readings, capsys):
    own = [a_client(f"h-{i}") for i in (4, 2)]
    archive = zipped(tmp_path / "a.zip", clients=csv_text(own), invoices=csv_text([an_invoice("h-4")]))
    rows = listed(tmp_path, archive, "--readings", readings)
    assert sorted(row["client_id"] for row in rows) == ["h-2", "h-4"]
    assert all(row["score"] for row in rows)
    assert (
        f"readings_of_unknown_clients: Readings of clients that are not in the clients' table, left out: {28 * 120:,}."
        in (capsys.readouterr().out)
    )


def test_flags_of_readings_stand_in_the_list(tmp_path):
    kwh = KWH[:3].copy()
    kwh[1, 40:50] = np.nan
    kwh[2, 60] = -1.0
    (tmp_path / "r.csv").write_text(readings_text(kwh))
    quality = {
        row["client_id"]: row["quality"].split(";") for row in listed(tmp_path, "--readings", tmp_path / "r.csv")
    }
    assert "gap_days" in quality["h-1"]
    assert "negative_readings" in quality["h-2"]
    assert "gap_days" not in quality["h-0"]


def test_readings_are_judged_beside_those_of_their_own_region(tmp_path, readings):
    """Where all of a region fall at once, it is no theft."""
    n = MIN_CLIENTS + 5
    kwh = town(2 * n, N_DAYS)
    kwh[:n, 90:] *= np.linspace(0.15, 0.7, n)[:, None]  # not alike: one factor would be the data's fault
    readings.write_text(readings_text(kwh))
    own = [a_client(f"h-{i}", region=101 if i < n else 102) for i in range(2 * n)]
    tables = {"clients": csv_text(own), "invoices": csv_text([an_invoice("h-0")])}
    region_codes = scores_of(listed(tmp_path, zipped(tmp_path / "a.zip", **tables), "--readings", readings))
    one = [client | {"region": 101} for client in own]
    together = scores_of(
        listed(tmp_path, zipped(tmp_path / "b.zip", **tables | {"clients": csv_text(one)}), "--readings", readings)
    )
    fallen = [f"h-{i}" for i in range(n)]
    assert np.median([float(region_codes[i]) for i in fallen]) < np.median([float(together[i]) for i in fallen])


# --- larger than memory -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch):
    """Of the least memory there is, a part holds the readings of a few clients."""
    monkeypatch.setattr(disk, "FAN_OUT", 8)
    monkeypatch.setattr(reading_parts, "FAN_OUT", 8)
    monkeypatch.setattr(reading_parts, "READING_BYTES", 2**20)


def as_lists(folder, capsys, *arguments):
    """The list, the visits and what is printed, of the whole and in parts."""
    found = []
    for more in ([], ["--memory", "700MB"]):
        visits = folder / "visits.csv"
        rows = listed(folder, *arguments, "--visits", 20, "--list", visits, *more)
        printed = [line for line in capsys.readouterr().out.splitlines() if " clients scored in " not in line]
        found.append((rows, visits.read_text(), printed))
    return found


@pytest.mark.usefixtures("small_parts")
def test_readings_alone_give_the_same_list_in_parts(tmp_path, readings, capsys):
    whole, parts = as_lists(tmp_path, capsys, "--readings", readings)
    assert parts == whole
    assert len(whole[0]) == N


@pytest.mark.usefixtures("small_parts")
def test_readings_beside_clients_and_invoices_give_the_same_list_in_parts(tmp_path, metered, capsys, monkeypatch):
    monkeypatch.setattr(population, "CHUNK", 64)
    whole, parts = as_lists(tmp_path, capsys, metered.data)
    assert parts == whole


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("has_clients", [True, False])
def test_readings_by_a_map_give_the_same_list_in_parts(tmp_path, capsys, has_clients):
    hours = np.repeat(KWH, 4, axis=1) / 4 * np.tile([0.5, 1.5, 1.25, 0.75], N_DAYS)
    at = np.datetime64("2013-01-07T00:00") + np.arange(4 * N_DAYS) * np.timedelta64(6, "h")
    (tmp_path / "in").mkdir()
    for i, series in enumerate(hours):
        rows = [f"h-{i};{moment};{value:.4f}" for moment, value in zip(at, series, strict=True)]
        (tmp_path / "in" / f"reading_{i}.csv").write_text("\n".join(["meter;at;value", *rows]))
    if has_clients:
        own = [a_client(f"h-{i}", region=101 + i % 2) for i in range(N - 1, -1, -1)]
        (tmp_path / "in" / "clients.csv").write_text(csv_text(own))
    data_map = tmp_path / "mine.toml"
    values = 'client_id = "meter"\nread_at = "at"\nconsumption_kwh = {column = "value", unit = "kWh"}\n'
    data_map.write_text(f'[readings]\nfiles = "reading_*.csv"\n{values}')
    whole, parts = as_lists(tmp_path, capsys, tmp_path / "in", "--map", data_map)
    assert parts == whole
    assert len(whole[0]) == N


@pytest.mark.usefixtures("small_parts")
def test_days_with_hours_are_scored_some_clients_at_a_time(tmp_path, monkeypatch):
    file = tmp_path / "readings.csv"
    at = np.datetime64("2013-01-07T00:00") + np.arange(24 * 40) * np.timedelta64(1, "h")
    rng = np.random.default_rng(0)
    rows = [
        f"h-{i},{moment},{kwh:.3f}"
        for i in range(6)
        for moment, kwh in zip(at, rng.gamma(2.0, 0.2, len(at)), strict=True)
    ]
    file.write_text("\n".join(["client_id,read_at,consumption_kwh", *rows]))
    at_once = listed(tmp_path, "--readings", file)
    monkeypatch.setattr(population, "CHUNK_DAYS", 50)
    assert listed(tmp_path, "--readings", file, "--memory", "700MB") == at_once


def test_spark_is_refused_for_readings(tmp_path, readings, capsys):
    assert score.main(["--readings", str(readings), "--spark", "local[1]", "--out", str(tmp_path / "s.csv")]) == 2
    assert "write --memory, not --spark" in capsys.readouterr().err


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("client_id,read_at,consumption_kwh\na,soon,1\n", "soon"),
        ("client_id,kwh\na,1\n", "read_at"),
        (None, "does not exist"),
    ],
)
def test_readings_that_cannot_be_read_end_in_one_sentence(tmp_path, capsys, text, words):
    file = tmp_path / "readings.csv"
    if text:
        file.write_text(text)
    assert score.main(["--readings", str(file), "--out", str(tmp_path / "s.csv")]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
    assert not (tmp_path / "s.csv").exists()


def test_the_list_never_takes_the_place_of_the_readings(readings, capsys):
    assert score.main(["--readings", str(readings), "--out", str(readings)]) == 2
    assert "is also an input" in capsys.readouterr().err
    assert readings.read_text() == readings_text(KWH)


def test_who_registers_nothing_any_more_has_all_its_former_use_at_stake(tmp_path, readings):
    rows = listed(tmp_path, "--readings", readings, "--visits", 30, "--list", tmp_path / "visits.csv")
    with (tmp_path / "visits.csv").open(newline="", encoding="utf-8") as stream:
        of_client = {visit["client_id"]: visit for visit in csv.DictReader(stream)}
    assert len(of_client) == 30
    assert all(row["reason_1"] for row in rows)
    for i in range(3):
        assert "its meter registers 0; counted over 1 month" in of_client[f"h-{i}"]["estimate"]
        before = KWH[i, :80].mean() * 40
        assert before / 2 < float(of_client[f"h-{i}"]["at_stake_kwh"]) < before * 2


def test_a_promise_is_refused_where_readings_are_judged(tmp_path, readings, model, monkeypatch, capsys):
    monkeypatch.setattr(score, "load_model", lambda *_: model)
    asked = ["--readings", readings, "--false-alarms", 0.5, "--out", tmp_path / "s.csv", "--list", tmp_path / "v.csv"]
    assert score.main([str(word) for word in asked]) == 2
    assert "scores from invoices" in capsys.readouterr().err


@pytest.mark.usefixtures("small_parts")
def test_what_is_the_datas_fault_at_many_clients_is_named_in_parts_as_at_once(tmp_path, capsys):
    file = tmp_path / "readings.csv"
    file.write_text(readings_text(robbed(town(N, N_DAYS), np.arange(10), 80, 0.1)))
    incidents = []
    for more in ([], ["--memory", "700MB"]):
        listed(tmp_path, "--readings", file, *more)
        incidents.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("Data incident")])
    assert incidents[0] == incidents[1]
    assert "10 scores are held back" in incidents[0][0]
