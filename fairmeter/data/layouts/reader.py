"""A file of any layout -> raw tables: what the file is, by its name and first bytes, decides how it is read.

In:  a TableFile and a Layout.
Out: its columns' names, and its rows, at once or in batches.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

from fairmeter.data.files import DamagedFile, TableFile, file_errors
from fairmeter.data.layouts.arrow_tables import parquet_batches, parquet_header, parquet_table
from fairmeter.data.layouts.headers import find_layout
from fairmeter.data.layouts.json_tables import json_batches, json_names
from fairmeter.data.layouts.raw_table import Layout, RawTable, addressable
from fairmeter.data.layouts.text_tables import text_batches, text_table
from fairmeter.data.layouts.workbooks import OLE, ZIP, workbook_table

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
JSON = (".json", ".json.gz", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
ALL = 2**62  # rows in a batch
ANY = Layout()


class OpenedFile(NamedTuple):
    """A file whose columns are found. `table` gives all rows at once, `batches` some ten thousand at a time.

    Both take the wanted names (None: all) and those of them that are to be parsed as numbers where they are.
    """

    header: list[str]
    table: Callable[..., RawTable]
    batches: Callable[..., Iterator[RawTable]]


def read_raw(source: TableFile, layout: Layout = ANY, wanted: Collection[str] | None = None) -> Iterator[RawTable]:
    """The rows of a file in batches of some ten thousand; none where there is only a header. Raises TableError."""
    with file_errors(source):
        yield from open_file(source, layout).batches(wanted, ())


def open_file(source: TableFile, layout: Layout) -> OpenedFile:
    """Find out what a file is, and its columns. To be called and used inside of `file_errors`."""
    kind = _kind_of(source)
    if kind == "workbook":
        table = workbook_table(source, layout)
        return OpenedFile(table.header, lambda *_: table, lambda *_: iter([table] if table.n_rows else []))
    if kind == "json":
        names = json_names(source, layout)
        read = partial(json_batches, source, layout, names)
        return OpenedFile(addressable(names), lambda *_: next(read(ALL)), lambda *_: read())
    if kind == "parquet":
        header = parquet_header(source)
        return OpenedFile(
            header, partial(_columns_only, parquet_table, source), partial(_columns_only, parquet_batches, source)
        )
    found = find_layout(source, layout)
    return OpenedFile(found.header, partial(text_table, source, found), partial(text_batches, source, found))


def _columns_only(read: Callable, source: TableFile, wanted: Collection[str] | None, _numbers: Collection[str]):
    """Parquet says itself which of its columns are numbers."""
    return read(source, wanted)


def _kind_of(source: TableFile) -> str:
    """How a file is read: a workbook is recognised whatever its name; what is nothing of all is refused."""
    if source.is_parquet:
        return "parquet"
    with source.open() as stream:
        start = stream.read(512)
    if start.startswith((OLE, ZIP)):
        return "workbook"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<table", b"<meta", b"<head")):
        raise DamagedFile(
            f"{source} is a web page, whatever its name; open it in a spreadsheet program, save it as XLSX."
        )
    if text.startswith(b"<"):
        raise DamagedFile(f"{source} is XML; name its reader in a map, or export it as CSV.")
    if start.startswith((GZIP, PARQUET)):
        what = ".gz" if start.startswith(GZIP) else ".parquet"
        raise DamagedFile(f"{source} has the content of a {what} file; correct its name.")
    if text.startswith(b"%pdf"):
        raise DamagedFile(f"{source} is a PDF; ask for the data as XLSX or CSV.")
    if source.file_name.endswith(WORKBOOKS):
        return "text" if source.file_name.endswith(".xls") and start else "workbook"
    return "json" if source.file_name.endswith(JSON) or text.startswith((b"[{", b'{"')) else "text"
