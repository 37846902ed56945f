"""Tables come up to date whatever made them, and lose nothing on the way. What other tests get is a copy of them."""

import threading
from contextlib import closing
from datetime import datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from fairmeter.core.sampling import sample_key
from fairmeter.store import Store, StoreError, StoreUnavailable
from fairmeter.store.engine.migrate import HEAD, MIGRATIONS, NewerStore
from fairmeter.store.engine.schema import metadata
from tests.builders.databases import n_vacuums
from tests.builders.store import NOW, write


@pytest.fixture
def migrated(empty_url):
    """A store that was brought up to date by all migrations, one after the other."""
    with closing(Store(empty_url)) as opened:
        opened.migrate()
        yield opened


def test_the_migrations_make_the_tables_that_the_code_expects(migrated):
    with migrated.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def plain(found) -> str:
    """What an inspection found, without the objects of SQLAlchemy and in one order."""
    if isinstance(found, dict):
        return str(sorted((name, plain(value)) for name, value in found.items()))
    return str(sorted(map(plain, found))) if isinstance(found, list) else str(found)


def described(store) -> dict[str, list[str]]:
    """Of each table: columns, keys, foreign keys, indexes, what must be unique, and the sense of its checks."""
    about = inspect(store.engine)
    parts = (
        about.get_columns, about.get_pk_constraint, about.get_foreign_keys, about.get_indexes,
        about.get_unique_constraints,
    )  # fmt: skip
    return {
        table: [
            *(plain(part(table)) for part in parts),
            sorted(c["sqltext"] for c in about.get_check_constraints(table)),
        ]
        for table in about.get_table_names()
    }


def test_the_copy_that_other_tests_get_is_what_the_migrations_make(migrated, store):
    assert described(store) == described(migrated)
    with store.reading() as one, migrated.reading() as other:
        version = text("SELECT version_num FROM alembic_version")
        assert one.execute(version).scalar() == other.execute(version).scalar() == HEAD


@pytest.mark.filterwarnings("ignore:Computed column")  # PostgreSQL before 18 computes a column on writing alone
def test_the_copy_that_other_tests_get_is_what_the_code_would_create(empty_url, store):
    with closing(Store(empty_url)) as created:
        metadata.create_all(created.engine)
        copied = described(store)
        del copied["alembic_version"]
        assert described(created) == copied


def test_the_newest_migration_is_the_one_that_the_code_names():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrating_twice_does_nothing_and_loses_nothing(store):
    write(store)
    assert store.migrate() is False
    assert store.count_profiles() == 1


def test_foreign_keys_are_unchecked_while_tables_are_made_anew_and_checked_at_the_end_and_ever_after(store):
    orphan = text(
        "INSERT INTO readings (client_id, read_at, consumption_kwh, received_at) "
        "VALUES ('nobody', 0, 1.5, '2026-11-02 12:00:00.000000')"
    )
    if store.is_sqlite:
        with pytest.raises(StoreError, match="would break 1 foreign keys"), store.migrating() as connection:
            connection.execute(orphan)
    with store.migrating() as connection:
        connection.execute(text("SELECT 1"))
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(orphan)
    assert store.count_readings() == 0


def test_after_a_migration_postgresql_counts_in_indexes_alone(migrated):
    if migrated.is_sqlite:
        pytest.skip("SQLite needs no vacuum to")
    assert n_vacuums(migrated) == 2  # of profiles and of alerts


def test_workers_that_start_at_once_migrate_once(empty_url):
    start, results = threading.Barrier(6), []

    def work():
        with closing(Store(empty_url)) as store:
            start.wait()
            try:
                results.append(store.migrate())
            except Exception as error:  # whatever it is: the test shows it
                results.append(error)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(results, key=str) == [False] * 5 + [True]


def test_the_tables_of_a_newer_version_are_left_alone(store):
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerStore, match="at version 9999"):
        store.migrate()


def former_versions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


@pytest.mark.parametrize("version", former_versions())
def test_what_a_former_version_kept_is_there_after_the_migration(empty_url, version):
    with closing(Store(empty_url)) as store:
        store.migrate(to=version)
        with store.writing() as connection:
            connection.execute(text("INSERT INTO clients (client_id, region) VALUES ('c-1', 103)"))
            connection.execute(
                text(
                    "INSERT INTO readings (client_id, read_at, consumption_kwh, received_at) VALUES (:c, 0, 1.5, :at)"
                ),
                {"c": "c-1", "at": datetime(2026, 11, 2) if store.is_sqlite else NOW},
            )
        store.migrate()
        assert store.readings_of(["c-1"])["consumption_kwh"].tolist() == [1.5]
        write(store)
        assert store.find_profile("c-1").client["region"] == 103.0


def test_a_store_without_tables_says_what_to_run(empty_url):
    with closing(Store(empty_url)) as store, pytest.raises(StoreUnavailable, match="flask --app predict migrate"):
        store.count_profiles()


# --- what former versions kept ----------------------------------------------------------------------------------------


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


def test_clients_of_before_there_were_lots_are_given_the_lots_that_runs_give(empty_url):
    ids = ["c-1", "é", "c-" + "9" * 40]
    with closing(Store(empty_url)) as store:
        kept_by("0007", store, dict.fromkeys(ids, 0.5))
        store.migrate()
        with store.reading() as connection:
            found = connection.execute(text("SELECT client_id, lot FROM profiles"))
            assert dict(found.all()) == {id_: sample_key(id_) for id_ in ids}


def test_clients_of_before_there_was_a_column_for_it_are_suspected_from_the_threshold_on(empty_url):
    with closing(Store(empty_url)) as store:
        kept_by("0009", store, {"a": 0.49, "b": 0.5, "c": 0.9, "d": -1.0})
        store.migrate()
        (region,) = store.count_by_region()
        assert (region.n_clients, region.n_suspected) == (4, 2)


def test_clients_of_before_their_places_stood_beside_their_scores_are_on_the_map(empty_url):
    with closing(Store(empty_url)) as store:
        kept_by("0010", store, {"a": 0.9, "b": 0.9})
        with store.writing() as connection:
            place = "UPDATE clients SET latitude = 36.5, longitude = 10.5, transformer_id = 't-1' WHERE client_id = 'a'"
            connection.execute(text(place))
        store.migrate()
        found = store.placed_clients(store.area(), 9)
        assert [(one.client_id, one.latitude, one.longitude) for one in found] == [("a", 36.5, 10.5)]
        assert [one.transformer_id for one in store.transformers(store.area(), 9)] == ["t-1"]
