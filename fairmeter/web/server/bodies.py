"""Bodies of requests: received on the loop, or read by a route while they arrive.

In:  ASGI's receive(), a limit, and what the request says of its length.
Out: a file at its beginning, in memory or, beyond IN_MEMORY, in a temporary file without a name.
A body must arrive at MIN_RATE at least. Of large ones few arrive at once, and a slow one makes way for the next.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import Any, BinaryIO

from fairmeter.web.exports.tempdir import DISK_FULL, writable_folder

Receive = Callable[[], Awaitable[dict[str, Any]]]

IN_MEMORY = 2**20  # bytes
MAX_HELD = 2**26  # bytes in memory of all bodies that arrive in parts
MAX_WAIT = 20.0  # seconds for a short body, as in Apache's mod_reqtimeout
MIN_RATE = 2000  # bytes a second of longer ones: a tenth of a phone on EDGE
MAX_LARGE = 8  # bodies over IN_MEMORY that arrive at once: 256 MB of 32 MB each, in temporary files
SLOW, SETTLED = 100_000, 5.0  # bytes a second; seconds after which a rate says something
DISCARDED = 2**28  # bytes that are read of a refused body: a caller that is cut off while it sends reads no answer
BREATH = 0.005  # seconds between its parts, for those that are answered meanwhile


class BodyTooLarge(Exception):
    """More bytes came than the route takes. [is_whole: nothing of the body is left to read]"""

    def __init__(self, is_whole: bool) -> None:
        super().__init__()
        self.is_whole = is_whole


class BodyTooSlow(Exception):
    """The body arrives below MIN_RATE, or had to make way for another one."""


class BodyBrokenOff(Exception):
    """The caller hung up before the end of its body."""


class NoRoomForBody(Exception):
    """As many large bodies arrive as may, none of them slowly; or the disk has no room for another one."""


class Arrival:
    """A body of several parts that is arriving."""

    def __init__(self) -> None:
        self.n_bytes, self._since, self._task = 0, monotonic(), asyncio.current_task()
        self.is_dropped = False

    def is_large(self) -> bool:
        """Whether it is in a temporary file."""
        return self.n_bytes > IN_MEMORY

    def is_slow(self) -> bool:
        """Whether it arrives so slowly that it has to make way for others."""
        return monotonic() > self._since + SETTLED and self.rate() < SLOW

    def rate(self) -> float:
        """Bytes a second."""
        return self.n_bytes / (monotonic() - self._since + 1e-9)

    def drop(self) -> None:
        """End the receiving task's wait."""
        self.is_dropped = True
        self._task.cancel()


class Intake:
    """Receives the bodies of a worker."""

    def __init__(self) -> None:
        self._arriving: list[Arrival] = []

    async def receive(self, receive: Receive, max_bytes: int) -> tuple[BinaryIO, int]:
        """The body and its size. Raises BodyTooLarge, BodyTooSlow, BodyBrokenOff, NoRoomForBody."""
        message = await _first(receive)
        part = message.get("body", b"")
        if not message.get("more_body") and len(part) <= max_bytes:
            return io.BytesIO(part), len(part)
        file = SpooledTemporaryFile(IN_MEMORY, dir=writable_folder())  # noqa: SIM115  the answer closes it
        try:
            with _disk_errors():
                n_bytes = await self._receive_parts(receive, message, file, max_bytes)
        except BaseException:
            with suppress(OSError):  # what is not written yet finds no room either
                file.close()
            raise
        file.seek(0)
        return file, n_bytes

    async def _receive_parts(self, receive: Receive, message: dict[str, Any], file: BinaryIO, max_bytes: int) -> int:
        with self._arrival() as arrival:
            async with paced() as earn:
                while True:
                    part = message.get("body", b"")
                    if arrival.n_bytes + len(part) > max_bytes:
                        raise BodyTooLarge(not message.get("more_body"))
                    self._add(arrival, len(part))
                    file.write(part)
                    if not message.get("more_body"):
                        return arrival.n_bytes
                    earn(len(part))
                    message = await part_of(receive)

    @contextmanager
    def _arrival(self) -> Iterator[Arrival]:
        """Raises BodyTooSlow where the arrival was dropped."""
        arrival = Arrival()
        self._arriving.append(arrival)
        try:
            yield arrival
        except asyncio.CancelledError:
            if not arrival.is_dropped:
                raise
            asyncio.current_task().uncancel()
            raise BodyTooSlow from None
        finally:
            self._arriving.remove(arrival)

    def _add(self, arrival: Arrival, n_bytes: int) -> None:
        """Count what arrived; where there is too much of all, the slowest makes way. Raises NoRoomForBody."""
        was_large, arrival.n_bytes = arrival.is_large(), arrival.n_bytes + n_bytes
        others = [each for each in self._arriving if each is not arrival and not each.is_dropped]
        if arrival.is_large() and not was_large and sum(each.is_large() for each in others) >= MAX_LARGE:
            _drop_slowest([each for each in others if each.is_large() and each.is_slow()])
        elif sum(each.n_bytes for each in others if not each.is_large()) > MAX_HELD:
            _drop_slowest([each for each in others if not each.is_large()])


def _drop_slowest(arrivals: list[Arrival]) -> None:
    """Raises NoRoomForBody where there is none."""
    if not arrivals:
        raise NoRoomForBody
    min(arrivals, key=Arrival.rate).drop()


async def _first(receive: Receive) -> dict[str, Any]:
    """The first part; most bodies have no other, and it is there already."""
    async with paced():
        return await part_of(receive)


async def part_of(receive: Receive) -> dict[str, Any]:
    """The next part of a body. Raises BodyBrokenOff."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise BodyBrokenOff
    return message


@asynccontextmanager
async def paced() -> AsyncIterator[Callable[[int], None]]:
    """A deadline that moves on with the bytes that are reported. Raises BodyTooSlow."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(MAX_WAIT) as deadline:

            def earn(n_bytes: int) -> None:
                deadline.reschedule(max(deadline.when(), loop.time()) + n_bytes / MIN_RATE)

            yield earn
    except TimeoutError:
        raise BodyTooSlow from None


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Raises NoRoomForBody where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise NoRoomForBody from error
        raise


async def discard(receive: Receive, max_bytes: int = DISCARDED) -> None:
    """Read the rest of a refused body, within bounds."""
    n_bytes = 0
    with suppress(BodyTooSlow, BodyBrokenOff):
        async with paced():
            while n_bytes < max_bytes:
                message = await part_of(receive)
                n_bytes += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
                await asyncio.sleep(BREATH)


class ArrivingBody(io.RawIOBase):
    """A body that a thread reads while it arrives. Its end comes early where the sender is gone or too slow.

    on_end: called once all of it is there.
    """

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        self._receive, self._loop, self._on_end = receive, loop, on_end
        self._held, self._has_more, self._due = b"", True, monotonic() + MAX_WAIT
        self.is_broken = False

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:
        while not self._held and self._has_more:
            self._wait()
        n_bytes = min(len(into), len(self._held))
        into[:n_bytes], self._held = self._held[:n_bytes], self._held[n_bytes:]
        return n_bytes

    def _wait(self) -> None:
        arriving = asyncio.run_coroutine_threadsafe(self._receive(), self._loop)
        try:
            message = arriving.result(max(self._due - monotonic(), 0))
        except TimeoutError:
            arriving.cancel()
            message = {"type": "http.disconnect"}
        self.is_broken = message["type"] == "http.disconnect"
        self._held, self._has_more = message.get("body", b""), message.get("more_body", False)
        self._due += len(self._held) / MIN_RATE
        if not self._has_more:
            self._on_end()
