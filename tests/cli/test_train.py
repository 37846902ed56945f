"""What train.py writes, and how it ends."""

import errno
import hashlib
import json
import pickle
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

import train
from fairmeter.cli.console import describe_estimate
from fairmeter.cli.train_options import ARCHIVE, SAMPLE, command_of, default_sources
from fairmeter.core import paths
from fairmeter.explanation.topics import FITTED_ON_OTHERS
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.fraud_model import SHORT_READING_DAYS
from fairmeter.training.dataset import MIN_PER_LABEL
from fairmeter.training.invoice_pipeline import TrainingResult
from fairmeter.training.manifest import MANIFEST_METRICS, with_version
from fairmeter.training.options import TEST_PARTS
from fairmeter.web.pages.model import is_report_of
from tests.builders.readings import N_LABELLED, readings_in, readings_text, town
from tests.builders.tables import a_client, an_invoice, written, zipped
from tests.builders.training import ends_in_one_sentence, model_in

# --- builders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A folder to stand in, with a model of last time."""
    for name in ("model.bin", "model.bin.sha256"):
        shutil.copy(trained.model.with_name(name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clients(n=100, n_frauds=40, **changes):
    return [a_client(f"c-{i}", label=int(i < n_frauds)) | changes for i in range(n)]


def invoices(n=100):
    return [an_invoice(f"c-{i}") for i in range(n)]


# --- what is written --------------------------------------------------------------------------------------------------


def test_it_writes_a_model_with_its_checksum_and_a_report(trained):
    files = ["model.bin", "model.bin.sha256", "models", "report"]
    assert sorted(file.name for file in trained.model.parent.iterdir()) == files
    (kept,) = (trained.model.parent / "models").glob("*.bin")
    assert kept.read_bytes() == trained.model.read_bytes()
    assert sorted(file.name for file in trained.report.iterdir()) == ["metrics.json", "model_card.md", "report.html"]


def test_the_manifest_says_what_the_model_is(small_model, small_dataset):
    manifest = small_model.manifest
    clients = small_dataset.clients("prospective")
    assert manifest["features"] == list(FEATURE_NAMES)
    assert manifest["view"] == "prospective"
    assert manifest["version"].startswith(f"{datetime.now(UTC):%Y.}")
    assert datetime.fromisoformat(manifest["trained_at"]).tzinfo is UTC
    assert manifest["n_clients"] == len(clients)
    assert manifest["fraud_rate"] == small_dataset.label[clients].mean()
    assert manifest["data_fingerprint"] == small_dataset.fingerprint()
    assert [cut["severity"] for cut in manifest["severities"]] == ["critical", "high", "medium"]
    assert 0 < manifest["threshold"] < 1
    assert {"numpy", "catboost", "onnxruntime"} < set(manifest["libraries"])
    assert set(manifest["metrics"]) == set(MANIFEST_METRICS)


def test_the_card_tells_the_command_without_where_its_files_are_and_what_drift_is_measured_from(trained, small_model):
    card = (trained.report / "model_card.md").read_text()
    assert "`python train.py utility.zip --quick --out model.bin --report report`" in card
    n = len([name for name in small_model.invoices.inputs.names if not name.startswith(FITTED_ON_OTHERS)])
    assert f"{n:,} features of {small_model.invoices.fingerprint.n:,} clients" in card
    assert command_of(["data/", "--out=/tmp/a b/m.bin"]) == "python train.py data/ --out=m.bin"


def test_the_report_measures_clients_that_the_model_was_not_fitted_on(trained, small_dataset):
    metrics = json.loads((trained.report / "metrics.json").read_text())
    n = [result["n"] for result in metrics["results"]]
    assert n[0] == n[2] == pytest.approx(len(small_dataset.clients("prospective")) / TEST_PARTS, abs=2)
    assert n[0] < n[1] < len(small_dataset.clients("all")) / TEST_PARTS + 2
    assert [row["model"] for row in metrics["models"][0]["rows"]] == [
        "majority", "z-score", "isolation forest", "logistic regression", "decision tree on level statistics",
        "xgboost", "catboost", "random forest", "stack",
    ]  # fmt: skip
    assert sum(row["n"] for row in metrics["severities"]) == n[0]
    assert metrics["run"]["trained_at"] == metrics["manifest"]["trained_at"]
    assert metrics["run"]["n_clients"] == len(small_dataset.label)


def test_every_column_of_the_members_is_described_in_the_report(trained, small_model):
    importance = json.loads((trained.report / "metrics.json").read_text())["importance"]
    assert {row["feature"] for row in importance} == set(small_model.invoices.inputs.names)
    assert all(row["group"] and row["text"] for row in importance)
    sizes = [row["value"] for row in importance]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


def test_neither_the_model_nor_the_report_names_a_client(trained, small_model, small_dataset):
    parts = [small_model.invoices, small_model.aggregates, small_model.manifest]
    model = pickle.dumps([model_file.to_plain(part) for part in parts])  # model.bin itself is compressed
    told = model + b"".join(file.read_bytes() for file in trained.report.iterdir())
    assert b"elec_level_mean" in told
    assert not [name for name in small_dataset.tables.clients["client_id"] if name.encode() in told]


def test_two_trainings_of_one_day_never_share_a_version(small_model):
    versions = set()
    for second in (1, 2):
        trained_at = {"trained_at": f"2026-11-30T10:00:0{second}+00:00"}
        model = replace(small_model, manifest=small_model.manifest | trained_at)
        metrics, named = with_version({"run": trained_at, "manifest": {"version": ""}}, model)
        assert metrics["run"]["version"] == metrics["manifest"]["version"] == named.manifest["version"]
        versions.add(named.manifest["version"])
    assert len(versions) == 2
    assert all(version.startswith("2026.11.30-") for version in versions)


def test_the_report_names_the_model_that_it_is_of(trained):
    model = model_file.load(trained.model)
    metrics = json.loads((trained.report / "metrics.json").read_text())
    assert metrics["model_sha256"] == model.sha256 == hashlib.sha256(trained.model.read_bytes()).hexdigest()
    assert metrics["run"]["version"] == model.manifest["version"]
    assert is_report_of(metrics, model.manifest | {"sha256": model.sha256})
    assert not is_report_of(metrics, model.manifest | {"sha256": "of another"})
    older = {name: value for name, value in metrics.items() if name != "model_sha256"}
    assert is_report_of(older, model.manifest)
    assert not is_report_of(older, model.manifest | {"trained_at": "2026-01-01T00:00:00+00:00"})


def test_the_delivered_report_is_bound_to_the_delivered_model():
    report = json.loads(paths.DELIVERED_METRICS.read_text())
    assert report["model_sha256"] == hashlib.sha256((paths.PROJECT / "model.bin").read_bytes()).hexdigest()


def test_without_data_it_takes_the_archive_or_else_the_sample_and_says_so(place, capsys):
    assert default_sources(()) == (SAMPLE,)
    assert "simulated" in capsys.readouterr().out
    ARCHIVE.parent.mkdir()
    ARCHIVE.touch()
    assert default_sources(()) == (ARCHIVE,)
    assert default_sources((place / "mine.zip",)) == (place / "mine.zip",)
    assert capsys.readouterr().out == ""


# --- bad uses ---------------------------------------------------------------------------------------------------------

BAD_USES = {
    "attack what": (["--attack"], "--attack needs --readings"),
    "onto what": (["--onto", "model.bin"], "either the files of invoices or --readings"),
    "attack invoices": (["utility.zip", "--attack"], "--attack needs --readings"),
    "onto with both": (["utility.zip", "--onto", "model.bin", "--readings", "r.csv"], "either the files of invoices"),
    "a view that is none": (["--view", "backwards"], "invalid choice"),
    "readings of nothing": (["--readings"], "expected one argument"),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_USES.values(), ids=BAD_USES)
def test_bad_uses_end_in_a_sentence_and_exit_2(place, capsys, arguments, words):
    before = model_in(place)
    with pytest.raises(SystemExit) as ended:
        train.main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert model_in(place) == before


HEAD = "client_id,read_at,consumption_kwh\n"
FEW, FLEETING = readings_text(town(MIN_PER_LABEL - 1, 30)), readings_text(town(30, SHORT_READING_DAYS))
BAD_READINGS = {
    "a missing file": (lambda _folder: "none.csv", [], "none.csv"),
    "no readings in it": (lambda folder: written_text(folder, HEAD), [], "readings.csv"),
    "none that is known": (lambda folder: written_text(folder, HEAD + "a,2014-01-01,\n" * 9), [], "no reading"),
    "too few clients to rank": (lambda folder: written_text(folder, FEW), [], "19 clients"),
    "too few days to attack": (lambda folder: written_text(folder, FLEETING), ["--attack"], "0 clients"),
    "honest clients alone": (lambda folder: readings_in(folder, [0] * N_LABELLED).name, [], "0 clients labelled 1"),
    "a model that is none": (readings_in, ["--onto", "readings.csv"], "readings.csv"),
    "a model over the readings": (readings_in, ["--out", "readings.csv"], "name another file"),
}


def written_text(folder, text):
    (folder / "readings.csv").write_text(text)
    return "readings.csv"


@pytest.mark.parametrize(("make", "options", "words"), BAD_READINGS.values(), ids=BAD_READINGS)
def test_readings_it_cannot_learn_from_end_in_one_sentence(place, capsys, make, options, words):
    said = ends_in_one_sentence(capsys, place, "--readings", make(place), "--quick", *options)
    assert words in said


def test_readings_that_cannot_be_read_are_told_before_invoices_are_fitted(place, trained, capsys, monkeypatch):
    monkeypatch.setattr(train, "build_dataset", lambda *_: pytest.fail("it began with the invoices"))
    (place / "readings.csv").write_text("client_id,read_at,consumption_kwh\na,soon,1\n")
    said = ends_in_one_sentence(capsys, place, trained.data, "--readings", "readings.csv", "--quick")
    assert "readings.csv" in said


# --- how it ends ------------------------------------------------------------------------------------------------------

UNUSABLE = {
    "no label column": ([a_client(f"c-{i}") for i in range(100)], invoices(30), "no labels .* at least 40"),
    "labels all missing": (clients(label=None), invoices(30), "no labels .* at least 40"),
    "honest clients only": (clients(n_frauds=0), invoices(), "0 clients labelled 1 and 100 labelled 0"),
    "frauds only": (clients(n_frauds=100), invoices(), "100 clients labelled 1 and 0 labelled 0"),
    "too few frauds": (clients(n_frauds=MIN_PER_LABEL - 1), invoices(), f"at least {MIN_PER_LABEL}"),
    "invoices of others only": (clients(), [an_invoice("other")], "0 of 1 invoices have the client_id"),
    "too few with invoices": (clients(), invoices(30), "30 clients labelled 1 and 0 labelled 0"),
}


@pytest.mark.parametrize(("rows", "bills", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_clients_it_cannot_learn_from_end_in_one_sentence(place, capsys, rows, bills, words):
    (place / "in").mkdir()
    assert re.search(words, ends_in_one_sentence(capsys, place, written(place / "in", rows, bills), "--quick"))


UNREADABLE = {
    "missing file": (lambda _folder: "none.zip", "none.zip"),
    "damaged zip": (lambda folder: zipped(folder / "bad.zip", clients="x").write_bytes(b"PK\3\4") and "bad.zip", "zip"),
    "no invoices": (lambda folder: zipped(folder / "one.zip", clients="client_id\nc-1\n"), "invoice"),
    "an empty table": (lambda folder: zipped(folder / "two.zip", clients="client_id\n", invoices="client_id\n"), ""),
}


@pytest.mark.parametrize(("make", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_data_that_cannot_be_read_ends_in_one_sentence(place, capsys, make, words):
    assert words in ends_in_one_sentence(capsys, place, make(place), "--quick")


PLACES = {
    "a model in no folder": (["--out", "none/model.bin"], "none is not a writable folder"),
    "a report in no folder": (["--report", "none/report"], "none is not a writable folder"),
    "a model that is a folder": (["--out", "."], "name another file"),
    "a model over the data": (["--out", "utility.zip"], "name another file"),
    "a report that is a file": (["--report", "utility.zip"], "utility.zip is not a writable folder"),
}


@pytest.mark.parametrize(("options", "words"), PLACES.values(), ids=PLACES)
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(place, trained, capsys, monkeypatch, options, words):
    monkeypatch.setattr(train, "build_dataset", lambda *_: pytest.fail("it began to work"))
    shutil.copy(trained.data, place / "utility.zip")
    assert words in ends_in_one_sentence(capsys, place, "utility.zip", *options)


PIPELINE = "fairmeter.training.invoice_pipeline"
FITTING = ("fairmeter.cli.train_inputs.read_tables", f"{PIPELINE}.client_features", f"{PIPELINE}.fit_ensemble")
WRITING = ("train.write_training_report", "fairmeter.models.model_file.save")
NOTHING_MEASURED = TrainingResult({"results": []}, object())


@pytest.fixture
def fails(monkeypatch):
    """Lets one step raise an error; before those that write, all is fitted already."""

    def at(step, error):
        def call(*_arguments, **_options):
            raise error

        if step in WRITING:
            monkeypatch.setattr(train, "build_dataset", lambda *_arguments: None)
            monkeypatch.setattr(train, "learn_invoices", lambda *_arguments: NOTHING_MEASURED)
            monkeypatch.setattr(train, "describe_references", lambda _model: {})
            monkeypatch.setattr(train, "file_sha256", lambda _model: "")
            monkeypatch.setattr(train, "with_version", lambda metrics, model: (metrics, model))
            monkeypatch.setattr(train, "write_training_report", lambda *_arguments: None)
        monkeypatch.setattr(step, call)

    return at


@pytest.mark.parametrize("step", FITTING + WRITING)
def test_stopped_at_any_step_it_leaves_the_model_and_says_so(place, trained, capsys, fails, step):
    before = model_in(place)
    fails(step, KeyboardInterrupt())
    assert train.main([str(trained.data), "--quick"]) == 130
    assert capsys.readouterr().err == "Stopped; model.bin is unchanged.\n"
    assert model_in(place) == before


@pytest.mark.parametrize("step", WRITING)
def test_a_full_disk_leaves_the_model_and_ends_in_one_sentence(place, trained, capsys, fails, step):
    fails(step, OSError(errno.ENOSPC, "No space left on device", "report/metrics.json"))
    said = ends_in_one_sentence(capsys, place, trained.data, "--quick")
    assert said == "report/metrics.json cannot be written (No space left on device); model.bin is unchanged."


def test_what_could_not_be_measured_is_unknown_and_no_traceback():
    assert describe_estimate(None) == "unknown"
    assert describe_estimate({"value": 0.5, "interval": None}) == "0.500"
    assert describe_estimate({"value": 0.5, "interval": [0.25, 1]}) == "0.500 (0.250 to 1.000)"
