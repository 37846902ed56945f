"""What came in of late, as the store counts it: by minute and hour, the newest, the refused."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from fairmeter.store import ingestion
from tests.builders.store import NOW, score_of, write

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
READ_AT = datetime(2026, 11, 2, 10)


def taken(store, client_id, n=1, at=NOW, first=READ_AT, kwh=1.0):
    return store.add_readings([(client_id, first + i * HOUR, kwh) for i in range(n)], at)


def test_what_one_client_sends_at_once_is_one_batch_and_the_newest_comes_first(store):
    taken(store, "a", 3, NOW - MINUTE)
    store.add_readings([("b", READ_AT, 2.5), ("c", READ_AT, 0.5)], NOW)
    told = [(batch.client_id, batch.n_readings, batch.kwh) for batch in store.newest_batches()]
    assert told == [("c", 1, 0.5), ("b", 1, 2.5), ("a", 3, 3.0)]
    first = store.newest_batches()[2]
    assert (first.first_at, first.last_at) == (READ_AT, READ_AT + 2 * HOUR)
    assert first.received_at == NOW - MINUTE
    assert [batch.client_id for batch in store.newest_batches(1)] == ["c"]


def test_a_batch_of_which_not_all_was_looked_at_is_left_out_unless_it_is_all_there_is(store, monkeypatch):
    monkeypatch.setattr(ingestion, "N_NEWEST", 3)
    taken(store, "a", 5, NOW - MINUTE)
    assert [batch.n_readings for batch in store.newest_batches()] == [3]
    taken(store, "b")
    assert [batch.client_id for batch in store.newest_batches()] == ["b"]


def test_new_readings_are_counted_by_the_minute_and_hour_in_which_they_came(store):
    taken(store, "a", 2, NOW)
    taken(store, "b", 1, NOW + timedelta(seconds=59))
    taken(store, "c", 4, NOW + 61 * MINUTE)
    taken(store, "c", 4, NOW + 62 * MINUTE)  # the same again
    assert store.new_readings_by_minute(NOW) == {NOW: 3, NOW + 61 * MINUTE: 4}
    assert store.new_readings_by_minute(NOW + MINUTE) == {NOW + 61 * MINUTE: 4}
    assert store.new_readings_by_hour(NOW - DAY) == {NOW: 3, NOW + HOUR: 4}


def test_what_became_of_readings_is_added_up(store):
    taken(store, "a", 2)
    store.add_readings([("a", READ_AT, 9.0), ("a", READ_AT + HOUR, 1.0), ("a", READ_AT - 3 * DAY, 1.0)], NOW + MINUTE)
    store.count_rejected("no reading", 2, NOW)
    assert store.ingestion_totals(NOW) == ingestion.IngestionTotals(3, 1, 1, 1, 1, 2)
    assert store.ingestion_totals(NOW + DAY) == ingestion.IngestionTotals(0, 0, 0, 0, 0, 0)


def test_the_last_refusal_is_told_with_its_minute(store):
    assert store.last_rejection(NOW - DAY) is None
    store.count_rejected("an older one", at=NOW - HOUR)
    store.count_rejected("x" * 1000, at=NOW + timedelta(seconds=30))
    taken(store, "a")  # counted in the same minute, takes nothing away
    assert store.last_rejection(NOW - DAY) == (NOW, "x" * ingestion.MAX_MESSAGE)
    assert store.last_rejection(NOW + HOUR) is None


def test_alerts_are_counted_by_the_hour_in_which_they_were_raised(store):
    write(store, score_of("a"), score_of("b"), scored_at=NOW + timedelta(minutes=59, seconds=59))
    write(store, score_of("c"), scored_at=NOW + HOUR)
    assert store.alerts_by_hour(NOW - DAY) == {NOW: 2, NOW + HOUR: 1}
    assert store.alerts_by_hour(NOW + HOUR) == {NOW + HOUR: 1}


def test_writers_of_one_minute_lose_no_count(store):
    def work(name):
        for i in range(5):
            taken(store, f"{name}-{i}")

    workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert store.new_readings_by_minute(NOW) == {NOW: 20}


def test_readings_that_cannot_be_kept_are_not_counted(store):
    with pytest.raises(Exception, match="leave out missing readings"):
        store.add_readings([("a", READ_AT, 1.0), ("a", READ_AT + HOUR, float("nan"))], NOW)
    assert store.ingestion_totals(NOW).n_new == 0


def test_the_newest_readings_are_read_by_their_index(store):
    """Among millions nothing may be sorted: the plan names the index, and no sort."""
    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
    query = "SELECT consumption_kwh FROM readings ORDER BY received_at DESC, client_id DESC, read_at DESC LIMIT 1000"
    with store.writing() as connection:
        if not store.is_sqlite:  # with next to no rows it would rather read the whole table
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
    assert "ix_readings_received_at_client_id_read_at" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_a_minute_is_counted_from_1970_in_utc():
    assert ingestion.minute_of(datetime(1970, 1, 1, 1, 0, 59, tzinfo=UTC)) == 60
    assert ingestion.moment_of(60, 60) == datetime(1970, 1, 1, 1, tzinfo=UTC)
