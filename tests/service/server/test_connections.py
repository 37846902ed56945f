"""Connections that do not go on are closed, and those that do are left alone."""

import asyncio
import signal
from types import SimpleNamespace

import pytest

from fairmeter.core import memory
from fairmeter.web.server import connections, worker
from fairmeter.web.server.connections import Connection, ConnectionWatch, current_connection


class Transport:
    """A transport that notes what was done to it."""

    def __init__(self):
        self.done, self.is_ended = [], False

    def __getattr__(self, name):
        return lambda *_: self.done.append(name)

    def is_closing(self):
        return self.is_ended


class Loop:
    """A loop whose clock is set, and which calls nothing later."""

    now = 0.0

    def time(self):
        return self.now

    def call_later(self, *_):
        """Nothing."""


class Served(asyncio.Protocol):
    """The server's protocol: what it received, and the connection that its tasks would see."""

    def __init__(self):
        self.received, self.seen = b"", None

    def connection_made(self, _transport):
        self.seen = current_connection()

    def data_received(self, data):
        self.received += data


class Watched:
    """A watch with connections that are made when they are asked for."""

    def __init__(self, most=100):
        self.loop, self.is_stopping = Loop(), False
        self.watch = ConnectionWatch(self.loop, lambda: self.is_stopping, most)

    def connect(self, sent=b"", requests=0):
        connection = Connection(self.watch, Served())
        transport = connection.transport = Transport()
        connection.connection_made(transport)
        for _ in range(requests):
            connection.begin()
            connection.end()
        if sent:
            connection.data_received(sent)
        return connection

    def done_after(self, seconds, *found):
        self.loop.now += seconds
        self.watch._look()
        return [connection.transport.done for connection in found]


@pytest.fixture
def watched():
    return Watched()


def test_the_servers_protocol_gets_all_events_and_its_tasks_find_the_connection(watched):
    connection = watched.connect(b"GET ")
    assert connection._served.received == b"GET "
    assert connection._served.seen is connection
    assert current_connection() is None


class Breaking(Served):
    """A protocol whose parser breaks."""

    def data_received(self, _data):
        raise ValueError("Exceeds the limit (4300 digits) for integer string conversion")


@pytest.mark.parametrize(("is_under_way", "done"), [(False, ["write", "close"]), (True, ["close"])])
def test_bytes_on_which_the_servers_parser_breaks_are_a_bad_request(watched, caplog, is_under_way, done):
    connection = Connection(watched.watch, Breaking())
    transport = Transport()
    connection.connection_made(transport)
    if is_under_way:
        connection.begin()
    connection.data_received(b"Content-Length: 999")
    assert transport.done == done
    assert caplog.messages == ["A request could not be parsed: ValueError"]


def test_a_half_sent_head_is_late_and_a_silent_connection_is_so_later(watched):
    half, silent, asked = watched.connect(b"GET "), watched.connect(), watched.connect(requests=1)
    assert watched.done_after(connections.MAX_WAIT - 1, half, silent, asked) == [[], [], []]
    assert watched.done_after(2, half, silent, asked) == [["abort"], [], []]
    assert watched.done_after(connections.MAX_SILENCE, silent, asked) == [["close"], []], "keepalive is gunicorn's"


def test_a_head_without_end_is_cut_off_early(watched):
    endless = watched.connect(b"x" * (connections.MAX_HEAD + 1))
    assert watched.done_after(0.5, endless) == [[]], "its body may have begun to arrive"
    assert watched.done_after(1, endless) == [["abort"]]


def test_a_request_under_way_is_never_late(watched):
    connection = watched.connect(b"GET / HTTP/1.1\r\n\r\n")
    connection.begin()
    assert watched.done_after(1000, connection) == [[]]
    assert not watched.watch.is_idle()
    connection.end()
    assert watched.watch.is_idle()


def test_an_answer_that_nobody_reads_is_given_up(watched):
    unread, read = watched.connect(), watched.connect()
    for connection in (unread, read):
        connection.begin()
        connection.pause_writing()
    read.resume_writing()
    assert watched.done_after(connections.MAX_UNREAD + 1, unread, read) == [["abort"], []]


def test_what_is_closed_and_not_read_is_given_up(watched):
    connection = watched.connect(requests=1)
    connection.transport.is_ended = True
    assert watched.done_after(1, connection) == [[]]
    assert watched.done_after(connections.MAX_UNREAD + 1, connection) == [["abort"]]


def test_a_worker_that_stops_closes_what_is_idle_after_a_moment_and_nothing_else(watched):
    idle, new, busy, half = watched.connect(requests=1), watched.connect(), watched.connect(), watched.connect(b"GET ")
    busy.begin()
    watched.is_stopping = True
    assert watched.done_after(1, idle, new, busy, half) == [[], [], [], []]
    assert watched.done_after(connections.STOP_WAIT + 1, idle, new, busy, half) == [["close"], ["close"], [], []]


def test_few_bytes_are_read_ahead_of_a_request_that_is_computed(watched):
    connection = watched.connect()
    connection.begin()
    connection.data_received(b"x" * 2**20)
    assert connection.transport.done == [], "the body"
    connection.is_receiving = False
    connection.data_received(b"x" * connections.MAX_AHEAD)
    connection.data_received(b"x")
    connection.end()
    assert connection.transport.done == ["pause_reading", "resume_reading"]


def test_a_body_that_a_thread_reads_as_it_arrives_is_not_ahead_of_its_request(watched):
    connection = watched.connect()
    connection.begin()
    connection.begin_stream()
    connection.data_received(b"x" * 2**20)
    assert connection.transport.done == []
    assert not connection.makes_way(), "a thread is at work"
    connection.end_stream()
    connection.data_received(b"x" * (connections.MAX_AHEAD + 1))
    assert connection.transport.done == ["pause_reading"], "the next requests"


def test_where_there_are_too_many_those_that_never_asked_make_way_first(monkeypatch):
    monkeypatch.setattr(connections, "LEFT_FREE", 2)
    watched = Watched(most=4)
    asked, computed, silent, receiving = (
        watched.connect(requests=1),
        watched.connect(),
        watched.connect(),
        watched.connect(),
    )
    computed.begin()
    computed.is_receiving = False
    receiving.begin()
    newest = watched.connect()
    done = [c.transport.done for c in (asked, computed, silent, receiving, newest)]
    assert done == [["abort"], [], ["abort"], [], []]


def test_where_all_are_busy_the_newest_is_not_taken():
    watched = Watched(most=1)
    busy = watched.connect()
    busy.begin()
    busy.is_receiving = False
    assert watched.connect().transport.done == ["abort"]
    assert busy.transport.done == []


# --- the worker -------------------------------------------------------------------------------------------------------


def a_worker(loop, max_requests=100):
    log = SimpleNamespace(info=lambda *_: None)
    return SimpleNamespace(loop=loop, max_requests=max_requests, alive=True, nr=0, ppid=7, log=log)


def test_memory_goes_back_to_the_system_now_and_then(monkeypatch):
    trimmed, later = [], []
    monkeypatch.setattr(memory, "_trim", trimmed.append)
    loop = SimpleNamespace(call_later=lambda seconds, *call: later.append((seconds, *call)))
    worker._trim_now_and_then(a_worker(loop))
    ((seconds, again, *given),) = later
    again(*given)
    assert (seconds, trimmed) == (worker.TRIM_EVERY, [0, 0])


def test_a_worker_that_answered_enough_asks_once_at_a_moment_without_requests(watched, monkeypatch):
    asked = []
    monkeypatch.setattr(worker.os, "kill", lambda *what: asked.append(what))
    tired = a_worker(watched.loop)
    succession = worker.Succession(tired, watched.watch)
    busy = watched.connect()
    busy.begin()
    for tired.nr, expected in ((99, 0), (100, 0)):
        succession.look()
        assert len(asked) == expected
    busy.end()
    for tired.nr, expected in ((101, 1), (102, 1), (201, 2)):
        succession.look()
        assert len(asked) == expected
    assert asked[0] == (7, signal.SIGHUP)
    assert tired.max_requests > 10**9, "gunicorn itself would end the worker"
