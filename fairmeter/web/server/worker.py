"""What a gunicorn worker does beside answering: it watches its connections, returns memory, asks for a successor.

In:  gunicorn's `asgi` worker, before it begins to serve (post_worker_init in gunicorn.conf.py).
Out: nothing; the worker's loop does it from then on.
"""

import os
import signal
import sys
from functools import partial
from typing import Any

from fairmeter.core import memory
from fairmeter.web.server.connections import MAX_CONNECTIONS, ConnectionWatch

TRIM_EVERY = 10.0  # seconds; trimming takes milliseconds
ASK_EVERY = 0.5  # seconds between looks whether enough requests were answered
LEAVE_WAIT = 1.0  # seconds before a worker stops, in which its answers announce that their connection closes
SPARE_FILES = 200  # file descriptors for everything but connections


def accompany(worker: Any) -> None:
    """Do all of it for this worker."""
    watch = ConnectionWatch(worker.loop, lambda: not worker.alive, _most_connections())
    watch.start()
    worker.loop.add_signal_handler(signal.SIGTERM, partial(_leave, worker, watch))
    _trim_now_and_then(worker)
    Succession(worker, watch).look()


def _leave(worker: Any, watch: ConnectionWatch) -> None:
    """Take no more connections, and announce the end of each that is there.

    gunicorn's own worker would close kept connections whose last answer did not say so: a caller that sends its next
    request at that moment has no answer.
    """
    watch.is_leaving = True
    for server in worker.servers:  # the new worker takes those that come now
        server.close()
    worker.loop.call_later(LEAVE_WAIT, worker.handle_exit_signal)


def _most_connections() -> int:
    """As many as the worker may have files."""
    import resource  # not on every system; gunicorn runs on none of the others

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if most == resource.RLIM_INFINITY else max(min(MAX_CONNECTIONS, most - SPARE_FILES), 1)


def _trim_now_and_then(worker: Any) -> None:
    """Return free memory to the system, as the C library would keep it: a sign-in takes 18 MB, photos more."""
    memory.release_free_memory()
    worker.loop.call_later(TRIM_EVERY, _trim_now_and_then, worker)


class Succession:
    """Asks for a reload after `max_requests`, at a moment without requests.

    gunicorn's own worker would end at once: callers would wait for the next one, for ever where model.bin is damaged by
    then.
    """

    def __init__(self, worker: Any, watch: ConnectionWatch) -> None:
        self._worker, self._watch = worker, watch
        self._every, worker.max_requests = worker.max_requests, sys.maxsize
        self._asks_at = self._every  # requests

    def look(self) -> None:
        """Ask where it is time, and look again later."""
        worker = self._worker
        if worker.alive and worker.nr >= self._asks_at and self._watch.is_idle():
            self._asks_at = worker.nr + self._every  # asked again where the new worker does not start
            worker.log.info("%d requests answered: asking for a new worker.", worker.nr)
            os.kill(worker.ppid, signal.SIGHUP)
        worker.loop.call_later(ASK_EVERY, self.look)
