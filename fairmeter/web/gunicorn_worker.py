"""gunicorn's threaded worker, where a request that has not arrived yet waits beside the threads.

In:  gunicorn's gthread worker, which gives each connection a thread and reads there for as long as its sender likes:
     eight that say nothing, or half of what they have to say, and a service with eight threads answers nobody.
Out: `BufferedThreadWorker`, named in gunicorn.conf.py. A thread takes a request when all of it is there, or its first ENOUGH bytes;
     what is missing then has to come at a pace. A sender that is slower is hung up on.
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

ENOUGH = 64 * 2**10  # bytes kept of a request that waits: a thousand connections hold 64 MB at most
PATIENCE = 20.0  # seconds in which a request of few bytes has to arrive, as Apache's mod_reqtimeout has it
TRIM_EVERY = 10.0  # seconds; it takes milliseconds
SLOWEST = 2000  # bytes a second of all that is longer: a tenth of what a phone sends by EDGE

END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[^\r]*chunked")
LAST_CHUNK = re.compile(rb"\r\n0+[^\r\n]*\r\n")
WAITS_FOR_US = re.compile(rb"(?i)\r\nexpect:[ \t]*100-continue")  # with its body, until it is told to go on


def is_there(held: bytes | bytearray) -> bool:
    """Whether a thread has enough of a request to begin with."""
    if len(held) >= ENOUGH:
        return True
    end = held.find(END_OF_HEAD)
    if end < 0:
        return False
    head, body_at = held[: end + 2], end + len(END_OF_HEAD)
    if WAITS_FOR_US.search(head):
        return True
    if CHUNKED.search(head):
        return LAST_CHUNK.search(held, end + 2) is not None
    length = LENGTH.search(head)
    return length is None or len(held) >= body_at + int(length[1])


class BufferedRequest(SocketUnreader):
    """What a connection sent of its next request, as gunicorn's parser reads it."""

    def __init__(self, sock) -> None:
        super().__init__(sock)
        self._since: float | None = None  # when the first bytes came of a request that is not there yet
        self._due: float | None = None  # when the rest has to be there of one that a thread reads

    def gather(self) -> bool:
        """Takes what has come, without waiting; whether a thread can go on: enough is there, or no more will come.

        Raises OSError where the connection broke.
        """
        held = bytearray(self.take_buffered())
        self.sock.setblocking(False)
        try:
            while not is_there(held):
                part = self.sock.recv(ENOUGH)
                if not part:
                    break
                held += part
        except BlockingIOError:
            if held and self._since is None:
                self._since = monotonic()
            return False
        finally:
            self.unread(bytes(held))
        self._since, self._due = None, monotonic() + PATIENCE
        return True

    def has_begun(self) -> bool:
        return self._since is not None

    def is_late(self) -> bool:
        return self._since is not None and monotonic() > self._since + PATIENCE

    def chunk(self, size_hint=None) -> bytes:
        """The next bytes, b"" at the end. Raises ConnectionResetError, which gunicorn forgives, where they are late."""
        given, now = self.sock.gettimeout(), monotonic()
        due = self._due or now + PATIENCE
        left = max(due - now, 1e-3)
        self.sock.settimeout(left if given is None else min(left, given))
        try:
            part = super().chunk(size_hint)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the request came too slowly") from None
        finally:
            self.sock.settimeout(given)
        self._due = due + len(part) / SLOWEST
        return part


class BufferedThreadWorker(gthread.ThreadWorker):
    """The poller holds connections that are silent, half-sent or kept alive; the threads hold requests.

    Memory that requests took for a moment goes back to the system now and then; the C library would keep it. A sign-in
    takes 18 MB, photos more. What grows all the same ends with the worker: after `max_requests` it asks the master for
    a reload, at a moment when no request is under way. gunicorn's own worker would end at once, and whoever comes would
    wait until the next one has started, or for ever where model.bin on the disk is damaged by then.
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
            self._asks_at = self.nr + self._every  # again, where a fresh one does not start
            self.log.info("%d requests answered: a fresh worker is to follow.", self.nr)
            os.kill(self.ppid, signal.SIGHUP)

    def _is_idle(self) -> bool:
        return self.nr_conns == len(self.keepalived_conns) + len(self.pending_conns)

    def handle(self, conn):
        if self.cfg.is_ssl:
            return super().handle(conn)
        try:
            arriving = _arriving(conn)
            can_go_on = arriving.gather()
        except OSError:
            return False
        if can_go_on or (arriving.has_begun() and not self.alive):  # a worker that stops waits for what has begun
            return super().handle(conn)
        return gthread._DEFER if self.alive and not arriving.is_late() else False

    def _cap_keepalive(self, deadline):
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # else a worker that stops would wait for them as long as it may
            conn.timeout = min(conn.timeout, deadline)


def _arriving(conn) -> BufferedRequest:
    conn.init()
    if not isinstance(conn.parser.unreader, BufferedRequest):
        conn.parser.unreader = BufferedRequest(conn.sock)
    return conn.parser.unreader
