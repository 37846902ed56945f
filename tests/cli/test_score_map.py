"""score.py and train.py with --map: another utility's files give the scores of the same base in canonical files."""

import csv
import re

import pytest

import score
import train
from benchmarks.helpers import exports
from benchmarks.helpers.files import write_files
from fairmeter.models import model_file


@pytest.fixture(autouse=True)
def model(metered, metered_model, monkeypatch):
    """The small model with an ensemble on readings stands for model.bin."""
    monkeypatch.setenv("MODEL_PATH", str(metered.model))
    return metered_model


def listed(out, *arguments):
    """Rows of the list that score.py makes, once it ended well, without the flags."""
    assert score.main([str(argument) for argument in (*arguments, "--out", out)]) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        return [{k: v for k, v in row.items() if k != "quality"} for row in csv.DictReader(stream)]


def some_french(folder):
    return exports.french(folder, n=25, n_days=100)


def some_european(folder):
    return exports.european(folder, n=25, n_days=40)


@pytest.mark.parametrize("make", [exports.brazilian, exports.indian, some_european, some_french])
def test_scores_are_those_of_the_same_base_in_canonical_files(make, tmp_path):
    export = make(tmp_path)
    canonical = [export.canonical]
    if not (export.canonical / "invoices.csv").exists():
        canonical = ["--readings", export.canonical / "readings.csv"]
    found = listed(tmp_path / "mapped.csv", export.files, "--map", export.map)
    there = listed(tmp_path / "canonical.csv", *canonical)
    assert sorted(found, key=str) == sorted(there, key=str)
    assert len({row["score"] for row in found}) > 1, "clients are told apart"


def test_named_files_are_read_by_the_map(tmp_path):
    export = exports.brazilian(tmp_path)
    file = next(export.files.iterdir())
    by_name = listed(tmp_path / "named.csv", "--clients", file, "--invoices", file, "--map", export.map)
    assert by_name == listed(tmp_path / "mapped.csv", export.files, "--map", export.map)


def test_a_mapped_base_is_scored_in_parts_as_at_once(tmp_path):
    export = exports.indian(tmp_path)
    at_once = listed(tmp_path / "mapped.csv", export.files, "--map", export.map)
    in_parts = listed(tmp_path / "parts.csv", export.files, "--map", export.map, "--memory", "2GB")
    score_of = [{row["client_id"]: row["score"] for row in rows} for rows in (at_once, in_parts)]
    assert score_of[0] == score_of[1]


def test_an_empty_map_changes_nothing(small_utility, tmp_path):
    (tmp_path / "mine.toml").write_text("# all as in the public set\n")
    plain = listed(tmp_path / "plain.csv", small_utility)
    assert listed(tmp_path / "mapped.csv", small_utility, "--map", tmp_path / "mine.toml") == plain


def test_a_map_that_does_not_exist_or_does_not_fit_ends_in_its_sentence(tmp_path, small_utility, capsys):
    assert score.main([str(small_utility), "--map", "flvius"]) == 2
    assert re.match(r"There is no map flvius; name a \.toml file, or one of .*fluvius", capsys.readouterr().err)
    write_files(tmp_path, {"mine.toml": '[readings]\nread_at = "Horodate"\n', "readings.csv": "a,b\n1,2\n"})
    assert score.main(["--readings", str(tmp_path / "readings.csv"), "--map", str(tmp_path / "mine.toml")]) == 2
    errors = capsys.readouterr().err
    assert 'mine.toml, [readings] read_at: no column "Horodate" in readings.csv. It has: a, b.' in errors
    assert "Traceback" not in errors


def test_train_learns_from_a_mapped_export_and_score_lists_it(tmp_path, monkeypatch):
    export = exports.brazilian(tmp_path, n=240)
    out = tmp_path / "mine.bin"
    places = ["--out", str(out), "--report", str(tmp_path / "report")]
    assert train.main([str(export.files), "--map", str(export.map), "--quick", *places]) == 0
    assert model_file.load(out).manifest["view"] == "prospective"
    monkeypatch.setenv("MODEL_PATH", str(out))
    assert len(listed(tmp_path / "scores.csv", export.files, "--map", export.map)) == 240
