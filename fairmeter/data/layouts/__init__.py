"""A file of any layout -> raw tables: encodings, delimiters, headers, spreadsheets, JSON, Parquet."""

from fairmeter.data.layouts.raw_table import CodedColumn, Layout, RawTable
from fairmeter.data.layouts.reader import OpenedFile, open_file, read_raw

__all__ = ["CodedColumn", "Layout", "OpenedFile", "RawTable", "open_file", "read_raw"]
