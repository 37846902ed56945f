"""The process that works on imports: `python -m fairmeter.cli.imports`, started by the service where a step waits.

In:  the service's settings, from the environment; the queue of the store.
Out: what each step found, in the store; it ends when no step waits. Exit codes: 0 done, 1 it could not start.

One process works on a step at a time. It has its own memory, a lower priority, and limits of time and memory, since a
file or a pattern of a map may ask for any amount of both.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

from pydantic import ValidationError

from fairmeter.casework.alert_rules import BadRules
from fairmeter.cli.import_steps import ImportSteps
from fairmeter.cli.settings import Settings, describe_invalid, secret_value
from fairmeter.core import memory
from fairmeter.data.files import TableError
from fairmeter.desk import runs
from fairmeter.desk.import_files import ImportFiles
from fairmeter.models.model_file import ModelError
from fairmeter.scoring.problems import Problem
from fairmeter.store import StepClaim, Store, StoreError
from fairmeter.store.imports import STOPPED
from fairmeter.web.http.observability import log

COMMAND = (sys.executable, "-m", "fairmeter.cli.imports")
# Never 3 or 4: gunicorn's master inherits the process where its worker ended, and stops the service at these codes.
DONE, CANNOT_START = 0, 1
BEAT = 5.0  # seconds between two renewals of the lease
MAX_SECONDS = 4 * 3600  # of one step; a million clients take half an hour
MEMORY_SHARE = 0.8  # of the machine's or the container's, which the process may use
TOO_LARGE = "This needs more memory than there is: split the files, or score them with score.py --memory."
UNEXPECTED = "This step failed for a reason that was not foreseen ({}); the service's log has the place of it."
KNOWN_ERRORS = (TableError, ModelError, StoreError, BadRules, Problem)


def main() -> int:
    """Work on steps until none waits."""
    try:
        settings = Settings.from_environment()
        store = runs.open_store(secret_value(settings.database_url) or runs.DATABASE)
    except ValidationError as error:
        print(describe_invalid(error), file=sys.stderr)
        return CANNOT_START
    except StoreError as error:
        print(error, file=sys.stderr)
        return CANNOT_START
    limit_process()
    steps = ImportSteps(
        store,
        import_files(settings, store),
        settings.model_file,
        settings.key,
        settings.alert_rules,
        settings.billable_months,
    )
    with suppress(SystemExit):
        work_on_steps(store, steps.run)
    store.close()
    return DONE


def import_files(settings: Settings, store: Store) -> ImportFiles:
    """The folder of imports: that of the settings, else beside a database that is a file."""
    folder = settings.imports or (Path(store.url.database).parent / "imports" if store.is_sqlite else None)
    return ImportFiles(folder, settings.import_from, settings.max_import_bytes)


def limit_process() -> None:
    """Give way to the service, and end where one step takes too long or too much memory."""
    memory.give_way(int(MEMORY_SHARE * memory.usable_bytes()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(DONE))


def work_on_steps(
    store: Store, run: Callable[[StepClaim, Callable], dict], on_lost: Callable[[], None] = lambda: os._exit(DONE)
) -> None:
    """Claim and do one step after the other. [run: claim, tell -> what it found; on_lost: where a lease was lost]"""
    while (claim := store.claim_step()) is not None:
        with Heartbeat(store, claim, on_lost) as heart:
            found, error = _done(run, claim, heart, store)
        if error is None:
            store.finish_step(claim, **found)
        else:
            store.fail_step(claim, error)


def _done(run: Callable, claim: StepClaim, heart: "Heartbeat", store: Store) -> tuple[dict, str | None]:
    """What a step found, and why it failed."""
    signal.alarm(MAX_SECONDS)  # its default action ends the process, also inside a library
    try:
        return run(claim, heart.tell), None
    except KNOWN_ERRORS as error:
        return {}, str(error)
    except MemoryError:
        return {}, TOO_LARGE
    except Exception as error:
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        log.error("a step of an import failed", extra={"fields": {"type": type(error).__name__, "place": where}})
        return {}, UNEXPECTED.format(type(error).__name__)
    except BaseException:  # asked to end
        store.fail_step(claim, STOPPED)
        raise
    finally:
        signal.alarm(0)


class Heartbeat:
    """Renews the lease of a step while it is worked on, and writes how far it is."""

    def __init__(self, store: Store, claim: StepClaim, on_lost: Callable[[], None]) -> None:
        self._store, self._claim, self._on_lost = store, claim, on_lost
        self._ended, self._progress = Event(), {}
        self._thread = Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def tell(self, what: str, n_done: int | None = None, n: int | None = None) -> None:
        """What is being done, and how much of it. [what: a key of the texts below import.progress]"""
        self._progress = {"what": what, "n_done": n_done, "n": n}

    def _beat(self) -> None:
        written: Mapping = {}
        while not self._ended.wait(BEAT if written else 0.5):
            progress, written = self._progress, self._progress or {"": 0}
            with suppress(StoreError):  # a database that restarts: the lease lasts longer
                if not self._store.beat_step(self._claim, progress):
                    self._on_lost()
                    return


class Launcher:
    """Starts the process, unless the one that was started last still runs."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command, self._lock = command, Lock()
        self._process: subprocess.Popen | None = None

    def __call__(self) -> None:
        """A step that is queued while the process ends is found when its page asks for the state."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)  # noqa: S603  of our own words
        Thread(target=self._wait, args=(self._process,), daemon=True).start()

    @staticmethod
    def _wait(process: subprocess.Popen) -> None:
        if (status := process.wait()) != DONE:
            log.error("the process of imports ended early", extra={"fields": {"status": status}})


if __name__ == "__main__":
    sys.exit(main())
