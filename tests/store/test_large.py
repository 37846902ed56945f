"""A store of many clients: drawn from a stretch of lots, counted in narrow indexes, told a part of what was scored."""

from collections import Counter
from contextlib import closing
from datetime import datetime

import pytest
from sqlalchemy import text

from fairmeter.core.sampling import N_SAMPLE_KEYS, sample_key
from fairmeter.store import PopulationCounts, Store, profiles
from tests.builders.store import NOW, clients_of, score_of, write


def test_of_a_large_base_some_take_part_in_the_draw_and_none_is_favoured(store, monkeypatch):
    monkeypatch.setattr(profiles, "STRETCHES", (N_SAMPLE_KEYS >> 3, N_SAMPLE_KEYS >> 1, N_SAMPLE_KEYS))
    monkeypatch.setattr(profiles, "ENOUGH", 20)
    monkeypatch.setattr(profiles, "ENOUGH_EACH", 5)
    regions = [1.0 + n % 4 for n in range(400)]
    ids = [f"c-{n}" for n in range(400)]
    write(store, *(score_of(id_) for id_ in ids), clients=clients_of(client_id=ids, region=regions))
    times = Counter(id_ for week in range(500) for id_ in store.draw_clients(4, f"week {week}"))
    assert times.total() == 2000
    assert len(times) > 380  # each is drawn five times on average
    assert max(times.values()) < 20
    lots = [sample_key(id_) for id_ in store.draw_clients(4, "week 1")]
    assert max(lots) - min(lots) < N_SAMPLE_KEYS >> 3
    assert {store.find_profile(id_).client["region"] for id_ in store.draw_clients(30, "week 1", region=2)} == {2.0}


def test_whoever_was_kept_for_a_high_score_alone_is_never_drawn_at_random(store):
    ids = [f"c-{n}" for n in range(20)]
    part = PopulationCounts(5_000_000, 700, {"high": 600, "low": 4_999_400}, drawn=ids[:5])
    write(store, *(score_of(id_) for id_ in ids), whole=part)
    assert sorted(store.draw_clients(20, "week 1")) == ids[:5]
    (run,) = store.list_runs()
    assert (run.n_clients, run.n_suspected, run.n_by_severity["high"]) == (5_000_000, 700, 600)
    write(store, *(score_of(id_) for id_ in ids))  # the next run is of everybody
    assert sorted(store.draw_clients(20, "week 1")) == sorted(ids)


def kept_by(version, store, scores):
    """Profiles as a former version kept them. [scores: by id; the threshold is 0.5]"""
    store.migrate(to=version)
    profile = (
        "INSERT INTO profiles (client_id, by_score, severity, by_severity, threshold, by_recovery, model_version, "
        "scored_at) VALUES (:id, :score, 'high', 2, 0.5, 1, '1', :at)"
    )
    at = datetime(2026, 11, 2) if store.is_sqlite else NOW
    with store.writing() as connection:
        for id_, score in scores.items():
            connection.execute(text("INSERT INTO clients (client_id) VALUES (:id)"), {"id": id_})
            connection.execute(text(profile), {"id": id_, "score": score, "at": at})


def test_clients_of_before_there_were_lots_are_given_the_lots_that_runs_give(database_url):
    ids = ["c-1", "é", "c-" + "9" * 40]
    with closing(Store(database_url)) as store:
        kept_by("0007", store, dict.fromkeys(ids, 0.5))
        store.migrate()
        with store.reading() as connection:
            found = connection.execute(text("SELECT client_id, lot FROM profiles"))
            assert dict(found.all()) == {id_: sample_key(id_) for id_ in ids}


def test_clients_of_before_there_was_a_column_for_it_are_suspected_from_the_threshold_on(database_url):
    with closing(Store(database_url)) as store:
        kept_by("0009", store, {"a": 0.49, "b": 0.5, "c": 0.9, "d": -1.0})
        store.migrate()
        (region,) = store.hot_spots()
        assert (region.n_clients, region.n_suspected) == (4, 2)


def test_clients_of_before_their_places_stood_beside_their_scores_are_on_the_map(database_url):
    with closing(Store(database_url)) as store:
        kept_by("0010", store, {"a": 0.9, "b": 0.9})
        with store.writing() as connection:
            place = "UPDATE clients SET latitude = 36.5, longitude = 10.5, transformer_id = 't-1' WHERE client_id = 'a'"
            connection.execute(text(place))
        store.migrate()
        found = store.placed_clients(store.area(), 9)
        assert [(one.client_id, one.latitude, one.longitude) for one in found] == [("a", 36.5, 10.5)]
        assert [one.transformer_id for one in store.transformers(store.area(), 9)] == ["t-1"]


def n_vacuums(store):
    """Of profiles and alerts."""
    query = "SELECT sum(vacuum_count) FROM pg_stat_user_tables WHERE schemaname = current_schema()"
    with store.reading() as connection:
        return int(connection.execute(text(query)).scalar())


def test_after_many_rows_postgresql_counts_in_an_index_alone(store):
    if store.is_sqlite:
        pytest.skip("SQLite needs no vacuum to")
    before = n_vacuums(store)
    assert before == 2  # the tables were made
    write(store, *(score_of(f"c-{n}") for n in range(1000)))
    assert n_vacuums(store) == before + 2
    with store.reading() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = "EXPLAIN SELECT by_severity, count(*) FROM profiles GROUP BY by_severity"
        told = "\n".join(connection.execute(text(query)).scalars())
    assert "Index Only Scan using ix_profiles_by_severity on" in told
