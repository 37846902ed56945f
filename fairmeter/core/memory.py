"""Return freed memory to the operating system.

glibc keeps freed pages for later allocations; `malloc_trim` releases them within milliseconds. Other C libraries do
not have the function: there `release_free_memory` does nothing.
"""

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def release_free_memory() -> None:
    """Release the free pages of the heap, where the C library can."""
    if _trim is not None:
        _trim(0)
