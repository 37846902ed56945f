"""Answers of a WSGI app: gathered in a thread to parts of a useful size, cut for the loop to what a caller reads.

In:  the parts that a WSGI app yields.
Out: `AnswerParts.next()`, about a PART at a time; `slices()` of a part.
"""

from collections.abc import Iterable, Iterator
from threading import RLock
from time import monotonic
from typing import NamedTuple

PART = 2**16  # bytes; an app may yield a line at a time
MAX_GATHER = 0.2  # seconds until what there is is sent, for an answer that comes bit by bit


class AnswerParts:
    """The rest of an answer. Each call of next() and close() may be in another thread, one after the other."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._iterator, self.is_closed = parts, iter(parts), False
        self._lock = RLock()  # of a caller that hangs up, the end is asked for while a part is made

    def next(self) -> tuple[bytes, bool]:
        """The next part, and whether there is more."""
        with self._lock:
            try:
                found, is_ended = self._gathered()
            except BaseException:
                self.close()
                raise
            if is_ended:
                self.close()
        return b"".join(found) if len(found) != 1 else found[0], not is_ended

    def _gathered(self) -> tuple[list[bytes], bool]:
        found, n_bytes, due = [], 0, monotonic() + MAX_GATHER
        for part in self._iterator:
            found.append(part)
            n_bytes += len(part)
            if n_bytes >= PART or monotonic() > due:
                return found, False
        return found, True

    def close(self) -> None:
        """End the answer, read or not."""
        with self._lock:
            close, self.is_closed = None if self.is_closed else getattr(self._parts, "close", None), True
            if close is not None:
                close()


class BegunAnswer(NamedTuple):
    """An answer with its first part. [rest: None where that is all]"""

    status: int
    headers: list[tuple[bytes, bytes]]
    first: bytes
    rest: AnswerParts | None


def slices(part: bytes) -> Iterator[tuple[bytes, bool]]:
    """Slices of a part, at most a PART each, and whether it is the last; of nothing one that is empty."""
    for start in range(0, max(len(part), 1), PART):
        yield part[start : start + PART], start + PART >= len(part)
