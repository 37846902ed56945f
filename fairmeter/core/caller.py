"""Whether the caller of the current work still waits for its result.

In:  `waiting_caller(is_gone)` around the work; without it the caller counts as waiting.
Out: `check_caller()` in loops that take long, which raises CallerGone once nobody waits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_gone: ContextVar[Callable[[], bool]] = ContextVar("is_gone", default=lambda: False)


class CallerGone(Exception):
    """The caller has hung up, so the rest of its work is not done."""


@contextmanager
def waiting_caller(is_gone: Callable[[], bool]) -> Iterator[None]:
    """Do the block's work for a caller that may hang up."""
    token = _is_gone.set(is_gone)
    try:
        yield
    finally:
        _is_gone.reset(token)


def current_caller() -> Callable[[], bool]:
    """Whether the caller of the current work has gone, for another thread that does the work."""
    return _is_gone.get()


def check_caller() -> None:
    """Raises CallerGone where nobody waits for the current work."""
    if _is_gone.get()():
        raise CallerGone
