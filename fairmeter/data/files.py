"""Search for the file of each table, its unpacked bytes, and the errors of tables.

In:  zips, folders, CSV, CSV.gz and Parquet files.
Out: TableFiles, which arrow_reader.py parses.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fairmeter.core.code_names import CodeNames

MAX_UNPACKED_BYTES = 8 * 2**30  # of one file, against zip bombs; the public archive unpacks to 0.3 GB
MAX_MEMBERS = 20_000  # files in a zip or a folder; two or three are needed, or one a client
GZIP_RATIO = 8  # unpacked over packed bytes, approximately
TEXTS = (".csv", ".tsv", ".txt", ".json", ".ndjson", ".jsonl")  # each may be packed: .csv.gz
FORMAT_SUFFIXES = (".xml", ".xml.gz", ".edi", ".edifact", ".mscons", ".hex")  # of meter data that is no table
NAMED_SUFFIXES = (".bin",)  # of such files too, but of others as well: read only where the file itself is named
SUFFIXES = (
    *TEXTS,
    *(f"{suffix}.gz" for suffix in TEXTS),
    ".parquet",
    ".xlsx",
    ".xlsm",
    ".xlsb",
    ".xls",
    ".ods",
    *FORMAT_SUFFIXES,
)
FORMATS = ".csv, .txt, .tsv, .json, .xlsx, .parquet"  # of SUFFIXES, for messages
PROSE = ("readme", "licen")  # files about the data, which stand beside it
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "NaT")


class TableError(ValueError):
    """Tables that cannot be used; one sentence: what is wrong, what was found, what to do."""


class MissingFile(TableError):
    """A file does not exist, or an archive or folder does not contain it."""


class DamagedFile(TableError):
    """A file cannot be unpacked, decoded or split into rows."""


class MissingColumns(TableError):
    """A table lacks required columns, or has one of them twice."""


class EmptyTable(TableError):
    """A table has no rows."""


class InvalidValue(TableError):
    """A value does not fit its column."""


class UnreadableDate(InvalidValue):
    """A value of a date column is not a date."""


class Column(NamedTuple):
    """One wanted column. `convert` takes one value as found (text, number, date or None) or raises ValueError.

    raw: an alternative name, as in the public set. is_filled: where a file lacks the column, missing values stand in.
    names_of: the names of a code's texts among distinct values; is_limited: not under the raw name,
    where codes are the public set's.
    """

    name: str
    raw: str
    convert: Callable
    dtype: type | str
    is_required: bool = True
    is_number: bool = False
    error: type[TableError] = InvalidValue
    has_time: bool = False  # if not, a typed moment loses its time of day
    is_filled: bool = False
    names_of: Callable[[list], CodeNames] | None = None
    is_limited: bool = False


class TableFile(NamedTuple):
    """The file of one table, on its own or in a zip; `open()` gives its unpacked bytes from the start.

    place: where the file is, for messages; n_bytes: estimated unpacked size; path_text: path inside its zip or folder,
    with the names of folders, for patterns that take something out of it.
    """

    file_name: str
    place: str
    open: Callable[[], BinaryIO]
    n_bytes: int = 0
    path_text: str = ""

    def __str__(self) -> str:
        return self.place

    @property
    def is_parquet(self) -> bool:
        return self.file_name.endswith(".parquet")


# --- which file contains which table ----------------------------------------------------------------------------------


def find_file(kind: str, paths: tuple, named: str | Path | TableFile | None = None) -> TableFile:
    """The single file of a kind ("client", "invoice", "reading") by its name in files, folders, zips; or `named`.

    Raises MissingFile if there is none or more than one.
    """
    if isinstance(named, TableFile):
        return named
    places = (named,) if named else paths
    sources = find_files(None, places)
    of_kind = [source for source in sources if _kind_of(source) == kind]
    if not of_kind and len(sources) != 1:  # folders inside are looked into only where they are needed
        sources = find_files(None, places, is_deep=True)
        of_kind = [source for source in sources if _kind_of(source) == kind]
    if len(of_kind) > 1:  # the public archive has train and test files; only the former have labels
        of_kind = [source for source in of_kind if "train" in source.file_name] or of_kind
    if named and len(sources) == 1:
        of_kind = sources
    if len(of_kind) == 1:
        return of_kind[0]
    found = _first_five(of_kind or sources) or f"none in {', '.join(map(str, paths)) or 'what was named'}"
    raise MissingFile(
        f"Need one file ({FORMATS}) with '{kind}' in its name; found {found}. Name the file, or begin with --guess-map."
    )


def has_file(kind: str, paths: tuple) -> bool:
    """Whether any file is of the kind, by its name."""
    return bool(find_files(kind, paths, is_deep=True))


def find_files(
    kind: str | None, paths: tuple, is_deep: bool = False, accepts: Callable[[str], bool] | None = None
) -> list[TableFile]:
    """All files of a kind: "transformer" or one of those of `find_file`; all files for None.

    is_deep: also those of the folders inside a folder. accepts: marks the names of tables, by default by their ends.
    """
    found = (source for path in paths for source in _files_in(Path(path), is_deep, accepts or _is_table))
    return [source for source in found if kind in (None, _kind_of(source))]


def is_visible(file_name: str) -> bool:
    """Whether a name is none of a hidden or a temporary file."""
    return not file_name.startswith((".", "~$"))


def _kind_of(source: TableFile) -> str | None:
    # In this order: "invoices_by_client.csv" contains invoices. Files about transformers begin with the word:
    # "transformer_readings.csv" has no readings of clients, "clients_by_transformer.csv" has clients.
    name = source.file_name
    found = next((kind for kind in ("invoice", "reading", "client") if kind in name), None)
    is_first = "transformer" in name and (found is None or name.index("transformer") < name.index(found))
    return "transformer" if is_first else found


def _files_in(path: Path, is_deep: bool, accepts: Callable[[str], bool]) -> Iterator[TableFile]:
    if not path.exists():
        raise MissingFile(f"{path} does not exist; name a zip, a folder, or the files of the tables.")
    if path.is_dir():
        yield from _tables_in(path, is_deep, accepts)
    elif path.suffix.lower() == ".zip":
        yield from _members_of(path, accepts)
    elif accepts(path.name) or path.name.lower().endswith(NAMED_SUFFIXES):
        yield _table_file(path, path.name)
    else:
        raise DamagedFile(f"{path} does not end in .zip, .csv.gz, {FORMATS}; convert it or correct its name.")


def _tables_in(folder: Path, is_deep: bool, accepts: Callable[[str], bool]) -> list[TableFile]:
    """The tables in a folder, then those of the folders inside it. Raises DamagedFile if they are too many."""
    deeper = sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    places = (folder, *deeper) if is_deep else (folder,)
    files = [file for place in places for file in sorted(place.iterdir()) if accepts(file.name)]
    files = [file for file in files if not file.is_dir()]
    if len(files) > MAX_MEMBERS:
        raise DamagedFile(
            f"{folder} contains {len(files):,} files, at most {MAX_MEMBERS:,} are read; put them together."
        )
    return [_table_file(file, f"{folder.name}/{file.relative_to(folder)}") for file in files]


def _first_five(sources: list[TableFile]) -> str:
    named = ", ".join(map(str, sources[:5]))
    return f"{named} and {len(sources) - 5:,} others" if len(sources) > 5 else named


def _table_file(path: Path, path_text: str) -> TableFile:
    packs = GZIP_RATIO if path.suffix.lower() == ".gz" else 1
    return TableFile(path.name.lower(), str(path), partial(_open_file, path), packs * path.stat().st_size, path_text)


def _is_table(file_name: str) -> bool:
    name = file_name.lower()
    return name.endswith(SUFFIXES) and not name.startswith((".", "~$", *PROSE))


def _members_of(path: Path, accepts: Callable[[str], bool]) -> Iterator[TableFile]:
    with file_errors(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise DamagedFile(
            f"{path} contains {len(members):,} files, at most {MAX_MEMBERS:,} are allowed; pack the tables only."
        )
    for member in members:
        file_name = Path(member.filename).name
        if accepts(file_name):
            place = f"{member.filename} in {path}"
            opened = partial(_open_member, path, member, place)
            yield TableFile(file_name.lower(), place, opened, member.file_size, member.filename)


# --- bytes ------------------------------------------------------------------------------------------------------------


class BoundedReader(io.RawIOBase):
    """A stream that stops after MAX_UNPACKED_BYTES, because the size in a zip's directory may be wrong.

    Raises DamagedFile.
    """

    def __init__(self, packed: BinaryIO, stream: BinaryIO, place: str) -> None:
        self._packed, self._stream, self._place, self._left = packed, stream, place, MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self._stream.read(len(buffer))
        self._left -= len(chunk)
        if self._left < 0:
            raise DamagedFile(
                f"{self._place} unpacks to over {MAX_UNPACKED_BYTES:,} bytes; split it into several files."
            )
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()  # gzip does not close the file that it reads
        super().close()


def _open_file(path: Path) -> BinaryIO:
    stream = path.open("rb")
    return stream if path.suffix.lower() == ".parquet" else _unpacked(stream, path.name, str(path))


def _open_member(path: Path, member: zipfile.ZipInfo, place: str) -> BinaryIO:
    if member.flag_bits & 1:
        raise DamagedFile(f"{place} is encrypted; unpack it with its password and name the folder.")
    with zipfile.ZipFile(path) as archive:  # the open member holds the zip open
        stream = _unpacked(archive.open(member), member.filename, place)
    # Parquet is read from its end, and each step back would unpack a zip member again.
    return io.BytesIO(stream.read()) if member.filename.lower().endswith(".parquet") else stream


def _unpacked(packed: BinaryIO, file_name: str, place: str) -> BinaryIO:
    stream = gzip.GzipFile(fileobj=packed) if file_name.lower().endswith(".gz") else packed
    return io.BufferedReader(BoundedReader(packed, stream, place), 2**20)


@contextmanager
def file_errors(place: object) -> Iterator[None]:
    """Turn exceptions of zip, gzip, csv, pyarrow and the file system into a DamagedFile of one sentence."""
    try:
        yield
    except TableError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        csv.Error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        OverflowError,
    ) as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        if isinstance(error, UnicodeError):
            raise DamagedFile(
                f"{place} is not text in the encoding {error.encoding}; leave the encoding out, it is found out."
            ) from error
        if "utf8" in what.lower().replace("-", ""):
            raise DamagedFile(f"{place} is not UTF-8 text; save it as UTF-8.") from error
        raise DamagedFile(f"{place} cannot be read ({what}); export or copy it again.") from error
