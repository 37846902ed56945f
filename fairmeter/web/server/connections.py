"""Connections of a worker: how many there are, and how long each may be silent, half-sent or unread.

In:  an event loop whose servers are watched, and whether the worker goes on.
Out: each connection, which a request finds by `current_connection()`. The server's own protocol sees all events; this
     one only counts, and closes what holds a connection without going on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any

MAX_CONNECTIONS = 1000  # some 15 KB each; beyond, those that wait the longest for a request make way
LEFT_FREE = 100  # connections that then make way at once, so that the next ones find room
MAX_SILENCE = 75.0  # seconds before the first byte of a request, as gunicorn.conf.py's keepalive
MAX_WAIT = 20.0  # seconds for the head of a request, from its first byte
MAX_HEAD, MAX_LONG_HEAD = 2**16, 1.0  # bytes; seconds for a longer head: its body may have begun to arrive
MAX_AHEAD = 2**16  # bytes of the next requests that are read while one is computed
MAX_UNREAD = 30.0  # seconds in which a caller reads nothing of an answer
STOP_WAIT = 2.0  # seconds in which a connection may still ask a worker that stops; then it is closed
LOOK_EVERY = 0.25  # seconds
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BACKLOG = 2048  # connections that wait to be accepted, as gunicorn's own; asyncio would set 100

LOG = logging.getLogger(__name__)
_current: ContextVar["Connection | None"] = ContextVar("connection", default=None)


def current_connection() -> "Connection | None":
    """The connection of the current request; None under a server that is not watched."""
    return _current.get()


class Connection(asyncio.Protocol):
    """A connection, as the server's protocol sees it, with what its requests do."""

    def __init__(self, watch: "ConnectionWatch", served: asyncio.Protocol) -> None:
        self._watch, self._served = watch, served
        self.is_gone, self.n_active, self.n_asked, self.is_receiving = False, 0, 0, False
        self._is_streaming = False
        self._transport: asyncio.Transport | None = None
        self._now = watch.now
        self._since = watch.now()  # of its state: waiting, or a request
        self._began_at: float | None = None
        self._unread_since: float | None = None
        self._head_bytes = self._bytes_ahead = 0

    # --- requests ---

    def begin(self) -> None:
        """A request's head is there."""
        self.n_active += 1
        self.n_asked += 1
        self.is_receiving, self._began_at, self._head_bytes, self._since = True, None, 0, self._now()

    def begin_stream(self) -> None:
        """A thread reads the body as it arrives: none of it is ahead of its request, however much it is."""
        self.is_receiving, self._is_streaming = False, True

    def end_stream(self) -> None:
        """All of that body is there."""
        self._is_streaming = False

    def end(self) -> None:
        """A request is answered."""
        self.n_active -= 1
        self.is_receiving, self._is_streaming, self._since = False, False, self._now()
        if self._bytes_ahead > MAX_AHEAD:
            self._transport.resume_reading()
        self._bytes_ahead = 0

    @property
    def announces_end(self) -> bool:
        """Whether the next answer has to say that the connection closes."""
        return self._watch.is_leaving

    def abort(self) -> None:
        """Close at once, without what was not read."""
        self._transport.abort()

    # --- events ---

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        context = copy_context()  # of the server's tasks for this connection
        context.run(_current.set, self)
        context.run(self._served.connection_made, transport)
        self._watch.add(self)

    def data_received(self, data: bytes) -> None:
        if not self.n_active:
            self._began_at = self._now() if self._began_at is None else self._began_at
            self._head_bytes += len(data)
        elif not (self.is_receiving or self._is_streaming):
            self._bytes_ahead += len(data)
            if self._bytes_ahead > MAX_AHEAD:
                self._transport.pause_reading()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Give the bytes to the server; where its parser breaks on them, that is the caller's bad request."""
        try:
            self._served.data_received(data)
        except Exception as error:
            LOG.warning("A request could not be parsed: %s", type(error).__name__)
            if not self.n_active:
                self._transport.write(BAD_REQUEST)
            self._transport.close()

    def eof_received(self) -> bool | None:
        return self._served.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_gone = True
        self._watch.remove(self)
        self._served.connection_lost(error)

    def pause_writing(self) -> None:
        self._unread_since = self._now()
        self._served.pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        self._served.resume_writing()

    # --- judged ---

    def makes_way(self) -> bool:
        """Whether it may be closed for another one: nothing is computed for it."""
        return not self.n_active or self.is_receiving

    def close_if_stuck(self, now: float, stopping_since: float | None) -> None:
        """Close it where it holds a connection and does not go on."""
        if self._is_unread(now) or self._is_late(now):
            self._transport.abort()
        elif self._is_idle_too_long(now, stopping_since):
            self._transport.close()

    def _is_unread(self, now: float) -> bool:
        if self._transport.is_closing():  # what is left is still sent
            self._unread_since = now if self._unread_since is None else self._unread_since
        return self._unread_since is not None and now > self._unread_since + MAX_UNREAD

    def _is_late(self, now: float) -> bool:
        if self.n_active or self._began_at is None:
            return False
        seconds = now - self._began_at
        return seconds > MAX_WAIT or (seconds > MAX_LONG_HEAD and self._head_bytes > MAX_HEAD)

    def _is_idle_too_long(self, now: float, stopping_since: float | None) -> bool:
        if self.n_active or self._began_at is not None or self._transport.is_closing():
            return False
        if stopping_since is not None:
            return now > max(self._since, stopping_since) + STOP_WAIT
        return not self.n_asked and now > self._since + MAX_SILENCE


class ConnectionWatch:
    """All connections of an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, is_stopping: Callable[[], bool], most: int) -> None:
        self._loop, self._is_stopping, self._most = loop, is_stopping, most
        self._stopping_since: float | None = None
        self.is_leaving = False  # from then on, answers announce that their connection closes
        self._connections: dict[Connection, None] = {}  # in the order in which they came
        self.now = loop.time

    def start(self) -> None:
        """Watch the servers that the loop makes from now on."""
        self._loop.create_server = _watched(self._loop.create_server, lambda served: Connection(self, served))
        self._look()

    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not any(connection.n_active for connection in self._connections)

    def add(self, connection: Connection) -> None:
        """Count a new connection; where there are too many, some make way."""
        self._connections[connection] = None
        if len(self._connections) > self._most:
            for each in self._least_useful()[:LEFT_FREE] or [connection]:
                each.abort()

    def remove(self, connection: Connection) -> None:
        """Count a connection no longer."""
        self._connections.pop(connection, None)

    def _least_useful(self) -> list[Connection]:
        """Those that may make way: first whoever never asked, each group in the order in which it came."""
        found = [each for each in list(self._connections)[:-1] if each.makes_way()]
        return sorted(found, key=lambda each: bool(each.n_asked))

    def _look(self) -> None:
        self._loop.call_later(LOOK_EVERY, self._look)
        now = self.now()
        if self._stopping_since is None and self._is_stopping():
            self._stopping_since = now
        for connection in list(self._connections):
            connection.close_if_stuck(now, self._stopping_since)


def _watched(
    create_server: Callable[..., Awaitable[Any]], watched: Callable[[asyncio.Protocol], Connection]
) -> Callable[..., Awaitable[Any]]:
    """The loop's method that makes a server, with each protocol watched."""

    def create(protocol: Callable[[], asyncio.Protocol], *address: Any, **options: Any) -> Awaitable[Any]:
        options.setdefault("backlog", BACKLOG)
        return create_server(lambda: watched(protocol()), *address, **options)

    return create
