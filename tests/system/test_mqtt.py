"""Meters that publish: what a message may hold, what is acknowledged when, and the whole way through a real broker."""

import json
import shutil
import subprocess
import threading
import time
from contextlib import closing, suppress
from datetime import datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.helpers.servers import free_port
from fairmeter.desk import mqtt
from fairmeter.desk.mqtt import BadBroker, BadMessage, ClientIdTaken, Listener, broker_of, readings_in
from fairmeter.store import IngestionResult, Store, StoreUnavailable
from tests.builders.databases import migrate
from tests.builders.service import JSON_VALUES, fuzzed
from tests.builders.waiting import wait_until

READING = {"client_id": "m-1", "read_at": "2014-03-01", "consumption_kwh": 7.5}
LONGEST = 30  # seconds


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_is_one_reading_or_a_list_of_them():
    expected = ("m-1", datetime(2014, 3, 1), 7.5, None, None, None)
    assert readings_in(json.dumps(READING).encode()) == [expected]
    assert readings_in(json.dumps([READING, READING]).encode()) == [expected] * 2
    number = READING | {"client_id": 17, "read_at": "2014-03-01T13:00:00+02:00"}
    assert readings_in(json.dumps(number).encode()) == [("17", datetime(2014, 3, 1, 13), 7.5, None, None, None)]


def test_a_message_may_state_the_length_of_its_interval_what_was_fed_in_and_its_quality():
    stated = {"minutes": 15, "export_kwh": 0.5, "quality": "estimated"}
    assert readings_in(json.dumps(READING | stated).encode())[0][3:] == (15, 0.5, "estimated")
    missing = READING | {"consumption_kwh": None, "quality": "missing"}
    assert readings_in(json.dumps(missing).encode())[0][2:] == (None, None, None, "missing")


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": ""},
        {"client_id": None},
        {"client_id": True},
        {"client_id": "a\0b"},
        {"client_id": "\ud800"},
        {"client_id": "x" * 201},
        {"read_at": "soon"},
        {"read_at": 5},
        {"read_at": "20261025"},
        {"read_at": "1761350400"},
        {"consumption_kwh": "7"},
        {"consumption_kwh": None},
        {"consumption_kwh": float("nan")},
        {"consumption_kwh": 10**400},
        {"consumption_kwh": None, "quality": "estimated"},
        {"minutes": 0},
        {"minutes": "15"},
        {"minutes": True},
        {"export_kwh": -1},
        {"quality": "guessed"},
        {"quality": []},
    ],
)
def test_a_message_that_holds_no_reading_is_refused_without_quoting_it(change):
    with pytest.raises(BadMessage, match="no reading"):
        readings_in(json.dumps(READING | change).encode())


@pytest.mark.parametrize(
    ("payload", "why"), [(b" " * (2**23 + 1), "over 8 MB"), (b"[" + b"[]," * 2**20 + b"[]]", "no reading")]
)
def test_a_message_that_would_take_many_times_its_size_is_refused_before_it_is_built(monkeypatch, payload, why):
    monkeypatch.setattr("fairmeter.desk.mqtt.json.loads", None)
    with pytest.raises(BadMessage, match=why):
        readings_in(payload)


@given(JSON_VALUES.map(fuzzed) | st.binary(max_size=60))
def test_no_message_breaks_the_listener(payload):
    with suppress(BadMessage):
        assert all(len(reading) == 6 for reading in readings_in(payload))


# --- acknowledging ----------------------------------------------------------------------------------------------------


def message(payload, mid=1):
    return SimpleNamespace(payload=json.dumps(payload).encode(), mid=mid, qos=1)


def arrived(n):
    return IngestionResult(n, 0, 0, 0, 0, ())


def test_a_message_is_acknowledged_after_it_is_kept_and_a_bad_one_is_counted():
    done = []

    def take(rows):
        assert done == [] or not rows
        return arrived(len(rows))

    listener = Listener(take, lambda heard: done.append(heard.mid))
    for mid, payload in enumerate((READING, [READING] * 2, "mood"), 1):
        listener.enqueue(message(payload, mid))
    assert listener.store_batch(wait=0) == 3
    assert done == [1, 2, 3]
    assert (listener.counts.n_messages, listener.counts.readings["n_new"], listener.counts.n_bad) == (3, 3, 1)
    assert listener.store_batch(wait=0) == 0


def test_what_was_wrong_with_bad_messages_is_told_once_for_those_that_came_together():
    told = []
    listener = Listener(lambda rows: arrived(len(rows)), lambda _heard: None, lambda why, n: told.append((why, n)))
    for payload in ("mood", READING, {"client_id": "hush"}):
        listener.enqueue(message(payload))
    listener.store_batch(wait=0)
    listener.enqueue(message(READING))
    listener.store_batch(wait=0)
    [(why, n)] = told
    assert (n, "hush" in why, "client_id, read_at, consumption_kwh" in why) == (2, False, True)


def test_while_the_database_is_away_messages_wait_in_their_order():
    done, is_away = [], [True]

    def take(rows):
        if is_away:
            is_away.pop()
            raise StoreUnavailable("away")
        return arrived(len(rows))

    listener = Listener(take, lambda heard: done.append(heard.mid))
    for mid in (1, 2, 3):
        listener.enqueue(message(READING, mid))
    with pytest.raises(StoreUnavailable):
        listener.store_batch(wait=0)
    assert done == []
    listener.store_batch(wait=0)
    assert done == [1, 2, 3]


# --- brokers ----------------------------------------------------------------------------------------------------------


def test_a_url_names_broker_topic_and_who_asks():
    assert broker_of("mqtt://host") == ("host", 1883, "fairmeter/readings/#", False, None, None)
    assert broker_of("mqtts://me:p%40ss@host:9/a/b") == ("host", 9, "a/b", True, "me", "p@ss")


@pytest.mark.parametrize("url", ["host", "http://host", "mqtt://", "mqtt://host:port", "mqtt://me:hush@host:99999"])
def test_a_url_of_no_broker_is_refused_without_its_password(url):
    with pytest.raises(BadBroker) as refused:
        broker_of(url)
    assert "hush" not in str(refused.value)


@pytest.fixture
def broker(tmp_path):
    """A Mosquitto of our own; what it keeps for a listener who is away it keeps in memory."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("mosquitto is not on this machine: apt install mosquitto")
    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    started = subprocess.Popen([program, "-c", tmp_path / "mosquitto.conf"], stderr=subprocess.DEVNULL)
    yield port
    started.terminate()
    started.wait()


def published(port, *readings):
    from paho.mqtt import publish

    messages = [{"topic": "fairmeter/readings/m", "payload": json.dumps(r), "qos": 1} for r in readings]

    def is_taken() -> bool:
        try:
            publish.multiple(messages, hostname="127.0.0.1", port=port)
        except ConnectionRefusedError:
            return False
        return True

    wait_until(is_taken)


def listening(port, store, until):
    """Listens in a thread until `until(counts)` holds; the counts as they were told, and in the end."""
    seen, deadline = [], time.monotonic() + LONGEST

    def is_done():
        return (seen and until(seen[-1])) or time.monotonic() > deadline

    found = []
    take = store.add_readings
    thread = threading.Thread(
        target=lambda: found.append(mqtt.listen(f"mqtt://127.0.0.1:{port}", take, is_done, seen.append))
    )
    thread.start()
    return thread, seen, found


def has_all_kinds(counts):
    readings = counts.readings
    return (
        readings["n_new"] >= 4
        and counts.n_bad >= 1
        and readings["n_duplicate"] >= 1
        and readings["n_out_of_order"] >= 2
    )


def test_what_meters_publish_is_kept_once_also_what_came_while_nobody_listened(broker, tmp_path):
    store = Store(f"sqlite:///{tmp_path}/desk.db")
    store.migrate()
    day = [READING | {"read_at": f"2014-03-{n:02d}"} for n in range(1, 10)]
    published(broker, "is anybody there")
    thread, heard, first = listening(broker, store, has_all_kinds)

    def is_heard() -> bool:
        """A subscriber gets only what is published after it came."""
        published(broker, "mood")
        return bool(heard) or not thread.is_alive()

    wait_until(is_heard, LONGEST, every=0.3)
    published(broker, day[2], day[0], day[2], day[1], day[3])
    thread.join(LONGEST)
    published(broker, *day[4:9], day[0])  # nobody listens: the broker keeps them
    thread, _, second = listening(broker, store, lambda counts: counts.readings["n_new"] >= 5)
    thread.join(LONGEST)
    assert store.count_readings() == 9
    assert first[0].n_bad >= 1
    assert first[0].readings["n_duplicate"] >= 1
    assert (first[0].readings["n_new"], first[0].readings["n_out_of_order"]) == (4, 2)
    assert (second[0].readings["n_new"], second[0].readings["n_late"]) == (5, 5)
    store.close()


# --- several listeners ------------------------------------------------------------------------------------------------


def test_of_two_listeners_of_one_desk_the_second_waits_and_goes_on_where_the_first_ends(broker, tmp_path):
    url = f"sqlite:///{tmp_path}/desk.db"
    stores = [Store(url), Store(url)]
    stores[0].migrate()
    ends, counts = [threading.Event(), threading.Event()], [None, None]

    def work(n):
        counts[n] = mqtt.listen_alone(
            stores[n],
            f"mqtt://127.0.0.1:{broker}",
            stores[n].add_readings,
            ends[n].is_set,
            wait=lambda _: ends[n].wait(0.1),
        )

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    threads[0].start()
    wait_until(lambda: published(broker, READING) or stores[0].count_readings() == 1, LONGEST, every=0.3)
    threads[1].start()
    published(broker, READING | {"read_at": "2014-03-02"})
    wait_until(lambda: stores[0].count_readings() == 2, LONGEST)
    ends[0].set()
    threads[0].join(LONGEST)
    published(broker, READING | {"read_at": "2014-03-03"})
    wait_until(lambda: stores[0].count_readings() == 3, LONGEST)
    ends[1].set()
    threads[1].join(LONGEST)
    assert (counts[0].readings["n_new"], counts[1].readings["n_new"]) == (2, 1)


def test_a_client_that_is_sent_away_again_and_again_says_that_its_id_is_taken():
    now = [0.0]
    disconnections = mqtt.Disconnections(lambda: now[0])
    for n in range(mqtt.MAX_DISCONNECTS):
        disconnections.check("me")
        now[0] = 30.0 * n
        disconnections.add()
    disconnections.check("me")  # in two minutes: a network that comes and goes
    for _ in range(mqtt.MAX_DISCONNECTS):
        disconnections.add()
    with pytest.raises(ClientIdTaken, match="own MQTT_CLIENT_ID"):
        disconnections.check("me")


@pytest.mark.nightly
def test_listeners_of_two_desks_with_one_id_do_not_fight_for_ever(broker, tmp_path):
    errors, urls = [], [f"sqlite:///{tmp_path}/desk{n}.db" for n in (0, 1)]
    for url in urls:  # here: migrations of one process come one after the other
        migrate(url)

    def work(n):
        with closing(Store(urls[n])) as store:
            try:
                mqtt.listen_alone(store, f"mqtt://127.0.0.1:{broker}", store.add_readings, lambda: bool(errors))
            except ClientIdTaken as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 1)]
    wait_until(lambda: published(broker, READING) is None, LONGEST)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST)
    assert errors
