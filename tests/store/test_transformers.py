"""Transformers in the store: what a run found of them, and facts that later runs leave as they are."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.builders.store import NOW, UNJUDGED, a_balance, clients_of, score_of, write


def test_a_balance_comes_back_as_it_was_written(store):
    bare = a_balance("t-2", region=None, latitude=None, longitude=None, **UNJUDGED)
    write(store, balances=[bare, a_balance()])
    assert store.find_balance("t-1") == a_balance()
    assert store.find_balance("t-2") == bare
    assert store.find_balance("t-3") is None
    assert store.find_balance(None) is None


def test_the_days_of_a_transformer_come_back_by_its_id_and_those_of_none_are_left_out(store):
    days = np.array([1.5, np.nan, 0.25], np.float32)
    write(store, balances=[a_balance("t-1", lost_days=days), a_balance("t-2")])
    known = store.losses_of(["t-1", "t-2", "nobody"])
    assert known.keys() == {"t-1"}
    assert known["t-1"].first_on == a_balance().weeks_from
    assert np.array_equal(known["t-1"].kwh, days, equal_nan=True)
    assert store.losses_of([]) == {}


def test_those_with_most_energy_lost_come_first_and_those_that_lose_none_not_at_all(store):
    rows = [a_balance("a", 50.0), a_balance("b", 70.0), a_balance("c", -5.0), a_balance("d", 99.0, **UNJUDGED)]
    write(store, balances=rows)
    assert [row.transformer_id for row in store.worst_transformers()] == ["b", "a"]
    assert [row.transformer_id for row in store.worst_transformers(1)] == ["b"]
    assert store.balances_of(["a", "d", "nobody"]).keys() == {"a", "d"}
    assert store.balances_of([]) == {}


def test_a_run_with_totals_replaces_all_and_one_without_leaves_them(store):
    write(store, balances=[a_balance("a"), a_balance("b")])
    write(store, scored_at=NOW + timedelta(days=1))
    assert store.balances_of(["a", "b"]).keys() == {"a", "b"}
    write(store, balances=[a_balance("b", 12.0)], scored_at=NOW + timedelta(days=2))
    assert store.balances_of(["a", "b"]) == {"b": replace(a_balance("b", 12.0), delivered_weeks=(), lost_weeks=())}


def test_a_transformers_clients_come_by_score(store):
    scores = [score_of("c-1", 0.2), score_of("c-2", 0.9), score_of("c-3", None), score_of("c-4", 0.8)]
    ids = [score.client_id for score in scores]
    write(store, *scores, clients=clients_of(client_id=ids, transformer_id=["t-1", "t-1", "t-1", "t-2"]))
    assert [row.client_id for row in store.clients_of_transformer("t-1")] == ["c-2", "c-1", "c-3"]
    assert [row.client_id for row in store.clients_of_transformer("t-1", 1)] == ["c-2"]
    assert store.clients_of_transformer("t-9") == []


@pytest.mark.parametrize("n", [1, 600])  # named one by one, and all read at once
def test_facts_that_last_stay_where_new_ones_do_not_tell_them(store, n):
    scores = [score_of(f"c-{i}") for i in range(n)]
    write(store, *scores, facts=[{"spike_ratio": 9.0, "transformer_loss_share": 0.2}] * n)
    write(store, *scores, facts=[{"spike_ratio": 2.0}] * n, lasting_facts=("transformer_loss_share", "never_told"))
    assert store.find_profile("c-0").facts == {"spike_ratio": 2.0, "transformer_loss_share": 0.2}
    write(store, *scores, facts=[{"transformer_loss_share": 0.0}] * n, lasting_facts=("transformer_loss_share",))
    assert store.find_profile("c-0").facts == {"transformer_loss_share": 0.0}


def test_a_transformers_loss_raises_the_alert_of_its_clients_and_its_end_lets_it_lapse(store):
    honest = score_of(probability=0.01, severity="low")
    write(store, honest, facts=[{"transformer_loss_share": 0.14}])
    assert store.open_alert_of("c-1") is None
    write(store, honest, facts=[{"transformer_loss_share": 0.22}])
    [rule] = store.open_alert_of("c-1").rules
    assert rule["rule"] == "transformer loss"
    assert rule["sentence"].startswith(
        "Of what the client's transformer delivered in 90 days, 22% is not accounted for"
    )
    write(store, honest, facts=[{"transformer_loss_share": 0.05}])
    assert store.open_alert_of("c-1") is None
