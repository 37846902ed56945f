"""What tests let executors do with a part; a file of its own, which is shipped to them."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa


def digest(tables, rows):
    """What a part holds, as a table that can be compared."""
    by_client = np.bincount(tables.invoices["client"], tables.invoices["new_index"], len(rows))
    return pa.table({"row": rows, "sum": by_client})


@dataclass(frozen=True)
class OnceKilled:
    """A work whose executor is killed in the middle of the first part that comes to it."""

    work: object
    killed: Path

    def __call__(self, tables, rows):
        try:
            self.killed.touch(exist_ok=False)
        except FileExistsError:
            return self.work(tables, rows)
        daemon = os.getppid()
        executor = int(Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1])
        assert b"CoarseGrainedExecutorBackend" in Path(f"/proc/{executor}/cmdline").read_bytes()
        os.kill(executor, signal.SIGKILL)
        raise AssertionError("no executor is left to hear this")
