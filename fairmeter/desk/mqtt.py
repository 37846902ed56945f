"""MQTT consumer: messages of meters -> stored readings, acknowledged after they are stored.

In:  a broker's URL, mqtt://user:password@host:1883/topic (mqtts:// for TLS), and a function that stores readings.
     A message is one reading or a list of them: {"client_id", "read_at", "consumption_kwh"}, optionally with
     "minutes", "export_kwh" and "quality", as POST /readings takes them.
Out: counts. The broker queues messages while no consumer is connected, and redelivers unacknowledged ones: no reading
     is lost, and a redelivered one is stored once.
"""

import json
import logging
import math
import queue
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from fairmeter.core.client_ids import problem_with_id
from fairmeter.data.readings import parse_moment
from fairmeter.scoring.payloads import check_text
from fairmeter.scoring.problems import Problem
from fairmeter.store import QUALITIES, Hold, IngestionResult, MeterReading, Sender, Store, StoreUnavailable

PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "fairmeter/readings/#"
CLIENT_ID = "fairmeter-listen"  # the broker queues messages for this name; of two with one name it sends one away
MAX_DISCONNECTS, DISCONNECTS_WITHIN = 5, 60.0  # seconds; more often than by any network: another goes by the name
AT_LEAST_ONCE = 1  # MQTT's quality of service
MAX_QUEUED = 1000  # messages received and not stored yet
BATCH_SIZE, BATCH_WAIT = 500, 0.2  # messages stored at once; seconds that the first of them waits for others
MAX_ID = 200  # characters of a client id
MAX_BYTES = 8 * 2**20  # of a message, as of POST /readings
RETRY = 2.0  # seconds between tries while the database does not answer, or another process listens
LISTENING = 0x6661696D  # names this work among those that one process at a time does

log = logging.getLogger(__name__)


class BadBroker(ValueError):
    """MQTT_URL is not a broker's URL."""


class ClientIdTaken(BadBroker):
    """Another client of the broker has the same id, and each sends the other away."""


class BadMessage(ValueError):
    """A message holds no readings."""


@dataclass
class IngestionCounts:
    """Counts since the start. readings: the sums of IngestionResult.counts()."""

    n_messages: int = 0
    n_bad: int = 0
    readings: Counter[str] = field(default_factory=lambda: Counter(NO_READINGS.counts()))

    def by_name(self) -> dict[str, int]:
        """All counts by name."""
        return {"n_messages": self.n_messages, "n_bad": self.n_bad, **self.readings}


NO_READINGS = IngestionResult(0, 0, 0, 0, 0, ())
SENDER = Sender("listen", "MQTT")


def readings_in(payload: bytes) -> list[MeterReading]:
    """The readings of a message. Raises BadMessage, which quotes no value."""
    if len(payload) > MAX_BYTES:
        raise BadMessage(f"over {MAX_BYTES // 2**20} MB; send it in several messages")
    try:
        check_text(payload)
        content = json.loads(payload)
        return [_reading(row) for row in (content if isinstance(content, list) else [content])]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, Problem):
        raise BadMessage("no reading {client_id, read_at, consumption_kwh} and no list of them") from None


def _reading(row: dict) -> MeterReading:
    client_id, quality = row["client_id"], row.get("quality")
    kwh, minutes, export_kwh = row["consumption_kwh"], row.get("minutes"), row.get("export_kwh")
    if not isinstance(client_id, str | int) or isinstance(client_id, bool) or quality not in (None, *QUALITIES):
        raise ValueError
    if not all(value is None or _is_number(value) for value in (kwh, minutes, export_kwh)):
        raise ValueError
    if (kwh is None and quality != QUALITIES[-1]) or (minutes or 1) < 0 or minutes == 0 or (export_kwh or 0) < 0:
        raise ValueError
    text = str(client_id).encode().decode().strip()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    if not text or "\0" in text or len(text) > MAX_ID or problem_with_id(text):
        raise ValueError
    if not isinstance(row["read_at"], str):
        raise ValueError  # seconds since 1970, say
    return MeterReading(text, parse_moment(row["read_at"]), kwh, minutes, export_kwh, quality)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(float(value))


@dataclass
class Listener:
    """Queues messages in one thread and stores them in another, so that a slow database does not block the broker.

    store_readings: raises StoreUnavailable; called with no readings while no message comes. acknowledge: confirms a
    message to the broker. reject: gets the error of the last bad message of a batch, and their number.
    """

    store_readings: Callable[[list[MeterReading]], IngestionResult]
    acknowledge: Callable[[Any], None]
    reject: Callable[[str, int], None] = lambda _why, _n: None
    counts: IngestionCounts = field(default_factory=IngestionCounts)
    _queue: queue.Queue = field(default_factory=lambda: queue.Queue(MAX_QUEUED))

    def enqueue(self, message: Any) -> None:
        """Queue a message; blocks while the queue is full."""
        self._queue.put(message)

    def store_batch(self, wait: float = 1.0) -> int:
        """Store queued messages; their number. Raises StoreUnavailable, and they stay queued. [wait: seconds]"""
        messages = self._next_batch(wait)
        rows, bad = _read(messages)
        try:
            result = self.store_readings(rows)  # without any too: clients may wait to be judged
        except StoreUnavailable:
            self._queue.queue.extendleft(reversed(messages))
            raise
        self.counts.readings.update(result.counts())
        if bad:  # acknowledged too: a redelivery would be no better
            log.warning("messages were rejected: %d, the last one: %s", len(bad), bad[-1])
            self.reject(bad[-1], len(bad))
        self.counts.n_messages, self.counts.n_bad = self.counts.n_messages + len(messages), self.counts.n_bad + len(bad)
        for message in messages:
            self.acknowledge(message)
        return len(messages)

    def _next_batch(self, wait: float) -> list:
        messages: list = []
        try:
            while len(messages) < BATCH_SIZE:
                messages.append(self._queue.get(timeout=BATCH_WAIT if messages else wait))
        except queue.Empty:
            pass
        return messages


def _read(messages: list) -> tuple[list[MeterReading], list[str]]:
    """The readings of some messages, and the errors of those that hold none."""
    rows, bad = [], []
    for message in messages:
        try:
            rows += readings_in(message.payload)
        except BadMessage as error:
            bad.append(str(error))
    return rows, bad


class Disconnections:
    """The moments at which the broker sent this client away, which it asks itself for but once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, deque(maxlen=MAX_DISCONNECTS)

    def add(self) -> None:
        """Record one."""
        self._at.append(self._clock())

    def check(self, client_id: str) -> None:
        """Raises ClientIdTaken after too many of late."""
        if len(self._at) == MAX_DISCONNECTS and self._clock() - self._at[0] < DISCONNECTS_WITHIN:
            raise ClientIdTaken(
                f"The broker ends the connection again and again: another client has the id {client_id!r}, most "
                "likely a listener of another desk. Give each desk its own MQTT_CLIENT_ID."
            )


def listen_alone(
    store: Store,
    url: str,
    store_readings: Callable[[list[MeterReading]], IngestionResult],
    is_done: Callable[[], bool],
    reject: Callable[[str, int], None] = lambda _why, _n: None,
    client_id: str = CLIENT_ID,
    wait: Callable[[float], None] = time.sleep,
) -> IngestionCounts:
    """Consume messages until is_done(), one process at a time: others wait, and go on where this one ends.

    Raises BadBroker, ClientIdTaken, and OSError if the broker cannot be reached.
    """
    counts, is_waiting = IngestionCounts(), False
    while not is_done():
        try:
            with store.held_alone(LISTENING) as hold:
                if hold is not None:
                    is_waiting = False
                    counts = listen(
                        url, store_readings, partial(_is_over, is_done, hold), reject=reject, client_id=client_id,
                        counts=counts,
                    )  # fmt: skip
                elif not is_waiting:
                    is_waiting = True
                    log.info("another process listens; this one goes on where that one ends")
        except StoreUnavailable as error:
            log.warning("listening waits for the database: %s", error)
        if not is_done():
            wait(RETRY)
    return counts


def _is_over(is_done: Callable[[], bool], hold: Hold) -> bool:
    return is_done() or not hold.lasts()


def listen(
    url: str,
    store_readings: Callable[[list[MeterReading]], IngestionResult],
    is_done: Callable[[], bool],
    on_progress: Callable[[IngestionCounts], None] = lambda _counts: None,
    reject: Callable[[str, int], None] = lambda _why, _n: None,
    client_id: str = CLIENT_ID,
    counts: IngestionCounts | None = None,
) -> IngestionCounts:
    """Consume messages until is_done(). on_progress gets the counts after each batch, which begin with `counts`.

    Raises BadBroker, ClientIdTaken, and OSError if the broker cannot be reached.
    """
    from paho.mqtt import client as mqtt  # only this command needs it

    host, port, topic, is_tls, user, password = broker_of(url)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True)
    if user is not None:
        client.username_pw_set(user, password)
    if is_tls:
        client.tls_set()
    listener = Listener(
        store_readings, lambda message: client.ack(message.mid, message.qos), reject, counts or IngestionCounts()
    )
    disconnections = Disconnections()
    client.on_disconnect = lambda *_: disconnections.add()
    client.on_message = lambda _client, _data, message: listener.enqueue(message)
    client.on_connect = lambda *_: client.subscribe(topic, AT_LEAST_ONCE)  # again after each reconnect
    client.connect(host, port)
    client.loop_start()
    try:
        _store_until(listener, partial(_checked, is_done, disconnections, client_id), on_progress)
    finally:
        client.disconnect()
        client.loop_stop()
    return listener.counts


def _checked(is_done: Callable[[], bool], disconnections: Disconnections, client_id: str) -> bool:
    disconnections.check(client_id)
    return is_done()


def _store_until(
    listener: Listener, is_done: Callable[[], bool], on_progress: Callable[[IngestionCounts], None]
) -> None:
    while not is_done():
        try:
            if listener.store_batch():
                on_progress(listener.counts)
        except StoreUnavailable as error:
            log.warning("readings wait: %s", error)
            time.sleep(RETRY)


def broker_of(url: str) -> tuple[str, int, str, bool, str | None, str | None]:
    """Host, port, topic, whether by TLS, user, password. Raises BadBroker, which shows no password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = None, 0
    if not host or not port or parts.scheme not in PORTS:
        raise BadBroker("MQTT_URL is not a broker's URL. Write mqtt://host:1883/topic, or mqtts:// for TLS.")
    user, password = (value and unquote(value) for value in (parts.username, parts.password))
    return host, port, unquote(parts.path.lstrip("/")) or TOPIC, parts.scheme == "mqtts", user, password
