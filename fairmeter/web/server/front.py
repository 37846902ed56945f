"""ASGI in front of the WSGI app: bodies come in and answers go out on the loop, a thread has only what it can compute.

In:  requests of an ASGI server; the app with its policies.
Out: the app's own answers. The app also answers what is refused before it has the request (too large, too slow, no
     room), from REFUSAL in its environment. So a refusal has the shape and the counts of all answers.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any, NamedTuple, Protocol

from werkzeug.exceptions import RequestEntityTooLarge

from fairmeter.core.caller import CallerGone, check_caller, waiting_caller
from fairmeter.scoring.problems import Problem
from fairmeter.web.server import policies
from fairmeter.web.server.answers import AnswerParts, BegunAnswer, slices
from fairmeter.web.server.bodies import (
    ArrivingBody,
    BodyBrokenOff,
    BodyTooLarge,
    BodyTooSlow,
    Intake,
    NoRoomForBody,
    Receive,
    discard,
)
from fairmeter.web.server.connections import current_connection
from fairmeter.web.server.environ import environ_of, route_path
from fairmeter.web.server.places import Place, make_places
from fairmeter.web.server.policies import RoutePolicy

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

REFUSAL = "fairmeter.refusal"  # in the environment: the error to answer with
RETRY_AFTER = {"Retry-After": "5"}  # seconds
CLOSES = [(b"connection", b"close")]
TOO_LARGE = RequestEntityTooLarge()
TOO_SLOW = Problem(408, "too_slow", "The body arrived too slowly; send it again, in smaller parts.")
BUSY = Problem(503, "busy", "As much work waits as may; try again in a few seconds.", headers=RETRY_AFTER)
ERRORS = {BodyTooLarge: TOO_LARGE, BodyTooSlow: TOO_SLOW, NoRoomForBody: BUSY}


class WatchedApp(Protocol):
    """The WSGI app, as far as the front uses it."""

    wsgi_app: Callable[..., Any]

    def policy_of(self, method: str, path: str) -> RoutePolicy: ...


class Caller:
    """The caller of a request, where the server's connections are not watched."""

    is_gone, is_receiving, announces_end = False, True, False

    def begin(self) -> None:
        """Its request is there."""

    def begin_stream(self) -> None:
        """A thread reads its body as it arrives."""

    def end_stream(self) -> None:
        """All of that body is there."""

    def end(self) -> None:
        """Its request is answered."""


class Exchange(NamedTuple):
    """One request with the caller that waits for its answer."""

    scope: Scope
    receive: Receive
    send: Send
    caller: Any
    context: Context


class Front:
    """The app for ASGI servers."""

    def __init__(self, app: WatchedApp) -> None:
        self._app, self._intake, self._places = app, Intake(), make_places()
        self._is_closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._exchange(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Give up what is under way, as its time to finish is over."""
        self._is_closed = True
        for place in self._places.values():
            place.close()

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = current_connection() or Caller()
        with _request_of(caller), waiting_caller(lambda: caller.is_gone or self._is_closed):
            exchange = Exchange(scope, receive, send, caller, copy_context())
            with suppress(BodyBrokenOff, CallerGone):  # nobody waits for an answer
                await self._handle(exchange)

    async def _handle(self, exchange: Exchange) -> None:
        scope = exchange.scope
        policy = self._app.policy_of(scope["method"], route_path(scope))
        length, query = _length_of(scope["headers"]), scope["query_string"].decode("latin-1")
        if length is not None and length > policy.max_bytes:
            await self._refuse(exchange, TOO_LARGE)
        elif not self._places[policy.place_of(query, length or 0)].has_room():
            await self._refuse(exchange, BUSY)
        elif policy.is_streamed:
            await self._stream(exchange, policy, length)
        else:
            await self._receive(exchange, policy, query)

    async def _receive(self, exchange: Exchange, policy: RoutePolicy, query: str) -> None:
        """Receive the body, then compute the answer."""
        try:
            body, n_bytes = await self._intake.receive(exchange.receive, policy.max_bytes)
        except (BodyTooLarge, BodyTooSlow, NoRoomForBody) as error:
            await self._refuse(exchange, ERRORS[type(error)], is_whole=getattr(error, "is_whole", False))
            return
        exchange.caller.is_receiving = False
        place = self._places[policy.place_of(query, n_bytes)]
        with body:
            if place.has_room():
                with _noticing_end(exchange):
                    await self._answer(exchange, place, environ_of(exchange.scope, body, n_bytes))
            else:
                await self._refuse(exchange, BUSY, is_whole=True)

    async def _stream(self, exchange: Exchange, policy: RoutePolicy, length: int | None) -> None:
        """Compute the answer while the body arrives."""
        exchange.caller.begin_stream()
        body = ArrivingBody(exchange.receive, asyncio.get_running_loop(), exchange.caller.end_stream)
        await self._answer(
            exchange, self._places[policy.place], environ_of(exchange.scope, io.BufferedReader(body), length)
        )

    async def _refuse(self, exchange: Exchange, error: Exception, is_whole: bool = False) -> None:
        """Answer with an error, then read what the caller still sends, unless it does so too slowly.

        is_whole: the whole body is read already.
        """
        environ = environ_of(exchange.scope, io.BytesIO(), 0) | {REFUSAL: error}
        await self._answer(exchange, self._places[policies.REFUSALS], environ)
        if not is_whole and error is not TOO_SLOW and not _expects_continue(exchange.scope["headers"]):
            await discard(exchange.receive)

    async def _answer(self, exchange: Exchange, place: Place, environ: dict[str, Any]) -> None:
        """Compute an answer and send it; of a long one the next part is made when the one before is read."""
        answer = await place.run(partial(exchange.context.run, self._begin, environ, exchange.caller))
        headers = [*answer.headers, *(CLOSES if exchange.caller.announces_end else ())]
        await exchange.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self._send_parts(exchange, place, answer)

    async def _send_parts(self, exchange: Exchange, place: Place, answer: BegunAnswer) -> None:
        try:
            part, has_more = answer.first, answer.rest is not None
            while True:
                for slice_, is_last in slices(part):
                    _check(exchange.caller)
                    await exchange.send(
                        {"type": "http.response.body", "body": slice_, "more_body": has_more or not is_last}
                    )
                if not has_more:
                    return
                part, has_more = await place.run(partial(exchange.context.run, answer.rest.next))
        finally:
            if answer.rest is not None and not answer.rest.is_closed:
                await place.run(partial(exchange.context.run, answer.rest.close))

    def _begin(self, environ: dict[str, Any], caller: Any) -> BegunAnswer:
        """The answer of the app with its first part, in a thread."""
        check_caller()
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], None]:
            started[:] = int(status[:3]), headers
            return _no_writing

        parts = AnswerParts(self._app.wsgi_app(environ, start_response))
        first, has_more = parts.next()
        if caller.is_gone:
            parts.close()
            raise CallerGone
        status, headers = started
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return BegunAnswer(status, encoded, first, parts if has_more else None)


def _no_writing(_part: bytes) -> None:
    raise NotImplementedError("WSGI's write() is not served; return the parts instead.")


@contextmanager
def _request_of(caller: Any) -> Iterator[None]:
    caller.begin()
    try:
        yield
    finally:
        caller.end()


def _check(caller: Any) -> None:
    """Raises CallerGone."""
    if caller.is_gone:
        raise CallerGone


@contextmanager
def _noticing_end(exchange: Exchange) -> Iterator[None]:
    """Under a server whose connections are not watched, ask it whether the caller hangs up."""
    noticing = None if current_connection() else asyncio.ensure_future(_notice_end(exchange))
    try:
        yield
    finally:
        if noticing is not None:
            noticing.cancel()


async def _notice_end(exchange: Exchange) -> None:
    """Mark the caller as gone once the server says so."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
    exchange.caller.is_gone = True


def _length_of(headers: list[tuple[bytes, bytes]]) -> int | None:
    """The stated length of a body; None of one that comes in chunks."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def _expects_continue(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the caller sends its body only when it is asked to."""
    return any(name == b"expect" for name, _ in headers)
