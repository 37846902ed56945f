"""What train.py writes, and how it ends."""

import errno
import json
import pickle
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from reading_builders import readings_text, robbed, town
from table_builders import a_client, an_invoice, csv_text, written, zipped

import train
from features import FEATURE_NAMES
from fraud import model_file
from fraud.ensemble import log_odds_of
from fraud.manifest import MEASURED
from fraud.model import SHORT_READINGS
from fraud.reading_fitting import TO_TRAIN_QUICKLY
from fraud.reading_tables import read_readings
from fraud.study import LEAST_OF_A_KIND

# --- builders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A folder to stand in, with a model of last time."""
    for name in ("model.bin", "model.bin.sha256"):
        shutil.copy(trained.model.with_name(name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def model_in(folder):
    return [(folder / name).read_bytes() for name in ("model.bin", "model.bin.sha256")]


def clients(n=100, n_frauds=40, **changes):
    return [a_client(f"c-{i}", label=int(i < n_frauds)) | changes for i in range(n)]


def invoices(n=100):
    return [an_invoice(f"c-{i}") for i in range(n)]


def ends_in_one_sentence(capsys, folder, *arguments):
    """What train.py says, having left the model of last time as it was."""
    before = model_in(folder)
    assert train.main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert said.endswith(".")
    assert model_in(folder) == before
    assert not (folder / "report").exists()
    return said


# --- what is written --------------------------------------------------------------------------------------------------


def test_it_writes_a_model_with_its_checksum_and_a_report(trained):
    assert sorted(file.name for file in trained.model.parent.iterdir()) == ["model.bin", "model.bin.sha256", "report"]
    assert sorted(file.name for file in trained.report.iterdir()) == ["metrics.json", "model_card.md", "report.html"]


def test_the_manifest_says_what_the_model_is(small_model, small_study):
    manifest = small_model.manifest
    clients = small_study.clients("prospective")
    assert manifest["features"] == list(FEATURE_NAMES)
    assert manifest["view"] == "prospective"
    assert manifest["version"].startswith(f"{datetime.now(UTC):%Y.}")
    assert datetime.fromisoformat(manifest["trained_at"]).tzinfo is UTC
    assert manifest["n_clients"] == len(clients)
    assert manifest["fraud_rate"] == small_study.label[clients].mean()
    assert manifest["data_fingerprint"] == small_study.fingerprint()
    assert [cut["severity"] for cut in manifest["severities"]] == ["critical", "high", "medium"]
    assert 0 < manifest["threshold"] < 1
    assert {"numpy", "catboost", "onnxruntime"} < set(manifest["libraries"])
    assert set(manifest["metrics"]) == set(MEASURED)


def test_the_card_tells_the_command_without_where_its_files_are_and_what_drift_is_measured_from(trained, small_model):
    card = (trained.report / "model_card.md").read_text()
    assert "`python train.py utility.zip --quick --out model.bin --report report`" in card
    n = len([name for name in small_model.invoices.inputs.names if not name.startswith("neighbours_")])
    assert f"{n:,} features of {small_model.invoices.fingerprint.n:,} clients" in card
    assert train.command_of(["data/", "--out=/tmp/a b/m.bin"]) == "python train.py data/ --out=m.bin"


def test_the_report_measures_clients_that_the_model_was_not_fitted_on(trained, small_study):
    metrics = json.loads((trained.report / "metrics.json").read_text())
    n = [result["n"] for result in metrics["results"]]
    assert n[0] == n[2] == pytest.approx(len(small_study.clients("prospective")) / train.TEST_PARTS, abs=2)
    assert n[0] < n[1] < len(small_study.clients("all")) / train.TEST_PARTS + 2
    assert [row["model"] for row in metrics["models"][0]["rows"]] == [
        "majority", "z-score", "isolation forest", "logistic regression", "decision tree on level statistics",
        "xgboost", "catboost", "random forest", "stack",
    ]  # fmt: skip
    assert sum(row["n"] for row in metrics["severities"]) == n[0]
    assert metrics["run"]["trained_at"] == metrics["manifest"]["trained_at"]
    assert metrics["run"]["n_clients"] == len(small_study.label)


def test_every_column_of_the_members_is_described_in_the_report(trained, small_model):
    importance = json.loads((trained.report / "metrics.json").read_text())["importance"]
    assert {row["feature"] for row in importance} == set(small_model.invoices.inputs.names)
    assert all(row["group"] and row["text"] for row in importance)
    sizes = [row["value"] for row in importance]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0


def test_neither_the_model_nor_the_report_names_a_client(trained, small_model, small_study):
    parts = [small_model.invoices, small_model.aggregates, small_model.manifest]
    model = pickle.dumps([model_file.plain(part) for part in parts])  # model.bin itself is compressed
    told = model + b"".join(file.read_bytes() for file in trained.report.iterdir())
    assert b"elec_level_mean" in told
    assert not [name for name in small_study.tables.clients["client_id"] if name.encode() in told]


@pytest.mark.parametrize(
    ("former", "following"),
    [("{month}.1", "{month}.2"), ("{month}.41", "{month}.42"), ("2020.1.7", "{month}.1"), ("mine", "{month}.1")],
)
def test_versions_count_up_within_a_month(small_model, tmp_path, former, following):
    today = datetime.now(UTC)
    month = f"{today.year}.{today.month}"
    manifest = small_model.manifest | {"version": former.format(month=month)}
    out = tmp_path / "model.bin"
    model_file.save(replace(small_model, manifest=manifest), out)
    assert train.next_version(out) == following.format(month=month)
    assert train.next_version(tmp_path / "none.bin") == f"{month}.1"


def test_without_data_it_takes_the_archive_or_else_the_sample_and_says_so(place, capsys):
    assert train.sources([]) == [train.SAMPLE]
    assert "simulated" in capsys.readouterr().out
    train.ARCHIVE.parent.mkdir()
    train.ARCHIVE.touch()
    assert train.sources([]) == [train.ARCHIVE]
    assert train.sources([place / "mine.zip"]) == [place / "mine.zip"]
    assert capsys.readouterr().out == ""


RUN = {"version": "1", "trained_at": "2026-11-21T10:00:00Z", "view": "prospective", "how": []}

# --- readings ---------------------------------------------------------------------------------------------------------

N_LABELLED, N_LONG = 60, 120  # households, days


def metrics_of(folder):
    return json.loads((folder / "report" / "metrics.json").read_text())


def learnt(folder, *arguments):
    """The model that train.py fits quickly, ended well, in the folder."""
    asked = [*arguments, "--quick", "--out", folder / "model.bin", "--report", folder / "report"]
    assert train.main([str(word) for word in asked]) == 0
    return model_file.load(folder / "model.bin")


def probabilities(model, file):
    """Of clients by their readings alone."""
    tables = read_readings(file)
    n = len(tables.client_ids)
    evidence = model.evidence_of_readings(tables.readings, n)
    nothing = np.full((n, len(FEATURE_NAMES)), np.nan, np.float32)
    nobody = replace(evidence, features=nothing, n_records=np.zeros(n, int))
    return model.probability(nobody, evidence)


def readings_in(folder, label=None):
    """A file of readings, whose first twenty households lose most of their consumption halfway."""
    file = folder / "readings.csv"
    kwh = robbed(town(N_LABELLED, N_LONG), np.arange(20), N_LONG // 2)
    file.write_text(readings_text(kwh, label))
    return file


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """(folder, model) of `train.py --readings F` where nothing tells who steals."""
    folder = tmp_path_factory.mktemp("unlabelled")
    return folder, learnt(folder, "--readings", readings_in(folder))


def test_readings_without_labels_are_learnt_and_rank_their_clients(unlabelled):
    folder, model = unlabelled
    assert (model.invoices, model.aggregates) == (None, None)
    assert model.manifest["readings"]["made"] == "without labels"
    assert model.manifest["fraud_rate"] == 0.5, "ranks stay as they are"
    found = probabilities(model, folder / "readings.csv")
    assert ((found > 0) & (found < 1)).all()
    assert np.median(found[:20]) > np.median(found[20:])
    suspected = found >= model.manifest["readings"]["threshold"]
    assert 1 <= suspected.sum() <= 5
    assert suspected[:20].sum() == suspected.sum()
    fingerprint = model.readings.ensemble.fingerprint
    assert fingerprint.n == N_LABELLED
    assert fingerprint.edges[-1, 4] == pytest.approx(np.quantile(log_odds_of(found), 0.5, method="inverted_cdf"))


def test_a_model_on_readings_alone_says_where_it_comes_from(unlabelled):
    folder, model = unlabelled
    known = model.manifest["readings"]
    assert (known["data"], known["n_clients"]) == ("readings.csv", N_LABELLED)
    assert metrics_of(folder)["run"]["readings"]["data"] == "readings.csv"
    assert sorted(file.name for file in (folder / "report").iterdir()) == [
        "metrics.json", "model_card.md", "report.html",
    ]  # fmt: skip


def test_readings_with_labels_are_learnt_and_measured_out_of_fold(tmp_path):
    file = readings_in(tmp_path, [1] * 20 + [0] * 40)
    model = learnt(tmp_path, "--readings", file)
    assert model.manifest["readings"]["made"] == "labelled"
    assert model.manifest["fraud_rate"] == pytest.approx(1 / 3)
    assert metrics_of(tmp_path)["readings"]["ranking"]["roc_auc"]["value"] > 0.8
    found = probabilities(model, file)
    threshold = model.manifest["readings"]["threshold"]
    assert (found[:20] >= threshold).mean() > 0.8
    assert (found[20:] >= threshold).mean() < 0.2


def weather_in(folder, first, n=400):
    """A file of weather that gets warmer day by day."""
    days = np.datetime64(first, "D") + np.arange(n)
    text = "".join(f"{day},{5 + i / 100}\n" for i, day in enumerate(days))
    (folder / "weather.csv").write_text(f"date,temperature\n{text}")
    return folder / "weather.csv"


def test_weather_and_holidays_are_learnt_beside_the_readings_and_named(tmp_path):
    (tmp_path / "holidays.csv").write_text("date\n2013-04-01\n")
    beside = ["--weather", weather_in(tmp_path, "2013-01-01"), "--holidays", tmp_path / "holidays.csv"]
    model = learnt(tmp_path, "--readings", readings_in(tmp_path), *beside)
    surroundings = model.readings.surroundings
    at = int(np.datetime64("2013-04-01").astype(int)) - surroundings.first_day
    assert surroundings.temperature[at] == pytest.approx(5.9)
    assert (surroundings.is_holiday[at], np.sum(surroundings.is_holiday)) == (1.0, 1.0)
    known = model.manifest["readings"]
    assert (known["weather"], known["holidays"]) == ("weather.csv", "holidays.csv")


@pytest.mark.parametrize(
    ("first", "readings", "words"),
    [("1999-01-01", True, "no temperature from 2013-01-07 to"), ("2013-01-01", False, "go with readings")],
    ids=["of another year", "without readings"],
)
def test_weather_that_says_nothing_of_the_readings_ends_in_a_sentence(tmp_path, capsys, first, readings, words):
    for name in ("model.bin", "model.bin.sha256"):
        (tmp_path / name).write_bytes(b"of last time")
    named = (
        ["--readings", readings_in(tmp_path)]
        if readings
        else [zipped(tmp_path / "utility.zip", clients="client_id\nc-1\n")]
    )
    places = ["--out", tmp_path / "model.bin", "--report", tmp_path / "report"]
    said = ends_in_one_sentence(capsys, tmp_path, *named, "--weather", weather_in(tmp_path, first), *places)
    assert words in said


def test_labels_of_the_clients_are_taken_where_the_readings_have_none(tmp_path, monkeypatch):
    """Files of one utility, by name: clients, invoices and readings; the invoices' ensembles are fitted elsewhere."""
    readings_in(tmp_path)
    own = [a_client(f"h-{i}", label=int(i < 20)) for i in reversed(range(N_LABELLED))]
    (tmp_path / "clients.csv").write_text(csv_text([*own, a_client("unread", label=0)]))
    (tmp_path / "invoices.csv").write_text(csv_text([an_invoice("h-1")]))
    given = []
    monkeypatch.setattr(train, "from_invoices", lambda *_: ({"run": {}, "results": []}, None))
    monkeypatch.setattr(train, "of_labelled", lambda days, label, *_: given.append((days, label)) or 1 / 0)
    files = [tmp_path / f"{name}.csv" for name in ("clients", "invoices", "readings")]
    with pytest.raises(ZeroDivisionError):
        learnt(tmp_path, *files)
    ((days, label),) = given
    assert label.tolist() == [0.0] * 40 + [1.0] * 20 + [0.0]
    assert days.segments.counts.tolist() == [N_LONG] * N_LABELLED + [0]
    first = read_readings(files[2]).readings["consumption_kwh"][:N_LONG]
    np.testing.assert_array_equal(days.kwh[days.segments.index == N_LABELLED - 1], first)


def test_readings_beside_invoices_that_are_too_few_to_learn_from_cost_nothing_but_themselves(
    small_utility, small_model, tmp_path, monkeypatch, capsys
):
    readings_in(tmp_path, [1] * 3 + [0] * 57)
    monkeypatch.setattr(train, "study_of", lambda *_: object())
    monkeypatch.setattr(train, "from_invoices", lambda *_: ({"run": RUN, "results": []}, small_model))
    model = learnt(tmp_path, small_utility, tmp_path / "readings.csv")
    assert model.readings is None
    assert "left out: 3 clients labelled 1" in capsys.readouterr().out


def test_what_transformers_lost_is_learnt_from_beside_the_labels(metered, metered_utility, tmp_path, monkeypatch):
    heard, learn = [], train.of_labelled

    def spied(*arguments):
        heard.append(arguments[-1])
        return learn(*arguments)

    monkeypatch.setattr(train, "of_labelled", spied)
    model = learnt(tmp_path, metered.data)
    [losses] = heard
    assert len(losses.transformer) == len(metered_utility.clients["client_id"])
    assert (~np.isnan(losses.kwh)).any()
    assert model.readings.surroundings.losses is None


def test_readings_taken_for_honest_are_attacked(tmp_path):
    file = tmp_path / "readings.csv"
    file.write_text(readings_text(town(80, 200), [1] * 80))  # labels are of no account
    model = learnt(tmp_path, "--readings", file, "--attack")
    assert model.manifest["readings"]["made"] == "injected"
    assert model.manifest["fraud_rate"] == train.THEFT_SHARE
    assert {"as published", "wider than published", "past_to_future"} < set(metrics_of(tmp_path)["readings"])
    found, threshold = probabilities(model, file), model.manifest["readings"]["threshold"]
    assert (found >= threshold).mean() < 0.1
    stolen = tmp_path / "stolen.csv"
    stolen.write_text(readings_text(robbed(town(80, 200), np.arange(80), 140, 0.0)))
    assert (probabilities(model, stolen) >= threshold).mean() > 0.8
    assert 0 < model.readings.ensemble.fingerprint.n < 80 * len(TO_TRAIN_QUICKLY) / 2


def test_onto_a_model_readings_are_added_and_its_invoices_stay_to_the_last_bit(small_model, metered_model, small_study):
    for part in ("invoices", "aggregates"):
        before, after = (model_file.plain(getattr(model, part)) for model in (small_model, metered_model))
        assert pickle.dumps(before) == pickle.dumps(after)
    assert small_model.readings is None
    assert metered_model.readings is not None
    of_both = [model.probability(small_study.evidence) for model in (small_model, metered_model)]
    np.testing.assert_array_equal(*of_both)
    kept = {name: value for name, value in small_model.manifest.items() if name not in ("version", "trained_at")}
    assert {name: metered_model.manifest[name] for name in kept} == kept
    assert metered_model.manifest["readings"]["theft_share"] == small_model.manifest["fraud_rate"]


def test_readings_replace_those_that_a_model_has_whatever_their_features_were(metered, tmp_path):
    model = model_file.load(metered.model)
    model_file.save(replace(model, manifest=model.manifest | {"reading_features": ["of old"]}), tmp_path / "old.bin")
    assert train.older_model(tmp_path / "old.bin").readings is None


def test_a_metered_utility_reports_what_its_readings_reach(metered, metered_utility):
    metrics = json.loads((metered.report / "metrics.json").read_text())["readings"]
    label = metered_utility.clients["label"][np.unique(metered_utility.readings["client"])]
    assert metrics["made"] == "labelled"
    assert metrics["n"] == pytest.approx((~np.isnan(label)).sum() / train.FOLDS, abs=2)
    assert metrics["n_thieves"] == pytest.approx(np.nansum(label) / train.FOLDS, abs=1)
    assert metrics["ranking"]["roc_auc"]["value"] > 0.6


def test_validated_readings_are_measured_fold_by_fold_and_leave_no_model(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "FOLDS", 2)
    file = readings_in(tmp_path, [1] * 20 + [0] * 40)
    asked = [
        "--readings",
        file,
        "--validate",
        "--quick",
        "--out",
        tmp_path / "model.bin",
        "--report",
        tmp_path / "report",
    ]
    assert train.main([str(word) for word in asked]) == 0
    assert not list(tmp_path.glob("model.bin*"))
    metrics = metrics_of(tmp_path)["readings"]
    assert (metrics["folds"], metrics["n"], metrics["n_thieves"]) == (2, 2 * N_LABELLED / 5, 2 * 20 / 5)


BAD_USES = {
    "attack what": (["--attack"], "--attack and --onto go with --readings"),
    "onto what": (["--onto", "model.bin"], "--attack and --onto go with --readings"),
    "attack invoices": (["utility.zip", "--attack"], "--attack and --onto go with --readings"),
    "onto a model and invoices": (["utility.zip", "--onto", "model.bin", "--readings", "r.csv"], "leave out"),
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
FEW, FLEETING = readings_text(town(LEAST_OF_A_KIND - 1, 30)), readings_text(town(30, SHORT_READINGS))
BAD_READINGS = {
    "a missing file": (lambda _folder: "none.csv", [], "none.csv"),
    "no readings in it": (lambda folder: written_text(folder, HEAD), [], "readings.csv"),
    "none that is known": (lambda folder: written_text(folder, HEAD + "a,2014-01-01,\n" * 9), [], "no reading"),
    "too few clients to rank": (lambda folder: written_text(folder, FEW), [], "19 clients"),
    "too few days to attack": (lambda folder: written_text(folder, FLEETING), ["--attack"], "0 clients"),
    "honest clients alone": (lambda folder: readings_in(folder, [0] * N_LABELLED).name, [], "0 clients labelled 1"),
    "a model that is none": (readings_in, ["--onto", "readings.csv"], "readings.csv"),
    "a model over the readings": (readings_in, ["--out", "readings.csv"], "name a file"),
}


def written_text(folder, text):
    (folder / "readings.csv").write_text(text)
    return "readings.csv"


@pytest.mark.parametrize(("make", "options", "words"), BAD_READINGS.values(), ids=BAD_READINGS)
def test_readings_it_cannot_learn_from_end_in_one_sentence(place, capsys, make, options, words):
    said = ends_in_one_sentence(capsys, place, "--readings", make(place), "--quick", *options)
    assert words in said


def test_readings_that_cannot_be_read_are_told_before_invoices_are_fitted(place, trained, capsys, monkeypatch):
    monkeypatch.setattr(train, "study_of", lambda *_: pytest.fail("it began with the invoices"))
    (place / "readings.csv").write_text("client_id,read_at,consumption_kwh\na,soon,1\n")
    said = ends_in_one_sentence(capsys, place, trained.data, "--readings", "readings.csv", "--quick")
    assert "readings.csv" in said


# --- how it ends ------------------------------------------------------------------------------------------------------

UNUSABLE = {
    "no label column": ([a_client(f"c-{i}") for i in range(100)], invoices(), "no label"),
    "labels all missing": (clients(label=None), invoices(), "no label"),
    "honest clients only": (clients(n_frauds=0), invoices(), "0 clients labelled 1 and 100 labelled 0"),
    "frauds only": (clients(n_frauds=100), invoices(), "100 clients labelled 1 and 0 labelled 0"),
    "too few frauds": (clients(n_frauds=LEAST_OF_A_KIND - 1), invoices(), f"at least {LEAST_OF_A_KIND}"),
    "invoices of others only": (clients(), [an_invoice("other")], "no invoice"),
    "too few with invoices": (clients(), invoices(30), "30 clients labelled 1 and 0 labelled 0"),
}


@pytest.mark.parametrize(("rows", "bills", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_clients_it_cannot_learn_from_end_in_one_sentence(place, capsys, rows, bills, words):
    (place / "in").mkdir()
    assert words in ends_in_one_sentence(capsys, place, written(place / "in", rows, bills), "--quick")


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
    "a model in no folder": (["--out", "none/model.bin"], "none is no folder"),
    "a report in no folder": (["--report", "none/report"], "none is no folder"),
    "a model that is a folder": (["--out", "."], "name a file"),
    "a model over the data": (["--out", "utility.zip"], "name a file"),
    "a report that is a file": (["--report", "utility.zip"], "utility.zip is no folder"),
}


@pytest.mark.parametrize(("options", "words"), PLACES.values(), ids=PLACES)
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(place, trained, capsys, monkeypatch, options, words):
    monkeypatch.setattr(train, "study_of", lambda *_: pytest.fail("it began to work"))
    shutil.copy(trained.data, place / "utility.zip")
    assert words in ends_in_one_sentence(capsys, place, "utility.zip", *options)


FITTING = ("train.read_tables", "train.client_features", "train.fit_ensemble")
WRITING = ("train.write_report", "fraud.model_file.save")


@pytest.fixture
def fails(monkeypatch):
    """Lets one step raise an error; before those that write, all is fitted already."""

    def at(step, error):
        def call(*_arguments, **_options):
            raise error

        if step in WRITING:
            monkeypatch.setattr(train, "trained", lambda *_arguments: ({"results": []}, None))
            monkeypatch.setattr(train, "write_report", lambda *_arguments: None)
        monkeypatch.setattr(step, call)

    return at


@pytest.mark.parametrize("step", FITTING + WRITING)
def test_stopped_at_any_step_it_leaves_the_model_and_says_so(place, trained, capsys, fails, step):
    before = model_in(place)
    fails(step, KeyboardInterrupt())
    assert train.main([str(trained.data), "--quick"]) == 130
    assert capsys.readouterr().err == "Stopped; model.bin is as it was.\n"
    assert model_in(place) == before


@pytest.mark.parametrize("step", WRITING)
def test_a_full_disk_leaves_the_model_and_ends_in_one_sentence(place, trained, capsys, fails, step):
    fails(step, OSError(errno.ENOSPC, "No space left on device", "report/metrics.json"))
    said = ends_in_one_sentence(capsys, place, trained.data, "--quick")
    assert said == "report/metrics.json cannot be written (No space left on device); model.bin is as it was."


def test_what_could_not_be_measured_is_unknown_and_no_traceback():
    assert train.estimate_in_words(None) == "unknown"
    assert train.estimate_in_words({"value": 0.5, "interval": None}) == "0.500"
    assert train.estimate_in_words({"value": 0.5, "interval": [0.25, 1]}) == "0.500 (0.250 to 1.000)"
