"""How a benchmark's command ends.

In:  its work, and the errors that are explained by one sentence.
Out: an exit code.
"""

import sys
from collections.abc import Callable

BAD_USE, STOPPED = 2, 130  # exit codes, the latter a shell's for Ctrl-C


def exit_code(work: Callable[[], object], *known: type[Exception]) -> int:
    """Do the work; a known error is one sentence on stderr."""
    try:
        work()
    except known as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        return STOPPED
    return 0
