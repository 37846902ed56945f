"""Columns -> a CSV or Parquet file that spreadsheets open safely, complete or not written at all.

In:  columns by name, all at once or a chunk of rows at a time; a path. None is an empty cell.
Out: the file. In CSV a text that a spreadsheet would take for a formula (it begins with = + - @ and is no number) gets
     an apostrophe in front, and so does a text that begins with one: removing one leading apostrophe restores any text.
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")

Columns = dict[str, list]


class RecordType(NamedTuple):
    """The type of a column whose cells are lists of records: a list of structs in Parquet, one text in CSV.

    fields: of a record, by name; text: of one record, joined by semicolons.
    """

    fields: Mapping[str, type]
    text: Callable[[Mapping], str]

    def cell(self, records: Sequence[Mapping] | None) -> str | None:
        """The records as one text; None without any."""
        return "; ".join(map(self.text, records)) if records else None


Types = Mapping[str, type | RecordType]  # of columns that are not texts: int, bool, float, records
ALL_TEXTS: Types = MappingProxyType({})


class OutputError(Exception):
    """A file cannot be written where it is wanted; one sentence."""


def cell(value):
    """A value for CSV: numbers to six decimals, and no text that a spreadsheet would run."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, str) and value.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_lines(header: Sequence[str], rows: Iterable[Iterable]) -> Iterator[str]:
    """Yield the header and then each row as a line of CSV, for answers that are streamed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        yield _emptied(text)
        # Booleans stay True and False here, as scripts that read the desk's lists expect.
        writer.writerow([value if isinstance(value, bool) else cell(value) for value in row])
    yield _emptied(text)


def _emptied(text: io.StringIO) -> str:
    line = text.getvalue()
    text.seek(0)
    text.truncate()
    return line


def write(columns: Columns, out: Path, types: Types = ALL_TEXTS) -> None:
    """Write all rows at once; see `write_chunks`."""
    write_chunks([columns], out, types)


def write_chunks(chunks: Iterable[Columns], out: Path, types: Types = ALL_TEXTS) -> None:
    """Write rows that come in chunks, at least one of them, as Parquet or CSV by the ending of `out`.

    The rows go into a file beside `out`, which is then renamed: `out` is the old file or the complete new one.
    types: Parquet needs a type also for a column whose values are all missing; a column without one holds texts.
    Raises OutputError.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if out.suffix.lower() == ".parquet":
            write_parquet(chunks, part, types)
        else:
            write_csv(_as_texts(chunks, types), part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another file.") from error
    finally:
        part.unlink(missing_ok=True)


def write_csv(chunks: Iterable[Columns], path: Path) -> None:
    """Write a new CSV file. Raises OSError, also where the file exists already."""
    with path.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for i, columns in enumerate(chunks):
            if i == 0:
                writer.writerow(columns)
            writer.writerows([cell(value) for value in row] for row in zip(*columns.values(), strict=True))


def _as_texts(chunks: Iterable[Columns], types: Types) -> Iterator[Columns]:
    """The chunks with lists of records as texts."""
    texts = {name: kind.cell for name, kind in types.items() if isinstance(kind, RecordType)}
    for columns in chunks:
        yield columns | {name: list(map(texts[name], columns[name])) for name in texts.keys() & columns.keys()}


def write_parquet(chunks: Iterable[Columns], path: Path, types: Types) -> None:
    """Write a Parquet file, a row group per chunk. Raises OSError."""
    from pyarrow import parquet

    tables = (_to_arrow(columns, types) for columns in chunks)
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _to_arrow(columns: Columns, types: Types):
    import pyarrow as pa

    arrow = {int: pa.int64(), bool: pa.bool_(), float: pa.float64(), str: pa.string()}

    def arrow_type(kind: type | RecordType):
        if isinstance(kind, RecordType):
            return pa.list_(pa.struct([(name, arrow[field]) for name, field in kind.fields.items()]))
        return arrow[kind]

    return pa.table({name: pa.array(values, arrow_type(types.get(name, str))) for name, values in columns.items()})


# --- where to write ---------------------------------------------------------------------------------------------------


def writable(out: Path, inputs: list[Path | None]) -> Path:
    """The file that `out` leads to. Raises OutputError before the work begins, not after it."""
    target = out.resolve()
    if target.exists() and not target.is_file():
        raise OutputError(f"{out} is not a file; name one that ends in .csv or .parquet.")
    if any(path is not None and path.resolve() == target for path in inputs):
        raise OutputError(f"{out} is also an input; name another file.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{target.parent} is not a folder that can be written to; name another file.")
    return target


def writable_folder(folder: Path) -> Path:
    """A folder that exists or can be created. Raises OutputError before the work begins, not after it."""
    existing = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise OutputError(f"{folder} is not a folder that can be written to; name another folder.")
    return folder
