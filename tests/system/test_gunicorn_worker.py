"""A request waits beside the threads until it is there, however its sender cuts it or forgets to end it."""

import errno
import json
import os
import select
import signal
import socket
import time
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import Connection, got, posted, served
from fairmeter.core import memory
from fairmeter.models import model_file
from fairmeter.web import gunicorn_worker as worker
from fairmeter.web.gunicorn_worker import ENOUGH, BufferedRequest, is_received
from tests.builders.examples import fewer
from tests.builders.service import a_body

N_SLOW = 50  # connections: six times as many as threads
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKS = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def model_path(small_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.bin"
    model_file.save(small_model, path)
    return path


@pytest.fixture(scope="module")
def server(model_path):
    with served("predict:app", MODEL_PATH=str(model_path), LOG_LEVEL="ERROR") as started:
        yield started


# --- what is there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (POST + b"Content-Length: 3\r\n\r\nab", False),
        (POST + b"CONTENT-length:3\r\n\r\nabc", True),
        (POST + b"X: 1\r\n\r\nContent-Length: 3\r\n", True),
        (POST + b"Content-Length: three\r\n\r\n", True),
        (POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", True),
        (CHUNKS, False),
        (CHUNKS + b"3\r\nabc\r\n", False),
        (CHUNKS + b"3\r\nabc\r\n0\r\n\r\n", True),
        (CHUNKS + b"00;x=1\r\nDigest: y\r\n\r\n", True),
        (POST + b"Content-Length: 1000000\r\n\r\n".ljust(ENOUGH, b"x"), True),
        (b"x" * ENOUGH, True),
    ],
    ids=[
        "nothing", "half a head", "a head", "half a body", "a body", "a length in the body", "no length", "asks first",
        "no chunk", "a chunk", "the last chunk", "trailers", "a long body", "an endless head",
    ],
)  # fmt: skip
def test_a_request_is_there_with_its_last_byte_or_with_enough_of_them(held, expected):
    assert is_received(held) is expected


# --- as it comes ------------------------------------------------------------------------------------------------------


@fewer(4)  # an example sends two requests, piece by piece
@given(cuts=st.lists(st.integers(1, 600), max_size=6))
def test_a_request_in_pieces_is_answered_as_one_at_once(server, cuts):
    one, other = (posted("/predict?reasons=0", as_json(a_body(f"c-{i}"))) for i in range(2))
    together = one + other  # the second one begins in the same piece as the first one ends
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(together)], strict=True):
            sender.sendall(together[start:end])
            time.sleep(0.002)
        answers = b""
        while answers.count(b'"client_id"') < 2:
            part = sender.recv(2**16)
            assert part, answers
            answers += part
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert answers.index(b'"c-0"') < answers.index(b'"c-1"')


def test_a_chunked_request_and_one_that_asks_first_are_answered(server):
    body = as_json(a_body())
    head = b"POST /predict?reasons=0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
        sender.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.05)
        sender.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        time.sleep(0.05)
        sender.sendall(b"0\r\n\r\n")
        assert sender.recv(2**16).startswith(b"HTTP/1.1 200 OK")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
        sender.sendall(head + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
        assert sender.recv(2**16).startswith(b"HTTP/1.1 100 Continue")
        sender.sendall(body)
        assert sender.recv(2**16).startswith(b"HTTP/1.1 200 OK")


# --- as it does not come ----------------------------------------------------------------------------------------------

WHOLE = posted("/predict", as_json(a_body()))
SILENT, HALF_A_HEAD, HALF_A_BODY = b"", WHOLE[:20], WHOLE[:-20]


@pytest.mark.parametrize("sent", [SILENT, HALF_A_HEAD, HALF_A_BODY], ids=["silent", "half a head", "half a body"])
def test_many_half_sent_requests_do_not_delay_a_whole_one(server, sent):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(N_SLOW)]
    try:
        for connection in slow:
            connection.sendall(sent)
        with Connection(server.port) as asker:
            assert asker.ask(got("/health"))
        assert select.select(slow, [], [], 0)[0] == [], "it was answered while all of them were still waited for"
        slow[0].sendall(WHOLE[len(sent) :])
        slow[0].settimeout(30)
        assert slow[0].recv(2**16).startswith(b"HTTP/1.1 200 OK"), "whoever goes on is answered all the same"
    finally:
        for connection in slow:
            connection.close()


def test_a_half_sent_request_does_not_keep_a_worker_from_its_end(model_path):
    """It has ten minutes here to finish what is under way, and is gone much sooner."""
    more = {"LOG_LEVEL": "ERROR", "GUNICORN_CMD_ARGS": "--graceful-timeout 600"}
    with served("predict:app", MODEL_PATH=str(model_path), **more) as ending:
        (process,) = psutil.Process(ending.pid).children()
        with socket.create_connection(("127.0.0.1", ending.port)) as slow:
            slow.sendall(HALF_A_BODY)
            time.sleep(0.2)
            os.kill(ending.pid, signal.SIGTERM)
            process.wait(60)  # seconds


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_sender_that_drips_is_late_and_one_that_begins_anew_is_not(pair, monkeypatch):
    monkeypatch.setattr(worker, "MAX_WAIT", 0.1)
    arriving = BufferedRequest(pair[0])
    assert not arriving.receive()
    assert not arriving.has_begun()
    pair[1].sendall(b"GET / ")
    assert not arriving.receive()
    assert arriving.has_begun()
    time.sleep(0.15)
    assert arriving.is_late()
    pair[1].sendall(b"HTTP/1.1\r\n\r\n")
    assert arriving.receive()
    assert arriving.take_buffered() == b"GET / HTTP/1.1\r\n\r\n"
    pair[1].sendall(b"GET /")
    assert not arriving.receive()
    assert not arriving.is_late()


def test_a_thread_waits_for_a_long_body_while_it_comes_at_a_pace_and_no_longer(pair, monkeypatch):
    monkeypatch.setattr(worker, "MAX_WAIT", 0.1)
    monkeypatch.setattr(worker, "MIN_RATE", 1000)
    arriving = BufferedRequest(pair[0])
    pair[1].sendall(b"x" * ENOUGH)
    assert arriving.receive()
    pair[0].setblocking(True)  # as gunicorn does in a thread
    assert arriving.read(ENOUGH) == b"x" * ENOUGH
    due = arriving._due
    pair[1].sendall(b"y" * 300)
    assert arriving.chunk() == b"y" * 300
    assert arriving._due - due == pytest.approx(0.3), "300 bytes buy 0.3 seconds"
    with pytest.raises(ConnectionResetError) as hung_up:
        arriving.chunk()
    assert hung_up.value.errno == errno.ECONNRESET


def test_a_long_body_that_ends_half_way_is_answered_in_the_shape_of_errors(server):
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sender:
        sender.sendall(head % (4 * ENOUGH) + b" " * 2 * ENOUGH)
        sender.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sender.recv(2**16), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_goes_back_to_the_system_now_and_then_and_not_at_every_beat(monkeypatch):
    trimmed, now = [], [100.0]
    monkeypatch.setattr(memory, "_trim", trimmed.append)
    monkeypatch.setattr(worker, "monotonic", lambda: now[0])
    threads = worker.BufferedThreadWorker.__new__(worker.BufferedThreadWorker)  # gunicorn makes it with sockets
    threads.tmp, threads.alive = SimpleNamespace(notify=lambda: None), False
    for now[0] in (100.0, 101.0, 100.0 + worker.TRIM_EVERY, 101.0 + worker.TRIM_EVERY, 102.0 + worker.TRIM_EVERY):
        threads.notify()
    assert trimmed == [0, 0]
