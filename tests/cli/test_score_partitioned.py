"""score.py --memory: the same list as of the whole, in bounded memory, or a sentence."""

import numpy as np
import pytest
from pyarrow import parquet

import score
from benchmarks.helpers.invented_utilities import brazilian
from fairmeter.core.types import QualityFlag, RecoveryEstimate, Score
from fairmeter.data.partitioned import disk
from fairmeter.planning import list_files
from fairmeter.scoring import ranking
from fairmeter.simulation.utility import simulate, write_zip
from tests.builders.invented import csv_of
from tests.builders.tables import a_client, an_invoice, written


@pytest.fixture
def model(trained, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(trained.model))


@pytest.fixture(scope="module")
def utility(tmp_path_factory):
    """Other clients than those trained on, some without invoices, some with the same ones, so that scores are equal."""
    folder = tmp_path_factory.mktemp("base")
    write_zip(folder / "utility.zip", *simulate(350, 8, 0.2))
    return folder / "utility.zip"


def lists(folder, *sources, ending="csv", memory="1GB"):
    """The lists that score.py makes of the whole and in parts."""
    outs = [folder / f"whole.{ending}", folder / f"parts.{ending}"]
    for out, more in zip(outs, ([], ["--memory", memory]), strict=True):
        assert score.main([str(word) for word in (*sources, "--out", out, *more)]) == 0
    return outs


# --- the same list ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("model")
def test_the_list_is_the_same_to_the_last_byte(tmp_path, utility, monkeypatch, capsys):
    monkeypatch.setattr(disk, "FAN_OUT", 8)
    monkeypatch.setattr(ranking, "BATCH", 50)
    monkeypatch.setattr(ranking, "CHUNK", 120)
    whole, parts = lists(tmp_path, utility)
    assert parts.read_bytes() == whole.read_bytes()
    assert [row.split(",")[4] != "" for row in whole.read_text().splitlines()[1:3]] == [True, True]  # reasons
    said = capsys.readouterr().out.splitlines()
    counts = [line for line in said if "insufficient history" in line]
    assert counts[0] == counts[1]
    flags = [line for line in said if line.startswith("index_not_sum_of_levels")]
    assert flags[0] == flags[1]


@pytest.mark.usefixtures("model")
def test_clients_unlike_those_in_training_are_named_as_in_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    monkeypatch.setattr(disk, "CLIENT_BYTES", 2**23)  # several parts
    for name, text in csv_of(brazilian(120, 5)).items():
        (tmp_path / f"{name}.csv").write_text(text)
    lists(tmp_path, tmp_path)
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning: ")]
    assert "these clients are unlike those that the model was trained on" in warnings[0]
    assert warnings[1:] == warnings[:1]


@pytest.mark.usefixtures("model")
def test_in_many_parts_and_parquet_it_is_the_same_to_the_last_bit(tmp_path, utility, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    monkeypatch.setattr(disk, "CLIENT_BYTES", 2**24)  # nearly every client is a part
    whole, parts = lists(tmp_path, utility, ending="parquet")
    assert parquet.read_table(parts).equals(parquet.read_table(whole))


@pytest.mark.usefixtures("model")
def test_equal_scores_and_clients_without_one_keep_the_order_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    clients = [a_client(f"c-{(7 * i) % 60}") for i in range(60)]
    invoices = [an_invoice(f"c-{i % 40}", invoice_on=f"2014-{1 + i // 40:02d}-05") for i in range(240)]
    whole, parts = lists(tmp_path, written(tmp_path, clients, invoices))
    assert parts.read_bytes() == whole.read_bytes()
    assert whole.read_text().splitlines()[-1].startswith("c-53,,,insufficient history")


@pytest.mark.usefixtures("model")
def test_folders_of_many_files_are_one_base(tmp_path, utility):
    import zipfile

    with zipfile.ZipFile(utility) as archive:
        for name in ("clients", "invoices"):
            header, *rows = archive.read(f"{name}.csv").decode().splitlines()
            (tmp_path / name).mkdir()
            for i in range(5):
                part = rows[i * len(rows) // 5 : (i + 1) * len(rows) // 5]
                (tmp_path / name / f"part-{i:05d}.csv").write_text("\n".join([header, *part]) + "\n")
    out = tmp_path / "parts.csv"
    named = ["--clients", tmp_path / "clients", "--invoices", tmp_path / "invoices"]
    assert score.main([str(utility), "--out", str(tmp_path / "whole.csv")]) == 0
    for sources in ([tmp_path], named):
        assert score.main([str(word) for word in (*sources, "--memory", "1GB", "--out", out)]) == 0
        assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


# --- a ranking --------------------------------------------------------------------------------------------------------


def a_score(client_id, probability):
    flags = (QualityFlag("short_history", 1, ""),) if probability else ()
    recovery = RecoveryEstimate(100.0, 50.0, 200.0, 12.0, "")
    return Score(client_id, probability, "high", 0.5, quality=flags, recovery=recovery)


@pytest.mark.parametrize("most_open", [2, 3, 200])
def test_a_ranking_of_parts_is_that_of_the_whole(tmp_path, monkeypatch, most_open):
    monkeypatch.setattr(ranking, "MAX_OPEN_FILES", most_open)
    monkeypatch.setattr(ranking, "BATCH", 3)
    monkeypatch.setattr(ranking, "CHUNK", 7)
    draw = np.random.default_rng(1)
    probabilities = [None if p < 0.1 else p for p in draw.integers(0, 10, 200) / 10]
    scores = [a_score(f"c-{i}", p) for i, p in enumerate(probabilities)]
    part = draw.integers(0, 5, 200)
    made = ranking.Ranking(tmp_path)
    for number in range(5):
        rows = np.flatnonzero(part == number)
        made.add(ranking.partition_table([scores[row] for row in rows], rows))
    expected = list_files.score_columns([scores[row] for row in ranking.ranked_rows(scores)])
    chunks = list(made.columns({}))
    assert {name: [value for chunk in chunks for value in chunk[name]] for name in expected} == expected
    assert [len(chunk["rank"]) for chunk in chunks] == [7] * 28 + [4]
    assert made.n_suspected == sum(p is not None and p >= 0.5 for p in probabilities)
    assert [client.row for client in made.first(1, 20)] == ranking.ranked_rows(scores)[:20]
    assert [client.part for client in made.first(1, 20)] == part[ranking.ranked_rows(scores)[:20]].tolist()
    assert len(list(tmp_path.iterdir())) < max(2 * most_open, 6)


@pytest.mark.usefixtures("model")
def test_what_was_left_out_of_files_is_said_in_parts_as_of_the_whole(tmp_path, capsys):
    folder = written(tmp_path, [a_client("a"), a_client("b")], [an_invoice("a"), an_invoice("b")])
    file = folder / "invoices.csv"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, rows[0], header, *rows[1:], "42 rows"]) + "\n")
    lists(tmp_path, folder)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("file_layout")]
    assert len(said) == 4
    assert said[:2] == said[2:]


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--visits", "3"], "--visits needs all clients"),
        (["--false-alarms", "0.5"], "--false-alarms needs all clients"),
        (["--holidays", "GB"], "are compared with readings"),
        (["--report", "r"], "--report needs all clients"),
        (["--memory", "100MB"], "is below 700MB"),
    ],
)
def test_what_looks_at_all_clients_at_once_is_refused(tmp_path, capsys, asked, words):
    folder = written(tmp_path, [a_client("a")], [an_invoice("a")])
    assert score.main([str(folder), "--memory", "1GB", "--out", str(tmp_path / "s.csv"), *asked]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "s.csv").exists()


@pytest.mark.parametrize("bad", ["2", "much", "-1GB", "2TB"])
def test_a_size_that_is_none_is_named(tmp_path, capsys, bad):
    with pytest.raises(SystemExit):
        score.main([str(tmp_path), f"--memory={bad}"])
    assert bad in capsys.readouterr().err


@pytest.mark.usefixtures("model")
def test_a_full_disk_ends_in_a_sentence_and_leaves_the_old_list(tmp_path, utility, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "s.csv").write_text("old")
    monkeypatch.setattr(disk.SpillWriter, "_write_rows", full)
    assert score.main([str(utility), "--memory", "1GB", "--out", str(tmp_path / "s.csv")]) == 2
    assert "cannot hold the temporary files (No space left on device)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
    assert (tmp_path / "s.csv").read_text() == "old"


@pytest.mark.usefixtures("model")
def test_a_bad_value_in_a_later_part_leaves_the_old_list(tmp_path, capsys):
    folder = written(tmp_path, [a_client("a"), a_client("a")], [an_invoice("a")])
    (tmp_path / "s.csv").write_text("old")
    assert score.main([str(folder), "--memory", "1GB", "--out", str(tmp_path / "s.csv")]) == 2
    assert "2 rows for client 'a'" in capsys.readouterr().err
    assert (tmp_path / "s.csv").read_text() == "old"


# --- what many clients show together ----------------------------------------------------------------------------------

MONTHS = [f"2014-{month:02d}-17" for month in range(1, 13)]


def bills(client_id, kwh):
    levels = {"consumption_level_1": kwh, "consumption_level_2": 0}
    return [
        an_invoice(client_id, invoice_on=day, months=1, old_index=kwh * i, new_index=kwh * (i + 1), **levels)
        for i, day in enumerate(MONTHS)
    ]


def refusals(folder, clients, invoices, capsys):
    """What score.py says of the whole and of parts. Neither writes a list."""
    base, said = written(folder, [a_client(client_id) for client_id in clients], invoices), []
    for more in ([], ["--memory", "1GB"]):
        out = folder / "scores.csv"
        assert (
            score.main([str(word) for word in (base / "clients.csv", base / "invoices.csv", "--out", out, *more)]) == 2
        )
        assert not out.exists()
        said.append(capsys.readouterr().err.strip().splitlines()[-1])
    return said


IDS = [f"00{i:03d}" for i in range(100, 130)]


@pytest.mark.usefixtures("model")
def test_a_base_whose_ids_do_not_join_is_refused_in_parts_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    whole, parts = refusals(tmp_path, IDS, [an_invoice(client_id.lstrip("0")) for client_id in IDS], capsys)
    assert "0 of 30 invoices" in whole
    assert "leading zeros" in whole
    assert parts == whole


@pytest.mark.usefixtures("model")
def test_a_base_in_wh_is_refused_in_parts_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    rows = [row for i, client_id in enumerate(IDS[:8]) for row in bills(client_id, 90_000 + 1000 * i)]
    whole, parts = refusals(tmp_path, IDS[:8], rows, capsys)
    assert "8 of 8 clients would use over 15,000 kWh" in whole
    assert parts == whole


@pytest.mark.usefixtures("model")
def test_corrected_and_unknown_invoices_are_the_same_in_parts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(disk, "FAN_OUT", 4)
    rows = [row for i, client_id in enumerate(IDS[:9]) for row in bills(client_id, 90 + i)]
    rows += [row | {"remark": 9} for row in rows[:20]] + [row | {"consumption_level_1": -500} for row in rows[40:44]]
    rows += [an_invoice("102", invoice_on="2014-01-17"), an_invoice("x"), *bills("TOTAL", 50)]
    clients = [a_client(client_id) for client_id in (*IDS[:9], "TOTAL")]
    whole, parts = lists(tmp_path, written(tmp_path, clients, rows))
    assert parts.read_bytes() == whole.read_bytes()
    [total] = [line for line in whole.read_text().splitlines() if line.startswith("TOTAL,")]
    assert "insufficient history" in total
    said = capsys.readouterr().out.splitlines()
    for flag in ("invoices_of_unknown_clients", "repeated_invoices", "total_row"):
        one, other = (line for line in said if line.startswith(f"{flag}: "))
        assert one == other
    assert any("'102', which differs from the client '00102' in leading zeros" in line for line in said)


@pytest.mark.usefixtures("model")
def test_a_row_that_is_the_sum_of_the_others_has_no_score_or_is_refused(tmp_path, capsys):
    rows = [row for i, client_id in enumerate(IDS[:5]) for row in bills(client_id, 90 + i)] + bills("9", 460)
    base = written(tmp_path, [a_client(client_id) for client_id in (*IDS[:5], "9")], rows)
    out = tmp_path / "scores.csv"
    asked = [str(word) for word in (base / "clients.csv", base / "invoices.csv", "--out", out)]
    assert score.main(asked) == 0
    [line] = [line for line in out.read_text().splitlines() if line.startswith("9,")]
    assert "insufficient history" in line
    assert score.main([*asked, "--memory", "1GB"]) == 2
    assert "Client '9' uses what all others do together" in capsys.readouterr().err
