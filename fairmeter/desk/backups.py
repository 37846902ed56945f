"""A backup of the desk: one zip with all rows of the store, the photos and the model; and what is stored of one client.

In:  a store that may be written to meanwhile, the folder of photos, the path of model.bin.
Out: a zip that appears whole or not at all, readable by its owner only; the same desk in an empty database of SQLite or
     PostgreSQL, whichever the backup was made of.

    backup.json          made_at, tables (the version of the schema), rows by table, members with their SHA-256
    tables/NAME.jsonl    a row a line
    photos/NAME, model.bin, model.bin.sha256
"""

import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fairmeter.desk.photos import Photos, is_photo_name
from fairmeter.store import Store, StoreError, check_copied

MANIFEST, MODEL = "backup.json", "model.bin"
FORMAT = 1
OWNER_ONLY = 0o600  # it holds hashes of passwords, and clients
BLOCK = 2**20  # bytes


class BadBackup(StoreError):
    """A file that is no backup, is damaged, or may not be written; the message says what to do."""


class BackedUp(NamedTuple):
    """What a backup holds."""

    n_rows: int
    n_photos: int
    has_model: bool


def write_backup(path: Path, store: Store, photos: Photos, model: Path | None) -> BackedUp:
    """Write a backup while the desk goes on. Raises BadBackup where the file exists, StoreError, OSError."""
    revision = store.revision()
    if revision is None:
        raise BadBackup("The database holds no tables of Fairmeter: there is nothing to back up.")
    with _new_zip(path) as archive:
        members, counts = {}, {}
        with store.copied_out() as tables:
            for table in tables:
                with _member(archive, f"tables/{table.name}.jsonl", members) as file:
                    counts[table.name] = _write_lines(file, table.lines)
        missing = [name for name in store.photo_names() if not _add_photo(archive, photos, name, members)]
        for file in _model_files(model):
            _add_bytes(archive, MODEL + file.name.removeprefix(model.name), file.read_bytes(), members)
        manifest = {"format": FORMAT, "made_at": datetime.now(UTC).isoformat(), "tables": revision, "rows": counts}
        archive.writestr(MANIFEST, json.dumps(manifest | {"members": members, "missing_photos": missing}, indent=1))
    n_photos = sum(name.startswith("photos/") for name in members)
    return BackedUp(sum(counts.values()), n_photos, MODEL in members)


def restore_backup(path: Path, store: Store, photos: Photos, model: Path | None, user: str, why: str) -> BackedUp:
    """Put a backup into an empty, migrated store. [model: where its model.bin is written; None: it is left out]

    Everything is checked before anything is written. Raises BadBackup, StoreError, OSError.
    """
    with _opened(path) as archive:
        manifest = _checked_manifest(archive, path)
        store.require_empty()
        names = [name.removeprefix("photos/") for name in manifest["members"] if name.startswith("photos/")]
        if names and photos.folder is None:
            raise BadBackup("The backup holds photos: set PHOTOS to a folder for them.")
        if model is not None and model.exists():
            raise BadBackup(f"{model} is there already, and nothing is overwritten: name another file.")
        for name in names:
            photos.restore(name, archive.read(f"photos/{name}"))
        counts = store.copy_in(lambda name: _lines(archive, name), user, why)
        if model is not None:
            for member in (name for name in manifest["members"] if name.startswith(MODEL)):
                (model.parent / (model.name + member.removeprefix(MODEL))).write_bytes(archive.read(member))
    return BackedUp(sum(counts.values()), len(names), MODEL in manifest["members"])


def write_client(path: Path, rows: dict[str, list[dict[str, Any]]], photos: Photos) -> None:
    """A zip of what is stored of one client. [rows: by table, of Store.export_client] Raises BadBackup, OSError."""
    names = [name for row in rows.get("inspections", []) for name in json.loads(row["photos"])]
    with _new_zip(path) as archive:
        archive.writestr("client.json", json.dumps(rows, ensure_ascii=False, indent=1))
        for name in names:
            _add_photo(archive, photos, name, {})


# --- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _new_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip that has its name once it is complete."""
    if path.exists():
        raise BadBackup(f"{path} is there already, and nothing is overwritten: name another file.")
    part = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # unlike a renaming, it overwrites nothing
    except FileExistsError:
        raise BadBackup(f"{path} is there already, and nothing is overwritten: name another file.") from None
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, members: dict[str, str]) -> Iterator[Callable[[bytes], None]]:
    """Write a member in parts; its SHA-256 is kept in members."""
    digest = sha256()
    with archive.open(name, "w", force_zip64=True) as file:

        def write(part: bytes) -> None:
            digest.update(part)
            file.write(part)

        yield write
    members[name] = digest.hexdigest()


def _write_lines(write: Callable[[bytes], None], lines: Iterator[str]) -> int:
    n = 0
    for n, line in enumerate(lines, 1):  # noqa: B007
        write(f"{line}\n".encode())
    return n


def _add_bytes(archive: zipfile.ZipFile, name: str, content: bytes, members: dict[str, str]) -> None:
    with _member(archive, name, members) as write:
        write(content)


def _add_photo(archive: zipfile.ZipFile, photos: Photos, name: str, members: dict[str, str]) -> bool:
    """Whether the photo is there."""
    picture = photos.find(name)
    if picture is not None:
        _add_bytes(archive, f"photos/{name}", picture, members)
    return picture is not None


def _model_files(model: Path | None) -> Sequence[Path]:
    found = () if model is None else (model, model.with_name(f"{model.name}.sha256"))
    return [path for path in found if path.is_file()]


# --- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise BadBackup(f"{path} is no backup, or is damaged ({error}); take another one.") from None


def _checked_manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    """The manifest of a backup whose members are all as they were written."""
    try:
        manifest = json.loads(archive.read(MANIFEST))
        members, form = manifest["members"], manifest["format"]
        tables = {f"tables/{name}.jsonl" for name in manifest["rows"]}
    except (KeyError, ValueError, TypeError):
        raise BadBackup(f"{path} is no backup of Fairmeter: it has no {MANIFEST}.") from None
    if form != FORMAT:
        raise BadBackup(f"{path} was written by a later version of Fairmeter: restore it there.")
    check_copied(manifest["tables"], manifest["rows"])
    photos = (name.removeprefix("photos/") for name in members if name.startswith("photos/"))
    if not tables <= members.keys() or not all(map(is_photo_name, photos)):
        raise BadBackup(f"{path} is damaged: its list of members is not that of a backup. Nothing was restored.")
    for name, digest in members.items():
        if _digest_of(archive, name) != digest:
            raise BadBackup(f"{path} is damaged: {name} is not as it was written. Nothing was restored.")
    return manifest


def _digest_of(archive: zipfile.ZipFile, name: str) -> str | None:
    """The SHA-256 of a member, None where it is gone or cannot be read."""
    digest = sha256()
    try:
        with archive.open(name) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (KeyError, zlib.error, EOFError, NotImplementedError):
        return None
    return digest.hexdigest()


def _lines(archive: zipfile.ZipFile, table: str) -> Iterator[str]:
    with archive.open(f"tables/{table}.jsonl") as file:
        for line in file:
            yield line.decode()
