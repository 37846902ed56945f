"""Places where requests are computed: a few threads each, and a bounded number that wait for them.

In:  work, as a function without arguments.
Out: its result, awaited; `has_room()` says before whether it would be taken.
A kind of work that takes long cannot keep another kind waiting, as it has threads of its own.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

from fairmeter.web.server import policies

Result = TypeVar("Result")


class PlaceSize(NamedTuple):
    """Threads of a place, and how many requests may wait beside those that are computed."""

    n_threads: int
    n_waiting: int


# One processor computes one score at a time, and more threads only take turns; the desk's also wait for the database.
# Of clients in small bodies, one thread judges all that the others have read by then (web/scoring_api/together.py).
# Of batches a second one at once would be no faster and take as much memory again.
SIZES = {
    policies.READINESS: PlaceSize(1, 1000),
    policies.DESK_READINESS: PlaceSize(1, 1000),
    policies.REFUSALS: PlaceSize(1, 1000),
    policies.CLIENTS: PlaceSize(16, 1000),
    policies.SCORING: PlaceSize(4, 1000),
    policies.DESK: PlaceSize(8, 1000),
    policies.BATCHES: PlaceSize(1, 4),
    policies.FILES: PlaceSize(2, 4),
    policies.UPLOADS: PlaceSize(2, 0),
}


class Place(Protocol):
    """Where one kind of work is done."""

    def has_room(self) -> bool:
        """Whether another request is taken."""

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of the work, or its exception."""

    def close(self) -> None:
        """Drop what waits."""


class OnLoop:
    """The loop itself, for work of a fraction of a millisecond that waits for nothing."""

    def has_room(self) -> bool:
        return True

    async def run(self, work: Callable[[], Result]) -> Result:
        return work()

    def close(self) -> None:
        """Nothing waits."""


class Threads:
    """Threads for one kind of work, of one loop; they start when they are first needed.

    concurrent.futures would take a lock, a condition and a second future for each request.
    """

    def __init__(self, name: str, size: PlaceSize) -> None:
        self._name, self._size, self._n, self._n_started = name, size, 0, 0
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future] | None] = SimpleQueue()

    def has_room(self) -> bool:
        return self._n < self._size.n_threads + self._size.n_waiting

    async def run(self, work: Callable[[], Result]) -> Result:
        future = asyncio.get_running_loop().create_future()
        self._n += 1
        if self._n > self._n_started < self._size.n_threads:
            self._n_started += 1
            Thread(target=self._compute, name=f"{self._name}-{self._n_started}", daemon=True).start()
        self._jobs.put((work, future))
        return await future

    def close(self) -> None:
        for _ in range(self._n_started):
            self._jobs.put(None)

    def _compute(self) -> None:
        """A thread's life."""
        while (job := self._jobs.get()) is not None:
            work, future = job
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop has ended
                future.get_loop().call_soon_threadsafe(self._finish, future, result, error)
            del job, work, future, result, error  # a thread that waits would keep them

    def _finish(self, future: asyncio.Future, result: Any, error: BaseException | None) -> None:
        """Hand out what was computed, on the loop."""
        self._n -= 1
        if future.done():
            return  # nobody awaits it
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def make_places() -> dict[str, Place]:
    """All places by name."""
    return {policies.HEALTH: OnLoop()} | {name: Threads(name, size) for name, size in SIZES.items()}
