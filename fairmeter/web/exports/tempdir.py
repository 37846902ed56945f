"""Where a file may lie for a moment: a container's root may be read-only, its memory is not."""

import os
import tempfile

SHARED_MEMORY = "/dev/shm"  # noqa: S108  files in it are made under names that nobody can guess


def writable_folder() -> str | None:
    """None where there is nothing else than what the system takes by itself."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
