"""score.py with files that are no tables: read by the map of their format, where no map is named."""

import csv
from pathlib import Path

import pytest

import score
from benchmarks.helpers import meter_files
from tests.builders.tables import a_client, csv_text

N, N_DAYS, MINUTES = 5, 60, 60


@pytest.fixture(autouse=True)
def model(metered, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(metered.model))


@pytest.fixture(scope="module")
def curves():
    return meter_files.random_curves(N, N_DAYS, MINUTES)


def listed(folder, *arguments):
    """Scores by client of the list that score.py makes, once it ended well."""
    out = folder / "scores.csv"
    assert score.main([str(argument) for argument in (*arguments, "--out", out)]) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        return {row["client_id"]: row["score"] for row in csv.DictReader(stream)}


FORMATS = {
    "usage.xml": ("espi", meter_files.espi),
    "energy.csv": ("nem12", meter_files.nem12),
    "curves.edi": ("mscons", meter_files.mscons),
    "R50.xml": ("enedis", lambda curves: meter_files.enedis_r50(curves[:1])),
    "profile.bin": ("dlms", lambda curves: meter_files.dlms(curves[0])),
}


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("name", "option"), [*((name, []) for name in FORMATS), ("usage.xml", ["--readings"])])
def test_a_file_of_a_format_is_scored_as_by_its_map(name, option, tmp_path, curves):
    reader, write = FORMATS[name]
    file = written(tmp_path / name, write(curves))
    (tmp_path / "same.toml").write_text(default_text(reader), encoding="utf-8")
    found = listed(tmp_path, *option, file)
    assert found == listed(tmp_path, file, "--map", tmp_path / "same.toml")
    assert found


def default_text(reader):
    from fairmeter.data.formats import default_map

    return default_map(reader)


def test_a_folder_of_one_format_is_scored_in_parts_too(tmp_path, curves):
    (tmp_path / "in").mkdir()
    for i, curve in enumerate(curves):
        written(tmp_path / "in" / f"{i}.csv", meter_files.nem12([curve]))
    whole = listed(tmp_path, tmp_path / "in")
    assert whole == listed(tmp_path, tmp_path / "in", "--memory", "700MB")
    assert len(whole) == N
    assert all(whole.values()), "sixty days are enough for a score"


def test_tables_of_clients_are_named_beside_a_format(tmp_path, curves):
    file = written(tmp_path / "energy.csv", meter_files.nem12(curves))
    ids = sorted(listed(tmp_path, file))
    clients = written(tmp_path / "clients.csv", csv_text([a_client(i) for i in ids[:3]]))
    assert sorted(listed(tmp_path, "--readings", file, "--clients", clients)) == ids[:3]


@pytest.mark.parametrize("is_named", [True, False])
def test_what_is_left_open_ends_in_a_sentence(tmp_path, curves, capsys, is_named):
    (tmp_path / "in").mkdir()
    clients = written(tmp_path / "in" / "clients.csv", csv_text([a_client("a")]))
    file = written(tmp_path / ("x.xml" if is_named else "in/x.xml"), meter_files.espi(curves))
    asked = [str(clients), "--readings", str(file)] if is_named else [str(tmp_path / "in")]
    assert score.main([*asked, "--out", str(tmp_path / "s.csv")]) == 2
    assert "is of the format espi" in capsys.readouterr().err


def test_two_formats_end_in_a_sentence(tmp_path, curves, capsys):
    files = [written(tmp_path / name, FORMATS[name][1](curves)) for name in ("usage.xml", "energy.csv")]
    assert score.main([*map(str, files), "--out", str(tmp_path / "s.csv")]) == 2
    assert "of several formats (espi, nem12)" in capsys.readouterr().err
    assert not Path(tmp_path / "s.csv").exists()
