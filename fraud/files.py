"""A file -> the wanted columns of one table, found by their names and parsed by pyarrow.

In:  a zip, a folder, CSV, CSV.gz or Parquet; the wanted columns, each under either of two names, in any order.
Out: a Sheet, which hands out NumPy columns and can say on which line a value stands that does not parse.
pyarrow is imported where a file is parsed and nowhere else: the server reads JSON only and goes without it.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

MAX_UNPACKED_BYTES = 8 * 2**30  # of one file; the public archive unpacks to 0.3 GB, a zip bomb to far more
MAX_MEMBERS = 1_000  # of a zip; two or three are needed
BLOCK_BYTES = 2**22  # parsed at a time by each core; larger blocks cost memory and gain nothing
SUFFIXES = (".csv", ".csv.gz", ".parquet")
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "NaT")


class TableError(ValueError):
    """Tables that cannot be used, in one sentence: what is wrong, what was there, what to do."""


class MissingFile(TableError):
    """A file is not there, or an archive or folder does not hold it."""


class DamagedFile(TableError):
    """A file cannot be unpacked, decoded or split into rows."""


class MissingColumns(TableError):
    """A table lacks columns that are needed, or has one of them twice."""


class EmptyTable(TableError):
    """A table has no rows."""


class BadValue(TableError):
    """A value is not what its column holds."""


class UnreadableDate(BadValue):
    """A value of a date column is not a date."""


class Field(NamedTuple):
    """One wanted column. `convert` takes one value as found (text, number, date or None) or raises ValueError."""

    name: str
    raw: str
    convert: Callable
    dtype: type | str
    is_required: bool = True
    is_number: bool = False
    error: type[TableError] = BadValue
    has_time: bool = False  # else a typed moment loses its time of day


class Source(NamedTuple):
    """One table's file, wherever it lies; `open()` gives its unpacked bytes from the start."""

    file_name: str
    place: str
    open: Callable[[], BinaryIO]

    def __str__(self) -> str:
        return self.place

    @property
    def is_parquet(self) -> bool:
        return self.file_name.endswith(".parquet")


# --- which file holds what --------------------------------------------------------------------------------------------


def find_source(kind: str, paths: tuple, named: str | Path | None = None) -> Source:
    """The one file of a kind ("client", "invoice", "reading") in files, folders, zips, by name; or the `named` one."""
    sources = [source for path in ((named,) if named else paths) for source in _sources_in(Path(path))]
    of_kind = [source for source in sources if _kind_of(source) == kind]
    if len(of_kind) > 1:  # the public archive has train and test files, and only the former have labels
        of_kind = [source for source in of_kind if "train" in source.file_name] or of_kind
    if named and len(sources) == 1:
        of_kind = sources
    if len(of_kind) == 1:
        return of_kind[0]
    there = ", ".join(map(str, of_kind or sources)) or f"none in {', '.join(map(str, paths)) or 'what was named'}"
    raise MissingFile(f"Need one {', '.join(SUFFIXES)} file with '{kind}' in its name; found {there}. Name the file.")


def holds(kind: str, paths: tuple) -> bool:
    """Whether any file has the kind in its name."""
    return bool(find_sources(kind, paths))


def find_sources(kind: str | None, paths: tuple) -> list[Source]:
    """All files of a kind ("transformer", or one of find_source's); of None all there are."""
    return [source for path in paths for source in _sources_in(Path(path)) if kind in (None, _kind_of(source))]


def _kind_of(source: Source) -> str | None:
    # In this order: "invoices_by_client.csv" holds invoices. What is said of transformers begins with them:
    # "transformer_readings.csv" holds no readings of clients, "clients_by_transformer.csv" holds clients.
    name = source.file_name
    found = next((kind for kind in ("invoice", "reading", "client") if kind in name), None)
    is_first = "transformer" in name and (found is None or name.index("transformer") < name.index(found))
    return "transformer" if is_first else found


def _sources_in(path: Path) -> Iterator[Source]:
    if not path.exists():
        raise MissingFile(f"{path} is not there; name a zip, a folder, or the files of the tables.")
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if _is_table(file.name))
        yield from (Source(file.name.lower(), str(file), partial(_open_file, file)) for file in inside)
    elif path.suffix.lower() == ".zip":
        yield from _members_of(path)
    elif _is_table(path.name):
        yield Source(path.name.lower(), str(path), partial(_open_file, path))
    else:
        raise DamagedFile(f"{path} is none of .zip, {', '.join(SUFFIXES)}; convert it or correct its name.")


def _is_table(file_name: str) -> bool:
    return file_name.lower().endswith(SUFFIXES) and not file_name.startswith(".")


def _members_of(path: Path) -> Iterator[Source]:
    with _in_words(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise DamagedFile(f"{path} has {len(members):,} members, {MAX_MEMBERS:,} are allowed; keep the tables only.")
    for member in members:
        file_name = Path(member.filename).name
        if _is_table(file_name):
            place = f"{member.filename} in {path}"
            yield Source(file_name.lower(), place, partial(_open_member, path, member, place))


# --- bytes ------------------------------------------------------------------------------------------------------------


class _Bounded(io.RawIOBase):
    """A stream that refuses to unpack more than MAX_UNPACKED_BYTES: the size in a zip's directory may lie."""

    def __init__(self, packed: BinaryIO, stream: BinaryIO, place: str) -> None:
        self._packed, self._stream, self._place, self._left = packed, stream, place, MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self._stream.read(len(buffer))
        self._left -= len(chunk)
        if self._left < 0:
            raise DamagedFile(f"{self._place} unpacks to over {MAX_UNPACKED_BYTES:,} bytes; split it, if it is sound.")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        self._packed.close()  # gzip leaves open what it was given
        super().close()


def _open_file(path: Path) -> BinaryIO:
    stream = path.open("rb")
    return stream if path.suffix.lower() == ".parquet" else _unpacked(stream, path.name, str(path))


def _open_member(path: Path, member: zipfile.ZipInfo, place: str) -> BinaryIO:
    if member.flag_bits & 1:
        raise DamagedFile(f"{place} is encrypted; unpack it with its password and name the folder.")
    with zipfile.ZipFile(path) as archive:  # the open member keeps the file open
        stream = _unpacked(archive.open(member), member.filename, place)
    # Parquet is read from its end, and a zip member would be unpacked anew for every step back.
    return io.BytesIO(stream.read()) if member.filename.lower().endswith(".parquet") else stream


def _unpacked(packed: BinaryIO, file_name: str, place: str) -> BinaryIO:
    stream = gzip.GzipFile(fileobj=packed) if file_name.lower().endswith(".gz") else packed
    return io.BufferedReader(_Bounded(packed, stream, place), 2**20)


@contextmanager
def _in_words(place: object) -> Iterator[None]:
    """Turns what zip, gzip, csv, pyarrow and the file system raise over a file into one sentence."""
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
        if "utf8" in what.lower().replace("-", ""):
            raise DamagedFile(f"{place} is not UTF-8 text; save it as UTF-8.") from error
        raise DamagedFile(f"{place} cannot be read ({what}); export or copy it again.") from error


# --- columns ----------------------------------------------------------------------------------------------------------


class Sheet:
    """One table's wanted columns as parsed, until each is taken."""

    def __init__(self, source: Source, names: dict[str, str], parsed) -> None:
        self._source, self._names, self._parsed = source, names, {name: parsed[name] for name in names}
        self.n_rows = parsed.num_rows

    def __contains__(self, field: Field) -> bool:
        return field.name in self._names

    def name(self, field: Field) -> str:
        """The name that a field has in the file."""
        return self._names[field.name].strip()

    def look(self, field: Field) -> np.ndarray:
        """The column of a field, converted; it can be taken later."""
        with _in_words(self._source):
            column = _as_arrow(self._parsed[field.name], field)
            return self._converted(column, field) if hasattr(column, "dictionary") else column.to_numpy()

    def take(self, field: Field) -> np.ndarray:
        """The column of a field, converted; it is given up here, so that no column is in memory twice."""
        import pyarrow as pa

        values = self.look(field)
        del self._parsed[field.name]
        if not self._parsed:  # Arrow keeps what it frees: 0.3 GB after the public archive
            pa.default_memory_pool().release_unused()
        return values

    def _converted(self, column, field: Field) -> np.ndarray:
        # Each distinct value is converted once: a date or a code comes back thousands of times.
        known, why = _convert_each([*column.dictionary.to_pylist(), None], field)
        index = column.indices.fill_null(len(known) - 1).to_numpy()
        if why and (bad := np.flatnonzero(np.isin(index, list(why)))).size:
            value, reason = column[int(bad[0])].as_py(), why[index[bad[0]]]
            raise field.error(f"{self._place(bad[0], field)} is {value!r}, {reason}.")
        return known[index]

    def _place(self, row: int, field: Field) -> str:
        at = f"row {row + 1}" if self._source.is_parquet else f"line {_line_of(self._source, row)}"
        return f"{self._source}, {at}: {self._names[field.name]}"


def read_header(source: Source) -> list[str]:
    """The names of a file's columns, without blanks around them. Raises DamagedFile."""
    with _in_words(source):
        header = _parquet_header(source) if source.is_parquet else _csv_header(source)
    return [name.strip() for name in header]


def read_sheet(source: Source, fields: tuple[Field, ...]) -> Sheet:
    """Parses the columns of `fields` that the file has. Raises MissingColumns, EmptyTable, DamagedFile."""
    with _in_words(source):
        header = _parquet_header(source) if source.is_parquet else _csv_header(source)
        names = _matched(header, fields, source)
        parsed = _read_parquet(source, names) if source.is_parquet else _read_csv(source, header, names, fields)
    if not parsed.num_rows:
        raise EmptyTable(f"{source} has a header and no rows; export it again.")
    return Sheet(source, names, parsed)


def _matched(header: list[str], fields: tuple[Field, ...], source: Source) -> dict[str, str]:
    """{canonical name: name in the file} of the fields that the file has."""
    if not header:
        raise EmptyTable(f"{source} is empty; export it again, with a header.")
    found = {field.name: [name for name in header if name.strip() in (field.name, field.raw)] for field in fields}
    missing = [" or ".join(dict.fromkeys(f[:2])) for f in fields if f.is_required and not found[f.name]]
    if missing:
        raise MissingColumns(
            f"{source} lacks {', '.join(missing)}; found {header}. See data/README.md, 'Input tables'."
        )
    twice = [name for name, places in found.items() if len(places) > 1]
    if twice:
        raise MissingColumns(f"{source} has {', '.join(twice)} more than once in {header}; keep one of each.")
    return {name: places[0] for name, places in found.items() if places}


def _csv_rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """(line, values) of every row that is not blank, the header's first."""
    with source.open() as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        yield from ((reader.line_num, values) for values in reader if values)


def _csv_header(source: Source) -> list[str]:
    return next(_csv_rows(source), (0, []))[1]


def _line_of(source: Source, row: int) -> int:
    return next(islice(_csv_rows(source), row + 1, None))[0]


def _read_csv(source: Source, header: list[str], names: dict[str, str], fields: tuple[Field, ...]):
    import pyarrow as pa

    wanted = {names[field.name]: field for field in fields if field.name in names}
    columns = [wanted[name].name if name in wanted else f"{i}, not wanted" for i, name in enumerate(header)]
    text = pa.dictionary(pa.int32(), pa.string())
    try:
        return _parse_csv(source, columns, {f.name: pa.float64() if f.is_number else text for f in wanted.values()})
    except pa.ArrowInvalid:
        pass  # Something is no number, or the rows are ragged. As text, the former can be placed.
    try:
        return _parse_csv(source, columns, {field.name: text for field in wanted.values()})
    except pa.ArrowInvalid:
        for line, values in _csv_rows(source):
            if len(values) != len(header):
                counts = f"{len(values)} values where the header has {len(header)}"
                raise DamagedFile(f"{source}, line {line} has {counts}; correct or remove it.") from None
        raise


def _parse_csv(source: Source, columns: list[str], types: dict):
    from pyarrow import csv as arrow_csv

    with source.open() as stream:
        return arrow_csv.read_csv(
            stream,
            read_options=arrow_csv.ReadOptions(column_names=columns, skip_rows=1, block_size=BLOCK_BYTES),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=NULLS, strings_can_be_null=False
            ),
        )


def _parquet_header(source: Source) -> list[str]:
    from pyarrow import parquet

    with source.open() as stream:
        return parquet.read_schema(stream).names


def _read_parquet(source: Source, names: dict[str, str]):
    from pyarrow import parquet

    with source.open() as stream:
        table = parquet.ParquetFile(stream).read(columns=list(names.values()))
    return table.select(list(names.values())).rename_columns(list(names))


def _as_arrow(column, field: Field):
    """One array: numbers as float64, everything else as a dictionary of its distinct values."""
    import pyarrow as pa

    kind = column.type
    if field.is_number and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_timestamp(kind):
        column = _wall_clock(column).cast(pa.timestamp("s"), safe=False) if field.has_time else column.cast(pa.date32())
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _wall_clock(moments):
    """What the clock on the wall showed where the moments are of; UTC counts as a place of its own."""
    from pyarrow import compute

    return compute.local_timestamp(moments) if moments.type.tz else moments


def _convert_each(values: list, field: Field) -> tuple[np.ndarray, dict[int, str]]:
    """The values converted, and for each that cannot be {its position: why}."""
    known, why = [], {}
    for i, value in enumerate(values):
        try:
            known.append(field.convert(value))
        except ValueError as error:
            known.append(0)
            why[i] = str(error)
    return np.array(known, field.dtype), why
