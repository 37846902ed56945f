"""How many requests a minute a key may make, in each worker by itself: every worker allows as many."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

MINUTE = 60.0  # seconds


class KeyRates:
    """What each key has left. A key that was idle may make a minute's requests at once."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._left: dict[str, tuple[float, float]] = {}  # by key: requests left, at which moment

    def wait_for(self, name: str, per_minute: int) -> float:
        """Take one request; 0, or the seconds to wait where none is left, and none is taken."""
        with self._lock:
            now = self._clock()
            left, at = self._left.get(name, (float(per_minute), now))
            left = min(left + (now - at) * per_minute / MINUTE, float(per_minute))
            taken = 1.0 if left >= 1.0 else 0.0
            self._left[name] = left - taken, now
        return 0.0 if taken else (1.0 - left) * MINUTE / per_minute
