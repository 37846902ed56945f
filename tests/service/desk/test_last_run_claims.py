"""After a run whose clients were too far from those in training, single requests claim ranks among them as well."""

import json

import numpy as np
import pytest

from fairmeter.scoring.run_claims import RunRanks
from fairmeter.store import StoreUnavailable
from fairmeter.web.http.auth import INVESTIGATOR, THIS_MACHINE
from tests.builders.desk import desk_app, some_readings, with_key
from tests.builders.service import MANIFEST, a_body
from tests.builders.store import score_of, shipped_rules

WHY = "These clients are too far from those that the model was trained on."
RANKS = RunRanks.of_probabilities(WHY, np.linspace(0.01, 0.99, 400))
DRIFT = {"parts": {}, "untold": [], "level": None}


def run_of(store, version=MANIFEST["version"], ranks=RANKS):
    """A run of that model at the desk, with ranks or with probabilities."""
    scores, drift = [score_of("c-9", 0.7)], DRIFT
    if ranks is not None:
        scores, drift = ranks.ranked(scores), ranks.stored_in(drift)
    store.write_run(scores, version, shipped_rules(), drift=drift)


def script_at(store, name="script"):
    """A script at a desk that has just started."""
    client = desk_app(store, THIS_MACHINE).test_client()
    client.environ_base["HTTP_X_API_KEY"] = with_key(store, INVESTIGATOR, name)["X-API-Key"]
    return client


def test_an_answer_and_a_batch_of_few_are_ranks_with_the_sentence_why(store):
    run_of(store)
    script = script_at(store)
    answer = script.post("/predict", json=a_body("c-1")).json
    assert (answer["probability"], answer["prediction"], answer["expected_recovery_kwh"]) == (None, None, None)
    assert 0 < answer["percentile"] < 100
    assert WHY in [flag["text"] for flag in answer["quality"]]
    batch = script.post("/batch", json=[a_body("c-1")]).json["results"]
    assert (batch[0]["probability"], batch[0]["percentile"]) == (None, answer["percentile"])


def test_a_recorded_client_whose_readings_come_later_stays_a_rank(store):
    run_of(store)
    script = script_at(store)
    assert script.post("/predict?record=1", json=a_body("c-1", n_invoices=1, level=300)).status_code == 200
    assert script.post("/readings", json=some_readings("c-1", n_days=3)).status_code == 200
    profile = script.get("/consumer/c-1").json
    assert profile["probability"] is None
    assert profile["percentile"] > 50
    assert "%" not in json.dumps(profile["reasons"])


def test_later_readings_add_to_the_probability_that_is_not_claimed(store):
    """Once a run claims probabilities again, a client has the score that it would have without ranks in between."""
    run_of(store)
    script_at(store).post("/predict?record=1", json=a_body("c-1", n_invoices=1, level=300))
    run_of(store, ranks=None)
    script = script_at(store, "later")
    script.post("/readings", json=some_readings("c-1", n_days=3))
    script.post("/predict?record=1", json=a_body("c-2", n_invoices=1, level=300))
    script.post("/readings", json=some_readings("c-2", n_days=3))
    first, second = (script.get(f"/consumer/c-{i}").json["probability"] for i in (1, 2))
    assert first == second is not None


@pytest.mark.parametrize("given", [{"ranks": None}, {"version": "another model"}])
def test_a_run_with_probabilities_or_of_another_model_leaves_answers_as_they_were(store, given):
    before = script_at(store).post("/predict", json=a_body("c-1")).json
    run_of(store, **given)
    assert desk_app(store, THIS_MACHINE).test_client().post("/predict", json=a_body("c-1")).json == before


def test_a_store_that_does_not_answer_stops_no_answer(store, monkeypatch):
    def unavailable(*_):
        raise StoreUnavailable("The database does not answer.")

    monkeypatch.setattr(store, "last_run_drift", unavailable)
    script = desk_app(store, THIS_MACHINE).test_client()
    assert script.post("/predict", json=a_body("c-1")).json["probability"] is not None


def test_the_desk_shows_why_and_promises_no_share_of_false_alarms(store):
    run_of(store)
    script = script_at(store)
    for page in ("list", "model"):
        assert WHY in script.get(f"/desk/{page}").text, page
    assert "Your clients differ from the training data." in script.get("/desk/today").text
    assert script.get("/dashboard").json["drift"]["ranks_why"] == WHY
    refused = script.get("/list?visits=5&false_alarms=0.3")
    assert refused.status_code == 422
    assert "ranks alone" in refused.text
