"""The folder of temporary files: a container's root may be read-only, its shared memory is not."""

import errno
import os
import tempfile

SHARED_MEMORY = "/dev/shm"  # noqa: S108  files in it are made under names that nobody can guess
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # that memory may have 64 MB
NO_ROOM = "There is no room for temporary files; send or ask for less, or try again in a few seconds."


def writable_folder() -> str | None:
    """A folder for tempfile, None for the system's own choice."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
