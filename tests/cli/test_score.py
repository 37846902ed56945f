"""What score.py writes, and how it ends."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

import score
from fairmeter.core.types import FITS, INSUFFICIENT_HISTORY, HarmlessCause, QualityFlag, Reason, RecoveryEstimate, Score
from fairmeter.data import writers
from fairmeter.evaluation.conformal_selection import calibration_table
from fairmeter.models.model_file import ModelError
from fairmeter.planning import list_files
from fairmeter.scoring import inputs, population, ranking
from tests.builders.tables import a_client, an_invoice, csv_text, in_kaggle_names, written, zipped

COLUMNS = ["client_id", "score", "rank", "severity", "reason_1", "reason_2", "reason_3"]
COLUMNS += ["expected_recovery_kwh", "quality", "anomalies"]


class ByConsumption:
    """A model that sees what the invoices bill; each call's clients are kept."""

    group_key_names, readings, invoices = (), None, None

    def __init__(self):
        self.chunks, self.manifest = [], {"features": list(score.FEATURE_NAMES)}

    def judge(self, evidence, readings):
        return evidence, readings

    def score_clients(self, evidence, client_ids, quality, _readings=None):
        clients, invoices = evidence
        self.chunks.append(list(client_ids))
        assert list(clients["client_id"]) == list(client_ids)
        n = np.bincount(invoices["client"], minlength=len(client_ids))
        billed = np.bincount(invoices["client"], invoices["consumption_level_1"], minlength=len(client_ids))
        return [
            Score(
                i,
                kwh / (kwh + 100),
                "high",
                0.5,
                (),
                (*flags, QualityFlag("seen", 1, "")),
            )
            if n_of
            else Score(i, None, INSUFFICIENT_HISTORY, 0.5, (), flags)
            for i, kwh, n_of, flags in zip(client_ids, billed, n, quality, strict=True)
        ]


class Unmeasured:
    """In the place of the drift monitor: the fake model has no reference distribution."""

    def __init__(self, _model, _n_clients=None):
        pass

    def add(self, context):
        pass

    def drift(self):
        return {"parts": {}, "untold": []}


@pytest.fixture(autouse=True)
def model(monkeypatch):
    """The fake model in the place of model.bin; features are the tables themselves."""
    model = ByConsumption()
    monkeypatch.setattr(score.model_file, "load", lambda _path, _key=None: model)
    monkeypatch.setattr(population, "client_features", lambda clients, invoices, _cells: (clients, invoices))
    monkeypatch.setattr(score, "DriftMonitor", Unmeasured)
    monkeypatch.setattr(population, "explain", explained)
    monkeypatch.setattr(
        population, "estimate_recoveries", lambda _model, clients, *_: [AT_STAKE for _ in clients["region"]]
    )
    return model


AT_STAKE = RecoveryEstimate(1000.0, 500.0, 2000.0, 12.0, "Half of what it used.")


def explained(_model, scores, known):
    """Each of these with a reason and a harmless cause that fits."""
    assert [score.client_id for score in scores] == list(known.clients["client_id"])
    cause = HarmlessCause("vacant home", FITS, "")
    reason = Reason("level", 0.2, "=High")
    return [replace(score, reasons=(reason,), explanations=(cause,)) for score in scores]


# --- builders ---------------------------------------------------------------------------------------------------------

CLIENTS = [a_client("a"), a_client("b"), a_client("none"), a_client("c")]
INVOICES = [an_invoice("c", consumption_level_1=300), an_invoice("a"), an_invoice("b", consumption_level_1=400)]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def listed(folder, clients=CLIENTS, invoices=INVOICES, ending=".csv", out="scores.csv"):
    """The list that score.py makes of these clients, once it ended well."""
    written(folder, clients, invoices, ending)
    assert score.main([str(folder), "--out", str(folder / out)]) == 0
    return folder / out


def ends_in_one_sentence(capsys, arguments, words):
    assert score.main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
    assert said.endswith(".")


# --- the list ---------------------------------------------------------------------------------------------------------


def test_it_lists_clients_by_rank_and_those_it_cannot_judge_last(tmp_path):
    rows = rows_of(listed(tmp_path))
    assert list(rows[0]) == COLUMNS
    assert [(row["client_id"], row["rank"], row["score"]) for row in rows] == [
        ("b", "1", "0.800000"),
        ("c", "2", "0.750000"),
        ("a", "3", "0.473684"),
        ("none", "", ""),
    ]
    assert rows[0]["reason_1"] == "'=High"
    assert {row["reason_2"] for row in rows} == {""}
    assert [row["expected_recovery_kwh"] for row in rows] == ["800.000000", "750.000000", "473.684211", ""]
    assert rows[-1]["severity"] == "insufficient history"


def test_equal_scores_keep_the_order_of_the_file(tmp_path):
    clients = [a_client(f"c-{i}") for i in (3, 1, 2)]
    rows = rows_of(listed(tmp_path, clients, [an_invoice(client["client_id"]) for client in clients]))
    assert [row["client_id"] for row in rows] == ["c-3", "c-1", "c-2"]


def test_chunks_give_the_same_list_as_all_clients_at_once(tmp_path, model, monkeypatch):
    clients = [a_client(f"c-{i}") for i in range(25)]
    invoices = [an_invoice(f"c-{i % 20}", invoice_on=f"2014-01-{1 + i % 28:02d}", old_index=i) for i in range(90)]
    at_once = listed(tmp_path, clients, invoices).read_bytes()
    monkeypatch.setattr(population, "CHUNK", 4)
    assert listed(tmp_path, clients, invoices).read_bytes() == at_once
    assert [len(chunk) for chunk in model.chunks] == [25, 4, 4, 4, 4, 4, 4, 1]


def test_reasons_are_given_to_the_first_and_the_suspected_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(ranking, "MIN_REASONED", 1)
    reasons = [row["reason_1"] for row in rows_of(listed(tmp_path))]
    assert reasons == ["'=High", "'=High", "", ""]  # 0.80, 0.75, 0.47 with a threshold of 0.5
    monkeypatch.setattr(ranking, "MAX_REASONED", 1)
    assert [row["reason_1"] for row in rows_of(listed(tmp_path))] == ["'=High", "", "", ""]


def test_flags_of_the_data_and_of_the_model_stand_in_quality(tmp_path, model):
    tables = inputs.read_tables(written(tmp_path, CLIENTS, INVOICES))
    flags = [(), (QualityFlag("long_period", 1, ""), QualityFlag("unknown_remark", 2, "")), (), ()]
    [scores] = score.ClientBase(model, replace(tables, quality=flags)).scored()
    assert list_files.score_columns(scores)["quality"] == ["seen", "long_period;unknown_remark;seen", None, "seen"]


@pytest.mark.parametrize("mode", ["--guess-map", "--check", "--out"])
def test_output_into_a_pipe_that_nobody_reads_ends_quietly_and_the_list_is_written(tmp_path, trained, mode):
    out = tmp_path / "scores.csv"
    words = [str(trained.data), "--model", str(trained.model), *([mode] if mode != "--out" else [mode, str(out)])]
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(Path(score.__file__)), *words]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    os.close(writer)
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
    assert ended.returncode in ((0, 1) if mode == "--check" else (0,))
    assert out.exists() is (mode == "--out")


def test_quality_flags_are_printed_with_their_counts(tmp_path, capsys):
    listed(tmp_path, invoices=[*INVOICES, an_invoice("a", meter_id=0), an_invoice("unknown")])
    said = capsys.readouterr().out
    for flag in ("meter_number_zero", "invoices_of_unknown_clients", "no_invoices"):
        assert f"{flag}: " in said
    assert "high 3" in said
    assert "insufficient history 1" in said


def test_parquet_holds_the_same_list_with_types(tmp_path):
    table = parquet.read_table(listed(tmp_path, out="scores.parquet"))
    assert table.column_names == COLUMNS
    assert table["client_id"].to_pylist() == ["b", "c", "a", "none"]
    assert table["rank"].to_pylist() == [1, 2, 3, None]
    assert table["score"].to_pylist()[:2] == [0.8, 0.75]
    assert table["reason_1"][0].as_py() == "=High"  # no spreadsheet runs what is in Parquet


def test_kaggle_names_in_a_zip_without_labels_are_enough(tmp_path):
    tables = {"client_x": CLIENTS, "invoice_x": INVOICES}
    archive = zipped(tmp_path / "a.zip", **{name: csv_text(in_kaggle_names(rows)) for name, rows in tables.items()})
    assert score.main([str(archive), "--out", str(tmp_path / "s.csv")]) == 0
    assert [row["client_id"] for row in rows_of(tmp_path / "s.csv")] == ["b", "c", "a", "none"]


def test_files_of_any_name_are_taken_when_named(tmp_path):
    (tmp_path / "x.csv").write_text(csv_text(CLIENTS))
    (tmp_path / "y.csv").write_text(csv_text(INVOICES))
    named = ["--clients", str(tmp_path / "x.csv"), "--invoices", str(tmp_path / "y.csv")]
    assert score.main([*named, "--out", str(tmp_path / "s.csv")]) == 0


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_bad_input_ends_in_one_sentence_and_leaves_the_old_list(tmp_path, capsys):
    old = tmp_path / "scores.csv"
    old.write_text("old")
    (tmp_path / "clients.csv").write_text("client_id\n1\n")
    for sources, words in (([tmp_path / "no.zip"], "does not exist"), ([], "Name the file"), ([tmp_path], "invoice")):
        ends_in_one_sentence(capsys, [*sources, "--out", old], words)
    assert old.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clients.csv", "scores.csv"]


def test_an_unreadable_model_ends_in_one_sentence(tmp_path, monkeypatch, capsys):
    def load(_path, _key=None):
        raise ModelError("model.bin is damaged; copy it again.")

    monkeypatch.setattr(score.model_file, "load", load)
    ends_in_one_sentence(capsys, [tmp_path, "--out", tmp_path / "s.csv"], "model.bin is damaged")


def test_a_model_of_other_features_ends_in_one_sentence(tmp_path, model, capsys):
    model.manifest["features"].reverse()
    ends_in_one_sentence(capsys, [tmp_path, "--out", tmp_path / "s.csv"], "trained on other features")


def test_a_list_that_cannot_be_written_is_refused_before_the_work(tmp_path, model, capsys):
    clients = written(tmp_path, CLIENTS, INVOICES) / "clients.csv"
    (tmp_path / "link.csv").symlink_to(clients)
    for out, words in (
        (tmp_path, "is not a file"),
        (tmp_path / "none" / "s.csv", "not a folder that can be written"),
        (tmp_path / "link.csv", "is also an input"),
        (Path("/dev/null"), "is not a file"),
    ):
        named = ["--clients", clients, "--invoices", tmp_path / "invoices.csv", "--out", out]
        ends_in_one_sentence(capsys, named, words)
    assert model.chunks == []
    assert clients.read_text() == csv_text(CLIENTS)


def test_a_full_disk_leaves_the_old_list_and_no_part_of_the_new(tmp_path, monkeypatch, capsys):
    def full(_columns, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    out = listed(tmp_path)
    before = out.read_bytes()
    monkeypatch.setattr(writers, "write_csv", full)
    ends_in_one_sentence(capsys, [tmp_path, "--out", out], "No space left on device")
    assert out.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_ctrl_c_says_that_nothing_changed_and_ends_as_shells_expect(tmp_path, monkeypatch, capsys):
    def stopped(_columns, path):
        path.write_text("half")
        raise KeyboardInterrupt

    written(tmp_path, CLIENTS, INVOICES)
    monkeypatch.setattr(writers, "write_csv", stopped)
    assert score.main([str(tmp_path), "--out", str(tmp_path / "s.csv")]) == 130
    assert "as it was" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clients.csv", "invoices.csv"]


# --- the inspection list ----------------------------------------------------------------------------------------------

LIST_COLUMNS = ["visit", "client_id", "drawn_at_random", "score", "rank", "severity", "recommendation", "at_stake_kwh"]
LIST_COLUMNS += ["at_stake_low_kwh", "at_stake_high_kwh", "estimate", "expected_net_value", "net_value_low"]
LIST_COLUMNS += ["net_value_high", "route", "reason_1", "reason_2", "reason_3", "harmless", "quality", "anomalies"]


def visits_of(folder, *options, clients=CLIENTS, invoices=INVOICES, out="visits.csv"):
    """The inspection list of these clients, and the ranked one, once score.py ended well."""
    written(folder, clients, invoices, ".csv")
    outs = ["--out", folder / "scores.csv", "--list", folder / out]
    assert score.main([str(word) for word in (folder, *outs, *options)]) == 0
    return rows_of(folder / "visits.csv") if out == "visits.csv" else folder / out


def test_a_list_has_a_row_a_visit_with_what_it_is_expected_to_bring(tmp_path):
    first, second = visits_of(tmp_path, "--visits", 2, "--cost", 10, "--price", 0.1, "--random-share", 0)
    assert list(first) == LIST_COLUMNS
    assert (first["visit"], first["client_id"], first["rank"], first["drawn_at_random"]) == ("1", "b", "1", "false")
    assert (first["at_stake_kwh"], first["estimate"]) == ("1000.000000", "Half of what it used.")
    assert [float(first[name]) for name in LIST_COLUMNS[11:14]] == pytest.approx([70, 30, 150])  # 0.8 x 1000 x 0.1 - 10
    assert (first["recommendation"], first["harmless"], first["reason_1"]) == ("next round", "vacant home", "'=High")
    assert second["client_id"] == "c"


def test_only_who_is_listed_has_reasons(tmp_path):
    visits_of(tmp_path, "--visits", 1, "--random-share", 0)
    assert [row["reason_1"] for row in rows_of(tmp_path / "scores.csv")] == ["'=High", "", "", ""]


def test_without_a_price_there_is_no_net_value(tmp_path):
    assert {row["expected_net_value"] for row in visits_of(tmp_path, "--visits", 3)} == {""}


def test_visits_drawn_at_random_are_marked(tmp_path):
    clients = [a_client(f"c-{i}") for i in range(20)]
    invoices = [an_invoice(client["client_id"]) for client in clients]
    rows = visits_of(tmp_path, "--visits", 10, "--random-share", 0.2, clients=clients, invoices=invoices)
    assert [row["drawn_at_random"] for row in rows] == ["false"] * 8 + ["true"] * 2


def test_open_cases_and_recent_inspections_stay_out(tmp_path):
    out = tmp_path / "out.csv"
    today = np.datetime64("today")
    out.write_text(f"client_id,inspected_on\nb,\nc,{today - 30}\na,{today - 800}\n")
    rows = visits_of(tmp_path, "--visits", 3, "--leave-out", out)
    assert [row["client_id"] for row in rows] == ["a"]


def test_near_addresses_are_one_days_route(tmp_path):
    places = {"a": (36.8, 10.2), "b": (33.9, 10.1), "c": (36.81, 10.2), "none": (36.0, 10.0)}
    clients = [
        client | dict(zip(("latitude", "longitude"), places[client["client_id"]], strict=True)) for client in CLIENTS
    ]
    rows = visits_of(tmp_path, "--visits", 3, "--routes", 2, clients=clients)
    assert {row["client_id"]: row["route"] for row in rows} == {"a": "1", "b": "2", "c": "1"}


def test_a_list_in_parquet_has_types(tmp_path):
    table = parquet.read_table(visits_of(tmp_path, "--visits", 1, out="visits.parquet"))
    assert table.column_names == LIST_COLUMNS
    assert [str(table.schema.field(name).type) for name in ("visit", "drawn_at_random", "route")] == [
        "int64",
        "bool",
        "int64",
    ]


def test_a_promise_lists_as_many_as_keep_it(tmp_path, model, capsys):
    honest = np.linspace(0, 0.78, 79)
    model.manifest["promise"] = calibration_table(np.zeros(79), honest)  # p is 1 / 80 above them all, 4 / 80 for c
    rows = visits_of(tmp_path, "--false-alarms", 0.1)
    assert [row["client_id"] for row in rows] == ["b", "c"]  # 3 judged: 3 x 4 / 80 / 2 = 0.075
    assert "2 clients: the expected share of false alarms is at most 10%" in capsys.readouterr().out


def test_a_promise_that_no_list_keeps_is_said_with_the_smallest_share(tmp_path, model, capsys):
    model.manifest["promise"] = calibration_table(np.zeros(19), np.linspace(0, 0.9, 19))
    assert visits_of(tmp_path, "--false-alarms", 0.05, "--visits", 2, "--random-share", 0) == []
    said = capsys.readouterr().out
    assert "No list keeps at most 5% false alarms; the smallest possible share is" in said


def test_a_model_without_a_promise_table_says_so_before_the_work(tmp_path, model, capsys):
    written(tmp_path, CLIENTS, INVOICES)
    ends_in_one_sentence(capsys, [tmp_path, "--false-alarms", 0.3, "--out", tmp_path / "s.csv"], "no calibration table")
    assert model.chunks == []


def test_routes_without_addresses_are_refused(tmp_path, capsys):
    written(tmp_path, CLIENTS, INVOICES)
    asked = [tmp_path, "--visits", 2, "--routes", 5, "--out", tmp_path / "s.csv", "--list", tmp_path / "v.csv"]
    ends_in_one_sentence(capsys, asked, "latitude and longitude")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("client\n1\n", "lacks the column client_id"),
        ("client_id,inspected_on\n1,soon\n", "line 2, inspected_on 'soon'"),
    ],
)
def test_a_bad_file_of_clients_to_leave_out_ends_in_one_sentence(tmp_path, capsys, text, words):
    out = tmp_path / "out.csv"
    out.write_text(text)
    asked = [tmp_path, "--visits", 2, "--leave-out", out, "--out", tmp_path / "s.csv", "--list", tmp_path / "v.csv"]
    ends_in_one_sentence(capsys, asked, words)


@pytest.mark.parametrize("bad", [["--visits", "-1"], ["--cost", "x"], ["--false-alarms", "1.2"], ["--price", "inf"]])
def test_bad_numbers_are_named(tmp_path, capsys, bad):
    with pytest.raises(SystemExit):
        score.main([str(tmp_path), *bad])
    assert bad[1] in capsys.readouterr().err


def test_the_expected_worth_of_visits_is_printed(tmp_path, capsys):
    visits_of(tmp_path, "--visits", 3, "--cost", 10, "--price", 0.1)
    said = capsys.readouterr().out
    assert "expected net value" in said
    assert "Most is left after 3 visits: 172" in said  # 0.8 + 0.75 + 0.473684 hits of 100 each, less 3 x 10


def test_the_list_is_not_written_over_the_scores_or_what_is_read(tmp_path, capsys):
    written(tmp_path, CLIENTS, INVOICES)
    for other in (tmp_path / "s.csv", tmp_path / "clients.csv"):
        asked = ["--clients", tmp_path / "clients.csv", "--invoices", tmp_path / "invoices.csv", "--visits", 1]
        ends_in_one_sentence(capsys, [*asked, "--out", tmp_path / "s.csv", "--list", other], "is also an input")
