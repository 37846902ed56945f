"""What train.py makes of smart-meter readings: alone, beside invoices, onto a model of them."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import train
from benchmarks.helpers import exports
from fairmeter.data.readings import read_readings
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.ensemble import log_odds_of
from fairmeter.training import reading_pipeline
from fairmeter.training.dataset import TrainingError
from fairmeter.training.invoice_pipeline import TrainingResult, load_base_model
from fairmeter.training.reading_fitting import QUICK_TRAINING_PLANS
from tests.builders.readings import N_LABELLED, N_LONG, readings_in, readings_text, robbed, town
from tests.builders.tables import a_client, an_invoice, csv_text, zipped
from tests.builders.training import ends_in_one_sentence

RUN = {"version": "1", "trained_at": "2026-11-21T10:00:00Z", "view": "prospective", "how": []}


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
    evidence = model.features_from_readings(tables.readings, n)
    nothing = np.full((n, len(FEATURE_NAMES)), np.nan, np.float32)
    nobody = replace(evidence, features=nothing, n_records=np.zeros(n, int))
    return model.probability(nobody, evidence)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """(folder, model) of `train.py --readings F` where nothing tells who steals."""
    folder = tmp_path_factory.mktemp("unlabelled")
    return folder, learnt(folder, "--readings", readings_in(folder))


def test_readings_without_labels_are_learnt_and_rank_their_clients(unlabelled):
    folder, model = unlabelled
    assert (model.invoices, model.aggregates) == (None, None)
    assert model.manifest["readings"]["made"] == "without labels"
    assert "fraud_rate" not in model.manifest
    found = probabilities(model, folder / "readings.csv")
    assert ((found > 0) & (found < 1)).all()
    assert np.median(found[:20]) > np.median(found[20:])
    suspected = found >= np.sort(found)[-3]  # one in twenty
    assert not model.claims_probability
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
    [("1999-01-01", True, "no temperature from 2013-01-07 to"), ("2013-01-01", False, "are for readings")],
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
    monkeypatch.setattr(train, "learn_invoices", lambda *_: TrainingResult({"run": {}, "results": []}, None))
    monkeypatch.setattr(
        reading_pipeline, "train_on_labels", lambda days, label, *_: given.append((days, label)) or 1 / 0
    )
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
    monkeypatch.setattr(train, "build_dataset", lambda *_: object())
    monkeypatch.setattr(train, "learn_invoices", lambda *_: TrainingResult({"run": RUN, "results": []}, small_model))
    model = learnt(tmp_path, small_utility, tmp_path / "readings.csv")
    assert model.readings is None
    assert "not used: 3 clients labelled 1" in capsys.readouterr().out


@pytest.mark.nightly
def test_what_transformers_lost_is_learnt_from_beside_the_labels(metered, metered_utility, tmp_path, monkeypatch):
    heard, learn = [], reading_pipeline.train_on_labels

    def spied(*arguments):
        heard.append(arguments[-1])
        return learn(*arguments)

    monkeypatch.setattr(reading_pipeline, "train_on_labels", spied)
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
    assert model.manifest["fraud_rate"] == reading_pipeline.THEFT_SHARE
    assert {"as published", "wider than published", "past_to_future"} < set(metrics_of(tmp_path)["readings"])
    found, threshold = probabilities(model, file), model.manifest["readings"]["threshold"]
    assert (found >= threshold).mean() < 0.1
    stolen = tmp_path / "stolen.csv"
    stolen.write_text(readings_text(robbed(town(80, 200), np.arange(80), 140, 0.0)))
    assert (probabilities(model, stolen) >= threshold).mean() > 0.8
    assert 0 < model.readings.ensemble.fingerprint.n < 80 * len(QUICK_TRAINING_PLANS) / 2


def test_onto_a_model_readings_are_added_and_its_invoices_stay_to_the_last_bit(
    small_model, metered_model, small_dataset
):
    for part in ("invoices", "aggregates"):
        before, after = (model_file.to_plain(getattr(model, part)) for model in (small_model, metered_model))
        assert pickle.dumps(before) == pickle.dumps(after)
    assert small_model.readings is None
    assert metered_model.readings is not None
    of_both = [model.probability(small_dataset.evidence) for model in (small_model, metered_model)]
    np.testing.assert_array_equal(*of_both)
    kept = {name: value for name, value in small_model.manifest.items() if name not in ("version", "trained_at")}
    assert {name: metered_model.manifest[name] for name in kept} == kept
    assert metered_model.manifest["readings"]["theft_share"] == small_model.manifest["fraud_rate"]


def one_fitted(small_model):
    """What a training on invoices gives: another model than `small_model`, without readings."""
    manifest = small_model.manifest | {"threshold": 0.25}
    result = TrainingResult({"run": dict(RUN), "results": []}, replace(small_model, manifest=manifest))
    return lambda *_: result


def test_onto_a_model_invoices_are_fitted_anew_and_its_readings_stay_to_the_last_bit(
    metered, metered_model, small_model, trained, small_dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(train.invoice_pipeline, "train_on_invoices", one_fitted(small_model))
    monkeypatch.setattr(train, "build_dataset", lambda *_: small_dataset)
    options = [trained.data, "--onto", metered.model, "--out", tmp_path / "model.bin", "--report", tmp_path / "report"]
    assert train.main([str(option) for option in options]) == 0
    model = model_file.load(tmp_path / "model.bin")
    kept = [pickle.dumps(model_file.to_plain(each.readings)) for each in (model, metered_model)]
    assert kept[0] == kept[1]
    assert model.manifest["threshold"] == 0.25
    for name in ("readings", "reading_features"):
        assert model.manifest[name] == metered_model.manifest[name]
    of_invoices = [each.probability(small_dataset.evidence) for each in (model, small_model)]
    np.testing.assert_array_equal(*of_invoices)
    run = metrics_of(tmp_path)["run"]
    assert run["readings"]["n_clients"] == metered_model.manifest["readings"]["n_clients"]
    assert metered_model.manifest["version"] in run["how"][-1]


def test_a_model_without_readings_has_none_to_keep(trained):
    with pytest.raises(TrainingError, match="no ensemble on readings"):
        load_base_model(trained.model, keeps_readings=True)


def test_invoices_replace_those_that_a_model_has_whatever_their_features_were(metered, tmp_path):
    model = model_file.load(metered.model)
    model_file.save(replace(model, manifest=model.manifest | {"features": ["of old"]}), tmp_path / "old.bin")
    assert load_base_model(tmp_path / "old.bin", keeps_readings=True).invoices is None


def test_readings_replace_those_that_a_model_has_whatever_their_features_were(metered, tmp_path):
    model = model_file.load(metered.model)
    model_file.save(replace(model, manifest=model.manifest | {"reading_features": ["of old"]}), tmp_path / "old.bin")
    assert load_base_model(tmp_path / "old.bin").readings is None


def test_a_metered_utility_reports_what_its_readings_reach(metered, metered_utility):
    metrics = json.loads((metered.report / "metrics.json").read_text())["readings"]
    label = metered_utility.clients["label"][np.unique(metered_utility.readings["client"])]
    assert metrics["made"] == "labelled"
    assert metrics["n"] == pytest.approx((~np.isnan(label)).sum() / reading_pipeline.FOLDS, abs=2)
    assert metrics["n_thieves"] == pytest.approx(np.nansum(label) / reading_pipeline.FOLDS, abs=1)
    assert metrics["ranking"]["roc_auc"]["value"] > 0.6


def test_validated_readings_are_measured_fold_by_fold_and_leave_no_model(tmp_path, monkeypatch):
    monkeypatch.setattr(reading_pipeline, "FOLDS", 2)
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


def test_too_few_readings_by_a_map_end_in_one_sentence_where_there_is_nothing_else(tmp_path, capsys):
    made, report = exports.french(tmp_path, n=3, n_days=20), tmp_path / "report"
    for name in ("model.bin", "model.bin.sha256"):
        (tmp_path / name).write_text("of last time")
    arguments = [made.files, "--map", made.map, "--quick", "--out", tmp_path / "model.bin", "--report", report]
    said = ends_in_one_sentence(capsys, tmp_path, *arguments)
    assert said == "3 clients have at least 14 days with readings; at least 20 are needed."
