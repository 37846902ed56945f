"""Memory: freed pages go back to the operating system, and a process that may need any amount of it is bounded.

glibc keeps freed pages for later allocations; `malloc_trim` releases them within milliseconds. Other C libraries do
not have the function: there `release_free_memory` does nothing.
"""

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
NICENESS = 10  # of the scheduler
FIRST_VICTIM = "1000"  # of the kernel, where memory runs out: the service goes on

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def release_free_memory() -> None:
    """Release the free pages of the heap, where the C library can."""
    if _trim is not None:
        _trim(0)


def settle() -> None:
    """Take what a started process keeps for good out of the garbage collector's sight: it is not walked again."""
    gc.collect()
    gc.freeze()
    release_free_memory()


def usable_bytes() -> int:
    """The memory of this machine, or of this container where that is less."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            found.append(int(path.read_text()))
    return min(found)


def give_way(max_bytes: int) -> None:
    """Let this process run behind the others, be the first to end where memory runs out, and take no more than this."""
    import resource  # of Unix alone, as gunicorn is

    os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_VICTIM)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
