"""The service as it is started: settings, the model, what it imports, and what the committed model answers."""

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairmeter.cli.serve import CANNOT_START
from fairmeter.models import model_file
from fairmeter.models.fraud_model import SHORT_READING_DAYS
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.scoring import examples
from tests.builders.readings import FIRST, robbed, town

REPOSITORY = Path(__file__).parents[2]
MODEL = REPOSITORY / "model.bin"
HEAVY = {"tensorflow", "xgboost", "catboost", "sklearn", "pandas", "pyarrow", "polars", "sqlalchemy", "numpy.random"}
needs_model = pytest.mark.skipif(not MODEL.exists(), reason="model.bin is not there; train.py makes it")


# --- builders ---------------------------------------------------------------------------------------------------------


def run(*command, **environment):
    """A command in the repository, with the environment of a newcomer and these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MODEL_", "MAX_"))}
    inherited |= {"PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.run(command, cwd=REPOSITORY, env=inherited, capture_output=True, text=True, timeout=60)


def python(code, **environment):
    return run(sys.executable, "-c", code, **environment)


def model_of(folder, data):
    path = folder / "model.bin"
    path.write_bytes(data)
    return path


@pytest.fixture
def stopped(monkeypatch, capsys):
    """What a start says that ends with the exit code for gunicorn; in this process, where all is imported already."""

    def start(**environment):
        for name in [name for name in os.environ if name.startswith(("MODEL_", "MAX_"))]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(REPOSITORY / "predict.py"))
        assert ended.value.code == CANNOT_START == 4
        return capsys.readouterr().err

    return start


@pytest.fixture(scope="module")
def client():
    import predict

    return predict.app.test_client()


# --- the start --------------------------------------------------------------------------------------------------------


def test_a_missing_model_stops_the_start_with_one_sentence(tmp_path):
    ended = python("import predict", MODEL_PATH=str(tmp_path / "none.bin"))
    assert ended.returncode == 4
    assert len(ended.stderr.splitlines()) == 1
    assert "none.bin" in ended.stderr


def test_a_damaged_model_stops_the_start_with_one_sentence(tmp_path, stopped):
    assert len(stopped(MODEL_PATH=str(model_of(tmp_path, b"not a model"))).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CLIENTS", "many"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_INVOICES", "-1"),
        ("BILLABLE_MONTHS", "0"),
        ("MAX_READINGS", "0"),
        ("MAX_CLIENTS", "1.5"),
    ],
)
def test_a_bad_setting_stops_the_start_and_says_which(name, value, stopped):
    said = stopped(**{name: value})
    assert len(said.splitlines()) == 1
    assert said.startswith(f"{name} is '{value}': ")


def test_gunicorn_ends_rather_than_to_start_it_again_and_again():
    ended = run(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "predict:app", MAX_CLIENTS="many")
    assert ended.returncode == 4
    assert ended.stderr.count("MAX_CLIENTS is 'many'") == 1
    assert "Traceback" not in ended.stderr


@needs_model
def test_a_model_that_is_not_signed_with_the_key_is_refused(stopped):
    said = stopped(MODEL_PATH=str(MODEL), MODEL_KEY="a key that nobody signed with")
    assert len(said.splitlines()) == 1
    assert "nobody" not in said


def without_its_first_feature(model):
    return replace(model, manifest=model.manifest | {"features": model.manifest["features"][1:]})


def without_graphs(model):
    return replace(model, invoices=replace(model.invoices, members={"none": OnnxTrees(b"")}))


@needs_model
@pytest.mark.parametrize("spoiled", [without_its_first_feature, without_graphs])
def test_a_model_that_does_not_fit_this_program_stops_the_start(tmp_path, stopped, spoiled):
    model_file.save(spoiled(model_file.load(MODEL)), tmp_path / "model.bin", b"signed")
    said = stopped(MODEL_PATH=str(tmp_path / "model.bin"), MODEL_KEY="signed").strip()
    assert said.endswith(("train again.", "Train the model again."))
    assert "Traceback" not in said


# --- the committed model ----------------------------------------------------------------------------------------------


@needs_model
def test_serving_imports_none_of_the_training_libraries():
    code = f"""
import json, sys, predict
from fairmeter.models import model_file
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.scoring import examples
client = predict.app.test_client()
for body in (examples.RAW, examples.READ, examples.FLAT):
    assert client.post("/predict", json=body).status_code == 200
assert client.post("/batch", json=[examples.RAW, examples.READ, examples.FLAT]).status_code == 200
print(json.dumps(sorted(set({sorted(HEAVY)!r}) & set(sys.modules))))
"""
    ended = python(code)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []


@needs_model
@pytest.mark.parametrize("body", [examples.RAW, examples.FLAT], ids=["raw", "flat"])
def test_the_committed_model_judges_both_forms(client, body):
    answer = client.post("/predict", json=body).json
    assert 0 <= answer["probability"] <= 1
    assert answer["prediction"] == int(answer["probability"] >= answer["threshold"])
    assert answer["severity"] in ("critical", "high", "medium", "low")
    assert answer["model"]["view"] == "prospective"


@needs_model
def test_the_committed_model_does_not_judge_a_client_without_invoices(client):
    answer = client.post("/predict", json={"client": examples.RAW["client"], "invoices": []}).json
    assert answer["probability"] is None
    assert answer["severity"] == "insufficient history"


@needs_model
@pytest.mark.parametrize(
    "changes",
    [
        {"client_catg": 11, "region": "103", "district": 69.0},
        {"age_months": "196", "consumption_level_1_min": " 165 "},
        {"mood": "good", "is_new": True, "far": 1e300},
    ],
)
def test_aggregates_mean_the_same_however_they_are_written(client, changes):
    answers = [client.post("/predict", json=body).json for body in (examples.FLAT, examples.FLAT | changes)]
    assert answers[0]["probability"] == answers[1]["probability"]
    named_otherwise = {
        {"client_catg": "category", "district": "disrict"}.get(k, k): v for k, v in examples.FLAT.items()
    }
    assert client.post("/predict", json=named_otherwise).json == answers[0]


@needs_model
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"age_months": "old"}, "age_months"),
        ({"age_months": True}, "age_months"),
        ({"age_months": 1e300}, "age_months"),
        ({"region": False}, "region"),
        ({"created_on": "soon"}, "created_on"),
        ({"category": 11}, "category"),
    ],
)
def test_an_aggregate_that_is_no_number_is_a_422_that_says_where(client, changes, path):
    answer = client.post("/predict", json=examples.FLAT | changes)
    assert answer.status_code == 422
    assert [field["path"] for field in answer.json["error"]["fields"]] == [path]


@needs_model
def test_aggregates_of_which_nothing_is_known_are_insufficient_history(client):
    answer = client.post("/predict", json={"mood": "good", "age_months": None}).json
    assert answer["probability"] is None
    assert "unknown_fields" in [flag["flag"] for flag in answer["quality"]]


@needs_model
def test_a_client_gets_the_same_probability_alone_and_among_others(client):
    others = [{"client": {}, "invoices": examples.RAW["invoices"][:n]} for n in range(5)]
    results = client.post("/batch", json=[*others, examples.RAW]).json["results"]
    alone = client.post("/predict", json=examples.RAW).json["probability"]
    assert next(r for r in results if r["row"] == 5)["probability"] == pytest.approx(alone, abs=1e-9)


@needs_model
def test_the_manifest_says_what_the_model_is(client):
    manifest = client.get("/model").json
    assert {"version", "view", "trained_at", "threshold", "severities", "features", "metrics"} <= set(manifest)
    assert client.get("/ready").json["model"]["version"] == manifest["version"]


# --- readings ---------------------------------------------------------------------------------------------------------

HOMES = robbed(town(10, 120, seed=3), [0, 1, 2], 80, 0.0)  # three of them register nothing any more


def readings_of(series):
    """As JSON: a reading a day."""
    dates = (np.datetime64(FIRST, "D") + np.arange(len(series))).astype(str).tolist()
    return [
        {"read_at": date, "consumption_kwh": None if np.isnan(kwh) else kwh}
        for date, kwh in zip(dates, series.tolist(), strict=True)
    ]


@pytest.fixture(scope="module")
def metered_client(metered):
    """The service on the small model that has an ensemble on readings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_PATH", str(metered.model))
        return runpy.run_path(str(REPOSITORY / "predict.py"))["app"].test_client()


def answered(client, body):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_readings_alone_are_judged_by_the_one_threshold(metered_client, metered_model):
    threshold = metered_model.manifest["threshold"]
    for series in HOMES:
        answer = answered(metered_client, {"readings": readings_of(series)})
        assert 0 < answer["probability"] < 1
        assert answer["threshold"] == threshold
        assert answer["prediction"] == int(answer["probability"] >= threshold)
        assert answer["severity"] in ("critical", "high", "medium", "low")
        assert answer["client_id"] is None


def test_homes_that_stopped_registering_are_more_suspicious_than_the_others(metered_client):
    found = [answered(metered_client, {"readings": readings_of(series)})["probability"] for series in HOMES]
    assert min(found[:3]) > max(found[3:])


def test_readings_move_the_score_of_invoices(metered_client, metered_model):
    billed = answered(metered_client, examples.RAW)
    both = answered(metered_client, examples.RAW | {"readings": readings_of(HOMES[0])})
    honest = answered(metered_client, examples.RAW | {"readings": readings_of(HOMES[5])})
    assert billed["threshold"] == both["threshold"] == metered_model.manifest["threshold"]
    assert both["probability"] > honest["probability"]
    assert both["probability"] > billed["probability"]


def test_a_week_of_readings_is_insufficient_history_and_says_why(metered_client):
    answer = answered(metered_client, {"readings": readings_of(HOMES[0][:7])})
    assert answer["probability"] is None
    assert answer["severity"] == "insufficient history"
    assert {flag["flag"] for flag in answer["quality"]} == {"no_creation_date", "no_invoices", "short_readings"}
    judged = answered(metered_client, {"readings": readings_of(HOMES[0][: SHORT_READING_DAYS - 1])})
    assert judged["probability"] is not None
    assert "short_readings" in {flag["flag"] for flag in judged["quality"]}


def test_silent_readings_are_insufficient_history(metered_client):
    answer = answered(metered_client, {"readings": readings_of(np.full(90, np.nan))})
    assert answer["probability"] is None


def test_order_and_repetition_of_readings_change_nothing(metered_client):
    readings = readings_of(HOMES[4])
    once = answered(metered_client, {"readings": readings})["probability"]
    assert answered(metered_client, {"readings": readings[::-1]})["probability"] == once
    assert answered(metered_client, {"readings": readings + readings[:5]})["probability"] == once


def test_hours_add_up_to_the_days_they_are_of(metered_client):
    hours = [
        {"read_at": f"{reading['read_at']}T{hour:02d}:00", "consumption_kwh": reading["consumption_kwh"] / 24}
        for reading in readings_of(HOMES[0])
        for hour in range(24)
    ]
    answer = answered(metered_client, {"readings": hours})
    assert answer["prediction"] == 1


def test_clients_of_a_batch_get_what_they_get_alone(metered_client):
    bodies = [{"readings": readings_of(series)} for series in HOMES]
    bodies += [examples.RAW, examples.RAW | {"readings": bodies[0]["readings"]}, examples.FLAT, {"invoices": []}]
    results = metered_client.post("/batch", json=bodies).json["results"]
    found = {result["row"]: result["probability"] for result in results}
    assert [found[i] for i in range(len(bodies))] == [answered(metered_client, body)["probability"] for body in bodies]


def test_a_model_on_readings_alone_serves_all_forms_and_judges_what_it_can(metered_model, tmp_path, monkeypatch):
    alone = replace(metered_model, invoices=None, aggregates=None)
    model_file.save(alone, tmp_path / "model.bin")
    monkeypatch.setenv("MODEL_PATH", str(tmp_path / "model.bin"))
    client = runpy.run_path(str(REPOSITORY / "predict.py"))["app"].test_client()
    assert 0 < answered(client, examples.READ)["probability"] < 1
    for body, flag in ((examples.RAW, None), (examples.FLAT, "aggregates_unknown")):
        answer = answered(client, body)
        assert answer["probability"] is None
        assert answer["severity"] == "insufficient history"
        assert flag in [None, *(flag["flag"] for flag in answer["quality"])]
    assert client.get("/ready").status_code == 200
    assert "reading_features" in client.get("/model").json


def test_a_model_whose_readings_do_not_judge_stops_the_start(metered_model, tmp_path, stopped):
    broken = replace(metered_model.readings.ensemble, members={"none": OnnxTrees(b"")})
    spoiled = replace(metered_model, readings=replace(metered_model.readings, ensemble=broken))
    model_file.save(spoiled, tmp_path / "model.bin")
    said = stopped(MODEL_PATH=str(tmp_path / "model.bin")).strip()
    assert said.endswith(("train again.", "Train the model again."))
    assert "Traceback" not in said


def test_serving_readings_imports_none_of_the_training_libraries(metered):
    code = f"""
import json, sys, predict
from fairmeter.scoring import examples
assert predict.app.test_client().post("/predict", json=examples.READ).json["probability"]
print(json.dumps(sorted(set({sorted(HEAVY)!r}) & set(sys.modules))))
"""
    ended = python(code, MODEL_PATH=str(metered.model))
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []
