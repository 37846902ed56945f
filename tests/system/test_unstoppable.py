"""Nobody stops the service by not sending, not reading, hanging up, or sending what takes long or much."""

import json
import os
import select
import signal
import socket
import time

import psutil
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import Connection, got, posted, served
from benchmarks.load.attack import ATTACKS, MAX_RATIO, MAX_SECONDS, answers_for, attacked_service, beside
from fairmeter.models import model_file
from tests.builders.examples import fewer
from tests.builders.service import a_body
from tests.builders.waiting import wait_until

N_SLOW = 50  # connections: more than there are threads
BUSY_MACHINE = 0.02  # seconds that a score may take where other tests run beside it
SMALL_HOST = 480  # MB of the 512 of a small one
HEAD = b"POST /predict?reasons=0 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def model_path(small_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.bin"
    model_file.save(small_model, path)
    return path


@pytest.fixture(scope="module")
def server(model_path, tmp_path_factory):
    with attacked_service(tmp_path_factory.mktemp("attacked"), MODEL_PATH=str(model_path)) as started:
        yield started


@pytest.fixture(scope="module")
def quiet(server):
    return answers_for(server, 1.0)


def received(connection, enough=b"\r\n\r\n"):
    connection.settimeout(30)
    answer = b""
    while enough not in answer and (part := connection.recv(2**16)):
        answer += part
    return answer


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


# --- attacks ----------------------------------------------------------------------------------------------------------


def check_held(attack, server, quiet, seconds):
    answers = beside(attack, server, seconds, settled=0.5)
    assert answers.p99("health") <= MAX_SECONDS
    assert answers.p99("ready") <= MAX_SECONDS
    assert answers.median("predict") <= MAX_RATIO * max(quiet.median("predict"), BUSY_MACHINE)
    assert answers.largest_mb <= SMALL_HOST


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_health_and_scores_are_answered_beside_an_attack(attack, server, quiet):
    check_held(attack, server, quiet, 1.0)


@pytest.mark.nightly
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_health_and_scores_are_answered_beside_a_long_attack(attack, server, quiet):
    check_held(attack, server, quiet, 40.0)


def test_the_service_is_as_before_when_the_attacks_are_over(server):
    wait_until(lambda: len(psutil.Process(server.pid).children()[0].net_connections("tcp")) < 20)
    with Connection(server.port) as asker:
        assert json.loads(asker.ask(posted("/batch", as_json([a_body("c-1")]))))["n_results"] == 1


def test_batches_beyond_those_that_wait_are_refused_at_once_with_the_time_to_come_again(server):
    request = posted("/batch?reasons=1", as_json([a_body(f"c-{i}") for i in range(1000)]))
    waiting = [connected(server) for _ in range(6)]
    try:
        for connection in waiting:
            connection.sendall(request)
        answered = select.select(waiting, [], [], 10)[0]
        head = received(answered[0])
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5\r\n" in head
        assert json.loads(head.partition(b"\r\n\r\n")[2])["error"]["code"] == "busy"
        with Connection(server.port) as asker:
            small = asker.ask(posted("/batch", as_json([a_body("c-1")])))
            assert json.loads(small)["n_results"] == 1, "a small batch does not wait for the large ones"
            assert select.select(waiting[:1], [], [], 0)[0] == []
    finally:
        for connection in waiting:
            connection.close()
    wait_until(lambda: is_taken(server), 30)


def is_taken(server):
    """Whether a batch is computed again: the others were given up with their callers."""
    request = posted("/batch", as_json([a_body(f"c-{i}") for i in range(100)]))
    with connected(server) as connection:
        connection.sendall(request)
        return received(connection).startswith(b"HTTP/1.1 200 ")


# --- requests as they come --------------------------------------------------------------------------------------------


@fewer(4)  # an example sends two requests, piece by piece
@given(cuts=st.lists(st.integers(1, 600), max_size=6))
def test_a_request_in_pieces_is_answered_as_one_at_once(server, cuts):
    one, other = (posted("/predict?reasons=0", as_json(a_body(f"c-{i}"))) for i in range(2))
    together = one + other  # the second one begins in the same piece as the first one ends
    with connected(server) as sender:
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
    with connected(server) as sender:
        sender.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.05)
        sender.sendall(b"%x\r\n%s\r\n" % (len(body), body))
        time.sleep(0.05)
        sender.sendall(b"0\r\n\r\n")
        assert received(sender).startswith(b"HTTP/1.1 200 OK")
    with connected(server) as sender:
        sender.sendall(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
        assert received(sender) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sender.sendall(body)
        assert received(sender).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("chunk", [b"xyz\r\n{}\r\n", b"-2\r\n{}\r\n", b"2\r\n{}zz", b"0x2\r\n{}\r\n"])
def test_a_malformed_chunk_is_a_bad_request(server, chunk):
    with connected(server) as sender:
        sender.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        assert received(sender).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[/nowhere HTTP/1.1\r\nHost: [\r\n\r\n",
        got("/health").replace(b"\r\n\r\n", b"\r\nX: a\0b\r\n\r\n"),
    ],
    ids=["a length of 5,000 digits", "two lengths", "a length and chunks", "no host", "a NUL"],
)
def test_a_head_that_cannot_be_meant_is_the_callers_fault(server, request_):
    with connected(server) as sender:
        sender.sendall(request_)
        assert received(sender).startswith(b"HTTP/1.1 4"), "neither a 5xx nor silence"


def test_a_large_upload_is_taken_while_it_arrives(server):
    rows = b"client_id,read_at,consumption_kwh\n" + b"c-1,2026-01-01,1.5\n" * 200_000
    asked_at = time.monotonic()
    answer = requests.post(
        f"http://127.0.0.1:{server.port}/import", files={"files": ("readings.csv", rows)}, timeout=30
    )
    assert answer.status_code == 201
    assert answer.json()["files"] == [{"name": "readings.csv", "n_bytes": len(rows)}]
    assert time.monotonic() - asked_at < 5  # seconds
    requests.delete(f"http://127.0.0.1:{server.port}/import/{answer.json()['import_id']}", timeout=30)


def test_a_head_is_answered_without_its_body_and_the_connection_goes_on(server):
    with connected(server) as asker:
        asker.sendall(got("/health").replace(b"GET", b"HEAD"))
        head = received(asker)
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert head.endswith(b"\r\n\r\n")
        asker.sendall(got("/health"))
        assert received(asker, b"}").endswith(b'{"status":"alive"}')


def test_a_body_that_is_too_large_is_refused_from_its_length_and_the_caller_reads_why(server):
    with connected(server) as sender:
        sender.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % 2**25 + b" " * 2**25)
        answer = received(sender)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_large"
        sender.sendall(got("/health"))
        assert received(sender).startswith(b"HTTP/1.1 200 OK"), "the connection is as good as before"


# --- requests that do not come ----------------------------------------------------------------------------------------

WHOLE = posted("/predict", as_json(a_body()))
SILENT, HALF_A_HEAD, HALF_A_BODY = b"", WHOLE[:20], WHOLE[:-20]


@pytest.mark.parametrize("sent", [SILENT, HALF_A_HEAD, HALF_A_BODY], ids=["silent", "half a head", "half a body"])
def test_many_half_sent_requests_do_not_delay_a_whole_one(server, sent):
    slow = [connected(server) for _ in range(N_SLOW)]
    try:
        for connection in slow:
            connection.sendall(sent)
        with Connection(server.port) as asker:
            assert asker.ask(got("/health"))
        assert select.select(slow, [], [], 0)[0] == [], "it was answered while all of them were still waited for"
        slow[0].sendall(WHOLE[len(sent) :])
        assert received(slow[0]).startswith(b"HTTP/1.1 200 OK"), "whoever goes on is answered all the same"
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.nightly
def test_a_half_sent_request_does_not_keep_a_worker_from_its_end(model_path):
    """It has ten minutes here to finish what is under way, and is gone much sooner."""
    more = {"LOG_LEVEL": "ERROR", "GUNICORN_CMD_ARGS": "--graceful-timeout 600"}
    with served("predict:app", MODEL_PATH=str(model_path), **more) as ending:
        (process,) = psutil.Process(ending.pid).children()
        with connected(ending) as slow, connected(ending) as half_a_head:
            slow.sendall(HALF_A_BODY)
            half_a_head.sendall(HALF_A_HEAD)
            time.sleep(0.2)
            os.kill(ending.pid, signal.SIGTERM)
            process.wait(60)  # seconds
