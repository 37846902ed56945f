"""A file for a spreadsheet or for print, made beside the worker (paper/maker.py): what draws takes 40 MB for good.

In:  what to make, as the kinds of maker.py take it; rows, which are asked for as they are written.
Out: the whole file, as an answer. What goes wrong in making it, in the rows too, is raised before anything is sent.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore, Thread, Timer
from typing import Any, BinaryIO

from flask import Response

from fairmeter.core.paths import PROJECT
from fairmeter.scoring.problems import Problem
from fairmeter.web.exports.tempdir import writable_folder
from fairmeter.web.http.errors import UNEXPECTED
from fairmeter.web.http.observability import log

COMMAND = (sys.executable, "-m", "fairmeter.web.exports.worker")
NO_SECRETS = {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # its whole environment: it needs no setting of ours
AT_ONCE, PATIENCE = 2, 30  # files of a worker at once; seconds that another one waits for its turn
LONGEST = 600  # seconds of one file; 135,000 rows take 13 s of an idle processor, and a small host gives a tenth of one
BIT, IN_MEMORY = 2**16, 2**20  # bytes
PLACES = BoundedSemaphore(AT_ONCE)


def file_answer(told: Mapping[str, Any], rows: Iterable[Sequence], name: str, kind: str) -> Response:
    """A file to be saved under that name. [kind: its content type] Raises Problem, and whatever the rows raise."""
    file = made(told, rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(file.tell())}
    file.seek(0)
    response = Response(_read(file), content_type=kind, headers=headers)
    response.call_on_close(file.close)  # also where nobody reads it to its end
    return response


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while bit := file.read(BIT):
            yield bit


def made(told: Mapping[str, Any], rows: Iterable[Sequence]) -> BinaryIO:
    """The file, open at its end. Raises Problem, and whatever the rows raise."""
    if not PLACES.acquire(timeout=PATIENCE):
        raise Problem(503, "busy", "Other files are being made; try again.", headers={"Retry-After": "10"})
    file = SpooledTemporaryFile(IN_MEMORY, dir=writable_folder())  # noqa: SIM115  the answer closes it
    try:
        with ExportProcess(told, rows) as maker:
            for bit in maker.bits():  # writelines() would keep all of it in memory first
                file.write(bit)
    except BaseException:
        file.close()
        raise
    finally:
        PLACES.release()
    return file


class ExportProcess:
    """The process, what feeds it, and what ends it."""

    def __init__(self, told: Mapping[str, Any], rows: Iterable[Sequence]) -> None:
        self._error: Exception | None = None
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._process = subprocess.Popen(COMMAND, cwd=PROJECT, env=NO_SECRETS, **pipes)  # noqa: S603  a command of our own
        self._feeder = Thread(target=self._feed, args=(told, rows), daemon=True)
        self._timer = Timer(LONGEST, self._process.kill)
        self._timer.daemon = True

    def __enter__(self) -> "ExportProcess":
        self._feeder.start()
        self._timer.start()
        return self

    def __exit__(self, *_) -> None:
        self._timer.cancel()
        self._process.kill()  # where it has not ended by itself
        self._feeder.join()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process.wait()

    def _feed(self, told: Mapping[str, Any], rows: Iterable[Sequence]) -> None:
        try:
            with self._process.stdin as stream:
                stream.write(_line(told))
                # What it no longer reads would fill the pipe's buffer first, however long rows take.
                stream.writelines(_line(row) for row in takewhile(self._is_running, rows))
        except BrokenPipeError:
            pass  # it has ended, and says itself why
        except Exception as error:  # of the rows, as a database that went away: raised where the file is waited for
            self._error = error
            self._process.kill()

    def _is_running(self, _) -> bool:
        return self._process.poll() is None

    def bits(self) -> Iterator[bytes]:
        while bit := self._process.stdout.read(BIT):
            yield bit
        said, status = self._process.stderr.read().decode(errors="replace"), self._process.wait()
        self._feeder.join()
        if self._error is not None:
            raise self._error
        if status != 0:
            log.error("a file could not be made", extra={"fields": {"status": status, **_place_of(said)}})
            raise Problem(500, "internal", UNEXPECTED)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _place_of(traceback: str) -> dict[str, str]:
    """An exception's type and place; its words may quote a value."""
    lines = traceback.splitlines() or [""]
    places = [line.strip() for line in lines if line.startswith("  File")]
    return {"type": lines[-1].partition(":")[0], "place": places[-1] if places else ""}
