"""Memory that was freed, given back to the system.

In:  glibc, which keeps what was freed for later. Another C library has no such function.
Out: fewer resident pages; it takes milliseconds.
"""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    if _trim is not None:
        _trim(0)
