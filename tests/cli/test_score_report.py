"""score.py --report and --former: of real clients and a real model, in files, at the desk, and in one sentence."""

import csv
import json

import pytest

import score
from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile
from fairmeter.data.writers import write
from fairmeter.planning.list_files import COLUMN_TYPES, read_list


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """Scores what the model was trained on; the folder, and the exit code."""
    monkeypatch.setenv("MODEL_PATH", str(trained.model))

    def scored(*options, out="scores.csv"):
        return score.main([str(word) for word in (trained.data, "--out", tmp_path / out, *options)])

    return scored


def test_the_report_tells_drift_and_how_much_of_the_former_list_stays(run, tmp_path, capsys):
    assert run(out="former.csv") == 0
    assert "Drift" not in capsys.readouterr().out
    assert run("--report", tmp_path / "run", "--former", tmp_path / "former.csv") == 0
    said = capsys.readouterr().out
    assert "Drift of the invoices: 0 of" in said
    assert "Of the first 50 clients 50 were among" in said
    told = json.loads((tmp_path / "run" / "drift.json").read_text())
    with (tmp_path / "scores.csv").open(newline="") as listed:
        rows = list(csv.DictReader(listed))
    assert sum(told["n_by_severity"].values()) == len(rows)
    assert told["stability"][0] == {"k": 50, "n_both": 50, "jaccard": 1.0}
    assert (told["data"], told["former"]) == ("utility.zip", "former.csv")
    assert "utility.zip" in (tmp_path / "run" / "report.html").read_text()


def test_a_former_list_that_is_none_stops_before_the_work(run, tmp_path, capsys):
    (tmp_path / "former.csv").write_text("client_id,score\na,0.5\n")
    assert run("--former", tmp_path / "former.csv") == 2
    said = capsys.readouterr().err.strip()
    assert "lacks the column rank" in said
    assert said.endswith(".")
    assert not (tmp_path / "scores.csv").exists()


def test_a_report_that_cannot_be_written_stops_before_the_work(run, tmp_path, capsys):
    (tmp_path / "report").write_text("mine")
    assert run("--report", tmp_path / "report") == 2
    assert "report" in capsys.readouterr().err
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("asked", ["--report", "--former"])
def test_a_walk_in_parts_refuses_what_looks_at_all_clients_at_once(run, tmp_path, capsys, asked):
    assert run("--memory", "2GB", asked, tmp_path / "x") == 2
    assert f"{asked} needs all clients in memory" in capsys.readouterr().err


ODD = ["=1+1", "'quoted", "plain", "-3", "müller"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_ids_come_back_as_they_were_by_rank(tmp_path, ending):
    path = tmp_path / f"list{ending}"
    write({"client_id": [*ODD, "unranked"], "rank": [*range(len(ODD), 0, -1), None]}, path, COLUMN_TYPES)
    assert read_list(path) == ODD[::-1]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("content", "error"),
    [(None, MissingFile), (b"\xff\xfe\x00\x01", DamagedFile), (b"client_id,rank\na,first\n", DamagedFile), (b"", None)],
)
def test_what_is_no_list_is_refused_in_one_sentence(tmp_path, ending, content, error):
    path = tmp_path / f"list{ending}"
    if content is not None:
        path.write_bytes(content)
    if error is None and ending == ".csv":
        assert read_list(path) == []
        return
    with pytest.raises(error or DamagedFile) as refusal:
        read_list(path)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_a_list_in_parquet_without_ranks_is_refused_by_name(tmp_path):
    write({"client_id": ["a"]}, tmp_path / "list.parquet")
    with pytest.raises(MissingColumns, match="lacks"):
        read_list(tmp_path / "list.parquet")
