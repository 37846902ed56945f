"""Files of imports: uploads -> a private folder for each import, with names that are safe and still fit a map's globs.

In:  streams with the names that browsers send; the folder of settings (IMPORTS), and that of IMPORT_FROM.
Out: paths. Folders are 0700 and files 0600; only generated names of folders are ever opened or removed.
"""

import errno
import os
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from fairmeter.scoring.problems import Problem, bad_value

FOLDER = re.compile(r"[0-9a-f]{32}")
MAX_FILES = 400  # of one import, each open while it arrives; more of them come in a zip
MAX_NAME = 150  # characters; file systems take 255 bytes
MAX_UNPACKED = 20  # times the limit of an upload: tables pack to a fifth or a tenth, bombs to a thousandth
BIT = 2**20  # bytes
ARCHIVES = (".zip", ".xlsx", ".xlsm", ".xlsb", ".ods")
FILES, REPORT = "files", "check.html"
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_FOLDER = (
    "This service imports no files, as IMPORTS names no folder: name one that all workers share, or use score.py."
)


class ImportFiles:
    """The folder of all imports. [folder: None: imports are refused; offered: whose files may be named; max_bytes]"""

    def __init__(self, folder: Path | None = None, offered: Path | None = None, max_bytes: int = 2**31) -> None:
        self.folder, self.offered = folder and folder.absolute(), offered and offered.absolute()
        self.max_bytes = max_bytes

    def save(self, uploads: Iterable[tuple[str, BinaryIO]]) -> tuple[str, list[dict]]:
        """Save uploads in a new folder: its name, and name and size of each file. Raises Problem; nothing is left."""
        folder, saved = self._new_folder(), []
        try:
            for given, stream in uploads:
                name = safe_name(given)
                if name.casefold() in {file["name"].casefold() for file in saved}:
                    raise bad_value("files", f"two files are named {name}; rename one, or put their folders in a zip")
                if len(saved) == MAX_FILES:
                    raise bad_value("files", f"more than {MAX_FILES} files; put them in a zip")
                path = self._path(folder) / FILES / name
                saved.append({"name": name, "n_bytes": _copy(stream, path)})
                check_unpacked(path, MAX_UNPACKED * self.max_bytes)
            if not saved:
                raise bad_value("files", "none came; choose the files of clients, invoices or readings")
        except OSError as error:
            self.remove(folder)
            raise _problem_of(error) from error
        except BaseException:
            self.remove(folder)
            raise
        return folder, saved

    def name(self, names: Sequence[str]) -> tuple[str, list[dict]]:
        """As save(), for files of the folder of settings, which stay where they are. Raises Problem."""
        offered = {file["name"]: file for file in self.list_offered()}
        unknown = next((name for name in names if name not in offered), None)
        if unknown is not None or not names:
            raise bad_value("names", "not in the folder IMPORT_FROM; choose from its list")
        return self._new_folder(), [offered[name] for name in dict.fromkeys(names)]

    def list_offered(self) -> list[dict]:
        """Name and size of what the folder of settings holds: files and folders in it, no links out of it."""
        if self.offered is None or not self.offered.is_dir():
            return []
        found = [path for path in sorted(self.offered.iterdir()) if not path.name.startswith(".")]
        inside = [path for path in found if path.resolve().is_relative_to(self.offered.resolve())]
        return [{"name": p.name, "n_bytes": p.stat().st_size if p.is_file() else 0} for p in inside[:MAX_FILES]]

    def sources(self, folder: str, names: Sequence[str], is_named: bool) -> tuple[Path, ...]:
        """The paths of an import's files."""
        place = self.offered if is_named else self._path(folder) / FILES
        return tuple(place / name for name in names)

    def report(self, folder: str) -> Path:
        """The path of the report of the check."""
        return self._path(folder) / REPORT

    def remove(self, folder: str) -> None:
        """Remove an import's folder and its files."""
        shutil.rmtree(self._path(folder), ignore_errors=True)

    def remove_others(self, needed: Iterable[str]) -> None:
        """Remove the folders of all other imports; what has another name is left alone."""
        kept = set(needed)
        with suppress(OSError):
            for path in self.folder.iterdir() if self.folder is not None else ():
                if FOLDER.fullmatch(path.name) and path.name not in kept:
                    self.remove(path.name)

    def _new_folder(self) -> str:
        if self.folder is None:
            raise Problem(422, "bad_value", NO_FOLDER)
        name = token_hex(16)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path(name).mkdir(mode=0o700)
            (self._path(name) / FILES).mkdir(mode=0o700)
        except OSError as error:
            raise _problem_of(error) from error
        return name

    def _path(self, folder: str) -> Path:
        if self.folder is None or not FOLDER.fullmatch(folder):
            raise Problem(404, "not_found", "The files of this import are gone; upload them again.")
        return self.folder / folder


def safe_name(given: str) -> str:
    """The file's own name, without folders, drives, control characters and leading dots. Raises Problem."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", given)[-1])
    name = "".join(c for c in name if c.isprintable()).strip().lstrip(".").strip()
    if not name or not name.isprintable() or len(name) > MAX_NAME or len(name.encode(errors="replace")) > 240:
        raise bad_value("files", f"a file has no usable name; name it with 1 to {MAX_NAME} letters")
    return name.encode(errors="replace").decode()


def check_unpacked(path: Path, most: int) -> None:
    """Raises Problem for an archive that states that it unpacks to more. [bytes]

    What states less than it unpacks to ends early: readers of zips stop at the stated size.
    """
    if path.suffix.lower() not in ARCHIVES:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # the reader says what is wrong with it
    if n_bytes > most:
        raise bad_value("files", f"{path.name} unpacks to {n_bytes / 1e9:,.1f} GB; the limit is {most / 1e9:,.1f} GB")


def _copy(stream: BinaryIO, path: Path) -> int:
    """Write a stream to a new file that only this user reads; its bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        shutil.copyfileobj(stream, file, BIT)
        return file.tell()


def _problem_of(error: OSError) -> Problem:
    if error.errno in DISK_FULL:
        return Problem(507, "no_space", "The disk is full: the files cannot be saved. Nothing was kept.")
    return Problem(503, "imports_unavailable", "The folder of imports cannot be written to. Nothing was kept.")
