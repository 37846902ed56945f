"""Drift and stability at the desk: on the pages Model and Overview, and among the counts for Prometheus."""

import re
from datetime import timedelta

import pytest

from fairmeter.evaluation.drift import SHIFTED, STABLE, TOO_FEW
from fairmeter.store import Store, StoreUnavailable
from tests.builders.pages import HOSTILE, open_desk, seen
from tests.builders.service import MANIFEST
from tests.builders.store import NOW, score_of, shipped_rules

ROW = {
    "feature": "elec_gap_mean", "psi": 0.4123, "chance": 0.01, "level": SHIFTED, "is_constant": False,
    "missing_then": 0.1, "missing_now": 0.25, "group": "account history", "text": HOSTILE,
}  # fmt: skip
SCORE = {"psi": 0.31, "chance": 0.01, "level": SHIFTED, "above_then": 0.1, "above_now": 0.2}
PART = {
    "n_then": 5000, "n_now": 1234, "n_features": 600, "n_shifted": 1, "n_shifting": 2, "n_constant": 0,
    "max_psi": 0.4123, "score": SCORE, "features": [ROW, ROW | {"psi": 0.001, "level": STABLE, "is_constant": True}],
}  # fmt: skip
DRIFT = {"parts": {"invoices": PART}, "untold": ["readings"], "level": SHIFTED, "model": {}}


def run(store, n_hours, drift=None, first=0, version=MANIFEST["version"]):
    scores = [score_of(f"c-{i:03}", 0.9 - i / 1000) for i in range(first, first + 60)]
    store.write_run(scores, version, shipped_rules(), drift=drift, scored_at=NOW + timedelta(hours=n_hours))


def counts(client):
    found = re.findall(r"^(fairmeter_(?:drift|list)_\w+)(\{.*\})? (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return {name + labels: float(value) for name, labels, value in found}


def test_without_measured_drift_the_pages_say_so(store):
    run(store, 0)
    client = open_desk(store)
    assert "No run has measured drift yet" in seen(client.get("/desk/model")).text
    assert "Drift" not in seen(client.get("/desk/today")).text
    assert counts(client) == {}


def test_the_model_page_says_what_moved_and_what_to_do(store):
    run(store, 0, DRIFT)
    page = seen(open_desk(store).get("/desk/model"))
    assert page.status == 200
    for words in ("Score: shifted", "Of 600 features 1 have shifted and 2 are shifting", "train again (train.py)"):
        assert words in page.text
    assert "one value in training" in page.text
    assert "has no reference distribution of its Readings of smart meters" in page.text
    assert HOSTILE not in page.whole
    assert "is another: score" not in page.text


def test_drift_of_another_model_is_marked(store):
    run(store, 0, DRIFT, version="0.9")
    assert "is another: score the client base anew" in seen(open_desk(store).get("/desk/model")).text


@pytest.mark.parametrize("level", [TOO_FEW, STABLE, "shifting"])
def test_every_level_has_its_text(store, level):
    part = PART | {"score": SCORE | {"level": level}, "features": []}
    run(store, 0, DRIFT | {"parts": {"readings": part}})
    words = "clients are too few to measure drift" if level == TOO_FEW else f"Score: {level}"
    assert words in seen(open_desk(store).get("/desk/model")).text


def test_today_warns_where_most_features_have_shifted_and_leads_to_them(store):
    run(store, 0, DRIFT)
    assert "Your clients differ" not in seen(open_desk(store).get("/desk/today")).text
    run(store, 1, DRIFT | {"parts": {"invoices": PART | {"n_shifted": 400}}})
    page = seen(open_desk(store).get("/desk/today"))
    assert "Your clients differ from the training data." in page.text
    assert any(link.endswith("/desk/model#drift") for link in page.links)


def test_the_overlap_of_lists_is_a_chart_by_run(store):
    for n_hours in range(3):
        run(store, n_hours, first=n_hours)
    page = seen(open_desk(store).get("/desk/model"))
    assert "How much of the list stays" in page.text
    assert 'data-chart="kept"' in page.whole


def test_the_api_returns_the_overlap_of_lists_and_the_drift(store):
    run(store, 0, DRIFT)
    newcomers = [score_of(f"n-{i:02}", 0.95) for i in range(25)]
    store.write_run(newcomers, MANIFEST["version"], shipped_rules(), scored_at=NOW + timedelta(hours=1))
    dashboard = open_desk(store).get("/dashboard").json
    assert [one["stability"] for one in dashboard["trend"]] == [[], [{"k": 50, "n_both": 25, "jaccard": 25 / 75}]]
    part = {"n_now": 1234, "n_features": 600, "n_shifted": 1, "n_shifting": 2, "max_psi": 0.4123}
    assert dashboard["drift"]["parts"] == {"invoices": part | {"score": {"level": SHIFTED, "psi": 0.31}}}


def test_the_api_says_where_no_run_measured_drift(store):
    run(store, 0)
    assert open_desk(store).get("/dashboard").json["drift"] is None


def test_the_counts_hold_drift_and_stability_of_the_last_runs(store):
    run(store, 0, DRIFT)
    run(store, 1)
    metrics = counts(open_desk(store))
    assert metrics['fairmeter_drift_max_psi{part="invoices"}'] == 0.4123
    assert metrics['fairmeter_drift_features_shifted{part="invoices"}'] == 1
    assert metrics['fairmeter_drift_score_psi{part="invoices"}'] == 0.31
    assert metrics['fairmeter_drift_score_above{part="invoices"}'] == 0.2
    assert metrics["fairmeter_drift_measured_timestamp_seconds"] == NOW.timestamp()
    assert metrics['fairmeter_list_jaccard{first="50"}'] == 1.0


def test_counts_are_served_while_the_database_is_away(store, monkeypatch):
    run(store, 0, DRIFT)
    client = open_desk(store)

    def away(_store):
        raise StoreUnavailable("The database went away.")

    monkeypatch.setattr(Store, "last_drift", away)
    assert counts(client) == {}
    assert "fairmeter_store_errors_total 1.0" in client.get("/metrics").text
    assert "fairmeter_store_errors_total 2.0" in client.get("/metrics").text
