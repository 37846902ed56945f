"""Makes XLSX and PDF exports in a subprocess, because the libraries would keep 40 MB of the worker's memory.

In:  a header for the subprocess (worker.py), and rows, which are read as they are written.
Out: the whole file as an answer. An error in making it, or in the rows, is raised before anything is sent.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore, Thread, Timer
from typing import Any, BinaryIO

from flask import Response

from fairmeter.core.caller import check_caller
from fairmeter.core.paths import PROJECT
from fairmeter.scoring.problems import Problem
from fairmeter.web.exports.tempdir import DISK_FULL, NO_ROOM, writable_folder
from fairmeter.web.http.errors import UNEXPECTED
from fairmeter.web.http.observability import log

COMMAND = (sys.executable, "-m", "fairmeter.web.exports.worker")
NO_SECRETS = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # its whole environment: it needs none of our settings
MAX_PROCESSES, MAX_WAIT = 2, 30  # files at once in a worker; seconds that another one waits
MAX_SECONDS = 600  # for one file; 135,000 rows take 13 s of an idle processor, and a small host has a tenth of one
BIT, IN_MEMORY = 2**16, 2**20  # bytes
SLOTS = BoundedSemaphore(MAX_PROCESSES)


def file_response(header: Mapping[str, Any], rows: Iterable[Sequence], name: str, kind: str) -> Response:
    """The file as a download. Raises Problem, and the errors of the rows. [kind: its content type]"""
    file = make_file(header, rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(file.tell())}
    file.seek(0)
    response = Response(_read(file), content_type=kind, headers=headers)
    response.call_on_close(file.close)  # also where the caller does not read to the end
    return response


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while bit := file.read(BIT):
            yield bit


def make_file(header: Mapping[str, Any], rows: Iterable[Sequence]) -> BinaryIO:
    """The file, open at its end. Raises Problem, and the errors of the rows."""
    if not SLOTS.acquire(timeout=MAX_WAIT):
        raise Problem(
            503, "busy", "Other exports are running; try again in a few seconds.", headers={"Retry-After": "10"}
        )
    file = SpooledTemporaryFile(IN_MEMORY, dir=writable_folder())  # noqa: SIM115  the answer closes it
    try:
        with ExportProcess(header, rows) as maker:
            for bit in maker.bits():  # writelines() would hold all of it in memory first
                file.write(bit)
    except BaseException as error:
        with suppress(OSError):  # what is not written yet finds no room either
            file.close()
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise Problem(503, "busy", NO_ROOM, headers={"Retry-After": "10"}) from error
        raise
    finally:
        SLOTS.release()
    return file


class ExportProcess:
    """The subprocess, the thread that feeds it, and the timer that ends it."""

    def __init__(self, header: Mapping[str, Any], rows: Iterable[Sequence]) -> None:
        self._error: Exception | None = None
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._process = subprocess.Popen(COMMAND, cwd=PROJECT, env=NO_SECRETS, **pipes)  # noqa: S603  a command of our own
        self._feeder = Thread(target=self._feed, args=(header, rows), daemon=True)
        self._timer = Timer(MAX_SECONDS, self._process.kill)
        self._timer.daemon = True

    def __enter__(self) -> "ExportProcess":
        self._feeder.start()
        self._timer.start()
        return self

    def __exit__(self, *_) -> None:
        self._timer.cancel()
        self._process.kill()  # if it has not ended
        self._feeder.join()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process.wait()

    def _feed(self, header: Mapping[str, Any], rows: Iterable[Sequence]) -> None:
        try:
            with self._process.stdin as stream:
                stream.write(_line(header))
                # Without the check, rows that a dead process no longer reads would fill the pipe first.
                stream.writelines(_line(row) for row in takewhile(self._is_running, rows))
        except BrokenPipeError:
            pass  # the process has ended; its status says why
        except Exception as error:  # of the rows, such as a lost database: raised to the caller in bits()
            self._error = error
            self._process.kill()

    def _is_running(self, _) -> bool:
        return self._process.poll() is None

    def bits(self) -> Iterator[bytes]:
        """The file in pieces. Raises CallerGone, Problem, and the errors of the rows."""
        while bit := self._process.stdout.read(BIT):
            check_caller()
            yield bit
        traceback, status = self._process.stderr.read().decode(errors="replace"), self._process.wait()
        self._feeder.join()
        if self._error is not None:
            raise self._error
        if status != 0:
            log.error("an export failed", extra={"fields": {"status": status, **_place_of(traceback)}})
            raise Problem(500, "internal", UNEXPECTED)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _place_of(traceback: str) -> dict[str, str]:
    """An exception's type and place; its message may quote a value."""
    lines = traceback.splitlines() or [""]
    places = [line.strip() for line in lines if line.startswith("  File")]
    return {"type": lines[-1].partition(":")[0], "place": places[-1] if places else ""}
