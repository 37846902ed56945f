"""The front: what comes in whole is computed, the rest is answered or closed without a thread that waits for it."""

import asyncio
import errno
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fairmeter.core.caller import check_caller
from fairmeter.web.server import bodies, front, places
from fairmeter.web.server.front import Front
from fairmeter.web.server.places import PlaceSize
from fairmeter.web.server.policies import BATCHES, SCORING, UPLOADS, RoutePolicy
from tests.builders.asgi import App, Request

FEW = {name: PlaceSize(1, 1) for name in places.SIZES}


def run(coroutine):
    """In a thread of its own: this one may have the event loop of a browser."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


def answered(request, app):
    return run(request.of(Front(app)))


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_in_parts_is_computed_as_a_whole_with_its_length():
    app = App()
    request = answered(Request("POST", parts=(b"ab", b"", b"cd")), app)
    assert request.body == b"abcd"
    assert app.environs[0]["CONTENT_LENGTH"] == "4"
    assert "HTTP_TRANSFER_ENCODING" not in app.environs[0]


def test_a_large_body_is_received_in_a_file_and_is_the_same(monkeypatch):
    monkeypatch.setattr(bodies, "IN_MEMORY", 10)
    parts = [bytes([i]) * 7 for i in range(9)]
    assert answered(Request("POST", parts=parts), App()).body == b"".join(parts)


@pytest.mark.parametrize("said", [(), [(b"content-length", b"12")]], ids=["in chunks", "with a length"])
def test_a_body_over_the_limit_is_refused_and_the_rest_of_it_is_read(said):
    app = App(policy=RoutePolicy(SCORING, max_bytes=8))
    request = answered(Request("POST", parts=(b"abcd", b"efgh", b"ijkl"), headers=said), app)
    assert request.status == 413
    assert request.n_received == 3, "a caller that is cut off while it sends never reads why"


def test_a_body_for_which_the_disk_has_no_room_comes_again_later(monkeypatch):
    class FullDisk(io.BytesIO):
        def write(self, _part):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bodies, "SpooledTemporaryFile", lambda *_, **__: FullDisk())
    app = App()
    answered(Request("POST", parts=(b"ab", b"cd")), app)
    assert [environ[front.REFUSAL] for environ in app.environs] == [front.BUSY]


def test_whoever_asks_before_it_sends_is_refused_without_its_body():
    app = App(policy=RoutePolicy(SCORING, max_bytes=8))
    headers = [(b"content-length", b"12"), (b"expect", b"100-continue")]
    request = answered(Request("POST", parts=(b"abcd", b"efgh", b"ijkl"), headers=headers), app)
    assert (request.status, request.n_received) == (413, 0)


def test_a_body_that_is_late_is_refused_and_one_that_breaks_off_is_not_answered(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_WAIT", 0.05)
    assert answered(Request("POST", parts=(b"ab",), ends=False), App()).status == 408
    app = App()
    assert answered(Request("POST", parts=(b"ab",), ends=False, stays=False), app).sent == []
    assert app.environs == []


def test_bytes_buy_time(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_WAIT", 0.05)
    monkeypatch.setattr(bodies, "MIN_RATE", 100)

    class Slow(Request):
        async def receive(self):
            await asyncio.sleep(0.03)
            return await super().receive()

    parts = [b"x" * 10] * 8  # each buys a tenth of a second
    assert answered(Slow("POST", parts=parts), App()).body == b"".join(parts)


def test_the_slowest_of_many_bodies_makes_way_for_the_next(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_HELD", 20)

    async def both():
        front = Front(App())
        slow = asyncio.create_task(Request("POST", parts=(b"x" * 15,), ends=False).of(front))
        other = asyncio.create_task(Request("POST", parts=(b"y" * 15,), ends=False).of(front))
        await asyncio.sleep(0.02)
        swift = await Request("POST", parts=(b"z" * 9, b"z")).of(front)
        assert (await slow).status == 408
        assert not other.done()
        other.cancel()
        return swift

    assert run(both()).status == 200


def test_a_route_that_reads_while_its_body_arrives_gets_all_of_it():
    app = App(policy=RoutePolicy(UPLOADS, is_streamed=True))
    assert answered(Request("POST", parts=(b"ab", b"cd", b"ef")), app).body == b"abcdef"


def test_a_streamed_body_that_breaks_off_ends_early():
    app = App(policy=RoutePolicy(UPLOADS, is_streamed=True))
    assert answered(Request("POST", parts=(b"ab",), ends=False, stays=False), app).body == b"ab"


# --- places -----------------------------------------------------------------------------------------------------------


def test_beyond_those_that_wait_everybody_is_told_at_once_and_other_places_go_on(monkeypatch):
    monkeypatch.setattr(places, "SIZES", FEW)
    go_on = threading.Event()

    class Heavy(App):
        def policy_of(self, _method, path):
            return RoutePolicy(BATCHES if path == "/batch" else SCORING)

    def compute(environ):
        return [str(environ["PATH_INFO"] == "/predict" or go_on.wait(10)).encode()]

    async def ask():
        front = Front(Heavy(compute))
        heavy = [asyncio.create_task(Request(path="/batch").of(front)) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused, other = await Request(path="/batch").of(front), await Request(path="/predict").of(front)
        go_on.set()
        return [refused, other, *await asyncio.gather(*heavy)]

    assert [request.status for request in run(ask())] == [503, 200, 200, 200]


def test_what_takes_long_is_computed_elsewhere():
    policy = RoutePolicy(SCORING, 100, 10, BATCHES, heavy_queries=(("format", ("", "json")),))
    assert [policy.place_of("", n) for n in (0, 10, 11)] == [SCORING, SCORING, BATCHES]
    asked = ["format=json", "format=", "a=1", "format=pdf", "format=json&format=csv"]
    assert [policy.place_of(query, 0) for query in asked] == [SCORING, SCORING, SCORING, BATCHES, BATCHES]


def test_work_stops_when_its_caller_hangs_up():
    app, stopped = App(), threading.Event()

    def compute(_environ):
        try:
            while True:
                check_caller()
        finally:
            stopped.set()

    app._answer = compute

    async def ask():
        request = Request(stays=True)
        answering = asyncio.create_task(request.of(Front(app)))
        await asyncio.sleep(0.05)
        request.stays = False
        await answering
        return request

    assert run(ask()).sent == []
    assert stopped.is_set()


# --- answers ----------------------------------------------------------------------------------------------------------


class Parts:
    """An answer in parts that notes its end."""

    def __init__(self, parts):
        self._parts, self.is_closed = iter(parts), False

    def __iter__(self):
        return self._parts

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize("parts", [[], [b"a"], [b"ab", b"", b"c"], [b"x" * 200_000], [b"y" * 70_000] * 3])
def test_an_answer_is_sent_whole_in_slices_and_closed(parts):
    answer = Parts(parts)
    request = answered(Request(), App(lambda _environ: answer))
    assert request.body == b"".join(parts)
    assert max(len(message["body"]) for message in request.sent[1:]) <= 2**16
    assert [message["more_body"] for message in request.sent[1:]] == [True] * (len(request.sent) - 2) + [False]
    assert answer.is_closed


@pytest.mark.parametrize("leaves", [False, True])
def test_a_worker_that_leaves_announces_that_its_connections_close(monkeypatch, leaves):
    monkeypatch.setattr(front.Caller, "announces_end", leaves)
    started = answered(Request("GET"), App()).sent[0]
    assert ((b"connection", b"close") in started["headers"]) is leaves


def test_an_answer_that_is_not_read_to_its_end_is_closed():
    answer = Parts(iter(lambda: b"x" * 2**16, b""))

    async def ask():
        request = Request(stays=True)
        answering = asyncio.create_task(request.of(Front(App(lambda _environ: answer))))
        await asyncio.sleep(0.05)
        request.stays = False
        await answering

    run(asyncio.wait_for(ask(), 20))
    assert answer.is_closed


def test_the_environment_is_that_of_a_wsgi_server():
    app = App()
    headers = [(b"host", b"h"), (b"content-type", b"text/csv"), (b"x-a", b"1"), (b"x-a", b"\xe9")]
    answered(Request("GET", "/a%2Fb/%C3%A9", query=b"x=%20", headers=headers), app)
    environ = app.environs[0]
    assert environ["PATH_INFO"] == "/a/b/Ã©"
    assert (environ["QUERY_STRING"], environ["CONTENT_TYPE"], environ["HTTP_X_A"]) == ("x=%20", "text/csv", "1,é")
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"], environ["HTTP_HOST"]) == ("10.0.0.9", "9696", "h")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("http://host/ready", "/ready"),
        ("http://host", "/"),
        ("http://[::1/ready", "/ready"),
        ("http://[/", "/"),
        ("http://a]/x//y", "/x//y"),
        ("*", "*"),
        ("host:80", "host:80"),
    ],
)
def test_an_address_with_its_host_is_that_path_whatever_the_host_is(address, path):
    app = App()
    answered(Request("GET", address), app)
    assert app.environs[0]["PATH_INFO"] == path


def test_websockets_are_closed_and_the_lifespan_is_lived():
    async def live():
        sent, received = [], iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive():
            return {"type": next(received)}

        async def send(message):
            sent.append(message["type"])

        await Front(App())({"type": "websocket"}, receive, send)
        await Front(App())({"type": "lifespan"}, receive, send)
        return sent

    assert run(live()) == ["websocket.close", "lifespan.startup.complete", "lifespan.shutdown.complete"]
