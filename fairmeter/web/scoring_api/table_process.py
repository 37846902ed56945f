"""Reads uploaded tables in a subprocess with limits of memory and time, as a file or a map may ask for any amount.

In:  a map and files, as the caller sent them.
Out: what the subprocess (table_worker.py) read; a TableError or a Problem where it cannot be read.
"""

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryFile
from threading import BoundedSemaphore
from time import monotonic
from typing import BinaryIO

from fairmeter.core.caller import check_caller
from fairmeter.core.paths import PROJECT
from fairmeter.data.files import TableError
from fairmeter.data.maps.mapped_base import MappedBase
from fairmeter.scoring.mapped_uploads import TablePart
from fairmeter.scoring.problems import Problem
from fairmeter.web.exports.process import NO_SECRETS
from fairmeter.web.exports.tempdir import NO_ROOM, writable_folder
from fairmeter.web.http.errors import UNEXPECTED
from fairmeter.web.http.observability import log

COMMAND = (sys.executable, "-m", "fairmeter.web.scoring_api.table_worker")
MAX_CPU = 30  # seconds of a processor; 32 MB of CSV take three
MAX_BYTES = 2**30  # of memory; 32 MB of CSV take 400 MB
MAX_SECONDS = 300  # a small host gives a tenth of a processor
LOOK_EVERY = 0.1  # seconds between looks whether the caller still waits
FAILED = 1  # exit code of an error that was not foreseen; any other is a limit
ONE_AT_A_TIME = BoundedSemaphore(1)
BUSY = "Other tables are read; try again in a few seconds."
TOO_MUCH = "To read these tables takes more memory or time than one request has: send less, or as plain CSV."
NUMPY = {("numpy._core.multiarray", "_reconstruct"), ("numpy._core.numeric", "_frombuffer")}
NUMPY |= {("numpy", "ndarray"), ("numpy", "dtype")}


def read_apart(map_text: bytes, parts: Sequence[TablePart]) -> MappedBase:
    """The tables of uploaded files by a map. Raises TableError, Problem, CallerGone."""
    if not ONE_AT_A_TIME.acquire(blocking=False):  # each takes memory, and others than these wait for its thread
        raise Problem(503, "busy", BUSY, headers={"Retry-After": "5"})
    try:
        with TemporaryFile(dir=writable_folder()) as given, TemporaryFile(dir=writable_folder()) as found:
            _write(given, map_text, parts)
            _run(given, found)
            read = TableUnpickler(found).load()
    except OSError as error:
        raise Problem(503, "busy", NO_ROOM, headers={"Retry-After": "5"}) from error
    finally:
        ONE_AT_A_TIME.release()
    if isinstance(read, str):
        raise TableError(read)
    return read


def _write(given: BinaryIO, map_text: bytes, parts: Sequence[TablePart]) -> None:
    sizes = [(part.kind, part.name, len(part.content)) for part in parts]
    header = {"max_cpu": MAX_CPU, "max_bytes": MAX_BYTES, "map": len(map_text), "parts": sizes}
    given.write(json.dumps(header).encode() + b"\n")
    given.write(map_text)
    for part in parts:
        given.write(part.content)
    given.seek(0)


def _run(given: BinaryIO, found: BinaryIO) -> None:
    """Let the subprocess read. Raises Problem, CallerGone."""
    ends_at = monotonic() + MAX_SECONDS
    pipes = {"stdin": given, "stdout": found, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(COMMAND, cwd=PROJECT, env=NO_SECRETS, **pipes)  # noqa: S603  a command of our own
    try:
        while _is_running(process):
            check_caller()
            if monotonic() > ends_at:
                raise Problem(413, "too_large", TOO_MUCH)
    finally:
        process.kill()
        process.wait()
    if process.returncode == FAILED:
        log.error("uploaded tables could not be read", extra={"fields": {"status": FAILED}})
        raise Problem(500, "internal", UNEXPECTED)
    if process.returncode:
        raise Problem(413, "too_large", TOO_MUCH)
    found.seek(0)


def _is_running(process: subprocess.Popen) -> bool:
    try:
        process.wait(LOOK_EVERY)
    except subprocess.TimeoutExpired:
        return True
    return False


class TableUnpickler(pickle.Unpickler):
    """Unpickler of what the subprocess read: arrays, and classes of the package."""

    def find_class(self, module: str, name: str) -> object:
        found = super().find_class(module, name)
        is_ours = module.startswith("fairmeter.") and isinstance(found, type) and found.__module__ == module
        if is_ours or (module, name) in NUMPY:
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of tables.")
