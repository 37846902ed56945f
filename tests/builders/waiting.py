"""Waiting for what another process or thread does."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], timeout: float = 60.0, every: float = 0.05) -> Found:
    """What the condition gives once it is true. Raises AssertionError where it never is. [seconds]"""
    deadline = monotonic() + timeout
    while not (found := condition()):
        assert monotonic() < deadline, f"not within {timeout:g} seconds"
        sleep(every)
    return found
