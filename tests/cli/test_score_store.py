"""score.py --store: the whole client base at the desk, in one transaction, on SQLite and PostgreSQL."""

import csv
import re
from datetime import UTC, date, datetime

import numpy as np
import pytest

import score
from fairmeter.cli.score import desk_output
from fairmeter.core.sampling import N_SAMPLE_KEYS, sample_key
from fairmeter.desk import runs
from fairmeter.scoring import ranking
from fairmeter.store import Store
from fairmeter.store.engine.packing import MAX_INVOICES
from tests.builders.store import score_of, write


def scored(model, data, folder, monkeypatch, url, *arguments):
    monkeypatch.setenv("MODEL_PATH", str(model))
    monkeypatch.setenv("DATABASE_URL", str(url))
    return score.main([str(word) for word in (data, "--store", "--out", folder / "scores.csv", *arguments)])


def test_every_client_of_the_list_is_at_the_desk_with_its_score(trained, store, database_url, tmp_path, monkeypatch):
    for _ in range(2):  # the second time it updates
        assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url) == 0
    with (tmp_path / "scores.csv").open(newline="") as listed:
        rows = {row["client_id"]: row for row in csv.DictReader(listed)}
    kept = {row.client_id: row for row in store.list_profiles(limit=1000).rows}
    assert kept.keys() == rows.keys()
    for client_id, row in rows.items():
        assert kept[client_id].severity == row["severity"]
        assert f"{kept[client_id].probability:.6f}" == row["score"]
    assert [run.n_clients for run in store.list_runs()] == [len(rows)] * 2
    assert sum(store.count_alerts().values()) == len(store.list_alerts(limit=1000).rows)


def test_a_run_that_judges_far_fewer_clients_than_the_last_one_leaves_the_desk_as_it_was(
    trained, store, database_url, tmp_path, monkeypatch, capsys
):
    write(store, *(score_of(f"c-{i}") for i in range(1000)), scored_at=datetime(2026, 1, 1, tzinfo=UTC))
    alerts, n_clients = store.count_alerts(), store.count_profiles()
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url) == 2
    said = capsys.readouterr().err
    assert re.search(r"This run judges [\d,]+ clients, the last one at the desk 1,000: .* --accept-fewer", said, re.S)
    assert (store.count_alerts(), store.count_profiles(), len(store.list_runs())) == (alerts, n_clients, 1)
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url, "--accept-fewer") == 0
    assert len(store.list_runs()) == 2


def test_a_metered_client_keeps_its_days_and_what_its_invoices_said(
    metered, store, database_url, tmp_path, monkeypatch
):
    files = (metered.data,)
    assert scored(metered.model, *files, tmp_path, monkeypatch, database_url) == 0
    row = next(r for r in store.list_profiles(limit=1000).rows if store.find_profile(r.client_id).series.step == "day")
    profile = store.find_profile(row.client_id)
    assert profile.facts[runs.INVOICE_SCORE] != profile.score.probability
    assert np.isfinite(profile.series.kwh).sum() > 100


def test_what_stands_around_the_clients_is_kept_too(metered, store, database_url, tmp_path, monkeypatch):
    (tmp_path / "weather.csv").write_text("date,temperature\n2019-06-01,20\n2019-06-01,22\n2019-06-02,25\n")
    asked = ("--weather", tmp_path / "weather.csv")
    assert scored(metered.model, metered.data, tmp_path, monkeypatch, database_url, *asked) == 0
    ledgers = [store.find_profile(row.client_id).invoices for row in store.list_profiles(limit=1000).rows]
    assert max(map(len, ledgers)) == MAX_INVOICES
    assert all((np.diff(ledger["day"]) >= 0).all() for ledger in ledgers)
    band = store.find_band(11.0, 101.0)
    assert band.is_present
    assert np.nanmin(band.high - band.low) >= 0
    assert store.temperatures(date(2019, 1, 1), date(2020, 1, 1)) == [
        (date(2019, 6, 1), 21.0),
        (date(2019, 6, 2), 25.0),
    ]


def test_of_a_base_in_parts_the_desk_keeps_the_highest_some_drawn_and_whoever_it_knows(
    trained, store, database_url, tmp_path, monkeypatch
):
    monkeypatch.setattr(desk_output, "SAMPLED_SHARE", 2.0)
    monkeypatch.setattr(ranking, "MIN_REASONED", 10)
    monkeypatch.setattr(ranking, "MAX_REASONED", 10)
    asked = ("--memory", "1GB", "--keep", "10")
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url, *asked) == 0
    with (tmp_path / "scores.csv").open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    rows = [row for row in listed if row["score"]]
    drawn = {row["client_id"] for row in rows if sample_key(row["client_id"]) < N_SAMPLE_KEYS * 20 / len(rows)}
    last = next(row["client_id"] for row in reversed(rows) if row["client_id"] not in drawn)
    write(store, score_of(last, 0.99, "critical"))
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url, *asked) == 0
    kept = {row.client_id: row for row in store.list_profiles(limit=1000).rows}
    assert {row["client_id"] for row in rows[:10]} | drawn | {last} == kept.keys()
    assert set(store.sample_clients(1000, "week 1")) == drawn
    assert 0 < len(drawn) < len(rows) / 2
    for row in rows:
        if row["client_id"] in kept:
            assert f"{kept[row['client_id']].probability:.6f}" == row["score"]
    first = store.find_profile(rows[0]["client_id"])
    assert [reason.text for reason in first.score.reasons][:1] == [rows[0]["reason_1"]]
    assert first.series is not None
    assert len(first.invoices)
    assert [run.n_clients for run in store.list_runs()] == [len(listed), 1, len(listed)]
    assert store.find_band(11.0, 101.0) is None  # of the highest scores alone nobody learns what others use


def test_a_desk_that_knows_too_many_is_not_brought_up_to_date_in_parts(
    trained, store, database_url, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(desk_output, "MAX_PARTITIONED_PROFILES", 10)
    write(store, score_of("a"))
    asked = ("--memory", "1GB", "--keep", "10")
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url, *asked) == 2
    assert "would write 11 profiles" in capsys.readouterr().err
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_used_stops_before_the_work(trained, url, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "MAX_WAIT", 0)
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, url) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "scores.csv").exists()


def test_a_database_that_fails_while_it_writes_leaves_the_desk_as_it_was(
    trained, store, database_url, tmp_path, monkeypatch
):
    def broken(*_args, **_options):
        raise runs.StoreUnavailable("The database went away.")

    monkeypatch.setattr(Store, "write_run", broken)
    assert scored(trained.model, trained.data, tmp_path, monkeypatch, database_url) == 2
    assert store.count_profiles() == 0
