"""Threaded gunicorn worker that occupies a thread only once the request has been received.

In:  gunicorn's gthread worker, which gives each connection a thread and reads there for as long as the sender takes.
     Eight silent or half-sent connections then stop a service with eight threads.
Out: `BufferedThreadWorker`, named in gunicorn.conf.py. A thread starts when the whole request or its first
     ENOUGH bytes have been received. The rest must then arrive at a minimum rate, or the connection is closed.
"""

import errno
import os
import re
import signal
import sys
from time import monotonic

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import gthread

from fairmeter.core import memory

ENOUGH = 64 * 2**10  # bytes buffered of a waiting request: a thousand connections hold 64 MB at most
MAX_WAIT = 20.0  # seconds for a short request to arrive, as in Apache's mod_reqtimeout
TRIM_EVERY = 10.0  # seconds; trimming takes milliseconds
MIN_RATE = 2000  # bytes a second of longer requests: a tenth of a phone on EDGE

END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[^\r]*chunked")
LAST_CHUNK = re.compile(rb"\r\n0+[^\r\n]*\r\n")
EXPECTS_CONTINUE = re.compile(rb"(?i)\r\nexpect:[ \t]*100-continue")  # the body follows our interim answer


def is_received(buffer: bytes | bytearray) -> bool:
    """Whether a thread can start with these bytes of a request."""
    if len(buffer) >= ENOUGH:
        return True
    end = buffer.find(END_OF_HEAD)
    if end < 0:
        return False
    head, body_at = buffer[: end + 2], end + len(END_OF_HEAD)
    if EXPECTS_CONTINUE.search(head):
        return True
    if CHUNKED.search(head):
        return LAST_CHUNK.search(buffer, end + 2) is not None
    length = LENGTH.search(head)
    return length is None or len(buffer) >= body_at + int(length[1])


class BufferedRequest(SocketUnreader):
    """Buffers the next request of a connection for gunicorn's parser."""

    def __init__(self, sock) -> None:
        super().__init__(sock)
        self._since: float | None = None  # arrival of the first bytes of an incomplete request
        self._due: float | None = None  # deadline for the rest of a request that a thread reads

    def receive(self) -> bool:
        """Buffer the available bytes without waiting; whether a thread can start, or the sender has ended.

        Raises OSError where the connection broke.
        """
        buffer = bytearray(self.take_buffered())
        self.sock.setblocking(False)
        try:
            while not is_received(buffer):
                part = self.sock.recv(ENOUGH)
                if not part:
                    break
                buffer += part
        except BlockingIOError:
            if buffer and self._since is None:
                self._since = monotonic()
            return False
        finally:
            self.unread(bytes(buffer))
        self._since, self._due = None, monotonic() + MAX_WAIT
        return True

    def has_begun(self) -> bool:
        return self._since is not None

    def is_late(self) -> bool:
        return self._since is not None and monotonic() > self._since + MAX_WAIT

    def chunk(self, size_hint=None) -> bytes:
        """The next bytes, b"" at the end. Raises ConnectionResetError, which gunicorn ignores, where they are late."""
        given, now = self.sock.gettimeout(), monotonic()
        due = self._due or now + MAX_WAIT
        left = max(due - now, 1e-3)
        self.sock.settimeout(left if given is None else min(left, given))
        try:
            part = super().chunk(size_hint)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the request arrived too slowly") from None
        finally:
            self.sock.settimeout(given)
        self._due = due + len(part) / MIN_RATE
        return part


class BufferedThreadWorker(gthread.ThreadWorker):
    """The poller holds connections that are silent, half-sent or kept alive; the threads hold requests.

    Free memory is returned to the system every few seconds, as the C library would keep it: a sign-in takes 18 MB,
    photos more. After `max_requests` the worker asks the master for a reload, at a moment without requests. gunicorn's
    own worker would end at once: callers would wait for the next one, for ever where model.bin is damaged by then.
    """

    _trimmed_at = 0.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._every, self.max_requests = self.max_requests, sys.maxsize
        self._asks_at = self._every  # requests

    def notify(self):
        super().notify()
        if monotonic() > self._trimmed_at + TRIM_EVERY:
            self._trimmed_at = monotonic()
            memory.release_free_memory()
        if self.alive and self.nr >= self._asks_at and self._is_idle():
            self._asks_at = self.nr + self._every  # asked again where the new worker does not start
            self.log.info("%d requests answered: asking for a new worker.", self.nr)
            os.kill(self.ppid, signal.SIGHUP)

    def _is_idle(self) -> bool:
        return self.nr_conns == len(self.keepalived_conns) + len(self.pending_conns)

    def handle(self, conn):
        if self.cfg.is_ssl:
            return super().handle(conn)
        try:
            buffered = _buffered(conn)
            can_start = buffered.receive()
        except OSError:
            return False
        if can_start or (buffered.has_begun() and not self.alive):  # a stopping worker finishes what has begun
            return super().handle(conn)
        return gthread._DEFER if self.alive and not buffered.is_late() else False

    def _cap_keepalive(self, deadline):
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # otherwise a stopping worker would wait for them until its timeout
            conn.timeout = min(conn.timeout, deadline)


def _buffered(conn) -> BufferedRequest:
    conn.init()
    if not isinstance(conn.parser.unreader, BufferedRequest):
        conn.parser.unreader = BufferedRequest(conn.sock)
    return conn.parser.unreader
