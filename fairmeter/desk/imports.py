"""Imports at the desk: uploaded files -> steps, each done by a process of its own, one at a time.

In:  uploads, maps and steps of a user; a launcher of the process (fairmeter/cli/imports.py).
Out: Import of the store. What was uploaded is removed once it is stored or cancelled, and after a day.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from fairmeter.data.files import TableError
from fairmeter.desk.import_files import ImportFiles
from fairmeter.scoring.problems import FieldProblem, Problem
from fairmeter.store import Import, Store, StoreError

MAX_MAP = 100_000  # characters; a form takes 500,000 bytes as browsers send them
SWEEP_EVERY = timedelta(minutes=10)


class Imports:
    """The imports of all users. [launch: starts a process that works on queued steps, and returns at once]"""

    def __init__(self, store: Store, files: ImportFiles, launch: Callable[[], None]) -> None:
        self.store, self.files, self._launch = store, files, launch
        self._swept_at = datetime.min.replace(tzinfo=UTC)

    def begin(self, owner: str, uploads: Iterable[tuple[str, BinaryIO]]) -> Import:
        """Save uploaded files and ask for their map to be guessed. Raises Problem, StoreError."""
        self.sweep()
        return self._begin(owner, *self.files.save(uploads), is_named=False)

    def begin_named(self, owner: str, names: Sequence[str]) -> Import:
        """The same for files of the folder of settings. Raises Problem, StoreError."""
        self.sweep()
        return self._begin(owner, *self.files.name(names), is_named=True)

    def find(self, owner: str, import_id: int) -> Import:
        """An import as it is now: a step whose process died is stopped. Raises NoSuchImport."""
        if self.store.release_stale_steps():
            self._launch()  # a step waits, and the process that was started for it is gone
        return self.store.find_import(import_id, owner)

    def set_map(self, owner: str, import_id: int, text: str) -> Import:
        """Replace the map. Raises Problem with each of its errors."""
        found = self.store.find_import(import_id, owner)
        if problems := map_problems(text):
            raise Problem(422, "bad_map", "\n".join(problems), tuple(FieldProblem("map", line) for line in problems))
        self.store.set_import_map(found.import_id, text)
        return self.store.find_import(import_id, owner)

    def ask(self, owner: str, import_id: int, step: str, **options: object) -> Import:
        """Ask for a step. Raises ImportConflict, NoSuchImport."""
        found = self.store.find_import(import_id, owner)
        self.store.queue_step(found.import_id, step, options)
        self._launch()
        return self.store.find_import(import_id, owner)

    def cancel(self, owner: str, import_id: int) -> Import:
        """Throw an import away, its files too. Raises ImportConflict, NoSuchImport."""
        found = self.store.find_import(import_id, owner)
        self.store.cancel_import(found.import_id)
        self._remove(found)
        return self.store.find_import(import_id, owner)

    def report(self, owner: str, import_id: int) -> Path:
        """The page of the check. Raises NoSuchImport, Problem."""
        found = self.store.find_import(import_id, owner)
        path = self.files.report(found.folder) if found.checked else None
        if path is None or not path.is_file():
            raise Problem(404, "not_found", "There is no report of this import: check it first.")
        return path

    def sweep(self) -> None:
        """Cancel what nobody confirmed within a day, and remove the files of what is closed."""
        self._swept_at = datetime.now(UTC)
        self.files.remove_others(self.store.expire_imports())

    def sweep_if_due(self) -> None:
        """sweep(), at most every SWEEP_EVERY; a database that does not answer is left for the next time."""
        if datetime.now(UTC) - self._swept_at > SWEEP_EVERY:
            with suppress(StoreError):
                self.sweep()

    def _begin(self, owner: str, folder: str, files: list[dict], is_named: bool) -> Import:
        try:
            found = self.store.add_import(owner, folder, files, is_named)
        except StoreError:
            self.files.remove(folder)
            raise
        self._launch()
        return found

    def _remove(self, found: Import) -> None:
        self.files.remove(found.folder)


def map_problems(text: str) -> list[str]:
    """A sentence for each error of a map; none where it can be used."""
    from fairmeter.data.maps import parse_map  # brings Babel, which a worker that shows pages does without

    if len(text) > MAX_MAP:
        return [f"The map has {len(text):,} characters; the limit is {MAX_MAP:,}."]
    if "\0" in text:
        return ["The map holds the character U+0000; remove it."]
    try:
        parse_map(text)
    except TableError as error:
        return str(error).splitlines()
    except RecursionError:
        return ["The map has brackets inside brackets, too deep to be read; write its tables one below the other."]
    return []
