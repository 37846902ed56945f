"""score.py with what transformers delivered: balance.csv, the desk, and what it says where something is missing."""

import csv
from pathlib import Path
from zipfile import ZipFile

import pytest

import score
from fairmeter.store import Store
from tests.builders.tables import csv_text


@pytest.fixture(autouse=True)
def model(metered, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(metered.model))


def ran(folder, *arguments):
    return score.main([str(word) for word in (*arguments, "--out", folder / "scores.csv")])


def test_the_balance_of_every_measured_transformer_is_beside_the_list(metered, metered_utility, tmp_path):
    assert ran(tmp_path, metered.data, "--transformers", metered.data) == 0
    with (tmp_path / "balance.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == metered_utility.transformers["has_meter"].sum()
    lost = [float(row["lost_kwh"]) for row in rows if row["lost_share"]]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 0
    assert all(not row["lost_share"] for row in rows[len(lost) :])


def test_what_transformers_lost_is_evidence_in_the_scores(metered, tmp_path, monkeypatch):
    """By the model delivered here, which learnt what a loss says; not all clients hang on a measured transformer."""
    monkeypatch.setenv("MODEL_PATH", str(Path(score.__file__).with_name("model.bin")))
    assert ran(tmp_path, metered.data) == 0
    heard = _scores(tmp_path)
    without = tmp_path / "without.zip"
    with ZipFile(metered.data) as archive, ZipFile(without, "w") as some:
        for name in ("clients.csv", "invoices.csv", "readings.csv"):
            some.writestr(name, archive.read(name))
    assert ran(tmp_path, without) == 0
    unheard = _scores(tmp_path)
    assert heard.keys() == unheard.keys()
    n_changed = sum(heard[id_] != unheard[id_] for id_ in heard)
    assert 0 < n_changed < len(heard)


def _scores(folder):
    with (folder / "scores.csv").open(newline="") as stream:
        return {row["client_id"]: row["score"] for row in csv.DictReader(stream)}


def test_no_file_is_written_that_nobody_asked_for(metered, tmp_path):
    assert ran(tmp_path, metered.data) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]


def test_the_desk_has_them_and_a_later_run_without_totals_leaves_them(
    metered, metered_utility, store, database_url, tmp_path, monkeypatch
):
    monkeypatch.setenv("DATABASE_URL", str(database_url))
    assert ran(tmp_path, metered.data, "--store") == 0
    ids = metered_utility.transformers["transformer_id"].tolist()
    found = store.balances_of(ids)
    assert len(found) == metered_utility.transformers["has_meter"].sum()
    worst = store.worst_transformers(1)[0]
    facts = {row.client_id: store.find_profile(row.client_id).facts for row in store.list_profiles(limit=1000).rows}
    told = {id_: one["transformer_loss_share"] for id_, one in facts.items() if "transformer_loss_share" in one}
    assert max(told.values()) >= worst.lost_share
    assert any("neighbour_share" in one for one in facts.values())
    tables = ("--clients", tmp_path / "c.csv", "--invoices", tmp_path / "i.csv")
    _unpacked(metered.data, tmp_path)
    assert ran(tmp_path, *tables, "--store") == 0
    assert store.balances_of(ids) == found
    again = {id_: store.find_profile(id_).facts.get("transformer_loss_share") for id_ in told}
    assert again == told


def _unpacked(data, folder):
    """The clients and invoices of a zip, as files."""
    with ZipFile(data) as archive:
        for name in ("clients", "invoices"):
            (folder / f"{name[0]}.csv").write_bytes(archive.read(f"{name}.csv"))


def test_totals_that_cannot_be_used_are_refused_in_one_sentence(metered, tmp_path, capsys):
    bad = tmp_path / "totals.csv"
    row = {"transformer_id": "t-1", "measured_on": "2019-03-01", "delivered_kwh": 4}
    for text, said in ((csv_text([row, row]), "two totals"), (csv_text([{"transformer_id": "t-1"}]), "lacks")):
        bad.write_text(text)
        assert ran(tmp_path, metered.data, "--transformers", bad) == 2
        [told] = capsys.readouterr().err.strip().splitlines()
        assert said in told
    assert not (tmp_path / "scores.csv").exists()


def test_without_readings_transformers_say_nothing(metered, tmp_path, capsys):
    _unpacked(metered.data, tmp_path)
    tables = ("--clients", tmp_path / "c.csv", "--invoices", tmp_path / "i.csv", "--transformers", metered.data)
    assert ran(tmp_path, *tables) == 2
    assert "--transformers needs readings" in capsys.readouterr().err


def test_the_balance_never_takes_the_place_of_what_is_read(metered, tmp_path, capsys):
    row = {"transformer_id": "t-1", "measured_on": "2019-03-01", "delivered_kwh": 4}
    (tmp_path / "balance.csv").write_text(csv_text([row]))
    assert ran(tmp_path, metered.data, "--transformers", tmp_path / "balance.csv") == 2
    assert "is also an input" in capsys.readouterr().err


def test_a_store_is_closed_again(metered, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/desk.db")
    assert ran(tmp_path, metered.data, "--store", "--transformers", metered.data) == 0
    reopened = Store(f"sqlite:///{tmp_path}/desk.db")
    assert reopened.worst_transformers()
    reopened.close()
