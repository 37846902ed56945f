"""A worker that is killed and a PostgreSQL that goes away leave the former state, and the store recovers by itself."""

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from fairmeter.store import Store, StoreUnavailable
from tests.builders.store import NOW, ROOT, score_of, write

# A run that stops half-way, inside its transaction: when the profiles are written and the alerts are not.
HALF_WAY = """
    import sys, time
    import fairmeter.store.runs as runs
    from tests.builders.store import score_of, write
    from fairmeter.store import Store

    def stop(*_):
        print("half-way", flush=True)
        time.sleep(60)

    runs.raise_alerts = stop
    write(Store(sys.argv[1]), *(score_of(f"c-{i:04}", 0.9, "critical") for i in range(1000)))
"""


def begun(url: str) -> subprocess.Popen:
    """A process that has written half of a run."""
    command = [sys.executable, "-c", textwrap.dedent(HALF_WAY), url]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half-way\n", process.stderr.read()
    return process


def everything(store) -> tuple:
    """What a run would change."""
    profiles = store.list_profiles(limit=1000).rows
    return profiles, store.list_alerts(state=None, limit=1000).rows, store.list_runs(), store.trend_of("c-0001")


def test_a_worker_that_is_killed_in_mid_load_leaves_what_was_there(store, database_url):
    write(store, score_of("c-0001"), score_of("c-0002"))
    before = everything(store)
    with begun(database_url) as process:
        assert everything(store) == before, "half a run shows"
        process.send_signal(signal.SIGKILL)
    assert everything(store) == before
    assert write(store, score_of("c-0001"), score_of("c-0003"), scored_at=NOW.replace(hour=13)).n_profiles == 2
    assert store.count_profiles() == 3


def test_a_run_that_fails_leaves_what_was_there(store):
    write(store, score_of("c-0001"))
    before = everything(store)
    with pytest.raises(ValueError, match="no time zone"):
        write(store, score_of("c-0001", 0.9), score_of("new"), scored_at=NOW.replace(tzinfo=None))
    assert everything(store) == before


@pytest.fixture
def served(templates, tmp_path):
    """A store on PostgreSQL, and its URL."""
    with templates.copied("postgresql", tmp_path) as url, closing(Store(url)) as store:
        yield store, url


def pids(store) -> list[int]:
    """The backends behind the pool of a store."""
    with store.reading() as connection:
        return [connection.execute(text("SELECT pg_backend_pid()")).scalar_one()]


def test_connections_that_a_restart_cut_are_made_anew(served):
    store, url = served
    write(store)
    with closing(Store(url)) as other, other.reading() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM unnest(:pids) AS pid"), {"pids": pids(store)})
    assert store.count_profiles() == 1


def test_a_postgresql_that_goes_away_in_mid_load_is_unavailable_and_leaves_nothing_half_written(served, monkeypatch):
    store, url = served
    write(store, score_of("c-0001"))
    before = everything(store)

    def cut(connection, *_):
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with closing(Store(url)) as other, other.reading() as theirs:
            theirs.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": mine})
        connection.execute(text("SELECT 1"))

    with monkeypatch.context() as patch:
        patch.setattr("fairmeter.store.runs.raise_alerts", cut)
        with pytest.raises(StoreUnavailable, match="Nothing was written"):
            write(store, *(score_of(f"c-{i:04}", 0.9) for i in range(1000)))
    assert everything(store) == before
    assert write(store, score_of("c-0001", 0.9), scored_at=NOW.replace(hour=13)).n_profiles == 1
    assert store.find_profile("c-0001").score.probability == 0.9


def test_a_postgresql_that_goes_away_while_rows_are_copied_is_unavailable_too(served, monkeypatch):
    store, url = served
    from fairmeter.store.engine import upsert as bulk

    copied = bulk._copy

    def cut_then_copied(connection, *rest):
        mine = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with closing(Store(url)) as other, other.reading() as theirs:
            theirs.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": mine})
        copied(connection, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_copy", cut_then_copied)
        with pytest.raises(StoreUnavailable):
            write(store, *(score_of(f"c-{i:04}") for i in range(500)))
    assert store.count_profiles() == 0


def test_a_server_that_is_not_there_is_unavailable_and_its_password_stays_untold():
    with closing(Store("postgresql://nobody:secret@127.0.0.1:1/none")) as store:
        with pytest.raises(StoreUnavailable) as raised:
            store.ping()
        assert "secret" not in str(raised.value)


def test_a_database_that_another_writer_holds_too_long_is_unavailable(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("fairmeter.store.engine.database.BUSY_TIMEOUT", 0.1)
    url = f"sqlite:///{tmp_path}/store.db"
    with closing(Store(url)) as store, closing(Store(url)) as other:
        store.migrate()
        with other.writing(), pytest.raises(StoreUnavailable, match="locked"):
            write(store)
        assert write(store).n_profiles == 1
