"""Places where requests are computed: a few threads each, and a bounded number that wait for them.

In:  work, as a function without arguments.
Out: its result, awaited; `has_room()` says before whether it would be taken.
A kind of work that takes long cannot keep another kind waiting, as it has threads of its own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple, TypeVar

from fairmeter.web.server import policies

Result = TypeVar("Result")


class PlaceSize(NamedTuple):
    """Threads of a place, and how many requests may wait beside those that are computed."""

    n_threads: int
    n_waiting: int


# One processor computes one score at a time, and more threads only take turns; the desk's also wait for the database.
# Of batches a second one at once would be no faster and take as much memory again.
SIZES = {
    policies.HEALTH: PlaceSize(1, 1000),
    policies.READINESS: PlaceSize(1, 1000),
    policies.SCORING: PlaceSize(4, 1000),
    policies.DESK: PlaceSize(8, 1000),
    policies.BATCHES: PlaceSize(1, 4),
    policies.FILES: PlaceSize(2, 4),
    policies.UPLOADS: PlaceSize(2, 0),
}


class Place:
    """Threads for one kind of work; they start when they are first needed."""

    def __init__(self, name: str, size: PlaceSize) -> None:
        self._threads = ThreadPoolExecutor(size.n_threads, thread_name_prefix=name)
        self._max, self._n, self._lock = size.n_threads + size.n_waiting, 0, Lock()

    def has_room(self) -> bool:
        """Whether another request is taken."""
        return self._n < self._max

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of the work. It is dropped where the awaiting task is cancelled before it began."""
        with self._lock:
            self._n += 1
        job = self._threads.submit(work)
        job.add_done_callback(self._leave)
        return await asyncio.wrap_future(job)

    def close(self) -> None:
        """Drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _job: Future) -> None:
        with self._lock:
            self._n -= 1


def make_places() -> dict[str, Place]:
    """All places by name."""
    return {name: Place(name, size) for name, size in SIZES.items()}
