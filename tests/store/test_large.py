"""A store of many clients: drawn from a stretch of lots, counted in narrow indexes, told a part of what was scored."""

from collections import Counter

import pytest
from sqlalchemy import text

from fairmeter.core.sampling import N_SAMPLE_KEYS, sample_key
from fairmeter.store import PopulationCounts, profiles
from tests.builders.databases import n_vacuums
from tests.builders.store import clients_of, score_of, write


def test_of_a_large_base_some_take_part_in_the_draw_and_none_is_favoured(store, monkeypatch):
    monkeypatch.setattr(profiles, "SAMPLE_RANGES", (N_SAMPLE_KEYS >> 3, N_SAMPLE_KEYS >> 1, N_SAMPLE_KEYS))
    monkeypatch.setattr(profiles, "MIN_SAMPLED_FROM", 20)
    monkeypatch.setattr(profiles, "MIN_SAMPLED_FROM_EACH", 5)
    regions = [1.0 + n % 4 for n in range(400)]
    ids = [f"c-{n}" for n in range(400)]
    write(store, *(score_of(id_) for id_ in ids), clients=clients_of(client_id=ids, region=regions))
    times = Counter(id_ for week in range(500) for id_ in store.sample_clients(4, f"week {week}"))
    assert times.total() == 2000
    assert len(times) > 380  # each is drawn five times on average
    assert max(times.values()) < 20
    lots = [sample_key(id_) for id_ in store.sample_clients(4, "week 1")]
    assert max(lots) - min(lots) < N_SAMPLE_KEYS >> 3
    assert {store.find_profile(id_).client["region"] for id_ in store.sample_clients(30, "week 1", region=2)} == {2.0}


def test_whoever_was_kept_for_a_high_score_alone_is_never_drawn_at_random(store):
    ids = [f"c-{n}" for n in range(20)]
    part = PopulationCounts(5_000_000, 700, {"high": 600, "low": 4_999_400}, sampled=ids[:5])
    write(store, *(score_of(id_) for id_ in ids), population=part)
    assert sorted(store.sample_clients(20, "week 1")) == ids[:5]
    (run,) = store.list_runs()
    assert (run.n_clients, run.n_suspected, run.n_by_severity["high"]) == (5_000_000, 700, 600)
    write(store, *(score_of(id_) for id_ in ids))  # the next run is of everybody
    assert sorted(store.sample_clients(20, "week 1")) == sorted(ids)


def test_after_many_rows_postgresql_counts_in_an_index_alone(store):
    if store.is_sqlite:
        pytest.skip("SQLite needs no vacuum to")
    before = n_vacuums(store)
    write(store, *(score_of(f"c-{n}") for n in range(1000)))
    assert n_vacuums(store) == before + 2
    with store.reading() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = "EXPLAIN SELECT by_severity, count(*) FROM profiles GROUP BY by_severity"
        told = "\n".join(connection.execute(text(query)).scalars())
    assert "Index Only Scan using ix_profiles_by_severity on" in told
