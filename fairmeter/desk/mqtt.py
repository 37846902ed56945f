"""Meters that publish: MQTT messages -> readings, each acknowledged after it is kept.

In:  a broker's URL, mqtt://user:password@host:1883/topic (mqtts:// by TLS), and who keeps readings.
     A message is one reading or a list of them: {"client_id", "read_at", "consumption_kwh"}.
Out: counts. The broker keeps for us what comes while nobody listens, and sends again what was not acknowledged: nothing
     is lost, and what comes twice is kept once.
"""

import json
import logging
import math
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from fairmeter.store import StoreUnavailable

PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "fairmeter/readings/#"
CLIENT_ID = "fairmeter-listen"  # the broker keeps messages for this name
AT_LEAST_ONCE = 1  # MQTT's quality of service
MOST_WAITING = 1000  # messages taken and not kept yet
TOGETHER, PAUSE = 500, 0.2  # messages written at once; seconds that the first of them waits for others
RETRY = 2.0  # seconds between tries while the database does not answer

log = logging.getLogger(__name__)
Reading = tuple[str, datetime, float]


class BadBroker(ValueError):
    """MQTT_URL names no broker that can be used; one sentence."""


class BadMessage(ValueError):
    """A message holds no readings."""


class TakenReadings(Protocol):
    """What became of readings (fraud/store)."""

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int


@dataclass
class IngestionCounts:
    """What came since the start."""

    n_messages: int = 0
    n_bad: int = 0
    n_new: int = 0
    n_duplicate: int = 0
    n_differing: int = 0
    n_late: int = 0
    n_out_of_order: int = 0

    def add(self, arrived: TakenReadings) -> None:
        for name in ("n_new", "n_duplicate", "n_differing", "n_late", "n_out_of_order"):
            setattr(self, name, getattr(self, name) + getattr(arrived, name))


def readings_in(payload: bytes) -> list[Reading]:
    """Raises BadMessage, which quotes no value."""
    try:
        told = json.loads(payload)
        return [_reading(row) for row in (told if isinstance(told, list) else [told])]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise BadMessage("no reading {client_id, read_at, consumption_kwh} and no list of them") from None


def _reading(row: dict) -> Reading:
    client_id, kwh = row["client_id"], row["consumption_kwh"]
    is_id = isinstance(client_id, str | int) and not isinstance(client_id, bool)
    if not is_id or isinstance(kwh, bool) or not isinstance(kwh, int | float) or not math.isfinite(kwh):
        raise ValueError
    text = str(client_id).encode().decode().strip()  # a lone surrogate is a UnicodeEncodeError, which is a ValueError
    if not text or "\0" in text or len(text) > 200:
        raise ValueError
    return text, datetime.fromisoformat(row["read_at"]).replace(tzinfo=None), float(kwh)


@dataclass
class Listener:
    """Takes messages from one thread and keeps them in another: what is slow must not keep the broker waiting.

    take: keeps readings, raises StoreUnavailable. acknowledge: tells the broker that a message is done with.
    refuse: is told what was wrong with the last of some bad messages, and how many they were.
    """

    take: Callable[[list[Reading]], TakenReadings]
    acknowledge: Callable[[Any], None]
    refuse: Callable[[str, int], None] = lambda _why, _n: None
    counts: IngestionCounts = field(default_factory=IngestionCounts)
    _waiting: queue.Queue = field(default_factory=lambda: queue.Queue(MOST_WAITING))

    def heard(self, message: Any) -> None:
        self._waiting.put(message)

    def keep_some(self, wait: float = 1.0) -> int:
        """Keeps what waits, some messages at once; how many there were. Raises StoreUnavailable: they wait on."""
        messages = self._some(wait)
        rows, bad = _read(messages)
        try:
            arrived = self.take(rows) if rows else None
        except StoreUnavailable:
            self._waiting.queue.extendleft(reversed(messages))
            raise
        if arrived is not None:
            self.counts.add(arrived)
        if bad:  # sent again they would be no better
            log.warning("messages were left out: %d, the last one: %s", len(bad), bad[-1])
            self.refuse(bad[-1], len(bad))
        self.counts.n_messages, self.counts.n_bad = self.counts.n_messages + len(messages), self.counts.n_bad + len(bad)
        for message in messages:
            self.acknowledge(message)
        return len(messages)

    def _some(self, wait: float) -> list:
        messages: list = []
        try:
            while len(messages) < TOGETHER:
                messages.append(self._waiting.get(timeout=PAUSE if messages else wait))
        except queue.Empty:
            pass
        return messages


def _read(messages: list) -> tuple[list[Reading], list[str]]:
    """The readings of some messages, and what is wrong with those that hold none."""
    rows, bad = [], []
    for message in messages:
        try:
            rows += readings_in(message.payload)
        except BadMessage as error:
            bad.append(str(error))
    return rows, bad


def listen(
    url: str,
    take: Callable[[list[Reading]], TakenReadings],
    is_done: Callable[[], bool],
    tell: Callable,
    refuse: Callable[[str, int], None] = lambda _why, _n: None,
) -> IngestionCounts:
    """Listens until it is done; tells its counts every now and then. Raises BadBroker, OSError without a broker."""
    from paho.mqtt import client as mqtt  # only who listens needs it

    host, port, topic, is_tls, user, password = broker_of(url)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, clean_session=False, manual_ack=True)
    if user is not None:
        client.username_pw_set(user, password)
    if is_tls:
        client.tls_set()
    listener = Listener(take, lambda message: client.ack(message.mid, message.qos), refuse)
    client.on_message = lambda _client, _data, message: listener.heard(message)
    client.on_connect = lambda *_: client.subscribe(topic, AT_LEAST_ONCE)  # anew after each loss of the connection
    client.connect(host, port)
    client.loop_start()
    try:
        _keep(listener, is_done, tell)
    finally:
        client.disconnect()
        client.loop_stop()
    return listener.counts


def _keep(listener: Listener, is_done: Callable[[], bool], tell: Callable) -> None:
    while not is_done():
        try:
            if listener.keep_some():
                tell(listener.counts)
        except StoreUnavailable as error:
            log.warning("readings wait: %s", error)
            time.sleep(RETRY)


def broker_of(url: str) -> tuple[str, int, str, bool, str | None, str | None]:
    """Host, port, topic, by TLS or not, user, password. Raises BadBroker, which shows no password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        host, port = None, 0
    if not host or not port or parts.scheme not in PORTS:
        raise BadBroker("MQTT_URL names no broker; write mqtt://host:1883/topic, or mqtts:// for TLS.")
    user, password = (value and unquote(value) for value in (parts.username, parts.password))
    return host, port, unquote(parts.path.lstrip("/")) or TOPIC, parts.scheme == "mqtts", user, password
