"""What is unusual of clients, as it is stored: with their scores, as a filter of lists, and in alerts by pattern."""

from dataclasses import replace

import pytest

from fairmeter.casework.alert_rules import AlertRule
from fairmeter.core.types import Anomaly
from fairmeter.store import BadQuery
from tests.builders.store import score_of, shipped_rules, write

SPIKE = Anomaly("sudden spike", "high", "2026-01-03", "2026-01-22", 1.4, "3.1 times the usual.")
LOW_USE = Anomaly("zero or low use", "low", "2026-02-01", "2026-03-31", 1.1, "Next to no consumption.")
QUIET = {"probability": 0.1, "severity": "low"}


def ids_of(page):
    return sorted(row.client_id for row in page.rows)


def test_anomalies_are_stored_with_the_score_and_leave_with_it(store):
    score = score_of(anomalies=(SPIKE, LOW_USE))
    write(store, score)
    assert store.find_profile("c-1").score.anomalies == (SPIKE, LOW_USE)
    assert store.scores_of(["c-1"])["c-1"] == score
    write(store, replace(score, anomalies=()))
    assert store.find_profile("c-1").score.anomalies == ()


def test_clients_are_listed_by_the_pattern_of_an_anomaly(store):
    write(store, score_of("a", anomalies=(SPIKE, LOW_USE)), score_of("b", anomalies=(LOW_USE,)), score_of("c"))
    assert ids_of(store.list_profiles(pattern="sudden spike")) == ["a"]
    assert ids_of(store.list_profiles(pattern="zero or low use")) == ["a", "b"]
    assert store.count_profiles(pattern="gradual change") == 0
    assert [score.client_id for score in store.stored_scores(pattern="sudden spike")] == ["a"]


@pytest.mark.parametrize("listed", ["list_profiles", "list_alerts"])
def test_a_pattern_that_is_none_is_refused(store, listed):
    with pytest.raises(BadQuery, match="use one of sudden spike, zero or low use"):
        getattr(store, listed)(pattern="100%")


def test_an_anomaly_raises_an_alert_with_its_sentence(store):
    write(store, score_of("a", **QUIET, anomalies=(SPIKE,)), score_of("b", **QUIET, anomalies=(LOW_USE,)))
    [alert] = store.list_alerts().rows
    assert (alert.client_id, alert.severity) == ("a", "medium")
    [rule] = alert.rules
    assert (rule["rule"], rule["fact"], rule["value"]) == ("sudden spike", "sudden spike", 1.4)
    assert rule["sentence"] == SPIKE.text


def test_alerts_are_found_by_pattern_also_those_of_rules_on_facts(store):
    older = AlertRule("spike", "spike_ratio", ">", 5, "medium", "{value:.1f} times the usual, limit {limit:g}.")
    rules = replace(shipped_rules(), rules=(older, *shipped_rules().rules))
    scores = score_of("a", **QUIET, anomalies=(SPIKE,)), score_of("b", **QUIET), score_of("c", **QUIET)
    write(store, *scores, rules=rules, facts=[{}, {"spike_ratio": 6.0}, {"n_index_rollbacks": 1.0}])
    assert ids_of(store.list_alerts(pattern="sudden spike")) == ["a", "b"]
    assert ids_of(store.list_alerts(pattern="tampering signature")) == ["c"]
    assert ids_of(store.list_alerts(pattern="irregular hours")) == []
